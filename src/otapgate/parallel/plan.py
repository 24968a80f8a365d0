"""A comparison plan: read from its file, kept in the store, found again by digest.

A parallel run begins with the plan as it is then; a comparison is made by the plan in the
store, and refused when the file has been edited since (CH06-07).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec

from otapgate import canonical
from otapgate.errors import BadInput, Integrity, OtapgateError, Problem
from otapgate.i18n import _
from otapgate.landscape.model import Value
from otapgate.release import collect
from otapgate.release.store import Store

if TYPE_CHECKING:
    from otapgate.landscape.yaml_positions import Document
    from otapgate.parallel.plan_file import ParallelFileModel


class Period(Value, frozen=True):
    """How long at least."""

    days: int
    comparisons: int


class Side(Value, frozen=True):
    """One of the two systems."""

    environment: str
    host: str
    variables: dict[str, str | int]


class Mask(Value, frozen=True):
    """What is blotted out before comparing."""

    name: str
    pattern: str


class Tolerance(Value, frozen=True):
    """How far two numbers may lie apart, as decimal text."""

    absolute: str = "0"
    relative: str = "0"


class Compare(Value, frozen=True, rename={"as_": "as"}):
    """How an output is compared."""

    as_: Literal["text", "csv", "json", "bytes"] = "text"
    key: tuple[str, ...] = ()
    delimiter: str = ","
    decimal_comma: bool = False
    ignore: tuple[str, ...] = ()
    unordered: tuple[str, ...] = ()
    ordered_lines: bool = True
    tolerances: dict[str, Tolerance] = {}  # noqa: RUF012 - msgspec gives each its own
    masks: tuple[Mask, ...] = ()


class Files(Value, frozen=True):
    """Files below a folder."""

    folder: str
    match: tuple[str, ...]


class Http(Value, frozen=True):
    """An address; texts are templates."""

    url: str
    method: str
    headers: dict[str, str]
    body: str
    timeout_seconds: int


class Table(Value, frozen=True):
    """A query on a SQLite database."""

    database: str
    query: str
    timeout_seconds: int


class Report(Value, frozen=True):
    """A program's output."""

    argv: tuple[str, ...]
    timeout_seconds: int


Source: TypeAlias = Files | Http | Table | Report


class Allow(Value, frozen=True):
    """What may differ."""

    share: str
    because: str


class Output(Value, frozen=True):
    """One output, with exactly one source."""

    id: str
    compare: Compare
    files: Files | None
    http: Http | None
    table: Table | None
    report: Report | None
    allow: Allow | None

    @property
    def source(self) -> Source:
        """Where it comes from."""
        found = self.files or self.http or self.table or self.report
        assert found is not None, "the form asks for one"
        return found

    @property
    def kind(self) -> str:
        """`files`, `http`, `table` or `report`."""
        return type(self.source).__name__.lower()


class Plan(Value, frozen=True):
    """A comparison plan as it is kept: its canonical JSON is what the digest is of."""

    plan: str
    app: str
    period: Period
    old: Side
    new: Side
    masks: tuple[Mask, ...]
    outputs: tuple[Output, ...]
    format: Literal["otapgate-parallel-plan/1"] = "otapgate-parallel-plan/1"

    def encoded(self) -> bytes:
        """Canonical JSON."""
        return canonical.encode(msgspec.to_builtins(self, str_keys=True))

    @property
    def digest(self) -> str:
        """By which entries name it."""
        return canonical.digest(self.encoded())


def read(path: Path, root: Path) -> Plan:
    """The plan at `path` in the landscape at `root`. Raises BadInput (`parallel-invalid`)
    with every problem."""
    plan, problems = _survey(path, root)
    if plan is None or problems:
        raise BadInput(
            "parallel-invalid",
            _("{file} is not a comparison plan that can be used.").format(
                file=collect.known_as(path, root)
            ),
            where=problems[0].where if problems else None,
            problems=tuple(problems),
            remedy=problems[0].remedy if len(problems) == 1 else "otapgate schema parallel",
        )
    return plan


