"""Reads a test plan's file and finds the files it needs; tells everything that is wrong.

What comes of it is kept by `plan.py`. Nothing is written here.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from otapgate.errors import OtapgateError, Problem
from otapgate.i18n import _
from otapgate.release import collect, paths
from otapgate.release.collect import Source
from otapgate.testing.plan import (
    Case,
    Plan,
    PlanCriterion,
    PlaybookStep,
    Step,
)

if TYPE_CHECKING:
    from otapgate.landscape.yaml_positions import Document
    from otapgate.testing.plan_file import CaseForm, PlanFileModel
    from otapgate.testing.step_forms import StepForm

Loc: TypeAlias = tuple[str | int, ...]


def survey(
    path: Path, root: Path, *, variables: bool = False
) -> tuple[Plan | None, list[Source], list[Problem]]:
    """The plan without its files, the files, and everything that is wrong; with `variables`
    also those that no environment and no release file has."""
    from otapgate.landscape import yaml_positions
    from otapgate.testing.plan_file import PlanFileModel

    document = yaml_positions.load(path, collect.known_as(path, root))
    form, found = yaml_positions.validate(document, PlanFileModel)
    if form is None:
        return None, [], found
    known = _variables(root, form.app) if variables else None
    problems = [*found, *_links(form, document), *_templates(form, document, known)]
    sources = _Files(path, root, document, problems)
    for index, name in enumerate(form.files):
        sources.add(name, ("files", index))
    for number, case in enumerate(form.cases):
        for index, step in enumerate(case.steps):
            loc: Loc = ("cases", number, "steps", index)
            if step.playbook is not None:
                sources.add(step.playbook, (*loc, "playbook"), file=True)
            if step.pytest is not None:
                sources.add(step.pytest.path, (*loc, "pytest", "path"))
                sources.conftests(step.pytest.path)
            if step.security is not None and step.security.tls and step.security.tls.ca:
                sources.add(step.security.tls.ca, (*loc, "security", "tls", "ca"), file=True)
    sources.forgotten(form)
    plan = Plan(
        plan=form.plan,
        app=form.app,
        criteria=tuple(PlanCriterion(c.id, c.kind, c.text) for c in form.criteria),
        cases=tuple(_case(case) for case in form.cases),
        files=(),
        parallel=form.parallel,
        timeout_seconds=form.timeout_seconds or 0,
    )
    files = [sources.found[name] for name in sorted(sources.found)]
    problems += [
        document.problem(
            _("{one} and {other} can't stand side by side.").format(one=one, other=other), ()
        )
        for one, other in paths.collisions(file.path for file in files)
    ]
    return plan, files, sorted(problems, key=lambda problem: problem.line or 0)


def _case(form: CaseForm) -> Case:
    return Case(
        form.id,
        form.criterion,
        form.title,
        tuple(_step(step) for step in form.steps),
        form.after,
        form.alone,
        form.repeat,
        form.timeout_seconds or 0,
    )


def _step(form: StepForm) -> Step:
    if form.playbook is not None:
        return PlaybookStep(_tidy(form.playbook))
    kind = next(name for name in type(form).model_fields if getattr(form, name) is not None)
    plain = getattr(form, kind).model_dump(mode="json", by_alias=True)
    if form.http is not None and form.http.load is not None:
        load = form.http.load
        plain["load"] = {
            "requests": load.requests,
            "concurrency": load.concurrency,
            "warm_up": load.warm_up,
            "limits_ms": load.limits(),
            "errors_percent": load.errors_percent,
        }
    elif form.pytest is not None:
        plain["path"] = _tidy(plain["path"])
    elif form.junit is not None:
        plain["attach"] = plain["attach"] or ""
        plain["skipped"] = plain["skipped"] == "allow"
    elif form.security is not None and form.security.tls is not None:
        plain["tls"]["ca"] = _tidy(plain["tls"]["ca"])
    made: Step = msgspec.convert({**plain, "step": kind}, type=Step)
    return made


def _tidy(path: str) -> str:
    return path.removeprefix("./").rstrip("/")


def _links(form: PlanFileModel, document: Document) -> list[Problem]:
    """Every case is about a criterion that exists, and every criterion has a case."""
    known = [criterion.id for criterion in form.criteria]
    problems = []
    for index, case in enumerate(form.cases):
        if case.criterion not in known:
            close = difflib.get_close_matches(case.criterion, known, n=1)
            problems.append(
                document.problem(
                    _("There is no criterion '{name}' in this plan.").format(name=case.criterion),
                    ("cases", index, "criterion"),
                    _("Did you mean '{name}'?").format(name=close[0])
                    if close
                    else _("Choose one of: {names}.").format(names=", ".join(known)),
                )
            )
    covered = {case.criterion for case in form.cases}
    problems += [
        document.problem(
            _("No case shows whether criterion '{name}' is met.").format(name=name),
            ("criteria", index),
            _("Add a case with 'criterion: {name}'.").format(name=name),
        )
        for index, name in enumerate(known)
        if name not in covered
    ]
    return [*problems, *_order(form, document)]


def _order(form: PlanFileModel, document: Document) -> list[Problem]:
    """Cases come after cases of the plan, and never, by a detour, after themselves."""
    cases = {case.id: case.after for case in form.cases}
    problems = []
    for index, case in enumerate(form.cases):
        for place, name in enumerate(case.after):
            loc: Loc = ("cases", index, "after", place)
            if name not in cases:
                close = difflib.get_close_matches(name, cases, n=1)
                problems.append(
                    document.problem(
                        _("There is no case '{name}' in this plan.").format(name=name),
                        loc,
                        _("Did you mean '{name}'?").format(name=close[0])
                        if close
                        else _("Choose one of: {names}.").format(names=", ".join(cases)),
                    )
                )
            elif case.id in _before(name, cases):
                problems.append(
                    document.problem(
                        _("'{case}' and '{name}' wait for each other.").format(
                            case=case.id, name=name
                        ),
                        loc,
                        _("Leave one of the two out."),
                    )
                )
    return problems


def _before(name: str, cases: dict[str, tuple[str, ...]]) -> set[str]:
    """The case and all that come before it, directly or not."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting += cases.get(one, ())
    return found


