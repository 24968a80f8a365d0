"""Test runs on record: shown, compared with earlier ones. Norm CH05-05."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from otapgate import errors
from otapgate.acts.workspace import Workspace
from otapgate.i18n import _
from otapgate.ledger import predicates as p
from otapgate.ledger.state import Release, Signed

if TYPE_CHECKING:
    from otapgate.testing.run import RunResult


def as_json(run_id: str, plan: str, result: RunResult) -> dict[str, Any]:
    """A run as scripts get it."""
    return {
        "id": run_id,
        "outcome": result.outcome,
        "plan": plan,
        "evidence": result.evidence,
        "cases": [
            {
                "id": c.id,
                "kind": c.kind,
                "criterion": c.criterion,
                "outcome": c.outcome,
                "seconds": c.milliseconds / 1000,
                "message": result.messages.get(c.id, ""),
                "reason": c.reason,
            }
            for c in result.cases
        ],
    }


def show(workspace: Workspace, run_id: str) -> dict[str, Any]:
    """A run on record, with what its evidence says when that is still kept."""
    release, found = find(workspace, run_id)
    kept = evidence(workspace, found.act)
    by_case = {c.get("id"): c for c in kept.get("cases", []) if isinstance(c, dict)}
    return {
        "id": found.act.run,
        "release": release.name,
        "environment": found.act.environment,
        "outcome": found.act.outcome,
        "plan": found.act.plan,
        "by": workspace.name(found.by),
        "at": found.at,
        "evidence": found.act.evidence,
        "purged": _purged(workspace, found.act.run),
        "cases": [
            {
                "id": c.id,
                "kind": c.kind,
                "criterion": c.criterion,
                "outcome": c.outcome,
                "reason": c.reason,
                "seconds": c.milliseconds / 1000,
                "message": by_case.get(c.id, {}).get("message", ""),
                "findings": _findings(by_case.get(c.id, {})),
                "otherwise": _otherwise(release, found, c),
            }
            for c in found.act.cases
        ],
    }


def find(workspace: Workspace, run_id: str) -> tuple[Release, Signed[p.TestRun]]:
    """A run by its id or the beginning of it; raises BadInput."""
    for release in workspace.state.releases.values():
        for found in release.runs:
            if found.act.run.startswith(run_id):
                return release, found
    raise errors.BadInput(
        "run-unknown", _("There is no test run {run}.").format(run=run_id),
        remedy="otapgate release show REL",
    )  # fmt: skip


def evidence(workspace: Workspace, run: p.TestRun) -> dict[str, Any]:
    """What the store still holds of a run's evidence; empty when it holds nothing."""
    try:
        kept = json.loads(workspace.store.get(run.evidence))
    except (errors.OtapgateError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}


def _findings(case: dict[str, Any]) -> list[str]:
    return [str(x) for step in case.get("steps", []) for x in step.get("findings", [])]


def _otherwise(
    release: Release, run: Signed[p.TestRun], case: p.CaseOutcome
) -> list[dict[str, str]]:
    """Earlier runs of the same release in the same environment in which the case came out
    differently: a sign that it is flaky, or that somebody mended something there."""
    return [
        {"run": earlier.act.run, "at": earlier.at, "outcome": c.outcome}
        for earlier in release.runs
        if earlier.position < run.position and earlier.act.environment == run.act.environment
        for c in earlier.act.cases
        if c.id == case.id and c.outcome != case.outcome
    ]


def _purged(workspace: Workspace, run_id: str) -> dict[str, Any] | None:
    """When and by whom its evidence was deleted; None while it is kept."""
    entry = workspace.state.purged.get(run_id)
    if entry is None:
        return None
    for position, statement, by in workspace.statements("evidence-purged"):
        if position == entry:
            return {"entry": entry, "at": statement.at, "by": workspace.name(by)}
    return {"entry": entry, "at": "-", "by": "-"}
