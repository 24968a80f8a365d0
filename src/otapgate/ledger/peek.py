"""Reading a ledger without SQLAlchemy, for commands that only look.

The same answers as `storage` (tests hold the two together), with nothing but the
standard library's sqlite3 and a connection that can't write. Every function raises
Integrity as `storage.Ledger` does: missing, no database, of something else, of a newer
otapgate, damaged, with other tables or triggers than it was made with.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from otapgate.canonical import JSON
from otapgate.i18n import _
from otapgate.ledger import merkle, schema, sqlite
from otapgate.ledger.details import DetailRow, opened
from otapgate.ledger.statement import Head

_DETAILS = """
    SELECT d.position, d.field, d.commitment, d.salt, d.value, e.statement
    FROM detail d JOIN entry e ON e.position = d.position
"""


def peek(path: Path, size: int | None = None) -> Head:
    """The head now, or as it was at `size` entries; Integrity for more than there are."""
    with _opened(path) as (raw, origin):
        (last,) = raw.execute("SELECT max(position) FROM entry").fetchone()
        now = sqlite.size_of(last, path)
        size = now if size is None else size
        if not 0 <= size <= now:
            raise sqlite.too_short(path, size, now)

        def node(level: int, index: int) -> bytes:
            query = "SELECT hash FROM node WHERE level = ? AND idx = ?"
            if level == 0:
                query = "SELECT leaf FROM entry WHERE ? = 0 AND position = ?"
            for (found,) in raw.execute(query, (level, index)):
                return sqlite.hash_of(found, path)
            raise sqlite.damaged(path, _("its tree lacks a node"))

        return Head(origin, size, merkle.root_at(node, size).hex())


def since(path: Path, start: int, stop: int | None = None) -> list[sqlite.SignedRow]:
    """Position, statement and signature of the entries from `start` up to `stop`, or to
    the end. Raises Integrity where one in between is lacking: who folds entries into a
    state must not miss a revocation."""
    with _opened(path) as (raw, _origin):
        rows = raw.execute(
            "SELECT position, statement, signature FROM entry"
            " WHERE position >= ? AND position < ? ORDER BY position",
            (start, 1 << 62 if stop is None else stop),
        ).fetchall()
    for expected, row in enumerate(rows, start):
        if row[0] != expected:
            raise sqlite.damaged(path, _("entry {n} is missing").format(n=expected))
    return [sqlite.typed(row, sqlite.SignedRow, path) for row in rows]


def details_at(path: Path, position: int) -> dict[str, JSON]:
    """As `storage.Ledger.details`."""
    with _opened(path) as (raw, _origin):
        rows = raw.execute(_DETAILS + " WHERE d.position = ?", (position,)).fetchall()
    return _open(rows, path).get(position, {})


def details(path: Path, prefix: str) -> dict[int, dict[str, JSON]]:
    """Personal values whose field begins with `prefix`, by the entry's position and field.
    Whoever may sign anything can write any field: which entries count is the caller's."""
    with _opened(path) as (raw, _origin):
        rows = raw.execute(
            _DETAILS + " WHERE substr(d.field, 1, ?) = ? ORDER BY d.position",
            (len(prefix), prefix),
        ).fetchall()
    return _open(rows, path)


def _open(rows: list[Any], path: Path) -> dict[int, dict[str, JSON]]:
    return opened(sqlite.typed(row, DetailRow, path) for row in rows)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[sqlite3.Connection, str]]:
    sqlite.check_file(path)
    try:
        with contextlib.closing(sqlite.connect(path)) as raw:
            raw.execute("BEGIN")
            origin = sqlite.read_origin(raw, path)
            # A view in the place of a table would show readers another ledger than the one
            # that is written to and verified.
            if found := schema.differences(raw.execute(schema.QUERY)):
                raise sqlite.altered(path, found)
            yield raw, origin
    except sqlite3.Error as error:
        raise sqlite.explain(error, path) from error
