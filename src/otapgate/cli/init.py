"""`otapgate init` and `otapgate check`: a new landscape, and whether one is in order."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, cast

import typer

from otapgate import errors
from otapgate.cli.options import options
from otapgate.cli.output import Reply
from otapgate.errors import Exit
from otapgate.i18n import _, language
from otapgate.landscape.model import STAGES, Stage


def init(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help=_("Where it comes."))],
    stages: Annotated[
        str, typer.Option("--stages", help=_("Its stages in order: T,A,P or O,T,A,P or A,P."))
    ] = "T,A,P",
    role_admin: Annotated[
        list[str] | None,
        typer.Option("--role-admin", metavar="NAME=KEY.pub",
                     help=_("Who administers people and roles; two is best.")),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help=_("The organisation's name."))
    ] = None,
    street: Annotated[
        str | None, typer.Option("--street", help=_("The first street's name."))
    ] = None,
    again: Annotated[
        bool,
        typer.Option("--again", help=_("Begin a new ledger where the old one is lost for good.")),
    ] = False,
) -> Reply:  # fmt: skip
    from otapgate.acts import founding
    from otapgate.acts.people import read_public_key
    from otapgate.ledger import keys
    from otapgate.ledger.sshkey import fingerprint_of_line

    admins: dict[str, str] = {}
    for text in role_admin or ():
        who, equals, file = text.partition("=")
        if not equals or not who.strip() or not file:
            raise errors.Usage(
                "role-admin-malformed",
                _("Write a role administrator as NAME=KEY.pub, not {text}.").format(text=text),
            )
        if who.strip() in admins:
            raise errors.Usage("role-admin-twice", _("{name} is named twice.").format(name=who))
        admins[who.strip()] = read_public_key(Path(file))
    if not admins:
        raise errors.Usage(
            "role-admin-missing",
            _("Somebody must administer people and roles from the start."),
            remedy="otapgate init DIR --role-admin NAME=KEY.pub --role-admin NAME=KEY.pub"
            " --key KEY",
        )
    key = options().key
    signer = (
        keys.from_file(Path(key).expanduser(), keys.ask_passphrase)
        if key is not None
        else keys.only_enrolled({fingerprint_of_line(line) for line in admins.values()})
    )
    existing = (directory / "otapgate.yml").is_file()
    if existing:
        founding.nothing_there(directory, again=again)
    title = name or directory.resolve().name
    workspace = founding.found(
        directory,
        stages=_stages(stages),
        admins=admins,
        signer=signer,
        name=title,
        street=street or _slug(title),
        language=language(),
        write_files=not existing,
        again=existing and again,
    )
    landscape = workspace.landscape
    names = [e.name for e in landscape.environments()]
    lines = [
        _("{directory} is a landscape with the environments {names}.").format(
            directory=directory, names=", ".join(names)
        )
    ]
    rest = list(admins)[1:] if len(admins) > 1 else []
    if rest:
        others = [w for w in admins if workspace.name(workspace.state.directory.founders[0]) != w]
        lines.append(
            _("{who} confirms the start with: otapgate people confirm").format(
                who=", ".join(others)
            )
        )
    else:
        lines.append(
            _("One person alone administers people and roles; it is shown until there are two.")
        )
    lines.append(_("Next: describe the environments in {directory}/environments, enrol people"
                   " (otapgate people enrol) and give them roles (otapgate role grant).").format(
        directory=directory))  # fmt: skip
    kept = founding.set_aside_in(directory)
    if kept:
        told = _(
            "Nothing of what the old ledger held counts in this one, and no checkpoint of"
            " the old one fits it. Its name is {origin}. What was left beside the old one is"
            " in {folder}."
        )
        lines.append(told.format(folder=kept, origin=landscape.origin))  # fmt: skip
    return Reply(
        {"landscape": str(directory.resolve()), "origin": landscape.origin, "kept": kept,
         "environments": [{"name": e.name, "stage": e.stage} for e in landscape.environments()]},
        "\n".join(lines),
    )  # fmt: skip


def _stages(text: str) -> list[Stage]:
    found = [part.strip().upper() for part in text.split(",") if part.strip()]
    ordered = [s for s in STAGES if s in found]
    if [*found] != [*ordered] or len(found) < 2 or found[-1] != "P":
        raise errors.Usage(
            "stages-wrong",
            _(
                "Stages are some of O,T,A,P in that order, P last and one before it: not {text}."
            ).format(text=text),
            remedy="--stages T,A,P",
        )
    return cast("list[Stage]", found)


def _slug(text: str) -> str:
    found = re.sub(r"[^a-z0-9]+", "-", text.casefold()).strip("-")
    return found or "street"


def check() -> Reply:
    from otapgate.cli.options import find_landscape
    from otapgate.landscape.load import check_all

    root = find_landscape()
    problems = check_all(root)
    data = [
        {"file": x.file, "line": x.line, "message": x.message, "remedy": x.remedy} for x in problems
    ]
    if not problems:
        return Reply({"problems": []}, _("Every file of the landscape is in order."))
    lines = []
    for x in problems:
        lines.append(f"{x.where or root}: {x.message}")
        if x.remedy:
            lines.append(f"   → {x.remedy}")
    return Reply({"problems": data}, "\n".join(lines), ok=False, exit=Exit.BAD_INPUT)
