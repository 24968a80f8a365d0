"""The main job: promote, and resume what was cut off.

The order is that of `docs/architecture.md`: lock, verify, decide, guard, started-entry,
run, finished-entry. Norms CH05-07, CH06-02, CH06-06, CH06-09; RBK-1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

import msgspec

from otapgate import errors
from otapgate.acts import gatekeeping, runs
from otapgate.acts.runs import Progress
from otapgate.acts.workspace import Workspace, draft, new_id
from otapgate.i18n import _
from otapgate.landscape.model import Environment
from otapgate.ledger import predicates as p
from otapgate.ledger.state import Release

if TYPE_CHECKING:
    from otapgate.execution.plan import Plan
    from otapgate.execution.run_state import PromotionResult
    from otapgate.gate.finding import Decision, Seen


@dataclass
class Promoted:
    """What came of asking for a promotion."""

    decision: dict[str, Any]
    allowed: bool
    promotion: dict[str, Any] | None = None
    outcome: str | None = None
    message: str = ""


def promote(
    workspace: Workspace,
    name: str,
    to: str,
    change: str,
    *,
    dry_run: bool,
    resume: bool,
    progress: Progress,
) -> Promoted:
    """Move a release into an environment, if the gate allows it now.

    Raises Busy (locked or unfinished), Integrity (ledger or store), Identity, BadInput.
    A refusal is recorded and returned, not raised.
    """
    release = gatekeeping.release(workspace, name)
    environment = runs.environment_now(workspace, to, release.latest.street)
    workspace.require("administrator", "robot", street=environment.street)
    command = f"otapgate promote {release.name} --to {environment.name} --change {change}"
    with runs.held(workspace, environment, command) as state:
        release = state.releases[release.digest]
        if resume:
            return _resume(workspace, environment, release, change, progress)
        runs.nothing_open(workspace, environment)
        return _promote(workspace, environment, release, change, dry_run, progress)


def _promote(
    workspace: Workspace,
    environment: Environment,
    release: Release,
    change: str,
    dry_run: bool,
    progress: Progress,
) -> Promoted:
    state = workspace.state
    seen = gatekeeping.see(workspace, release)
    if seen.store_problems:
        answer = _decide(workspace, environment, release, change, seen, dry_run)
        raise _damaged(release, seen.store_problems, answer.decision)
    running = state.environment(environment.name).running
    previous = running.release if running is not None else None
    run_id = new_id("prom")
    promoted: Promoted | None = None
    try:
        with runs.planned(workspace, environment, release, previous, run_id, progress) as plan:
            promoted = _guarded(workspace, plan, release, change, seen, dry_run)
            return promoted
    finally:
        if promoted is None or promoted.promotion is None:
            # Refused, or stopped before anything began. An open promotion keeps its folder.
            workspace._state = None
            if not _is_open(workspace, environment, run_id):
                runs.forget(workspace, run_id)


def _is_open(workspace: Workspace, environment: Environment, run_id: str) -> bool:
    try:
        open_ = workspace.state.environment(environment.name).unfinished
    except errors.OtapgateError:
        return True  # when in doubt, keep what could be needed
    return open_ is not None and open_.id == run_id


def _guarded(
    workspace: Workspace, plan: Plan, release: Release, change: str, seen: Seen, dry_run: bool
) -> Promoted:
    """Decide, with Ansible's own view of the inventory asked meanwhile; then run."""
    from otapgate.execution.guard import check_release, start_inventory_check
    from otapgate.execution.promotion import Promotion

    guard = start_inventory_check(plan)
    try:
        promoted = _decide(workspace, plan.environment, release, change, seen, dry_run)
        if dry_run or not promoted.allowed:
            return promoted
        problems = [*check_release(plan), *guard.result()]
    finally:
        guard.cancel()
    if problems:
        raise errors.BadInput(
            "inventory-escapes",
            _(
                "Ansible would reach other hosts than those of {environment}; nothing was done."
            ).format(environment=plan.environment.name),
            problems=tuple(problems),
            where=plan.environment.file,
        )
    started = p.PromotionStarted(
        plan.promotion_id,
        str(promoted.decision["id"]),
        release.digest,
        plan.previous.digest if plan.previous is not None else None,
        plan.environment.name,
        change,
    )
    subjects = [(release.name, release.digest)]
    entries = [workspace.record(draft("promotion-started", started, subjects))]
    result = Promotion(plan).run()
    return _finish(workspace, plan, release, promoted.decision, entries, result)


