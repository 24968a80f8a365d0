"""`otapgate waive`: one release passes one rule for a time."""

from __future__ import annotations

from typing import Annotated

import typer

from otapgate.cli.acting import DryRun, open_workspace, recorded
from otapgate.cli.output import Reply
from otapgate.i18n import _


def waive(
    rule: Annotated[str, typer.Argument(metavar="RULE", help=_("The rule's code or slug."))],
    release: Annotated[str, typer.Argument(metavar="REL", help=_("app@version or digest prefix."))],
    because: Annotated[str, typer.Option("--because", metavar="TEXT", help=_("Why."))],
    until: Annotated[
        str,
        typer.Option(
            "--until", metavar="DATE", help=_("The day on which the rule holds again: 2027-01-31.")
        ),
    ],
    dry_run: DryRun = False,
) -> Reply:
    from otapgate.acts import waiving

    with open_workspace() as workspace:
        draft = waiving.waive(workspace, rule, release, because=because, until=until)
        found = draft.predicate
        name = draft.subjects[0].name
        text = _("{rule} doesn't hold {release} back until {until}.").format(
            rule=found["rule"], release=name, until=found["until"]
        )
        data = {
            "waiver": {
                "rule": found["rule"],
                "release": {"name": name, "digest": found["release"]},
                "until": found["until"],
                "because": because,
            }
        }
        return recorded(workspace, draft, data, text, dry_run)
