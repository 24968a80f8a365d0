from __future__ import annotations

from typing import Any

from otapgate.acts.rollback import what_it_takes
from otapgate.cli.promote import _went_back

BACK: dict[str, Any] = {
    "id": "back-1",
    "environment": "agenda-P",
    "from": "agenda@2.0",
    "to": "agenda@1.0",
    "lost_since": "2026-11-24T15:00:00+01:00",
    "outcome": "restored",
    "left": [],
    "message": "",
    "entries": [88, 89],
}
SINCE = "2026-11-24T15:00:00+01:00"


def said(**other: Any) -> str:
    found = {**BACK, **other}
    return _went_back(found, what_it_takes(found))


def test_a_dry_run_tells_of_the_loss_as_the_question_does():
    text = said(dry_run=True, outcome=None)
    assert "goes back from agenda@2.0 to agenda@1.0" in text
    assert f"as it was on {SINCE}: what was entered since is lost" in text
    assert "--dry-run" in text


def test_the_result_tells_what_was_lost_and_where_it_is_recorded():
    text = said()
    assert "agenda-P is back on agenda@1.0" in text
    assert f"What was entered there since {SINCE} is lost." in text
    assert text.endswith("Entries 88, 89.")
    assert said(lost_since=None, entries=[88]).endswith("as it was.\nEntry 88.")


def test_what_was_never_in_use_lost_nothing():
    assert "lost" not in said(lost_since=None)
    assert "lost" not in said(lost_since=None, dry_run=True, outcome=None)


def test_nobody_goes_back_from_something_to_itself():
    for since in (SINCE, None):
        text = said(to="agenda@2.0", dry_run=True, outcome=None, lost_since=since)
        assert "from agenda@2.0 to agenda@2.0" not in text
        assert "before agenda@2.0 was put there again" in text


def test_what_was_left_is_named():
    text = said(outcome="failed", left=["h: /srv/x"], message="no paper left")
    assert "could not be brought back" in text
    assert "   h: /srv/x" in text
    assert "no paper left" in text
    assert "otapgate rollback agenda-P" in said(outcome="unfinished", entries=[])
