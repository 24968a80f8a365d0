"""Two answers side by side, and the words for what happened to a part of them (pure)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

SHOWN = 200
"""Characters of a value that are shown."""


def both(old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    """Every key of two mappings, in order, with its two values, None where it isn't."""
    old = old if isinstance(old, dict) else {}
    new = new if isinstance(new, dict) else {}
    for key in sorted({*old, *new}):
        yield key, old.get(key), new.get(key)


def happened(was: Any, now: Any) -> str:
    """What happened to something that isn't the same as before."""
    return "was added" if was is None else "is gone" if now is None else "differs"


def short(value: object) -> str:
    """The value as text, cut where it gets long."""
    text = str(value)
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"
