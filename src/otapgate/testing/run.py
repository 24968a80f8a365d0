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
from typing import Any, Literal

from otapgate import canonical
from otapgate.errors import BadInput
from otapgate.i18n import _
from otapgate.landscape.model import Environment, TestKind
from otapgate.ledger.predicates import CaseOutcome, Outcome
from otapgate.release.manifest import Manifest
from otapgate.release.store import Store
from otapgate.secrets_filter import SecretsFilter
from otapgate.testing.answers import Answer
from otapgate.testing.bench import (
    Bench,
    Hands,
    PlaybookOutcome,
    PlaybookResult,
    PlaybookRunner,
    bench,
)
from otapgate.testing.evidence import Attempt
from otapgate.testing.limits import Limit
from otapgate.testing.plan import Case, ManualStep, RegisteredPlan
from otapgate.testing.schedule import Crew, following
from otapgate.testing.steps import attempt

__all__ = [
    "Hands",
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
    hands: Hands | None = None,
    on_case: Callable[[CaseOutcome, str], None] | None = None,
    secrets: Sequence[str] = (),
) -> RunResult:
    """Carry out every case of `plan` on the release that runs in `environment`.

    `workdir` is an existing private folder; what is unpacked there is removed. `on_case`
    hears each outcome with its message, in the order of the plan, from this thread.
    `secrets` are values that must not be in messages or evidence. Raises BadInput when the
    plan is another application's, Integrity when the bundle in the store is damaged, and
    Interrupted on Ctrl-C.
    """
    if plan.app != manifest.app:
        raise BadInput(
            "plan-other-app",
            _("The test plan {plan} is for {app}, and the release is {release}.").format(
                plan=plan.name, app=plan.app, release=manifest.name
            ),
        )
    with bench(plan, manifest, environment, workdir, store, hands or Hands()) as place:
        mask = SecretsFilter(secrets)
        place.margin, place.mask = mask.longest, mask
        going = _Going(plan, place, on_case)
        going.carry_out()
    result = _result(plan, manifest, environment, going.records, store)
    if going.interrupted:
        raise Interrupted(result)
    return result


@dataclass(slots=True)
class _Record:
    """What became of one case, so far."""

    case: Case
    kind: TestKind
    outcome: Literal["passed", "failed", "skipped"] = "skipped"
    reason: Literal["", "flaky"] = ""
    message: str = ""
    milliseconds: int = 0
    steps: list[Attempt] = field(default_factory=list)
    done: bool = False

    @property
    def told(self) -> CaseOutcome:
        return CaseOutcome(
            self.case.id, self.case.criterion, self.kind, self.outcome, self.milliseconds,
            self.reason,
        )  # fmt: skip


