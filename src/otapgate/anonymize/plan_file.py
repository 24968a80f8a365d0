"""What people write in an anonymisation plan (`anonymizers/NAME.yml`), and its checks.

Only the file in itself: whether tables and columns exist is `cover`'s question. Loaded
only when a plan is read, because pydantic takes a while to import.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StrictInt, StrictStr

from otapgate import canonical
from otapgate.anonymize import plan as typed
from otapgate.anonymize.vocabulary import DOMAINS
from otapgate.errors import Problem
from otapgate.i18n import _
from otapgate.landscape import yaml_positions

Transform = Literal[
    "keep", "drop", "set_null", "constant", "fake", "pseudonym", "permute", "date_shift",
    "generalise", "free_text", "email", "phone", "template", "case", "decide",
]  # fmt: skip

_ANY = {"transform", "reason", "keep_values", "scan"}
_OPTIONS: dict[str, set[str]] = {
    "keep": set(),
    "drop": set(),
    "set_null": set(),
    "constant": {"value"},
    "fake": {"domain", "unique"},
    "pseudonym": {"domain", "prefix"},
    "permute": {"format", "domain"},
    "date_shift": {"by", "days", "domain"},
    "generalise": {"to"},
    "free_text": {"mode", "text"},
    "email": {"sources", "host", "domain"},
    "phone": {"domain"},
    "template": {"template"},
    "case": {"column", "cases", "otherwise"},
    "decide": set(),
}
_NEEDED: dict[str, set[str]] = {
    "constant": {"value"},
    "fake": {"domain"},
    "permute": {"format"},
    "date_shift": {"by"},
    "generalise": {"to"},
    "template": {"template"},
    "case": {"column", "cases", "otherwise"},
}
FORMATS = re.compile(r"bsn|iban|digits:([6-9]|1[0-8])")
GENERAL = re.compile(r"year|month|decade|prefix:[1-9][0-9]?")


def _shorthand(value: object) -> object:
    return {"transform": value} if isinstance(value, str) else value


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class ColumnFile(_File):
    """One column: its transform and that transform's options. A bare word is a transform."""

    transform: Transform
    domain: StrictStr | None = None
    value: StrictStr | StrictInt | None = None
    format: StrictStr | None = None
    prefix: StrictStr | None = None
    sources: list[StrictStr] | None = Field(default=None, alias="from")
    host: StrictStr | None = None
    days: StrictInt | None = Field(default=None, ge=1, le=3650)
    by: StrictStr | None = None
    to: StrictStr | None = None
    mode: Literal["redact", "replace"] | None = None
    text: StrictStr | None = None
    template: StrictStr | None = None
    column: StrictStr | None = None
    cases: dict[str, Column] | None = None
    otherwise: Column | None = None
    keep_values: list[StrictStr] | None = None
    unique: StrictBool | None = None
    scan: StrictBool | None = None
    reason: StrictStr | None = None


Column = Annotated[ColumnFile, BeforeValidator(_shorthand)]


class TableFile(_File):
    """One table or pattern: exactly one of `keep: all`, `empty: true`, `columns`."""

    keep: Literal["all"] | None = None
    empty: Literal[True] | None = None
    scan: Literal[False] | None = None
    reason: StrictStr | None = None
    columns: dict[str, Column] | None = None


class SeenFile(_File):
    """A table when the plan was written."""

    columns: list[StrictStr]
    digest: StrictStr = Field(pattern=r"^[0-9a-f]{16}$")


class SchemaFile(_File):
    """The schema that the plan was written for."""

    digest: StrictStr = Field(pattern=r"^sha256:[0-9a-f]{64}$")
    tables: dict[str, SeenFile]


class GroupFile(_File):
    """A k-anonymity demand."""

    table: StrictStr
    columns: list[StrictStr] = Field(min_length=1)
    k: StrictInt = Field(ge=2)


class IgnoreFile(_File):
    """A column of the result in which hits don't count."""

    column: StrictStr
    reason: StrictStr = Field(min_length=10)


class ScanFile(_File):
    """Settings of the leak scan."""

    ignore: list[IgnoreFile] = []


class PlanFile(_File):
    """A whole anonymisation plan."""

    name: StrictStr = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    locale: Literal["nl_NL", "en_GB"] = "nl_NL"
    database_schema: SchemaFile = Field(alias="schema")
    every_table: dict[str, Column] = {}
    tables: dict[str, TableFile]
    k_anonymity: list[GroupFile] = []
    scan: ScanFile = ScanFile()


def read(path: Path, file: str) -> tuple[typed.Plan | None, list[Problem]]:
    """The plan in `path` and every problem of it; the plan is None when there are any."""
    raw = yaml_positions.read_bytes(path, file)
    if isinstance(raw, Problem):
        return None, [raw]
    document = yaml_positions.load(raw, file)
    parsed, problems = yaml_positions.validate(document, PlanFile)
    if parsed is None:
        return None, list(problems)
    problems += _checks(parsed, document)
    if problems:
        return None, problems
    lines = {}
    for table, entry in parsed.tables.items():
        lines[table] = document.line(("tables", table)) or 0
        for name in entry.columns or {}:
            lines[f"{table}.{name}"] = document.line(("tables", table, "columns", name)) or 0
    return _typed(parsed, file, canonical.digest(raw), lines), []


