"""Which paths a release may hold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otapgate.release.paths import collisions, fault


@pytest.mark.parametrize(
    "path",
    [
        "", "/etc/passwd", "..", "a/../b", "a//b", "a/", "./a", "a\\b", "a\0b", "a\nb", "a\x1bb",
        "a\u2028b", "caf\udce9", "x" * 256, "a/" * 600 + "b",
    ],
)  # fmt: skip
def test_a_path_that_could_land_elsewhere_is_refused(path: str) -> None:
    assert fault(path) is not None


@pytest.mark.parametrize("path", ["a", "artifacts/wheels/x-1.0.whl", "é/ü.txt", "...", "a b", "-"])
def test_an_ordinary_path_is_fine(path: str) -> None:
    assert fault(path) is None


@given(st.text())
def test_a_path_without_fault_stays_below_its_folder(path: str) -> None:
    if fault(path) is None:
        assert not path.startswith("/")
        assert ".." not in path.split("/")
        assert "\0" not in path


@pytest.mark.parametrize(
    "paths",
    [
        ["a", "a"], ["Read", "read"], ["e\u0301", "\u00e9"], ["a", "a/b"], ["A", "a/b"],
        ["D/x", "d/y"],
    ],
)  # fmt: skip
def test_paths_that_can_not_stand_side_by_side_are_named(paths: list[str]) -> None:
    assert len(collisions(paths)) == 1
    assert len(collisions(reversed(paths))) == 1


def test_ordinary_neighbours_do_not_collide() -> None:
    assert collisions(["a/b", "a/c", "ab", "a.b", "b/a/c"]) == []
