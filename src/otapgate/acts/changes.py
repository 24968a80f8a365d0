"""The life of a change: submit, classify, authorise, schedule, close. Norms CH.01, CH.02."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

from otapgate import canonical, errors
from otapgate.acts.drafts import draft
from otapgate.acts.workspace import Workspace
from otapgate.i18n import _, why
from otapgate.landscape.model import LEVELS, Level, Role
from otapgate.ledger import predicates as p
from otapgate.ledger.state import Change
from otapgate.ledger.statement import Draft, Subject


def _subject(workspace: Workspace, change: str) -> list[tuple[str, str]]:
    submitted = get(workspace, change).submitted.act
    return [(change, submitted.vtw)]


def get(workspace: Workspace, change: str) -> Change:
    """A change by its id; raises BadInput."""
    found = workspace.state.changes.get(change)
    if found is None:
        known = ", ".join(list(workspace.state.changes)[-5:])
        raise errors.BadInput(
            "change-unknown",
            _("There is no change {change}.").format(change=change),
            remedy=_("one of: {known}").format(known=known)
            if known
            else "otapgate change new --from FILE",
        )
    return found


def named(workspace: Workspace, change: str) -> str:
    """The id of the change that is meant, however its letters are written; raises
    BadInput."""
    known = workspace.state.changes
    found = change if change in known else change.strip().upper()
    get(workspace, found if found in known else change)
    return found


def next_id(workspace: Workspace) -> str:
    """`CHG-0001`, `CHG-0002`, …"""
    numbers = [int(m[1]) for c in workspace.state.changes if (m := re.match(r"CHG-(\d+)$", c))]
    return f"CHG-{max(numbers, default=0) + 1:04d}"


def submit(workspace: Workspace, file: Path) -> Draft:
    """A request for change from a filled-in form; raises BadInput with every gap."""
    from otapgate.change.vtw import parse

    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise errors.BadInput(
            "vtw-unreadable",
            _("{file} can't be read: {error}.").format(file=file, error=why(error)),
            where=str(file),
            remedy=f"otapgate change new --form {file}",
        ) from error
    vtw, problems = parse(text, str(file))
    if vtw is None or problems:
        raise errors.BadInput(
            "vtw-incomplete",
            _("The request can't be taken in yet; it is sent back with every gap."),
            problems=tuple(problems),
            where=str(file),
            remedy="otapgate schema change",
        )
    change = next_id(workspace)
    predicate = p.ChangeSubmitted(
        change=change,
        kind=vtw["kind"],
        object=vtw["object"],
        street=vtw.get("street"),
        vtw=canonical.digest_of(vtw),
        security=bool(vtw.get("security")),
        privacy=bool(vtw.get("privacy")),
        parallel_run=bool(vtw.get("parallel_run")),
        rollback_minutes=vtw.get("rollback_minutes"),
    )
    return Draft(
        "change-submitted",
        (Subject(change, predicate.vtw),),
        p.to_predicate(predicate),
        {"vtw": vtw},
    )


def classify(workspace: Workspace, change: str, impact: str, urgency: str) -> Draft:
    """Impact and urgency; the policy's matrix makes the priority (CH02-01, CH02-05)."""
    from otapgate.change.classify import priority

    for text in (impact, urgency):
        if text not in LEVELS:
            raise errors.BadInput(
                "level-unknown",
                _("{text} is not a level; it is one of: {levels}.").format(
                    text=text, levels=", ".join(LEVELS)
                ),
            )
    policy = workspace.landscape.policy
    found = priority(policy, cast(Level, impact), cast(Level, urgency))
    predicate = p.ChangeClassified(
        change, cast(Level, impact), cast(Level, urgency), found, policy.digest
    )
    return draft("change-classified", predicate, _subject(workspace, change))


def authorise(
    workspace: Workspace, change: str, role: str | None, *, reject: bool, because: str
) -> Draft:
    """One person's authorisation, or refusal with a reason (CH02-03, CH02-04)."""
    from otapgate.change.classify import required_authorisers

    found = get(workspace, change)
    me = workspace.me
    if found.submitted.by == me:
        raise errors.Identity(
            "submitter-authorises",
            _("You submitted {change}; somebody else authorises it (F03).").format(change=change),
        )
    if found.classified is None:
        raise errors.BadInput(
            "change-unclassified",
            _("{change} must be classified first.").format(change=change),
            remedy=f"otapgate change classify {change} --impact LEVEL --urgency LEVEL",
        )
    if reject and not because:
        raise errors.Usage("because-missing", _("A refusal needs a reason: --because TEXT."))
    sensitive = found.submitted.act.security or found.submitted.act.privacy
    needed = required_authorisers(
        workspace.landscape.policy, found.classified.act.priority, sensitive
    )
    mine = workspace.state.directory.roles(me, workspace.now().date().isoformat())
    if role is None:
        fitting: list[Role] = [r for r in needed if r in mine]
        if not fitting:
            workspace.require(*needed)
        role = next(
            (r for r in fitting
             if not any(v.by == me and v.act.role == r for v in found.authorised)),
            fitting[0],
        )  # fmt: skip
    from otapgate.acts.people import check_role

    checked = check_role(role)
    workspace.require(checked)
    predicate = p.ChangeAuthorised(change, checked, "rejected" if reject else "authorised")
    return draft("change-authorised", predicate, _subject(workspace, change), because=because)


