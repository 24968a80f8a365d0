"""Verification from the first entry on: structure, hashes, signatures, roles, heads.

Trusts nothing but the bytes: leaves and tree are made anew, every signature is checked
in its act's namespace, every signer must have been entitled at that position, and every
head that a signer saw must be a prefix of the log. What is kept beside the entries must
be what they say: the nodes those of the tree, each detail the one that was committed to
or erased, and nothing where none can be. Decisions are replayed by the caller.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import zip_longest
from typing import Protocol

import msgspec

from otapgate.canonical import decode
from otapgate.errors import OtapgateError
from otapgate.i18n import _
from otapgate.ledger import merkle, sshsig
from otapgate.ledger.state import State, fold
from otapgate.ledger.statement import Head, Statement, commitment, leaf_hash, namespace, parse


class Stored(Protocol):
    """One entry as storage gives it."""

    @property
    def position(self) -> int: ...
    @property
    def statement(self) -> bytes: ...
    @property
    def signature(self) -> str: ...
    @property
    def leaf(self) -> bytes: ...


class Detail(Protocol):
    """One personal value as storage gives it; salt and value are None once erased."""

    @property
    def position(self) -> int: ...
    @property
    def field(self) -> str: ...
    @property
    def commitment(self) -> str: ...
    @property
    def salt(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...


class Source(Protocol):
    """What can be verified: a ledger, or an export of one. Others may append meanwhile:
    everything is asked for the size that was read. Methods may raise OtapgateError."""

    @property
    def origin(self) -> str: ...
    def entries(self, start: int = 0, stop: int | None = None) -> Iterable[Stored]: ...
    def head(self, size: int | None = None) -> Head: ...
    def nodes(self, size: int) -> Iterable[tuple[int, int, bytes]]: ...
    def kept_details(self, size: int) -> Iterable[Detail]: ...
    def faults(self) -> Iterable[str]: ...


class Trouble(msgspec.Struct, frozen=True):
    """One thing that doesn't verify; `entry` is None when it is the log as a whole."""

    entry: int | None
    what: str


class Verification(msgspec.Struct):
    """What was checked, what came of it, and what can't be excluded."""

    entries: int
    signatures: int
    root: str
    state: State
    problems: list[Trouble]


def verify(source: Source, pins: Iterable[Head] = ()) -> Verification:
    """Check everything; problems are collected, never raised.

    `pins` are heads held elsewhere (checkpoints): the log must still contain each.
    """
    state = State()
    tree = merkle.CompactRange()
    roots = [tree.root().hex()]
    problems: list[Trouble] = []
    levels: list[list[bytes]] = []
    committed: dict[tuple[int, str], str] = {}
    signatures = 0
    try:
        for expected, entry in enumerate(source.entries()):
            if entry.position != expected:
                problems.append(Trouble(expected, _("entry {n} is missing").format(n=expected)))
                break
            leaf = leaf_hash(entry.statement, entry.signature)
            if leaf != entry.leaf:
                problems.append(Trouble(expected, _("its bytes don't match its hash in the tree")))
            for level, node in enumerate(tree.append(leaf)):
                if level == len(levels):
                    levels.append([])
                levels[level].append(node)
            roots.append(tree.root().hex())
            signatures += _entry(state, expected, entry, source.origin, roots, committed, problems)
    except OtapgateError as error:  # of the storage: something in it can't even be read
        problems.append(Trouble(len(roots) - 1, error.message))
    size = len(roots) - 1
    state.root = roots[-1]
    # What came to nothing, and was looked into since, stands in nobody's way.
    problems += [Trouble(position, why) for position, why in state.void.items()]
    problems.sort(key=lambda x: size if x.entry is None else x.entry)
    for found in (
        _beside(source),
        _nodes(source, size, levels),
        _details(source, size, committed),
        _whole(source, roots, pins),
    ):
        try:
            problems += found
        except OtapgateError as error:
            problems.append(Trouble(None, error.message))
    return Verification(size, signatures, roots[-1], state, problems)


def _entry(
    state: State,
    position: int,
    entry: Stored,
    origin: str,
    roots: list[str],
    committed: dict[tuple[int, str], str],
    problems: list[Trouble],
) -> int:
    """Check one entry and fold it; 1 when its signature holds. Takes down what details it
    commits to."""
    try:
        statement = parse(entry.statement)
        for field, digest in statement.detail.items():
            committed[position, field] = digest
        key = sshsig.verify(entry.signature, entry.statement, namespace(statement.act))
    except ValueError as error:
        problems.append(Trouble(position, str(error)))
        state.size = position + 1
        return 0
    problem = _head_problem(statement, position, origin, roots)
    if problem is not None:
        problems.append(Trouble(position, problem))
        state.size = position + 1
    else:
        fold(state, position, statement, key.fingerprint)
    return 1


def _head_problem(statement: Statement, position: int, origin: str, roots: list[str]) -> str | None:
    head = statement.head
    if head.origin != origin:
        return _("it was signed for another ledger, {origin}").format(origin=head.origin)
    if head.size > position or roots[head.size] != head.root:
        return _("its signer saw a log that isn't this one (size {size})").format(size=head.size)
    return None


def _beside(source: Source) -> Iterator[Trouble]:
    for what in source.faults():
        yield Trouble(None, what)


def _nodes(source: Source, size: int, levels: list[list[bytes]]) -> Iterator[Trouble]:
    """The stored nodes against those of the tree, up to the first that differs."""
    made = (
        (level, index, node)
        for level, nodes in enumerate(levels, 1)
        for index, node in enumerate(nodes)
    )
    for own, kept in zip_longest(made, source.nodes(size)):
        if own != kept:
            yield Trouble(None, _("the stored tree isn't the tree of the entries"))
            return


def _details(source: Source, size: int, committed: dict[tuple[int, str], str]) -> Iterator[Trouble]:
    """Every detail against its commitment. One that was erased left its place; nobody can
    say who erased it, so that is no problem."""
    for kept in source.kept_details(size):
        digest = committed.pop((kept.position, kept.field), None)
        if digest != kept.commitment:
            what = _("the detail {field} beside it isn't one that it commits to")
        elif kept.salt is None or kept.value is None:
            continue
        elif commitment(kept.salt, kept.value) != digest:
            what = _("its detail {field} isn't what was signed")
        elif not _canonical(kept.value):
            what = _("its detail {field} can't be read")
        else:
            continue
        yield Trouble(kept.position, what.format(field=ascii(kept.field)))
    for position, field in committed:
        yield Trouble(
            position,
            _("its detail {field} is gone, and wasn't erased").format(field=ascii(field)),
        )


def _canonical(value: bytes) -> bool:
    try:
        decode(value)
    except ValueError:
        return False
    return True


def _whole(source: Source, roots: list[str], pins: Iterable[Head]) -> Iterator[Trouble]:
    size = len(roots) - 1
    for pin in pins:
        if pin.origin != source.origin:
            yield Trouble(None, _("the pin is of another ledger"))
        elif pin.size > size:
            yield Trouble(
                None,
                _("the log was cut short: the pin has {pin} entries, this has {size}").format(
                    pin=pin.size, size=size
                ),
            )
        elif roots[pin.size] != pin.root:
            yield Trouble(None, _("the log was rewritten before the pin"))
    if source.head(size).root != roots[size]:
        yield Trouble(None, _("the stored head isn't that of the entries"))
