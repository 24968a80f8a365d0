"""Test plans: read, bundled, found again."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest

from otapgate import canonical
from otapgate.errors import BadInput, Integrity, Problem
from otapgate.landscape.scaffold import create
from otapgate.ledger.predicates import Criterion
from otapgate.release.manifest import ReleaseFile
from otapgate.release.store import Store
from otapgate.testing.plan import (
    CommandStep,
    HttpStep,
    PlaybookStep,
    PytestStep,
    bundle,
    check_file,
    digest_of_files,
    load_bundle,
)

PLAN = """\
plan: agenda
app: agenda
criteria:
  - {id: login, kind: function, text: "The staff can log in"}
  - {id: fast, kind: performance, text: "Pages come at once"}
cases:
  - id: answers
    criterion: login
    title: The page answers
    steps:
      - http: {url: "{{ base }}/", contains: Agenda, json: {result.0: 1}}
      - command: {argv: ["sh", "checks/look.sh"], exit: 3}
      - pytest: {path: tests/test_login.py, select: staff}
      - playbook: checks/data.yml
  - id: quick
    criterion: fast
    steps:
      - http: {url: "{{ base }}/", budget_ms: 500, repeat: 20, percentile: 90}
files: [checks/look.sh]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    for name in ("tests/test_login.py", "tests/conftest.py", "conftest.py", "checks/data.yml",
                 "checks/look.sh", "tests/other.py"):  # fmt: skip
        path = tmp_path / "plans" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {name}\n")
    (tmp_path / "plans/agenda.yml").write_text(PLAN)
    return tmp_path / "plans/agenda.yml"


def edit(file: Path, old: str, new: str) -> None:
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new, 1))


def only(problems: list[Problem]) -> Problem:
    assert len(problems) == 1, problems
    return problems[0]


def test_a_plan_is_kept_with_every_file_it_needs(file: Path, tmp_path: Path, store: Store) -> None:
    plan = bundle(file, tmp_path, store)
    assert (plan.name, plan.app, plan.cases) == ("agenda", "agenda", ("answers", "quick"))
    assert plan.criteria == (Criterion("login", "function"), Criterion("fast", "performance"))
    assert [f.path for f in plan.plan.files] == [
        "checks/data.yml",
        "checks/look.sh",
        "conftest.py",
        "tests/conftest.py",
        "tests/test_login.py",
    ]
    assert store.verify_all(f.digest for f in plan.plan.files) == []
    steps = plan.plan.cases[0].steps
    assert steps == (
        HttpStep("{{ base }}/", contains="Agenda", json={"result.0": 1}),
        CommandStep(("sh", "checks/look.sh"), exit=3),
        PytestStep("tests/test_login.py", "staff"),
        PlaybookStep("checks/data.yml"),
    )


def test_a_plan_comes_back_whole_by_its_digest(file: Path, tmp_path: Path, store: Store) -> None:
    plan = bundle(file, tmp_path, store)
    assert load_bundle(store, plan.digest) == plan


def test_the_digest_can_be_told_without_keeping_anything(
    file: Path, tmp_path: Path, store: Store
) -> None:
    told = digest_of_files(file, tmp_path)
    assert not store.root.exists()
    assert told == bundle(file, tmp_path, store).digest


@pytest.mark.parametrize(
    "name", ["checks/data.yml", "checks/look.sh", "tests/conftest.py", "tests/test_login.py"]
)
def test_editing_any_file_of_the_plan_changes_its_digest(
    file: Path, tmp_path: Path, name: str
) -> None:
    before = digest_of_files(file, tmp_path)
    (file.parent / name).write_text("# other\n")
    assert digest_of_files(file, tmp_path) != before


def test_a_remark_or_a_file_that_is_not_in_it_changes_nothing(file: Path, tmp_path: Path) -> None:
    before = digest_of_files(file, tmp_path)
    file.write_text("# a remark\n" + PLAN)
    (file.parent / "tests/other.py").write_text("# other\n")
    assert digest_of_files(file, tmp_path) == before