def check_file(path: Path, root: Path) -> list[Problem]:
    """Every problem of the plan at `path`; empty when it can be used."""
    return _survey(path, root)[1]


def load(store: Store, digest: str) -> Plan:
    """The plan of that digest; raises Integrity when the store lost or damaged it."""
    try:
        return msgspec.convert(canonical.decode(store.get(digest)), Plan)
    except (canonical.NotCanonical, msgspec.ValidationError) as error:
        raise Integrity(
            "plan-malformed", _("Object {digest} is not a comparison plan.").format(digest=digest)
        ) from error


def _survey(path: Path, root: Path) -> tuple[Plan | None, list[Problem]]:
    from otapgate.landscape import yaml_positions
    from otapgate.parallel.plan_file import ParallelFileModel

    document = yaml_positions.load(path, collect.known_as(path, root))
    form, problems = yaml_positions.validate(document, ParallelFileModel)
    if form is None:
        return None, problems
    plan = msgspec.convert(form.plain(), Plan)
    found = [*problems, *_named(form, path, document), *_templates(plan, document)]
    found += _environments(form, root, document)
    return plan, sorted(found, key=lambda problem: problem.line or 0)


def _named(form: ParallelFileModel, path: Path, document: Document) -> list[Problem]:
    if form.plan == path.stem:
        return []
    return [
        document.problem(
            _("The plan is called {plan}, and its file {file}.").format(
                plan=form.plan, file=path.name
            ),
            ("plan",),
            _("Rename one of the two."),
        )
    ]


def _environments(form: ParallelFileModel, root: Path, document: Document) -> list[Problem]:
    """Both sides are environments of one street, with the host that is named."""
    from otapgate.landscape.load import load as load_landscape

    try:
        landscape = load_landscape(root)
    except OtapgateError:
        return []  # `otapgate check` says what is wrong there
    problems = []
    streets = set()
    for name, side in (("old", form.old), ("new", form.new)):
        environment = landscape.environment(side.environment)
        if environment is None:
            known = ", ".join(e.name for e in landscape.environments())
            problems.append(
                document.problem(
                    _("There is no environment {name}.").format(name=side.environment),
                    (name, "environment"),
                    _("Choose one of: {names}.").format(names=known),
                )
            )
            continue
        streets.add(environment.street)
        hosts = [host.name for host in environment.hosts]
        if side.host and side.host not in hosts:
            problems.append(
                document.problem(
                    _("{environment} has no host {host}.").format(
                        environment=environment.name, host=side.host
                    ),
                    (name, "host"),
                    _("Choose one of: {names}.").format(names=", ".join(hosts)),
                )
            )
    if len(streets) > 1:
        problems.append(
            document.problem(
                _("Old and new are of two streets: {names}.").format(
                    names=", ".join(sorted(streets))
                ),
                ("new", "environment"),
                _("Compare two environments of one street."),
            )
        )
    return problems


def _templates(plan: Plan, document: Document) -> list[Problem]:
    """Templates that can't be read."""
    from otapgate.testing import template

    problems = []
    for number, output in enumerate(plan.outputs):
        for text, below in _texts(output):
            reason = template.fault(text)
            if reason is not None:
                problems.append(
                    document.problem(
                        _("This template can't be read: {reason}.").format(reason=reason),
                        ("outputs", number, output.kind, *below),
                        _("Write a variable as {{ name }}."),
                    )
                )
    return problems


def _texts(output: Output) -> list[tuple[str, tuple[Any, ...]]]:
    match output.source:
        case Files(folder=folder):
            return [(folder, ("folder",))]
        case Http(url=url, headers=headers, body=body):
            return [
                (url, ("url",)), (body, ("body",)),
                *((text, ("headers", name)) for name, text in headers.items()),
            ]  # fmt: skip
        case Table(database=database):
            return [(database, ("database",))]
        case Report(argv=argv):
            return [(text, ("argv", index)) for index, text in enumerate(argv)]
