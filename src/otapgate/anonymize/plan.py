"""An anonymisation plan as typed values, and reading one from its file.

What the file may hold is in `plan_file`; whether a plan covers a database is in `cover`.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from otapgate.errors import BadInput, Problem
from otapgate.i18n import _


class ColumnRule(msgspec.Struct, frozen=True, kw_only=True):
    """What happens to one column. Only the options of its transform are set."""

    transform: str
    domain: str | None = None
    """Columns with the same domain give the same value the same pseudonym."""
    value: str | int | None = None
    format: str | None = None
    prefix: str = ""
    sources: tuple[str, ...] = ()
    """E-mail: columns of the same row whose new values make the local part."""
    host: str = "example.invalid"
    days: int = 30
    by: str | None = None
    """Date shift: the column that says whose date it is."""
    to: str | None = None
    mode: str = "redact"
    text: str = ""
    template: str = ""
    column: str | None = None
    """Case: the column of the same row that says which case it is."""
    cases: tuple[tuple[str, ColumnRule], ...] = ()
    otherwise: ColumnRule | None = None
    keep_values: tuple[str, ...] = ()
    unique: bool = False
    scan: bool = True
    """False: source values of this column are not looked for in the result."""
    reason: str | None = None


class TableRule(msgspec.Struct, frozen=True, kw_only=True):
    """What happens to one table: kept whole, emptied, or column by column."""

    mode: str
    """`keep`, `empty` or `columns`."""
    reason: str | None = None
    columns: dict[str, ColumnRule] = {}
    scan: bool = True
    """Emptied tables: whether their texts are looked for in the rest of the result."""


class Seen(msgspec.Struct, frozen=True):
    """A table as it was when the plan was written."""

    columns: tuple[str, ...]
    digest: str


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Quasi-identifiers of a table, and how many rows must share each combination."""

    table: str
    columns: tuple[str, ...]
    k: int


class Ignored(msgspec.Struct, frozen=True):
    """A column of the result in which hits of the leak scan don't count, and why."""

    column: str
    reason: str


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A whole plan, valid in itself."""

    name: str
    file: str
    locale: str
    schema_digest: str
    seen: dict[str, Seen]
    every_table: dict[str, ColumnRule]
    tables: dict[str, TableRule]
    """By table name or pattern, in the file's order."""
    k_anonymity: tuple[Group, ...] = ()
    ignore: tuple[Ignored, ...] = ()
    digest: str
    """Of the file's bytes."""
    lines: dict[str, int] = {}
    """Line of each entry under `tables`, by table and by `table.column`."""

    def problem(self, message: str, key: str = "", remedy: str | None = None) -> Problem:
        """A `Problem` at the line of table or `table.column` `key`."""
        line = self.lines.get(key) or self.lines.get(key.rsplit(".", 1)[0])
        return Problem(message, self.file, line, remedy)


def load_plan(path: Path, file: str | None = None) -> Plan:
    """Read and check the plan at `path`, shown to the user as `file`.

    Raises BadInput (`plan-invalid`) with every problem of the file at once.
    """
    from otapgate.anonymize.plan_file import read

    shown = file or str(path)
    plan, problems = read(path, shown)
    if plan is None or problems:
        raise BadInput(
            "plan-invalid",
            _("The anonymisation plan {file} is not valid.").format(file=shown),
            remedy=_("Mend what is listed and run the command again."),
            where=shown,
            problems=tuple(problems),
        )
    return plan


def check_file(path: Path, root: Path) -> list[Problem]:
    """Every problem of the plan at `path` in the landscape at `root`."""
    from otapgate.anonymize.plan_file import read

    return read(path, str(path.relative_to(root)))[1]
