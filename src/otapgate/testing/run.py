"""Carries out a registered test plan and keeps the evidence.

Every step works from the bundle as it was registered, unpacked from the store; nothing
is read from the working directory. A step that can't be done is a failure that says why,
never a skip. What the outcome means for a promotion is the gate's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from otapgate import canonical
from otapgate.errors import BadInput
from otapgate.i18n import _
from otapgate.landscape.model import Environment, TestKind
from otapgate.ledger.predicates import CaseOutcome, Outcome
from otapgate.release.manifest import Manifest
from otapgate.release.store import Store
from otapgate.secrets_filter import SecretsFilter
from otapgate.testing.evidence import shorten
from otapgate.testing.plan import Case, RegisteredPlan
from otapgate.testing.steps import (
    Attempt,
    Bench,
    PlaybookOutcome,
    PlaybookResult,
    PlaybookRunner,
    attempt,
    bench,
)

__all__ = [
    "Interrupted",
    "PlaybookOutcome",
    "PlaybookResult",
    "PlaybookRunner",
    "RunResult",
    "run",
]


@dataclass(frozen=True, slots=True)
class RunResult:
    """A run, in the words of its entry."""

    outcome: Outcome
    cases: tuple[CaseOutcome, ...]
    messages: dict[str, str]
    """Per case: why it failed, or what was measured; without secrets."""
    evidence: str
    """Digest of the evidence in the store."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during a run: the evidence is kept, and `result` is failed."""

    def __init__(self, result: RunResult) -> None:
        super().__init__()
        self.result = result


def run(
    plan: RegisteredPlan,
    *,
    manifest: Manifest,
    environment: Environment,
    workdir: Path,
    store: Store,
    ansible: PlaybookRunner | None = None,
    on_case: Callable[[CaseOutcome, str], None] | None = None,
    secrets: Sequence[str] = (),
) -> RunResult:
    """Carry out every case of `plan` on the release that runs in `environment`.

    `workdir` is an existing private folder; what is unpacked there is removed. `on_case`
    hears each outcome with its message as it comes. `secrets` are values that must not
    be in messages or evidence. Raises BadInput when the plan is another application's,
    Integrity when the bundle in the store is damaged, and Interrupted on Ctrl-C.
    """
    if plan.app != manifest.app:
        raise BadInput(
            "plan-other-app",
            _("The test plan {plan} is for {app}, and the release is {release}.").format(
                plan=plan.name, app=plan.app, release=manifest.name
            ),
        )
    with bench(plan, manifest, environment, workdir, store) as place:
        place.ansible = ansible
        mask = SecretsFilter(secrets)
        place.margin = mask.longest
        records: list[_Record] = []
        interrupted = False
        for case in plan.plan.cases:
            record = _Record(case, plan.kind(case))
            records.append(record)
            if interrupted:
                record.message = _("Not carried out: the run was interrupted.")
            else:
                try:
                    _case(record, place, mask)
                except KeyboardInterrupt:
                    interrupted = True
                    record.outcome = "failed"
                    record.message = _("Interrupted.")
            if on_case is not None:
                # A second Ctrl-C, or a full pipe, mustn't cost us the evidence.
                try:
                    on_case(record.told, record.message)
                except KeyboardInterrupt:
                    interrupted = True
    result = _result(plan, manifest, environment, records, store)
    if interrupted:
        raise Interrupted(result)
    return result


@dataclass(slots=True)
class _Record:
    """What became of one case, so far."""

    case: Case
    kind: TestKind
    outcome: Literal["passed", "failed", "skipped"] = "skipped"
    message: str = ""
    milliseconds: int = 0
    steps: list[Attempt] = field(default_factory=list)

    @property
    def told(self) -> CaseOutcome:
        return CaseOutcome(
            self.case.id, self.case.criterion, self.kind, self.outcome, self.milliseconds
        )


def _case(record: _Record, place: Bench, mask: SecretsFilter) -> None:
    """Steps in order, until one fails."""
    begin = time.perf_counter()
    record.outcome = "failed"
    try:
        for step in record.case.steps:
            started = time.perf_counter()
            done = attempt(step, place)
            done.milliseconds = _since(started)
            done.message = shorten(mask(done.message), 2000)
            done.output = shorten(mask(done.output))
            record.steps.append(done)
            record.message = done.message
            if not done.ok:
                return
        record.outcome = "passed"
    finally:
        record.milliseconds = _since(begin)


def _since(begin: float) -> int:
    return round((time.perf_counter() - begin) * 1000)


def _result(
    plan: RegisteredPlan,
    manifest: Manifest,
    environment: Environment,
    records: list[_Record],
    store: Store,
) -> RunResult:
    """Keep the evidence. A run passes when every case did, and there was one."""
    passed = bool(records) and all(record.outcome == "passed" for record in records)
    outcome: Outcome = "passed" if passed else "failed"
    evidence = {
        "format": "otapgate-test-evidence/1",
        "plan": {"name": plan.name, "digest": plan.digest},
        "release": {"name": manifest.name, "digest": manifest.digest},
        "environment": {"name": environment.name, "description": environment.digest},
        "outcome": outcome,
        "cases": [
            {
                "id": record.case.id,
                "criterion": record.case.criterion,
                "kind": record.kind,
                "outcome": record.outcome,
                "milliseconds": record.milliseconds,
                "message": record.message,
                "steps": [
                    {
                        "kind": step.kind,
                        "ok": step.ok,
                        "message": step.message,
                        "milliseconds": step.milliseconds,
                        "output": step.output,
                    }
                    for step in record.steps
                ],
            }
            for record in records
        ],
    }
    return RunResult(
        outcome=outcome,
        cases=tuple(record.told for record in records),
        messages={record.case.id: record.message for record in records},
        evidence=store.put(canonical.encode(evidence)),  # type: ignore[arg-type]
    )
