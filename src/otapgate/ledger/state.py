"""What the ledger amounts to: people, changes, releases, evidence, what runs where.

A fold over entries in order, and nothing else: it can be thrown away and made again.
An entry whose signer wasn't entitled to it has no effect and is noted in `problems`.
Signatures themselves are verified by `ledger.verify`, not here. Pure.
"""

from __future__ import annotations

from datetime import datetime
from typing import Generic, TypeVar

import msgspec

from otapgate.i18n import _
from otapgate.ledger import directory
from otapgate.ledger import predicates as p
from otapgate.ledger.sshsig import fingerprint_of_line
from otapgate.ledger.statement import Statement

T = TypeVar("T")

CLOCK_TOLERANCE = 300.0
"""Seconds that the clocks of two people's machines may differ."""


class Signed(msgspec.Struct, Generic[T]):
    """An act with who signed it, when, and where it stands."""

    position: int
    at: str
    by: str
    act: T


class Change(msgspec.Struct):
    """A change and what has been decided about it."""

    submitted: Signed[p.ChangeSubmitted]
    classified: Signed[p.ChangeClassified] | None = None
    authorised: list[Signed[p.ChangeAuthorised]] = []
    scheduled: Signed[p.ChangeScheduled] | None = None
    closed: Signed[p.ChangeClosed] | None = None

    @property
    def status(self) -> str:
        """Where it is in the life cycle (PRO-1)."""
        if self.closed is not None:
            return self.closed.act.outcome
        if self.scheduled is not None:
            return "scheduled"
        if any(a.act.verdict == "rejected" for a in self.authorised):
            return "rejected"
        if self.authorised:
            return "authorised"
        return "classified" if self.classified is not None else "submitted"


class Release(msgspec.Struct):
    """A release and the evidence that rests on its digest."""

    name: str
    digest: str
    built: list[Signed[p.ReleaseBuilt]]
    runs: list[Signed[p.TestRun]] = []
    rehearsals: list[Signed[p.Rehearsal]] = []
    acceptances: list[Signed[p.Acceptance]] = []
    signoffs: list[Signed[p.SignOff]] = []

    @property
    def latest(self) -> p.ReleaseBuilt:
        return self.built[-1].act

    @property
    def builders(self) -> frozenset[str]:
        """Everybody who signed a build of it."""
        return frozenset(b.by for b in self.built)

    @property
    def changes(self) -> frozenset[str]:
        return frozenset(b.act.change for b in self.built if b.act.change is not None)


class Running(msgspec.Struct):
    """What runs in an environment, since when and by what."""

    release: str
    since: str
    by_act: str
    """Promotion or rollback id, or `adopted`."""
    completeness: p.Completeness
    change: str | None = None


class Unfinished(msgspec.Struct):
    """A promotion or rollback that started and hasn't ended."""

    id: str
    kind: str
    """`promotion` or `rollback`."""
    environment: str
    release: str
    previous: str | None
    change: str | None
    at: str
    by: str


class EnvironmentHistory(msgspec.Struct):
    """What the ledger knows of one environment."""

    accepted: Signed[p.EnvironmentAccepted] | None = None
    history: list[Running] = []
    """Oldest first; the last is what runs now. A rollback drops what it undid."""
    datasets: list[Signed[p.DatasetLoaded]] = []
    unfinished: Unfinished | None = None

    @property
    def running(self) -> Running | None:
        return self.history[-1] if self.history else None


