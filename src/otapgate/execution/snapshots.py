"""Snapshots on hosts that aren't local: removed once nothing needs them any more.

They hold the environment's data. Which runs are needed is for the caller to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from otapgate.errors import OtapgateError
from otapgate.execution import runner
from otapgate.execution.plan import Plan
from otapgate.i18n import _

PRUNE = Path(__file__).parent / "ansible" / "prune.yml"


def remove(plan: Plan, runs: Sequence[str]) -> str:
    """Remove the snapshots of `runs` from every host that isn't local. Returns a warning, or
    "": it never fails."""
    roots = {host: plan.snapshot_root(host) for host in plan.hosts}
    if not runs:
        return ""
    settings = plan.settings()
    try:
        result = runner.run_playbooks(
            settings,
            [PRUNE],
            label="prune",
            variables={"otapgate_prune_runs": sorted(runs)},
            host_variables={host: {"otapgate_prune_root": root} for host, root in roots.items()},
        )
    except (OtapgateError, OSError) as error:
        why = getattr(error, "message", None) or str(error)
    else:
        if result.ok:
            return ""
        why = result.message
    return left_behind(why)


def left_behind(why: str) -> str:
    """The warning."""
    return _("Old snapshots are left on hosts; the next promotion tries again. {why}").format(
        why=why
    )
