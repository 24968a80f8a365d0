"""The whole crash campaign: no point leaves anything undecided."""

from __future__ import annotations

from pathlib import Path

import pytest

from .campaign import campaign, points
from .scenes import SCENES

pytestmark = pytest.mark.exhaustive


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
def test_struck_at_any_point_it_ends_in_the_old_release_or_the_new(
    scene: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    found = campaign(tmp_path, [one for one in SCENES if one is scene], workers=1)
    assert found["tried"] + found["not_possible_here"] == found["points"]
    assert found["undecided"] == []


def test_every_point_is_struck_and_lost_disks_come_at_what_is_recorded() -> None:
    passed = [
        {"point": "journal:deploy begun#1", "when": "before", "ansible": True},
        {"point": "unpack:release#1", "when": "before", "ansible": False},
    ]
    named = [(x.point.partition(":")[0], x.do, x.way) for x in points(SCENES[0], passed, 5.0)]
    assert {do for what, do, _way in named if what == "journal"} == {
        "otapgate", "ansible", "both", "full", "gone", "broken", "power"
    }  # fmt: skip
    assert [x for x in named if x[0] == "unpack"] == [
        ("unpack", "otapgate", "on"), ("unpack", "otapgate", "back")
    ]  # fmt: skip
