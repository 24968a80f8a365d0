"""What a SQLite database is made of: where it is, tables, columns, and what else it holds.

Reads `sqlite_master` and pragmas only; rows are read in `rows`. A feature that can't be
carried over faithfully is refused by name (`unsupported`).
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from otapgate import canonical
from otapgate.errors import BadInput, Failed, Problem
from otapgate.i18n import _


class Column(msgspec.Struct, frozen=True):
    """A column as its table declares it."""

    name: str
    type: str
    not_null: bool
    key: int
    """Place in the primary key, from 1; 0 when not part of it."""
    generated: bool


class Table(msgspec.Struct, frozen=True):
    """A table; `columns` in declared order, generated ones included."""

    name: str
    sql: str
    columns: tuple[Column, ...]
    without_rowid: bool
    unique: tuple[tuple[str, ...], ...]
    """Column sets that must be unique, the primary key among them."""
    digest: str
    """16 hexadecimal digits over the columns, whatever their order."""

    @property
    def stored(self) -> tuple[Column, ...]:
        """Columns that hold data of their own."""
        return tuple(column for column in self.columns if not column.generated)


class Schema(msgspec.Struct, frozen=True):
    """Tables by name, then the statements that come after the rows, and settings."""

    tables: dict[str, Table]
    later: tuple[str, ...]
    """Indexes, views and triggers, in the order of their making."""
    page_size: int
    encoding: str
    user_version: int
    application_id: int
    auto_vacuum: int

    @property
    def digest(self) -> str:
        """`sha256:…` over all tables and columns: what a plan says it was written for."""
        return canonical.digest_of({name: table.digest for name, table in self.ascii_names()})

    def ascii_names(self) -> list[tuple[str, Table]]:
        """Tables under names that canonical JSON takes as keys."""
        return [(ascii(name)[1:-1], table) for name, table in sorted(self.tables.items())]


def location(url: str | Path) -> Path:
    """The file of `sqlite:///path` or of a plain path; raises BadInput for other databases."""
    text = str(url)
    if text.startswith("sqlite:///"):
        text = text.removeprefix("sqlite:///")
    elif "://" in text:
        raise BadInput(
            "source-unsupported",
            _("{scheme} databases can't be anonymised yet; SQLite can.").format(
                scheme=text.split("://", 1)[0]
            ),
            remedy=_("Give sqlite:///path or the path of a SQLite file."),
        )
    if not text or "\0" in text:
        raise BadInput("source-unsupported", _("No database file is named."))
    return Path(text)


def uri(path: Path, mode: str) -> str:
    """SQLite's own spelling of a file to open in `mode` (ro, rw)."""
    return f"file:{quote(str(path.absolute()))}?mode={mode}"


def quoted(name: str) -> str:
    """`name` as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def open_source(path: Path) -> sqlite3.Connection:
    """A read-only connection inside one read transaction: one snapshot, however long.

    Raises BadInput (`source-unreadable`) when it isn't there or isn't a SQLite database.
    """
    if not path.is_file():
        raise BadInput(
            "source-unreadable",
            _("There is no database file {path}.").format(path=path),
            where=str(path),
        )
    try:
        connection = sqlite3.connect(uri(path, "ro"), uri=True, isolation_level=None)
        # Sorting must not spill real data into temporary files; a hostile schema must not
        # call anything.
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error as error:
        raise BadInput(
            "source-unreadable",
            _("{path} can't be read as a SQLite database: {error}.").format(path=path, error=error),
            remedy=_(
                "Check the path; if its application stopped halfway, start it once so that "
                "SQLite can finish."
            ),
            where=str(path),
        ) from error
    return connection


def read_schema(connection: sqlite3.Connection, where: str) -> Schema:
    """The schema; raises BadInput (`schema-unsupported`) naming everything unsupported."""
    problems: list[Problem] = []
    tables: dict[str, Table] = {}
    later: list[str] = []
    listed = {row[1]: row for row in connection.execute("PRAGMA main.table_list")}
    rows = connection.execute("SELECT type, name, sql FROM sqlite_master ORDER BY rowid").fetchall()
    for kind, name, sql in rows:
        if name.startswith("sqlite_"):
            continue
        if kind != "table":
            if sql is not None:
                later.append(sql)
        elif listed[name][2] in ("virtual", "shadow"):
            problems.append(
                Problem(
                    _("Table {table} is a virtual table or belongs to one.").format(table=name),
                    where,
                    remedy=_(
                        "Its index holds copies of the data in a form of its own; drop it from "
                        "a copy of the source, and rebuild it in the target."
                    ),
                )
            )
        else:
            tables[name] = _table(connection, name, sql, bool(listed[name][4]))
    if problems:
        raise BadInput(
            "schema-unsupported",
            _("The database has features that can't be carried over faithfully."),
            where=where,
            problems=tuple(problems),
        )

    def pragma(name: str) -> int:
        return int(connection.execute(f"PRAGMA main.{name}").fetchone()[0])

    return Schema(
        tables=tables,
        later=tuple(later),
        page_size=pragma("page_size"),
        encoding=str(connection.execute("PRAGMA encoding").fetchone()[0]),
        user_version=pragma("user_version"),
        application_id=pragma("application_id"),
        auto_vacuum=pragma("auto_vacuum"),
    )


def _table(connection: sqlite3.Connection, name: str, sql: str, without_rowid: bool) -> Table:
    columns = tuple(
        Column(row[1], row[2], bool(row[3]), row[5], row[6] in (2, 3))
        for row in connection.execute(f"PRAGMA table_xinfo({quoted(name)})")
    )
    unique: list[tuple[str, ...]] = []
    key = [c.name for c in sorted(columns, key=lambda c: c.key) if c.key]
    if key:
        unique.append(tuple(key))
    for _seq, index, is_unique, *_rest in connection.execute(
        f"PRAGMA index_list({quoted(name)})"
    ).fetchall():
        if is_unique:
            parts = [r[2] for r in connection.execute(f"PRAGMA index_info({quoted(index)})")]
            if None not in parts and tuple(parts) not in unique:
                unique.append(tuple(parts))
    described: list[Any] = sorted(
        [c.name, c.type.upper(), c.not_null, c.key, c.generated] for c in columns
    )
    digest = canonical.digest_of(described).removeprefix("sha256:")[:16]
    return Table(name, sql, columns, without_rowid, tuple(unique), digest)


def sqlite_failed(error: Exception, doing: str) -> Failed:
    """SQLite's complaint as an error of ours; its text names tables, never values."""
    return Failed(
        "database-failed",
        _("SQLite failed while {doing}: {error}.").format(doing=doing, error=error),
    )
