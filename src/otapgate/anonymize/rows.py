"""Rows of SQLite tables as batches of columns, and back into a table.

Bounded memory: at most `BATCH` rows at a time. The digest of what was read is made here
too, so that it covers exactly what was used.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

from otapgate.anonymize.schema import Table, quoted, sqlite_failed
from otapgate.i18n import _

BATCH = 20_000
"""Rows; about 5 MB of Python objects for a table of a dozen columns."""

Cell: TypeAlias = "None | int | float | str | bytes"
Columns: TypeAlias = list[Sequence[Cell]]


class RowDigest:
    """SHA-256 over a table's rows in key order: the same however the file is laid out."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.rows = 0

    def add(self, rows: list[tuple[Cell, ...]]) -> None:
        """Take the next rows into account; how they are cut into batches doesn't matter."""
        # ascii() is exact for None, int, float, str and bytes, tells them apart, and is the
        # only encoder that does whole batches of them at the speed of C.
        self._hash.update(ascii(rows)[1:-1].encode())
        self._hash.update(b", ")
        self.rows += len(rows)

    def value(self) -> str:
        """`sha256:…`."""
        return "sha256:" + self._hash.hexdigest()


def read(
    connection: sqlite3.Connection,
    table: Table,
    columns: Iterable[str],
    *,
    digest: RowDigest | None = None,
    limit: int | None = None,
) -> Iterator[Columns]:
    """Batches of `columns` of `table`, in order of its key.

    Raises Failed (`database-failed`) when SQLite can't read on: a damaged file, or text
    that isn't in the database's encoding.
    """
    names = ", ".join(map(quoted, columns))
    key = ", ".join(quoted(c.name) for c in sorted(table.columns, key=lambda c: c.key) if c.key)
    # Where an ordinary table hides its rowid behind columns of that name, its order is
    # whatever SQLite's scan gives, which is rowid order all the same.
    order = f" ORDER BY {key}" if key else ""
    query = f"SELECT {names} FROM main.{quoted(table.name)}{order}"  # noqa: S608 - quoted
    if limit is not None:
        query += f" LIMIT {int(limit)}"
    try:
        cursor = connection.execute(query)
        while rows := cursor.fetchmany(BATCH):
            if digest is not None:
                digest.add(rows)
            yield list(zip(*rows, strict=True))
    except sqlite3.Error as error:
        raise sqlite_failed(error, _("reading table {table}").format(table=table.name)) from error


def write(
    connection: sqlite3.Connection, table: Table, columns: Sequence[str], batch: Columns
) -> None:
    """Insert a batch; raises Failed (`database-failed`), naming the table, on any refusal."""
    names = ", ".join(map(quoted, columns))
    marks = ", ".join("?" * len(columns))
    try:
        connection.executemany(
            f"INSERT INTO main.{quoted(table.name)} ({names}) VALUES ({marks})",  # noqa: S608
            zip(*batch, strict=True),
        )
    except sqlite3.Error as error:
        raise sqlite_failed(error, _("writing table {table}").format(table=table.name)) from error
