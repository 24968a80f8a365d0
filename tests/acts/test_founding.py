"""A ledger that begins anew has another name than the one that was lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from otapgate.acts.founding import _rename
from otapgate.errors import BadInput
from otapgate.landscape.load import load

from .conftest import Office


@pytest.mark.parametrize(
    ("line", "begins"),
    [
        ("origin: school.example/x  # ours", "school.example/x~"),
        ("origin: 'school.example/x'", "school.example/x~"),
        ("origin: school.example/x~20260101-beef", "school.example/x~"),
        ("origin: school.example", "school.example/ledger~"),
    ],
)
def test_the_name_is_another_one_and_nothing_else_changes(
    office: Office, line: str, begins: str
) -> None:
    file = office.root / "otapgate.yml"
    text = file.read_text("utf-8")
    (old,) = [x for x in text.split("\n") if x.startswith("origin:")]
    file.write_text(text.replace(old, line), "utf-8")
    before = load(office.root).origin
    _rename(file)
    after = load(office.root).origin
    assert after.startswith(begins)
    assert after != before
    assert file.read_text("utf-8") == text.replace(old, line.replace(before, after))


def test_a_name_that_cannot_be_found_in_the_file_is_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "otapgate.yml"
    for text in ("version: 1\n", "origin: >-\n  school.example/x\n", "origin: [a]\n"):
        file.write_text(text)
        with pytest.raises(BadInput) as caught:
            _rename(file)
        assert caught.value.code == "origin-unclear"
        assert file.read_text() == text
