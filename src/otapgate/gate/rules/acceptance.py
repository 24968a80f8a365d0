"""Rules about acceptance and sign-off: OG501 to OG599. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from otapgate.gate.facts import Facts
from otapgate.gate.finding import Gap, Remedy
from otapgate.gate.registry import rule, to_production
from otapgate.i18n import N_
from otapgate.ledger import predicates as p
from otapgate.ledger import state as s

E = TypeVar("E", p.Acceptance, p.SignOff)


def _accept(facts: Facts) -> Remedy:
    criteria = [c.id for r in facts.plans.values() if r is not None for c in r.act.criteria]
    options = " ".join(f"--criterion {c}=pass" for c in criteria) or "--criterion ID=pass"
    where = facts.previous.name if facts.previous is not None else "ENV"
    return facts.by_role(
        f"otapgate accept {facts.release.name} --env {where}"
        f" --change {facts.action.change} {options}",
        "test-lead",
        but=facts.release.builders,
    )


def _latest(found: Iterable[s.Signed[E]], change: str) -> s.Signed[E] | None:
    mine = [x for x in found if x.act.change == change]
    return mine[-1] if mine else None


def _lapsed(facts: Facts, kind: str) -> tuple[str, tuple[str, ...]] | None:
    """Another release that this change had accepted (or signed off), and which files
    differ from it: why the agreement doesn't cover this one."""
    for other in reversed(facts.state.releases.values()):
        if other.digest == facts.release.digest or other.latest.app != facts.release.latest.app:
            continue
        found = other.acceptances if kind == "acceptance" else other.signoffs
        if any(x.act.change == facts.action.change for x in found):
            return other.name, facts.seen.differences.get(other.digest, ())
    return None


@rule("acceptance-missing", code="OG501", norms=["CH06-08"], applies=to_production)
def acceptance_missing(facts: Facts) -> Iterator[Gap]:
    """The test lead has accepted exactly this release, for this change.

    An acceptance of other bytes has lapsed; the finding names the files that changed.
    """
    if _latest(facts.release.acceptances, facts.action.change) is not None:
        return
    lapsed = _lapsed(facts, "acceptance")
    if lapsed is None:
        yield facts.gap(
            N_("{release} has not been accepted."),
            remedy=_accept(facts),
            release=facts.release.name,
        )
        return
    name, files = lapsed
    yield facts.gap(
        N_("The acceptance of {other} has lapsed: the release was changed since ({files})."),
        remedy=_accept(facts),
        other=name,
        files=files or ("?",),
    )


@rule("acceptance-incomplete", code="OG502", norms=["CH06-08"], applies=to_production)
def acceptance_incomplete(facts: Facts) -> Iterator[Gap]:
    """Every criterion of every plan, as registered last, has an outcome."""
    latest = _latest(facts.release.acceptances, facts.action.change)
    if latest is None:
        return
    for name, registered in facts.plans.items():
        if registered is not None and latest.act.plans.get(name) != registered.act.digest:
            yield facts.gap(
                N_("The test plan {plan} was changed after the acceptance."),
                remedy=_accept(facts),
                plan=name,
            )
    wanted = {c.id for r in facts.plans.values() if r is not None for c in r.act.criteria}
    missing = tuple(sorted(wanted - set(latest.act.criteria)))
    if missing or not latest.act.criteria:
        yield facts.gap(
            N_("The acceptance has no outcome for: {criteria}."),
            remedy=_accept(facts),
            criteria=missing,
        )


@rule("acceptance-failed", code="OG503", norms=["CH06-08"], applies=to_production)
def acceptance_failed(facts: Facts) -> Iterator[Gap]:
    """No criterion was judged a failure."""
    latest = _latest(facts.release.acceptances, facts.action.change)
    if latest is None:
        return
    failed = tuple(sorted(c for c, verdict in latest.act.criteria.items() if verdict != "pass"))
    if failed:
        yield facts.gap(
            N_("The test lead judged these criteria not met: {criteria}."),
            remedy=_accept(facts),
            criteria=failed,
        )


@rule("acceptance-lapsed", code="OG504", norms=["CH06-08"], applies=to_production)
def acceptance_lapsed(facts: Facts) -> Iterator[Gap]:
    """The acceptance is recent, came after the tests, and its environment is unchanged."""
    latest = _latest(facts.release.acceptances, facts.action.change)
    if latest is None:
        return
    if facts.older_than(latest.at, facts.policy.acceptance_max_age_days):
        yield facts.gap(
            N_("The acceptance is of {day}, longer ago than {days} days."),
            remedy=_accept(facts),
            day=facts.date_of(latest.at).isoformat(),
            days=facts.policy.acceptance_max_age_days,
        )
    described = {e.name: e.digest for e in facts.tested_in}
    if described.get(latest.act.environment) != latest.act.description:
        yield facts.gap(
            N_("{environment} was changed after the release was accepted in it."),
            remedy=_accept(facts),
            environment=latest.act.environment,
        )
    elif facts.previous is not None and latest.act.environment != facts.previous.name:
        yield facts.gap(
            N_("The release was accepted in {environment}, not in {previous}."),
            remedy=_accept(facts),
            environment=latest.act.environment,
            previous=facts.previous.name,
        )


@rule("sign-off-missing", code="OG511", norms=["CH06-03", "CH02-04"], applies=to_production)
def sign_off_missing(facts: Facts) -> Iterator[Gap]:
    """Every role that the policy names has signed off exactly this release.

    A sign-off is bound to the release's digest and to the description of the
    environment it is for; it lapses when either changes. Who built doesn't count (F02).
    """
    lapsed = _lapsed(facts, "sign-off")
    for role in facts.policy.sign_off.get(facts.stage, ()):
        given = [
            x
            for x in facts.release.signoffs
            if x.act.role == role
            and x.act.change == facts.action.change
            and x.act.environment == facts.environment.name
            and x.by in facts.state.directory.holders(role, x.at[:10], facts.street.name)
        ]
        remedy = facts.by_role(
            f"otapgate sign-off {facts.release.name} --to {facts.environment.name}"
            f" --change {facts.action.change} --role {role}",
            role,
            but=facts.release.builders,
        )
        if not given and lapsed is not None:
            message = N_(
                "The sign-off of {other} has lapsed: the release was changed since ({files})."
            )
            yield facts.gap(
                message, remedy=remedy, other=lapsed[0], files=lapsed[1] or ("?",), role=role
            )
        elif not given:
            yield facts.gap(
                N_("The {role} has not signed off {release}."),
                remedy=remedy,
                role=role,
                release=facts.release.name,
            )
        elif given[-1].act.verdict == "rejected":
            yield facts.gap(
                N_("The {role} refused to sign off {release}."),
                remedy=remedy,
                role=role,
                release=facts.release.name,
            )
        elif given[-1].act.description != facts.environment.digest:
            yield facts.gap(
                N_("{environment} was changed after the {role} signed off."),
                remedy=remedy,
                role=role,
                environment=facts.environment.name,
            )
