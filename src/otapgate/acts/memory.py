"""What this user last saw of a ledger, kept outside the landscape.

Whoever can write a landscape's folder can found another ledger in it, with keys made
today under the names of people who exist; within the folder nothing shows that. So each
act, and each `log verify`, is checked against how long the log was and what was in it the
last time, and moves that on. It is kept for each place by itself: a copy elsewhere is seen
there for the first time.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from otapgate import errors
from otapgate.i18n import _
from otapgate.ledger import merkle
from otapgate.ledger.statement import leaf_hash
from otapgate.private_file import write_private


class Seen(msgspec.Struct, forbid_unknown_fields=True):
    """A log as it was seen."""

    size: int
    root: str
    genesis: str
    """Hash of the first entry."""


def file() -> Path:
    """Where this user's memory is: below XDG_STATE_HOME, by default ~/.local/state."""
    base = os.environ.get("XDG_STATE_HOME", "")
    found = Path(base) if base.startswith("/") else Path.home() / ".local" / "state"
    return found / "otapgate" / "heads.json"


def check(root: Path, ledger: Path) -> Seen | None:
    """What was seen here before, after checking that the log still holds all of it; None
    for a first time. Counts from the entries, not from the tree that is stored. Raises
    Integrity: `history-cut`, `history-rewritten`, `memory-unreadable`."""
    known = _read().get(str(root.resolve()))
    if known is None:
        return None
    now = _look(ledger, known.size)
    if now == known:
        return known
    remedy = _("compare with a backup or a checkpoint. Only where you know why (a backup was put"
               " back, the ledger was founded anew), delete the line of {place} in {file}").format(
        place=root.resolve(), file=file())  # fmt: skip
    if now.size < known.size and now.genesis == known.genesis:
        raise errors.Integrity(
            "history-cut",
            _("The ledger has {now} entries; you have seen {known} of it.").format(
                now=now.size, known=known.size
            ),
            remedy=remedy,
            where=str(ledger),
        )
    raise errors.Integrity(
        "history-rewritten",
        _("The ledger isn't the one that you have seen here: its first {known} entries are"
          " others.").format(known=known.size),
        remedy=remedy,
        where=str(ledger),
    )  # fmt: skip


def keep(root: Path, ledger: Path, *, anew: bool = False) -> bool:
    """Remember the log as it is now, never a shorter one; `anew` for one that was founded
    just now. Returns whether that could be noted: an act is done by then, so this doesn't
    fail."""
    try:
        now, heads = _look(ledger, None), _read()
    except errors.Integrity:
        return False
    known = heads.get(str(root.resolve()))
    if known is not None and not anew and known.size >= now.size:
        return True
    heads[str(root.resolve())] = now
    lines = [f"{_json(place)}: {_json(seen)}" for place, seen in sorted(heads.items())]
    try:
        write_private(file(), ("{\n" + ",\n".join(lines) + "\n}\n").encode())
    except OSError:
        return False
    return True


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _read() -> dict[str, Seen]:
    try:
        return msgspec.json.decode(file().read_bytes(), type=dict[str, Seen])
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.MsgspecError, ValueError) as error:
        raise errors.Integrity(
            "memory-unreadable",
            _("What you have seen of ledgers can't be read from {file}.").format(file=file()),
            remedy=_("mend the file, or delete it and begin anew"),
            where=str(file()),
        ) from error


def _look(ledger: Path, size: int | None) -> Seen:
    from otapgate.ledger import peek

    tree, genesis = merkle.CompactRange(), ""
    rows = peek.since(ledger, 0, size)
    for row in rows:
        leaf = leaf_hash(row[1], row[2])
        genesis = genesis or leaf.hex()
        tree.append(leaf)
    return Seen(len(rows), tree.root().hex(), genesis)
