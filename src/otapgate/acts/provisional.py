"""What holds for a time: waivers of releases under way, and test runs broken off whose
answers are kept. For `status`; read from the ledger and from the kept files.
"""

from __future__ import annotations

from typing import Any

import msgspec

from otapgate.acts.workspace import Workspace
from otapgate.gate.registry import rules
from otapgate.ledger.state import Release


def waivers(workspace: Workspace, releases: list[Release]) -> list[dict[str, Any]]:
    """Every waiver of these releases whose day hasn't come, the oldest first. Whether it
    counts for a promotion, the gate says (F14): that depends on who promotes."""
    day = workspace.now().date().isoformat()
    slugs = {rule.code: rule.slug for rule in rules()}
    return [
        {
            "release": release.name,
            "called": workspace.state.called(release.digest),
            "rule": waiver.act.rule,
            "slug": slugs.get(waiver.act.rule, ""),
            "until": waiver.act.until,
            "by": workspace.name(waiver.by),
            "entry": waiver.position,
        }
        for release in releases
        for waiver in release.waivers
        if day < waiver.act.until
    ]


def broken_off(workspace: Workspace, environments: set[str]) -> list[dict[str, Any]]:
    """Test runs in these environments that were broken off after somebody had answered a
    question, with the command that goes on. Answers can be read by whoever gave them."""
    folder = workspace.hidden / "answers"
    if not folder.is_dir():
        return []
    from otapgate.testing.answers import Kept

    state = workspace.state
    names = {s.act.digest: name for name, several in state.plans.items() for s in several}
    found = []
    for file in sorted(folder.glob("run-*.json")):
        try:
            kept = msgspec.json.decode(file.read_bytes(), type=Kept)
        except (OSError, msgspec.MsgspecError, ValueError):
            continue  # somebody else's; or it holds nothing that one could go on with
        release = state.releases.get(kept.release)
        plan = names.get(kept.plan)
        if kept.environment not in environments or release is None or plan is None:
            continue
        found.append(
            {
                "run": file.stem,
                "release": release.name,
                "environment": kept.environment,
                "plan": plan,
                "by": workspace.name(kept.by),
                "answers": len(kept.answers),
                "command": f"otapgate test run {release.name} --env {kept.environment}"
                f" --plan {plan} --resume {file.stem}",
            }
        )
    return found
