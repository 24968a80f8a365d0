"""Tests of a database, by what the environment's file says of it.

`database_url` is where it is (SQLAlchemy's form); `database_expected` what must be there:
`tables` with the least number of rows, `quickest` with milliseconds for each question.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

ABOUT = json.loads(Path(os.environ["OTAPGATE_ENVIRONMENT"]).read_text())


def variable(name: str) -> Any:
    """A variable of the only host that has it, or of the environment."""
    for host in ABOUT["hosts"]:
        if name in host["variables"]:
            return host["variables"][name]
    assert name in ABOUT["variables"], f"set {name} in the environment's file"
    return ABOUT["variables"][name]


@pytest.fixture(scope="module")
def connection() -> Any:
    engine = sa.create_engine(variable("database_url"))
    with engine.connect() as opened:
        yield opened
    engine.dispose()


def expected(part: str) -> dict[str, int]:
    found: dict[str, int] = variable("database_expected").get(part, {})
    assert found, f"say under database_expected what of {part} must be there"
    return found


def test_tables_are_all_there(connection: Any) -> None:
    there = set(sa.inspect(connection).get_table_names())
    missing = sorted(set(expected("tables")) - there)
    assert not missing, f"missing: {missing}"


def test_rows_were_not_lost(connection: Any) -> None:
    too_few = []
    for table, least in expected("tables").items():
        rows = connection.scalar(sa.select(sa.func.count()).select_from(sa.table(table)))
        if rows < least:
            too_few.append(f"{table}: {rows} of at least {least}")
    assert not too_few, too_few


def test_references_lead_somewhere(connection: Any) -> None:
    """Every foreign key has its row: engines that don't enforce them let them rot."""
    inspector = sa.inspect(connection)
    lost = []
    for name in inspector.get_table_names():
        for key in inspector.get_foreign_keys(name):
            columns: list[Any] = [sa.column(c) for c in key["constrained_columns"]]
            child = sa.table(name, *columns).alias("child")
            parents: list[Any] = [sa.column(c) for c in key["referred_columns"]]
            parent = sa.table(key["referred_table"], *parents).alias("parent")
            pairs = zip(key["constrained_columns"], key["referred_columns"], strict=True)
            match = sa.and_(*(child.c[mine] == parent.c[theirs] for mine, theirs in pairs))
            orphans = (
                sa.select(sa.func.count())
                .select_from(child)
                .where(*(child.c[c.name].is_not(None) for c in columns))
                .where(~sa.exists().where(match))
            )
            number = connection.scalar(orphans)
            if number:
                lost.append(f"{name} → {key['referred_table']}: {number}")
    assert not lost, lost


def test_quick_enough(connection: Any) -> None:
    slow = []
    for question, limit in expected("quickest").items():
        begin = time.monotonic()
        connection.execute(sa.text(question)).fetchall()
        took = round((time.monotonic() - begin) * 1000)
        if took > limit:
            slow.append(f"{question}: {took} ms, and {limit} ms is the limit")
    assert not slow, slow
