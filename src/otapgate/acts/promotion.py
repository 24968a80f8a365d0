"""The main job: promote, and resume what was cut off.

The order is that of `docs/architecture.md`: lock, verify, decide, guard, started-entry,
run, finished-entry. Norms CH05-07, CH06-02, CH06-06, CH06-09; RBK-1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, cast

import msgspec

from otapgate import errors
from otapgate.acts import gatekeeping, runs
from otapgate.acts.drafts import draft, new_id
from otapgate.acts.runs import Progress
from otapgate.acts.workspace import Workspace
from otapgate.i18n import _
from otapgate.landscape.model import Environment
from otapgate.ledger import predicates as p
from otapgate.ledger.state import Release

if TYPE_CHECKING:
    from otapgate.execution.plan import Plan
    from otapgate.execution.run_state import PromotionResult
    from otapgate.gate.finding import Seen


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
        asked = _Asked(workspace, environment, state.releases[release.digest], change)
        if resume:
            return _resume(asked, dry_run, progress)
        runs.nothing_open(workspace, environment)
        return _promote(asked, dry_run, progress)


@dataclass
class _Asked:
    """What is asked of the gate."""

    workspace: Workspace
    environment: Environment
    release: Release
    change: str
    action: Literal["promote", "resume"] = "promote"

    @cached_property
    def seen(self) -> Seen:
        """What is so outside the ledger."""
        return gatekeeping.see(self.workspace, self.release)

    def decide(self, *, record: bool) -> Promoted:
        """What the gate says now, recorded or not."""
        decision = gatekeeping.ask(
            self.workspace,
            self.release,
            self.environment,
            self.change,
            actor=self.workspace.me,
            landscape=self.workspace.landscape,
            state=self.workspace.state,
            seen=self.seen,
            action=self.action,
        )
        name = None
        if record:
            name, act = gatekeeping.to_draft(
                self.workspace, decision, self.workspace.landscape, self.seen, self.release
            )
            self.workspace.record(act)
        answer = gatekeeping.as_json(self.workspace, decision, name)
        return Promoted(answer, decision.outcome == "allowed")


def _promote(asked: _Asked, dry_run: bool, progress: Progress) -> Promoted:
    from otapgate.execution.promotion import Promotion

    workspace, environment = asked.workspace, asked.environment
    if asked.seen.store_problems:
        answer = asked.decide(record=not dry_run)
        raise _damaged(asked.release, asked.seen.store_problems, answer.decision)
    promoted = asked.decide(record=False)
    if dry_run:
        return promoted
    if not promoted.allowed:
        return asked.decide(record=True)
    running = workspace.state.environment(environment.name).running
    previous = running.release if running is not None else None
    run_id = new_id("prom")
    begun = False
    try:
        with runs.planned(
            workspace, environment, asked.release, previous, run_id, progress
        ) as plan:
            # Whatever can be found out beforehand is, so that nothing comes in between the
            # decision, its entry and that of the beginning.
            Promotion(plan).check()
            runs.guard(plan)
            promoted, entries = _begin(asked, plan)
            if not promoted.allowed:
                return promoted
            begun = True
            return _finish(asked, plan, promoted.decision, entries, Promotion(plan).run())
    finally:
        if not begun and not _is_open(workspace, environment, run_id):
            runs.forget(workspace, run_id)


TRIES = 5
"""How often the gate is asked again because somebody wrote something meanwhile."""


def _begin(asked: _Asked, plan: Plan) -> tuple[Promoted, list[int]]:
    """Decide, and write that it begins right after the decision; or that it is refused."""
    workspace, release = asked.workspace, asked.release
    for _attempt in range(TRIES):
        try:
            promoted = asked.decide(record=True)
            if not promoted.allowed:
                return promoted, []
            started = p.PromotionStarted(
                plan.promotion_id,
                str(promoted.decision["id"]),
                release.digest,
                plan.previous.digest if plan.previous is not None else None,
                plan.environment.name,
                asked.change,
            )
            act = draft("promotion-started", started, [(release.name, release.digest)])
            return promoted, [workspace.record(act)]
        except errors.BadInput as error:
            if error.code != "act-without-effect":
                raise
    raise errors.Busy(
        "ledger-busy",
        _("Others keep writing in the ledger, so that no decision stays true until the"
          " promotion begins; nothing was done."),
        remedy=_("try again in a moment"),
    )  # fmt: skip


def _is_open(workspace: Workspace, environment: Environment, run_id: str) -> bool:
    workspace._stale = True
    try:
        open_ = workspace.state.environment(environment.name).unfinished
    except errors.OtapgateError:
        return True  # when in doubt, keep what could be needed
    return open_ is not None and open_.id == run_id


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
        result.touched,
    )
    act = draft("promotion-finished", finished, [(release.name, release.digest)])
    open_ = workspace.state.environment(plan.environment.name).unfinished
    assert open_ is not None, "a promotion ends once"
    command = runs.ways_out(workspace, open_)[0]
    entry = runs.record_end(workspace, plan, act, result.outcome, command)
    if result.outcome != "failed":
        runs.prune_hosts(workspace, plan)
    if result.outcome == "rolled-back":
        runs.forget(workspace, plan.promotion_id)
    return [entry]


def _finish(
    asked: _Asked,
    plan: Plan,
    answer: dict[str, Any],
    entries: list[int],
    result: PromotionResult,
) -> Promoted:
    if result.outcome != "unfinished":
        entries += record_end(asked.workspace, plan, asked.release, result)
        if result.outcome == "succeeded":
            runs.prune(asked.workspace, plan.environment)
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


def _resume(asked: _Asked, dry_run: bool, progress: Progress) -> Promoted:
    """Go on with what was begun, if the gate still allows it; rolling back it always does."""
    from otapgate.execution.promotion import Promotion

    workspace, environment = asked.workspace, asked.environment
    open_ = workspace.state.environment(environment.name).unfinished
    if open_ is None or open_.kind != "promotion":
        raise errors.BadInput(
            "nothing-unfinished",
            _("{environment} has no unfinished promotion to go on with.").format(
                environment=environment.name
            ),
            remedy="otapgate status",
        )
    if open_.release != asked.release.digest or open_.change != asked.change:
        raise runs.busy(workspace, open_)
    asked.action = "resume"
    promoted = asked.decide(record=not dry_run)
    if dry_run or not promoted.allowed:
        return promoted
    with runs.planned(
        workspace, environment, asked.release, open_.previous, open_.id, progress
    ) as plan:
        runs.guard(plan)
        return _finish(asked, plan, promoted.decision, [], Promotion(plan).resume())