def schedule(workspace: Workspace, change: str, window: str) -> Draft:
    """The window in which it may go to production: `START/END`, ISO 8601."""
    start, slash, end = window.partition("/")
    if not slash:
        raise errors.Usage(
            "window-malformed",
            _("Write the window as START/END: 2027-01-12T16:00/2027-01-12T20:00."),
        )
    first, last = (_time(workspace, text) for text in (start, end))
    if last <= first:
        raise errors.BadInput("window-empty", _("The window ends before it begins."))
    now = workspace.now()
    if last <= now:
        text, zone = "%Y-%m-%dT%H:%M", workspace.outline.timezone
        raise errors.BadInput(
            "window-past",
            _("The window has passed already: it ends {end}, and it is now {now} ({zone}).").format(
                end=last.astimezone(now.tzinfo).strftime(text), now=now.strftime(text), zone=zone
            ),
            remedy=f"otapgate change schedule {change} --window {now.strftime(text)}/"
            + (now + timedelta(hours=4)).strftime(text),
        )
    predicate = p.ChangeScheduled(
        change, first.isoformat(timespec="seconds"), last.isoformat(timespec="seconds")
    )
    return draft("change-scheduled", predicate, _subject(workspace, change))


def _time(workspace: Workspace, text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise errors.BadInput(
            "time-malformed",
            _("{text} is not a time; write it as 2027-01-12T16:00.").format(text=text),
        ) from error
    zone = ZoneInfo(workspace.outline.timezone)
    return found.replace(tzinfo=zone) if found.tzinfo is None else found


def close(workspace: Workspace, change: str, outcome: str, evaluation: str) -> Draft:
    """The end of a change, with its evaluation (CH02-06)."""
    found = get(workspace, change)
    running = [
        name
        for name, env in workspace.state.environments.items()
        if env.unfinished is not None and env.unfinished.change == change
    ]
    if running:
        raise errors.Busy(
            "promotion-unfinished",
            _("A promotion of {change} to {environment} is unfinished.").format(
                change=change, environment=running[0]
            ),
            remedy=f"otapgate rollback {running[0]}",
        )
    if not evaluation.strip():
        raise errors.Usage(
            "evaluation-missing",
            _("A change closes with its evaluation: was the goal reached, were there faults,"
              " was it on time? Give it with --evaluation TEXT."),
        )  # fmt: skip
    if outcome not in ("succeeded", "failed", "withdrawn", "rejected"):
        raise errors.Usage("outcome-unknown", _("One of: succeeded, failed, withdrawn, rejected."))
    del found
    predicate = p.ChangeClosed(change, cast(Any, outcome))
    return draft("change-closed", predicate, _subject(workspace, change), evaluation=evaluation)


def form(workspace: Workspace, change: str) -> dict[str, Any] | None:
    """The request as it was filled in, or None when it was erased."""
    from otapgate.ledger import peek

    position = get(workspace, change).submitted.position
    found = peek.details_at(workspace.ledger_path, position).get("vtw")
    return found if isinstance(found, dict) else None


def summary(workspace: Workspace, change: str) -> dict[str, Any]:
    """A change as lists and `change show` give it."""
    found = get(workspace, change)
    vtw = form(workspace, change) or {}
    who = workspace.name
    releases = [r.name for r in workspace.state.releases.values() if change in r.changes]
    return {
        "id": change,
        "title": vtw.get("title"),
        "kind": found.submitted.act.kind,
        "object": found.submitted.act.object,
        "status": found.status,
        "priority": found.classified.act.priority if found.classified else None,
        "impact": found.classified.act.impact if found.classified else None,
        "urgency": found.classified.act.urgency if found.classified else None,
        "submitted": {"by": who(found.submitted.by), "at": found.submitted.at},
        "authorised": [
            {"by": who(v.by), "role": v.act.role, "verdict": v.act.verdict, "at": v.at}
            for v in found.authorised
        ],
        "window": {"start": found.scheduled.act.start, "end": found.scheduled.act.end}
        if found.scheduled
        else None,
        "releases": releases,
        "closed": {"outcome": found.closed.act.outcome, "at": found.closed.at}
        if found.closed
        else None,
    }
