"""Rules that keep duties apart (F01 to F15): OG601 to OG699. Pure.

Hard ones can't be weakened by a policy. For the others a small organisation may set
`warn` with a reason, an owner and an end; then every decision shows it.
"""

from __future__ import annotations

from collections.abc import Iterator

from otapgate.gate.facts import Facts
from otapgate.gate.finding import Gap, Remedy
from otapgate.gate.registry import rule, to_production
from otapgate.gate.rules.testing import covering_run
from otapgate.i18n import N_


@rule("builder-accepts", code="OG601", norms=["CH06-05"], applies=to_production, hard=True)
def builder_accepts(facts: Facts) -> Iterator[Gap]:
    """F01: who builds does not accept."""
    acceptances = [a for a in facts.release.acceptances if a.act.change == facts.action.change]
    if acceptances and acceptances[-1].by in facts.release.builders:
        yield facts.gap(
            N_("{release} was accepted by somebody who built it (F01)."),
            remedy=facts.by_role(
                f"otapgate accept {facts.release.name} --env ENV --change {facts.action.change}"
                " --criterion ID=pass",
                "test-lead",
                but=facts.release.builders,
            ),
            release=facts.release.name,
        )


@rule("builder-signs-off", code="OG602", norms=["CH06-05", "CH06-03"], applies=to_production,
      hard=True)  # fmt: skip
def builder_signs_off(facts: Facts) -> Iterator[Gap]:
    """F02: who builds does not give production's sign-off."""
    for x in facts.release.signoffs:
        mine = x.act.environment == facts.environment.name and x.act.change == facts.action.change
        if mine and x.by in facts.release.builders:
            yield facts.gap(
                N_("The {role}'s sign-off came from somebody who built {release} (F02)."),
                remedy=facts.by_role(
                    f"otapgate sign-off {facts.release.name} --to {facts.environment.name}"
                    f" --change {facts.action.change} --role {x.act.role}",
                    x.act.role,
                    but=facts.release.builders,
                ),
                role=x.act.role,
                release=facts.release.name,
            )
            return


@rule("submitter-authorises", code="OG603", norms=["CH06-05", "CH02-03"], applies=to_production,
      hard=True)  # fmt: skip
def submitter_authorises(facts: Facts) -> Iterator[Gap]:
    """F03: who submits does not authorise."""
    change = facts.change
    if change is None:
        return
    for vote in change.authorised:
        if vote.by == change.submitted.by:
            yield facts.gap(
                N_("{change} was authorised by who submitted it, as {role} (F03)."),
                on=facts.action.change,
                remedy=facts.by_role(
                    f"otapgate change authorise {facts.action.change} --role {vote.act.role}",
                    vote.act.role,
                    but={change.submitted.by},
                ),
                change=facts.action.change,
                role=vote.act.role,
            )
            return


def _others(facts: Facts, but: frozenset[str] | set[str]) -> Remedy:
    command = (
        f"otapgate promote {facts.release.name} --to {facts.environment.name}"
        f" --change {facts.action.change}"
    )
    return facts.by_role(command, "administrator", but=but)


@rule("builder-promotes", code="OG604", norms=["CH06-05"], applies=to_production)
def builder_promotes(facts: Facts) -> Iterator[Gap]:
    """F04: who builds does not promote to production."""
    if facts.action.actor in facts.release.builders:
        yield facts.gap(
            N_("You built {release}; somebody else promotes it (F04)."),
            remedy=_others(facts, facts.release.builders),
            release=facts.release.name,
        )


@rule("builder-tests", code="OG605", norms=["CH05-05", "CH06-05"], applies=to_production)
def builder_tests(facts: Facts) -> Iterator[Gap]:
    """F05: who runs the tests did not build."""
    for plan in facts.plans:
        run = covering_run(facts, plan)
        if run is not None and run.by in facts.release.builders:
            yield facts.gap(
                N_("The test plan {plan} was run by somebody who built {release} (F05)."),
                remedy=facts.by_role(
                    f"otapgate test run {facts.release.name} --env ENV --plan {plan}",
                    "tester",
                    but=facts.release.builders,
                ),
                plan=plan,
                release=facts.release.name,
            )


@rule("acceptor-promotes", code="OG606", norms=["CH06-05"], applies=to_production)
def acceptor_promotes(facts: Facts) -> Iterator[Gap]:
    """F06: who accepts does not promote."""
    acceptors = {a.by for a in facts.release.acceptances if a.act.change == facts.action.change}
    if facts.action.actor in acceptors:
        yield facts.gap(
            N_("You accepted {release}; somebody else promotes it (F06)."),
            remedy=_others(facts, acceptors | facts.release.builders),
            release=facts.release.name,
        )


@rule("owner-built", code="OG615", norms=["CH04-06", "CH06-05"], applies=to_production)
def owner_built(facts: Facts) -> Iterator[Gap]:
    """F15: the owner of production did not build."""
    if facts.environment.owner and facts.environment.owner in facts.release.builders:
        yield facts.gap(
            N_("The owner of {environment} built {release} (F15)."),
            on=facts.environment.name,
            remedy=facts.by_role(
                f"otapgate release build FILE --change {facts.action.change}",
                "builder",
                but={facts.environment.owner},
            ),
            environment=facts.environment.name,
            release=facts.release.name,
        )
