"""Runs that can't begin or go wrong at once, each with a result that says why."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from otapgate.errors import Failed
from otapgate.execution import inventory
from otapgate.execution.pace import Pace, Reached
from otapgate.execution.plan import FINGERPRINT
from otapgate.execution.runner import PlaybookResult, Settings, run_playbooks
from otapgate.landscape.model import Environment, Host


def run(folder: Path, text: str) -> PlaybookResult:
    playbook = folder / "deploy.yml"
    playbook.write_text(text)
    return run_playbooks(settings(folder), [playbook], label="deploy", variables={})


def settings(folder: Path) -> Settings:
    environment = Environment(
        name="demo-A",
        stage="A",
        street="demo",
        owner="Fenna",
        hosts=(Host("web", {"ansible_connection": "local"}),),
    )
    return Settings(environment=environment, run_dir=folder / "run", lock=folder / "lock")


PLAY = "- hosts: all\n  gather_facts: false\n  tasks:\n"
FINE = PLAY + "    - debug: {msg: well}\n"


def test_a_machine_without_ansible_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Failed) as caught:
        run(tmp_path, FINE)
    assert caught.value.code == "ansible-missing"
    assert caught.value.remedy


def test_a_machine_without_the_locale_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inventory, "LOCALE", "xx_XX.UTF-8")
    result = run(tmp_path, FINE)
    assert (result.ok, result.code) == (False, "locale-missing")
    assert "xx_XX.UTF-8" in result.message


def test_a_playbook_for_nobody_is_a_failure(tmp_path: Path) -> None:
    result = run(tmp_path, FINE.replace("hosts: all", "hosts: nowhere"))
    assert (result.ok, result.code) == (False, "no-host-matched")


def test_an_unknown_module_is_told_by_file_and_line(tmp_path: Path) -> None:
    result = run(tmp_path, PLAY + "    - nosuchmodule: {}\n")
    assert (result.ok, result.code) == (False, "playbook-broken")
    assert f"{tmp_path}/deploy.yml:4" in result.message


def test_a_failure_that_was_rescued_or_ignored_is_none(tmp_path: Path) -> None:
    rescued = "    - block: [{fail: {msg: x}}]\n      rescue: [{debug: {msg: y}}]\n"
    ignored = "    - fail: {msg: z}\n      ignore_errors: true\n"
    result = run(tmp_path, PLAY + rescued + ignored)
    assert (result.ok, result.failed_task, result.hosts) == (True, None, {"web": "ok"})


def test_nothing_of_a_run_is_left_but_its_output(tmp_path: Path) -> None:
    result = run(tmp_path, FINE)
    assert result.ok
    files = [path for path in (tmp_path / "run").rglob("*") if path.is_file()]
    assert files == [result.output]
    assert result.output.stat().st_mode & 0o777 == 0o600


SLOW = "    - command: sleep 30\n"
AWAY = "    - {command: 'true', delegate_to: elsewhere, vars: {ansible_connection: local}%s}\n"


@pytest.mark.parametrize(
    ("text", "host", "line"),
    [
        # the play alone tells, before its first task
        (PLAY.replace("all", "localhost"), "localhost", 0),
        (PLAY.replace("all", "all:localhost"), "localhost", 0),
        (PLAY + "    - add_host: {name: elsewhere}\n", "elsewhere", 4),
        (PLAY + "    - action: add_host name=elsewhere\n", "elsewhere", 4),
        (PLAY + "    - {add_host: {name: '{{ item }}'}, loop: [elsewhere]}\n", "elsewhere", 4),
        (PLAY + AWAY % "", "elsewhere", 4),
        (PLAY + AWAY % ", loop: [1]", "elsewhere", 4),
        (PLAY + AWAY.replace("true", "false") % ", ignore_errors: true", "elsewhere", 4),
    ],
)
def test_a_task_outside_the_environment_ends_the_run_at_once(
    tmp_path: Path, text: str, host: str, line: int
) -> None:
    result = run(tmp_path, text + SLOW)
    assert (result.ok, result.code, result.cancelled) == (False, "host-outside", False)
    assert result.hosts == {"web": "failed"}
    assert host in result.message
    assert not line or f"deploy.yml:{line}" in result.message
    assert result.milliseconds < 25_000


def test_no_later_play_gets_to_a_host_that_was_added(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    touch = f"    - command: touch {mark}-{{{{ inventory_hostname }}}}\n"
    added = "    - add_host: {name: elsewhere, ansible_connection: local}\n"
    result = run(tmp_path, PLAY + added + SLOW + PLAY + touch)
    assert (result.ok, result.code) == (False, "host-outside")
    assert not list(tmp_path.glob("mark-*"))


def test_a_run_that_was_over_too_soon_to_stop_isnt_reported_as_well(tmp_path: Path) -> None:
    added = "    - add_host: {name: elsewhere, ansible_connection: local}\n"
    result = run(tmp_path, PLAY + added)
    assert (result.ok, result.code) == (False, "host-outside")


def test_delegating_to_otapgates_own_machine_and_to_the_host_itself_goes_on(
    tmp_path: Path,
) -> None:
    here = "    - {command: id, delegate_to: localhost}\n"
    itself = "    - {command: id, delegate_to: '{{ inventory_hostname }}'}\n"
    looped = "    - {command: id, delegate_to: localhost, loop: [1, 2], run_once: true}\n"
    result = run(tmp_path, PLAY + here + itself + looped)
    assert (result.ok, result.message) == (True, "")


def test_facts_cant_say_how_a_host_is_reached(tmp_path: Path) -> None:
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "lying.py").write_text(
        "#!/usr/bin/python\n"
        "from ansible.module_utils.basic import AnsibleModule\n"
        "names = ('control_path', 'host_key_checking', 'sftp_executable', 'ssh_executable')\n"
        "facts = {'ansible_' + name: 'x' for name in names}\n"
        "AnsibleModule({}).exit_json(ansible_facts=facts)\n"
    )
    checks = "".join(
        f"    - assert: {{that: ansible_{name} | default(none) is none}}\n"
        for name in ("control_path", "host_key_checking", "sftp_executable", "ssh_executable")
    )
    result = run(tmp_path, PLAY + "    - lying:\n" + checks)
    assert (result.ok, result.message) == (True, "")


@pytest.mark.parametrize("refused", [False, True])
def test_ansible_waits_until_what_was_seen_is_recorded(tmp_path: Path, refused: bool) -> None:
    touched = tmp_path / "touched"
    playbook = tmp_path / "deploy.yml"
    playbook.write_text(PLAY + f"    - file: {{path: {touched}, state: touch}}\n")
    begun: list[int] = []

    def record(reached: Reached) -> None:
        begun.append(reached.index)
        if reached.index == 0:
            time.sleep(3)
            assert not touched.exists(), "it didn't wait"
            if refused:
                raise Failed("journal-unwritable", "The disk is full.")

    books = [inventory.GO, playbook]
    if refused:
        with pytest.raises(Failed, match="The disk is full"):
            run_playbooks(settings(tmp_path), books, label="x", variables={}, on_playbook=record)
    else:
        run_playbooks(settings(tmp_path), books, label="x", variables={}, on_playbook=record)
    assert begun == ([0] if refused else [0, 1])
    assert touched.exists() is not refused


def test_ansible_does_not_wait_for_an_otapgate_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The word never comes, as after a kill; only Ansible here is told nothing else."""
    gone = subprocess.Popen(["/bin/true"])
    gone.wait()
    whole = inventory.process_environment
    monkeypatch.setattr(
        inventory, "process_environment",
        lambda *a, **k: {**whole(*a, **k), "OTAPGATE_PID": str(gone.pid)},
    )  # fmt: skip
    monkeypatch.setattr(inventory, "GO_WORD", "never")
    monkeypatch.setattr(Pace, "begun", lambda *_: True)
    began = time.monotonic()
    result = run_playbooks(settings(tmp_path), [inventory.GO], label="x", variables={})
    assert time.monotonic() - began < 60
    assert not result.ok
    assert "otapgate is gone" in result.message


