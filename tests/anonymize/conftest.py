"""A small invented school in SQLite with the features that are awkward to copy."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from otapgate.anonymize import schema as schemas
from otapgate.anonymize.introspect import schema_part
from otapgate.anonymize.plan import Plan, load_plan

DDL = """
CREATE TABLE land (code TEXT PRIMARY KEY COLLATE NOCASE, naam TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE klas (id INTEGER PRIMARY KEY AUTOINCREMENT, naam TEXT);
CREATE TABLE leerling (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  bsn TEXT UNIQUE,
  voornaam TEXT NOT NULL,
  achternaam TEXT,
  volledig TEXT GENERATED ALWAYS AS (voornaam || ' ' || achternaam) VIRTUAL,
  email TEXT UNIQUE,
  telefoon TEXT,
  geboren DATE,
  klas INTEGER REFERENCES klas(id),
  mentor INTEGER REFERENCES leerling(id),
  land TEXT REFERENCES land(code),
  opmerking TEXT,
  foto BLOB
);
CREATE TABLE cijfer (
  leerling_bsn TEXT REFERENCES leerling(bsn), vak TEXT, cijfer REAL, datum DATE,
  PRIMARY KEY (leerling_bsn, vak)
);
CREATE TABLE sessie (id INTEGER PRIMARY KEY, token TEXT, leerling INTEGER);
CREATE INDEX leerling_naam ON leerling(achternaam) WHERE achternaam IS NOT NULL;
CREATE VIEW klassenlijst AS SELECT klas, voornaam FROM leerling;
CREATE TRIGGER tel AFTER INSERT ON leerling BEGIN UPDATE klas SET naam = naam || '!'; END;
PRAGMA user_version = 42;
"""

PLAN = """
name: school
tables:
  land: {keep: all, reason: "Countries of the world, no people in it."}
  klas: {columns: {id: keep, naam: keep}}
  leerling:
    columns:
      id: keep
      bsn: {transform: permute, format: bsn, domain: person.bsn}
      voornaam: {transform: fake, domain: person.first_name}
      achternaam: {transform: fake, domain: person.last_name}
      email: {transform: email, from: [voornaam, achternaam]}
      telefoon: phone
      geboren: {transform: generalise, to: year}
      klas: keep
      mentor: keep
      land: keep
      opmerking: {transform: free_text, mode: replace}
      foto: set_null
  cijfer:
    columns:
      leerling_bsn: {transform: permute, format: bsn, domain: person.bsn}
      vak: keep
      cijfer: keep
      datum: {transform: date_shift, by: leerling_bsn, days: 20}
  sessie: {empty: true}
"""

FIRST = ["Fatima", "Daan", "Lotte", "Joris", "Sanne", "Willemijn", "Thijs", "Noor"]
LAST = ["van Dijkhuizen", "Oosterbaan", "El Amrani", "Kloosterziel", "Zandvliet"]


def bsn(number: int) -> str:
    """The `number`th BSN of the test range 000… that passes the 11-proef."""
    candidate = 0
    stem = 10_000
    while True:
        stem += 1
        digits = f"{stem:08d}"
        check = sum(int(d) * w for d, w in zip(digits, range(9, 1, -1), strict=True)) % 11
        if check < 10:
            candidate += 1
            if candidate > number:
                return f"{digits}{check}"


def fill(connection: sqlite3.Connection, pupils: int = 60) -> None:
    """Invented rows."""
    connection.executemany(
        "INSERT INTO land VALUES (?, ?)", [("NL", "Nederland"), ("BE", "België")]
    )
    connection.executemany("INSERT INTO klas (naam) VALUES (?)", [("1a",), ("1b",), ("2a",)])
    rows = []
    for i in range(pupils):
        first, last = FIRST[i % len(FIRST)], LAST[i % len(LAST)]
        local = f"{first}.{last}.{i}".replace(" ", "").lower()
        rows.append(
            (
                None if i % 20 == 19 else bsn(i),
                first,
                None if i % 15 == 14 else last,
                f"{local}@basisschool-voorbeeld.nl",
                [f"06-{12000000 + i}", f"+31 6 {23000000 + i}", None][i % 3],
                f"{2012 + i % 4}-0{1 + i % 9}-1{i % 10}",
                1 + i % 3,
                None if i == 0 else 1,
                "NL" if i % 2 else "BE",
                f"Gesproken met de ouders van {first} {last}, bel 06-{12000000 + i}.",
                f"{first} {last}".encode(),
            )
        )
    connection.executemany(
        "INSERT INTO leerling (bsn, voornaam, achternaam, email, telefoon, geboren, klas,"
        " mentor, land, opmerking, foto) VALUES (?,?,?,?,?,?,?,?,?,?,?)",
        rows,
    )
    connection.executemany(
        "INSERT INTO cijfer VALUES (?, ?, ?, ?)",
        [
            (row[0], subject, 5.5 + n, f"2025-10-0{n + 1}")
            for row in rows
            if row[0]
            for n, subject in enumerate(("taal", "rekenen"))
        ],
    )
    connection.execute("INSERT INTO sessie VALUES (1, 'geheim-van-productie', 1)")
    connection.execute("UPDATE sqlite_sequence SET seq = 5000 WHERE name = 'leerling'")


@pytest.fixture
def school(tmp_path: Path) -> Path:
    """The source database."""
    path = tmp_path / "bron" / "school.sqlite"
    path.parent.mkdir()
    connection = sqlite3.connect(path)
    connection.executescript(DDL)
    fill(connection)
    connection.commit()
    connection.close()
    return path


MakePlan = Callable[..., Plan]


@pytest.fixture
def make_plan(tmp_path: Path) -> MakePlan:
    """Write a plan for a database and load it: `make_plan(database, text)`."""

    def make(database: Path, text: str = PLAN) -> Plan:
        connection = schemas.open_source(database)
        part = schema_part(schemas.read_schema(connection, str(database)))
        connection.close()
        path = tmp_path / "plan.yml"
        path.write_text(text + part)
        return load_plan(path, "anonymizers/plan.yml")

    return make


def query(path: Path, sql: str) -> list[tuple[object, ...]]:
    """All rows of a query on a database file."""
    connection = sqlite3.connect(path)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()
