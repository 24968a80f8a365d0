"""Killed and interrupted in the middle of a deployment: nothing lost, on or back."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.execution.conftest import DEPLOY, Stage
from tests.execution.test_rehearsal import TIDY, small

from otapgate.errors import Busy
from otapgate.execution.journal import Journal
from otapgate.execution.lock import EnvironmentLock, holder, lock_path, tether_path
from otapgate.execution.plan import Plan
from otapgate.execution.promotion import Promotion, run_state
from otapgate.execution.rehearsal import rehearse

pytestmark = pytest.mark.slow

DRIVER = Path(__file__).parent / "crash_driver.py"
SLOW = """
    - name: Take long
      ansible.builtin.shell: |
        echo begun >> {{ home }}/../steps
        while [ -e {{ home }}/../hold ]; do sleep 0.1; done
        echo ended >> {{ home }}/../steps
"""


def slow_plan(stage: Stage, **other: Any) -> Plan:
    (stage.folder / "hold").touch()
    return stage.plan(stage.release("2.0", deploy=DEPLOY + SLOW), **other)


def start(stage: Stage, plan: Plan, act: str = "run") -> subprocess.Popen[bytes]:
    path = stage.folder / "plan.pickle"
    assert plan.previous is not None
    bare = msgspec.structs.replace(plan, put=len)
    path.write_bytes(pickle.dumps((bare, plan.manifest.encoded(), plan.previous.encoded())))
    return subprocess.Popen(
        [sys.executable, str(DRIVER), str(path), act],
        stdout=subprocess.PIPE,
        start_new_session=True,
    )


def wait_for(true: Callable[[], object], what: str, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, what
        time.sleep(0.05)


def steps(stage: Stage) -> list[str]:
    path = stage.folder / "steps"
    return path.read_text().split() if path.exists() else []


def killed_in_deployment(stage: Stage, plan: Plan, act: str = "run") -> int:
    """Start, kill -9 while the slow task runs; returns the pid that Ansible had."""
    process = start(stage, plan, act)
    wait_for(lambda: steps(stage) == ["begun"], "the slow task never began")
    ansible = holder(tether_path(plan.root, "demo-A"))["pid"]
    process.kill()
    process.communicate()
    return int(ansible)


def free(plan: Plan) -> bool:
    try:
        with EnvironmentLock(plan.root, "demo-A"):
            return True
    except Busy:
        return False


def test_ansible_ends_with_an_otapgate_that_is_killed(stage: Stage) -> None:
    plan = slow_plan(stage)
    ansible = killed_in_deployment(stage, plan)
    wait_for(lambda: not Path(f"/proc/{ansible}").exists(), "Ansible went on")
    wait_for(lambda: free(plan), "something still holds the environment")
    (stage.folder / "hold").unlink()
    time.sleep(0.5)
    assert steps(stage) == ["begun"]  # the task itself was stopped too
    state = run_state(plan.run_dir)
    assert state is not None
    assert (state.step, state.snapshot_done, state.result) == ("deploy", True, None)


def test_a_killed_promotion_is_resumed_to_the_end(stage: Stage) -> None:
    plan = slow_plan(stage)
    killed_in_deployment(stage, plan)
    (stage.folder / "hold").unlink()
    wait_for(lambda: free(plan), "something still holds the environment")
    result = Promotion(plan).resume()
    assert (result.outcome, result.completeness.outcome) == ("succeeded", "complete")
    assert stage.answer() == "2.0 3"


@pytest.mark.parametrize(("act", "outcome"), [("resume", "succeeded"), ("go_back", "rolled-back")])
def test_killed_in_the_first_line_of_the_journal_it_is_ended_all_the_same(
    stage: Stage, act: str, outcome: str
) -> None:
    plan = stage.plan(stage.release("2.0"))
    plan.run_dir.mkdir(parents=True)
    (plan.run_dir / "journal.jsonl").write_bytes(b'{"at": "2026-01-01T10:00:00Z", "data": {"envi')
    assert getattr(Promotion(plan), act)().outcome == outcome


def test_a_killed_promotion_is_gone_back_from(stage: Stage) -> None:
    plan = slow_plan(stage)
    killed_in_deployment(stage, plan)
    wait_for(lambda: free(plan), "something still holds the environment")
    result = Promotion(plan).go_back()
    assert (result.outcome, result.left) == ("rolled-back", ())
    assert stage.answer() == "1.0 3"
    assert stage.columns() == ["id", "name"]


def test_a_kill_leaves_no_secret_behind_after_the_next_command(stage: Stage) -> None:
    plan = slow_plan(stage, secrets={"db_password": "Hedera-helix-2026"})
    killed_in_deployment(stage, plan)
    wait_for(lambda: free(plan), "something still holds the environment")
    Promotion(plan).go_back()
    files = [path for path in plan.run_dir.rglob("*") if path.is_file()]
    assert files
    assert not any(b"Hedera-helix-2026" in path.read_bytes() for path in files)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_stops_ansible_and_leaves_the_promotion_unfinished(
    stage: Stage, number: signal.Signals
) -> None:
    plan = slow_plan(stage)
    process = start(stage, plan)
    wait_for(lambda: steps(stage) == ["begun"], "the slow task never began")
    ansible = holder(tether_path(plan.root, "demo-A"))["pid"]
    os.kill(process.pid, number)
    output, _errors = process.communicate(timeout=30)
    said = json.loads(output)
    assert (said["outcome"], said["code"]) == ("unfinished", "cancelled")
    assert not Path(f"/proc/{ansible}").exists()
    assert free(plan)
    state = run_state(plan.run_dir)
    assert state is not None
    assert state.result is None
    assert Promotion(plan).go_back().outcome == "rolled-back"
    assert stage.answer() == "1.0 3"


def test_a_second_command_finds_the_environment_busy(stage: Stage) -> None:
    plan = slow_plan(stage)
    process = start(stage, plan)
    try:
        wait_for(lambda: steps(stage) == ["begun"], "the slow task never began")
        with pytest.raises(Busy) as caught, EnvironmentLock(plan.root, "demo-A"):
            pass
        assert caught.value.code == "environment-locked"
        assert f"process {process.pid} (promote demo@2.0)" in caught.value.message
        (stage.folder / "hold").unlink()
        output, _errors = process.communicate(timeout=60)
        assert json.loads(output)["outcome"] == "succeeded"
    finally:
        process.kill()
        process.wait()


def test_an_ansible_that_lives_on_keeps_the_environment_busy(tmp_path: Path) -> None:
    tether = tether_path(tmp_path, "demo-A")
    tether.parent.mkdir(parents=True)
    script = (
        "import fcntl, json, os, sys, time\n"
        "f = open(sys.argv[1], 'w+')\n"
        "fcntl.flock(f, fcntl.LOCK_EX)\n"
        "json.dump({'pid': os.getpid(), 'since': 'noon', 'command': 'ansible-playbook'}, f)\n"
        "f.flush(); print('held', flush=True); time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script, str(tether)], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(Busy, match="ansible-playbook"), EnvironmentLock(tmp_path, "demo-A"):
            pass
    finally:
        process.kill()
        process.communicate()
    with EnvironmentLock(tmp_path, "demo-A"):
        assert holder(lock_path(tmp_path, "demo-A"))["pid"] == os.getpid()


def test_a_killed_rehearsal_is_unfinished_and_gone_back_from(stage: Stage) -> None:
    plan = slow_plan(stage)
    killed_in_deployment(stage, plan, "rehearse")
    wait_for(lambda: free(plan), "something still holds the environment")
    state = run_state(plan.run_dir)
    assert state is not None
    assert (state.kind, state.result) == ("rehearsal", None)
    assert Promotion(plan).go_back().outcome == "rolled-back"
    assert stage.answer() == "1.0 3"


@pytest.mark.parametrize("step", ["rollback", "deploy"])
def test_a_rehearsal_killed_between_two_cases_is_gone_back_from(stage: Stage, step: str) -> None:
    """Going back from the first and deploying the second are one run of Ansible."""
    plan = small(stage, TIDY)
    journal = Journal(plan.run_dir)

    def there() -> bool:
        seen = [(one.step, one.data.get("fault")) for one in journal.records()]
        first = ("deploy", "kill")
        if first not in seen:
            return False
        later = seen[seen.index(first) :]
        return (("rollback", None) if step == "rollback" else ("deploy", "fail")) in later

    process = start(stage, plan, "rehearse:sample:1")
    wait_for(there, "it never came so far", 300)
    ansible = holder(tether_path(plan.root, "demo-A"))["pid"]
    process.kill()
    process.communicate()
    wait_for(lambda: not Path(f"/proc/{ansible}").exists(), "Ansible went on")
    wait_for(lambda: free(plan), "something still holds the environment")
    state = run_state(plan.run_dir)
    assert state is not None
    assert (state.kind, state.step, state.result) == ("rehearsal", step, None)
    assert Promotion(plan).resume().outcome == "rolled-back"
    assert stage.answer() == "1.0 3"
    assert not (stage.home / "moving").exists()


def test_a_killed_rollback_is_gone_on_with(stage: Stage) -> None:
    # killed after rollback began: resuming must not deploy again
    plan = stage.plan(stage.release("2.0"))
    promotion = Promotion(plan)
    assert promotion.run().outcome == "succeeded"
    promotion.journal.append("rollback", "begun")
    result = Promotion(plan).resume()
    assert (result.outcome, result.left) == ("rolled-back", ())
    assert stage.answer() == "1.0 3"


@pytest.mark.parametrize("act", ["run", "go_back", "rehearse"])
def test_a_disk_that_fails_leaves_a_run_that_is_unfinished(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, act: str
) -> None:
    plan = stage.plan(stage.release("2.0"))
    if act == "go_back":
        assert Promotion(plan).run().outcome == "succeeded"

    def full(*_: object, **_more: object) -> str:
        raise OSError(28, "No space left on device", str(plan.run_dir / "output"))

    with monkeypatch.context() as patch:
        patch.setattr("otapgate.execution.runner._output_path", full)
        result = rehearse(plan) if act == "rehearse" else getattr(Promotion(plan), act)()
    assert (result.outcome, result.code) == ("unfinished", "run-unwritable")
    assert "No space left on device" in result.message
    assert Promotion(plan).go_back().outcome == "rolled-back"
    assert stage.answer() == "1.0 3"


def test_nothing_is_deployed_before_the_snapshot_is_on_disk(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = stage.plan(stage.release("2.0"))
    kept: list[str] = []

    def failing(journal: Journal) -> None:
        kept.extend(path.name for path in (plan.run_dir / "snapshot").rglob("*"))
        assert journal.last("snapshot", "done") is None
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "sync", failing)
        result = Promotion(plan).run()
    assert (result.outcome, result.code) == ("unfinished", "run-unwritable")
    assert kept, "it was asked for before there was a snapshot"
    state = run_state(plan.run_dir)
    assert state is not None
    assert (state.snapshot_done, state.deploy_begun) == (False, False)
    assert stage.answer() == "1.0 3"
    assert Promotion(plan).resume().outcome == "succeeded"


def test_what_was_written_is_durable_after_sync_and_a_missing_folder_is_told(
    tmp_path: Path,
) -> None:
    Journal(tmp_path).sync()
    with pytest.raises(FileNotFoundError):
        Journal(tmp_path / "gone").sync()