def test_no_variable_says_what_the_fingerprint_looks_at(tmp_path: Path) -> None:
    """Not even the strongest that tasks can set: what is looked at isn't a variable."""
    kept = tmp_path / "kept"
    kept.mkdir()
    other = tmp_path / "before.yml"
    other.write_text(
        "- hosts: all\n  gather_facts: false\n  tasks:\n    - set_fact:\n"
        "        otapgate_fingerprint_spec: {paths: []}\n        spec: {paths: []}\n"
        "        where: elsewhere\n"
    )
    spec = {"paths": ["{{ where }}"], "patience": 0, "expect": {}}
    given = {"otapgate_fingerprint_spec": spec, "where": str(kept)}
    books = [other, FINGERPRINT]
    result = run_playbooks(settings(tmp_path), books, label="x", variables=given)
    assert result.ok, result.message
    assert list(result.fingerprints["web"]["paths"]) == [str(kept)]


def test_nothing_goes_on_where_the_disks_do_not_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "bin" / "sync"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\necho no room >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{broken.parent}:{os.environ['PATH']}")
    playbook = tmp_path / "record.yml"
    playbook.write_text(inventory.GO.read_text().replace("ansible_connection != 'local'", "true"))
    result = run_playbooks(settings(tmp_path), [playbook], label="x", variables={})
    assert not result.ok
    assert "sync: no room" in result.message
