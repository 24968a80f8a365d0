"""`otapgate people` and `otapgate role`: who is who, and who may do what."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from otapgate.cli.acting import DryRun, open_for_reading, open_workspace, recorded
from otapgate.cli.output import Reply, confirm, table
from otapgate.i18n import _


def enrol(
    name: Annotated[str, typer.Argument(help=_("The person's name, as files call them."))],
    key: Annotated[Path, typer.Argument(metavar="KEY.pub", help=_("Their public key file."))],
    dry_run: DryRun = False,
) -> Reply:
    from otapgate.acts import people

    with open_workspace() as workspace:
        draft = people.enrol(workspace, name, key)
        pending = workspace.state.directory.threshold > 1
        text = (
            _("{name} is enrolled as soon as a second role administrator confirms it:"
              " otapgate people confirm")
            if pending
            else _("{name} is enrolled.")
        ).format(name=name)  # fmt: skip
        further = people.further_key(workspace, str(draft.predicate["person"]))
        if further:
            text = (
                f"{further}. " + _("It counts as soon as a second role administrator confirms it:"
                                   " otapgate people confirm")
                if pending
                else f"{further}."
            )  # fmt: skip
        data = {"person": {"name": name, "pending": pending, "further_key": bool(further)}}
        return recorded(workspace, draft, data, text, dry_run)


def people_list() -> Reply:
    from otapgate.acts import people

    with open_for_reading() as workspace:
        found = people.listing(workspace)
    rows = [[p["name"], p["status"], ", ".join(p["roles"]) or "-",
             ", ".join(k["fingerprint"] for k in p["keys"] if not k["revoked"]) or "-"]
            for p in found]  # fmt: skip
    return Reply({"people": found}, table([_("name"), _("status"), _("roles"), _("keys")], rows))


def revoke(
    name: Annotated[str, typer.Argument(help=_("The person's name."))],
    key_id: Annotated[
        str | None,
        typer.Option("--key-id", help=_("Only this key, by fingerprint (SHA256:…).")),
    ] = None,
    dry_run: DryRun = False,
) -> Reply:
    from otapgate.acts import people

    with open_workspace() as workspace:
        draft = people.revoke(workspace, name, key_id)
        text = (
            _("The key {key} of {name} signs nothing more.").format(key=key_id, name=name)
            if key_id
            else _("{name} signs nothing more; what they signed before stays valid.").format(
                name=name
            )
        )
        return recorded(workspace, draft, {"person": {"name": name}}, text, dry_run)


def people_confirm(
    entries: Annotated[
        list[int] | None,
        typer.Argument(help=_("Positions to confirm; none means all that wait for you.")),
    ] = None,
    dry_run: DryRun = False,
) -> Reply:
    from otapgate.acts import people

    with open_workspace() as workspace:
        workspace.require("role-admin")
        waiting = people.confirmable(workspace)
        chosen = [w for w in waiting if not entries or w["entry"] in entries]
        lines = [f"{w['entry']:>5}  {w['text']}" for w in chosen]
        draft = people.confirm([w["entry"] for w in chosen])
        if not dry_run:
            confirm("\n".join(lines) + "\n" + _("Do you agree to all of this?"))
        return recorded(workspace, draft, {"confirmed": chosen},
                        "\n".join([_("Confirmed:"), *lines]), dry_run)  # fmt: skip


def grant(
    name: Annotated[str, typer.Argument(help=_("The person's name."))],
    role: Annotated[str, typer.Argument(help=_("The role, such as test-lead."))],
    street: Annotated[str | None, typer.Option("--street", help=_("Only on this street."))] = None,
    until: Annotated[
        str | None, typer.Option("--until", help=_("Until this day: 2027-07-31."))
    ] = None,
    dry_run: DryRun = False,
) -> Reply:
    from otapgate.acts import people

    with open_workspace() as workspace:
        workspace.require("role-admin")
        draft = people.grant(workspace, name, role, street, until)
        pending = workspace.state.directory.threshold > 1
        text = (
            _("{name} gets the role {role} as soon as a second role administrator confirms"
              " it: otapgate people confirm")
            if pending
            else _("{name} has the role {role}.")
        ).format(name=name, role=role)  # fmt: skip
        data: dict[str, Any] = {"role": {"person": name, "role": role, "street": street,
                                         "until": until, "pending": pending}}  # fmt: skip
        return recorded(workspace, draft, data, text, dry_run)


def role_revoke(
    name: Annotated[str, typer.Argument(help=_("The person's name."))],
    role: Annotated[str, typer.Argument(help=_("The role."))],
    street: Annotated[str | None, typer.Option("--street", help=_("Only on this street."))] = None,
    dry_run: DryRun = False,
) -> Reply:
    from otapgate.acts import people

    with open_workspace() as workspace:
        draft = people.withdraw(workspace, name, role, street)
        text = _("{name} no longer has the role {role}.").format(name=name, role=role)
        return recorded(workspace, draft, {"role": {"person": name, "role": role}}, text, dry_run)


def role_list() -> Reply:
    from otapgate.acts import people

    with open_for_reading() as workspace:
        found = people.seats(workspace)
    rows = [[s["person"], s["role"], s["street"] or _("all streets"), s["until"] or "-",
             s["status"]] for s in found]  # fmt: skip
    heads = [_("name"), _("role"), _("street"), _("until"), _("status")]
    return Reply({"roles": found}, table(heads, rows))
