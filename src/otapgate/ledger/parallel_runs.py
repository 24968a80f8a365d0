"""What the acts of a parallel run change (CH06-07). Pure.

That a period is over, and that nothing open is left, is held here and not by the command
line alone: an agreement that came too early has no effect, whoever signed it.
"""

from __future__ import annotations

from otapgate.i18n import _
from otapgate.ledger import predicates as p
from otapgate.ledger.records import Parallel, Signed, State


def apply(
    state: State,
    position: int,
    at: str,
    by: str,
    predicate: p.ParallelStarted | p.ParallelCompared | p.ParallelConcluded,
) -> str | None:
    """Take an entitled act into account; a sentence when it comes to nothing."""
    known = state.parallels.get(predicate.parallel)
    if isinstance(predicate, p.ParallelStarted):
        if known is not None:
            return _("{id} exists already").format(id=predicate.parallel)
        return _start(state, Signed(position, at, by, predicate))
    if known is None or known.started.act.release != predicate.release:
        return _("there is no parallel run {id} of that release").format(id=predicate.parallel)
    if known.concluded is not None:
        return _("{id} was concluded").format(id=predicate.parallel)
    if isinstance(predicate, p.ParallelCompared):
        return _compare(state, known, Signed(position, at, by, predicate))
    return _conclude(state, known, Signed(position, at, by, predicate))


def _start(state: State, signed: Signed[p.ParallelStarted]) -> str | None:
    started = signed.act
    change = state.changes.get(started.change)
    if change is None or change.closed is not None:
        return _("{change} isn't open").format(change=started.change)
    if started.comparisons < 1:
        return _("a parallel run takes at least one comparison")
    moved = _moved(state, started)
    if moved is not None:
        return moved
    state.parallels[started.parallel] = Parallel(signed)
    return None


def _moved(state: State, started: p.ParallelStarted) -> str | None:
    """Two environments must run what is compared. Of two systems within one environment
    the ledger knows one, and can't say which."""
    if started.old == started.new:
        return None
    for name, release in ((started.old, started.previous), (started.new, started.release)):
        running = state.environment(name).running
        if (running.release if running is not None else None) != release:
            return _("{environment} runs something else than what is compared").format(
                environment=name
            )
    return None


def _compare(state: State, known: Parallel, signed: Signed[p.ParallelCompared]) -> str | None:
    started = known.started.act
    if signed.act.digest != started.digest:
        return _("the comparison was made by another plan than the run began with")
    moved = _moved(state, started)
    if moved is None:
        known.compared.append(signed)
    return moved


def _conclude(state: State, known: Parallel, signed: Signed[p.ParallelConcluded]) -> str | None:
    if signed.by in state.releases[signed.act.release].builders:
        return _("who built a release doesn't conclude its parallel run")
    if signed.act.verdict == "agreed":
        if known.waits_for() is not None:
            return _("the period of {id} isn't over").format(id=signed.act.parallel)
        if known.compared[-1].act.different:
            return _("the newest comparison of {id} has differences that nothing allows").format(
                id=signed.act.parallel
            )
    known.concluded = signed
    return None
