"""How much an environment is like production: a score per aspect. CH04-03. Pure.

Every item that either side has counts, weighed so that one package more or less is little
and another system is much. A difference that the description declares, with a reason, counts
as none until its end; what nobody declared is named.
"""

from __future__ import annotations

import datetime as dt
import fnmatch
import re
from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

import msgspec

from otapgate.landscape.model import ASPECTS, Aspect, Difference

Print: TypeAlias = Mapping[str, Mapping[str, str]]
"""Aspect → item → value, of one host or one environment."""
_NUMBER = re.compile(r"(\d+)(?: MiB)?\Z")
_QUANTITIES = frozenset({"processors", "memory", "disk", "files", "data"})
_HEAVY = {"system": 10, "version": 5, "kernel": 2}
"""Items that say more than one of many; all others weigh 1."""


class Unlike(msgspec.Struct, frozen=True, order=True):
    """An item that isn't the same on both sides."""

    aspect: str
    item: str
    here: str
    there: str
    """Value in production; "" where it has none."""
    declared: str = ""
    """Why that is known and accepted; "" where nobody declared it."""


class Resemblance(msgspec.Struct, frozen=True):
    """The comparison of one environment with production."""

    score: int
    """Percent, rounded down: the mean of the aspects."""
    aspects: dict[str, int]
    """Percent by aspect, of those that have any item on either side."""
    differences: tuple[Unlike, ...]


def combined(hosts: Sequence[Print]) -> dict[str, dict[str, str]]:
    """One print of several hosts: where they differ, every value, in order."""
    found: dict[str, dict[str, set[str]]] = {}
    for host in hosts:
        for aspect, items in host.items():
            for item, value in items.items():
                found.setdefault(aspect, {}).setdefault(item, set()).add(value)
    return {
        aspect: {
            item: value for item, values in sorted(items.items()) if (value := _one(item, values))
        }
        for aspect, items in found.items()
    }


def _one(item: str, values: set[str]) -> str:
    """Several hosts' values as one; of a quantity the least, which is what holds one up."""
    if item in _QUANTITIES and all(_NUMBER.match(value) for value in values):
        return min(values, key=_amount)
    return " | ".join(sorted(values))


def _amount(value: str) -> int:
    match = _NUMBER.match(value)
    return int(match[1]) if match else 0


def resemblance(
    here: Print, there: Print, declared: Sequence[Difference] = (), *, day: str
) -> Resemblance:
    """How much `here` is like `there`, production, on `day` (ISO date)."""
    scores: dict[str, int] = {}
    differences: list[Unlike] = []
    alive = [one for one in declared if dt.date.fromisoformat(day) < _date(one.until)]
    for aspect in ASPECTS:
        mine, theirs = here.get(aspect, {}), there.get(aspect, {})
        reached = total = 0.0
        for item in sorted({*mine, *theirs}):
            weight = _HEAVY.get(item, 1)
            likeness = _likeness(item, mine.get(item, ""), theirs.get(item, ""))
            total += weight
            because = _because(alive, aspect, item) if likeness < 1 else ""
            reached += weight * (1 if because else likeness)
            if likeness < 1:
                differences.append(
                    Unlike(aspect, item, mine.get(item, ""), theirs.get(item, ""), because)
                )
        if total:
            scores[aspect] = int(100 * reached / total + 1e-9)
    score = sum(scores.values()) // len(scores) if scores else 0
    return Resemblance(score, scores, tuple(sorted(differences)))


def _likeness(item: str, mine: str, theirs: str) -> float:
    """From 0 (nothing alike) to 1: quantities by their ratio, versions by how far they
    agree, all else by being the same."""
    if mine == theirs:
        return 1.0
    if not mine or not theirs:
        return 0.0
    if item in _QUANTITIES and _NUMBER.match(mine) and _NUMBER.match(theirs):
        less, more = sorted((_amount(mine), _amount(theirs)))
        return less / more if more else 1.0
    if item in ("version", "kernel", "python") or item.startswith(("package:", "postgres")):
        # another patch of the same version is nearly the same, another version half
        first, second = (re.findall(r"\d+", value) for value in (mine, theirs))
        if first[:2] == second[:2] and first:
            return 0.9
        return 0.5 if first[:1] == second[:1] and first else 0.0
    return 0.0


def _because(declared: Sequence[Difference], aspect: Aspect, item: str) -> str:
    """The reason that covers the item; `*` in a declaration stands for any letters."""
    for one in declared:
        pattern = re.sub(r"([\[?])", r"[\1]", one.item)  # only the star has a meaning
        if one.aspect == aspect and fnmatch.fnmatchcase(item, pattern):
            return one.because
    return ""


def _date(text: str) -> dt.date:
    return dt.date.fromisoformat(text)


Kind: TypeAlias = Literal["added", "removed", "changed"]


class Drifted(msgspec.Struct, frozen=True, order=True):
    """Something on a host that isn't as it was recorded."""

    host: str
    item: str
    kind: Kind
    was: str
    now: str


_DRIFTS = ("operating-system", "application-software", "database", "management")
"""Aspects that only a change alters; amounts of data and of memory come and go."""


def drift(before: Mapping[str, Print], now: Mapping[str, Print]) -> tuple[Drifted, ...]:
    """What differs between two prints by host: packages, services, settings, accounts."""
    found = []
    for host in sorted({*before, *now}):
        was, given = _flat(before.get(host, {})), _flat(now.get(host, {}))
        for item in sorted({*was, *given}):
            old, new = was.get(item), given.get(item)
            if old == new:
                continue
            kind: Kind = "added" if old is None else "removed" if new is None else "changed"
            found.append(Drifted(host, item, kind, old or "", new or ""))
    return tuple(found)


def _flat(one: Print) -> dict[str, str]:
    return {
        f"{aspect}: {item}": value
        for aspect in (*_DRIFTS, "accounts")
        for item, value in one.get(aspect, {}).items()
    }
