"""Rules about the change itself and who authorised it: OG101 to OG199. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from otapgate.change.classify import required_authorisers
from otapgate.gate.facts import Facts
from otapgate.gate.finding import Gap, Remedy
from otapgate.gate.registry import always, rule, to_production
from otapgate.i18n import N_


@rule("change-unknown", code="OG101", norms=["CH01-03", "CH01-05"], applies=always, hard=True)
def change_unknown(facts: Facts) -> Iterator[Gap]:
    """A release is moved for a change that was submitted here.

    Every promotion belongs to a request for change (VTW); without one nobody asked for
    it and nobody can evaluate it.
    """
    if facts.change is None:
        yield facts.gap(
            N_("No change {change} was submitted."),
            on=facts.action.change,
            remedy=Remedy("otapgate change new --from FILE"),
            change=facts.action.change,
        )


@rule("change-of-another-kind", code="OG102", norms=["CH03-01", "CH02-01"], applies=always)
def change_kind(facts: Facts) -> Iterator[Gap]:
    """Standard and emergency changes need a path that the policy defines.

    No policy can define one yet, so only regular changes pass.
    """
    change = facts.change
    if change is not None and change.submitted.act.kind != "regular":
        yield facts.gap(
            N_("{change} is a {kind} change, and the policy has no path for those."),
            on=facts.action.change,
            remedy=Remedy("otapgate change new --from FILE"),
            change=facts.action.change,
            kind=change.submitted.act.kind,
        )


@rule("change-unclassified", code="OG103", norms=["CH02-01", "CH02-05"], applies=to_production)
def change_unclassified(facts: Facts) -> Iterator[Gap]:
    """The change has an impact, an urgency and so a priority, by the policy's matrix.

    A classification made with another matrix that would come out differently now has
    lapsed: criteria are set beforehand.
    """
    change = facts.change
    if change is None:
        return
    name = facts.action.change
    remedy = facts.by_role(
        f"otapgate change classify {name} --impact LEVEL --urgency LEVEL", "change-manager"
    )
    if change.classified is None:
        yield facts.gap(
            N_("{change} has no impact and urgency, so no priority."),
            on=name,
            remedy=remedy,
            change=name,
        )
        return
    act = change.classified.act
    now = facts.policy.matrix[act.impact][act.urgency]
    if now != act.priority:
        yield facts.gap(
            N_("{change} was classified {was}; by the policy now in force it is {now}."),
            on=name,
            remedy=remedy,
            change=name,
            was=act.priority,
            now=now,
        )


@rule("change-unauthorised", code="OG104", norms=["CH02-03", "CH02-04", "CH01-03", "IBP-1"],
      applies=to_production)  # fmt: skip
def change_unauthorised(facts: Facts) -> Iterator[Gap]:
    """Everybody whose authorisation the policy asks for has given it.

    Which roles, and how many people, follows from the priority; security and privacy
    changes need the IBP officer too. Whoever submitted the change doesn't count (F03).
    One refusal stops it.
    """
    change = facts.change
    if change is None or change.classified is None:
        return
    name = facts.action.change
    submitted = change.submitted
    barred = {submitted.by}
    for vote in change.authorised:
        if vote.act.verdict == "rejected":
            yield facts.gap(
                N_("{change} was rejected by the {role}."),
                on=name,
                remedy=facts.by_role(
                    f"otapgate change authorise {name} --role {vote.act.role}", vote.act.role
                ),
                change=name,
                role=vote.act.role,
            )
    sensitive = submitted.act.security or submitted.act.privacy
    needed = required_authorisers(facts.policy, change.classified.act.priority, sensitive)
    for role, count in sorted(needed.items()):
        given = {
            v.by
            for v in change.authorised
            if v.act.role == role
            and v.act.verdict == "authorised"
            and v.by not in barred
            and facts.entitled(v, role)
        }
        if len(given) < count:
            yield facts.gap(
                N_("{change} ({priority}) is not authorised by the {role}: {given} of {count}."),
                on=name,
                remedy=facts.by_role(
                    f"otapgate change authorise {name} --role {role}", role, but=barred | given
                ),
                change=name,
                priority=change.classified.act.priority,
                role=role,
                given=len(given),
                count=count,
            )


@rule("change-unscheduled", code="OG105", norms=["CH06-06"], applies=to_production)
def change_unscheduled(facts: Facts) -> Iterator[Gap]:
    """The change goes to production within its agreed window."""
    change = facts.change
    if change is None:
        return
    name = facts.action.change
    remedy = facts.by_role(f"otapgate change schedule {name} --window START/END", "change-manager")
    if change.scheduled is None:
        yield facts.gap(
            N_("{change} has no window in which it may go to production."),
            on=name,
            remedy=remedy,
            change=name,
        )
        return
    start, end = change.scheduled.act.start, change.scheduled.act.end
    if not datetime.fromisoformat(start) <= facts.now < datetime.fromisoformat(end):
        yield facts.gap(
            N_("It is not within the window of {change}: {start} to {end}."),
            on=name,
            remedy=remedy,
            change=name,
            start=start,
            end=end,
        )


@rule("change-ended", code="OG106", norms=["CH01-06"], applies=always)
def change_ended(facts: Facts) -> Iterator[Gap]:
    """A change that was closed, withdrawn or rejected moves nothing any more."""
    change = facts.change
    if change is not None and change.closed is not None:
        yield facts.gap(
            N_("{change} has ended: {outcome}."),
            on=facts.action.change,
            remedy=Remedy("otapgate change new --from FILE"),
            change=facts.action.change,
            outcome=change.closed.act.outcome,
        )


@rule("release-of-another-change", code="OG107", norms=["CH01-03", "CH01-07"], applies=always)
def release_of_another_change(facts: Facts) -> Iterator[Gap]:
    """The release was built for this change, and both belong to this street.

    What was authorised is what moves: a release that belongs to another change, or to
    none, was never part of what the authorisers agreed to.
    """
    if facts.change is not None and facts.action.change not in facts.release.changes:
        yield facts.gap(
            N_("{release} was not built for {change}."),
            remedy=facts.by_role(
                f"otapgate release build FILE --change {facts.action.change}", "builder"
            ),
            release=facts.release.name,
            change=facts.action.change,
        )
    asked = facts.change.submitted.act.street if facts.change is not None else None
    if asked is not None and asked != facts.street.name:
        yield facts.gap(
            N_("{change} is about the street {street}, not about {other}."),
            on=facts.action.change,
            remedy=Remedy("otapgate change new --from FILE"),
            change=facts.action.change,
            street=asked,
            other=facts.street.name,
        )
    if facts.release.latest.street != facts.street.name:
        yield facts.gap(
            N_("{release} belongs to the street {street}, not to {other}."),
            remedy=Remedy(f"otapgate env list --street {facts.release.latest.street}"),
            release=facts.release.name,
            street=facts.release.latest.street,
            other=facts.street.name,
        )
