"""What each act changes, once its signer was found to be entitled to it. Pure.

An act can still come to nothing here, because of what came before it: a promotion that
no decision allowed, a test of a release that doesn't run there. A sentence says so then.
"""

from __future__ import annotations

from datetime import date, datetime

from otapgate.i18n import _
from otapgate.ledger import parallel_runs
from otapgate.ledger import predicates as p
from otapgate.ledger.records import (
    ADOPTED,
    Allowed,
    Change,
    EnvironmentHistory,
    Release,
    Running,
    Signed,
    State,
    Undone,
    Unfinished,
)
from otapgate.ledger.sshsig import fingerprint_of_line
from otapgate.ledger.statement import Statement, is_near

MADE_WITHIN = 300.0
"""Seconds between the moment that a decision is about and its signature, and from there to
that of the promotion which it allows."""


def moment(at: str) -> float:
    """Seconds since the epoch of an ISO 8601 time with zone."""
    return datetime.fromisoformat(at).timestamp()


def _is_moment(text: str) -> bool:
    try:
        at = datetime.fromisoformat(text)
        return at.tzinfo is not None and is_near(at)
    except ValueError:
        return False


def apply(  # noqa: PLR0912 - one case an act
    state: State, position: int, statement: Statement, by: str, predicate: p.Predicate
) -> str | None:
    """Take an entitled act by a person into account; a sentence when it comes to nothing.

    Raises directory.Refused, for acts about people and roles.
    """
    at = statement.at
    match predicate:
        case (
            p.PersonEnrolled()
            | p.PersonRevoked()
            | p.RoleGranted()
            | p.RoleRevoked()
            | p.Confirmed()
        ):
            state.directory.apply(position, by, predicate, fingerprint_of_line)
        case p.PolicyApproved(policy=policy):
            state.policy = policy
        case p.EnvironmentAccepted(environment=name):
            _environment(state, name).accepted = Signed(position, at, by, predicate)
        case p.EnvironmentAdopted():
            return _adopt(state, at, predicate)
        case p.ChangeSubmitted(change=change):
            if change in state.changes:
                return _("{change} exists already").format(change=change)
            state.changes[change] = Change(Signed(position, at, by, predicate))
        case (
            p.ChangeClassified(change=change)
            | p.ChangeAuthorised(change=change)
            | p.ChangeScheduled(change=change)
            | p.ChangeClosed(change=change)
        ):
            return _apply_change(state, position, at, by, change, predicate)
        case p.ReleaseBuilt():
            return _apply_build(state, position, statement, by, predicate)
        case p.PlanRegistered(plan=plan):
            state.plans.setdefault(plan, []).append(Signed(position, at, by, predicate))
        case p.DatasetLoaded(environment=name, expires=expires):
            if not _is_moment(expires):
                return _("{text} is no time with a zone").format(text=expires)
            signed = Signed(position, at, by, predicate)
            state.datasets.append(signed)
            if name is not None:
                _environment(state, name).datasets.append(signed)
        case p.Waived():
            return _waive(state, position, at, by, predicate)
        case p.EvidencePurged():
            return _purge(state, position, predicate)
        case p.TestRun() | p.Rehearsal() | p.Acceptance() | p.SignOff():
            return _apply_evidence(state, position, at, by, predicate)
        case p.ParallelStarted() | p.ParallelCompared() | p.ParallelConcluded():
            return parallel_runs.apply(state, position, at, by, predicate)
        case p.Decision():
            return _apply_decision(state, position, statement, by, predicate)
        case (
            p.PromotionStarted()
            | p.PromotionFinished()
            | p.RollbackStarted()
            | p.RollbackFinished()
        ):
            return _apply_promotion(state, position, at, by, predicate)
        case p.Probed(environment=name, kind=kind):
            _environment(state, name).probes[kind] = Signed(position, at, by, predicate)
        case p.EntriesDismissed(entries=entries):
            return _dismiss(state, entries)
        case p.ClockCorrected():
            if moment(at) >= moment(state.last_at):
                return _("the clock needs no correction")
        case p.LedgerMoved(place=place):
            state.place = place
        case _:  # pragma: no cover - ACTS and these cases are the same set
            raise TypeError(type(predicate).__name__)
    return None


