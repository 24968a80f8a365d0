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

    transform: Transform = Field(description="What happens to its values.")
    domain: StrictStr | None = Field(
        default=None,
        description="Columns with the same domain give the same value the same pseudonym; for "
        "fake it is the vocabulary as well, such as person.full_name.",
    )
    value: StrictStr | StrictInt | None = Field(
        default=None, description="constant: the value that all get."
    )
    format: StrictStr | None = Field(
        default=None, description="permute: bsn, iban or digits:N, with N from 6 to 18."
    )
    prefix: StrictStr | None = Field(default=None, description="pseudonym: what it begins with.")
    sources: list[StrictStr] | None = Field(
        default=None,
        alias="from",
        description="email: columns of the same row whose new values make the part before @.",
    )
    host: StrictStr | None = Field(
        default=None,
        description="email: the part after @, under .invalid, .test or .example; left out it is "
        "example.invalid.",
    )
    days: StrictInt | None = Field(
        default=None,
        ge=1,
        le=3650,
        description="date_shift: how many days it moves at most; left out it is 30.",
    )
    by: StrictStr | None = Field(
        default=None, description="date_shift: the column that says whose date it is."
    )
    to: StrictStr | None = Field(
        default=None, description="generalise: year, month, decade or prefix:N."
    )
    mode: Literal["redact", "replace"] | None = Field(
        default=None,
        description="free_text: redact takes all of it out, replace the known values, addresses "
        "and numbers in it; left out it is redact.",
    )
    text: StrictStr | None = Field(default=None, description="free_text: what comes in its place.")
    template: StrictStr | None = Field(
        default=None,
        description="template: a text with new values of the row, such as {first} {last}.",
    )
    column: StrictStr | None = Field(
        default=None, description="case: the column of the same row that says which case it is."
    )
    cases: dict[str, Column] | None = Field(
        default=None, description="case: by value of that column, what happens."
    )
    otherwise: Column | None = Field(
        default=None, description="case: what happens to all other values."
    )
    keep_values: list[StrictStr] | None = Field(
        default=None, description="Texts that stay as they are, such as admin."
    )
    unique: StrictBool | None = Field(
        default=None, description="fake: true gives different values different names."
    )
    scan: StrictBool | None = Field(
        default=None,
        description="false: its values are not looked for in the result; needs a reason.",
    )
    reason: StrictStr | None = Field(default=None, description="Why it is so.")


Column = Annotated[
    ColumnFile, BeforeValidator(_shorthand, json_schema_input_type=Transform | ColumnFile)
]


class TableFile(_File):
    """One table or pattern: exactly one of `keep: all`, `empty: true`, `columns`."""

    keep: Literal["all"] | None = Field(
        default=None, description="all: every row as it is, since none is about a person."
    )
    empty: Literal[True] | None = Field(
        default=None, description="true: no rows; for sessions and logs."
    )
    scan: Literal[False] | None = Field(
        default=None,
        description="false: texts of an emptied table are not looked for in the result.",
    )
    reason: StrictStr | None = Field(
        default=None, description="Why; compulsory with keep and with scan."
    )
    columns: dict[str, Column] | None = Field(
        default=None, description="Column name or pattern, and what happens to it."
    )


class SeenFile(_File):
    """A table when the plan was written."""

    columns: list[StrictStr] = Field(description="Its columns.")
    digest: StrictStr = Field(pattern=r"^[0-9a-f]{16}$", description="Of how it was defined.")


class SchemaFile(_File):
    """The schema that the plan was written for."""

    digest: StrictStr = Field(
        pattern=r"^sha256:[0-9a-f]{64}$", description="Of all tables together."
    )
    tables: dict[str, SeenFile] = Field(description="Every table by name.")


class GroupFile(_File):
    """A k-anonymity demand: no combination of values with fewer rows than k."""

    table: StrictStr = Field(description="The table.")
    columns: list[StrictStr] = Field(
        min_length=1, description="Columns that together could point at somebody."
    )
    k: StrictInt = Field(ge=2, description="How many rows share each combination at least.")


class IgnoreFile(_File):
    """A column of the result in which hits don't count."""

    column: StrictStr = Field(description="TABLE.COLUMN.")
    reason: StrictStr = Field(min_length=10, description="Why a hit there is no leak.")


class ScanFile(_File):
    """Settings of the leak scan."""

    ignore: list[IgnoreFile] = Field(
        default=[], description="Columns of the result in which hits don't count."
    )


class PlanFile(_File):
    """An anonymisation plan: what may leave production, and in what form (CH04-07)."""

    name: StrictStr = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", description="The plan's name.")
    locale: Literal["nl_NL", "en_GB"] = Field(
        default="nl_NL", description="Of which country invented names and places are."
    )
    database_schema: SchemaFile = Field(
        alias="schema",
        description="The tables and columns that it was written for; `otapgate anonymize init` "
        "writes this part.",
    )
    every_table: dict[str, Column] = Field(
        default={}, description="What happens to a column of that name in whatever table."
    )
    tables: dict[str, TableFile] = Field(
        description="Table name or pattern, and what happens to it. An exact name goes first."
    )
    k_anonymity: list[GroupFile] = Field(
        default=[], description="Which combinations of values may not be rare."
    )
    scan: ScanFile = Field(
        default=ScanFile(), description="Settings of the search for leaks in the result."
    )


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
