"""Promotions through a worker that is a process of its own on this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from ansible_runner.streaming import Transmitter
from tests.execution.conftest import DEPLOY, SNAPSHOT, Stage
from tests.execution.test_crash import SLOW, free, start, steps, wait_for

from otapgate import errors
from otapgate.execution import far, lock, talk
from otapgate.execution.plan import Plan
from otapgate.execution.promotion import Promotion, run_state
from otapgate.execution.rehearsal import rehearse
from otapgate.execution.testing import playbook_runner
from otapgate.landscape.model import Environment, Receptor, Worker

pytestmark = pytest.mark.slow


def command(stage: Stage, *before: str) -> tuple[str, ...]:
    """A worker that keeps what is its own below the stage's folder."""
    state = f"XDG_STATE_HOME={stage.folder / 'there'}"
    return ("/usr/bin/env", state, *before, sys.executable, "-m", "otapgate", "worker")


@pytest.fixture
def far_stage(stage: Stage) -> Stage:
    """The application, reached through a worker; its snapshots make their own folder, as
    on every host that isn't otapgate's machine."""
    usual = stage.release
    folder = "      ansible.builtin.file: {path: '{{ otapgate_snapshot }}', state: directory}\n"
    snapshot = SNAPSHOT.replace("  tasks:\n", f"  tasks:\n    - name: Folder\n{folder}")
    stage.release = lambda version, **more: usual(version, snapshot=snapshot, **more)  # type: ignore[method-assign]
    variables = {**stage.environment.variables, "otapgate_snapshot_root": f"{stage.folder}/kept"}
    stage.environment = msgspec.structs.replace(
        stage.environment, worker=Worker(command(stage)), variables=variables
    )
    return stage


def base(stage: Stage) -> Path:
    return stage.folder / "there" / "otapgate" / "worker"


def left(stage: Stage) -> list[Path]:
    """What of jobs is still at the worker's."""
    return list((base(stage) / "jobs").rglob("*"))


def worker_pid(stage: Stage) -> int:
    return int(lock.holder(lock.lock_path(base(stage), "demo-A"))["pid"])


def ansible_pid(stage: Stage) -> int:
    return int(lock.holder(lock.tether_path(base(stage), "demo-A"))["pid"])


def free_there(stage: Stage) -> bool:
    return lock.busy(base(stage), "demo-A") is None


def slow_plan(stage: Stage, **other: object) -> Plan:
    (stage.folder / "hold").touch()
    return stage.plan(stage.release("2.0", deploy=DEPLOY + SLOW), **other)


def test_a_promotion_runs_through_the_worker_and_is_gone_back_from(far_stage: Stage) -> None:
    told: list[str] = []
    plan = far_stage.plan(
        far_stage.release("2.0"),
        on_progress=lambda step: told.append(step.name),
        secrets={"db_password": "Hedera-helix-2026"},
    )
    result = Promotion(plan).run()
    assert (result.outcome, result.completeness.outcome) == ("succeeded", "complete"), result
    assert result.hosts == {"web": "ok"}
    assert far_stage.answer() == "2.0 3"
    assert "Look at what is there" in told
    assert not left(far_stage)
    # the steps were of the worker, and are told as if they had been here
    output = b"".join(path.read_bytes() for path in (plan.run_dir / "output").iterdir())
    assert b"Hedera-helix-2026" not in output
    assert f"{base(far_stage)}/jobs/demo-A/0/".encode() not in output
    assert (far_stage.folder / "kept").is_dir()
    result = Promotion(plan).go_back()
    assert (result.outcome, result.left) == ("rolled-back", ())
    assert far_stage.answer() == "1.0 3"


def test_a_deployment_that_fails_is_gone_back_from_by_itself(far_stage: Stage) -> None:
    deploy = DEPLOY + "\n    - name: Break\n      ansible.builtin.command: 'false'\n"
    plan = far_stage.plan(far_stage.release("2.0", deploy=deploy))
    result = Promotion(plan).run()
    assert (result.outcome, result.code, result.left) == ("rolled-back", "playbook-failed", ())
    assert result.failed_task is not None
    assert result.failed_task.name == "Break"
    assert result.failed_task.where.startswith(f"{plan.release_tree}/playbooks/deploy.yml:")
    assert far_stage.answer() == "1.0 3"


def test_a_rehearsal_is_cut_short_at_the_worker(far_stage: Stage) -> None:
    result = rehearse(far_stage.plan(far_stage.release("2.0")), "sample:1")
    assert (result.outcome, [case.fault for case in result.cases]) == (
        "restored",
        ["none", "kill", "fail", "unreachable"],
    ), result
    assert far_stage.answer() == "1.0 3"