def _adopt(state: State, at: str, adopted: p.EnvironmentAdopted) -> str | None:
    name, open_ = adopted.environment, state.environment(adopted.environment).unfinished
    known = _environment(state, name)
    if open_ is not None and open_.failed and open_.previous == adopted.release:
        known.unfinished = None
        if open_.kind == "rollback":
            known.history = known.history[:-1]
        return None
    if open_ is None and known.running is not None and known.running.release == adopted.release:
        return None  # looked at again, after a rehearsal that left something
    if known.history or open_ is not None or known.promoted:
        return _("{environment} already has a history").format(environment=name)
    known.history.append(Running(adopted.release, at, ADOPTED, adopted.completeness))
    return None


def _apply_build(
    state: State, position: int, statement: Statement, by: str, built: p.ReleaseBuilt
) -> str | None:
    name, subject = f"{built.app}@{built.version}", statement.subjects[0]
    if subject.name != name or len(statement.subjects) != 1:
        return _("its subject isn't what it speaks of")
    known = state.releases.get(subject.digest)
    if known is None:
        known = state.releases[subject.digest] = Release(name, subject.digest, [])
        state.streets[built.app] = built.street
    elif (known.name, known.latest.app, known.latest.street, known.latest.plans) != (
        name, built.app, built.street, built.plans,
    ):  # fmt: skip
        # The same bytes are the same release: whose tests and street aren't up for choice.
        return _("those bytes were built here before, as {release}").format(release=known.name)
    known.built.append(Signed(position, statement.at, by, built))
    return None


def _dismiss(state: State, entries: tuple[int, ...]) -> str | None:
    if not entries or any(n not in state.void for n in entries):
        return _("those entries aren't in anybody's way")
    for n in entries:
        state.dismissed[n] = state.void.pop(n)
    return None


def _apply_decision(
    state: State, position: int, statement: Statement, by: str, decision: p.Decision
) -> str | None:
    at, head = statement.at, statement.head
    if decision.actor != by:
        return _("the decision was asked for by somebody else than its signer")
    if (decision.size, decision.root) != (head.size, head.root):
        return _("the decision was made on another log than its signer saw")
    if not _is_moment(decision.now) or abs(moment(decision.now) - moment(at)) > MADE_WITHIN:
        return _("the decision wasn't made when it was signed")
    if decision.outcome == "allowed":
        # Nothing may have come in since that the decision knows nothing of.
        if decision.size != position or decision.policy != state.policy:
            return _("the decision was made on something else than what was so then")
        if decision.action == "promote":
            state.allowed = Allowed(
                decision.decision, decision.release, decision.environment, decision.change,
                at, by, position,
            )  # fmt: skip
    state.decisions += 1
    return None


def _environment(state: State, name: str) -> EnvironmentHistory:
    return state.environments.setdefault(name, EnvironmentHistory())


def _apply_change(
    state: State, position: int, at: str, by: str, name: str, predicate: p.Predicate
) -> str | None:
    change = state.changes.get(name)
    if change is None:
        return _("{change} doesn't exist").format(change=name)
    if change.closed is not None:
        return _("{change} is closed").format(change=name)
    match predicate:
        case p.ChangeClassified():
            change.classified = Signed(position, at, by, predicate)
            # Authorisation was for another class; who must agree may have changed.
            change.authorised = []
        case p.ChangeAuthorised(role=role):
            change.authorised = [a for a in change.authorised if (a.by, a.act.role) != (by, role)]
            change.authorised.append(Signed(position, at, by, predicate))
        case p.ChangeScheduled(start=start, end=end):
            if not (_is_moment(start) and _is_moment(end) and moment(start) < moment(end)):
                return _("{start} to {end} is no window").format(start=start, end=end)
            change.scheduled = Signed(position, at, by, predicate)
        case p.ChangeClosed():
            change.closed = Signed(position, at, by, predicate)
        case _:  # pragma: no cover - the caller routes only the four acts above
            raise TypeError(type(predicate).__name__)
    return None


def _apply_evidence(
    state: State,
    position: int,
    at: str,
    by: str,
    predicate: p.TestRun | p.Rehearsal | p.Acceptance | p.SignOff,
) -> str | None:
    release = state.releases[predicate.release]
    runs = state.environment(predicate.environment).running
    now = runs.release if runs is not None else None
    match predicate:
        case p.TestRun() | p.Acceptance() if now != predicate.release:
            return _("{environment} didn't run {release} then").format(
                environment=predicate.environment, release=release.name
            )
        case p.TestRun():
            release.runs.append(Signed(position, at, by, predicate))
        case p.Rehearsal(previous=previous):
            if previous != now:
                return _("{environment} ran something else than what the rehearsal went back to")\
                    .format(environment=predicate.environment)  # fmt: skip
            release.rehearsals.append(Signed(position, at, by, predicate))
        case p.Acceptance():
            release.acceptances.append(Signed(position, at, by, predicate))
        case _:
            release.signoffs.append(Signed(position, at, by, predicate))
    return None