_OURS = {"otapgate_environment", "otapgate_release", "otapgate_results", "hosts",
         "inventory_hostname"}  # fmt: skip


def _variables(root: Path, app: str) -> set[str] | None:
    """Every variable that some environment, some host or some release file of the
    application has; None where the landscape can't be read. Which of them a run has is
    known in that run only."""
    from otapgate.landscape import yaml_positions
    from otapgate.landscape.load import load

    try:
        environments = load(root).environments()
    except OtapgateError:
        return None
    found = set(_OURS)
    for environment in environments:
        found.update(environment.variables, *(host.variables for host in environment.hosts))
    for file in sorted((root / "releases").glob("*.yml")):
        data = yaml_positions.load(file, file.name).data
        if isinstance(data, dict) and data.get("app") == app:
            own = data.get("variables")
            found.update(own if isinstance(own, dict) else ())
    return found


def _strings(given: Any) -> Iterator[str]:
    """Every text in a value."""
    if isinstance(given, str):
        yield given
    elif isinstance(given, dict | list):
        for inner in given.values() if isinstance(given, dict) else given:
            yield from _strings(inner)


def _unknown(asked: set[str], known: set[str], app: str, document: Document, loc: Loc
             ) -> list[Problem]:  # fmt: skip
    problems = []
    for name in sorted(asked - known):
        near = difflib.get_close_matches(name, known, n=1)
        problems.append(
            document.problem(
                _("No environment and no release of {app} has a variable '{name}'.").format(
                    app=app, name=name
                ),
                loc,
                _("Did you mean '{name}'?").format(name=near[0])
                if near
                else _("Set it under 'variables' in the environment's file or the release's."),
            )
        )
    return problems


