"""Rules about acceptance and sign-off: OG501 to OG599. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from otapgate.gate.facts import Facts
from otapgate.gate.finding import Gap, Remedy
from otapgate.gate.registry import rule, to_production
from otapgate.gate.rules.testing import covering_runs, not_passed
from otapgate.i18n import N_
from otapgate.landscape.model import Role
from otapgate.ledger import predicates as p
from otapgate.ledger import state as s


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


def _sign_off(facts: Facts, role: Role) -> Remedy:
    return facts.by_role(
        f"otapgate sign-off {facts.release.name} --to {facts.environment.name}"
        f" --change {facts.action.change} --role {role}",
        role,
        but=facts.release.builders,
    )


def _latest(facts: Facts) -> s.Signed[p.Acceptance] | None:
    mine = [x for x in facts.release.acceptances if x.act.change == facts.action.change]
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


@rule("acceptance-missing", code="OG501", norms=["CH06-08"], applies=to_production, hard=True)
def acceptance_missing(facts: Facts) -> Iterator[Gap]:
    """The test lead has accepted exactly this release, for this change.

    An acceptance of other bytes has lapsed; the finding names the files that changed.
    """
    if _latest(facts) is not None:
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
    latest = _latest(facts)
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
            criteria=missing or ("?",),
        )


@rule("acceptance-failed", code="OG503", norms=["CH06-08"], applies=to_production)
def acceptance_failed(facts: Facts) -> Iterator[Gap]:
    """No criterion was judged a failure."""
    latest = _latest(facts)
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
    """The acceptance is recent, came after the tests, and its environment is unchanged.

    It rests on the tests: on each plan a run came before it, and none that came after it
    failed, since whoever accepted didn't know of that.
    """
    latest = _latest(facts)
    if latest is None:
        return
    if facts.older_than(latest.at, facts.policy.acceptance_max_age_days):
        yield facts.gap(
            N_("The acceptance is of {day}, longer ago than {days} days."),
            remedy=_accept(facts),
            day=facts.date_of(latest.at).isoformat(),
            days=facts.policy.acceptance_max_age_days,
        )
    for name, registered in facts.plans.items():
        runs = covering_runs(facts, name)
        if registered is None or not runs:
            continue
        later = [r for r in runs if r.position > latest.position]
        if len(later) == len(runs):
            message = N_("The release was accepted before the test plan {plan} was run on it.")
        elif any(not_passed(r.act, registered.act.cases) for r in later):
            message = N_("A run of the test plan {plan} failed after the release was accepted.")
        else:
            continue
        yield facts.gap(message, remedy=_accept(facts), plan=name)
    described = {e.name: e.digest for e in facts.tested_in}
    if facts.previous is not None and latest.act.environment != facts.previous.name:
        yield facts.gap(
            N_("The release was accepted in {environment}, not in {previous}."),
            remedy=_accept(facts),
            environment=latest.act.environment,
            previous=facts.previous.name,
        )
    elif described.get(latest.act.environment) != latest.act.description:
        yield facts.gap(
            N_("{environment} was changed after the release was accepted in it."),
            remedy=_accept(facts),
            environment=latest.act.environment,
        )


@rule("rolled-back", code="OG505", norms=["CH06-08", "CH06-03"], applies=to_production)
def rolled_back(facts: Facts) -> Iterator[Gap]:
    """What production gave back is accepted and signed off anew.

    Who accepted and signed off before a release failed in production, or was rolled back
    there, didn't know of that. It rests on what they say afterwards. A promotion that
    ended before anything was touched, because a host couldn't be reached, is none of these.
    """
    undone, accepted = facts.undone, _latest(facts)
    if undone is None or accepted is None or accepted.position > undone.position:
        return
    params = {
        "release": facts.release.name,
        "environment": facts.environment.name,
        "day": facts.date_of(undone.at).isoformat(),
    }
    yield facts.gap(
        N_("{release} failed in {environment} on {day}, and was accepted only before that.")
        if undone.failed
        else N_("{release} was rolled back in {environment} on {day}, and accepted only before"
                " that."),
        remedy=_accept(facts), **params,
    )  # fmt: skip
    for role in facts.policy.sign_off.get(facts.stage, ()):
        given = [x for x in _sign_offs(facts, role) if x.act.verdict == "agreed"]
        valid = [x.position for x in given if _fault(facts, x) is None]
        if valid and max(valid) < undone.position:  # those that aren't valid are OG511's
            yield facts.gap(
                N_("The {role} signed off {release} only before that (in {environment}, {day})."),
                remedy=_sign_off(facts, role), role=role, **params,
            )  # fmt: skip


def _signs_off(facts: Facts) -> bool:
    return facts.stage == "P" or bool(facts.policy.sign_off.get(facts.stage))


def _sign_offs(facts: Facts, role: Role) -> list[s.Signed[p.SignOff]]:
    """The latest word of everybody entitled to sign off in the role, who built left out;
    oldest first."""
    found = {
        x.by: x
        for x in facts.release.signoffs
        if x.act.role == role
        and x.act.change == facts.action.change
        and x.act.environment == facts.environment.name
        and x.by not in facts.release.builders
        and facts.entitled(x, role)
    }
    return sorted(found.values(), key=lambda x: x.position)


def _fault(facts: Facts, given: s.Signed[p.SignOff]) -> str | None:
    """Why a sign-off doesn't cover this promotion any more."""
    accepted = _latest(facts)
    if given.act.description != facts.environment.digest:
        return N_("{environment} was changed after the {role} signed off.")
    if accepted is not None and given.position < accepted.position:
        return N_("The {role} signed off {release} before it was accepted.")
    if any(r is not None and given.position < r.position for r in facts.plans.values()):
        return N_("A test plan was registered anew after the {role} signed off {release}.")
    if facts.older_than(given.at, facts.policy.acceptance_max_age_days):
        return N_("The {role} signed off {release} longer ago than {days} days.")
    return None


