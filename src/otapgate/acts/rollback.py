"""Going back: end what is unfinished, or undo the last promotion that succeeded.

Norms CH05-07, CH01-03; RBK-1. The way back itself is `execution.promotion`'s; here is
which one it is, who is asked, and what is recorded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from otapgate import errors
from otapgate.acts import promotion, runs
from otapgate.acts.drafts import draft, new_id
from otapgate.acts.runs import Progress
from otapgate.acts.workspace import Workspace
from otapgate.i18n import _
from otapgate.landscape.model import Environment
from otapgate.ledger import predicates as p
from otapgate.ledger.records import ADOPTED
from otapgate.ledger.state import Release, Unfinished

if TYPE_CHECKING:
    from otapgate.execution.plan import Plan
    from otapgate.execution.run_state import PromotionResult


@dataclass(frozen=True)
class _Way:
    """One way back."""

    id: str
    """Of the promotion, rollback or rehearsal that this ends."""
    run_id: str
    """The run that keeps the state before."""
    kind: Literal["promotion", "rollback", "rehearsal"]
    release: Release
    """What is undone."""
    previous: str | None
    """Digest of the release that comes back; None for nothing."""
    since: str = ""
    """When what is undone began to run; "" when it was unfinished."""


def rollback(
    workspace: Workspace,
    env: str,
    *,
    dry_run: bool,
    progress: Progress,
    confirm: Callable[[str], None],
) -> dict[str, Any]:
    """End an unfinished promotion or rehearsal by going back, or undo the last promotion
    that succeeded, after asking. Raises BadInput, Busy, Identity, Integrity."""
    from otapgate.execution.promotion import Promotion

    environment = runs.environment_now(workspace, env)
    workspace.require("administrator", "robot", street=environment.street)
    command = f"otapgate rollback {environment.name}"
    with runs.held(workspace, environment, command):
        runs.accepted(workspace, environment)
        way = _way(workspace, environment)
        target = workspace.state.releases.get(way.previous or "")
        answer = {
            "id": way.id,
            "environment": environment.name,
            "from": way.release.name,
            "to": target.name if target else None,
            "lost_since": way.since or None,
        }
        if dry_run:
            return {**answer, "outcome": None, "dry_run": True}
        if way.since:
            confirm(f"{what_it_takes(answer)} " + _("Go back?"))
        with runs.planned(
            workspace, environment, way.release, way.previous, way.run_id, progress
        ) as plan:
            runs.guard(plan)
            entries = [_begin(workspace, environment, way)] if way.since else []
            kind: Literal["promotion", "rehearsal"]
            kind = "rehearsal" if way.kind == "rehearsal" else "promotion"
            result = Promotion(plan, kind=kind).go_back()
            outcome = {"rolled-back": "restored"}.get(result.outcome, result.outcome)
            if outcome != "unfinished":
                entries += _record(workspace, plan, way, result)
            if outcome == "restored" and way.kind != "promotion":
                runs.prune_hosts(workspace, plan, way.run_id)
        if outcome == "restored":
            runs.forget(workspace, way.run_id)
    return {
        **answer,
        "outcome": outcome,
        "left": list(result.left),
        "message": result.message,
        "entries": entries,
    }


def _way(workspace: Workspace, environment: Environment) -> _Way:
    """What is open there, or else the last promotion. Raises BadInput (`nothing-to-undo`)."""
    state = workspace.state
    known = state.environment(environment.name)
    if known.unfinished is not None:
        return _unfinished(workspace, known.unfinished)
    rehearsal = runs.open_rehearsal(workspace, environment.name)
    if rehearsal is not None:
        release = state.releases[rehearsal.release]
        return _Way(rehearsal.id, rehearsal.id, "rehearsal", release, rehearsal.previous)
    if known.running is None or known.running.by_act == ADOPTED:
        raise errors.BadInput(
            "nothing-to-undo",
            _("No promotion to {environment} is on record that could be undone.").format(
                environment=environment.name
            ),
            remedy="otapgate status",
        )
    now = known.running
    if not runs.run_folder(workspace, now.by_act).is_dir():
        raise errors.BadInput(
            "snapshot-gone",
            _("The state from before {release} in {environment} isn't kept any more, so it can't"
              " be brought back.").format(
                release=state.releases[now.release].name, environment=environment.name),
            remedy=_("promote the release that you want there"),
        )  # fmt: skip
    previous = known.history[-2].release if len(known.history) > 1 else None
    return _Way(
        new_id("back"), now.by_act, "rollback", state.releases[now.release], previous, now.since
    )


def _unfinished(workspace: Workspace, open_: Unfinished) -> _Way:
    release = workspace.state.releases[open_.release]
    if open_.kind == "promotion":
        return _Way(open_.id, open_.id, "promotion", release, open_.previous)
    # The state before is kept in the run of the promotion that is being undone.
    [run_id] = [
        str(statement.predicate["promotion"])
        for _position, statement, _by in workspace.statements("rollback-started")
        if statement.predicate["rollback"] == open_.id
    ]
    return _Way(open_.id, run_id, "rollback", release, open_.previous)


def what_it_takes(answer: dict[str, Any]) -> str:
    """What going back means for the environment, and for what people entered in it."""
    again = answer["from"] == answer["to"]
    if answer["lost_since"] is None:
        said = (
            _("{environment} goes back to how it was before {release} was put there again.")
            if again
            else _("{environment} goes back from {release} to {target}.")
        )
    else:
        said = (
            _("{environment} goes back to how it was before {release} was put there again, with"
              " its data as it was on {since}: what was entered since is lost.")
            if again
            else _("{environment} goes back from {release} to {target}, with its data as it was"
                   " on {since}: what was entered since is lost.")
        )  # fmt: skip
    return said.format(
        environment=answer["environment"],
        release=answer["from"],
        target=answer["to"] or _("nothing"),
        since=answer["lost_since"],
    )


def _begin(workspace: Workspace, environment: Environment, way: _Way) -> int:
    started = p.RollbackStarted(
        way.id, way.run_id, environment.name, way.release.digest, way.previous
    )
    subjects = [(way.release.name, way.release.digest)]
    return workspace.record(draft("rollback-started", started, subjects))


def _record(workspace: Workspace, plan: Plan, way: _Way, result: PromotionResult) -> list[int]:
    """Record how it ended; a rehearsal's own entry comes from who rehearses, so ending one
    that was cut off leaves none."""
    if way.kind == "rehearsal":
        return []
    if way.kind == "promotion":
        return promotion.record_end(workspace, plan, way.release, result)
    finished = p.RollbackFinished(
        way.id,
        plan.environment.name,
        way.previous,
        "restored" if result.outcome == "rolled-back" else "failed",
        tuple(result.left),
        result.milliseconds,
        result.evidence,
    )
    act = draft("rollback-finished", finished, [(way.release.name, way.release.digest)])
    command = f"otapgate rollback {plan.environment.name}"
    return [runs.record_end(workspace, plan, act, finished.outcome, command)]
