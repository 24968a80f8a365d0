"""The plan in docs/how-to/anonymise-test-data.md works as the page says."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

from otapgate.anonymize import run
from otapgate.anonymize.plan_file import _OPTIONS

from .conftest import MakePlan

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "anonymise-test-data.md"


def test_the_plan_of_the_guide_runs(tmp_path: Path, make_plan: MakePlan) -> None:
    [plan] = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    source = tmp_path / "school.sqlite"
    connection = sqlite3.connect(source)
    connection.executescript(
        "CREATE TABLE land (id INTEGER PRIMARY KEY, naam TEXT);"
        "CREATE TABLE sessie (id INTEGER PRIMARY KEY, token TEXT);"
        "CREATE TABLE leerling (id INTEGER PRIMARY KEY, bsn TEXT UNIQUE, voornaam TEXT,"
        " achternaam TEXT, email TEXT, telefoon TEXT, geboren DATE, opmerking TEXT);"
    )
    connection.executemany(
        "INSERT INTO leerling VALUES (NULL, ?, 'Willemijn', 'Oosterbaan', ?, NULL, ?, NULL)",
        [(str(i), f"w{i}@voorbeeld.nl", f"2012-0{i}-01") for i in range(1, 6)],
    )
    connection.commit()
    connection.close()
    made = make_plan(source, plan)
    result = run.anonymize(made, made.digest, source, tmp_path / "uit.sqlite")
    assert result.label == "anonymised"
    assert result.k == 5


def test_the_guide_names_every_transform_and_option() -> None:
    table = dict(re.findall(r"^\| `(\w+)` \|(.*)$", PAGE.read_text(), re.M))
    assert set(table) == set(_OPTIONS)
    for name, options in _OPTIONS.items():
        for option in options:
            assert f"`{'from' if option == 'sources' else option}" in table[name], (name, option)
