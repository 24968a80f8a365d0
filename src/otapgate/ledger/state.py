"""The fold: which entries count, and so what the ledger amounts to at any position.

In order of position and nothing else: a state can be thrown away and made again. An entry
whose signer wasn't entitled to it has no effect and is noted in `problems`. Signatures
themselves are verified by `ledger.verify`, not here; what an act that counts changes is
in `effects`, and the shapes are in `records`. Pure.
"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from otapgate.i18n import _
from otapgate.ledger import directory, effects
from otapgate.ledger import predicates as p
from otapgate.ledger.effects import moment
from otapgate.ledger.records import (
    Change,
    EnvironmentHistory,
    Parallel,
    Release,
    Running,
    Signed,
    State,
    Undone,
    Unfinished,
)
from otapgate.ledger.sshsig import fingerprint_of_line
from otapgate.ledger.statement import VERSION, Statement

__all__ = [
    "Change",
    "EnvironmentHistory",
    "Parallel",
    "Release",
    "Running",
    "Signed",
    "State",
    "Undone",
    "Unfinished",
    "day_of",
    "fold",
    "moment",
]

CLOCK_TOLERANCE = 300.0
"""Seconds that the clocks of two people's machines may differ."""


def fold(state: State, position: int, statement: Statement, fingerprint: str) -> str | None:
    """Take one entry into account; the signer is the key with that fingerprint.

    Returns a sentence when the entry has no effect because its signer wasn't entitled
    to the act, its predicate is malformed, or time ran backwards; None when it counts.
    `state.root` isn't kept here: callers set it from the tree.
    """
    problem = _admit(state, position, statement, fingerprint)
    if problem is not None:
        state.void[position] = problem
    state.size = position + 1
    return problem


def _admit(state: State, position: int, statement: Statement, fingerprint: str) -> str | None:
    act = p.ACTS.get(statement.act)
    if act is None or statement.version != VERSION:
        return _("unknown act {act}, version {version}").format(
            act=statement.act, version=statement.version
        )
    try:
        predicate = p.from_predicate(statement.act, statement.predicate)
    except msgspec.ValidationError as error:
        return _("malformed {act}: {error}").format(act=statement.act, error=error)
    corrected = isinstance(predicate, p.ClockCorrected)
    if state.last_at and not corrected and _behind(statement.at, state.last_at):
        return _("the clock was set back: {at} is before {last}").format(
            at=statement.at, last=state.last_at
        )
    try:
        if isinstance(predicate, p.Genesis):
            problem = _begin(state, position, statement, fingerprint, predicate)
        else:
            problem = _act(state, position, statement, fingerprint, act, predicate)
    except directory.Refused as error:
        return str(error)
    # The later of the two: many small steps back would add up to a long way.
    later = not state.last_at or moment(statement.at) > moment(state.last_at)
    if problem is None and (later or corrected):
        state.last_at = statement.at
    return problem


def _behind(at: str, last: str) -> bool:
    return moment(at) < moment(last) - CLOCK_TOLERANCE


def _begin(
    state: State, position: int, statement: Statement, fingerprint: str, genesis: p.Genesis
) -> str | None:
    if position != 0:
        return _("genesis can only be the first entry")
    if genesis.origin != statement.head.origin:
        return _("genesis names another ledger than the one it is in")
    people = directory.Directory.found(genesis, fingerprint_of_line)
    if people.person_of(fingerprint) != people.founders[0]:
        return _("genesis isn't signed by the first role administrator it names")
    state.directory = people
    state.policy = genesis.policy
    return None


def _act(
    state: State,
    position: int,
    statement: Statement,
    fingerprint: str,
    act: p.Act,
    predicate: p.Predicate,
) -> str | None:
    people = state.directory
    by = people.person_of(fingerprint)
    if by is None:
        return _("signed by a key that nobody enrolled, or that was revoked")
    # Whoever signs has seen what they signed before, or else an entry could be put in once
    # more, or held back and put in later, by somebody without any key.
    seen, state.signed[by] = state.signed.get(by, -1), position
    known = max(seen, people.since(fingerprint))
    if statement.head.size <= known:
        return _("signed before entry {n}: it is here already, or was held back").format(n=known)
    release = getattr(predicate, "release", None)
    if release is not None and release not in state.releases:
        return _("{release} was never built here").format(release=release)
    day = day_of(statement.at)
    if "auditor" in people.roles(by, day):
        return _("an auditor writes nothing (F18)")
    held = people.roles(by, day, _street(state, predicate))
    if act.roles is not None and not act.roles & held:
        return _("{by} holds none of the roles for this act: {roles}").format(
            by=by, roles=", ".join(sorted(act.roles))
        )
    if isinstance(predicate, p.ChangeAuthorised | p.SignOff) and predicate.role not in held:
        return _("{by} doesn't hold the role {role}").format(by=by, role=predicate.role)
    if not _speaks_of(state, predicate, statement):
        return _("its subject isn't what it speaks of")
    return effects.apply(state, position, statement, by, predicate)


def _speaks_of(state: State, predicate: p.Predicate, statement: Statement) -> bool:
    """Whether the act's subjects name what it is about, releases by their own name."""
    for subject in () if isinstance(predicate, p.ReleaseBuilt) else statement.subjects:
        release = state.releases.get(subject.digest)
        if release is not None and subject.name != release.name:
            return False
    about = _about(predicate)
    return about is None or any(about == subject.digest for subject in statement.subjects)


def _about(predicate: p.Predicate) -> str | None:
    """The digest that the act is about, which a reader of its subjects must find there."""
    match predicate:
        case p.PolicyApproved(policy=digest) | p.PlanRegistered(digest=digest):
            return digest
        case p.EnvironmentAccepted(description=digest) | p.DatasetLoaded(manifest=digest):
            return digest
        case p.ChangeSubmitted(vtw=digest) | p.Probed(description=digest):
            return digest
        case _:
            return getattr(predicate, "release", None)


def _street(state: State, predicate: p.Predicate) -> str | None:
    """The street on which the signer's role must hold, as far as the ledger knows it; of
    acts about an environment alone only the landscape does, so there the gate looks."""
    match predicate:
        case p.ReleaseBuilt(street=street):
            return street
        case p.PlanRegistered(app=app):
            return state.streets.get(app)
        case (
            p.ChangeClassified(change=name)
            | p.ChangeAuthorised(change=name)
            | p.ChangeScheduled(change=name)
            | p.ChangeClosed(change=name)
        ):
            change = state.changes.get(name)
            return change.submitted.act.street if change is not None else None
        case p.RollbackFinished(environment=name):
            open_ = state.environment(name).unfinished
            return state.releases[open_.release].latest.street if open_ is not None else None
        case _:
            release = state.releases.get(getattr(predicate, "release", ""))
            return release.latest.street if release is not None else None


def day_of(at: str) -> str:
    """The day (ISO date) of a moment in UTC: the zone in it was the signer's choice, and
    no choice of zone may make a role last longer."""
    return datetime.fromisoformat(at).astimezone(UTC).date().isoformat()
