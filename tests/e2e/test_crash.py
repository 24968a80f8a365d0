"""A small sample of the crash campaign (tests/campaign): killed at some of its steps, a
promotion to production is ended by what `status` says, in the old release or the new one."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.campaign.scenes import SCENES
from tests.campaign.trial import Point, Trial

from .school import School

pytestmark = pytest.mark.slow
SETTINGS = "task:1-promotion/deploy/Write its settings#1"
SAMPLE = (
    ("unpack:previous#1", "before", "otapgate", "on", "new"),  # given once more
    ("commit:promotion-started#1", "before", "otapgate", "on", "new"),
    ("journal:plan noted#1", "half", "otapgate", "back", "old"),
    ("journal:snapshot done#1", "after", "otapgate", "on", "new"),
    (SETTINGS, "before", "ansible", "on", "old"),
    (SETTINGS, "before", "both", "back", "old"),
    ("ledger:promotion-finished#1", "before", "otapgate", "on", "new"),
    ("ledger:promotion-finished#1", "after", "otapgate", "on", "new"),
)


def test_killed_at_any_step_it_ends_in_the_old_release_or_the_new(
    accepted: School, tmp_path: Path
) -> None:
    trial = Trial(accepted, SCENES[0], tmp_path)
    outcome, passed, _seconds = trial.clean()
    assert outcome.problems == []
    assert {one["point"] for one in passed} >= {point for point, *_more in SAMPLE}
    for point, when, do, way, end in SAMPLE:
        outcome = trial.run(Point("promote", point, when, do, way))
        assert (outcome.problems, outcome.end) == ([], end), outcome
