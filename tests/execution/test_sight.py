"""Hosts on which no Python runs: Windows, and network equipment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from otapgate.execution.plan import FINGERPRINT, Plan
from otapgate.execution.runner import run_playbooks
from otapgate.execution.sight import problems, unseen
from otapgate.landscape.model import Environment, Host
from otapgate.release.manifest import Manifest, State

WINDOWS = {"ansible_connection": "winrm"}


def environment(**hosts: dict[str, Any]) -> Environment:
    return Environment(
        name="demo-A", stage="A", street="demo", owner="Fenna",
        hosts=tuple(Host(name, known) for name, known in hosts.items()),
        digest="sha256:" + "0" * 64,
    )  # fmt: skip


def release(**more: Any) -> Manifest:
    given = {"app": "demo", "version": "2.0", "street": "demo", "plans": (), "variables": {},
             "state": State(), "installs": (), "files": ()}  # fmt: skip
    return Manifest(**{**given, **more})


@pytest.mark.parametrize(
    ("connection", "seen"),
    [("ssh", True), ("local", True), ("containers.podman.podman", True), ("winrm", False),
     ("ansible.builtin.psrp", False), ("ansible.netcommon.network_cli", False),
     ("ansible.netcommon.netconf", False), ("of.tomorrow.something", False)],
)  # fmt: skip
def test_only_what_is_known_to_run_python_there_is_looked_at(connection: str, seen: bool) -> None:
    found = unseen(environment(one={"ansible_connection": connection}))
    assert found == ({} if seen else {"one": connection})


def test_state_that_cant_be_looked_at_is_refused_with_what_to_do() -> None:
    there = environment(web={}, win=WINDOWS)
    found = problems(there, release(state=State(paths=("C:\\app",))), compares=False)
    assert [one.where for one in found] == ["release.yml", "playbooks/compare.yml"]
    assert all("win is reached by winrm" in one.message for one in found)
    assert "(paths)" in found[0].message
    assert all(one.remedy for one in found)
    assert not problems(there, release(), compares=True)
    assert not problems(environment(web={}), release(state=State(paths=("/a",))), compares=False)


def test_nothing_of_otapgates_own_machine_is_taken_for_a_host_that_isnt_seen(
    tmp_path: Path,
) -> None:
    """The winrm connection is Ansible's own; nothing of it is used for a look at nothing."""
    plan = Plan(
        promotion_id="PRO-1", manifest=release(state=State(paths=("/etc/hostname",))),
        release_tree=tmp_path / "release",
        environment=environment(here={"ansible_connection": "local"}, win=WINDOWS),
        run_dir=tmp_path / "run", root=tmp_path, put=len,
    )  # fmt: skip
    result = run_playbooks(
        plan.settings(),
        [FINGERPRINT],
        label="look",
        variables=plan.variables(),
        host_variables=plan.host_variables({}),
    )
    assert result.ok, result.message
    assert result.fingerprints["win"] == {"unseen": "winrm"}
    assert "/etc/hostname" in result.fingerprints["here"]["paths"]
    bare = msgspec.structs.replace(plan.environment, hosts=plan.environment.hosts[:1])
    assert unseen(bare) == {}
