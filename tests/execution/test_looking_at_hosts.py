"""What steps of a test plan see of hosts: through Ansible, with its real programs."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import yaml

from otapgate.execution.testing import host_access, playbook_runner
from otapgate.landscape.model import Environment, Host
from otapgate.release.manifest import Manifest, State
from otapgate.release.store import Store
from otapgate.testing.plan import bundle
from otapgate.testing.run import Hands, RunResult, run


@pytest.fixture
def environment() -> Environment:
    hosts = tuple(Host(name, {"ansible_connection": "local", "own": name}) for name in ("t1", "t2"))
    return Environment(
        "agenda-T", "T", "agenda", "Noor", hosts, variables={"greeting": "hello"},
        digest="sha256:" + "e" * 64,
    )  # fmt: skip


def carried(tmp_path: Path, environment: Environment, step: dict[str, object], **plan: object
            ) -> tuple[RunResult, dict[str, object]]:  # fmt: skip
    manifest = Manifest(
        app="agenda", version="1", street="agenda", plans=("agenda",), state=State(),
        variables={"user": "noor", "greeting": "weaker than the environment's"},
        installs=(), files=(),
    )  # fmt: skip
    folder = tmp_path / "plans"
    folder.mkdir(exist_ok=True)
    content = {
        "plan": "agenda", "app": "agenda",
        "criteria": [{"id": "r", "kind": "function", "text": "x"}],
        "cases": [{"id": "c", "criterion": "r", "steps": [step], **plan}],
    }  # fmt: skip
    (folder / "agenda.yml").write_text(yaml.safe_dump(content))
    store = Store(tmp_path / "store")
    secrets = {"word": "Geheim-123"}
    work = tmp_path / "work"
    work.mkdir(exist_ok=True)
    folder = tmp_path / "run"
    result = run(
        bundle(tmp_path / "plans/agenda.yml", tmp_path, store),
        manifest=manifest, environment=environment, workdir=work, store=store,
        hands=Hands(
            ansible=playbook_runner(tmp_path, environment, folder, secrets, manifest.variables),
            hosts=host_access(environment, folder, secrets, manifest.variables),
        ),
        secrets=["Geheim-123"],
    )  # fmt: skip
    kept = json.loads(store.get(result.evidence))["cases"][0]["steps"][0]
    assert not list(folder.glob("ansible/*")), "inventories hold secrets, so they are removed"
    return result, kept


TESTS = """
def test_every_host(host):
    assert host.backend.get_hostname() in ('t1', 't2')
    assert host.check_output('echo seen') == 'seen'
    variables = host.ansible.get_variables()
    assert variables['greeting'] == 'hello' and variables['own'] == variables['inventory_hostname']
    assert variables['word'] == 'Geheim-123' and variables['user'] == 'noor'
"""


@pytest.mark.slow
def test_testinfra_looks_at_every_host_by_the_settings_of_playbooks(
    tmp_path: Path, environment: Environment
) -> None:
    (tmp_path / "plans").mkdir()
    (tmp_path / "plans/test_hosts.py").write_text(TESTS)
    step = {"pytest": {"path": "test_hosts.py", "testinfra": True}}
    result, kept = carried(tmp_path, environment, step)
    assert result.outcome == "passed", kept
    assert kept["detail"]["tests"] == 2, "once for each host"


@pytest.mark.slow
def test_a_host_that_is_not_as_it_should_be_is_named(
    tmp_path: Path, environment: Environment
) -> None:
    (tmp_path / "plans").mkdir()
    (tmp_path / "plans/test_hosts.py").write_text(
        "def test_mode(host): assert host.check_output('echo 1') == '2'\n"
    )
    step = {"pytest": {"path": "test_hosts.py", "testinfra": True}}
    result, _kept = carried(tmp_path, environment, step)
    assert result.outcome == "failed"
    assert "2 of 2 tests failed" in result.messages["c"]
    assert "t1" in result.messages["c"]


@pytest.mark.slow
def test_modes_of_files_are_as_declared_on_every_host(
    tmp_path: Path, environment: Environment
) -> None:
    good, bad = tmp_path / "good.ini", tmp_path / "bad.ini"
    good.touch(mode=0o640)
    good.chmod(0o640)
    bad.touch()
    bad.chmod(0o666)
    result, _kept = carried(tmp_path, environment, {"security": {"files": {str(good): "0640"}}})
    assert result.outcome == "passed", result.messages
    files = {str(good): "0640", str(bad): "0600", "/absent/file": "0600"}
    result, kept = carried(tmp_path, environment, {"security": {"files": files}})
    assert sorted(kept["findings"]) == sorted(
        line
        for host in ("t1", "t2")
        for line in (
            f"{host}: {bad} has mode 0666, and 0600 was declared",
            f"{host}: /absent/file is not there",
        )
    )


@pytest.mark.slow
def test_a_playbook_is_stopped_with_its_case(tmp_path: Path, environment: Environment) -> None:
    (tmp_path / "plans").mkdir()
    (tmp_path / "plans/slow.yml").write_text(
        "- hosts: all\n  gather_facts: false\n  tasks:\n  - ansible.builtin.command: sleep 120\n"
    )
    begin = time.monotonic()
    result, _kept = carried(tmp_path, environment, {"playbook": "slow.yml"}, timeout_seconds=4)
    assert time.monotonic() - begin < 40
    assert "the case's time of 4 s was over" in result.messages["c"]


SEEN = """
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.assert:
        that: [user == 'noor', greeting == 'hello', word == 'Geheim-123']
"""


@pytest.mark.slow
def test_a_plans_playbook_has_the_releases_variables_and_the_environments_before_them(
    tmp_path: Path, environment: Environment
) -> None:
    (tmp_path / "plans").mkdir()
    (tmp_path / "plans/seen.yml").write_text(SEEN)
    result, _kept = carried(tmp_path, environment, {"playbook": "seen.yml"})
    assert result.outcome == "passed", result.messages
