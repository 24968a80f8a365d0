"""Probing environments over real SSH: keys pinned, what is found recorded and told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.probe.sshd import Server, servers

from .school import CHANTAL, DAAN, ESRA, School


class Reached:
    """A school of which T and P are reached over SSH."""

    def __init__(self, school: School, key: Path, found: list[Server]) -> None:
        self.school = school
        self.t, self.p = found
        for stage, server in (("t", self.t), ("p", self.p)):
            variables = ", ".join(f"{k}: {v}" for k, v in server.variables(key).items())
            school.edit(
                "environments/agenda.yml",
                f"hazelaar-{stage}: {{ansible_connection: local,",
                f"hazelaar-{stage}: {{{variables},",
            )

    def pin(self, stage: str, expect: int = 0) -> dict[str, Any]:
        """Put in the description what `env pin` shows."""
        said = self.school(DAAN, "env", "pin", stage, expect=expect)["pin"]
        (host,) = said["hosts"]
        keys = ", ".join(said["hosts"][host]["keys"])
        self.school.edit(
            "environments/agenda.yml",
            f"  - stage: {stage}\n",
            f"  - stage: {stage}\n    host_keys: {{{host}: [{keys}]}}\n",
        )
        self.school(DAAN, "env", "accept", stage)
        return dict(said["hosts"][host])


@pytest.fixture
def two(tmp_path: Path) -> Iterator[tuple[Path, list[Server]]]:
    folder = tmp_path / "servers"
    folder.mkdir()
    key, found = servers(folder, 2)
    yield key, found
    for server in found:
        server.stop()


@pytest.fixture
def reached(founded: School, two: tuple[Path, list[Server]]) -> Reached:
    return Reached(founded, *two)


def test_hosts_are_pinned_probed_and_what_was_found_is_told(
    accepted: School, two: tuple[Path, list[Server]]
) -> None:
    """CH04-04."""
    school, reached = accepted, Reached(accepted, *two)
    said = school(DAAN, "env", "probe", "T", "isolation", expect=4)["error"]
    assert (said["code"], said["remedy"]) == ("host-keys-missing", "otapgate env pin agenda-T")
    assert reached.pin("T")["status"] == "new"
    assert school(DAAN, "env", "pin", "T")["pin"]["hosts"]["hazelaar-t"]["status"] == "pinned"
    said = school(DAAN, "env", "probe", "T", "isolation", expect=4)["error"]
    assert said["remedy"] == "otapgate env pin agenda-P", "production is looked at too"
    reached.pin("P")

    said = school(DAAN, "env", "probe", "T", "isolation", expect=1)
    found = said["probes"]["isolation"]
    assert found["outcome"] == "violated"
    (path,) = [p for p in found["paths"] if p["outcome"] == "open"]
    assert (path["from"], path["to"], path["port"]) == ("hazelaar-t", "hazelaar-p", reached.p.port)
    assert {"kind": "machine-id", "from": "hazelaar-t", "to": "hazelaar-p",
            "what": "/etc/machine-id", "there": "/etc/machine-id"} in found["shared"]  # fmt: skip

    (entry,) = said["entries"]
    shown = school(DAAN, "env", "show", "T")["environment"]["probes"]["isolation"]
    assert (shown["outcome"], shown["entry"], shown["current"]) == ("violated", entry, True)
    assert shown["counts"]["open"] == 1
    warned = school(DAAN, "gate", "explain", "agenda@2.0", "--to", "P", "--change", "CHG-0001",
                    expect=3)["decision"]["findings"]  # fmt: skip
    (finding,) = [f for f in warned if f["code"] == "OG205" and f["subject"] == "agenda-T"]
    assert "1 open" in finding["message"]
    assert [e["entry"] for e in school.entries("probed")] == [entry]


def test_production_probed_means_everything_before_it(reached: Reached) -> None:
    reached.pin("T")
    reached.pin("P")
    said = reached.school(ESRA, "env", "probe", "P", "isolation", "--dry-run", expect=1)
    assert set(said["environments"]) == {"agenda-T", "agenda-A"}
    assert said["entries"] == []
    assert reached.school(None, "env", "show", "T")["environment"]["probes"] == {}


def test_another_host_key_stops_a_probe_and_nothing_is_recorded(reached: Reached) -> None:
    reached.pin("T")
    reached.t.renew()
    before = len(reached.school.entries())
    said = reached.school(DAAN, "env", "probe", "T", "access", expect=1)["error"]
    assert said["code"] == "host-key-changed"
    assert said["message"].startswith("hazelaar-t shows another SSH host key")
    assert len(reached.school.entries()) == before
    shown = reached.school(DAAN, "env", "pin", "T")["pin"]["hosts"]["hazelaar-t"]
    assert shown["status"] == "changed"


def test_a_host_that_doesnt_answer_proves_nothing(reached: Reached) -> None:
    reached.pin("T")
    reached.t.stop()
    said = reached.school(DAAN, "env", "probe", "T", "access", expect=1)
    assert said["probes"]["access"]["outcome"] == "unknown"
    (why,) = said["probes"]["access"]["unknown"]
    assert "hazelaar-t can't be reached" in why


def test_an_environment_that_its_owner_didnt_accept_isnt_reached(reached: Reached) -> None:
    reached.pin("T")
    mark = "  - stage: T\n"
    reached.school.edit("environments/agenda.yml", mark, f"{mark}    ports: [1]\n")
    said = reached.school(DAAN, "env", "probe", "T", "access", expect=4)["error"]
    assert said["code"] == "environment-unaccepted"
    assert "Accepted" not in (reached.t.folder / "log").read_text()


def test_who_may_probe_and_what_there_is_to_probe(reached: Reached) -> None:
    reached.pin("T")
    said = reached.school(CHANTAL, "env", "probe", "T", "access", expect=7)["error"]
    assert said["code"] == "role-missing"
    said = reached.school(DAAN, "env", "probe", "T", "speed", expect=2)["error"]
    assert "isolation" in said["remedy"]
