"""`otapgate change`: the life of a request for change."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from otapgate import errors
from otapgate.cli.acting import DryRun, open_for_reading, open_workspace, recorded
from otapgate.cli.output import Reply, table
from otapgate.i18n import _

ChangeId = Annotated[str, typer.Argument(metavar="ID", help=_("The change, such as CHG-0001."))]


def new(
    file: Annotated[
        Path | None,
        typer.Option("--from", metavar="FILE", help=_("The filled-in form (YAML).")),
    ] = None,
    form: Annotated[
        Path | None,
        typer.Option("--form", metavar="FILE", help=_("Write an empty form to fill in.")),
    ] = None,
    dry_run: DryRun = False,
) -> Reply:
    from otapgate.acts import changes

    if form is not None:
        from otapgate.change.vtw import template
        from otapgate.i18n import language

        if form.exists():
            raise errors.BadInput("file-exists", _("{file} exists already.").format(file=form),
                                  where=str(form))  # fmt: skip
        form.write_text(template(language()), encoding="utf-8")
        return Reply(
            {"form": str(form)},
            _("Fill in {file} and run: otapgate change new --from {file}").format(file=form),
        )
    if file is None:
        raise errors.Usage(
            "form-missing",
            _("A change is submitted with a filled-in form."),
            remedy="otapgate change new --form changes/my-change.yml",
        )
    with open_workspace() as workspace:
        draft = changes.submit(workspace, file)
        name = draft.predicate["change"]
        text = _("{change} is submitted. The change manager classifies it:"
                 " otapgate change classify {change} --impact LEVEL --urgency LEVEL").format(
            change=name)  # fmt: skip
        return recorded(workspace, draft, {"change": {"id": name}}, text, dry_run)


def change_list(
    every: Annotated[bool, typer.Option("--all", help=_("Closed ones too."))] = False,
) -> Reply:
    from otapgate.acts import changes

    with open_for_reading() as workspace:
        found = [
            changes.summary(workspace, c)
            for c, known in workspace.state.changes.items()
            if every or known.closed is None
        ]
    rows = [[c["id"], c["priority"] or "-", c["status"], c["title"] or "-",
             c["submitted"]["by"]] for c in found]  # fmt: skip
    heads = [_("change"), _("priority"), _("status"), _("title"), _("submitted by")]
    return Reply({"changes": found}, table(heads, rows))


def show(change: ChangeId) -> Reply:
    from otapgate.acts import changes

    with open_for_reading() as workspace:
        change = changes.named(workspace, change)
        found = changes.summary(workspace, change)
        form = changes.form(workspace, change)

    def text() -> str:
        lines = [f"{found['id']}  {found['title'] or '-'}",
                 _("status: {status}").format(status=found["status"])]  # fmt: skip
        if found["priority"]:
            lines.append(
                _("priority: {priority} (impact {impact}, urgency {urgency})").format(
                    priority=found["priority"], impact=found["impact"], urgency=found["urgency"]
                )
            )
        lines.append(_("submitted by {by} on {at}").format(**found["submitted"]))
        lines += [f"{v['verdict']}: {v['by']} ({v['role']}), {v['at']}"
                  for v in found["authorised"]]  # fmt: skip
        if found["window"]:
            lines.append(_("window: {start} to {end}").format(**found["window"]))
        if found["releases"]:
            lines.append(_("releases: {names}").format(names=", ".join(found["releases"])))
        if form:
            lines.append("")
            lines += [f"{key}: {value}" for key, value in form.items()]
        return "\n".join(lines)

    return Reply({"change": {**found, "vtw": form}}, text)


def classify(
    change: ChangeId,
    impact: Annotated[str, typer.Option("--impact", help="low | medium | high")],
    urgency: Annotated[str, typer.Option("--urgency", help="low | medium | high")],
    dry_run: DryRun = False,
) -> Reply:
    from otapgate.acts import changes

    with open_workspace() as workspace:
        change = changes.named(workspace, change)
        draft = changes.classify(workspace, change, impact, urgency)
        priority = draft.predicate["priority"]
        text = _("{change} has priority {priority}.").format(change=change, priority=priority)
        data = {"change": {"id": change, "impact": impact, "urgency": urgency,
                           "priority": priority}}  # fmt: skip
        return recorded(workspace, draft, data, text, dry_run)


def authorise(
    change: ChangeId,
    role: Annotated[
        str | None,
        typer.Option("--role", help=_("In which role, when you hold several that authorise.")),
    ] = None,
    reject: Annotated[bool, typer.Option("--reject", help=_("Refuse it; give a reason."))] = False,
    because: Annotated[str, typer.Option("--because", help=_("Why."))] = "",
    dry_run: DryRun = False,
) -> Reply:
    from otapgate.acts import changes

    with open_workspace() as workspace:
        change = changes.named(workspace, change)
        draft = changes.authorise(workspace, change, role, reject=reject, because=because)
        text = (
            _("You rejected {change} as {role}.")
            if reject
            else _("You authorised {change} as {role}.")
        ).format(change=change, role=draft.predicate["role"])
        data = {"change": {"id": change, "role": draft.predicate["role"],
                           "verdict": draft.predicate["verdict"]}}  # fmt: skip
        return recorded(workspace, draft, data, text, dry_run)


def schedule(
    change: ChangeId,
    window: Annotated[
        str,
        typer.Option("--window", metavar="START/END",
                     help=_("When it may go to production: 2027-01-12T16:00/2027-01-12T20:00.")),
    ],
    dry_run: DryRun = False,
) -> Reply:  # fmt: skip
    from otapgate.acts import changes

    with open_workspace() as workspace:
        change = changes.named(workspace, change)
        draft = changes.schedule(workspace, change, window)
        start, end = draft.predicate["start"], draft.predicate["end"]
        text = _("{change} may go to production from {start} to {end}.").format(
            change=change, start=start, end=end
        )
        data = {"change": {"id": change, "window": {"start": start, "end": end}}}
        return recorded(workspace, draft, data, text, dry_run)


def close(
    change: ChangeId,
    outcome: Annotated[
        str, typer.Option("--outcome", help="succeeded | failed | withdrawn | rejected")
    ] = "succeeded",
    evaluation: Annotated[
        str,
        typer.Option("--evaluation",
                     help=_("How it went: goal reached, faults, on time, lessons.")),
    ] = "",
    dry_run: DryRun = False,
) -> Reply:  # fmt: skip
    from otapgate.acts import changes

    with open_workspace() as workspace:
        change = changes.named(workspace, change)
        draft = changes.close(workspace, change, outcome, evaluation)
        text = _("{change} is closed: {outcome}.").format(change=change, outcome=outcome)
        return recorded(workspace, draft, {"change": {"id": change, "outcome": outcome}}, text,
                        dry_run)  # fmt: skip
