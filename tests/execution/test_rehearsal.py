"""Rollback rehearsals on the little application."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.execution.conftest import DEPLOY, ROLLBACK, Stage

from otapgate.errors import Usage
from otapgate.execution.cuts import Forecast
from otapgate.execution.faults import Fault, chosen
from otapgate.execution.plan import Plan
from otapgate.execution.promotion import run_state
from otapgate.execution.rehearsal import rehearse

pytestmark = pytest.mark.slow


def test_a_rehearsal_deploys_and_comes_back(stage: Stage) -> None:
    plan = stage.plan(stage.release("2.0"), name="REH-1")
    result = rehearse(plan)
    assert (result.outcome, result.code) == ("restored", "")
    assert [(case.fault, case.restored, case.left) for case in result.cases] == [("none", True, ())]
    assert 0 < result.milliseconds_rollback < result.milliseconds
    assert stage.answer() == "1.0 3"
    assert stage.columns() == ["id", "name"]
    assert result.evidence in stage.store
    names = {path.name for path in (plan.run_dir / "output").iterdir()}
    assert {"01-promotion.txt", "02-rollback.txt", "03-verify-previous.txt"} == names
    state = run_state(plan.run_dir)
    assert state is not None
    assert state.result is not None


def test_a_rehearsal_that_leaves_rows_behind_is_not_restored(stage: Stage) -> None:
    forgetful = ROLLBACK.replace("cp -a {{ otapgate_snapshot }}/data.sqlite", "true")
    result = rehearse(stage.plan(stage.release("2.0", rollback=forgetful)))
    assert (result.outcome, result.code) == ("not-restored", "not-restored")
    assert "web: column class of table pupil: was added" in result.cases[0].left
    assert not result.clean


def test_a_deployment_that_fails_proves_nothing_even_when_it_comes_back(stage: Stage) -> None:
    broken = DEPLOY + "    - name: Break\n      ansible.builtin.fail: {msg: no more}\n"
    result = rehearse(stage.plan(stage.release("2.0", deploy=broken)))
    assert (result.outcome, result.clean) == ("not-restored", True)
    assert len(result.cases[0].left) == 1
    assert result.cases[0].left[0].startswith("deployment: Break")
    assert stage.answer() == "1.0 3"


THREE = """
- name: Deploy
  hosts: all
  gather_facts: false
  tasks:
    - name: Copy the application
      ansible.builtin.copy:
        src: "{{ otapgate_artifacts }}/artifacts/app/"
        dest: "{{ home }}/app/"
        mode: preserve
    - name: Note that it is being moved
      ansible.builtin.copy: {content: moving, dest: "{{ home }}/moving"}
    - name: It is moved
      ansible.builtin.file: {path: "{{ home }}/moving", state: absent}
  handlers: []
"""
LOOK = """
- name: Verify
  hosts: all
  gather_facts: false
  tasks:
    - name: Look at the version
      ansible.builtin.command: grep -q {{ otapgate_release.version }} {{ home }}/app/version
"""
BACK = """
- name: Roll back
  hosts: all
  gather_facts: false
  tasks:
    - name: Put the application back
      ansible.builtin.shell: |
        set -e
        rm -rf {{ home }}/app
        cp -a {{ otapgate_snapshot }}/app {{ home }}/app
