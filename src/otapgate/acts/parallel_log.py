"""Parallel runs on record, as people and scripts read them (CH06-07)."""

from __future__ import annotations

from typing import Any

from otapgate import errors
from otapgate.acts.parallel import find
from otapgate.acts.workspace import Workspace
from otapgate.ledger.state import Parallel


def as_json(workspace: Workspace, known: Parallel) -> dict[str, Any]:
    """A run as lists give it."""
    started, concluded = known.started.act, known.concluded
    state = workspace.state
    if concluded is not None:
        status: str = concluded.act.verdict
    elif known.waits_for() is not None:
        status = "running"
    else:
        status = "open" if known.compared[-1].act.different else "over"
    return {
        "id": started.parallel,
        "release": state.called(started.release),
        "previous": state.called(started.previous) if started.previous else None,
        "change": started.change,
        "plan": {"name": started.plan, "digest": started.digest},
        "old": started.old,
        "new": started.new,
        "since": known.started.at,
        "days": started.days,
        "comparisons": started.comparisons,
        "made": len(known.compared),
        "status": status,
    }


def show(workspace: Workspace, run: str) -> dict[str, Any]:
    """A run with its comparisons; of the newest, what its evidence holds of it."""
    import json

    known = find(workspace, run)
    compared = [
        {
            "at": one.at, "by": workspace.name(one.by), "entry": one.position,
            "same": one.act.same, "tolerated": one.act.tolerated,
            "different": one.act.different, "evidence": one.act.evidence,
        }
        for one in known.compared
    ]  # fmt: skip
    outputs: list[dict[str, Any]] | None = []
    if known.compared:
        try:
            kept = json.loads(workspace.store.get(known.compared[-1].act.evidence))
            outputs = kept["outputs"]
        except (errors.OtapgateError, ValueError, KeyError):
            outputs = None  # deleted, when its time was over
    concluded = known.concluded
    return {
        **as_json(workspace, known),
        "compared": compared,
        "outputs": outputs,
        "concluded": None if concluded is None else {
            "verdict": concluded.act.verdict, "at": concluded.at,
            "by": workspace.name(concluded.by), "entry": concluded.position,
        },
    }  # fmt: skip
