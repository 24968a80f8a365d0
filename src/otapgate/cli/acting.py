"""What commands that act share: opening the landscape, recording, rendering findings."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import typer

from otapgate import errors
from otapgate.acts.workspace import Workspace
from otapgate.cli.options import find_landscape, options
from otapgate.cli.output import Reply, fillable
from otapgate.i18n import _
from otapgate.ledger.statement import Draft

DryRun = Annotated[
    bool, typer.Option("--dry-run", help=_("Say what would be done; record and change nothing."))
]


def open_workspace(now: datetime | None = None) -> Workspace:
    """The landscape that the options name, opened by who the key says, for acting."""
    return Workspace(find_landscape(), key=options().key, now=now)


def open_for_reading() -> Workspace:
    """The same for commands that only show: quicker, because it believes the cache. What
    it shows can't be recorded."""
    return Workspace(find_landscape(), key=options().key, reading=True)


def recorded(
    workspace: Workspace, draft: Draft, data: dict[str, Any], text: str, dry_run: bool
) -> Reply:
    """Record an act, or with `--dry-run` only check that it could be."""
    if dry_run:
        workspace.entitle(draft)
        return Reply(
            {**data, "entry": None, "dry_run": True},
            _("Nothing was recorded (--dry-run). Would say: {text}").format(text=text),
        )
    entry = workspace.record(draft)
    text += "\n" + _("Entry {n}.").format(n=entry)
    if not workspace.remembers:
        text += "\n" + _("That you have seen the ledger so far could not be noted.")
    return Reply({**data, "entry": entry}, text)


def entries_text(entries: Sequence[int]) -> str:
    """Where in the ledger it stands; nothing when nothing was recorded."""
    if not entries:
        return ""
    said = _("Entry {n}.") if len(entries) == 1 else _("Entries {n}.")
    return said.format(n=", ".join(map(str, entries)))


def moment(workspace: Workspace, text: str) -> datetime:
    """A time from the command line; without zone, the landscape's."""
    from zoneinfo import ZoneInfo

    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise errors.Usage(
            "time-malformed",
            _("{text} is not a time; write it as 2027-01-12T16:00.").format(text=text),
        ) from error
    zone = ZoneInfo(workspace.outline.timezone)
    return found if found.tzinfo else found.replace(tzinfo=zone)


_ORDER = (
    "people", "role", "policy", "log", "doctor", "env", "change", "release", "anonymize",
    "test plan", "rehearse", "promote", "parallel", "accept", "sign-off",
)  # fmt: skip


def in_order(findings: Sequence[dict[str, Any]], to: str) -> list[dict[str, Any]]:
    """What is missing before `to`, in an order in which the remedies can be followed."""

    def step(finding: dict[str, Any]) -> int:
        remedy = finding.get("remedy") or {}
        command = str(remedy.get("command") or finding.get("command") or "")
        words = f"{command.removeprefix('otapgate ')} "
        if words.startswith("promote ") and f"--to {to} " in words:
            return len(_ORDER)
        if words.startswith(("test run ", "rollback ")):
            # Back to what runs elsewhere comes before rehearsing; a test where it runs now.
            words = "rehearse " if words.startswith("rollback ") else "promote "
        return next((i for i, x in enumerate(_ORDER) if words.startswith(f"{x} ")), len(_ORDER))

    return sorted(findings, key=step)


def findings_text(decision: dict[str, Any]) -> str:
    """A decision in words: every finding with its code, norms, remedy and who."""
    name, to = decision["release"]["name"], decision["to"]
    blocking = [f for f in decision["findings"] if f["severity"] == "block"]
    warnings = [f for f in decision["findings"] if f["severity"] != "block"]
    if blocking:
        head = _("REFUSED: {release} may not enter {to} yet. Missing: {count}.").format(
            release=name, to=to, count=len(blocking)
        )
    else:
        head = _("ALLOWED: {release} may enter {to}.").format(release=name, to=to)
    lines = [head]
    for finding in in_order(blocking, to):
        lines += ["", *_finding_lines(finding)]
    if warnings:
        lines += ["", _("Also worth knowing:")]
        for finding in warnings:
            lines += _finding_lines(finding)
    return "\n".join(lines)


def _finding_lines(finding: dict[str, Any]) -> list[str]:
    norms = ", ".join(finding["norms"])
    lines = [f"{finding['code']} {finding['slug']} [{norms}]", f"   {finding['message']}"]
    waiver = finding.get("waiver")
    if waiver:
        said = _("waived by {by} until {until}: {because}").format(
            **{**waiver, "because": waiver["because"] or "-"}
        )
        lines.append(f"     {said}")
    remedy = finding["remedy"]
    if remedy:
        lines.append(f"   → {fillable(remedy['command'])}")
        who = ", ".join(remedy["who"])
        if remedy["role"] and who:
            lines.append("     " + _("by {who} ({role})").format(who=who, role=remedy["role"]))
        elif remedy["role"]:
            lines.append("     " + _("by somebody with the role {role}; nobody who may has it")
                         .format(role=remedy["role"]))  # fmt: skip
    return lines
