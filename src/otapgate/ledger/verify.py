"""Verification from the first entry on: structure, hashes, signatures, roles, heads.

Trusts nothing but the bytes: leaves and tree are made anew, every signature is checked
in its act's namespace, every signer must have been entitled at that position, and every
head that a signer saw must be a prefix of the log. Decisions are replayed by the caller.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import msgspec

from otapgate.errors import OtapgateError
from otapgate.i18n import _
from otapgate.ledger import merkle, sshsig
from otapgate.ledger.state import State, fold
from otapgate.ledger.statement import Head, Statement, leaf_hash, namespace, parse


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


class Source(Protocol):
    """What can be verified: a ledger, or an export of one."""

    @property
    def origin(self) -> str: ...
    def entries(self, start: int = 0, stop: int | None = None) -> Iterable[Stored]: ...
    def head(self, size: int | None = None) -> Head: ...


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
    signatures = 0
    try:
        for expected, entry in enumerate(source.entries()):
            if entry.position != expected:
                problems.append(Trouble(expected, _("entry {n} is missing").format(n=expected)))
                break
            leaf = leaf_hash(entry.statement, entry.signature)
            if leaf != entry.leaf:
                problems.append(Trouble(expected, _("its bytes don't match its hash in the tree")))
            tree.append(leaf)
            roots.append(tree.root().hex())
            signatures += _entry(state, expected, entry, source.origin, roots, problems)
    except OtapgateError as error:  # of the storage: something in it can't even be read
        problems.append(Trouble(len(roots) - 1, error.message))
    size = len(roots) - 1
    state.root = roots[-1]
    # What came to nothing, and was looked into since, stands in nobody's way.
    problems += [Trouble(position, why) for position, why in state.void.items()]
    problems.sort(key=lambda x: size if x.entry is None else x.entry)
    _whole(source, roots, pins, problems)
    return Verification(size, signatures, roots[-1], state, problems)


def _entry(
    state: State,
    position: int,
    entry: Stored,
    origin: str,
    roots: list[str],
    problems: list[Trouble],
) -> int:
    """Check one entry and fold it; 1 when its signature holds."""
    try:
        statement = parse(entry.statement)
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


def _whole(source: Source, roots: list[str], pins: Iterable[Head], problems: list[Trouble]) -> None:
    size = len(roots) - 1
    try:
        kept = source.head()
    except OtapgateError as error:
        problems.append(Trouble(None, error.message))
    else:
        if kept.size != size or kept.root != roots[size]:
            problems.append(Trouble(None, _("the stored tree isn't the tree of the entries")))
    for pin in pins:
        if pin.origin != source.origin:
            problems.append(Trouble(None, _("the pin is of another ledger")))
        elif pin.size > size:
            problems.append(
                Trouble(
                    None,
                    _("the log was cut short: the pin has {pin} entries, this has {size}").format(
                        pin=pin.size, size=size
                    ),
                )
            )
        elif roots[pin.size] != pin.root:
            problems.append(Trouble(None, _("the log was rewritten before the pin")))
