"""First reading of the source: the different values of every sensitive column.

They are needed before anything is written: numbered pseudonyms are handed out over the
whole set, words of the source are kept out of the vocabulary, and the leak scan looks for
them. They stay in memory; how much that takes grows with the different values, not rows.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence

import polars as pl

from otapgate.anonymize import rows
from otapgate.anonymize.cover import Covered, walk
from otapgate.anonymize.plan import ColumnRule
from otapgate.anonymize.rows import Cell

PASSED = ("keep",)
UNSCANNED = {
    "date_shift": "shifted dates meet other people's dates by chance",
    "generalise": "what is left is meant to be shared by many",
}
"""Transforms whose source values can't be told from coincidence in the result."""


def why_unscanned(rule: ColumnRule) -> str | None:
    """Why source values of a changed column aren't looked for in the result, if they aren't."""
    if not rule.scan:
        return rule.reason
    if rule.transform == "free_text" and rule.mode == "replace":
        return "what is left of the text is meant to stay; the values within it are looked for"
    return UNSCANNED.get(rule.transform)


class Survey:
    """Different values, as text, per table and column and per rule that applies to them."""

    def __init__(self) -> None:
        self.found: list[tuple[str, ColumnRule, pl.Series]] = []
        """`table.column`, the rule (within a case: the case's), the values."""

    def with_transform(self, *transforms: str) -> Iterator[tuple[ColumnRule, pl.Series]]:
        """Rules and values of columns with one of `transforms`."""
        for _where, rule, values in self.found:
            if rule.transform in transforms:
                yield rule, values

    def everything(self) -> pl.Series:
        """All different values of all sensitive columns."""
        parts = [values for _where, _rule, values in self.found]
        return pl.concat(parts).unique() if parts else pl.Series([], dtype=pl.Utf8)


def survey(
    connection: sqlite3.Connection,
    tables: dict[str, Covered],
    progress: Callable[[str, int], None],
) -> Survey:
    """Read every sensitive column once. Emptied tables count too: their values must not
    turn up elsewhere. Raises Failed when the source can't be read."""
    result = Survey()
    for name, covered in tables.items():
        wanted = {
            column: rule
            for column, rule in sensitive(covered).items()
            if any(each.transform not in PASSED for each in walk(rule))
        }
        if not wanted:
            continue
        helpers = {r.column for rule in wanted.values() for r in walk(rule) if r.column}
        columns = [*wanted, *sorted(helpers - set(wanted))]
        parts: dict[tuple[str, ColumnRule], list[pl.Series]] = {}
        for batch in rows.read(connection, covered.table, columns):
            frame = {c: text(cells) for c, cells in zip(columns, batch, strict=True)}
            for column, rule in wanted.items():
                for each, values in _split(rule, frame[column], frame):
                    if each.transform not in PASSED:
                        key = (f"{name}.{column}", each)
                        parts.setdefault(key, []).append(_distinct(values, each))
            progress(name, len(batch[0]))
        for (where, rule), series in parts.items():
            result.found.append((where, rule, pl.concat(series).unique().rename(where)))
    return result


_EMPTIED = ColumnRule(transform="drop")


def sensitive(covered: Covered) -> dict[str, ColumnRule]:
    """Columns whose values must not survive, with their rules."""
    if covered.mode == "keep" or not covered.scan:
        return {}
    if covered.mode == "empty":
        # Of an emptied table only text can hold what is worth looking for; numbers and
        # times in logs and sessions would meet other numbers by chance.
        return {
            column.name: _EMPTIED
            for column in covered.table.stored
            if not column.key and any(t in column.type.upper() for t in ("CHAR", "TEXT", "CLOB"))
        }
    return {name: rule for name, rule in covered.rules.items() if rule.transform != "keep"}


def text(cells: Sequence[Cell]) -> pl.Series:
    """Cells of any SQLite type as a column of text; nulls stay null."""
    try:
        return pl.Series("", cells, dtype=pl.Utf8, strict=True)
    except (TypeError, pl.exceptions.PolarsError):
        return pl.Series("", [as_text(cell) for cell in cells], dtype=pl.Utf8)


def as_text(cell: Cell) -> str | None:
    """One cell as text: bytes as UTF-8, or else byte by byte."""
    if cell is None or isinstance(cell, str):
        return cell
    if isinstance(cell, bytes):
        try:
            return cell.decode()
        except UnicodeDecodeError:
            return cell.decode("latin-1")
    return str(cell)


def _split(
    rule: ColumnRule, values: pl.Series, frame: dict[str, pl.Series]
) -> Iterator[tuple[ColumnRule, pl.Series]]:
    if rule.transform != "case":
        yield rule, values
        return
    which = frame[rule.column or ""]
    rest = pl.repeat(True, values.len(), dtype=pl.Boolean, eager=True)
    for name, case in rule.cases:
        mask = which.eq_missing(name)
        rest &= ~mask
        yield from _split(case, values.filter(mask), {c: s.filter(mask) for c, s in frame.items()})
    if rule.otherwise is not None:
        others = {c: s.filter(rest) for c, s in frame.items()}
        yield from _split(rule.otherwise, values.filter(rest), others)


def _distinct(values: pl.Series, rule: ColumnRule) -> pl.Series:
    values = values.drop_nulls().unique()
    if rule.keep_values:
        values = values.filter(~values.is_in(list(rule.keep_values)))
    return values.filter(values != "")
