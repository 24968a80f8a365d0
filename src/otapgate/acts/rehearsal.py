"""Rehearsing the rollback of a release before it goes to production. Norm CH05-07."""

from __future__ import annotations

from typing import Any

from otapgate import errors
from otapgate.acts import gatekeeping, runs
from otapgate.acts.drafts import draft, new_id
from otapgate.acts.runs import Progress
from otapgate.acts.workspace import Workspace
from otapgate.i18n import _
from otapgate.ledger import predicates as p
from otapgate.ledger.state import Release
from otapgate.ledger.statement import Draft


def rehearse(
    workspace: Workspace, name: str, env: str, faults: str, progress: Progress
) -> tuple[dict[str, Any], Draft]:
    """Deploy, roll back, compare, on an environment outside production.

    The environment must still run the release to go back to. Raises BadInput, Busy,
    Failed (interrupted), Integrity, Identity; what came of it is in the draft, restored
    or not.
    """
    from otapgate.execution.rehearsal import rehearse as carry_out

    release = gatekeeping.release(workspace, name)
    environment = runs.environment_now(workspace, env, release.latest.street)
    workspace.require("administrator", "test-lead", "tester", street=environment.street)
    if environment.stage == "P":
        raise errors.BadInput(
            "rehearsal-in-production",
            _("{environment} is production; a rollback is rehearsed before it.").format(
                environment=environment.name
            ),
            remedy=_("name a test or acceptance environment with --env"),
        )
    with runs.held(workspace, environment, f"otapgate rehearse {release.name}") as state:
        runs.nothing_open(workspace, environment)
        runs.accepted(workspace, environment)
        running = state.environment(environment.name).running
        if running is not None and running.release == release.digest:
            raise errors.BadInput(
                "rehearsal-too-late",
                _("{environment} runs {release} already, so there is nothing to come back to.")
                .format(environment=environment.name, release=release.name),
                remedy=_("rehearse where the release before still runs, or first:"
                         " otapgate rollback {environment}").format(
                    environment=environment.name),
            )  # fmt: skip
        previous = running.release if running is not None else None
        run_id = new_id("rehearsal")
        with runs.planned(workspace, environment, release, previous, run_id, progress) as plan:
            runs.guard(plan, with_previous=True)
            result = carry_out(plan, faults)
            if result.clean:
                runs.prune_hosts(workspace, plan, run_id)
        if result.outcome == "unfinished":
            said = _("Interrupted. {environment} may be half-way between two releases.").format(
                environment=environment.name
            )
            raise errors.Failed(
                "rehearsal-unfinished",
                said if result.code == "cancelled" else f"{result.message} {said}",
                remedy=f"otapgate rollback {environment.name}",
            )
        if result.clean:
            runs.forget(workspace, run_id)
    predicate = p.Rehearsal(
        run_id,
        release.digest,
        previous,
        environment.name,
        environment.digest,
        faults,
        result.outcome,
        result.milliseconds_rollback,
        tuple(result.cases),
        result.evidence,
    )
    answer = {
        "id": run_id,
        "outcome": result.outcome,
        "environment": environment.name,
        "seconds_rollback": result.milliseconds_rollback / 1000,
        "cases": [
            {
                "fault": c.fault,
                "task": c.task,
                "index": c.index,
                "restored": c.restored,
                "left": list(c.left),
            }
            for c in result.cases
        ],
        "limits": _limits(workspace, release, result.milliseconds_rollback),
        "evidence": result.evidence,
        "message": result.message,
    }
    return answer, draft("rehearsal", predicate, [(release.name, release.digest)])


def _limits(workspace: Workspace, release: Release, milliseconds: int) -> list[dict[str, Any]]:
    """How long going back may take, by the open changes that the release is for, and whether
    it kept within that; OG405 asks the same before production."""
    found = []
    for name in sorted(release.changes):
        change = workspace.state.changes.get(name)
        minutes = change.submitted.act.rollback_minutes if change else None
        if change is None or change.closed is not None or minutes is None:
            continue
        kept = milliseconds <= minutes * 60_000
        found.append({"change": name, "minutes": minutes, "kept": kept})
    return found
