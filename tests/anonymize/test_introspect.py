from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from otapgate.anonymize import run
from otapgate.anonymize.introspect import propose
from otapgate.anonymize.plan import load_plan
from otapgate.anonymize.sample import compare
from otapgate.errors import BadInput

from .conftest import MakePlan, query


def test_a_proposed_plan_loads_says_why_and_stops_until_doubts_are_answered(
    school: Path, tmp_path: Path
) -> None:
    text = propose(f"sqlite:///{school}")
    path = tmp_path / "school.yml"
    path.write_text(text)
    plan = load_plan(path)
    rules = plan.tables["leerling"].columns
    assert rules["bsn"].format == "bsn"
    assert rules["voornaam"].domain == "person.first_name"
    assert rules["email"].transform == "email"
    assert rules["telefoon"].transform == "phone"
    assert rules["opmerking"].transform == "free_text"
    assert rules["klas"].transform == "keep"
    assert rules["geboren"].transform == "decide"
    assert plan.tables["sessie"].mode == "empty"
    columns = [line for line in text.splitlines() if line.startswith("      ")]
    assert columns
    assert all("  # " in line for line in columns)
    with pytest.raises(BadInput) as caught:
        run.anonymize(plan, plan.digest, school, tmp_path / "uit.sqlite")
    assert "still to be decided" in str([p.message for p in caught.value.problems])


def test_an_answered_proposal_runs(school: Path, tmp_path: Path) -> None:
    text = propose(str(school)).replace(": decide", ": keep")
    path = tmp_path / "school.yml"
    path.write_text(text)
    plan = load_plan(path)
    target = tmp_path / "uit.sqlite"
    assert run.anonymize(plan, plan.digest, school, target).label == "anonymised"
    joined = "SELECT count(*) FROM cijfer JOIN leerling ON bsn = leerling_bsn"
    assert query(target, joined) == query(school, joined)


def test_values_give_away_what_a_name_does_not(tmp_path: Path) -> None:
    source = tmp_path / "x.sqlite"
    connection = sqlite3.connect(source)
    connection.executescript(
        'CREATE TABLE "rare namen" (a TEXT, "NULL" TEXT, "on" INT);'
        """INSERT INTO "rare namen" VALUES ('jan@voorbeeld.nl', '06-12345678', 1)"""
    )
    connection.close()
    path = tmp_path / "x.yml"
    path.write_text(propose(str(source)))
    rules = load_plan(path).tables["rare namen"].columns
    assert rules["a"].transform == "email"
    assert rules["NULL"].transform == "phone"
    assert rules["on"].transform == "decide"


def test_a_sample_shows_old_and_new_side_by_side_and_writes_nothing(
    school: Path, make_plan: MakePlan
) -> None:
    before = sorted(school.parent.iterdir())
    [pupils, marks] = compare(make_plan(school), str(school), rows=3)
    assert (pupils.table, marks.table) == ("leerling", "cijfer")
    assert len(pupils.before) == len(pupils.after) == 3
    place = pupils.columns.index("bsn")
    assert pupils.transforms[place] == "permute"
    bsns = query(school, "SELECT bsn FROM leerling ORDER BY id LIMIT 3")
    assert [(row[place],) for row in pupils.before] == bsns
    assert all(row[place] != bsn for row, (bsn,) in zip(pupils.after, bsns, strict=True))
    assert sorted(school.parent.iterdir()) == before
