"""What approving the policy covers: a freeze, a stage or a zone isn't dropped in silence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from otapgate import canonical
from otapgate.landscape import approval
from otapgate.landscape.load import load

CALENDAR = """freezes:
  - {name: Exams, start: 2026-05-01, end: 2026-05-29}
  - {name: Summer, start: 2026-07-01, end: 2026-08-20, streets: [agenda]}
"""


def replace(file: str, *pairs: tuple[str, str]) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        text = (root / file).read_text()
        for old, new in pairs:
            assert old in text
            text = text.replace(old, new)
        (root / file).write_text(text)

    return change


def write(file: str, text: str) -> Callable[[Path], None]:
    return lambda root: (root / file).write_text(text) and None


def drop(file: str) -> Callable[[Path], None]:
    return lambda root: (root / file).unlink()


def without_acceptance(root: Path) -> None:
    file = root / "environments/agenda.yml"
    before, _stage, after = file.read_text().partition("  - stage: A")
    file.write_text(before + after[after.index("  - stage: P") :])


@pytest.fixture
def place(root: Path) -> Path:
    (root / "calendar.yml").write_text(CALENDAR)
    return root


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (replace("policy.yml", ("P4: {change-manager: 1}", "P4: {change-manager: 2}")),
         "policy.yml"),
        (replace("policy.yml", ("matrix:", "rehearsal: {P1: all}\nmatrix:")), "policy.yml"),
        (drop("calendar.yml"), "calendar.yml"),
        (write("calendar.yml", "freezes: []\n"), "calendar.yml"),
        (replace("calendar.yml", ("end: 2026-05-29", "end: 2026-05-02")), "calendar.yml"),
        (replace("calendar.yml", ("[agenda]", "[]")), "calendar.yml"),
        (replace("otapgate.yml", ("Europe/Amsterdam", "Pacific/Auckland")),
         "otapgate.yml (timezone)"),
        (replace("otapgate.yml", ("name:", "execution: {strategy: mitogen}\nname:")),
         "otapgate.yml (strategy)"),
        (without_acceptance, "environments/agenda.yml (stages)"),
        (replace("environments/agenda.yml", ("stage: A", "stage: A\n    name: proof")),
         "environments/agenda.yml (stages)"),
        (replace("environments/agenda.yml", ("street: agenda", "street: roster")),
         "environments/agenda.yml (stages)"),
    ],
)  # fmt: skip
def test_what_decides_when_something_may_go_on_is_approved(
    place: Path, change: Callable[[Path], None], named: str
):
    before = load(place)
    if named.endswith("(stages)"):
        replace("calendar.yml", (", streets: [agenda]", ""))(place)
        before = load(place)
    change(place)
    after = load(place)
    assert after.policy.digest != before.policy.digest
    assert named in approval.changed(approval.content(before), after)


@pytest.mark.parametrize(
    "change",
    [
        replace("environments/agenda.yml", ("agenda-t:", "agenda-t2:")),
        replace("environments/agenda.yml", ("{class: anonymised}", "{class: synthetic}")),
        replace("policy.yml", ("matrix:", "# remark\nmatrix:")),
        replace("otapgate.yml", ("name:", "# remark\nname:")),
        lambda root: (root / "environments/agenda.yml").rename(root / "environments/b.yml"),
        write("calendar.yml", "freezes:\n" + "\n".join(CALENDAR.splitlines()[:0:-1]) + "\n"),
    ],
)
def test_what_owners_accept_and_how_files_are_laid_out_is_not(
    place: Path, change: Callable[[Path], object]
):
    before = load(place)
    change(place)
    after = load(place)
    assert after.policy.digest == before.policy.digest
    assert approval.changed(approval.content(before), after) == ()


def test_what_was_approved_before_there_was_a_choice_of_strategy_still_is(place: Path):
    before = load(place)
    replace("otapgate.yml", ("name:", "execution: {strategy: linear}\nname:"))(place)
    assert load(place).policy.digest == before.policy.digest
    assert b"strategy" not in approval.content(before)


def test_no_calendar_is_an_empty_calendar(root: Path):
    (root / "calendar.yml").write_text("freezes: []\n")
    empty = load(root).policy.digest
    (root / "calendar.yml").unlink()
    assert load(root).policy.digest == empty


def test_the_digest_is_that_of_the_content(root: Path):
    landscape = load(root)
    assert canonical.digest(approval.content(landscape)) == landscape.policy.digest


@pytest.mark.parametrize("kept", [b"", b"[]", b"{}", b'{"streets":[]}', b"not canonical"])
def test_something_else_than_what_was_approved_tells_nothing(root: Path, kept: bytes):
    assert approval.changed(kept, load(root)) == ()
