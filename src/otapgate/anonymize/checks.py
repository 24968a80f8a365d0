"""Checks on the staged result, before anything reaches the target.

Each returns what it found, for the manifest, or raises Failed. The looking for values is
in `leaks`; here it is pointed at every table and at the schema's own text.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

import msgspec

from otapgate.anonymize import rows
from otapgate.anonymize.cover import Covered, walk
from otapgate.anonymize.leaks import Scanner
from otapgate.anonymize.plan import Group, Plan
from otapgate.anonymize.rows import Cell
from otapgate.anonymize.schema import quoted
from otapgate.errors import Failed, Problem
from otapgate.i18n import _

_REMEMBERED = 50_000
"""Cells per column that the scan keeps in mind."""


class Leak(msgspec.Struct, frozen=True):
    """A column of the result in which source values were found, in how many cells."""

    column: str
    count: int


class Smallest(msgspec.Struct, frozen=True):
    """The smallest group of a table that share their quasi-identifiers."""

    table: str
    columns: tuple[str, ...]
    k: int
    wanted: int
    small: int
    """Rows in groups smaller than wanted."""


def look_for_leaks(
    stage: sqlite3.Connection,
    tables: dict[str, Covered],
    scanner: Scanner,
    plan: Plan,
    progress: Callable[[str, int], None],
) -> tuple[list[Leak], list[Leak]]:
    """(leaks, hits that the plan ignores) over every cell of every table and all schema text."""
    from fnmatch import fnmatchcase

    leaks: list[Leak] = []
    ignored: list[Leak] = []

    def note(column: str, count: int) -> None:
        if count:
            known = any(fnmatchcase(column, entry.column) for entry in plan.ignore)
            (ignored if known else leaks).append(Leak(column, count))

    for name, covered in tables.items():
        if covered.mode == "empty":
            continue
        columns = [column.name for column in covered.table.columns]
        counts = dict.fromkeys(columns, 0)
        # Names and places repeat; what has been looked at needs no second look.
        seen: dict[str, set[Cell]] = {column: set() for column in columns}
        for batch in rows.read(stage, covered.table, columns):
            for column, cells in zip(columns, batch, strict=True):
                fresh = set(cells) - seen[column]
                if len(seen[column]) < _REMEMBERED:
                    seen[column] |= fresh
                counts[column] += scanner.count(fresh, whole_is_fine=covered.mode == "keep")
            progress(name, len(batch[0]))
        for column, count in counts.items():
            note(f"{name}.{column}", count)
    for kind, name, sql in stage.execute("SELECT type, name, sql FROM sqlite_master").fetchall():
        note(f"schema:{kind}:{name}", scanner.count([sql]))
        if scanner.holds(name):
            note(f"schema:{kind}", 1)
    if stage.execute("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'").fetchone():
        for name, sequence in stage.execute("SELECT name, seq FROM sqlite_sequence").fetchall():
            note(f"sqlite_sequence:{name}", scanner.count([sequence]))
    return leaks, ignored


def fail_on_leaks(leaks: list[Leak]) -> None:
    """Raises Failed (`leak-found`) naming each column and count, never a value."""
    if leaks:
        raise Failed(
            "leak-found",
            _(
                "Values of the source turn up in {columns} columns of the result; nothing was "
                "loaded."
            ).format(columns=len(leaks)),
            remedy=_(
                "Give these columns a transform (free_text for notes), or say under "
                "`scan: ignore:` why they don't matter."
            ),
            problems=tuple(
                Problem(
                    _("{column}: {count} cells hold a source value.").format(
                        column=leak.column, count=leak.count
                    )
                )
                for leak in leaks
            ),
        )


def compare_counts(
    stage: sqlite3.Connection,
    tables: dict[str, Covered],
    filled: dict[str, dict[str, int]],
    read: dict[str, int],
) -> None:
    """Rows and nulls as in the source. `filled`: cells that aren't null, as read, by table
    and column; `read`: rows as read. Raises Failed (`result-differs`) naming each."""
    problems = []
    for name, covered in tables.items():
        table = quoted(name)
        expected = 0 if covered.mode == "empty" else read[name]
        counted = list(filled.get(name, {}))
        parts = ", ".join(["count(*)", *(f"count({quoted(c)})" for c in counted)])
        found = stage.execute(f"SELECT {parts} FROM main.{table}").fetchone()  # noqa: S608
        if found[0] != expected:
            problems.append(
                Problem(
                    _("Table {table} has {found} rows instead of {expected}.").format(
                        table=name, found=found[0], expected=expected
                    )
                )
            )
        if covered.mode == "empty":
            continue
        for column, count in zip(counted, found[1:], strict=True):
            emptied = any(
                each.transform in ("set_null", "drop") for each in walk(covered.rules[column])
            )
            if not emptied and count != filled[name][column]:
                problems.append(
                    Problem(
                        _("Column {column} has {found} values instead of {expected}.").format(
                            column=f"{name}.{column}", found=count, expected=filled[name][column]
                        )
                    )
                )
    if problems:
        raise Failed(
            "result-differs",
            _("The result doesn't have the source's rows and nulls; nothing was loaded."),
            problems=tuple(problems),
        )


def integrity(stage: sqlite3.Connection, source: sqlite3.Connection) -> dict[str, int]:
    """Foreign keys and the file itself. Raises Failed (`result-damaged`).

    A source that already has dangling references may have as many in the result.
    """
    damaged = stage.execute("PRAGMA integrity_check(1)").fetchone()[0]
    dangling = _dangling(stage)
    before = _dangling(source) if dangling else 0
    if damaged != "ok" or dangling > before:
        raise Failed(
            "result-damaged",
            _(
                "The result has {dangling} dangling references (the source {before}), and "
                "SQLite's own check says: {check}. Nothing was loaded."
            ).format(dangling=dangling, before=before, check=damaged),
            remedy=_("Columns that refer to one another need the same domain in the plan."),
        )
    return {"foreign_keys_dangling": dangling}


def _dangling(connection: sqlite3.Connection) -> int:
    return sum(1 for _row in connection.execute("PRAGMA main.foreign_key_check"))


def groups(stage: sqlite3.Connection, wanted: tuple[Group, ...]) -> list[Smallest]:
    """k-anonymity of the result: per demand, the smallest group that shares its
    quasi-identifiers. A table without rows has no group and is left out."""
    found = []
    for group in wanted:
        names = ", ".join(map(quoted, group.columns))
        query = (
            "SELECT min(n), sum(CASE WHEN n < ? THEN n ELSE 0 END) FROM "  # noqa: S608 - quoted
            f"(SELECT count(*) AS n FROM main.{quoted(group.table)} GROUP BY {names})"
        )
        smallest, small = stage.execute(query, (group.k,)).fetchone()
        if smallest is not None:
            found.append(Smallest(group.table, group.columns, smallest, group.k, small))
    return found


def fail_on_small_groups(found: list[Smallest]) -> None:
    """Raises Failed (`group-too-small`) naming each table whose k is below what is asked."""
    small = [group for group in found if group.k < group.wanted]
    if small:
        raise Failed(
            "group-too-small",
            _("Rows of the result stand out by their quasi-identifiers; nothing was loaded."),
            remedy=_("Generalise one of the columns further (year, decade, prefix:N)."),
            problems=tuple(
                Problem(
                    _(
                        "{table}: {small} rows are in groups of fewer than {wanted} that share "
                        "{columns}; the smallest has {k}."
                    ).format(
                        table=g.table,
                        small=g.small,
                        wanted=g.wanted,
                        k=g.k,
                        columns=", ".join(g.columns),
                    )
                )
                for g in small
            ),
        )
