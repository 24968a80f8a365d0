"""What runs where, what waits for whom, what is owed, what is unfinished.

Derived from the ledger and the files; nothing is kept. Reads warm: no SQLAlchemy,
pydantic or YAML unless a file changed.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from otapgate import errors
from otapgate.acts import place, provisional, runs
from otapgate.acts.environments import summary
from otapgate.acts.workspace import Workspace
from otapgate.gate.decide import decide
from otapgate.gate.finding import Action, Seen
from otapgate.i18n import _, ngettext
from otapgate.landscape.model import Street
from otapgate.ledger.state import Release


def status(workspace: Workspace, street: str | None = None) -> dict[str, Any]:
    """Every street, or one; raises BadInput when there is no such street."""
    landscape = workspace.outline
    streets = [s for s in landscape.streets if street in (None, s.name)]
    if not streets:
        raise errors.BadInput(
            "street-unknown",
            _("There is no street {street}.").format(street=street),
            remedy=", ".join(s.name for s in landscape.streets),
        )
    return {"streets": [_street(workspace, s) for s in streets], "notes": _notes(workspace)}


def _street(workspace: Workspace, street: Street) -> dict[str, Any]:
    from otapgate.execution.lock import busy

    zone = workspace.now().tzinfo
    held = {e.name: busy(workspace.root, e.name, zone) for e in street.environments}
    environments = [{**summary(workspace, e), "busy": held[e.name]} for e in street.environments]
    unfinished: list[dict[str, Any]] = []
    for environment in street.environments:
        found = workspace.state.environment(environment.name).unfinished
        if found is None:
            unfinished += _rehearsal(workspace, environment.name)
            continue
        release = workspace.state.releases.get(found.release)
        unfinished.append(
            {
                "id": found.id,
                "kind": found.kind,
                "environment": environment.name,
                "release": release.name if release else found.release,
                "since": found.at,
                "by": workspace.name(found.by),
                "left": list(found.left),
                "remedies": runs.ways_out(workspace, found),
            }
        )
    for item in unfinished:
        item["busy"] = held[item["environment"]]
        if item["busy"] is not None:
            item["remedies"] = []  # nothing is to be ended: it is at work
    return {
        "name": street.name,
        "title": street.title,
        "environments": environments,
        "waiting": _waiting(workspace, street),
        "debts": _debts(workspace, street),
        "waivers": provisional.waivers(workspace, _newest(workspace, street)),
        "broken_off": provisional.broken_off(workspace, {e.name for e in street.environments}),
        "unfinished": unfinished,
    }


def _rehearsal(workspace: Workspace, environment: str) -> list[dict[str, Any]]:
    """A rehearsal that was cut off there or left something, if any."""
    found = runs.open_rehearsal(workspace, environment)
    if found is None:
        return []
    release = workspace.state.releases.get(found.release)
    return [
        {
            "id": found.id,
            "kind": "rehearsal",
            "environment": environment,
            "release": release.name if release else found.release,
            "since": None,
            "by": None,
            "left": list(found.result.left) if found.result is not None else [],
            "remedies": runs.rehearsal_ways_out(workspace, found),
        }
    ]


def _waiting(workspace: Workspace, street: Street) -> list[dict[str, Any]]:
    """For every release that is under way: what its next step still needs, of whom."""
    found = []
    state = workspace.state
    for release in _newest(workspace, street):
        target = _next(workspace, street, release)
        change = _open_change(workspace, release)
        if target is None or change is None:
            continue
        decision = decide(
            workspace.with_people(workspace.outline),
            state,
            Seen(),
            Action(release.digest, target, change, ""),
            workspace.now(),
        )
        for finding in decision.blocking:
            remedy = finding.gap.remedy
            found.append(
                {
                    "release": release.name,
                    "called": state.called(release.digest),
                    "to": target,
                    "change": change,
                    "for": finding.slug,
                    "code": finding.code,
                    "message": finding.sentence(),
                    "who": [workspace.name(x) for x in remedy.who] if remedy else [],
                    "command": remedy.command if remedy else None,
                }
            )
        if not decision.blocking:
            who = state.directory.holders(
                "administrator", workspace.now().date().isoformat(), street.name
            )
            found.append(
                {
                    "release": release.name,
                    "called": state.called(release.digest),
                    "to": target,
                    "change": change,
                    "for": "promotion",
                    "code": None,
                    "message": " ".join(
                        [
                            *(f.sentence() for f in decision.findings if f.code == "OG406"),
                            _("Everything is there; it can be promoted."),
                        ]
                    ),
                    "who": [workspace.name(x) for x in who],
                    "command": f"otapgate promote {release.name} --to {target} --change {change}",
                }
            )
    return found


def _open_change(workspace: Workspace, release: Release) -> str | None:
    changes = workspace.state.changes
    mine = [c for c in sorted(release.changes) if c in changes and changes[c].closed is None]
    return mine[-1] if mine else None


def _newest(workspace: Workspace, street: Street) -> list[Release]:
    """The street's releases that no newer one of their application has overtaken."""
    releases = workspace.state.releases.values()
    newest = {r.latest.app: r for r in sorted(releases, key=lambda r: r.built[-1].position)}
    return [r for r in newest.values() if r.latest.street == street.name]