@pytest.mark.parametrize(
    ("old", "new", "line", "hint"),
    [
        ("criterion: login", "criterion: logn", 8, "login"),
        ("id: quick", "id: answers", 15, "own id"),
        ("{id: fast,", "{id: login,", 5, "own id"),
        ("kind: function", "kind: functional", 4, "function"),
        ("checks/data.yml", "checks/date.yml", 14, "Make it"),
        ("tests/test_login.py", "../tests/test_login.py", 13, "below"),
        ("tests/test_login.py", "/etc/passwd", 13, "below"),
        ("files: [checks/look.sh]", "files: []", 12, "files"),
        ("files: [checks/look.sh]", "files: ['checks/*']", 19, "folder"),
        ('"{{ base }}/", contains', '"{{ base }/", contains', 11, "{{ name }}"),
        ("budget_ms: 500", "budget_ms: 0", 18, "at least 1"),
        ("- playbook: checks/data.yml", "- {}", 14, "step of its own"),
        ("title: The page", "titel: The page", 9, "title"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_at_its_line(
    file: Path, tmp_path: Path, old: str, new: str, line: int, hint: str
) -> None:
    edit(file, old, new)
    problems = check_file(file, tmp_path)
    assert line in [p.line for p in problems], problems
    assert any(hint in f"{p.message} {p.remedy}" for p in problems), problems
    with pytest.raises(BadInput) as error:
        digest_of_files(file, tmp_path)
    assert error.value.code == "plan-invalid"
    assert list(error.value.problems) == problems


def test_a_variable_that_is_nowhere_is_told_before_the_run(file: Path, tmp_path: Path) -> None:
    create(tmp_path / "school", stages=["T", "P"], name="De Linde", street="agenda", owner="A")
    root = tmp_path / "school"
    shutil.copytree(file.parent, root / "plans", dirs_exist_ok=True)
    known = root / "plans" / "agenda.yml"
    problem = only([p for p in check_file(known, root) if p.line == 11])
    assert "No environment and no release of agenda has a variable 'base'" in problem.message
    there = "http://{{ inventory_hostname }}{{ home }}{{ otapgate_release.app }}"
    known.write_text(known.read_text().replace("{{ base }}", there))
    edit(known, "result.0: 1", 'result.0: "{{ hoem }}"')
    problem = only(check_file(known, root))
    assert "'hoem'" in problem.message
    assert "home" in (problem.remedy or "")
    (root / "releases" / "agenda.yml").write_text("app: agenda\nvariables: {hoem: 1}\n")
    assert check_file(known, root) == []


def test_one_mistake_in_a_step_is_one_problem(file: Path, tmp_path: Path) -> None:
    edit(file, "budget_ms: 500", "budget_ms: 0")
    assert only(check_file(file, tmp_path)).line == 18


def test_a_criterion_without_a_case_is_told(file: Path, tmp_path: Path) -> None:
    edit(file, "  - {id: fast,", "  - {id: safe, kind: security, text: x}\n  - {id: fast,")
    problem = only(check_file(file, tmp_path))
    assert problem.line == 5
    assert "safe" in problem.message


def test_a_link_out_of_the_plan_is_refused(file: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    landscape = tmp_path / "plans"
    (landscape / "checks/data.yml").unlink()
    (outside / "data.yml").write_text("")
    (landscape / "checks/data.yml").symlink_to(outside / "data.yml")
    assert "leads out" in only(check_file(file, landscape)).message


def test_what_is_not_a_plan_is_refused_on_loading(file: Path, tmp_path: Path, store: Store) -> None:
    plan = bundle(file, tmp_path, store).plan
    hostile = msgspec.structs.replace(
        plan, files=(ReleaseFile("../../x", plan.files[0].digest, 1),)
    )
    orphan = msgspec.structs.replace(plan, criteria=plan.criteria[:1])
    for data in (b"x", b"{}", canonical.encode({"plan": 1}), hostile.encoded(), orphan.encoded()):
        with pytest.raises(Integrity) as error:
            load_bundle(store, store.put(data))
        assert error.value.code == "plan-malformed"
    with pytest.raises(Integrity) as error:
        load_bundle(store, "sha256:" + "0" * 64)
    assert error.value.code == "store-missing"
