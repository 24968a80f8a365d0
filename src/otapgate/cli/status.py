"""`otapgate status`: what runs where, what waits for whom, what is owed or unfinished."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from otapgate.cli.acting import in_order, open_for_reading
from otapgate.cli.output import Reply, fillable, table
from otapgate.i18n import _, ngettext


def status(
    street: Annotated[str | None, typer.Argument(metavar="STREET", help=_("One street."))] = None,
) -> Reply:
    from otapgate.acts import status as status_

    with open_for_reading() as workspace:
        found = status_.status(workspace, street)
    return Reply(found, lambda: _text(found))


def _text(found: dict[str, Any]) -> str:
    lines: list[str] = []
    for street in found["streets"]:
        lines += [f"{street['title'] or street['name']}", ""]
        heads = [_("environment"), _("release"), _("since"), _("data"), _("owner"), _("status")]
        rows = [
            [e["name"], e["called"] or "-", (e["since"] or "-")[:16],
             e["dataset"]["label"] if e["dataset"] else e["data_class"], e["owner"],
             _STATUS("busy" if e["busy"] else "unfinished" if e["unfinished"] else e["status"])]
            for e in street["environments"]
        ]  # fmt: skip
        lines += [table(heads, rows), ""]
        for e in street["environments"]:
            if e["busy"]:
                lines += [
                    _("{name} is busy: process {pid} since {since}: {command}").format(
                        name=e["name"], **e["busy"]
                    ),
                    "",
                ]
        for item in street["unfinished"]:
            if item["busy"]:
                continue
            lines.append(
                _("UNFINISHED: {kind} of {release} in {environment}. End it with:").format(**item)
            )
            lines += [f"   {left}" for left in item["left"][:20]]
            lines += [f"   → {fillable(remedy)}" for remedy in item["remedies"]] + [""]
        for item in _ordered(street["waiting"]):
            who = ", ".join(item["who"]) or _("nobody who may")
            lines.append(f"{item['called']} → {item['to']}: {item['message']}")
            lines.append(f"   → {fillable(item['command'])}   ({who})")
        for item in street["debts"]:
            mark = _("OVERDUE") if item["overdue"] else _("due")
            lines.append(f"{mark} {item['due'][:10]}: {item['message']}")
        lines += _provisional(street)
        lines.append("")
    lines += [f"! {note}" for note in found["notes"]]
    return "\n".join(lines).rstrip()


def _provisional(street: dict[str, Any]) -> list[str]:
    """Waivers, counted, and test runs to go on with."""
    waivers = street["waivers"]
    lines = []
    if waivers:
        lines.append(ngettext("{n} waiver:", "{n} waivers:", len(waivers)).format(n=len(waivers)))
    lines += [
        "   "
        + _("{rule} {slug} for {called} until {until}, by {by} (entry {entry})").format(**item)
        for item in waivers
    ]
    for item in street["broken_off"]:
        lines.append(
            _("Test run {run} in {environment} was broken off; {by} goes on with:").format(**item)
        )
        lines.append(f"   → {item['command']}")
    return lines


def _ordered(waiting: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What waits, release by release, in an order in which it can be done."""
    by_release: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for item in waiting:
        by_release.setdefault((item["release"], item["to"]), []).append(item)
    return [x for (_name, to), items in by_release.items() for x in in_order(items, to)]


def _STATUS(name: str) -> str:  # noqa: N802 - a table of translations
    return {
        "busy": _("busy"),
        "unfinished": _("UNFINISHED"),
        "accepted": _("accepted"),
        "unaccepted": _("not accepted by its owner"),
        "changed": _("changed since accepted"),
    }[name]