def _next(workspace: Workspace, street: Street, release: Release) -> str | None:
    """The environment this release should enter next; None when it is through."""
    for environment in street.environments:
        running = workspace.state.environment(environment.name).running
        if running is None or running.release != release.digest:
            return environment.name if environment.stage != "O" else None
    return None


def _debts(workspace: Workspace, street: Street) -> list[dict[str, Any]]:
    now = workspace.now()
    found = []
    for environment in street.environments:
        for dataset in workspace.state.environment(environment.name).datasets[-1:]:
            due = datetime.fromisoformat(dataset.act.expires)
            if due - now < timedelta(days=14):
                found.append(
                    {
                        "what": "dataset-expires",
                        "subject": environment.name,
                        "due": dataset.act.expires,
                        "overdue": due <= now,
                        "message": _("The data in {environment} expires on {day}.").format(
                            environment=environment.name, day=dataset.act.expires[:10]
                        ),
                    }
                )
    for name, change in workspace.state.changes.items():
        window = change.scheduled
        if (
            change.closed is None
            and window is not None
            and datetime.fromisoformat(window.act.end) <= now
        ):
            found.append(
                {
                    "what": "change-unevaluated",
                    "subject": name,
                    "due": window.act.end,
                    "overdue": True,
                    "message": _("The window of {change} is over; evaluate and close it.").format(
                        change=name
                    ),
                }
            )
    return found


def _notes(workspace: Workspace) -> list[str]:
    """What is shown until it is mended, whatever the street."""
    people = workspace.state.directory
    found = []
    if not people.founded:
        found.append(
            _("The second role administrator has not confirmed the start of the ledger:"
              " otapgate people confirm")
        )  # fmt: skip
    elif people.threshold < 2:
        found.append(
            _("One person alone administers people and roles:"
              " otapgate role grant NAME role-admin")
        )  # fmt: skip
    if people.pending:
        count = len(people.pending)
        found.append(
            ngettext(
                "{count} change of people or roles waits for a second role administrator:"
                " otapgate people confirm",
                "{count} changes of people or roles wait for a second role administrator:"
                " otapgate people confirm",
                count,
            ).format(count=count)
        )  # fmt: skip
    if workspace.outline.policy.digest != workspace.state.policy:
        found.append(
            _(
                "The policy, the calendar, the stages of a street or the time zone was changed"
                " and not approved since: otapgate policy show, otapgate policy approve"
            )
        )
    if workspace.state.problems:
        found.append(_("The ledger doesn't verify: otapgate log verify"))
    try:
        place.check(workspace.hidden, workspace.root)
    except errors.Integrity as error:
        found.append(error.message)
    return found
