"""Rules about rollback rehearsals: OG401 to OG499. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from otapgate.gate.facts import Facts
from otapgate.gate.finding import Gap, Remedy
from otapgate.gate.registry import before_production, rule, to_production
from otapgate.i18n import N_
from otapgate.ledger import predicates as p
from otapgate.ledger import state as s


def _to_production_anew(facts: Facts) -> bool:
    """Into a production that runs something else; deploying the same again goes back to
    itself, which can't be rehearsed."""
    return to_production(facts) and facts.running(facts.environment) != facts.release.digest


def _remedy(facts: Facts) -> Remedy:
    """Where the release to go back to still runs, or else did before this one: a rehearsal
    can only begin there."""
    target = facts.running(facts.environment)
    fit = [e for e in facts.tested_in if facts.running(e) == target]
    if not fit:
        for environment in facts.tested_in:
            history = facts.state.environment(environment.name).history
            if [r.release for r in history[-2:]] == [target, facts.release.digest]:
                command = f"otapgate rollback {environment.name}"
                return facts.by_role(command, "administrator")
    where = fit[0] if fit else facts.path[0]
    wanted = _wanted(facts)
    faults = f" --faults {wanted}" if wanted != "none" else ""
    return facts.by_role(
        f"otapgate rehearse {facts.release.name} --env {where.name}{faults}", "administrator"
    )


def _wanted(facts: Facts) -> str:
    """At which tasks the policy wants the deployment cut, for a change of this priority."""
    change = facts.change
    if change is None or change.classified is None:
        return "none"
    return facts.policy.rehearsal_faults.get(change.classified.act.priority, "none")


def _depth(faults: str) -> float:
    """How many tasks at least."""
    if faults == "all":
        return float("inf")
    kind, _colon, count = faults.partition(":")
    return int(count) if kind == "sample" and count.isdigit() else 0


def _latest(facts: Facts) -> s.Signed[p.Rehearsal] | None:
    return facts.release.rehearsals[-1] if facts.release.rehearsals else None


@rule("rehearsal-missing", code="OG401", norms=["CH05-07", "CH01-03"], applies=_to_production_anew)
def rehearsal_missing(facts: Facts) -> Iterator[Gap]:
    """The rollback of exactly this release was rehearsed outside production."""
    if _latest(facts) is None:
        yield facts.gap(
            N_("The rollback of {release} was never rehearsed."),
            remedy=_remedy(facts),
            release=facts.release.name,
        )


@rule("rehearsal-not-restored", code="OG402", norms=["CH05-07"], applies=_to_production_anew)
def rehearsal_not_restored(facts: Facts) -> Iterator[Gap]:
    """The last rehearsal restored the state, in every case that was tried, and one was."""
    latest = _latest(facts)
    if latest is None:
        return
    cases = latest.act.cases
    if latest.act.outcome == "restored" and cases and all(c.restored for c in cases):
        return
    left = tuple(item for case in cases for item in case.left)[:5] or ("?",)
    yield facts.gap(
        N_("The last rehearsal in {environment} did not restore the state: {left}."),
        remedy=_remedy(facts),
        environment=latest.act.environment,
        left=left,
    )


@rule(
    "rehearsal-from-another-release", code="OG403", norms=["CH05-07"], applies=_to_production_anew
)
def rehearsal_from_another_release(facts: Facts) -> Iterator[Gap]:
    """The rehearsal went back to the release that runs in production now."""
    latest = _latest(facts)
    target = facts.running(facts.environment)
    if latest is not None and latest.act.previous != target:
        yield facts.gap(
            N_("The rehearsal went back to {was}; production runs {now}."),
            remedy=_remedy(facts),
            was=facts.called(latest.act.previous),
            now=facts.called(target),
        )


@rule("rehearsal-lapsed", code="OG404", norms=["CH05-07"], applies=_to_production_anew)
def rehearsal_lapsed(facts: Facts) -> Iterator[Gap]:
    """The rehearsal is recent, and its environment is still as it was."""
    latest = _latest(facts)
    if latest is None:
        return
    if facts.older_than(latest.at, facts.policy.rehearsal_max_age_days):
        yield facts.gap(
            N_("The last rehearsal is of {day}, longer ago than {days} days."),
            remedy=_remedy(facts),
            day=facts.date_of(latest.at).isoformat(),
            days=facts.policy.rehearsal_max_age_days,
        )
    described = {e.name: e.digest for e in facts.tested_in}
    if latest.act.environment not in described:
        yield facts.gap(
            N_("The rehearsal was in {environment}, which isn't before production here."),
            remedy=_remedy(facts),
            environment=latest.act.environment,
        )
    elif described[latest.act.environment] != latest.act.description:
        yield facts.gap(
            N_("{environment} was changed after the rehearsal in it."),
            remedy=_remedy(facts),
            environment=latest.act.environment,
        )


@rule("rollback-too-slow", code="OG405", norms=["CH05-07"], applies=_to_production_anew)
def rollback_too_slow(facts: Facts) -> Iterator[Gap]:
    """Going back took no longer than the change promises."""
    latest, change = _latest(facts), facts.change
    if latest is None or change is None or change.submitted.act.rollback_minutes is None:
        return
    limit = change.submitted.act.rollback_minutes
    if latest.act.milliseconds_rollback > limit * 60_000:
        yield facts.gap(
            N_("Rolling back took {seconds} seconds; {change} promises {minutes} minutes."),
            remedy=_remedy(facts),
            seconds=latest.act.milliseconds_rollback // 1000,
            change=facts.action.change,
            minutes=limit,
        )


@rule("rehearsal-shallow", code="OG407", norms=["CH05-07"], applies=_to_production_anew,
      since=2)  # fmt: skip
def rehearsal_shallow(facts: Facts) -> Iterator[Gap]:
    """The rehearsal cut the deployment short at as many tasks as the policy asks.

    By the priority of the change; a rollback that works after a whole deployment may not
    work after half of one."""
    latest, wanted = _latest(facts), _wanted(facts)
    if latest is None:
        return
    cut = {case.index for case in latest.act.cases if case.fault != "none"}
    if _depth(latest.act.faults) < _depth(wanted) or (wanted != "none" and not cut):
        yield facts.gap(
            N_("The last rehearsal cut the deployment at {had} of its tasks; the policy asks"
               " {wanted}."),
            remedy=_remedy(facts),
            had=len(cut),
            wanted=wanted,
        )  # fmt: skip


@rule("rolled-back-there", code="OG406", norms=["CH05-07", "CH06-09"],
      applies=before_production, severity="warn")  # fmt: skip
def rolled_back_there(facts: Facts) -> Iterator[Gap]:
    """What was taken out of the environment again isn't put there a second time unaware.

    Before production that is said; production asks for a new acceptance (OG505).
    """
    undone = facts.undone
    if undone is not None:
        yield facts.gap(
            N_("{release} failed in {environment} on {day}.")
            if undone.failed
            else N_("{release} was rolled back in {environment} on {day}."),
            release=facts.release.name,
            environment=facts.environment.name,
            day=facts.date_of(undone.at).isoformat(),
        )
