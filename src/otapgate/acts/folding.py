"""The ledger folded into a state, from its first entry or on from one that is known.

The cache holds a state with the log position and root that it stands for. Whoever may
write the cache can make it say anything: it serves commands that only show. What an act
rests on is folded from the first entry, and only carried on within one process.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import msgspec

from otapgate import __version__
from otapgate.ledger.sshsig import signer_fingerprint
from otapgate.ledger.state import State, fold
from otapgate.ledger.statement import parse
from otapgate.private_file import write_private

_SHAPE = 8
"""Of the cached state; another one when the fold keeps something else or otherwise."""


class _Cached(msgspec.Struct):
    tool: str
    shape: int
    state: State


def up_to_date(known: State | None, path: Path) -> State:
    """What the ledger in `path` amounts to now: `known` and what came since, or from the
    first entry where `known` isn't of this ledger. `known` stays as it is. Raises Integrity
    when the ledger can't be read."""
    from otapgate.ledger import peek

    head = peek.peek(path)
    if (
        known is None
        or known.size > head.size
        or (known.size and peek.peek(path, known.size).root != known.root)
    ):
        known = State()
    if known.size == head.size:
        return known
    state = copy(known)
    for position, statement, signature in peek.since(path, state.size):
        take(state, position, statement, signature)
    state.root = head.root
    return state


def take(state: State, position: int, statement: bytes, signature: str) -> str | None:
    """Fold one stored entry; a sentence when it has no effect."""
    try:
        parsed = parse(statement)
        fingerprint = signer_fingerprint(signature)
    except ValueError as error:
        state.void[position] = str(error)
        state.size = position + 1
        return str(error)
    return fold(state, position, parsed, fingerprint)


def copy(state: State) -> State:
    """The same, sharing nothing."""
    return msgspec.json.decode(msgspec.json.encode(state), type=State)


def cached(file: Path) -> State | None:
    """The state in a cache file, where it is one of this program."""
    try:
        kept = msgspec.json.decode(file.read_bytes(), type=_Cached)
    except (OSError, msgspec.MsgspecError, ValueError):
        return None  # a cache that can't be read is no cache
    return kept.state if (kept.tool, kept.shape) == (__version__, _SHAPE) else None


def keep(file: Path, state: State) -> None:
    """Renew the cache. Not being able to costs time, nothing else."""
    with contextlib.suppress(OSError):
        write_private(file, msgspec.json.encode(_Cached(__version__, _SHAPE, state)))
