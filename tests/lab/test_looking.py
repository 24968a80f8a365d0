"""Tests with testinfra look at hosts over SSH: as the environment says, and by pinned keys."""

from __future__ import annotations

import json
import os
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from otapgate.landscape.model import Environment, Host

from .labs import Lab

pytestmark = pytest.mark.slow

LAB = """\
hosts:
  t1:
    stage: T
    accounts: {deploy: {sudo: true}, clerk: {password: true, key: false}}
    files: {/etc/sudoers.d/clerk: "clerk ALL=(ALL:ALL) ALL\\n"}
  t2: {stage: T}
"""
PLAN = """\
plan: agenda
app: agenda
criteria: [{id: r, kind: function, text: The hosts are as they should be.}]
cases:
  - {id: looks, criterion: r, steps: [{pytest: {path: test_hosts.py, testinfra: true}}]}
"""
TESTS = """\
def test_every_host(host):
    assert host.check_output('hostname') == host.backend.get_hostname()
    shadow = host.file('/etc/shadow')
    assert shadow.user == 'root' and shadow.contains('^root:'), 'only root may read it'
"""


@pytest.fixture
def lab(make_lab: Callable[..., Lab]) -> Lab:
    return make_lab(LAB)


def look(
    lab: Lab, folder: Path, hosts: dict[str, dict[str, Any]], secrets: dict[str, str]
) -> dict[str, Any]:
    """Carry out the plan on those hosts."""
    environment = Environment(
        name="agenda-T", stage="T", street="agenda", owner="Noor",
        hosts=tuple(Host(name, variables) for name, variables in hosts.items()),
        variables={"ansible_become": True}, secrets=tuple(secrets),
        host_keys={name: (" ".join(pinned(folder, lab)[name].split()[:2]),) for name in hosts},
        digest="sha256:" + "e" * 64,
    )  # fmt: skip
    (folder / "plans").mkdir(exist_ok=True)
    (folder / "plans/agenda.yml").write_text(PLAN)
    (folder / "plans/test_hosts.py").write_text(TESTS)
    (folder / "environment").write_bytes(pickle.dumps(environment))
    done = lab.exec(
        [sys.executable, "-m", "tests.lab.looking_driver", folder, folder / "environment",
         json.dumps(secrets)],
        timeout=400, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def pinned(folder: Path, lab: Lab) -> dict[str, str]:
    """The hosts' keys as they were the first time."""
    file = folder / "keys.json"
    if not file.exists():
        file.write_text(json.dumps({name: x["host_key"] for name, x in lab.hosts.items()}))
    found: dict[str, str] = json.loads(file.read_text())
    return found


def test_every_host_is_looked_at_as_root_and_another_key_is_not_believed(
    lab: Lab, tmp_path: Path
) -> None:
    hosts = {name: dict(lab.connection(name)) for name in ("t1", "t2")}
    found = look(lab, tmp_path, hosts, {})
    assert found["outcome"] == "passed", found
    assert '"tests":2' in found["kept"]
    lab.change_host_key("t2")
    before = (lab.root("t2") / "var/log/sshd.log").read_text().count("Accepted")
    found = look(lab, tmp_path, hosts, {})
    assert found["outcome"] == "failed"
    assert "1 of 2 tests failed" in found["messages"]["looks"]
    assert "t2" in found["messages"]["looks"]
    assert "ost key verification failed" in found["kept"]
    assert (lab.root("t2") / "var/log/sshd.log").read_text().count("Accepted") == before


def test_a_password_logs_in_and_becomes_root(lab: Lab, tmp_path: Path) -> None:
    secret = lab.password("t1", "clerk")
    found = look(
        lab, tmp_path,
        {"t1": {"ansible_host": lab.hosts["t1"]["address"], "ansible_user": "clerk",
                "ansible_python_interpreter": "/usr/bin/python3"}},
        {"ansible_password": secret, "ansible_become_password": secret},
    )  # fmt: skip
    assert found["outcome"] == "passed", found
    assert secret not in json.dumps(found)
