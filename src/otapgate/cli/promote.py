"""`otapgate promote`, `rollback` and `rehearse`: what moves things."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from otapgate import errors
from otapgate.cli.acting import DryRun, entries_text, findings_text, open_workspace
from otapgate.cli.output import Reply, confirm, progress
from otapgate.errors import Exit
from otapgate.i18n import _, why

Rel = Annotated[str, typer.Argument(metavar="REL", help=_("app@version or digest prefix."))]


def promote(
    release: Rel,
    to: Annotated[str, typer.Option("--to", metavar="ENV", help=_("Where it goes."))],
    change: Annotated[str, typer.Option("--change", metavar="ID", help=_("For which change."))],
    dry_run: DryRun = False,
    resume: Annotated[
        bool, typer.Option("--resume", help=_("Go on with an unfinished promotion."))
    ] = False,
) -> Reply:
    from otapgate.acts import changes, promotion

    with open_workspace() as workspace:
        change = changes.named(workspace, change)
        found = promotion.promote(
            workspace, release, to, change, dry_run=dry_run, resume=resume, progress=progress
        )
    data: dict[str, Any] = {"decision": found.decision}
    if not found.allowed:
        ending = f"\n\n   → otapgate rollback {to}" if resume else ""
        return Reply(data, lambda: findings_text(found.decision) + ending, ok=False,
                     exit=Exit.REFUSED)  # fmt: skip
    if found.promotion is None:
        text = findings_text(found.decision) + "\n" + _("Nothing was done (--dry-run).")
        return Reply({**data, "dry_run": True}, text)
    data["promotion"] = found.promotion
    ok = found.outcome == "succeeded"
    return Reply(data, lambda: _promoted(
        found.decision["release"]["name"], found.decision["to"], change, found.promotion or {}
    ), ok=ok,
                 exit=Exit.OK if ok else Exit.FAILED)  # fmt: skip


def _promoted(release: str, to: str, change: str, found: dict[str, Any]) -> str:
    complete = found["completeness"]
    seconds = f"{found['seconds']['total']:.1f}"
    match found["outcome"]:
        case "succeeded":
            lines = [
                _("{release} runs in {to}. Every item on every host is as accepted, nothing else"
                  " came along. {seconds} s.").format(release=release, to=to, seconds=seconds)
            ]  # fmt: skip
        case "rolled-back":
            lines = [
                _(
                    "It failed and was rolled back; {to} is as it was, compared item by item."
                ).format(to=to),
                found["message"],
            ]
        case "unfinished":
            lines = [
                _("Interrupted. The promotion is unfinished and nothing else can happen in {to}"
                  " until it is ended:").format(to=to),
                f"   → otapgate promote {release} --to {to} --change {change} --resume",
                f"   → otapgate rollback {to}",
            ]  # fmt: skip
        case _other:
            lines = [
                _("It failed, and {to} could not be brought back wholly. Left:").format(to=to),
                *(f"   {item}" for item in found["left"]),
                found["message"],
                f"   → otapgate rollback {to}",
            ]
    for kind in ("missing", "different", "extra"):
        lines += [f"   {_(kind)}: {item}" for item in complete[kind][:20]]
    lines.append(entries_text(found["entries"]))
    return "\n".join(line for line in lines if line)


def rollback(
    env: Annotated[str, typer.Argument(metavar="ENV", help=_("The environment."))],
    dry_run: DryRun = False,
) -> Reply:
    from otapgate.acts import rollback as going_back

    with open_workspace() as workspace:
        found = going_back.rollback(
            workspace, env, dry_run=dry_run, progress=progress, confirm=confirm
        )
    ok = found["outcome"] == "restored"
    return Reply({"rollback": found}, lambda: _went_back(found, going_back.what_it_takes(found)),
                 ok=ok or found.get("dry_run", False),
                 exit=Exit.OK if ok or found.get("dry_run") else Exit.FAILED)  # fmt: skip


def _went_back(found: dict[str, Any], takes: str) -> str:
    if found.get("dry_run"):
        return takes + "\n" + _("Nothing was done (--dry-run).")
    names = {"environment": found["environment"], "to": found["to"] or _("nothing")}
    match found["outcome"]:
        case "restored":
            lines = [
                _("{environment} is back on {to}; its state was compared and is as it was.").format(
                    **names
                )
            ]
            if found["lost_since"]:
                lines.append(
                    _("What was entered there since {since} is lost.").format(
                        since=found["lost_since"]
                    )
                )
        case "unfinished":
            lines = [_("Interrupted. End it with: otapgate rollback {environment}").format(**names)]
        case _other:
            lines = [
                _("{environment} could not be brought back wholly. Left:").format(**names),
                *(f"   {item}" for item in found["left"]),
                found["message"],
            ]
    return "\n".join([line for line in [*lines, entries_text(found["entries"])] if line])


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise errors.Failed(
            "unwritable",
            _("{file} can't be written: {error}.").format(file=file, error=why(error)),
            where=str(file),
        ) from error


def rehearse(
    release: Rel,
    env: Annotated[str, typer.Option("--env", metavar="ENV", help=_("Where it is rehearsed."))],
    faults: Annotated[
        str,
        typer.Option(
            "--faults",
            metavar="none|sample:N|all",
            help=_("At which tasks the deployment is cut short too, and gone back from."),
        ),
    ] = "none",
    report: Annotated[
        Path | None,
        typer.Option(
            "--report", metavar="FILE", help=_("Write a page of it: every task and every fault.")
        ),
    ] = None,
) -> Reply:
    from otapgate.acts import rehearsal
    from otapgate.cli.rehearsal_page import number, page, promised

    if report is not None:
        _write(report, "")  # an hour of rehearsing isn't the moment to find out
    with open_workspace() as workspace:
        found, draft = rehearsal.rehearse(workspace, release, env, faults, progress)
        entry = workspace.record_late(draft)
    ok = found["outcome"] == "restored"
    lines = [
        (_("Restored: deployed, rolled back in {seconds} s, and compared item by item.")
         if ok else _("NOT restored. Rolling back took {seconds} s. Left:")).format(
            seconds=number(found["seconds_rollback"]))
    ]  # fmt: skip
    for case in found["cases"]:
        where = f"{case['index']} {case['task']}, {case['fault']}: " if case["index"] else ""
        lines += [f"   {where}{item}" for item in case["left"]]
    lines += [f"{one['change']}: {promised(one)}" for one in found["limits"]]
    if report is not None:
        _write(report, page(release, found))
        lines.append(_("Written: {file}.").format(file=report))
    if found["message"]:
        lines.append(found["message"])
    lines.append(_("Entry {n}.").format(n=entry))
    return Reply({"rehearsal": found, "entry": entry}, "\n".join(lines), ok=ok,
                 exit=Exit.OK if ok else Exit.FAILED)  # fmt: skip