"""
TIDY = BACK + "        rm -f {{ home }}/moving\n"


def small(stage: Stage, rollback: str, deploy: str = THREE) -> Plan:
    return stage.plan(stage.release("2.0", deploy=deploy, verify=LOOK, rollback=rollback))


def test_a_good_rollback_comes_back_from_every_cut(stage: Stage) -> None:
    told: list[str] = []
    # what going back sets isn't there for the deployment, which in production runs alone
    back = TIDY + "    - name: Remember\n      set_fact: {gone_back: true}\n"
    deploy = THREE.replace(
        "    - name: Copy the application\n",
        "    - name: Copy the application\n      failed_when: gone_back is defined\n",
    )
    plan = msgspec.structs.replace(
        small(stage, back, deploy), on_progress=lambda event: told.append(event.name)
    )
    result = rehearse(plan, faults="all")
    assert (result.outcome, result.clean) == ("restored", True)
    first, *cuts = result.cases
    assert (first.fault, first.index) == ("none", 0)
    names = ["Copy the application", "Note that it is being moved", "It is moved"]
    assert [(case.index, case.task, case.fault) for case in cuts] == [
        (index, name, kind)
        for index, name in enumerate(names, 1)
        for kind in ("kill", "fail", "unreachable")
    ]
    assert all(case.restored for case in cuts)
    assert any(line.startswith("9 cases to cut short") for line in told)
    assert "9/9: 3 It is moved, unreachable: restored" in told
    assert any(re.match("4/9, about \\d+ min left: 2 Note that", line) for line in told)
    # each cut was where it says it was: what ran before the task is done, and no more
    # (before it, in the same run, the one before was gone back from)
    outputs = {
        path.name.split("-", 1)[1]: path.read_text().rpartition("PLAY [Deploy]")[2]
        for path in (plan.run_dir / "output").iterdir()
    }
    assert len(outputs) == 12, "one run a case, and of two rollbacks the last"
    for kind in ("kill", "fail", "unreachable"):
        text = outputs[f"{kind}-002.txt"]
        assert "changed: [web]" in text.partition("Note that it is being moved")[0]
        assert "It is moved" not in text
    assert "rehearsed: this task fails" in outputs["fail-002.txt"]
    assert "UNREACHABLE" in outputs["unreachable-002.txt"]
    assert "PLAY RECAP" not in outputs["kill-002.txt"]


def test_a_deployment_that_ends_before_the_cut_shows_nothing(stage: Stage) -> None:
    once = THREE.replace(
        "    - name: It is moved\n",
        "    - name: Works once\n      command: mkdir {{ home }}/../once\n"
        "    - name: It is moved\n",
    )
    result = rehearse(small(stage, TIDY, once), faults="sample:1")
    assert [case.left for case in result.cases[1:]] == [
        ("the deployment wasn't cut short here",),
        *[("not tried: the state before couldn't be brought back",)] * 2,
    ]


def test_how_long_it_takes_is_told_by_what_was_done(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("otapgate.execution.cuts.time.monotonic", lambda: now)
    todo = [Fault(Path("deploy.yml"), index, "kill") for index in (1, 2, 3)]
    forecast = Forecast(todo, tasks=3, forward=180_000, back=59_000)
    assert forecast.minutes() == 6, "a minute each, and the tasks before the cut: 0, 1 and 2"
    now = 242.0  # twice as long as was thought, and the second is deployed by then
    assert forecast.one_done() == "1/3, about 8 min left"
    now = 602.0
    assert forecast.one_done() == "2/3, about 2 min left"
    assert forecast.one_done() == "3/3"


def test_a_rollback_that_fails_when_cut_at_one_task_is_found(stage: Stage) -> None:
    result = rehearse(small(stage, BACK), faults="all")
    assert (result.outcome, result.code) == ("not-restored", "not-restored")
    assert result.clean, "between the cases it was brought back by a whole deployment"
    bad = [case for case in result.cases if not case.restored]
    assert [(case.fault, case.index) for case in bad] == [
        ("kill", 3), ("fail", 3), ("unreachable", 3)
    ]  # fmt: skip
    assert {case.left for case in bad} == {(f"web: path {stage.home}/moving: file was added",)}
    assert "Cut short 9 times, 3 times" in result.message
    assert stage.answer() == "1.0 3"


def test_what_the_release_does_about_a_failure_is_done(stage: Stage) -> None:
    careful = THREE.replace(
        "  handlers: []\n",
        "    - block:\n"
        "        - name: Last\n"
        "          ansible.builtin.command: 'true'\n"
        "      rescue:\n"
        "        - name: Complain\n"
        "          ansible.builtin.copy: {content: x, dest: '{{ home }}/complaint'}\n",
    )
    result = rehearse(small(stage, TIDY, careful), faults="sample:1")
    assert [(case.index, case.fault, case.restored) for case in result.cases[1:]] == [
        (4, "kill", True), (4, "fail", False), (4, "unreachable", False)
    ]  # fmt: skip
    assert result.cases[2].left == (f"web: path {stage.home}/complaint: file was added",)
    assert result.cases[3].left == ("not tried: the state before couldn't be brought back",)


def test_after_a_state_that_doesnt_come_back_nothing_more_is_tried(stage: Stage) -> None:
    sticky = (
        THREE.replace("  handlers: []\n", "")
        .replace("    - name: It is moved\n", "    - name: Forget\n")
        .replace("{{ home }}/moving, state: absent", "{{ home }}/nothing, state: absent")
    )
    stuck = TIDY + "        if [ -e {{ home }}/cut ]; then touch {{ home }}/stuck; fi\n"
    deploy = sticky.replace(
        'content: moving, dest: "{{ home }}/moving"', 'content: x, dest: "{{ home }}/cut"'
    ).replace("{{ home }}/moving", "{{ home }}/cut")
    result = rehearse(small(stage, stuck, deploy), faults="all")
    assert (result.outcome, result.clean) == ("not-restored", False)
    assert result.cases[-1].left == ("not tried: the state before couldn't be brought back",)
    assert len(result.cases) == 10


@pytest.mark.parametrize("faults", ["some", "sample:0", "sample:", "ALL", ""])
def test_where_to_cut_is_said_in_one_of_three_ways(stage: Stage, faults: str) -> None:
    with pytest.raises(Usage) as caught:
        rehearse(stage.plan(stage.release("2.0")), faults=faults)
    assert caught.value.code == "faults-unknown"


@given(st.integers(1, 60), st.integers(1, 70))
def test_a_sample_is_spread_from_the_first_task_to_the_last(count: int, wanted: int) -> None:
    found = chosen(count, f"sample:{wanted}")
    assert len(found) == min(count, wanted)
    assert set(found) <= set(chosen(count, "all")) == set(range(1, count + 1))
    assert count in found
    assert wanted == 1 or 1 in found
