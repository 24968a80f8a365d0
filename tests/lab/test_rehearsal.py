"""CH05-07 over SSH: a rollback that doesn't bring everything back is found, and named.

With a cut at every task, and through the command line: `tests/e2e/test_rehearsals_lab.py`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from .application import ROLLBACK, Application
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