class _Going:
    """A run under way: cases have threads, and everything is decided and told in one."""

    def __init__(
        self,
        plan: RegisteredPlan,
        place: Bench,
        on_case: Callable[[CaseOutcome, str], None] | None,
    ) -> None:
        self.plan = plan.plan
        self.place = place
        self.records = [_Record(case, plan.kind(case)) for case in self.plan.cases]
        self.interrupted = False
        self._by_id = {record.case.id: record for record in self.records}
        self._on_case = on_case
        self._told = 0
        self._running: list[Case] = []
        self._crew = Crew()
        self._limit = Limit().within(self.plan.timeout_seconds, "plan")
        place.ask = self._crew.ask

    def carry_out(self) -> None:
        """All cases; Ctrl-C stops what runs and leaves out the rest."""
        try:
            while not all(record.done for record in self.records):
                try:
                    self._go_on()
                except KeyboardInterrupt:
                    self._interrupt()
        finally:
            self._limit.stop.ask()
            while self._running:  # nothing of a case may outlive its run
                try:
                    self._hear()
                except KeyboardInterrupt:
                    continue
            self._limit.stop.close()
        self._tell()

    def _interrupt(self) -> None:
        self.interrupted = True
        self._limit.stop.ask()

    def _go_on(self) -> None:
        passed = {r.case.id: r.outcome == "passed" for r in self.records if r.done}
        found = following(self.plan.cases, passed, self._running, self.plan.parallel)
        for case, before in found.skip:
            said = _("Not carried out: it comes after {case}, which didn't pass.")
            self._skip(case, said.format(case=before))
        if self._limit.over:
            said = _("Not carried out: {reason}.").format(reason=self._limit.why())
            for record in self.records:
                if not record.done and record.case not in self._running:
                    self._skip(record.case, said)
        elif not (found.begin or found.skip or self._running):
            for record in self.records:  # only in a plan that otapgate didn't make
                if not record.done:
                    self._skip(record.case, _("Not carried out: it waits for itself."))
        else:
            for case in found.begin:
                self._running.append(case)
                self._crew.begin(case, self._work)
        self._tell()
        if self._running:
            self._hear()

    def _work(self, case: Case) -> None:
        _case(self._by_id[case.id], self.place, self._limit)

    def _skip(self, case: Case, message: str) -> None:
        record = self._by_id[case.id]
        record.message, record.done = message, True

    def _hear(self) -> None:
        """Wait for a case to end, or to have a question."""
        what, about = self._crew.hear(self._running)
        if what == "ended":
            if about in self._running:
                self._running.remove(about)
            record = self._by_id[about.id]
            if self._limit.stop.asked and record.outcome != "passed":
                record.outcome, record.message = "failed", _("Interrupted.")
            record.done = True
            return
        question, reply = about
        answer: Answer | None = None
        try:
            answer = self._answer(question)
        finally:
            reply.put(answer)

    def _answer(self, question: ManualStep) -> Answer | None:
        ask = self.place.hands.ask
        return None if ask is None or self._limit.over else ask(question)

    def _tell(self) -> None:
        """Hand on what has ended, in the order of the plan."""
        while self._told < len(self.records) and self.records[self._told].done:
            record = self.records[self._told]
            self._told += 1
            if self._on_case is not None:
                # A second Ctrl-C, or a full pipe, mustn't cost us the evidence.
                try:
                    self._on_case(record.told, record.message)
                except KeyboardInterrupt:
                    self._interrupt()


def _case(record: _Record, place: Bench, limit: Limit) -> None:
    """All repetitions of a case. Those that come out differently show that it is flaky,
    which is a failure: nobody knows then what a pass means."""
    begin = time.perf_counter()
    case = record.case
    record.outcome = "failed"
    limit = limit.within(case.timeout_seconds, "case")
    outcomes: list[bool] = []
    complaint = ""
    try:
        for number in range(1, case.repeat + 1):
            with place.room(f"{case.id}-{number}", limit) as room:
                well = True
                for step in case.steps:
                    started = time.perf_counter()
                    done = attempt(step, room)
                    done.milliseconds = _since(started)
                    done.repetition = number
                    done.clean(place.mask)
                    record.steps.append(done)
                    record.message = done.message
                    well = done.ok
                    if not well:
                        complaint = complaint or done.message
                        break
            outcomes.append(well)
            if limit.over and not well:
                return
        if len(set(outcomes)) > 1:
            record.reason = "flaky"
            record.message = _("Flaky: {n} of {total} repetitions passed. {message}").format(
                n=sum(outcomes), total=len(outcomes), message=complaint
            )
        elif outcomes[0]:
            record.outcome = "passed"
    except Exception as error:  # the room can't be made: a full disk fails the case
        record.message = _("The case could not be carried out: {reason}.").format(
            reason=f"{type(error).__name__}: {error}"
        )
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
    evidence: dict[str, Any] = {
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
                "steps": [step.as_json() for step in record.steps],
                **({"reason": record.reason} if record.reason else {}),
                **({"repetitions": record.case.repeat} if record.case.repeat > 1 else {}),
            }
            for record in records
        ],
        "objects": sorted({x for r in records for step in r.steps for x in step.objects}),
    }
    return RunResult(
        outcome=outcome,
        cases=tuple(record.told for record in records),
        messages={record.case.id: record.message for record in records},
        evidence=store.put(canonical.encode(evidence)),
    )
