"""A small landscape on disk, to be broken in one place a test."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from otapgate.errors import BadInput, Problem
from otapgate.landscape import scaffold
from otapgate.landscape.load import load


@pytest.fixture
def root(tmp_path: Path) -> Path:
    place = tmp_path / "linde"
    scaffold.create(
        place,
        stages=("T", "A", "P"),
        name="Stichting De Linde",
        street="agenda",
        owner="Daan Jansen",
        today=dt.date(2026, 2, 1),
    )
    return place


def problems_of(root: Path) -> tuple[Problem, ...]:
    with pytest.raises(BadInput) as caught:
        load(root)
    assert caught.value.code == "landscape-invalid"
    assert caught.value.problems
    return caught.value.problems


def told(root: Path) -> list[tuple[str | None, str]]:
    return [(problem.where, problem.message) for problem in problems_of(root)]