class State(msgspec.Struct):
    """Everything the ledger amounts to, at `size` entries with root `root`."""

    size: int = 0
    root: str = ""
    last_at: str = ""
    directory: directory.Directory = msgspec.field(default_factory=directory.Directory)
    policy: str = ""
    """Digest of the policy in force."""
    environments: dict[str, EnvironmentHistory] = {}
    changes: dict[str, Change] = {}
    releases: dict[str, Release] = {}
    """By digest, in order of first build."""
    plans: dict[str, list[Signed[p.PlanRegistered]]] = {}
    datasets: list[Signed[p.DatasetLoaded]] = []
    promotions: int = 0
    decisions: int = 0
    place: str = ""
    """Where the ledger was last said to live; "" until it moved."""
    problems: list[str] = []

    def environment(self, name: str) -> EnvironmentHistory:
        return self.environments.get(name) or EnvironmentHistory()

    def plan(self, name: str, app: str) -> Signed[p.PlanRegistered] | None:
        """The latest registration of a plan for an application."""
        known = [r for r in self.plans.get(name, ()) if r.act.app == app]
        return known[-1] if known else None

    def names(self) -> list[tuple[str, str]]:
        """`app@version` and digest of every release, in order of latest build."""
        found = sorted(self.releases.values(), key=lambda r: r.built[-1].position)
        return [(r.name, r.digest) for r in found]


def fold(state: State, position: int, statement: Statement, fingerprint: str) -> str | None:
    """Take one entry into account; the signer is the key with that fingerprint.

    Returns a sentence when the entry has no effect because its signer wasn't entitled
    to the act, its predicate is malformed, or time ran backwards; None when it counts.
    `state.root` isn't kept here: callers set it from the tree.
    """
    problem = _admit(state, position, statement, fingerprint)
    if problem is not None:
        state.problems.append(f"{position}: {problem}")
    state.size = position + 1
    return problem


def _admit(state: State, position: int, statement: Statement, fingerprint: str) -> str | None:
    act = p.ACTS.get(statement.act)
    if act is None:
        return _("unknown act {act}").format(act=statement.act)
    try:
        predicate = p.from_predicate(statement.act, statement.predicate)
    except msgspec.ValidationError as error:
        return _("malformed {act}: {error}").format(act=statement.act, error=error)
    if state.last_at and moment(statement.at) < moment(state.last_at) - CLOCK_TOLERANCE:
        return _("the clock was set back: {at} is before {last}").format(
            at=statement.at, last=state.last_at
        )
    people = state.directory
    try:
        if isinstance(predicate, p.Genesis):
            if position != 0:
                return _("genesis can only be the first entry")
            people.found(predicate, fingerprint_of_line)
            if people.person_of(fingerprint) != people.founders[0]:
                state.directory = directory.Directory()
                return _("genesis isn't signed by the first role administrator it names")
            state.policy = predicate.policy
            state.last_at = statement.at
            return None
        by = people.person_of(fingerprint)
        if by is None:
            return _("signed by a key that nobody enrolled, or that was revoked")
        day = statement.at[:10]
        if act.roles is not None and not act.roles & people.roles(by, day):
            return _("{by} holds none of the roles for this act: {roles}").format(
                by=by, roles=", ".join(sorted(act.roles))
            )
        problem = _apply(state, position, statement, by, predicate)
    except directory.Refused as error:
        return str(error)
    if problem is None:
        state.last_at = statement.at
    return problem


def moment(at: str) -> float:
    """Seconds since the epoch of an ISO 8601 time with zone."""
    return datetime.fromisoformat(at).timestamp()


