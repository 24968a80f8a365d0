"""`otapgate accept` and `otapgate sign-off`: the verdicts of people."""

from __future__ import annotations

from typing import Annotated

import typer

from otapgate.cli.acting import DryRun, open_workspace, recorded
from otapgate.cli.output import Reply
from otapgate.i18n import _

Rel = Annotated[str, typer.Argument(metavar="REL", help=_("app@version or digest prefix."))]
ForChange = Annotated[str, typer.Option("--change", metavar="ID", help=_("For which change."))]


def accept(
    release: Rel,
    env: Annotated[str, typer.Option("--env", metavar="ENV", help=_("Where it was judged."))],
    change: ForChange,
    criterion: Annotated[
        list[str] | None,
        typer.Option("--criterion", metavar="ID=pass|fail[:NOTE]",
                     help=_("Your verdict on a criterion; once for each.")),
    ] = None,
    dry_run: DryRun = False,
) -> Reply:  # fmt: skip
    from otapgate.acts import changes, evidence

    with open_workspace() as workspace:
        change = changes.named(workspace, change)
        draft = evidence.accept(workspace, release, env, change, criterion or [])
        verdicts = draft.predicate["criteria"]
        failed = [c for c, v in verdicts.items() if v == "fail"]
        text = (
            _("Recorded: not accepted, for {criteria}.").format(criteria=", ".join(failed))
            if failed
            else _("Recorded: {release} is accepted on all {n} criteria.").format(
                release=release, n=len(verdicts)
            )
        )
        data = {"acceptance": {"release": release, "environment": draft.predicate["environment"],
                               "change": change, "criteria": verdicts}}  # fmt: skip
        return recorded(workspace, draft, data, text, dry_run)


def sign_off(
    release: Rel,
    to: Annotated[str, typer.Option("--to", metavar="ENV", help=_("For which transition."))],
    change: ForChange,
    role: Annotated[
        str | None,
        typer.Option("--role", help=_("In which role, when you hold several that sign off.")),
    ] = None,
    reject: Annotated[bool, typer.Option("--reject", help=_("Refuse it; give a reason."))] = False,
    because: Annotated[str, typer.Option("--because", help=_("Why."))] = "",
    dry_run: DryRun = False,
) -> Reply:
    from otapgate.acts import changes, evidence

    with open_workspace() as workspace:
        change = changes.named(workspace, change)
        draft = evidence.sign_off(
            workspace, release, to, change, role=role, reject=reject, because=because
        )
        text = (
            _("Recorded: as {role} you refuse {release} for {to}.") if reject
            else _("Recorded: as {role} you signed off {release} for {to}.")
        ).format(role=draft.predicate["role"], release=release,
                 to=draft.predicate["environment"])  # fmt: skip
        data = {"sign_off": {"release": release, "to": draft.predicate["environment"],
                             "change": change, "role": draft.predicate["role"],
                             "verdict": draft.predicate["verdict"]}}  # fmt: skip
        return recorded(workspace, draft, data, text, dry_run)
