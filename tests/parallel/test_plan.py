"""A comparison plan's file: every problem with its line, and one digest for one meaning."""

from __future__ import annotations

from pathlib import Path

import pytest

from otapgate.errors import BadInput
from otapgate.parallel.plan import check_file, load, read
from otapgate.release.store import Store

PLAN = """\
plan: agenda
app: agenda
period: {days: 2}
old: {environment: P}
new: {environment: A}
outputs:
  - id: front
    http: {url: "http://127.0.0.1:{{ port }}/"}
"""


def write(root: Path, text: str, name: str = "agenda") -> Path:
    path = root / "parallel" / f"{name}.yml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def test_a_plan_is_read_kept_and_found_again(tmp_path: Path) -> None:
    plan = read(write(tmp_path, PLAN), tmp_path)
    assert plan.outputs[0].kind == "http"
    store = Store(tmp_path / "store")
    digest = store.put(plan.encoded())
    assert digest == plan.digest
    assert load(store, digest) == plan
    # Comments and order of keys mean nothing.
    again = read(write(tmp_path, "# by Esra\n" + PLAN.replace("days: 2", "days:   2")), tmp_path)
    assert again.digest == digest
    longer = read(write(tmp_path, PLAN.replace("days: 2", "days: 3")), tmp_path)
    assert longer.digest != digest


def table(compare: str) -> str:
    return (
        "  - id: x\n    table: {database: /x, query: SELECT 1}\n" + f"    compare: {compare}\n"
    )  # fmt: skip


def text(compare: str) -> str:
    return f"  - id: x\n    report: {{argv: [date]}}\n    compare: {compare}\n"


@pytest.mark.parametrize(
    ("extra", "line", "words"),
    [
        ("odd: 1\n", 9, "odd"),
        ("  - id: front\n    report: {argv: [date]}\n", 9, "twice"),
        ("  - id: x\n", 9, "exactly one"),
        ("  - id: x\n    report: {argv: [date]}\n    files: {folder: /x, match: [a]}\n", 9,
         "exactly one"),
        (table("{as: text}"), 10, "by column"),
        (table("{as: csv, tolerances: {a: {absolute: '1'}}}"), 11, "need a key"),
        (table("{as: csv, key: [a], ignore: [a]}"), 11, "be a key and"),
        (text("{as: text, key: [a]}"), 11, "means nothing"),
        (text("{as: json, tolerances: {a: {absolute: '-1'}}}"), 11, "not a number"),
        (text("{masks: [{name: a, pattern: '('}]}"), 11, "can't be read"),
        (text("{masks: [{name: a, pattern: 'x*'}]}"), 11, "fits nothing at all"),
        (text("{as: text}\n    allow: {share: '1', because: x}"), 12, "share below 1"),
        ("  - id: x\n    report: {argv: ['{{']}\n", 10, "template"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_line(
    tmp_path: Path, extra: str, line: int, words: str
) -> None:
    problems = check_file(write(tmp_path, PLAN + extra), tmp_path)
    assert [p.line for p in problems] == [line], problems
    assert words in problems[0].message
    assert problems[0].file == "parallel/agenda.yml"
    with pytest.raises(BadInput) as caught:
        read(tmp_path / "parallel/agenda.yml", tmp_path)
    assert caught.value.code == "parallel-invalid"


def test_the_plan_has_the_name_of_its_file(tmp_path: Path) -> None:
    (problem,) = check_file(write(tmp_path, PLAN, "other"), tmp_path)
    assert (problem.line, "agenda" in problem.message) == (1, True)


def test_old_and_new_are_two(tmp_path: Path) -> None:
    same = PLAN.replace("environment: A", "environment: P")
    (problem,) = check_file(write(tmp_path, same), tmp_path)
    assert "always agree" in problem.message
    two = same.replace("new: {environment: P}", "new: {environment: P, variables: {port: 2}}")
    assert check_file(write(tmp_path, two), tmp_path) == []
