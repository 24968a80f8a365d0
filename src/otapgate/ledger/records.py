"""What the ledger amounts to, as values: changes, releases, evidence, what runs where.

Only the shapes, and what can be read off them; `state` decides which entries count and
`effects` what each of those changes. They encode to JSON, so that a state can be kept.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Generic, TypeVar

import msgspec

from otapgate.ledger import directory
from otapgate.ledger import predicates as p

T = TypeVar("T")

ADOPTED = "adopted"
"""By what act a release runs in an environment that was taken in as it was."""


class Signed(msgspec.Struct, Generic[T], gc=False):
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
    waivers: list[Signed[p.Waived]] = []

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


class Parallel(msgspec.Struct):
    """Old and new side by side, and what was found of them (CH06-07)."""

    started: Signed[p.ParallelStarted]
    compared: list[Signed[p.ParallelCompared]] = []
    concluded: Signed[p.ParallelConcluded] | None = None

    def waits_for(self) -> str | None:
        """What the period still asks: `comparison`, `days`, `comparisons`, or None."""
        if not self.compared:
            return "comparison"
        asked, newest = self.started.act, self.compared[-1]
        gone = datetime.fromisoformat(newest.at) - datetime.fromisoformat(self.started.at)
        if gone < timedelta(days=asked.days):
            return "days"
        return "comparisons" if len(self.compared) < asked.comparisons else None


class Running(msgspec.Struct):
    """What runs in an environment, since when and by what."""

    release: str
    since: str
    by_act: str
    """Promotion or rollback id, or `adopted`."""
    completeness: p.Completeness
    change: str | None = None


class Allowed(msgspec.Struct):
    """The newest decision that allowed a promotion, until it has begun."""

    decision: str
    release: str
    environment: str
    change: str
    at: str
    by: str
    position: int


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
    failed: bool = False
    """Whether going back was tried and left something."""
    left: tuple[str, ...] = ()
    """What was left, when it was tried last."""


class Undone(msgspec.Struct, gc=False):
    """That a release was taken out of an environment again, or never got in whole."""

    position: int
    at: str
    failed: bool
    """Whether something was left of it then."""


class EnvironmentHistory(msgspec.Struct):
    """What the ledger knows of one environment."""

    accepted: Signed[p.EnvironmentAccepted] | None = None
    history: list[Running] = []
    """Oldest first; the last is what runs now. A rollback drops what it undid."""
    datasets: list[Signed[p.DatasetLoaded]] = []
    unfinished: Unfinished | None = None
    promoted: bool = False
    """Whether a promotion ever succeeded, even if it was rolled back since."""
    probes: dict[str, Signed[p.Probed]] = {}
    """Kind of probe → the newest."""
    undone: dict[str, Undone] = {}
    """Digest of a release → when it was undone here last, unless it was let in since."""

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
    streets: dict[str, str] = {}
    """Application → street of the last of its releases, in order of first build."""
    plans: dict[str, list[Signed[p.PlanRegistered]]] = {}
    datasets: list[Signed[p.DatasetLoaded]] = []
    parallels: dict[str, Parallel] = {}
    """By id, in order of start."""
    purged: dict[str, int] = {}
    """Id of a test run → position of the entry by which its evidence was deleted."""
    promotions: int = 0
    decisions: int = 0
    allowed: Allowed | None = None
    place: str = ""
    """Where the ledger was last said to live; "" until it moved."""
    signed: dict[str, int] = {}
    """Person → position of the last entry by a living key of theirs."""
    void: dict[int, str] = {}
    """Position → why that entry has no effect, until somebody has looked into it."""
    dismissed: dict[int, str] = {}
    """Those that somebody has looked into."""

    @property
    def problems(self) -> list[str]:
        """What is wrong with entries, in a sentence each."""
        return [f"{position}: {why}" for position, why in self.void.items()]

    def environment(self, name: str) -> EnvironmentHistory:
        return self.environments.get(name) or EnvironmentHistory()

    def plan(self, name: str, app: str) -> Signed[p.PlanRegistered] | None:
        """The latest registration of a plan for an application."""
        known = [r for r in self.plans.get(name, ()) if r.act.app == app]
        return known[-1] if known else None

    def called(self, digest: str) -> str:
        """A release's name, and the beginning of its digest where another one has that name."""
        name = self.releases[digest].name
        alone = all(r.digest == digest for r in self.releases.values() if r.name == name)
        return name if alone else f"{name} ({digest.removeprefix('sha256:')[:8]})"

    def names(self) -> list[tuple[str, str]]:
        """`app@version` and digest of every release, in order of latest build."""
        found = sorted(self.releases.values(), key=lambda r: r.built[-1].position)
        return [(r.name, r.digest) for r in found]
