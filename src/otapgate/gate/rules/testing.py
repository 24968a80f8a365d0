"""Rules about test plans and test runs: OG301 to OG399. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from otapgate.gate.facts import Facts
from otapgate.gate.finding import Gap, Remedy
from otapgate.gate.registry import beyond_first, rule, to_production
from otapgate.i18n import N_
from otapgate.ledger import predicates as p
from otapgate.ledger import state as s


def _run_command(facts: Facts, plan: str) -> Remedy:
    """Where the release runs, the nearest to its goal; where it runs nowhere yet, what
    comes before any test of it."""
    places = [e for e in reversed(facts.path[:-1]) if facts.running(e) == facts.release.digest]
    if not places:
        return facts.by_role(
            f"otapgate promote {facts.release.name} --to {facts.path[0].name}"
            f" --change {facts.action.change}",
            "administrator",
        )
    return facts.by_role(
        f"otapgate test run {facts.release.name} --env {places[0].name} --plan {plan}",
        "tester",
        but=facts.release.builders,
    )


def covering_runs(facts: Facts, plan: str) -> list[s.Signed[p.TestRun]]:
    """The runs of this release on the plan as registered last, on environments that are
    still as they were described then; oldest first."""
    registered = facts.plans.get(plan)
    if registered is None:
        return []
    described = {e.name: e.digest for e in facts.tested_in}
    return [
        run
        for run in facts.release.runs
        if run.act.plan == registered.act.digest
        and run.position > registered.position
        and described.get(run.act.environment) == run.act.description
    ]


def covering_run(facts: Facts, plan: str) -> s.Signed[p.TestRun] | None:
    """The latest of those."""
    runs = covering_runs(facts, plan)
    return runs[-1] if runs else None


def not_passed(run: p.TestRun, planned: tuple[str, ...]) -> tuple[str, ...]:
    """What keeps a run from having passed: cases that failed, were skipped or are
    lacking. A case that stands there twice passed only if it did both times, and a run
    without any case shows nothing."""
    passed = {c.id for c in run.cases} - {c.id for c in run.cases if c.outcome != "passed"}
    bad = tuple(c for c in (*planned, *(c.id for c in run.cases)) if c not in passed)
    nothing = run.outcome != "passed" or not planned
    return tuple(dict.fromkeys(bad)) or ((run.run,) if nothing else ())


@rule("test-plan-unregistered", code="OG301", norms=["CH05-03"], applies=beyond_first)
def test_plan_unregistered(facts: Facts) -> Iterator[Gap]:
    """The release names its test plans, and each was registered before the tests."""
    if not facts.plans:
        yield facts.gap(
            N_("{release} names no test plan."),
            remedy=facts.by_role("otapgate release build FILE", "builder"),
            release=facts.release.name,
        )
    for name, registered in facts.plans.items():
        if registered is None:
            yield facts.gap(
                N_("The test plan {plan} is not registered."),
                on=name,
                remedy=facts.by_role(f"otapgate test plan register plans/{name}.yml", "test-lead"),
                plan=name,
            )


@rule("tests-missing", code="OG302", norms=["CH05-05", "CH05-03"], applies=beyond_first)
def tests_missing(facts: Facts) -> Iterator[Gap]:
    """Every plan was carried out on exactly this release.

    A run counts when it is of this release's digest, follows the plan as registered
    last, came after that registration, and was on an environment that is still as
    described then. Otherwise it has lapsed, and the finding says why.
    """
    described = {e.name: e.digest for e in facts.tested_in}
    for name, registered in facts.plans.items():
        if registered is None or covering_run(facts, name) is not None:
            continue
        runs = [r for r in facts.release.runs if _of_plan(facts, r, name)]
        if not runs:
            message = N_("The test plan {plan} was not run on this release.")
        elif runs[-1].act.plan != registered.act.digest:
            message = N_("The test plan {plan} was changed after it was run on this release.")
        elif described.get(runs[-1].act.environment) != runs[-1].act.description:
            message = N_("The environment was changed after the test plan {plan} was run in it.")
        else:
            message = N_("The test plan {plan} was registered only after it was run.")
        yield facts.gap(message, remedy=_run_command(facts, name), plan=name)


def _of_plan(facts: Facts, run: s.Signed[p.TestRun], name: str) -> bool:
    return any(r.act.digest == run.act.plan for r in facts.state.plans.get(name, ()))


@rule("tests-failed", code="OG303", norms=["CH05-05"], applies=beyond_first)
def tests_failed(facts: Facts) -> Iterator[Gap]:
    """Every planned case passed in the latest run; none failed, none was skipped.

    A plan without a single case shows nothing, so it doesn't pass.
    """
    for name, registered in facts.plans.items():
        run = covering_run(facts, name)
        if run is None or registered is None:
            continue
        bad = not_passed(run.act, registered.act.cases)
        if bad:
            yield facts.gap(
                N_("Not passed in the last run of the test plan {plan}: {cases}. Mend the release,"
                   " or mend the plan and register it again."),
                remedy=_run_command(facts, name),
                plan=name,
                cases=bad,
            )  # fmt: skip


@rule("test-coverage", code="OG304", norms=["CH05-04"], applies=to_production)
def test_coverage(facts: Facts) -> Iterator[Gap]:
    """The plans cover what the policy asks of a change of this priority.

    Security and performance are always among it unless the board decided otherwise. A
    criterion that no case was about covers nothing.
    """
    change = facts.change
    if change is None or change.classified is None or not facts.plans:
        return
    covered = set()
    for name, registered in facts.plans.items():
        run = covering_run(facts, name)
        if registered is None or run is None:
            return  # said by other rules; what it covers can't be told
        tried = {case.criterion for case in run.act.cases}
        covered |= {c.kind for c in registered.act.criteria if c.id in tried}
    wanted = facts.policy.test_kinds.get(change.classified.act.priority, ())
    missing = tuple(kind for kind in wanted if kind not in covered)
    if missing:
        first = next(iter(facts.plans))
        yield facts.gap(
            N_("The test plans don't cover: {kinds}."),
            remedy=facts.by_role(f"otapgate test plan register plans/{first}.yml", "test-lead"),
            kinds=missing,
        )


@rule("tests-stale", code="OG305", norms=["CH05-05"], applies=to_production)
def tests_stale(facts: Facts) -> Iterator[Gap]:
    """The tests are recent enough by the policy."""
    for name in facts.plans:
        run = covering_run(facts, name)
        if run is not None and facts.older_than(run.at, facts.policy.test_max_age_days):
            yield facts.gap(
                N_(
                    "The last run of the test plan {plan} is of {day}, longer ago than {days} days."
                ),
                remedy=_run_command(facts, name),
                plan=name,
                day=facts.date_of(run.at).isoformat(),
                days=facts.policy.test_max_age_days,
            )


@rule("test-plan-edited", code="OG306", norms=["CH05-03"], applies=beyond_first, severity="warn")
def test_plan_edited(facts: Facts) -> Iterator[Gap]:
    """The plan in the working directory is the one that was registered.

    What counts is the registered one; an edit that was not registered tests nothing,
    and this says so.
    """
    for name, registered in facts.plans.items():
        now = facts.seen.plan_files.get(name)
        if registered is not None and now is not None and now != registered.act.digest:
            yield facts.gap(
                N_("The test plan {plan} was edited after it was registered."),
                on=name,
                remedy=facts.by_role(f"otapgate test plan register plans/{name}.yml", "test-lead"),
                plan=name,
            )
