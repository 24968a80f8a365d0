"""What a plan would do to the first rows of each table, side by side, writing nothing.

Shows real values to the person who asks: that is its purpose, and why nothing of it is
kept anywhere.
"""

from __future__ import annotations

import msgspec

from otapgate.anonymize import schema as schemas
from otapgate.anonymize.cover import cover
from otapgate.anonymize.plan import Plan
from otapgate.anonymize.rows import Cell


class Comparison(msgspec.Struct, frozen=True):
    """The changed columns of a table: old and new cells of its first rows."""

    table: str
    mode: str
    columns: tuple[str, ...]
    transforms: tuple[str, ...]
    before: tuple[tuple[Cell, ...], ...]
    """Rows of cells, one cell per column of `columns`."""
    after: tuple[tuple[Cell, ...], ...]


def compare(plan: Plan, url: str, rows: int = 5) -> list[Comparison]:
    """Side by side, for every table that is changed column by column.

    With a key of its own that is gone afterwards, so no run repeats these pseudonyms.
    Raises what `run.anonymize` raises about plan and source.
    """
    from otapgate.anonymize import rows as reading
    from otapgate.anonymize.keys import RunKey
    from otapgate.anonymize.run import scanner_for, transformed
    from otapgate.anonymize.survey import survey
    from otapgate.anonymize.transforms import Engine

    path = schemas.location(url)
    connection = schemas.open_source(path)
    key = RunKey()
    found = []
    try:
        tables = cover(plan, schemas.read_schema(connection, str(path)))
        surveyed = survey(connection, tables, lambda _table, _rows: None)
        engine = Engine(plan, key, surveyed, scanner_for(tables, surveyed))
        for name, covered in tables.items():
            changed = [c for c, rule in covered.rules.items() if rule.transform != "keep"]
            if not changed:
                continue
            columns = [column.name for column in covered.table.stored]
            before: list[tuple[Cell, ...]] = []
            after: list[tuple[Cell, ...]] = []
            for batch in reading.read(connection, covered.table, columns, limit=rows):
                made = transformed(covered, engine, columns, batch)
                places = [columns.index(column) for column in changed]
                before += zip(*(batch[place] for place in places), strict=True)
                after += zip(*(made[place] for place in places), strict=True)
            found.append(
                Comparison(
                    name,
                    covered.mode,
                    tuple(changed),
                    tuple(covered.rules[column].transform for column in changed),
                    tuple(before),
                    tuple(after),
                )
            )
    finally:
        key.destroy()
        connection.close()
    return found