def _texts(step: StepForm) -> Iterator[tuple[str, Loc]]:
    """The templates of a step, each with where it stands."""
    if step.http is not None:
        yield from [(step.http.url, ("http", "url")), (step.http.body, ("http", "body"))]
        yield from ((v, ("http", "headers", k)) for k, v in step.http.headers.items())
        yield step.http.contains or "", ("http", "contains")
        yield from ((v, ("http", "json")) for v in _strings(step.http.json_ or {}))
    elif step.command is not None:
        yield from ((v, ("command", "argv", i)) for i, v in enumerate(step.command.argv))
        yield step.command.contains or "", ("command", "contains")
    elif step.manual is not None:
        yield step.manual.question, ("manual", "question")
        yield step.manual.instructions, ("manual", "instructions")
    elif step.security is not None:
        yield step.security.url, ("security", "url")


def _templates(form: PlanFileModel, document: Document, known: set[str] | None) -> list[Problem]:
    """Templates that can't be read, and of which a variable isn't among the known ones."""
    from otapgate.testing import template

    problems = []
    for number, case in enumerate(form.cases):
        for index, step in enumerate(case.steps):
            texts = list(_texts(step))
            for text, below in texts:
                if known is not None:
                    loc: Loc = ("cases", number, "steps", index, *below)
                    problems += _unknown(template.names(text), known, form.app, document, loc)
                reason = template.fault(text)
                if reason is not None:
                    problems.append(
                        document.problem(
                            _("This template can't be read: {reason}.").format(reason=reason),
                            ("cases", number, "steps", index, *below),
                            _("Write a variable as {{ name }}."),
                        )
                    )
    return problems


class _Files:
    """Gathers the files that a plan needs, from the folder that its file is in."""

    def __init__(self, path: Path, root: Path, document: Document, problems: list[Problem]) -> None:
        self.folder = path.absolute().parent
        self.root = root
        self.document = document
        self.problems = problems
        self.found: dict[str, Source] = {}

    def add(self, name: str, loc: Loc, *, file: bool = False) -> None:
        """The file or folder `name`; a problem when it isn't there or lies outside."""
        tidy = _tidy(name)
        wrong = paths.fault(tidy)
        if wrong is not None:
            self.problems.append(
                self.document.problem(
                    _("'{path}' can't be part of a plan: {fault}.").format(path=name, fault=wrong),
                    loc,
                    _("Put it below the folder of the plan's file."),
                )
            )
            return
        if any(sign in tidy for sign in "*?["):
            self.problems.append(
                self.document.problem(
                    _("'{path}' is a pattern; a plan names files and folders.").format(path=name),
                    loc,
                    _("Name the folder."),
                )
            )
            return
        here = self.folder / tidy
        if file and here.is_dir():
            self.problems.append(
                self.document.problem(_("{path} is a folder.").format(path=name), loc)
            )
            return
        if here.is_dir():
            sources, refused = collect.folder(tidy, tidy, self.folder, self.root)
        else:
            sources, refused = collect.artifact(tidy, tidy, self.folder, self.root)
        self.problems += [self.document.problem(r.message, loc, r.remedy) for r in refused]
        for source in sources:
            where = source.path.removeprefix("artifacts/") if not here.is_dir() else source.path
            self.found[where] = Source(where, source.file, source.executable)

    def conftests(self, name: str) -> None:
        """What pytest reads besides, in the folders above a test."""
        parts = _tidy(name).split("/")
        for depth in range(len(parts)):
            for extra in ("conftest.py", "__init__.py", "pytest.ini"):
                path = "/".join([*parts[:depth], extra])
                if path not in self.found and (self.folder / path).is_file():
                    self.add(path, ())

    def forgotten(self, form: PlanFileModel) -> None:
        """A command that names a file beside the plan needs it in the bundle too."""
        for number, case in enumerate(form.cases):
            for index, step in enumerate(case.steps):
                for place, argument in enumerate(step.command.argv if step.command else ()):
                    name = _tidy(argument)
                    if paths.fault(name) is not None or not (self.folder / name).is_file():
                        continue
                    if name not in self.found:
                        self.problems.append(
                            self.document.problem(
                                _("{path} is used here, but isn't part of the plan.").format(
                                    path=name
                                ),
                                ("cases", number, "steps", index, "command", "argv", place),
                                _("Add it to the plan with 'files: [{path}]'.").format(path=name),
                            )
                        )
