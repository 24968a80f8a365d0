"""`otapgate gate`: what the gate says, its rules, its log, its decisions again."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from otapgate.cli.acting import findings_text, moment, open_for_reading, open_workspace
from otapgate.cli.output import Reply, table
from otapgate.errors import Exit
from otapgate.i18n import _


def explain(
    release: Annotated[str, typer.Argument(metavar="REL", help=_("app@version or digest prefix."))],
    to: Annotated[str, typer.Option("--to", metavar="ENV", help=_("Where it should go."))],
    change: Annotated[str, typer.Option("--change", metavar="ID", help=_("For which change."))],
    as_of: Annotated[
        str | None, typer.Option("--as-of", metavar="TIME", help=_("As things were then."))
    ] = None,
) -> Reply:
    from otapgate.acts import changes, gatekeeping

    with open_for_reading() as workspace:
        change = changes.named(workspace, change)
        at = moment(workspace, as_of) if as_of else None
        decision = gatekeeping.explain(workspace, release, to, change, at)
        data = gatekeeping.as_json(workspace, decision, None)
    allowed = decision.outcome == "allowed"
    return Reply({"decision": data}, lambda: findings_text(data), ok=allowed,
                 exit=Exit.OK if allowed else Exit.REFUSED)  # fmt: skip


def gate_rules(
    code: Annotated[
        str | None, typer.Argument(metavar="CODE", help=_("A code or slug, for its explanation."))
    ] = None,
) -> Reply:
    from otapgate import errors
    from otapgate.cli.options import options
    from otapgate.gate.norms import NORMS
    from otapgate.gate.registry import load_extensions, rules
    from otapgate.landscape.load import find_root

    load_extensions()
    policy = day = None
    try:
        find_root(options().start)
    except errors.OtapgateError:
        pass  # outside a landscape the rules' own severities are shown
    else:
        with open_workspace() as workspace:
            policy, day = workspace.outline.policy, workspace.now().date().isoformat()
    found: list[dict[str, Any]] = [
        {
            "code": r.code,
            "slug": r.slug,
            "norms": list(r.norms),
            "severity": r.severity_under(policy, day) if policy and day else r.severity,
            "hard": r.hard,
            "summary": r.summary,
        }
        for r in rules()
        if code is None or code.casefold() in (r.code.casefold(), r.slug)
    ]
    if not found:
        raise errors.BadInput(
            "rule-unknown", _("There is no rule {code}.").format(code=code),
            remedy="otapgate gate rules",
        )  # fmt: skip
    if code is not None:
        rule = next(r for r in rules() if r.code == found[0]["code"])
        lines = [f"{rule.code} {rule.slug} ({found[0]['severity']})", "",
                 *(line.strip() for line in rule.explanation.splitlines()), ""]  # fmt: skip
        lines += [f"{n}: {_(NORMS[n])}" for n in rule.norms]
        return Reply({"rules": found}, "\n".join(lines))
    rows = [[f["code"], f["slug"], f["severity"], ", ".join(f["norms"]), f["summary"]]
            for f in found]  # fmt: skip
    return Reply(
        {"rules": found}, table([_("code"), _("rule"), _("severity"), _("norms"), ""], rows)
    )


def gate_log(
    env: Annotated[
        str | None, typer.Option("--env", metavar="ENV", help=_("Only for this environment."))
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help=_("Only from then on."))
    ] = None,
    refused: Annotated[bool, typer.Option("--refused", help=_("Only refusals."))] = False,
) -> Reply:
    from otapgate.acts import gatekeeping

    with open_for_reading() as workspace:
        start = moment(workspace, since) if since else None
        found = list(gatekeeping.recorded(workspace, environment=env, since=start, refused=refused))
    rows = [[d["at"], d["outcome"], d["release"]["name"] or d["release"]["digest"][:19], d["to"],
             d["change"], d["actor"], str(len(d["findings"])), d["id"]] for d in found]  # fmt: skip
    heads = [_("when"), _("outcome"), _("release"), _("to"), _("change"), _("who"),
             _("findings"), _("decision")]  # fmt: skip
    return Reply({"decisions": found}, table(heads, rows))


def replay(
    decision: Annotated[
        str | None, typer.Argument(metavar="DECISION", help=_("One decision, by its id."))
    ] = None,
    every: Annotated[bool, typer.Option("--all", help=_("Every decision on record."))] = False,
) -> Reply:
    from otapgate import errors
    from otapgate.acts import gatekeeping

    if (decision is None) == (not every):
        raise errors.Usage("replay-what", _("Name a decision, or say --all."))
    with open_workspace() as workspace:
        found = gatekeeping.replay(workspace, decision)
    different = found["different"]
    lines = [_("{same} of {n} decisions come out the same.").format(
        same=found["same"], n=found["replayed"])]  # fmt: skip
    lines += [f"{d['decision']} {d['rule']}: {d['was']} → {d['is']}" for d in different]
    return Reply(found, "\n".join(lines), ok=not different,
                 exit=Exit.INTEGRITY if different else Exit.OK)  # fmt: skip
