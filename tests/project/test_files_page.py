"""The examples in docs/reference/files.md are read as the page says."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from otapgate.landscape.load import check_all, load
from otapgate.landscape.schema import FORMATS

ROOT = Path(__file__).resolve().parents[2]
PLACES = {
    "landscape": "otapgate.yml",
    "policy": "policy.yml",
    "calendar": "calendar.yml",
    "street": "environments/administration.yml",
    "change": "changes/upgrade.yml",
    "release": "releases/tryton.yml",
    "plan": "plans/tryton.yml",
    "lab": "labs/odd.yml",
    "parallel": "parallel/tryton.yml",
    "anonymize-plan": "anonymizers/tryton.yml",
}


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    """A landscape of nothing but the page's examples and what they refer to."""
    page = (ROOT / "docs/reference/files.md").read_text(encoding="utf-8")
    found = dict(re.findall(r"^## ([a-z-]+)\n.*?^```yaml\n(.*?)^```", page, re.DOTALL | re.M))
    assert set(found) == set(PLACES)
    for name, text in found.items():
        place = tmp_path / PLACES[name]
        place.parent.mkdir(exist_ok=True)
        place.write_text(text, encoding="utf-8")
    shutil.copytree(ROOT / "playbooks", tmp_path / "playbooks")
    (tmp_path / "releases/wheels-8.0").mkdir()
    (tmp_path / "releases/wheels-8.0/trytond-8.0.12-py3-none-any.whl").touch()
    return tmp_path


def test_every_format_is_on_the_page(examples: Path) -> None:
    assert set(PLACES) == set(FORMATS)


def test_the_examples_make_a_landscape(examples: Path) -> None:
    assert check_all(examples) == []
    found = load(examples)
    assert [env.name for env in found.environments()] == ["administration-T", "administration-P"]


@pytest.mark.parametrize("place", [p for n, p in PLACES.items() if n != "landscape"])
def test_the_examples_are_looked_at(examples: Path, place: str) -> None:
    """Each is one of the files that are checked: a key too many is told."""
    with (examples / place).open("a", encoding="utf-8") as file:
        file.write("odd: 1\n")
    assert place in {problem.file for problem in check_all(examples)}