def test_what_is_seen_is_durable_before_the_deployment_is_sent(
    far_stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    from otapgate.execution.journal import Journal

    def failing(_journal: Journal) -> None:
        raise OSError(5, "Input/output error")

    plan = far_stage.plan(far_stage.release("2.0"))
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "sync", failing)
        assert Promotion(plan).run().outcome == "unfinished"
    state = run_state(plan.run_dir)
    assert state is not None
    assert not state.deploy_begun
    assert far_stage.answer() == "1.0 3"
    assert Promotion(plan).resume().outcome == "succeeded"


def killed(stage: Stage, plan: Plan, whom: Callable[[subprocess.Popen[bytes]], int]) -> int:
    """Kill -9 of one of the processes while the deployment runs; the pid of Ansible."""
    process = start(stage, plan)
    wait_for(lambda: steps(stage) == ["begun"], "the slow task never began", 120)
    ansible = ansible_pid(stage)
    os.kill(whom(process), signal.SIGKILL)
    process.wait(120)
    return ansible


@pytest.mark.parametrize("who", ["otapgate", "worker"])
def test_killed_in_the_middle_ansible_ends_and_the_promotion_is_unfinished(
    far_stage: Stage, who: str
) -> None:
    plan = slow_plan(far_stage, secrets={"db_password": "Hedera-helix-2026"})
    ansible = killed(
        far_stage, plan, lambda mine: mine.pid if who == "otapgate" else worker_pid(far_stage)
    )
    wait_for(lambda: not Path(f"/proc/{ansible}").exists(), "Ansible went on")
    wait_for(lambda: free_there(far_stage) and free(plan), "something still holds it")
    (far_stage.folder / "hold").unlink()
    time.sleep(0.5)
    assert steps(far_stage) == ["begun"]  # the task itself was stopped too
    state = run_state(plan.run_dir)
    assert state is not None
    assert (state.step, state.result) == ("deploy", None)
    if who == "worker":
        assert left(far_stage)
    result = Promotion(plan).go_back() if who == "worker" else Promotion(plan).resume()
    assert result.outcome == ("rolled-back" if who == "worker" else "succeeded"), result
    assert not left(far_stage)


def test_ctrl_c_stops_ansible_at_the_worker(far_stage: Stage) -> None:
    plan = slow_plan(far_stage)
    process = start(far_stage, plan)
    wait_for(lambda: steps(far_stage) == ["begun"], "the slow task never began", 120)
    ansible = ansible_pid(far_stage)
    process.send_signal(signal.SIGINT)
    output, _errors = process.communicate(timeout=60)
    assert msgspec.json.decode(output)["code"] == "cancelled"
    assert not Path(f"/proc/{ansible}").exists()
    assert free_there(far_stage)
    assert Promotion(plan).go_back().outcome == "rolled-back"


def test_nothing_else_begins_there_while_ansible_works(far_stage: Stage) -> None:
    plan = slow_plan(far_stage)
    process = start(far_stage, plan)
    try:
        wait_for(lambda: steps(far_stage) == ["begun"], "the slow task never began", 120)
        with pytest.raises(errors.Busy) as caught:
            far.require(far_stage.environment)
        assert caught.value.code == "environment-locked"
        # another machine's otapgate doesn't see this one's locks
        other = far_stage.plan(far_stage.release("3.0"), name="PRO-2")
        other = msgspec.structs.replace(other, root=far_stage.folder / "elsewhere")
        result = Promotion(other).run()
        assert (result.outcome, result.code) == ("unfinished", "environment-locked")
        state = run_state(other.run_dir)
        assert state is not None
        assert not state.snapshot_done
        (far_stage.folder / "hold").unlink()
        output, _errors = process.communicate(timeout=120)
        assert msgspec.json.decode(output)["outcome"] == "succeeded"
    finally:
        process.kill()
        process.wait()


def test_a_playbook_of_a_test_runs_through_the_worker(far_stage: Stage, tmp_path: Path) -> None:
    folder = tmp_path / "plan"
    folder.mkdir()
    play = "- hosts: all\n  gather_facts: false\n  tasks:\n    - command: cat %s\n"
    playbook = folder / "check.yml"
    playbook.write_text(play % "{{ playbook_dir }}/beside.txt")
    (folder / "beside.txt").write_text("it came along")
    run = playbook_runner(tmp_path, far_stage.environment, tmp_path / "run")
    outcome = run(playbook, lambda: False)
    assert (outcome.ok, outcome.message) == (True, "")
    playbook.write_text(play % "/nowhere")
    assert not run(playbook, lambda: False).ok


