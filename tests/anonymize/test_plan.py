from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from otapgate.anonymize import schema as schemas
from otapgate.anonymize.cover import cover
from otapgate.anonymize.plan import Plan, check_file, load_plan
from otapgate.errors import BadInput

from .conftest import PLAN, MakePlan


def covering(plan: Plan, database: Path) -> None:
    connection = schemas.open_source(database)
    try:
        cover(plan, schemas.read_schema(connection, str(database)))
    finally:
        connection.close()


def messages(error: BadInput) -> str:
    return "\n".join(problem.message for problem in error.problems)


def test_the_reference_plans_are_valid() -> None:
    root = Path(__file__).parents[2]
    plans = sorted((root / "anonymizers").glob("*.yml"))
    assert plans
    for path in plans:
        assert check_file(path, root) == []


def test_all_errors_of_a_plan_come_at_once_with_their_lines(
    school: Path, make_plan: MakePlan
) -> None:
    text = PLAN.replace("transform: phone", "transform: fone")
    text = text.replace("domain: person.first_name}", "domain: person.first, lenght: 3}")
    text = text.replace('{keep: all, reason: "Countries of the world, no people in it."}',
                        "{keep: all}")  # fmt: skip
    text = text.replace("days: 20", "dayz: 20")
    with pytest.raises(BadInput) as caught:
        make_plan(school, text)
    found = caught.value.problems
    assert caught.value.code == "plan-invalid"
    assert len(found) >= 2
    assert all(problem.line for problem in found)
    assert "days" in str([(p.message, p.remedy) for p in found])


def test_errors_beyond_the_types_come_at_once_too(school: Path, make_plan: MakePlan) -> None:
    text = PLAN.replace("domain: person.first_name", "domain: person.nickname")
    text = text.replace("format: bsn", "format: digits:3")
    text = text.replace(', reason: "Countries of the world, no people in it."', "")
    text = text.replace("telefoon: phone", "telefoon: {transform: email, host: gmail.com}")
    text = text.replace("to: year", "to: century")
    with pytest.raises(BadInput) as caught:
        make_plan(school, text)
    found = messages(caught.value)
    for word in ("person.nickname", "digits:3", "without a reason", "gmail.com", "century"):
        assert word in found
    assert len(caught.value.problems) == 6
    assert all(problem.line for problem in caught.value.problems)


def test_a_column_that_the_plan_does_not_name_stops_the_run(
    school: Path, make_plan: MakePlan
) -> None:
    plan = make_plan(school, PLAN.replace("      telefoon: phone\n", ""))
    with pytest.raises(BadInput) as caught:
        covering(plan, school)
    assert caught.value.code == "plan-incomplete"
    assert "leerling.telefoon is not in the plan" in messages(caught.value)


def test_a_column_still_to_be_decided_stops_the_run(school: Path, make_plan: MakePlan) -> None:
    plan = make_plan(school, PLAN.replace("telefoon: phone", "telefoon: decide"))
    with pytest.raises(BadInput) as caught:
        covering(plan, school)
    assert "leerling.telefoon is still to be decided" in messages(caught.value)


def test_new_and_lost_columns_and_tables_are_named_even_where_a_pattern_covers_them(
    school: Path, make_plan: MakePlan
) -> None:
    text = PLAN.replace("land:", '"la*":', 1)
    plan = make_plan(school, text)
    covering(plan, school)
    connection = sqlite3.connect(school)
    connection.executescript(
        "ALTER TABLE leerling ADD COLUMN bijnaam TEXT; ALTER TABLE sessie DROP COLUMN token;"
        "CREATE TABLE lastig (naam TEXT);"
    )
    connection.close()
    with pytest.raises(BadInput) as caught:
        covering(plan, school)
    assert caught.value.code == "schema-drift"
    found = messages(caught.value)
    assert "leerling.bijnaam is new" in found
    assert "sessie.token is gone" in found
    assert "lastig is new" in found


def test_a_changed_type_is_drift(school: Path, make_plan: MakePlan) -> None:
    plan = make_plan(school)
    connection = sqlite3.connect(school)
    connection.executescript(
        "DROP TABLE sessie; CREATE TABLE sessie (id INTEGER PRIMARY KEY, token BLOB, leerling INT)"
    )
    connection.close()
    with pytest.raises(BadInput) as caught:
        covering(plan, school)
    assert "sessie have other types" in messages(caught.value)


def test_a_unique_column_refuses_a_transform_that_can_repeat(
    school: Path, make_plan: MakePlan
) -> None:
    plan = make_plan(
        school,
        PLAN.replace(
            "email: {transform: email, from: [voornaam, achternaam]}",
            "email: {transform: fake, domain: word}",
        ),
    )
    with pytest.raises(BadInput, match="answer for everything") as caught:
        covering(plan, school)
    assert "leerling.email is unique" in messages(caught.value)


def test_one_domain_with_two_formats_is_refused(school: Path, make_plan: MakePlan) -> None:
    plan = make_plan(
        school, PLAN.replace("telefoon: phone", "telefoon: {transform: phone, domain: person.bsn}")
    )
    with pytest.raises(BadInput) as caught:
        covering(plan, school)
    assert "two formats" in messages(caught.value)


def test_two_patterns_on_one_table_are_refused(school: Path, make_plan: MakePlan) -> None:
    text = PLAN.replace("  sessie: {empty: true}\n",
                        '  "ses*": {empty: true}\n  "*sie": {empty: true}\n')  # fmt: skip
    plan = make_plan(school, text)
    with pytest.raises(BadInput) as caught:
        covering(plan, school)
    assert "matched by several patterns" in messages(caught.value)


def test_a_missing_plan_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        load_plan(tmp_path / "nergens.yml")
    assert caught.value.problems
