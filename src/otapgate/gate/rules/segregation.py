"""Rules that keep duties apart (F01 to F20): OG601 to OG699. Pure.

Hard ones can't be weakened by a policy. For the others a small organisation may set
`warn` with a reason, an owner and an end; then every decision shows it.
"""

from __future__ import annotations

from collections.abc import Iterator

from otapgate.gate.facts import Facts
from otapgate.gate.finding import Gap, Remedy
from otapgate.gate.registry import rule, to_production
from otapgate.gate.rules.testing import covering_run
from otapgate.gate.waivers import held_back, unlapsed
from otapgate.i18n import N_
from otapgate.landscape.model import Role


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
    """F02: who builds does not give production's sign-off.

    A sign-off by somebody who built is mended by one in the same role by somebody else.
    """
    mine = [
        x
        for x in facts.release.signoffs
        if x.act.environment == facts.environment.name
        and x.act.change == facts.action.change
        and x.act.verdict == "agreed"
    ]
    independent = {x.act.role for x in mine if x.by not in facts.release.builders}
    for role in sorted({x.act.role for x in mine} - independent):
        yield facts.gap(
            N_("The {role}'s sign-off came from somebody who built {release} (F02)."),
            remedy=facts.by_role(
                f"otapgate sign-off {facts.release.name} --to {facts.environment.name}"
                f" --change {facts.action.change} --role {role}",
                role,
                but=facts.release.builders,
            ),
            role=role,
            release=facts.release.name,
        )


def _authorise(facts: Facts, role: Role, but: set[str]) -> Remedy:
    return facts.by_role(
        f"otapgate change authorise {facts.action.change} --role {role}", role, but=but
    )


@rule("submitter-authorises", code="OG603", norms=["CH06-05", "CH02-03"], applies=to_production,
      hard=True)  # fmt: skip
def submitter_authorises(facts: Facts) -> Iterator[Gap]:
    """F03: who submits does not authorise.

    Their authorisation is mended by one in the same role by somebody else.
    """
    change = facts.change
    if change is None:
        return
    given = [v for v in change.authorised if v.act.verdict == "authorised"]
    submitter = change.submitted.by
    independent = {v.act.role for v in given if v.by != submitter}
    for role in sorted({v.act.role for v in given} - independent):
        yield facts.gap(
            N_("{change} was authorised by who submitted it, as {role} (F03)."),
            on=facts.action.change,
            remedy=_authorise(facts, role, {submitter}),
            change=facts.action.change,
            role=role,
        )


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


@rule("own-waiver", code="OG614", norms=["CH06-05"], severity="warn", hard=True, since=2)
def own_waiver(facts: Facts) -> Iterator[Gap]:
    """F14: who waives a finding is not the one it blocks.

    A waiver by who built the release, asked for the change or promotes now counts for
    nothing, and what it was for still stands in the way. The same holds, unsaid here, for
    one signed in no other role than the one that has to mend the finding.
    """
    for waiver in unlapsed(facts):
        if held_back(facts, waiver.by):
            yield facts.gap(
                N_("The waiver of {rule} comes from somebody whom it holds back; it counts for"
                   " nothing (F14)."),
                on=waiver.act.rule,
                remedy=facts.by_role(
                    f"otapgate waive {waiver.act.rule} {facts.release.name} --because TEXT"
                    " --until DATE",
                    "board",
                    but=facts.release.builders | {waiver.by},
                ),
                rule=waiver.act.rule,
            )  # fmt: skip


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


@rule("supplier-accepts", code="OG619", norms=["CH06-05"], applies=to_production, hard=True)
def supplier_accepts(facts: Facts) -> Iterator[Gap]:
    """F19: a supplier does not accept their own delivery.

    A release that somebody built as supplier is accepted by somebody who isn't one.
    """
    acceptances = [a for a in facts.release.acceptances if a.act.change == facts.action.change]
    delivered = any(facts.entitled(b, "supplier") for b in facts.release.built)
    if acceptances and delivered and facts.entitled(acceptances[-1], "supplier"):
        yield facts.gap(
            N_("{release} was delivered by a supplier and accepted by a supplier (F19)."),
            remedy=facts.by_role(
                f"otapgate accept {facts.release.name} --env ENV --change {facts.action.change}"
                " --criterion ID=pass",
                "test-lead",
                but=facts.release.builders | set(facts.holders("supplier")),
            ),
            release=facts.release.name,
        )


@rule("chair-alone", code="OG620", norms=["CH06-05", "CH02-03"], applies=to_production, hard=True)
def chair_alone(facts: Facts) -> Iterator[Gap]:
    """F20: the chair alone is no CAB.

    Where the CAB authorises, it takes two people, whatever roles one of them holds.
    """
    change = facts.change
    if change is None:
        return
    given = [v for v in change.authorised if v.act.verdict == "authorised"]
    people = {v.by for v in given} - {change.submitted.by}
    if any(v.act.role == "cab-member" for v in given) and len(people) < 2:
        yield facts.gap(
            N_("{change} was authorised for the CAB by one person alone (F20)."),
            on=facts.action.change,
            remedy=_authorise(facts, "cab-member", people | {change.submitted.by}),
            change=facts.action.change,
        )
