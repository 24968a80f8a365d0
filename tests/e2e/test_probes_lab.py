"""Probes on hosts of their own, with a firewall between them: what is wrong is found and
named, and on a lab where nothing is wrong nothing is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.lab.labs import Lab, make_lab
from tests.probe.sshd import make_key

from .lab_street import Street
from .school import CHANTAL, DAAN, School

__all__ = ["make_lab"]
pytestmark = pytest.mark.slow

CLEAN = """\
hosts:
  t1: {stage: T}
  a1: {stage: A}
  p1:
    stage: P
    services:
      page: {run: [python3, -m, http.server, "8080"], user: deploy, ports: [8080]}
"""


@pytest.fixture
def street(founded: School, make_lab: Callable[..., Lab]) -> Callable[[str], Street]:
    return lambda text: Street(founded, make_lab(text))


def test_nothing_is_found_where_nothing_is_wrong(street: Callable[[str], Street]) -> None:
    """CH04-04, CH04-05."""
    clean = street(CLEAN)
    for stage in "TA":
        found = clean.probe(stage, "isolation")
        assert (found["outcome"], found["shared"], found["unknown"]) == ("proven", [], [])
        assert {path["outcome"] for path in found["paths"]} == {"filtered"}
        assert {path["port"] for path in found["paths"]} == {22, 8080}
    for stage in "TAP":
        found = clean.probe(stage, "access")
        assert (found["outcome"], found["stray"], found["missing"]) == ("proven", [], [])


def test_a_firewall_that_refuses_proves_as_much(street: Callable[[str], Street]) -> None:
    found = street(CLEAN + "refuse: reject\n").probe("T", "isolation")
    assert found["outcome"] == "proven"
    assert {path["outcome"] for path in found["paths"]} <= {"closed", "filtered"}


def test_a_hole_in_the_firewall_is_named_by_host_and_port(street: Callable[[str], Street]) -> None:
    found = street(CLEAN + "reach: [{from: t1, to: p1, port: 8080}]\n").probe("T", "isolation", 1)
    assert found["outcome"] == "violated"
    (path,) = [path for path in found["paths"] if path["outcome"] == "open"]
    assert (path["from"], path["to"], path["port"]) == ("t1", "p1", 8080)
    assert found["shared"] == []


def test_a_host_key_and_a_machine_id_of_production_are_named(
    street: Callable[[str], Street],
) -> None:
    shares = "shares: [{what: host-key, hosts: [p1, t1]}, {what: machine-id, hosts: [p1, a1]}]\n"
    shared = street(CLEAN + shares)
    found = shared.probe("T", "isolation", 1)
    assert {(s["kind"], s["from"], s["to"]) for s in found["shared"]} == {("host-key", "t1", "p1")}
    found = shared.probe("A", "isolation", 1)
    assert [(s["kind"], s["from"], s["to"]) for s in found["shared"]] == [
        ("machine-id", "a1", "p1")
    ]


RELAY = """
import pathlib, socketserver
class Mail(socketserver.StreamRequestHandler):
    def handle(self):
        say = lambda text: self.wfile.write(text.encode() + b"\\r\\n")
        say("220 relay.example ESMTP")
        for line in self.rfile:
            word = line.split()[0].upper()
            if word == b"DATA":
                say("354 go on")
                with pathlib.Path("/srv/mail").open("ab") as kept:
                    while (line := self.rfile.readline()) not in (b".\\r\\n", b""):
                        kept.write(line)
            elif word == b"QUIT":
                return say("221 bye")
            say("250 fine")
socketserver.ThreadingTCPServer.allow_reuse_address = True
socketserver.ThreadingTCPServer(("", 25), Mail).serve_forever()
"""
SEND = """
import smtplib, sys
with smtplib.SMTP("relay.example", timeout=3) as relay:
    relay.sendmail("test@example.com", ["parent@example.com"], "Subject: hello\\n\\nfrom test")