def reached(stage: Stage, *words: str) -> Environment:
    return msgspec.structs.replace(stage.environment, worker=Worker(words))


NOISE = "print('Welcome!', flush=True)"
FILES = (
    "import sys, io, zipfile, base64; b = io.BytesIO();"
    "z = zipfile.ZipFile(b, 'w'); z.writestr('evil', 'x'); z.close();"
    "print('{\"zipfile\": %d}' % len(b.getvalue())); print(base64.b64encode(b.getvalue()).decode())"
)
WRONG = "print('{\"status\": [], \"otapgate\": 3}'); print('[1, 2]')"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("no-such-command",), "worker-missing", "no-such-command"),
        (("/bin/false",), "worker-unreachable", "demo-A"),
        (("/bin/sh", "-c", "echo 'Permission denied.' >&2; exit 255"), "worker-unreachable",
         "Permission denied."),
        ((sys.executable, "-c", NOISE), "worker-lost", "Welcome"),
        ((sys.executable, "-c", FILES), "worker-lost", "files came"),
        ((sys.executable, "-c", WRONG), "worker-lost", "demo-A"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_worker_is_said(
    stage: Stage, words: tuple[str, ...], code: str, said: str
) -> None:
    with pytest.raises(errors.Failed) as caught:
        far.require(reached(stage, *words))
    assert caught.value.code == code
    assert said in caught.value.message


def test_a_worker_of_another_version_is_refused_before_anything_is_done(stage: Stage) -> None:
    other = (
        "import otapgate.execution.worker as w, importlib.metadata as m;"
        "w.__version__ = '0.0.1'; w.main()"
    )
    stage.environment = reached(stage, *command(stage)[:2], sys.executable, "-c", other)
    with pytest.raises(errors.Failed) as caught:
        far.require(stage.environment)
    assert caught.value.code == "worker-differs"
    assert "otapgate 0.0.1" in caught.value.message
    assert "pip install otapgate==" in str(caught.value.remedy)
    result = Promotion(stage.plan(stage.release("2.0"))).run()
    assert (result.outcome, result.code) == ("unfinished", "worker-differs")
    assert stage.answer() == "1.0 3"
    assert not left(stage)


def job_for(stage: Stage, file: Path, *playbooks: str, attached: bool) -> None:
    """A job in a file, as it is sent."""
    environment = stage.environment
    if not attached:
        environment = msgspec.structs.replace(
            environment, worker=Worker(receptor=Receptor("/run/none.sock", "school"))
        )
    job = far._job(environment, playbooks=playbooks)
    assert job.attached == attached
    with file.open("wb") as stream:
        Transmitter(
            stream, private_data_dir="", only_transmit_kwargs=True,
            otapgate=msgspec.to_builtins(job),
        ).run()  # fmt: skip


def answers(stage: Stage, file: Path) -> dict[str, Any]:
    """What a worker says that is given the file, and nothing after it."""
    with file.open("rb") as stream:
        done = subprocess.run(command(stage), stdin=stream, capture_output=True, check=True)
    *lines, last = [msgspec.json.decode(line) for line in done.stdout.splitlines()]
    assert last == {"eof": True}
    found: dict[str, Any] = lines[-1]["otapgate"]
    return found


def test_a_job_by_receptor_needs_nothing_after_it_was_sent(
    far_stage: Stage, tmp_path: Path
) -> None:
    job_for(far_stage, tmp_path / "job", "go", attached=False)
    assert answers(far_stage, tmp_path / "job")["ok"] is True
    # while one that stays attached takes the end of its input for an end to its work, of
    # which there must be enough: it looks about once a second
    job_for(far_stage, tmp_path / "job", *["go"] * 200, attached=True)
    said = answers(far_stage, tmp_path / "job")
    assert (said["ok"], said["stopped"]) == (False, True)
    with lock.EnvironmentLock(base(far_stage), "demo-A", "somebody else's"):
        said = answers(far_stage, tmp_path / "job")
    assert said["error"]["code"] == "environment-locked"
    assert "somebody else's" in said["error"]["message"]


def test_the_command_for_receptor_is_the_one_of_its_manual() -> None:
    worker = Worker(receptor=Receptor("/run/receptor/x.sock", "school", "otapgate"))
    assert " ".join(talk.command(worker)) == (
        "receptorctl --socket /run/receptor/x.sock work submit --node school"
        " --payload - --follow --rm otapgate"
    )
