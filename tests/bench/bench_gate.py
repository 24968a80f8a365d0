#!/usr/bin/env python3
"""A decision over a ledger of 10,000 entries, and what stands behind it.

Run as `python tests/bench/bench_gate.py [ENTRIES] [ROUNDS]` (10,000 entries, 200 rounds).
Wanted: loading the warm state and deciding, together, within 50 ms. Everything else is a
ratio: the fold against one of a tenth of the entries, verification against nothing but
the Ed25519 and SHA-256 that it can't do without. Ratios and rates are of the best rounds
in processor time, which a busy machine disturbs less than time on the wall.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from years import School

from otapgate.acts import folding as caching
from otapgate.acts.gatekeeping import ask
from otapgate.acts.status import status
from otapgate.acts.workspace import Workspace
from otapgate.gate.decide import decide
from otapgate.gate.finding import Seen
from otapgate.ledger import merkle, peek, sshsig
from otapgate.ledger.state import State, fold
from otapgate.ledger.statement import leaf_data, leaf_hash, namespace, parse
from otapgate.ledger.storage import Ledger
from otapgate.ledger.verify import verify

WANTED = 50.0
"""Milliseconds for load and decide together."""


class Times(NamedTuple):
    """Milliseconds of the rounds of one work, sorted."""

    wall: list[float]
    processor: list[float]

    @property
    def best(self) -> float:
        return self.processor[0]


def rounds(count: int, *works: Callable[[], object]) -> list[Times]:
    """Every work so many times; in turn, so that a busy machine slows all."""
    taken = [Times([], []) for _ in works]
    for _ in range(count):
        for work, times in zip(works, taken, strict=True):
            start = time.perf_counter(), time.process_time()
            kept = work()
            end = time.perf_counter(), time.process_time()
            times.wall.append((end[0] - start[0]) * 1000)
            times.processor.append((end[1] - start[1]) * 1000)
            del kept  # to let go of a state isn't part of loading the next
    return [Times(*map(sorted, times)) for times in taken]


def line(what: str, times: Times, also: str = "") -> None:
    """Best, median and 99th percentile on the wall; the median in processor time."""
    wall, count = times.wall, len(times.wall)
    print(
        f"{what:34} best {wall[0]:6.1f}  median {wall[count // 2]:6.1f}"
        f"  p99 {wall[count * 99 // 100]:6.1f} ms"
        f"   processor: best {times.best:6.1f}  median {times.processor[count // 2]:6.1f} ms{also}"
    )


def deciding(school: School, count: int) -> None:
    """From the files to the answer, as `gate explain` and `promote` go that way."""
    root, now, question = school.root, school.now, school.question
    workspace = Workspace(root, now=now, reading=True)
    landscape, state = workspace.landscape, workspace.state
    people = workspace.with_people(landscape)
    release = state.releases[question.release]
    environment = landscape.environment(question.environment)
    assert environment is not None, "the question is about one of the landscape"
    answer = decide(people, state, Seen(), question, now)
    if answer.outcome != "allowed":
        raise SystemExit([f.sentence() for f in answer.findings])
    kept = root / ".otapgate/cache/state.json"
    print(
        f"{state.size} entries: {len(state.changes)} changes, {len(state.releases)} releases,"
        f" {state.promotions} promotions; warm state {kept.stat().st_size / 1e6:.1f} MB"
    )

    def both() -> object:
        state = Workspace(root, now=now, reading=True).state
        return state, decide(people, state, Seen(), question, now)

    def asked() -> object:
        fresh = Workspace(root, now=now, reading=True)
        return fresh.state, ask(
            fresh, release, environment, question.change, actor=question.actor,
            landscape=landscape, state=fresh.state, seen=Seen(), at=now,
        )  # fmt: skip

    times = rounds(
        count,
        lambda: Workspace(root, now=now, reading=True).state,
        lambda: decide(people, state, Seen(), question, now),
        both,
        asked,
    )
    line("load the warm state", times[0])
    line("decide", times[1])
    line("load and decide", times[2])
    over = sum(taken > WANTED for taken in times[2].processor)
    print(f"   wanted ≤ {WANTED:.0f} ms: {over} of {count} rounds over it in processor time,"
          f" {sum(taken > WANTED for taken in times[2].wall)} on the wall")  # fmt: skip
    line("the same, with names, extensions", times[3])
    few = max(count // 10, 3)
    copied, kept_again, shown = rounds(
        few,
        lambda: msgspec.json.decode(msgspec.json.encode(state), type=State),
        lambda: caching.keep(root / ".otapgate/cache/kept.json", state),
        lambda: status(Workspace(root, now=now, reading=True)),
    )
    line("recording: copy to try the act on", copied)
    line("recording: keep the state", kept_again)
    line("status, without start-up", shown)


def folding(school: School) -> None:
    """What making the state anew takes, and that it takes time by the entry."""
    rows = peek.since(Workspace(school.root).ledger_path, 0)
    read = [(n, parse(data), sshsig.signer_fingerprint(signed)) for n, data, signed in rows]

    def folded(size: int) -> State:
        state = State()
        for position, statement, fingerprint in read[:size]:
            fold(state, position, statement, fingerprint)
        if state.problems:
            raise SystemExit(state.problems[:3])
        return state

    def whole() -> State:
        state = State()
        for position, data, signed in rows:
            fold(state, position, parse(data), sshsig.signer_fingerprint(signed))
        return state

    tenth = len(rows) // 10
    small, large, cold = rounds(5, lambda: folded(tenth), lambda: folded(len(rows)), whole)
    each, each_small = large.best / len(rows), small.best / tenth
    print(f"fold: {1000 / each:,.0f} entries/s; each, of {len(rows)} against of {tenth}:"
          f" {each / each_small:.2f} (1 is linear)")  # fmt: skip
    print(f"parse and fold, without a cache: {len(rows) / cold.best * 1000:,.0f} entries/s")


def verifying(school: School) -> None:
    """All of it from the first entry, against the bare cryptography of it."""
    rows = peek.since(Workspace(school.root).ledger_path, 0)
    acts = [namespace(parse(data).act) for _n, data, _signature in rows]
    signed, hashed = [], []
    for act, (_n, data, signature) in zip(acts, rows, strict=True):
        read = sshsig.parse(signature)
        key = Ed25519PublicKey.from_public_bytes(read.public.blob[-32:])
        signed.append((key, read.body[-64:], sshsig.to_be_signed(act, data)))
        hashed += [leaf_data(data, signature), bytes(64)]  # about as many nodes as leaves

    def bare_signatures() -> None:
        for key, signature, message in signed:
            key.verify(signature, message)

    def signatures() -> None:
        for act, (_n, data, signature) in zip(acts, rows, strict=True):
            sshsig.verify(signature, data, act)

    def bare_hashes() -> None:
        for data in hashed:
            hashlib.sha256(data).digest()

    def hashes() -> None:
        tree = merkle.CompactRange()
        for _n, data, signature in rows:
            tree.append(leaf_hash(data, signature))
        tree.root()

    def whole() -> None:
        with Ledger.open(f"sqlite:///{Workspace(school.root).ledger_path}") as ledger:
            found = verify(ledger)
        if found.problems:
            raise SystemExit(found.problems[:3])

    best = [times.best for times in
            rounds(3, bare_signatures, signatures, bare_hashes, hashes, whole)]  # fmt: skip
    for what, own, bare in (
        ("signatures: over bare Ed25519", best[1], best[0]),
        ("hashes: over bare SHA-256", best[3], best[2]),
        ("full verification: over both", best[4], best[0] + best[2]),
    ):
        rate = len(rows) / own * 1000
        print(f"{what:34} {own / bare:5.2f} times   {rate:,.0f} entries/s ({own:,.0f} ms)")


def main() -> None:
    entries = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 200
    # In memory where that can be: ten thousand syncs of a disk are none of what is measured.
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        start = time.perf_counter()
        school = School(Path(name) / "linde", entries)
        taken = time.perf_counter() - start
        print(f"written and signed: {school.state.size / taken:,.0f} entries/s")
        deciding(school, count)
        folding(school)
        verifying(school)


if __name__ == "__main__":
    main()
