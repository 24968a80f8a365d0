"""A database that isn't as it was made is written to no more, and what differs is named."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from otapgate import errors
from otapgate.ledger import schema, tables
from otapgate.ledger.storage import Ledger
from otapgate.ledger.verify import verify

from .conftest import MemorySigner, write

SWALLOW = (
    "CREATE TRIGGER q1 BEFORE INSERT ON entry BEGIN SELECT RAISE(IGNORE); END",
    "CREATE TRIGGER q2 BEFORE INSERT ON detail BEGIN SELECT RAISE(IGNORE); END",
    "CREATE TRIGGER q3 BEFORE INSERT ON node BEGIN SELECT RAISE(IGNORE); END",
)
FORGET = (
    "CREATE TRIGGER q1 AFTER INSERT ON entry BEGIN"
    " DELETE FROM entry WHERE position = NEW.position; END",
    "CREATE TRIGGER q1 AFTER INSERT ON entry BEGIN"
    " UPDATE entry SET signature = 'x' WHERE position = NEW.position; END",
    "CREATE TRIGGER q1 AFTER INSERT ON entry BEGIN"
    " INSERT INTO entry VALUES (NEW.position + 1, x'', '', zeroblob(32)); END",
    "CREATE TRIGGER q1 AFTER INSERT ON node BEGIN"
    " UPDATE node SET hash = zeroblob(32) WHERE level = NEW.level; END",
    "CREATE TRIGGER q1 AFTER INSERT ON detail BEGIN"
    " UPDATE detail SET salt = NULL, value = NULL WHERE position = NEW.position; END",
)


def plant(path: Path, *statements: str) -> None:
    with sqlite3.connect(path) as base:
        for sql in statements:
            base.execute(sql)
    base.close()


def rows(path: Path) -> list[tuple[str, str, str, str | None]]:
    with sqlite3.connect(path) as base:
        found = base.execute(schema.QUERY).fetchall()
    base.close()
    return found


def test_what_create_makes_is_what_is_expected(ledger: Ledger, path: Path) -> None:
    assert ledger.faults() == []
    assert schema.differences(rows(path)) == []


def test_white_space_makes_no_difference(ledger: Ledger, path: Path) -> None:
    spread = [
        (kind, name, table, sql and sql.replace(",", " ,\n\t"))
        for kind, name, table, sql in rows(path)
        if kind == "table" and name in ("meta", "detail")
    ]
    told = schema.differences(spread)
    assert not [one for one in told if "'meta'" in one and "missing" not in one]


def test_queries_know_the_columns_that_there_are(ledger: Ledger, path: Path) -> None:
    with sqlite3.connect(path) as base:
        for table in (tables.meta, tables.entry, tables.node, tables.detail):
            found = base.execute(f"SELECT name FROM pragma_table_info('{table.name}')").fetchall()
            assert table.c.keys() == [name for (name,) in found]
    base.close()


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        (SWALLOW, ["trigger 'q1'", "trigger 'q2'", "trigger 'q3'"]),
        (("CREATE TABLE other (x)",), ["table 'other', which otapgate didn't make"]),
        (("CREATE VIEW shown AS SELECT * FROM entry",), ["view 'shown'"]),
        (("CREATE INDEX quick ON detail (field)",), ["index 'quick'"]),
        (("DROP TRIGGER entry_kept",), ["trigger 'entry_kept' is missing"]),
        (("DROP INDEX ix_detail_position",), ["index 'ix_detail_position' is missing"]),
        (
            (
                "DROP TRIGGER entry_next",
                "CREATE TRIGGER entry_next BEFORE INSERT ON entry BEGIN SELECT 1; END",
            ),
            ["trigger 'entry_next' isn't as otapgate makes it"],
        ),
        (
            ("ALTER TABLE meta RENAME TO meta_", "CREATE VIEW meta AS SELECT * FROM meta_"),
            ["view 'meta'", "table 'meta_'", "table 'meta' is missing"],
        ),
        (("ALTER TABLE entry ADD COLUMN more",), ["table 'entry' isn't as otapgate makes it"]),
    ],
)
def test_a_database_of_another_make_is_not_written_to(
    ledger: Ledger, path: Path, signer: MemorySigner, sql: tuple[str, ...], told: list[str]
) -> None:
    _position, sealed, _signature = write(ledger, signer, notes="x")
    head, details = ledger.head(), ledger.all_details()
    plant(path, *sql)
    for way in (
        lambda: write(ledger, signer, notes="y"),
        lambda: ledger.erase_detail(sealed.details[0].commitment),
    ):
        with pytest.raises(errors.Integrity) as caught:
            way()
        assert caught.value.code == "ledger-altered"
        named = " | ".join(one.message for one in caught.value.problems)
        assert all(one in named for one in told)
    assert (ledger.head(), ledger.all_details()) == (head, details)
    found = " | ".join(one.what for one in verify(ledger).problems)
    assert all(one in found for one in told)


@pytest.mark.parametrize("sql", [*SWALLOW, *FORGET])
def test_what_the_database_does_not_give_back_is_not_recorded(
    ledger: Ledger,
    path: Path,
    signer: MemorySigner,
    monkeypatch: pytest.MonkeyPatch,
    sql: str,
) -> None:
    """Even where the make of the database says nothing."""
    write(ledger, signer, notes="x")
    head, details = ledger.head(), ledger.all_details()
    monkeypatch.setattr(schema, "differences", lambda _rows: [])
    plant(path, *(f"DROP TRIGGER {table}_unchanged" for table in ("entry", "node")))
    plant(path, "DROP TRIGGER entry_kept", sql)
    with pytest.raises(errors.Integrity) as caught:
        # Where the entry itself is swallowed, its detail would stumble over that.
        write(ledger, signer, **({} if "ON entry" in sql else {"notes": "y"}))
    assert caught.value.code == "ledger-not-kept"
    assert (ledger.head(), ledger.all_details()) == (head, details)


def test_what_the_database_does_not_erase_is_not_said_to_be(
    ledger: Ledger, path: Path, signer: MemorySigner, monkeypatch: pytest.MonkeyPatch
) -> None:
    _position, sealed, _signature = write(ledger, signer, notes="x")
    monkeypatch.setattr(schema, "differences", lambda _rows: [])
    plant(
        path,
        "DROP TRIGGER detail_only_erased",
        "CREATE TRIGGER q AFTER UPDATE ON detail WHEN NEW.value IS NULL BEGIN"
        " UPDATE detail SET salt = OLD.salt, value = OLD.value"
        " WHERE commitment = OLD.commitment; END",
    )
    with pytest.raises(errors.Integrity) as caught:
        ledger.erase_detail(sealed.details[0].commitment)
    assert caught.value.code == "ledger-not-kept"
    assert ledger.details(0) == {"notes": "x"}
