"""`otapgate log` and `otapgate policy`: the ledger, and the policy in force."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from otapgate import errors
from otapgate.cli.acting import DryRun, open_for_reading, open_workspace, recorded
from otapgate.cli.output import Reply, table
from otapgate.errors import Exit
from otapgate.i18n import _, why


def log_list(
    act: Annotated[
        str | None, typer.Option("--act", help=_("Only this act, such as acceptance."))
    ] = None,
    last: Annotated[
        int | None, typer.Option("--last", min=1, help=_("Only the last so many."))
    ] = None,
) -> Reply:
    from otapgate.acts import logbook

    with open_for_reading() as workspace:
        found = logbook.listing(workspace, act, last)
    rows = [[str(e["entry"]), e["at"], e["act"], e["by"] or "-",
             ", ".join(s["name"] for s in e["subjects"])] for e in found]  # fmt: skip
    heads = [_("entry"), _("when"), _("act"), _("who"), _("about")]
    return Reply({"entries": found}, table(heads, rows))


def show(
    entry: Annotated[int, typer.Argument(metavar="N", help=_("The entry's number."))],
) -> Reply:
    from otapgate.acts import logbook

    with open_for_reading() as workspace:
        found = logbook.show(workspace, entry)
    return Reply(
        {"entry": found},
        lambda: json.dumps(
            {k: v for k, v in found.items() if k != "signature"}, indent=2, ensure_ascii=False
        ),
    )


def verify(
    pin: Annotated[
        Path | None,
        typer.Option("--pin", metavar="FILE", help=_("A checkpoint that was kept elsewhere.")),
    ] = None,
) -> Reply:
    from otapgate.acts import logbook

    with open_workspace() as workspace:
        found = logbook.verify(workspace, pin)
    bad = found["problems"]

    def text() -> str:
        lines = []
        if bad:
            lines.append(_("The ledger does NOT verify:"))
            lines += [
                "  "
                + (_("entry {n}: ").format(n=x["entry"]) if x["entry"] is not None else "")
                + x["what"]
                for x in bad
            ]
        else:
            lines.append(
                _(
                    "{entries} entries, {signatures} signatures and {decisions} decisions verify."
                ).format(**found)
            )
            lines.append(_("root {root}").format(root=found["root"]))
            lines.append(_("Excluded:"))
            lines += [f"  {x}" for x in found["excluded"]]
        lines.append(_("Not excluded:"))
        lines += [f"  {x}" for x in found["not_excluded"]]
        return "\n".join(lines)

    return Reply(found, text, ok=not bad, exit=Exit.INTEGRITY if bad else Exit.OK)


def checkpoint(
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help=_("Write it to a file."))
    ] = None,
) -> Reply:
    from otapgate.acts import logbook

    with open_workspace() as workspace:
        text = logbook.checkpoint_text(workspace)
    if output is not None:
        try:
            output.write_text(text, encoding="utf-8")
        except OSError as error:
            raise errors.Failed(
                "unwritable", _("{file} can't be written: {error}.").format(
                    file=output, error=why(error)), where=str(output),
            ) from error  # fmt: skip
        return Reply(
            {"checkpoint": text, "file": str(output)},
            _("Keep {file} where nobody who can write the ledger can reach it.").format(
                file=output
            ),
        )
    return Reply({"checkpoint": text}, text.rstrip("\n"))


def dismiss(
    entries: Annotated[list[int], typer.Argument(metavar="N", help=_("The entries' numbers."))],
    because: Annotated[str, typer.Option("--because", help=_("What came of looking into it."))],
    dry_run: DryRun = False,
) -> Reply:
    from otapgate.acts import logbook

    with open_workspace() as workspace:
        draft = logbook.dismiss(workspace, entries, because)
        text = _("Looked into, without effect, and in nobody's way any more: {entries}.").format(
            entries=", ".join(map(str, entries))
        )
        return recorded(workspace, draft, {"dismissed": entries}, text, dry_run)


def clock(
    because: Annotated[str, typer.Option("--because", help=_("How the wrong time came in."))],
    dry_run: DryRun = False,
) -> Reply:
    from otapgate.acts import logbook

    with open_workspace() as workspace:
        draft = logbook.correct_clock(workspace, because)
        now = workspace.now().isoformat(timespec="seconds")
        text = _("The ledger's time is {now} from here on.").format(now=now)
        return recorded(workspace, draft, {"now": now}, text, dry_run)


def move(
    because: Annotated[str, typer.Option("--because", help=_("Why the ledger moved."))],
) -> Reply:
    from otapgate.acts import founding

    with open_workspace() as workspace:
        entry = founding.move(workspace, because)
        where = str(workspace.root)
    return Reply(
        {"entry": entry}, _("The ledger lives in {where} from now on.").format(where=where)
    )


def policy_approve(
    because: Annotated[str, typer.Option("--because", help=_("Why."))] = "",
    dry_run: DryRun = False,
) -> Reply:
    from otapgate.acts import policy

    with open_workspace() as workspace:
        draft = policy.approve(workspace, because)
        digest, changed = draft.predicate["policy"], policy.changes(workspace)
        text = _("The policy {digest} is in force.").format(digest=digest[:19])
        if changed:
            text += "\n" + _("Changed: {files}.").format(files=", ".join(changed))
        if not dry_run:
            workspace.entitle(draft)
            policy.keep(workspace)
        return recorded(workspace, draft, {"policy": digest, "changed": list(changed)}, text,
                        dry_run)  # fmt: skip


def policy_show() -> Reply:
    from otapgate.acts import policy

    with open_workspace() as workspace:
        found = policy.show(workspace)
        file = workspace.landscape.policy.file
    lines = [
        _("The policy in the files is in force.") if found["approved"]
        else _("The policy in the files is NOT in force: otapgate policy approve")
    ]  # fmt: skip
    if found["changed"]:
        lines.append(_("Changed: {files}.").format(files=", ".join(found["changed"])))
    covers = found["covers"]
    lines += [found["policy"], "", _("It covers {file} and:").format(file=file)]
    lines.append("  " + _("time zone: {zone}").format(zone=covers["timezone"]))
    for name, environments in sorted(covers["streets"].items()):
        path = " → ".join(f"{stage} {environment}" for environment, stage in environments)
        lines.append("  " + _("street {name}: {path}").format(name=name, path=path))
    for freeze in covers["freezes"]:
        lines.append(
            "  " + _("freeze {name}: {start} to {end}").format(**freeze)
            + (f" ({', '.join(freeze['streets'])})" if freeze["streets"] else "")
        )  # fmt: skip
    if not covers["freezes"]:
        lines.append("  " + _("no freezes"))
    return Reply(found, "\n".join(lines))