def _waive(state: State, position: int, at: str, by: str, waived: p.Waived) -> str | None:
    release = state.releases[waived.release]
    if by in release.builders:
        return _("who built {release} waives nothing of it (F14)").format(release=release.name)
    if not _is_day(waived.until):
        return _("{text} is no day").format(text=waived.until)
    release.waivers.append(Signed(position, at, by, waived))
    return None


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _purge(state: State, position: int, purged: p.EvidencePurged) -> str | None:
    known = {
        run.act.run
        for release in state.releases.values()
        for run in release.runs
        if run.act.environment == purged.environment
    }
    strange = [run for run in purged.runs if run not in known or run in state.purged]
    if strange or not purged.runs:
        return _("no test run of {environment} that still has evidence: {runs}").format(
            environment=purged.environment, runs=", ".join(strange) or "-"
        )
    state.purged.update(dict.fromkeys(purged.runs, position))
    return None


def _apply_promotion(
    state: State,
    position: int,
    at: str,
    by: str,
    predicate: p.PromotionStarted | p.PromotionFinished | p.RollbackStarted | p.RollbackFinished,
) -> str | None:
    known = state.environment(predicate.environment)
    open_ = known.unfinished
    if isinstance(predicate, p.PromotionFinished | p.RollbackFinished):
        return _finish(known, position, at, predicate)
    if open_ is not None:
        return _("{environment} has an unfinished {kind}").format(
            environment=predicate.environment, kind=open_.kind
        )
    now = known.running.release if known.running is not None else None
    if isinstance(predicate, p.PromotionStarted):
        # Right after its decision: what came in between could have changed it.
        found = state.allowed
        late = found is not None and moment(at) - moment(found.at) > MADE_WITHIN
        if late or found is None or (
            found.decision, found.release, found.environment, found.change, found.by,
            found.position,
        ) != (
            predicate.decision, predicate.release, predicate.environment, predicate.change, by,
            position - 1,
        ):  # fmt: skip
            return _("no decision allowed this promotion, or something came in after it")
        if predicate.previous != now:
            return _("{environment} runs something else than this promotion begins with").format(
                environment=predicate.environment
            )
        state.allowed = None
        state.environments[predicate.environment] = known
        known.unfinished = Unfinished(
            predicate.promotion, "promotion", predicate.environment, predicate.release,
            predicate.previous, predicate.change, at, by,
        )  # fmt: skip
        state.promotions += 1
        return None
    before = known.history[-2].release if len(known.history) > 1 else None
    undone = (predicate.promotion, predicate.release, predicate.to)
    if (
        known.running is None
        or known.running.by_act == ADOPTED
        or undone != (known.running.by_act, now, before)
    ):
        return _("only the last promotion to {environment} can be undone").format(
            environment=predicate.environment
        )
    known.unfinished = Unfinished(
        predicate.rollback, "rollback", predicate.environment, predicate.release,
        predicate.to, None, at, by,
    )  # fmt: skip
    return None


def _finish(
    known: EnvironmentHistory,
    position: int,
    at: str,
    predicate: p.PromotionFinished | p.RollbackFinished,
) -> str | None:
    if isinstance(predicate, p.PromotionFinished):
        wanted: tuple[str, str, str | None] = (
            "promotion", predicate.promotion, predicate.release,
        )  # fmt: skip
    else:
        wanted = ("rollback", predicate.rollback, predicate.to)
    open_ = known.unfinished
    going = open_ and (open_.release if open_.kind == "promotion" else open_.previous)
    if open_ is None or (open_.kind, open_.id, going) != wanted:
        return _("{id} isn't open").format(id=wanted[1])
    touched = isinstance(predicate, p.RollbackFinished) or predicate.touched
    if predicate.outcome != "succeeded" and touched:
        known.undone[open_.release] = Undone(position, at, predicate.outcome == "failed")
    if predicate.outcome == "failed":
        # neither the old state nor the new: it stays open
        open_.failed, open_.left = True, predicate.left
        return None
    known.unfinished = None
    if isinstance(predicate, p.RollbackFinished):
        known.history = known.history[:-1]
    elif predicate.outcome == "succeeded":
        known.promoted = True
        known.undone.pop(predicate.release, None)
        known.history.append(
            Running(predicate.release, at, open_.id, predicate.completeness, open_.change)
        )
    return None