def _apply(  # noqa: PLR0911, PLR0912 - one case an act
    state: State, position: int, statement: Statement, by: str, predicate: p.Predicate
) -> str | None:
    at = statement.at
    match predicate:
        case (
            p.PersonEnrolled() | p.PersonRevoked() | p.RoleGranted() | p.RoleRevoked()
            | p.Confirmed()
        ):
            state.directory.apply(position, by, predicate, fingerprint_of_line)
        case p.PolicyApproved(policy=policy):
            state.policy = policy
        case p.EnvironmentAccepted(environment=name):
            _environment(state, name).accepted = Signed(position, at, by, predicate)
        case p.EnvironmentAdopted(environment=name, release=release):
            known = _environment(state, name)
            if known.history or known.unfinished:
                return _("{environment} already has a history").format(environment=name)
            known.history.append(Running(release, at, "adopted", predicate.completeness))
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
        case p.ReleaseBuilt(app=app, version=version):
            digest = statement.subjects[0].digest
            release = state.releases.setdefault(digest, Release(f"{app}@{version}", digest, []))
            release.built.append(Signed(position, at, by, predicate))
        case p.PlanRegistered(plan=plan):
            state.plans.setdefault(plan, []).append(Signed(position, at, by, predicate))
        case p.DatasetLoaded(environment=name):
            signed = Signed(position, at, by, predicate)
            state.datasets.append(signed)
            if name is not None:
                _environment(state, name).datasets.append(signed)
        case p.TestRun() | p.Rehearsal() | p.Acceptance() | p.SignOff():
            return _apply_evidence(state, position, at, by, predicate)
        case p.Decision():
            state.decisions += 1
        case (
            p.PromotionStarted() | p.PromotionFinished() | p.RollbackStarted()
            | p.RollbackFinished()
        ):
            return _apply_promotion(state, at, by, predicate)
        case p.LedgerMoved(place=place):
            state.place = place
        case _:  # pragma: no cover - ACTS and these cases are the same set
            raise TypeError(type(predicate).__name__)
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
            if role not in state.directory.roles(by, at[:10]):
                return _("{by} doesn't hold the role {role}").format(by=by, role=role)
            change.authorised = [
                a for a in change.authorised if (a.by, a.act.role) != (by, role)
            ]
            change.authorised.append(Signed(position, at, by, predicate))
        case p.ChangeScheduled():
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
    release = state.releases.get(predicate.release)
    if release is None:
        return _("{release} was never built here").format(release=predicate.release)
    match predicate:
        case p.TestRun():
            release.runs.append(Signed(position, at, by, predicate))
        case p.Rehearsal():
            release.rehearsals.append(Signed(position, at, by, predicate))
        case p.Acceptance():
            release.acceptances.append(Signed(position, at, by, predicate))
        case p.SignOff(role=role):
            if role not in state.directory.roles(by, at[:10]):
                return _("{by} doesn't hold the role {role}").format(by=by, role=role)
            release.signoffs.append(Signed(position, at, by, predicate))
    return None


def _apply_promotion(
    state: State,
    at: str,
    by: str,
    predicate: p.PromotionStarted | p.PromotionFinished | p.RollbackStarted | p.RollbackFinished,
) -> str | None:
    known = _environment(state, predicate.environment)
    busy = _("{environment} has an unfinished {kind}")
    match predicate:
        case p.PromotionStarted():
            if known.unfinished is not None:
                return busy.format(
                    environment=predicate.environment, kind=known.unfinished.kind
                )
            known.unfinished = Unfinished(
                predicate.promotion, "promotion", predicate.environment, predicate.release,
                predicate.previous, predicate.change, at, by,
            )
            state.promotions += 1
        case p.PromotionFinished(promotion=promotion):
            open_ = known.unfinished
            if open_ is None or open_.id != promotion:
                return _("{id} isn't open").format(id=promotion)
            if predicate.outcome == "failed":
                return None  # neither the old state nor the new: it stays open
            known.unfinished = None
            if predicate.outcome == "succeeded":
                known.history.append(
                    Running(
                        predicate.release, at, promotion, predicate.completeness, open_.change
                    )
                )
        case p.RollbackStarted():
            if known.unfinished is not None:
                return busy.format(
                    environment=predicate.environment, kind=known.unfinished.kind
                )
            known.unfinished = Unfinished(
                predicate.rollback, "rollback", predicate.environment, predicate.release,
                predicate.to, None, at, by,
            )
        case p.RollbackFinished(rollback=rollback):
            if known.unfinished is None or known.unfinished.id != rollback:
                return _("{id} isn't open").format(id=rollback)
            if predicate.outcome == "restored":
                known.unfinished = None
                known.history = known.history[:-1]
    return None
