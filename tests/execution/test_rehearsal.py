"""Rollback rehearsals on the little application."""

from __future__ import annotations

import pytest
from tests.execution.conftest import DEPLOY, ROLLBACK, Stage

from otapgate.errors import Usage
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


def test_faults_are_refused_until_they_are_supported(stage: Stage) -> None:
    with pytest.raises(Usage) as caught:
        rehearse(stage.plan(stage.release("2.0")), faults="all")
    assert caught.value.code == "faults-unsupported"
