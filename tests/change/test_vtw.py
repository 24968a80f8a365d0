"""Requests for change: the whole form, and every gap of an unclear one at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from otapgate import canonical
from otapgate.change import vtw
from otapgate.change.vtw_file import VtwFileModel
from otapgate.errors import BadInput

FORM: dict[str, Any] = {
    "title": "Agenda 3.5.4",
    "requester": "Nora Bakker",
    "department": "Team onderbouw",
    "date": "2026-01-05",
    "kind": "regular",
    "object": "application",
    "street": "agenda",
    "what": "The agenda goes from 3.5.3 to 3.5.4.",
    "why": "Lessons of two hours show twice.",
    "objects": ["agenda"],
    "process_owners": ["Femke de Groot"],
    "stakeholders": ["Sara Visser"],
    "wanted": "2026-02-01",
    "latest": "2026-03-01",
    "without": "Teachers go on working around it.",
    "impact": "low",
    "urgency": "medium",
    "security": False,
    "privacy": True,
    "privacy_consequences": "Names of pupils, as before.",
    "dpia": "not-needed",
    "dpia_because": "The same data for the same purpose.",
    "legal": "None, because nothing is processed that wasn't.",
    "cost": "Two hours.",
    "by_supplier": False,
    "test_approach": "The standard plan of the agenda.",
    "rollback_approach": "Back to 3.5.3 with its database.",
    "rollback_minutes": 15,
    "communication": "The help desk tells teachers the day before.",
    "parallel_run": False,
    "attachments": [],
}


def judged(**changes: Any) -> list[tuple[str | None, str]]:
    form = {**FORM, **changes}
    text = yaml.safe_dump(
        {key: value for key, value in form.items() if value != "absent"},
        sort_keys=False, allow_unicode=True,
    )  # fmt: skip
    found, problems = vtw.parse(text, "changes/a.yml")
    assert (found is None) == bool(problems)
    lines = text.splitlines()
    return [
        (lines[problem.line - 1].split(":")[0] if problem.line else None, problem.message)
        for problem in problems
    ]


def test_a_whole_form_is_data_with_a_canonical_form() -> None:
    found, problems = vtw.parse(yaml.safe_dump(FORM), "changes/a.yml")
    assert problems == []
    assert found == FORM
    canonical.encode(found)


def test_answers_left_out_are_not_in_the_data() -> None:
    found, _problems = vtw.parse(yaml.safe_dump({**FORM, "supplier": None}), "a.yml")
    assert found is not None
    assert "supplier" not in found


COMPULSORY = [
    name for name, field in VtwFileModel.model_fields.items() if field.is_required()
] + ["street", "rollback_minutes"]  # fmt: skip


@pytest.mark.parametrize("name", COMPULSORY)
def test_each_compulsory_answer_is_missed(name: str) -> None:
    found = judged(**{name: "absent"})
    assert len(found) == 1
    assert name in found[0][1] or name in ("street", "rollback_minutes")
    text = yaml.safe_dump({**FORM, name: None}, sort_keys=False)
    data, problems = vtw.parse(text, "a.yml")
    assert data is None
    [problem] = problems
    assert problem.line is not None
    assert text.splitlines()[problem.line - 1] == f"{name}: null"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "emergency"}, "An emergency must say its reason"),
        ({"kind": "standard"}, "Which standard change this follows is not said."),
        ({"security": True}, "What it means for security is not said"),
        ({"privacy_consequences": "absent"}, "Which personal data it touches"),
        ({"dpia": "absent"}, "whether a DPIA is needed is not said"),
        ({"dpia_because": "absent"}, "Why no DPIA is needed is not said."),
        ({"by_supplier": True}, "which one is not said"),
        ({"wanted": "2026-03-02"}, "is before the date wanted"),
        ({"emergency": {"reason": "No lessons.", "threat": "School stands still."}},
         "'emergency' is filled in, but the kind of change is regular."),
        ({"kind": "emergency", "emergency": {"reason": "No lessons."}}, "'threat' is missing"),
        ({"kind": "spoed"}, "'kind' is the text \"spoed\", which is not possible."),
        ({"object": "printer"}, "'object' is the text \"printer\""),
        ({"security": "ja"}, "'security' is the text \"ja\", but must be true or false."),
        ({"impact": "hoog"}, "'impact' is the text \"hoog\""),
        ({"what": "..."}, '"..." is no answer.'),
        ({"what": "TBD"}, '"TBD" is no answer.'),
        ({"why": "  "}, "is no answer."),
        ({"legal": "nader te bepalen"}, "is no answer."),
        ({"objects": []}, "must be a list of at least 1"),
        ({"process_owners": ["A B", "A B"]}, "'A B' stands in the list twice."),
        ({"wanted": "volgende week"}, "'volgende week' is not a date."),
        ({"rollback_minutes": 0}, "must be at least 1"),
        ({"street": "../x"}, "'../x' can't be a name."),
        ({"prio": "P1"}, "'prio' is not known here."),
    ],
)  # fmt: skip
def test_an_unclear_answer_is_sent_back(changes: dict[str, Any], message: str) -> None:
    found = judged(**changes)
    assert any(message in text for _key, text in found), found


@pytest.mark.parametrize("about", ["procedure", "process"])
def test_a_procedure_moves_through_no_street(about: str) -> None:
    assert judged(object=about, street="absent", rollback_minutes="absent") == []


def test_an_emergency_with_its_reason_is_taken_in() -> None:
    reason = {"reason": "No lessons otherwise.", "threat": "School stands still tomorrow."}
    assert judged(kind="emergency", emergency=reason) == []


def test_every_gap_is_named_at_once_the_conditional_ones_too() -> None:
    found = judged(title="absent", security=True, by_supplier=True, wanted="x", legal="?")
    assert sorted(message for _key, message in found) == [
        '"?" is no answer.',
        "'title' is missing.",
        "'x' is not a date.",
        "A supplier does part of it, but which one is not said.",
        "What it means for security is not said, but it does.",
    ]


@pytest.mark.parametrize("language", ["en", "nl"])
def test_the_empty_form_holds_every_field_and_lacks_every_answer(language: str) -> None:
    text = vtw.template(language)
    for name in VtwFileModel.model_fields:
        assert f"\n{name}:" in text or f"\n# {name}:" in text, name
    data, problems = vtw.parse(text, "a.yml")
    assert data is None
    assert len(problems) > 20
    assert all(problem.line for problem in problems)


def test_an_empty_form_filled_in_is_taken_in() -> None:
    lines = []
    skip = False
    for line in vtw.template("nl").splitlines():
        key = line.lstrip("# ").split(":")[0]
        if skip and line.startswith("  -"):
            continue
        skip = False
        if not line.startswith("# yaml") and key in FORM:
            lines.append(yaml.safe_dump({key: FORM[key]}).strip())
            skip = True
        else:
            lines.append(line)
    data, problems = vtw.parse("\n".join(lines), "a.yml")
    assert problems == []
    assert data == FORM


def test_a_file_is_checked_under_its_name_in_the_landscape(tmp_path: Path) -> None:
    path = tmp_path / "changes/a.yml"
    path.parent.mkdir()
    path.write_text("title: x\n")
    assert {problem.file for problem in vtw.check_file(path, tmp_path)} == {"changes/a.yml"}
    path.write_text(yaml.safe_dump(FORM))
    assert vtw.check_file(path, tmp_path) == []
    assert vtw.load_vtw(path) == FORM


def test_a_file_that_is_not_clear_is_bad_input_with_every_gap(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text("title: x\n")
    with pytest.raises(BadInput) as caught:
        vtw.load_vtw(tmp_path / "a.yml")
    assert caught.value.code == "vtw-incomplete"
    assert len(caught.value.problems) > 15


@given(st.binary(max_size=200) | st.text(max_size=100))
def test_no_content_crashes_the_reader(text: bytes | str) -> None:
    data, problems = vtw.parse(text, "a.yml")
    assert data is None
    assert problems


@given(st.dictionaries(st.sampled_from(sorted(FORM)), st.none() | st.booleans() | st.integers()
                       | st.text(max_size=4) | st.lists(st.integers(), max_size=2)))  # fmt: skip
def test_no_answer_crashes_the_judgement(changes: dict[str, Any]) -> None:
    data, problems = vtw.parse(yaml.safe_dump({**FORM, **changes}), "a.yml")
    assert (data is None) == bool(problems)


def test_importing_the_subject_loads_neither_yaml_nor_pydantic() -> None:
    program = (
        "import sys, otapgate.change.vtw, otapgate.change.classify\n"
        "print([m for m in ('yaml', 'pydantic') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
