"""What may be kept of a difference: its place and its shape, hardly any of its content.

Outputs of production hold personal data. What leaves the machine by way of the evidence
is, for such data: the kind of place, a mark in the place of a key or a name (the same mark
for the same key within one comparison, and of no use for guessing, since it is made with
a random key that nobody keeps), and of both values the shape of a few characters from
where they begin to differ. Pure, but for that random key.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import unicodedata
from collections.abc import Iterable

from otapgate.parallel.compare import Difference

FEW = 6
"""Characters of which the shape is shown, of personal data."""
SHOWN = 60
"""Characters that are shown, of other data."""


class Excerpts:
    """Makes excerpts; `personal` says whether the outputs may hold personal data."""

    def __init__(self, *, personal: bool, known: Iterable[str] = ()) -> None:
        self.personal = personal
        self._known = set(known)
        self._key = secrets.token_bytes(32)

    def of(self, difference: Difference) -> dict[str, str | None]:
        """A difference as the evidence keeps it."""
        old, new = difference.old, difference.new
        begin = _differ(old or "", new or "")
        return {
            "where": difference.where,
            "place": ".".join(self._part(part) for part in difference.place),
            "old": self._value(old, begin),
            "new": self._value(new, begin),
        }

    def digest(self, data: bytes) -> str:
        """Marks an output within this comparison: equal outputs have equal marks. Nobody
        can test a guess of it afterwards."""
        return hmac.new(self._key, data, hashlib.sha256).hexdigest()

    def _part(self, part: str) -> str:
        # A name that stands in the plan is no secret.
        if not self.personal or part in self._known or part == "*":
            return _clean(part[:SHOWN])
        return "#" + self.digest(part.encode())[:8]

    def _value(self, text: str | None, begin: int) -> str | None:
        if text is None:
            return None
        if not self.personal:
            start = max(0, begin - SHOWN // 2)
            cut = text[start : start + SHOWN]
            return _clean(("…" if start else "") + cut + ("…" if text[start + SHOWN :] else ""))
        cut = text[begin : begin + FEW]
        return (
            ("…" if begin else "")
            + "".join(map(_shape, cut))
            + ("…" if text[begin + FEW :] else "")
        )


def _differ(old: str, new: str) -> int:
    """Where two texts begin to differ."""
    for index, (one, other) in enumerate(zip(old, new, strict=False)):
        if one != other:
            return index
    return min(len(old), len(new))


def _shape(character: str) -> str:
    kind = unicodedata.category(character)
    if kind == "Nd":
        return "9"
    if kind.startswith("L"):
        return "A" if kind == "Lu" else "a"
    return character if character in " .,:;-+/_()[]{}'\"=" else "?"


def _clean(text: str) -> str:
    return "".join(c if c.isprintable() else "\ufffd" for c in text)