"""


def test_mail_that_test_can_send_for_real_is_found_by_the_relays_name(
    street: Callable[[str], Street],
) -> None:
    relay = f"      mail: {{run: [python3, -c, {json.dumps(RELAY)}], ports: [25]}}\n"
    made = street(CLEAN + relay)
    file = made.school.root / "environments/agenda.yml"
    mark = "  - stage: P\n"
    file.write_text(
        file.read_text().replace(
            mark, f"{mark}    relays: ['relay.example:25']\n    names: [agenda.example]\n"
        )
    )
    made.accept()
    address = made.lab.hosts["p1"]["address"]
    for host in ("t1", "a1"):
        with (made.lab.root(host) / "etc/hosts").open("a") as known:
            known.write(f"{address} relay.example agenda.example\n")

    def send() -> bool:
        return made.lab.ssh("t1", ["python3", "-c", SEND]).returncode == 0

    for stage in "TA":
        found = made.probe(stage, "isolation")
        assert found["outcome"] == "proven"
        assert {path["to"] for path in found["paths"]} == {
            "p1", "relay.example:25", "agenda.example"
        }  # fmt: skip
    assert not send()
    made.lab.rules.open("t1", "p1", 25)
    found = made.probe("T", "isolation", 1)
    assert [(p["from"], p["to"], p["port"]) for p in found["paths"] if p["outcome"] == "open"] == [
        ("t1", "relay.example:25", 25)
    ]
    assert send(), "a real message would have gone out"
    assert b"from test" in (made.lab.root("p1") / "srv/mail").read_bytes()
    assert made.probe("A", "isolation")["outcome"] == "proven"


def test_a_host_behind_a_jump_host_is_unknown_and_it_is_said_what_to_do(
    street: Callable[[str], Street],
) -> None:
    made = street(CLEAN)
    file = made.school.root / "environments/agenda.yml"
    jump = f"deploy@{made.lab.hosts['a1']['address']}"
    plain = "-o IdentitiesOnly=yes"
    file.write_text(file.read_text().replace(plain, f"{plain} -J {jump}", 1))
    made.accept()
    found = made.probe("T", "isolation", 1)
    assert found["outcome"] == "unknown"
    assert found["unknown"][0].startswith("t1: it is reached through another machine")
    assert "run them on a machine that reaches it directly" in found["unknown"][0]


def test_a_database_that_test_and_production_share_is_named(
    street: Callable[[str], Street],
) -> None:
    shared = street(CLEAN + "shares: [{what: folder, hosts: [p1, t1], path: /srv/shared}]\n")
    (shared.lab.root("p1") / "srv/shared/agenda.db").write_bytes(b"SQLite format 3\0")
    file = shared.school.root / "environments/agenda.yml"
    text = file.read_text()
    # the same file, and each side calls it something else
    (shared.lab.root("t1") / "srv/agenda.db").symlink_to("shared/agenda.db")
    for stage, path in (("T", "/srv/agenda.db"), ("P", "/srv/shared/agenda.db")):
        mark = f"  - stage: {stage}\n"
        text = text.replace(mark, f"{mark}    databases: ['sqlite:///{path}']\n")
    file.write_text(text)
    shared.accept()
    found = shared.probe("T", "isolation", 1)
    (one,) = found["shared"]
    assert one == {"kind": "database", "from": "t1", "to": "p1", "what": "/srv/agenda.db",
                   "there": "/srv/shared/agenda.db"}  # fmt: skip


def test_a_key_on_test_that_opens_production_is_named(
    street: Callable[[str], Street], tmp_path: Path
) -> None:
    public = make_key(tmp_path / "robot")
    text = CLEAN.replace(
        "    stage: P\n", "    stage: P\n    accounts:\n"
        f"      deploy: {{sudo: true, keys: [{json.dumps(public)}]}}\n")  # fmt: skip
    made = street(text)
    place = made.lab.root("t1") / "home/deploy/.ssh/robot"
    place.write_bytes((tmp_path / "robot").read_bytes())
    found = made.probe("T", "isolation", 1)
    assert [(s["kind"], s["from"], s["to"], s["what"], s["there"]) for s in found["shared"]] == [
        ("opens", "t1", "p1", "/home/deploy/.ssh/robot", "deploy")
    ]


def test_a_stray_account_and_a_builders_key_are_named(
    founded: School, street: Callable[[str], Street]
) -> None:
    """CH04-05, F16."""
    builder = (founded.keys / f"{CHANTAL.key}.pub").read_text().strip()
    text = CLEAN.replace("t1: {stage: T}", "t1:\n    stage: T\n    accounts:\n"
                         "      deploy: {sudo: true}\n"
                         "      stray: {sudo: true, password: true, key: false}").replace(
        "    stage: P\n", "    stage: P\n    accounts:\n"
        f"      deploy: {{sudo: true, keys: [{json.dumps(builder)}]}}\n")  # fmt: skip
    made = street(text)
    found = made.probe("T", "access", 1)
    assert {(s["host"], s["account"], s["what"]) for s in found["stray"]} == {
        ("t1", "stray", "account"), ("t1", "stray", "root"),
    }  # fmt: skip
    found = made.probe("P", "access", 1)
    (one,) = found["stray"]
    assert (one["host"], one["account"], one["what"]) == ("p1", "deploy", "builder-key")
    assert one["who"] == CHANTAL.name
    shown = made.school(DAAN, "gate", "rules", "OG209")
    assert shown["rules"][0]["norms"] == ["CH06-05"]


def test_likeness_is_scored_and_what_isnt_declared_is_named(
    street: Callable[[str], Street],
) -> None:
    """CH04-03."""
    made = street(CLEAN)
    found = made.probe("T", "representativeness")
    assert 80 <= found["score"] < 100
    assert found["aspects"]["operating-system"] == 100
    assert "workload" in found["not_compared"]
    named = {(d["aspect"], d["item"]): d["declared"] for d in found["differences"]}
    assert named["network", "listens:8080"] == ""
    file = made.school.root / "environments/agenda.yml"
    mark = "  - stage: T\n"
    declared = (
        '    differences: [{aspect: network, item: "listens:*", because: No page yet,'
        " until: 2100-01-01}]\n"
    )
    file.write_text(file.read_text().replace(mark, mark + declared))
    made.accept()
    again = made.probe("T", "representativeness")
    assert again["aspects"]["network"] == 100
    assert {d["declared"] for d in again["differences"] if d["aspect"] == "network"} == {
        "No page yet"
    }


def test_what_changed_since_the_last_fingerprint_is_named(
    street: Callable[[str], Street],
) -> None:
    """CH06-09."""
    made = street(CLEAN)
    made.probe("P", "drift", 4)
    made.probe("P", "fingerprint")
    assert made.probe("P", "drift")["different"] == []
    folder = made.lab.root("p1") / "etc/cron.d"
    folder.mkdir(exist_ok=True)
    (folder / "left-here").write_text("* * * * * root true\n")
    found = made.probe("P", "drift", 1)
    (one,) = found["different"]
    assert (one["host"], one["item"], one["kind"]) == (
        "p1", "management: job:/etc/cron.d/left-here", "added",
    )  # fmt: skip


def test_a_host_that_is_off_proves_nothing(street: Callable[[str], Street]) -> None:
    made = street(CLEAN)
    made.lab.stop("p1")
    found = made.probe("T", "isolation", 1)
    assert found["outcome"] == "unknown"
    assert any(line.startswith("p1 can't be reached") for line in found["unknown"])