def _checks(parsed: PlanFile, document: yaml_positions.Document) -> Iterator[Problem]:
    """What the model's types can't say."""
    for table, entry in parsed.tables.items():
        loc: tuple[str | int, ...] = ("tables", table)
        given = [n for n in ("keep", "empty", "columns") if getattr(entry, n) is not None]
        if len(given) != 1:
            yield document.problem(
                _(
                    "Table {table} needs exactly one of keep, empty and columns; it has {given}."
                ).format(table=table, given=", ".join(given) or _("none")),
                loc,
                _("Write `keep: all` with a reason, `empty: true`, or `columns:`."),
            )
        if entry.keep and len(entry.reason or "") < 10:
            yield document.problem(
                _("Table {table} is kept whole without a reason.").format(table=table),
                loc,
                _("Add `reason:` that says why no row of it is about a person."),
            )
        if entry.scan is False and not (entry.empty and entry.reason):
            yield document.problem(
                _("`scan: false` is for emptied tables, and needs a reason."), (*loc, "scan")
            )
        for name, column in (entry.columns or {}).items():
            yield from _column_checks(column, document, (*loc, "columns", name))
    for name, column in parsed.every_table.items():
        yield from _column_checks(column, document, ("every_table", name))


def _column_checks(
    column: ColumnFile, document: yaml_positions.Document, loc: tuple[str | int, ...]
) -> Iterator[Problem]:
    kind = column.transform
    given = {n for n in ColumnFile.model_fields if getattr(column, n) is not None}
    for name in sorted(given - _ANY - _OPTIONS[kind]):
        yield document.problem(
            _("The transform {transform} has no option {option}.").format(
                transform=kind, option=_written(name)
            ),
            (*loc, _written(name)),
            _("Its options: {options}.").format(
                options=", ".join(sorted(map(_written, _OPTIONS[kind]))) or _("none")
            ),
        )
    for name in sorted(_NEEDED.get(kind, set()) - given):
        yield document.problem(
            _("The transform {transform} needs {option}.").format(
                transform=kind, option=_written(name)
            ),
            loc,
        )
    if kind == "fake" and column.domain and column.domain not in DOMAINS:
        yield document.problem(
            _("There is no vocabulary {domain}.").format(domain=column.domain),
            (*loc, "domain"),
            _("Choose from: {domains}.").format(domains=", ".join(sorted(DOMAINS))),
        )
    if column.format and not FORMATS.fullmatch(column.format):
        yield document.problem(
            _("{format} is not a format that can be permuted.").format(format=column.format),
            (*loc, "format"),
            _("Choose bsn, iban or digits:N with N from 6 to 18; fewer digits hide nothing."),
        )
    if column.to and not GENERAL.fullmatch(column.to):
        yield document.problem(
            _("{to} is not something to generalise to.").format(to=column.to),
            (*loc, "to"),
            _("Choose year, month, decade or prefix:N."),
        )
    if column.host and not column.host.endswith((".invalid", ".test", ".example")):
        yield document.problem(
            _("Mail to {host} could reach somebody.").format(host=column.host),
            (*loc, "host"),
            _("Use a name under .invalid, .test or .example (RFC 2606)."),
        )
    if column.scan is False and not column.reason:
        yield document.problem(
            _("This column is left out of the leak scan without a reason."),
            loc,
            _("Add `reason:`, or leave `scan` out."),
        )
    for name, case in (column.cases or {}).items():
        yield from _column_checks(case, document, (*loc, "cases", name))
    if column.otherwise:
        yield from _column_checks(column.otherwise, document, (*loc, "otherwise"))


def _written(name: str) -> str:
    return "from" if name == "sources" else name


def _rule(column: ColumnFile) -> typed.ColumnRule:
    options: dict[str, Any] = {
        name: value
        for name in ColumnFile.model_fields
        if (value := getattr(column, name)) is not None
    }
    for name in ("sources", "keep_values"):
        if name in options:
            options[name] = tuple(options[name])
    if column.cases is not None:
        options["cases"] = tuple((n, _rule(case)) for n, case in column.cases.items())
    if column.otherwise is not None:
        options["otherwise"] = _rule(column.otherwise)
    return typed.ColumnRule(**options)


def _typed(parsed: PlanFile, file: str, digest: str, lines: dict[str, int]) -> typed.Plan:
    return typed.Plan(
        name=parsed.name,
        file=file,
        locale=parsed.locale,
        schema_digest=parsed.database_schema.digest,
        seen={
            name: typed.Seen(tuple(seen.columns), seen.digest)
            for name, seen in parsed.database_schema.tables.items()
        },
        every_table={name: _rule(column) for name, column in parsed.every_table.items()},
        tables={
            name: typed.TableRule(
                mode="keep" if entry.keep else "empty" if entry.empty else "columns",
                reason=entry.reason,
                columns={c: _rule(column) for c, column in (entry.columns or {}).items()},
                scan=entry.scan is not False,
            )
            for name, entry in parsed.tables.items()
        },
        k_anonymity=tuple(
            typed.Group(table=g.table, columns=tuple(g.columns), k=g.k) for g in parsed.k_anonymity
        ),
        ignore=tuple(typed.Ignored(i.column, i.reason) for i in parsed.scan.ignore),
        digest=digest,
        lines=lines,
    )