def _decide(
    workspace: Workspace,
    environment: Environment,
    release: Release,
    change: str,
    seen: Seen,
    dry_run: bool,
) -> Promoted:
    """Ask the gate and, but for a dry run, record what it says."""
    decision = gatekeeping.ask(
        workspace,
        release,
        environment,
        change,
        actor=workspace.me,
        landscape=workspace.landscape,
        state=workspace.state,
        seen=seen,
    )
    decided = None if dry_run else _record_decision(workspace, decision, seen, release)
    answer = gatekeeping.as_json(workspace, decision, decided)
    return Promoted(answer, decision.outcome == "allowed")


def _damaged(release: Release, files: tuple[str, ...], answer: dict[str, Any]) -> errors.Integrity:
    error = errors.Integrity(
        "store-damaged",
        _("Files of {release} are missing or damaged in the content store: {files}.").format(
            release=release.name, files=", ".join(files)
        ),
        remedy=_("nothing was deployed; build the release again from sound files:"
                 " otapgate release build FILE"),
    )  # fmt: skip
    error.data = {"decision": answer}
    return error


def _record_decision(workspace: Workspace, decision: Decision, seen: Seen, release: Release) -> str:
    name, act = gatekeeping.to_draft(workspace, decision, workspace.landscape, seen, release)
    workspace.record(act)
    return name


def record_end(
    workspace: Workspace, plan: Plan, release: Release, result: PromotionResult
) -> list[int]:
    """Record how a promotion ended; positions of the entries. Raises Integrity."""
    finished = p.PromotionFinished(
        plan.promotion_id,
        plan.environment.name,
        release.digest,
        cast(Literal["succeeded", "rolled-back", "failed"], result.outcome),
        result.completeness,
        result.hosts,
        result.milliseconds,
        result.evidence,
        result.left,
    )
    act = draft("promotion-finished", finished, [(release.name, release.digest)])
    open_ = workspace.state.environment(plan.environment.name).unfinished
    assert open_ is not None, "a promotion ends once"
    command = runs.ways_out(workspace, open_)[0]
    entry = runs.record_end(workspace, plan, act, result.outcome, command)
    if result.outcome == "rolled-back":
        runs.forget(workspace, plan.promotion_id)
    return [entry]


def _finish(
    workspace: Workspace,
    plan: Plan,
    release: Release,
    answer: dict[str, Any],
    entries: list[int],
    result: PromotionResult,
) -> Promoted:
    if result.outcome != "unfinished":
        entries += record_end(workspace, plan, release, result)
        if result.outcome == "succeeded":
            runs.prune(workspace, plan.environment)
    return Promoted(
        answer,
        True,
        {
            "id": plan.promotion_id,
            "outcome": result.outcome,
            "entries": entries,
            "hosts": dict(result.hosts),
            "completeness": msgspec.to_builtins(
                {
                    "outcome": result.completeness.outcome,
                    "missing": result.completeness.missing,
                    "different": result.completeness.different,
                    "extra": result.completeness.extra,
                }
            ),
            "left": list(result.left),
            "seconds": {
                "total": result.milliseconds / 1000,
                "ansible": result.milliseconds_ansible / 1000,
            },
            "evidence": result.evidence,
            "message": result.message,
        },
        result.outcome,
        result.message,
    )


def _resume(
    workspace: Workspace,
    environment: Environment,
    release: Release,
    change: str,
    progress: Progress,
) -> Promoted:
    from otapgate.execution.promotion import Promotion

    open_ = workspace.state.environment(environment.name).unfinished
    if open_ is None or open_.kind != "promotion":
        raise errors.BadInput(
            "nothing-unfinished",
            _("{environment} has no unfinished promotion to go on with.").format(
                environment=environment.name
            ),
            remedy="otapgate status",
        )
    if open_.release != release.digest or open_.change != change:
        raise runs.busy(workspace, open_)
    answer = _decision_of(workspace, open_.id)
    with runs.planned(workspace, environment, release, open_.previous, open_.id, progress) as plan:
        return _finish(workspace, plan, release, answer, [], Promotion(plan).resume())


def _decision_of(workspace: Workspace, promotion: str) -> dict[str, Any]:
    """The decision that an unfinished promotion rests on, as it was recorded."""
    wanted = ""
    for _position, statement, _by in workspace.statements("promotion-started"):
        if statement.predicate["promotion"] == promotion:
            wanted = statement.predicate["decision"]
    return next((d for d in gatekeeping.recorded(workspace) if d["id"] == wanted), {})