@rule("sign-off-missing", code="OG511", norms=["CH06-03", "CH02-04"], applies=_signs_off, hard=True)
def sign_off_missing(facts: Facts) -> Iterator[Gap]:
    """Every role that the policy names has signed off exactly this release.

    A sign-off is bound to the release's digest and to the description of the environment
    it is for, and rests on the plans and the acceptance: it lapses when one of these is
    changed or comes after it, and with time. Who built doesn't count (F02). One refusal
    stops it, until who gave it signs otherwise. For production somebody always signs off.
    """
    lapsed = _lapsed(facts, "sign-off")
    roles = facts.policy.sign_off.get(facts.stage, ())
    if not roles:
        yield facts.gap(
            N_("The policy names nobody who signs off before {environment}."),
            on=facts.policy.file or "policy.yml",
            remedy=facts.by_role("otapgate policy approve", "board"),
            environment=facts.environment.name,
        )
    for role in roles:
        given = _sign_offs(facts, role)
        agreed = [x for x in given if x.act.verdict == "agreed"]
        faults = [_fault(facts, x) for x in agreed]
        params: dict[str, Any] = {"role": role, "release": facts.release.name}
        if len(agreed) < len(given):
            message = N_("The {role} refused to sign off {release}.")
        elif None in faults:
            continue
        elif faults:
            message = str(faults[-1])
            params["environment"] = facts.environment.name
            params["days"] = facts.policy.acceptance_max_age_days
        elif lapsed is not None:
            message = N_(
                "The sign-off of {other} has lapsed: the release was changed since ({files})."
            )
            params |= {"other": lapsed[0], "files": lapsed[1] or ("?",)}
        else:
            message = N_("The {role} has not signed off {release}.")
        yield facts.gap(message, remedy=_sign_off(facts, role), **params)
