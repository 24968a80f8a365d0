"""Evidence of tests whose time is over: deleted, with a tombstone in the ledger (CH05-06).

How long it is kept is the environment's to say (`retention_days`). The entry comes first
and names every digest; what it couldn't delete yet, the next purge does. Nothing is
deleted that anything else refers to, and never the runs on which the acceptance rests of a
release that is in force.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from otapgate import errors
from otapgate.acts import test_results
from otapgate.acts.workspace import Workspace
from otapgate.landscape.model import Environment
from otapgate.ledger import predicates as p
from otapgate.ledger.state import Release, Signed, State
from otapgate.ledger.statement import Draft, Subject
from otapgate.release.store import Store

_DIGEST = re.compile(rb"sha256:[0-9a-f]{64}")
_READABLE = 64 * 1024 * 1024
"""Bytes of an object that may refer to others; what is larger is an artifact."""


@dataclass(frozen=True, slots=True)
class Purge:
    """What of one environment is to be deleted."""

    environment: Environment
    runs: tuple[Signed[p.TestRun], ...]
    digests: tuple[str, ...]
    """Of objects that nothing else refers to."""
    bytes: int
    shared: tuple[str, ...] = ()
    """Digests that stay, since something else refers to them."""

    def draft(self) -> Draft:
        """The tombstone."""
        predicate = p.EvidencePurged(
            self.environment.name,
            tuple(run.act.run for run in self.runs),
            self.digests,
            self.bytes,
            "retention",
            self.environment.retention_days,
        )
        subjects = tuple(Subject(run.act.run, run.act.evidence) for run in self.runs)
        return Draft("evidence-purged", subjects, p.to_predicate(predicate))


def due(workspace: Workspace, env: str | None = None) -> list[Purge]:
    """What may be deleted now, environment by environment; nothing is changed."""
    only = workspace.environment(env).name if env is not None else None
    by_environment = {
        environment.name: (environment, list(_old(workspace, environment)))
        for environment in workspace.landscape.environments()
        if only in (None, environment.name)
    }
    gone = {run.act.run for _e, runs in by_environment.values() for run in runs}
    if not gone:
        return []
    needed = _needed(workspace, gone)
    found: list[Purge] = []
    taken: set[str] = set()
    for environment, runs in by_environment.values():
        if not runs:
            continue
        theirs = dict.fromkeys(d for run in runs for d in _objects(workspace, run.act))
        digests = tuple(d for d in theirs if d not in needed | taken and workspace.store.has(d))
        taken.update(digests)
        sizes = sum(workspace.store.path(d).stat().st_size for d in digests)
        shared = tuple(d for d in theirs if d in needed)
        found.append(Purge(environment, tuple(runs), digests, sizes, shared))
    return found


def delete(workspace: Workspace, digests: Iterable[str]) -> int:
    """Delete objects that a tombstone names; how many there were."""
    return sum(workspace.store.delete(digest) for digest in digests)


def leftovers(workspace: Workspace) -> tuple[str, ...]:
    """Objects that tombstones name and that are still there, since a purge was cut off."""
    named: set[str] = set()
    for position, statement, _by in workspace.statements("evidence-purged"):
        if position not in workspace.state.void:
            named.update(statement.predicate["digests"])
    there = {d for d in named if workspace.store.has(d)}
    return tuple(sorted(there - _needed(workspace, set(workspace.state.purged)))) if there else ()


def _old(workspace: Workspace, environment: Environment) -> Iterator[Signed[p.TestRun]]:
    """Runs in an environment whose time is over and that nothing in force rests on."""
    before = workspace.now() - timedelta(days=environment.retention_days)
    state = workspace.state
    for release in state.releases.values():
        resting = _resting(release) if _in_force(state, release) else set()
        for run in release.runs:
            if (
                run.act.environment == environment.name
                and datetime.fromisoformat(run.at) < before
                and run.act.run not in state.purged
                and run.act.run not in resting
            ):
                yield run


def _in_force(state: State, release: Release) -> bool:
    """Whether it runs somewhere, would run again after a rollback, or is on its way."""
    for known in state.environments.values():
        if release.digest in {running.release for running in known.history[-2:]}:
            return True
        if known.unfinished is not None and release.digest in (
            known.unfinished.release, known.unfinished.previous,
        ):  # fmt: skip
            return True
    return False


def _resting(release: Release) -> set[str]:
    """The newest run of each plan in each environment: of all, and of those that were there
    when the release was accepted last."""
    accepted = release.acceptances[-1].position if release.acceptances else -1
    newest: dict[tuple[str, str, bool], str] = {}
    for run in release.runs:
        for before in {False, run.position < accepted}:
            newest[(run.act.plan, run.act.environment, before)] = run.act.run
    return set(newest.values())


def _objects(workspace: Workspace, run: p.TestRun) -> list[str]:
    """The evidence of a run and what was kept with it."""
    kept = test_results.evidence(workspace, run).get("objects", [])
    return [run.evidence, *(d for d in kept if _DIGEST.fullmatch(str(d).encode()))]


def _needed(workspace: Workspace, gone: set[str]) -> set[str]:
    """Every digest that something refers to once those runs are gone: the ledger's other
    entries, and whatever readable objects they lead to."""
    from otapgate.ledger import peek
    from otapgate.ledger.statement import parse

    waiting: set[str] = set()
    for _position, statement, _signature in peek.since(workspace.ledger_path, 0):
        parsed = parse(statement)
        if parsed.act == "evidence-purged":
            continue
        found = {d.decode() for d in _DIGEST.findall(statement)}
        if parsed.act == "test-run" and parsed.predicate.get("run") in gone:
            found.discard(parsed.predicate["evidence"])
        waiting |= found
    needed: set[str] = set()
    while waiting:
        digest = waiting.pop()
        if digest not in needed:
            needed.add(digest)
            waiting |= _referred(workspace.store, digest) - needed
    return needed


def _referred(store: Store, digest: str) -> set[str]:
    """The digests that an object names, if it is one of otapgate's own (JSON)."""
    try:
        if store.path(digest).stat().st_size > _READABLE:
            return set()
        data = store.get(digest)
    except (errors.OtapgateError, OSError):
        return set()
    return {d.decode() for d in _DIGEST.findall(data)} if data[:1] == b"{" else set()
