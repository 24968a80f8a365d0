"""The database after an upgrade: whole, and with everybody still in it."""

import json
import os
import sqlite3
from pathlib import Path

ENVIRONMENT = json.loads(Path(os.environ["OTAPGATE_ENVIRONMENT"]).read_text("utf-8"))


def _database():
    (host,) = ENVIRONMENT["hosts"]
    return sqlite3.connect(f"file:{host['variables']['database']}?mode=ro", uri=True)


def test_the_database_passes_its_own_integrity_check():
    assert _database().execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_there_are_people():
    (count,) = _database().execute("SELECT count(*) FROM party_party").fetchone()
    assert count > 20


def test_every_address_belongs_to_somebody():
    (orphans,) = (
        _database()
        .execute(
            "SELECT count(*) FROM party_address WHERE party NOT IN (SELECT id FROM party_party)"
        )
        .fetchone()
    )
    assert orphans == 0
