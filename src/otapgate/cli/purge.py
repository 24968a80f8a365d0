"""`otapgate test purge`: delete evidence of tests whose time is over."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from otapgate.cli.acting import DryRun, entries_text, open_workspace
from otapgate.cli.output import Reply, confirm
from otapgate.i18n import _


def purge(
    env: Annotated[
        str | None, typer.Option("--env", metavar="ENV", help=_("Only for this environment."))
    ] = None,
    dry_run: DryRun = False,
) -> Reply:
    from otapgate.acts import retention

    with open_workspace() as workspace:
        if not dry_run:
            workspace.require("administrator", "test-lead", "environment-owner")
        found = retention.due(workspace, env)
        said = _("{environment}: {runs} test runs older than {days} days; {n} objects, {kb} KB")
        lines = [
            said.format(
                environment=x.environment.name,
                runs=len(x.runs),
                days=x.environment.retention_days,
                n=len(x.digests),
                kb=-(-x.bytes // 1024),
            )
            for x in found
        ]
        data: dict[str, Any] = {
            "purged": [
                {
                    "environment": x.environment.name,
                    "runs": [run.act.run for run in x.runs],
                    "digests": list(x.digests),
                    "bytes": x.bytes,
                    "kept": list(x.shared),
                }
                for x in found
            ]
        }
        if dry_run:
            lines.append(_("Nothing was recorded (--dry-run)."))
            return Reply({**data, "entries": [], "dry_run": True}, "\n".join(lines))
        left = retention.leftovers(workspace)
        if not found and not left:
            return Reply({**data, "entries": []}, _("No evidence of tests is to be deleted."))
        for line in lines:
            confirm_line(line)
        if found:
            confirm(_("Delete this evidence for good? The ledger keeps its digests."))
        entries = []
        for one in found:
            entries.append(workspace.record(one.draft()))
            retention.delete(workspace, one.digests)
        retention.delete(workspace, left)
    if left:
        lines.append(
            _("{n} objects of an earlier purge that was cut off are gone too.").format(n=len(left))
        )
    return Reply({**data, "entries": entries}, "\n".join([*lines, entries_text(entries)]).rstrip())


def confirm_line(line: str) -> None:
    """What is about to be deleted, before the question."""
    from otapgate.cli.options import options
    from otapgate.cli.output import progress

    if not options().yes:
        progress(line)
