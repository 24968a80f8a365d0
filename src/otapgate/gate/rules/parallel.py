"""Rules about parallel runs: OG521 to OG523. Pure.

They hold for changes of which the request says that old and new must run side by side.
"""

from __future__ import annotations

from collections.abc import Iterator

from otapgate.gate.facts import Facts
from otapgate.gate.finding import Gap, Remedy
from otapgate.gate.registry import rule
from otapgate.i18n import N_
from otapgate.ledger import state as s


def _asked(facts: Facts) -> bool:
    change = facts.change
    return facts.stage == "P" and change is not None and change.submitted.act.parallel_run


def _newest(facts: Facts) -> s.Parallel | None:
    """The last parallel run of exactly this release for this change."""
    found = [
        run
        for run in facts.state.parallels.values()
        if (run.started.act.release, run.started.act.change)
        == (facts.release.digest, facts.action.change)
    ]
    return found[-1] if found else None


def _start(facts: Facts) -> Remedy:
    return facts.by_role(
        f"otapgate parallel start {facts.release.name} --plan NAME --change {facts.action.change}",
        "administrator",
    )


def _compare(facts: Facts, run: s.Parallel) -> Remedy:
    command = f"otapgate parallel compare {run.started.act.parallel}"
    return facts.by_role(command, "administrator")


def _conclude(facts: Facts, run: s.Parallel) -> Remedy:
    return facts.by_role(
        f"otapgate parallel conclude {run.started.act.parallel} --agreed --because TEXT",
        "process-owner",
        but=facts.release.builders,
    )


@rule("parallel-run-missing", code="OG521", norms=["CH06-07"], applies=_asked, since=2)
def parallel_run_missing(facts: Facts) -> Iterator[Gap]:
    """Where the request says so, old and new ran in parallel, and were found to agree.

    They ran for the period that the plan asks, and the process owner concluded so. It
    counts for exactly this release and this change, and the newest run counts: one that was
    begun after it takes its place. A comparison with differences that the plan doesn't
    tolerate stands in the way until a later one has none.
    """
    run = _newest(facts)
    if run is None:
        yield facts.gap(
            N_("{change} asks that old and new run in parallel; {release} never did."),
            remedy=_start(facts),
            change=facts.action.change,
            release=facts.release.name,
        )
        return
    asked, waits = run.started.act, run.waits_for()
    if run.concluded is not None:
        if run.concluded.act.verdict == "rejected":
            yield facts.gap(
                N_("The process owner concluded that old and new don't agree ({run})."),
                remedy=_start(facts),
                run=asked.parallel,
            )
    elif waits is not None:
        yield facts.gap(
            N_("The parallel run {run} isn't over: it takes {comparisons} comparisons, the last"
               " of them {days} days after its start; there are {made}."),
            remedy=_compare(facts, run),
            run=asked.parallel,
            comparisons=asked.comparisons,
            days=asked.days,
            made=len(run.compared),
        )  # fmt: skip
    elif run.compared[-1].act.different:
        yield facts.gap(
            N_("In the newest comparison of {run}, {count} differences aren't tolerated."),
            remedy=_compare(facts, run),
            run=asked.parallel,
            count=run.compared[-1].act.different,
        )
    else:
        yield facts.gap(
            N_("The parallel run {run} is over, and nobody has concluded what came of it."),
            remedy=_conclude(facts, run),
            run=asked.parallel,
        )


@rule("parallel-run-lapsed", code="OG522", norms=["CH06-07"], applies=_asked, since=2)
def parallel_run_lapsed(facts: Facts) -> Iterator[Gap]:
    """What was compared in the parallel run is still so.

    Neither environment was described anew since the run began, its conclusion is as recent
    as an acceptance must be, and the release hasn't failed in production or been rolled
    back there since."""
    run = _newest(facts)
    if run is None or run.concluded is None or run.concluded.act.verdict != "agreed":
        return
    asked, concluded = run.started.act, run.concluded
    described = {e.name: e.digest for e in facts.street.environments}
    for name, digest in ((asked.old, asked.old_description), (asked.new, asked.new_description)):
        if described.get(name) != digest:
            yield facts.gap(
                N_("{environment} was changed after the parallel run {run} began."),
                remedy=_start(facts),
                environment=name,
                run=asked.parallel,
            )
    if facts.older_than(concluded.at, facts.policy.acceptance_max_age_days):
        yield facts.gap(
            N_("The parallel run {run} was concluded on {day}, longer ago than {days} days."),
            remedy=_start(facts),
            run=asked.parallel,
            day=facts.date_of(concluded.at).isoformat(),
            days=facts.policy.acceptance_max_age_days,
        )
    if facts.undone is not None and concluded.position < facts.undone.position:
        yield facts.gap(
            N_("{release} was taken out of {environment} on {day}, after the parallel run {run}"
               " was concluded."),
            remedy=_start(facts),
            release=facts.release.name,
            environment=facts.environment.name,
            day=facts.date_of(facts.undone.at).isoformat(),
            run=asked.parallel,
        )  # fmt: skip


@rule("builder-concludes", code="OG523", norms=["CH06-07", "CH06-05"], applies=_asked, hard=True,
      since=2)  # fmt: skip
def builder_concludes(facts: Facts) -> Iterator[Gap]:
    """Who builds does not conclude that the new system does as the old one did."""
    run = _newest(facts)
    if run is not None and run.concluded and run.concluded.by in facts.release.builders:
        yield facts.gap(
            N_("The parallel run {run} was concluded by somebody who built {release}."),
            remedy=_start(facts),
            run=run.started.act.parallel,
            release=facts.release.name,
        )
