"""A test plan: read from its file, bundled with all it needs, found again by digest.

A plan is registered before the tests (CH05-03). Its digest covers the plan and the bytes
of every file that its steps name; a run works from the bundle in the store, so editing a
test afterwards changes nothing that was registered. Running is in `run.py`.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Literal

import msgspec

from otapgate import canonical
from otapgate.errors import BadInput, Integrity, Problem
from otapgate.i18n import _
from otapgate.landscape.model import TestKind, Value
from otapgate.ledger.predicates import Criterion
from otapgate.release import collect, paths
from otapgate.release.collect import Source
from otapgate.release.manifest import ReleaseFile
from otapgate.release.store import Store
from otapgate.testing.step_values import (
    CommandStep,
    HttpStep,
    JunitStep,
    ManualStep,
    PlaybookStep,
    PytestStep,
    SecurityStep,
    Step,
)

__all__ = [
    "Case",
    "CommandStep",
    "HttpStep",
    "JunitStep",
    "ManualStep",
    "Plan",
    "PlanCriterion",
    "PlaybookStep",
    "PytestStep",
    "RegisteredPlan",
    "SecurityStep",
    "Step",
    "bundle",
    "check_file",
    "digest_of_files",
    "load_bundle",
]


class PlanCriterion(Value, frozen=True):
    """Something that must be so before the release is accepted."""

    id: str
    kind: TestKind
    text: str


class Case(Value, frozen=True):
    """Steps that show whether a criterion is met."""

    id: str
    criterion: str
    title: str
    steps: tuple[Step, ...]
    after: tuple[str, ...] = ()
    """Cases that must have passed before this one begins."""
    alone: bool = False
    """Nothing else runs meanwhile."""
    repeat: int = 1
    timeout_seconds: int = 0
    """For all its steps and repetitions together; 0 is no limit."""


class Plan(Value, frozen=True):
    """A test plan as it is kept: its canonical JSON is what the digest is of."""

    plan: str
    app: str
    criteria: tuple[PlanCriterion, ...]
    cases: tuple[Case, ...]
    files: tuple[ReleaseFile, ...]
    """Every file that a run may use, paths relative to the plan's file; sorted."""
    format: Literal["otapgate-test-plan/1"] = "otapgate-test-plan/1"
    parallel: int = 1
    """How many cases run at once."""
    timeout_seconds: int = 0
    """For the whole run; 0 is no limit."""

    def encoded(self) -> bytes:
        """Canonical JSON. What came to the format later is left out where it says nothing,
        so that a plan which doesn't use it keeps the digest it had."""
        plain = _lean(msgspec.to_builtins(self, str_keys=True), parallel=1, timeout_seconds=0)
        for case in plain["cases"]:
            _lean(case, after=(), alone=False, repeat=1, timeout_seconds=0)
            for step in case["steps"]:
                _lean(step, load=None, testinfra=False)
        return canonical.encode(plain)

    def questions(self) -> tuple[ManualStep, ...]:
        """What people are asked, in the order of the plan."""
        return tuple(
            step for case in self.cases for step in case.steps if isinstance(step, ManualStep)
        )

    def attached(self) -> tuple[str, ...]:
        """Names of the reports that are handed in with a run."""
        names = (s.attach for c in self.cases for s in c.steps if isinstance(s, JunitStep))
        return tuple(dict.fromkeys(name for name in names if name))


def _lean(plain: dict[str, Any], **defaults: Any) -> dict[str, Any]:
    for key, default in defaults.items():
        if plain.get(key, ...) == default and type(plain[key]) is type(default):
            del plain[key]
    return plain


class RegisteredPlan(Value, frozen=True):
    """A plan in the store, in the words of its entry."""

    name: str
    app: str
    digest: str
    criteria: tuple[Criterion, ...]
    cases: tuple[str, ...]
    plan: Plan

    def kind(self, case: Case) -> TestKind:
        """What kind of criterion the case is about."""
        return next(item.kind for item in self.criteria if item.id == case.criterion)


def bundle(path: Path, root: Path, store: Store) -> RegisteredPlan:
    """Read the plan at `path` in the landscape at `root` and keep it, with every file it
    needs, in the store. Raises BadInput (`plan-invalid`) with every problem, and what
    the store raises."""
    plan, sources = _read(path, root)
    files = []
    for source in sources:
        digest, size = store.put_file(source.file)
        files.append(ReleaseFile(source.path, digest, size, source.executable))
    plan = msgspec.structs.replace(plan, files=tuple(files))
    return _registered(plan, store.put(plan.encoded()))


def digest_of_files(path: Path, root: Path) -> str:
    """The digest that `bundle` would give now; nothing is written. Raises BadInput."""
    plan, sources = _read(path, root)
    files = []
    for source in sources:
        try:
            with source.file.open("rb") as opened:
                digest = "sha256:" + hashlib.file_digest(opened, "sha256").hexdigest()
                size = opened.tell()
        except OSError as error:
            raise BadInput(
                "file-unreadable",
                _("{path} can't be read: {reason}.").format(
                    path=source.file, reason=error.strerror
                ),
                where=str(source.file),
            ) from error
        files.append(ReleaseFile(source.path, digest, size, source.executable))
    return canonical.digest(msgspec.structs.replace(plan, files=tuple(files)).encoded())


def load_bundle(store: Store, digest: str) -> RegisteredPlan:
    """The plan of that digest. Raises Integrity when the store lost or damaged it, or
    when what is there isn't a plan."""
    data = store.get(digest)
    try:
        plan = msgspec.convert(canonical.decode(data), Plan)
    except (canonical.NotCanonical, msgspec.ValidationError) as error:
        raise Integrity(
            "plan-malformed", _("Object {digest} is not a test plan.").format(digest=digest)
        ) from error
    known = {item.id for item in plan.criteria}
    hostile = [file.path for file in plan.files if paths.fault(file.path) is not None]
    if hostile or any(case.criterion not in known for case in plan.cases):
        raise Integrity(
            "plan-malformed",
            _("Object {digest} is not a test plan that otapgate made.").format(digest=digest),
        )
    return _registered(plan, digest)


def check_file(path: Path, root: Path) -> list[Problem]:
    """Every problem of the plan at `path`; empty when it can be registered."""
    from otapgate.testing.survey import survey

    return survey(path, root, variables=True)[2]


def _registered(plan: Plan, digest: str) -> RegisteredPlan:
    return RegisteredPlan(
        name=plan.plan,
        app=plan.app,
        digest=digest,
        criteria=tuple(Criterion(item.id, item.kind) for item in plan.criteria),
        cases=tuple(case.id for case in plan.cases),
        plan=plan,
    )


def _read(path: Path, root: Path) -> tuple[Plan, list[Source]]:
    from otapgate.testing.survey import survey

    plan, sources, problems = survey(path, root)
    if plan is None or problems:
        raise BadInput(
            "plan-invalid",
            _("{file} is not a test plan that can be registered.").format(
                file=collect.known_as(path, root)
            ),
            where=problems[0].where if problems else None,
            problems=tuple(problems),
            remedy=problems[0].remedy if len(problems) == 1 else None,
        )
    return plan, sources
