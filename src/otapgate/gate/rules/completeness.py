"""Rules about what came before and whether it was whole: OG701 to OG799. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from otapgate.gate.facts import Facts
from otapgate.gate.finding import Gap, Remedy
from otapgate.gate.registry import always, beyond_first, rule
from otapgate.i18n import N_
from otapgate.ledger.records import ADOPTED, Unfinished


@rule("not-in-previous-stage", code="OG701", norms=["CH06-02"], applies=beyond_first, hard=True)
def not_in_previous_stage(facts: Facts) -> Iterator[Gap]:
    """The environment before this one runs exactly this release, let in by the gate.

    One that was taken in as it was (adopted) passed no gate; only for the first
    environment of a street, which has nothing before it, that is enough.
    """
    previous = facts.previous
    if previous is None:  # pragma: no cover - applies says so
        return
    running = facts.state.environment(previous.name).running
    message = (
        N_("{previous} doesn't run this release but: {running}.")
        if running is not None
        else N_("Nothing runs in {previous} yet; this release must run there first.")
    )
    if running is not None and running.release == facts.release.digest:
        if running.by_act != ADOPTED or facts.street.before(previous) is None:
            return
        message = N_("{previous} was taken in with {running}, which no gate let in there.")
    yield facts.gap(
        message,
        on=previous.name,
        remedy=facts.by_role(
            f"otapgate promote {facts.release.name} --to {previous.name}"
            f" --change {facts.action.change}",
            "administrator",
        ),
        previous=previous.name,
        running=facts.called(running.release if running is not None else None),
    )


@rule("previous-incomplete", code="OG702", norms=["CH06-09"], applies=beyond_first)
def previous_incomplete(facts: Facts) -> Iterator[Gap]:
    """What runs in the environment before this one equals the release, item by item.

    A release file that says under `installs` nothing of what a host must hold leaves
    nothing to compare with, so nobody can say.
    """
    previous = facts.previous
    if previous is None:  # pragma: no cover - applies says so
        return
    running = facts.state.environment(previous.name).running
    if (
        running is not None
        and running.release == facts.release.digest
        and running.completeness.outcome != "complete"
    ):
        found = running.completeness
        if found.outcome == "unknown":
            yield facts.gap(
                N_("Whether {previous} holds all of {release} and nothing else can't be compared:"
                   " its release file declares no installs."),
                on=previous.name,
                remedy=facts.by_role(
                    f"otapgate release build FILE --change {facts.action.change}", "builder"
                ),
                previous=previous.name,
                release=facts.release.name,
            )  # fmt: skip
            return
        yield facts.gap(
            N_("What runs in {previous} isn't all of the release and nothing else: {items}."),
            on=previous.name,
            remedy=facts.by_role(
                f"otapgate promote {facts.release.name} --to {previous.name}"
                f" --change {facts.action.change}",
                "administrator",
            ),
            previous=previous.name,
            items=(*found.missing, *found.different, *found.extra)[:5] or ("?",),
        )


@rule("source-changed", code="OG703", norms=["CH01-07"], applies=always, severity="warn")
def source_changed(facts: Facts) -> Iterator[Gap]:
    """The working files are still those that the release was built from.

    What is deployed is the release, from the content store; an edited playbook or
    artifact in the working directory is not part of it, and this says so.
    """
    if facts.seen.drift:
        yield facts.gap(
            N_("Changed since {release} was built, and not part of it: {files}."),
            remedy=facts.by_role(
                f"otapgate release build FILE --change {facts.action.change}", "builder"
            ),
            release=facts.release.name,
            files=facts.seen.drift,
        )


@rule("already-running", code="OG704", norms=["CH06-09"], applies=always)
def already_running(facts: Facts) -> Iterator[Gap]:
    """The environment doesn't run exactly this release already.

    Where it does, but not all of it or with something else besides, deploying it again is
    what mends that. What was only taken in between two stages may still pass the gate.
    """
    running = facts.state.environment(facts.environment.name).running
    if running is None or running.release != facts.release.digest:
        return
    passing = facts.previous is not None and facts.stage != "P"
    if running.completeness.outcome == "complete" and not (passing and running.by_act == ADOPTED):
        yield facts.gap(
            N_("{environment} runs {release} already, since {day}."),
            on=facts.environment.name,
            remedy=Remedy(f"otapgate status {facts.street.name}"),
            environment=facts.environment.name,
            release=facts.release.name,
            day=facts.date_of(running.since).isoformat(),
        )


def _resumed(facts: Facts, open_: Unfinished) -> bool:
    asked = (facts.environment.name, facts.release.digest, facts.action.change)
    return (
        facts.action.action == "resume"
        and open_.kind == "promotion"
        and (open_.environment, open_.release, open_.change) == asked
    )


@rule("unfinished", code="OG705", norms=["CH06-09", "CH06-02"], applies=always, hard=True)
def unfinished(facts: Facts) -> Iterator[Gap]:
    """Nothing is half-way, in this environment or in the one before it.

    Where a promotion or rollback was begun and not ended, what runs there is neither the
    old nor the new. Going on with what was begun is asked for as such.
    """
    around = [e for e in (facts.previous, facts.environment) if e is not None]
    for environment in around:
        open_ = facts.state.environment(environment.name).unfinished
        if open_ is not None and not _resumed(facts, open_):
            yield facts.gap(
                N_("In {environment} a {kind} was begun on {day} and never ended."),
                on=environment.name,
                remedy=facts.by_role(f"otapgate rollback {environment.name}", "administrator"),
                environment=environment.name,
                kind=open_.kind,
                day=facts.date_of(open_.at).isoformat(),
            )
