"""The rollback rehearsal: deploy, go back, and prove that the state came back (CH05-07).

On an environment that isn't production; the caller sees to that, to the lock and to the
ledger. A rehearsal keeps the same journal as a promotion, so one that was cut short is
seen as unfinished and is ended by going back (`Promotion.go_back`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from otapgate.errors import Failed, Usage
from otapgate.execution import faults as cutting
from otapgate.execution.cuts import Cuts, Forecast
from otapgate.execution.faults import Begun, Fault
from otapgate.execution.plan import Plan
from otapgate.execution.promotion import Promotion
from otapgate.execution.run_state import PromotionResult
from otapgate.execution.steps import StepFailed, Stopped, stopped_by
from otapgate.execution.way_back import go_back
from otapgate.i18n import _
from otapgate.ledger.predicates import RehearsalCase


class RehearsalResult(msgspec.Struct, frozen=True):
    """How a rehearsal ended."""

    outcome: Literal["restored", "not-restored", "unfinished"]
    milliseconds_rollback: int
    """What `rollback.yml` and `restore.yml` took, Ansible's start included."""
    milliseconds: int
    cases: tuple[RehearsalCase, ...]
    evidence: str
    message: str
    code: str = ""
    clean: bool = False
    """Whether the environment is as it was, whatever the rehearsal proved."""


def rehearse(plan: Plan, faults: str = "none") -> RehearsalResult:
    """Snapshot, deploy, verify, go back (timed), compare, and let the previous release
    verify itself. Then, as `faults` says, deploy again and again, cut short at one task
    after another, and go back from each. Raises Usage (`faults-unknown`, `run-exists`)."""
    cutting.check(faults)
    promotion = Promotion(plan, kind="rehearsal")
    if promotion.journal.exists():
        raise Usage("run-exists", _("There is a run in {path} already.").format(path=plan.run_dir))
    promotion.begin()
    try:
        return _rehearsed(plan, promotion, faults)
    except (Stopped, KeyboardInterrupt):
        return _unfinished(promotion.unfinished())
    except (Failed, OSError) as error:
        return _unfinished(promotion.unfinished(stopped_by(error, plan.run_dir)))


def _rehearsed(plan: Plan, promotion: Promotion, faults: str) -> RehearsalResult:
    why: StepFailed | None = None
    said: tuple[str, ...] = ()
    tasks: tuple[Begun, ...] = ()
    began = promotion.elapsed()
    try:
        tasks = promotion.forward()
    except StepFailed as failure:
        if not promotion.deploying:
            said = (f"snapshot: {failure.message}",)
            return _ended(promotion, failure, [_whole(said)], (), 0, touched=False)
        # going back is still tried, but a deployment that fails proves nothing
        why = failure
        said = (f"deployment: {failure.message}",)
    back = go_back(promotion)
    left, milliseconds = back.left, back.milliseconds
    if plan.previous is not None and plan.previous_tree is not None:
        left += _verified(plan.for_previous())
    found = [_whole(said + left)]
    if not found[0].restored:
        return _ended(promotion, why, found, left, milliseconds)
    todo = cutting.cases(tasks, plan.playbook("deploy.yml")[0], faults)
    forward = promotion.elapsed() - began - milliseconds
    forecast = Forecast([fault for fault, _task in todo], len(tasks), forward, milliseconds)
    cuts = Cuts(promotion, todo, forecast)
    if todo:
        cuts.foretell()
    for tried in cuts.tried():
        found.append(tried.case)
        milliseconds = max(milliseconds, tried.milliseconds_back)
        left = tried.case.left
        if left and not _mended(promotion):
            break  # what comes after would be judged by what this one left
        left = ()
    found += [_untried(fault, task) for fault, task in todo[len(found) - 1 :]]
    return _ended(promotion, None, found, left, milliseconds)


def _whole(left: tuple[str, ...]) -> RehearsalCase:
    return RehearsalCase(fault="none", task="", index=0, restored=not left, left=left)


def _mended(promotion: Promotion) -> bool:
    """After a case that left something: whether a whole deployment, gone back from, brings
    the state back, as it did in the beginning."""
    try:
        promotion.playbooks("mend", promotion.plan.playbook("deploy.yml"))
    except StepFailed:
        return False
    return not go_back(promotion).left


def _untried(fault: Fault, task: Begun) -> RehearsalCase:
    return RehearsalCase(
        fault=fault.kind,
        task=task.name,
        index=fault.index,
        restored=False,
        left=("not tried: the state before couldn't be brought back",),
    )


def _verified(previous: Plan) -> tuple[str, ...]:
    """Whether the previous release, back in its place, says that it is well."""
    try:
        Promotion(previous).playbooks("verify-previous", previous.playbook("verify.yml"))
    except StepFailed as failure:
        return (f"verify of {previous.manifest.name}: {failure.message}",)
    return ()


def _ended(
    promotion: Promotion,
    why: StepFailed | None,
    cases: Sequence[RehearsalCase],
    left: tuple[str, ...],
    milliseconds: int,
    *,
    touched: bool = True,
) -> RehearsalResult:
    """`left` is what is still not as it was; a case may have left what was mended since."""
    restored = all(case.restored for case in cases)
    said = [item for case in cases for item in case.left]
    bad = sum(not case.restored for case in cases[1:])
    if restored:
        message = _("Deployed and rolled back; the state is as it was.")
    elif bad:
        message = _("Cut short {n} times, {bad} times the state didn't come back: {what}").format(
            n=len(cases) - 1, bad=bad, what="; ".join(list(dict.fromkeys(said))[:5])
        )
    elif left:
        message = _("The state was not restored: {what}").format(what="; ".join(left[:5]))
    else:
        message = _("The state is as it was, but this proves nothing: {what}").format(
            what="; ".join(said[:5])
        )
    result = promotion.finish(
        "failed" if left else "rolled-back", left, message, why=why, touched=touched
    )
    return RehearsalResult(
        outcome="restored" if restored else "not-restored",
        milliseconds_rollback=milliseconds,
        milliseconds=result.milliseconds,
        cases=tuple(cases),
        evidence=result.evidence,
        message=message,
        code=result.code or ("" if restored else "not-restored"),
        clean=not left,
    )


def _unfinished(result: PromotionResult) -> RehearsalResult:
    return RehearsalResult(
        outcome="unfinished",
        milliseconds_rollback=0,
        milliseconds=result.milliseconds,
        cases=(),
        evidence="",
        message=result.message,
        code=result.code,
    )
