"""CH05-07 over SSH: a rollback that doesn't bring everything back is found, and named."""

from __future__ import annotations

from pathlib import Path

import pytest

from .application import ROLLBACK, TASKS, Application
from .labs import Lab

pytestmark = pytest.mark.slow
FORGETS = {
    "column": (
        "cp -a {{ otapgate_snapshot }}/agenda/data.sqlite /srv/agenda/data.sqlite", "true",
        "t1: column room of table lesson: was added",
    ),
    "job": ("rm -f /etc/cron.d/agenda", "true", "cron"),
    "mode": (
        "cp -a {{ otapgate_snapshot }}/agenda/settings /srv/agenda/settings",
        "cp {{ otapgate_snapshot }}/agenda/settings /srv/agenda/settings; chmod 644"
        " /srv/agenda/settings",
        "t1: path /srv/agenda/settings: mode 0640 → 0644",
    ),
}  # fmt: skip


@pytest.fixture
def application(lab: Lab, tmp_path: Path) -> Application:
    return Application(lab, ("t1",), tmp_path)


@pytest.mark.parametrize("forgets", FORGETS)
def test_ch05_07_what_a_rollback_forgets_is_named(application: Application, forgets: str) -> None:
    wanted, instead, left = FORGETS[forgets]
    assert wanted in ROLLBACK
    release = application.release("2.0", rollback=ROLLBACK.replace(wanted, instead))
    found = application.do(application.plan("rehearsal-1", release), "rehearse:none")
    assert found["outcome"] == "not-restored"
    (case,) = found["cases"]
    assert len(case["left"]) == 1
    assert left in case["left"][0]
    if forgets == "job":
        assert "/etc/cron.d/agenda" in case["left"][0]
        assert "was added" in case["left"][0]


def test_ch05_07_a_good_rollback_comes_back_from_cuts(application: Application) -> None:
    before = application.picture("t1")
    found = application.do(
        application.plan("rehearsal-1", application.release("2.0")), "rehearse:sample:2"
    )
    assert found["outcome"] == "restored", found
    assert [case["index"] for case in found["cases"]] == [0, 1, 1, 1, 8, 8, 8]
    assert application.picture("t1") == before


@pytest.mark.exhaustive
def test_ch05_07_a_good_rollback_comes_back_from_every_cut(application: Application) -> None:
    found = application.do(
        application.plan("rehearsal-1", application.release("2.0")), "rehearse:all"
    )
    assert found["outcome"] == "restored", found
    assert [(case["index"], case["fault"]) for case in found["cases"][1:]] == [
        (index, fault)
        for index in range(1, len(TASKS) + 1)
        for fault in ("kill", "fail", "unreachable")
    ]


@pytest.mark.exhaustive
def test_ch05_07_a_rollback_that_fails_only_when_cut_at_task_7(application: Application) -> None:
    release = application.release("2.0", rollback=ROLLBACK.replace(" /srv/agenda/locked\n", "\n"))
    found = application.do(application.plan("rehearsal-1", release), "rehearse:all")
    assert found["outcome"] == "not-restored"
    bad = [case for case in found["cases"] if not case["restored"]]
    assert {case["index"] for case in bad} == {7}
    assert [case["fault"] for case in bad] == ["kill", "fail", "unreachable"]
    assert {case["task"] for case in bad} == {"Unlock"}
    assert {tuple(case["left"]) for case in bad} == {
        ("t1: path /srv/agenda/locked: file was added",)
    }
