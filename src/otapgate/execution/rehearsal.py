"""The rollback rehearsal: deploy, go back, and prove that the state came back (CH05-07).

On an environment that isn't production; the caller sees to that, to the lock and to the
ledger. A rehearsal keeps the same journal as a promotion, so one that was cut short is
seen as unfinished and is ended by going back (`Promotion.go_back`).
"""

from __future__ import annotations

from typing import Literal

import msgspec

from otapgate.errors import Failed, Usage
from otapgate.execution.plan import Plan
from otapgate.execution.promotion import Promotion
from otapgate.execution.run_state import PromotionResult
from otapgate.execution.steps import StepFailed, Stopped
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
    verify itself. Raises Usage (`faults-unsupported`, `run-exists`)."""
    if faults != "none":
        raise Usage(
            "faults-unsupported",
            _("Rehearsing with faults ({faults}) isn't supported yet.").format(faults=faults),
            remedy="--faults none",
        )
    promotion = Promotion(plan, kind="rehearsal")
    if promotion.journal.exists():
        raise Usage("run-exists", _("There is a run in {path} already.").format(path=plan.run_dir))
    promotion.begin()
    try:
        return _rehearsed(plan, promotion)
    except (Stopped, KeyboardInterrupt):
        return _unfinished(promotion.unfinished())
    except Failed as error:
        return _unfinished(promotion.unfinished(error))


def _rehearsed(plan: Plan, promotion: Promotion) -> RehearsalResult:
    why: StepFailed | None = None
    said: tuple[str, ...] = ()
    try:
        promotion.forward()
    except StepFailed as failure:
        if not promotion.deploying:
            said = (f"snapshot: {failure.message}",)
            return _ended(promotion, failure, said, (), 0, touched=False)
        # going back is still tried, but a deployment that fails proves nothing
        why = failure
        said = (f"deployment: {failure.message}",)
    left, milliseconds, _failed = promotion.back()
    if plan.previous is not None and plan.previous_tree is not None:
        left += _verified(plan.for_previous())
    return _ended(promotion, why, said, left, milliseconds)


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
    said: tuple[str, ...],
    left: tuple[str, ...],
    milliseconds: int,
    *,
    touched: bool = True,
) -> RehearsalResult:
    """`said` is why the rehearsal proves nothing, `left` what didn't come back."""
    restored = not (said or left)
    if restored:
        message = _("Deployed and rolled back; the state is as it was.")
    elif left:
        message = _("The state was not restored: {what}").format(what="; ".join(left[:5]))
    else:
        message = _("The state is as it was, but this proves nothing: {what}").format(
            what="; ".join(said)
        )
    result = promotion.finish(
        "failed" if left else "rolled-back", left, message, why=why, touched=touched
    )
    return RehearsalResult(
        outcome="restored" if restored else "not-restored",
        milliseconds_rollback=milliseconds,
        milliseconds=result.milliseconds,
        cases=(RehearsalCase(fault="none", task="", index=0, restored=restored, left=said + left),),
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
