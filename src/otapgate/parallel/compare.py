"""Two outputs compared: what is the same, what is tolerated, what differs. Pure.

Order matters only where the plan says that it does; a comparison and its mirror image
count the same, and what is equal compares equal. Outputs come from systems that may be
broken or hostile: what can't be read differs, and is never passed over.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Context, Decimal, localcontext
from itertools import zip_longest
from typing import Any, TypeAlias

from otapgate.parallel.plan import Compare, Mask, Tolerance
from otapgate.parallel.reading import (
    Rows,
    Unreadable,
    number,
    parse_json,
    parse_table,
    parse_text,
)

MOST = 200
"""Differences of one output that are described; the rest is counted."""
LONGEST_MASKED = 10_000
"""Characters; a longer line is compared as it is, so that no pattern takes for ever."""

Path: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that isn't the same on both sides."""

    where: str
    """What kind of place, in words that hold nothing of the output."""
    place: Path
    """Which: a row's key, a path, a file's name. May be somebody's data."""
    old: str | None
    new: str | None
    """None: it isn't there."""
    tolerated: bool = False


@dataclass(slots=True)
class Comparison:
    """How much of an output is the same, tolerated, different; and what differs."""

    same: int = 0
    tolerated: int = 0
    different: int = 0
    differences: list[Difference] = field(default_factory=list)

    def note(self, difference: Difference) -> None:
        """Count a difference, and describe it while there is room."""
        if difference.tolerated:
            self.tolerated += 1
        else:
            self.different += 1
        # What is open comes before what is tolerated.
        if len(self.differences) < MOST and not difference.tolerated:
            self.differences.append(difference)

    def add(self, other: Comparison, place: Path) -> None:
        """Take in what was found of a part of the output."""
        self.same += other.same
        self.tolerated += other.tolerated
        self.different += other.different
        for one in other.differences[: MOST - len(self.differences)]:
            self.differences.append(
                Difference(one.where, (*place, *one.place), one.old, one.new, one.tolerated)
            )

    @property
    def total(self) -> int:
        return self.same + self.tolerated + self.different


def unreadable(old: str | None, new: str | None) -> Comparison:
    """What is said of an output that couldn't be had on one side or on both."""
    found = Comparison()
    found.note(Difference("output", (), old, new))
    return found


class Rules:
    """How one output is compared, its patterns compiled."""

    def __init__(self, compare: Compare, masks: Sequence[Mask] = ()) -> None:
        self.compare = compare
        self._masks = [(re.compile(m.pattern), f"‹{m.name}›") for m in (*masks, *compare.masks)]

    def masked(self, text: str) -> str:
        """The text with what always differs blotted out."""
        if len(text) <= LONGEST_MASKED:
            for pattern, instead in self._masks:
                # Names have no backslash, so nothing of it is a reference.
                text = pattern.sub(instead, text)
        return text

    def bodies(self, old: bytes, new: bytes) -> Comparison:
        """Two outputs as bytes, read as the plan says."""
        if self.compare.as_ == "bytes":
            found = Comparison()
            if old == new:
                found.same = 1
            else:
                found.note(Difference("bytes", (), f"{len(old)} bytes", f"{len(new)} bytes"))
            return found
        try:
            one, other = parse_text(old, "old"), parse_text(new, "new")
            if self.compare.as_ == "csv":
                return self.tables(
                    parse_table(one, self.compare.delimiter, "old"),
                    parse_table(other, self.compare.delimiter, "new"),
                )
            if self.compare.as_ == "json":
                return self.values(parse_json(one, "old"), parse_json(other, "new"))
        except Unreadable as error:
            return unreadable(None, str(error))
        except RecursionError:
            return unreadable(None, "nested too deeply")
        return self.lines(one, other)

    # Text

    def lines(self, old: str, new: str) -> Comparison:
        """Line by line; without order, each line has its like on the other side."""
        one = [self.masked(line) for line in old.splitlines()]
        other = [self.masked(line) for line in new.splitlines()]
        found = Comparison()
        if not self.compare.ordered_lines:
            left, right = Counter(one), Counter(other)
            found.same = (left & right).total()
            missing = sorted((left - right).elements())
            added = sorted((right - left).elements())
            for was, now in zip_longest(missing, added):
                found.note(Difference("a line", (), was, now))
            return found
        # What is inserted in the middle shifts nothing of what stands before or behind it.
        begin = _common(one, other)
        end = _common(one[begin:][::-1], other[begin:][::-1])
        found.same = begin + end
        middle = zip_longest(one[begin : len(one) - end], other[begin : len(other) - end])
        for place, (was, now) in enumerate(middle, begin + 1):
            if was == now:
                found.same += 1
            else:
                found.note(Difference(f"line {place}", (), was, now))
        return found

    # Tables

    def tables(self, old: Rows, new: Rows) -> Comparison:
        """Row by row, found by key whatever their order; cell by cell within a row."""
        found = Comparison()
        ignored = set(self.compare.ignore)
        shared = [c for c in old.columns if c in set(new.columns) and c not in ignored]
        for column in sorted({*old.columns} ^ {*new.columns}):
            if column not in ignored:
                there = column in old.columns
                found.note(
                    Difference("column", (column,), column if there else None,
                               None if there else column)
                )  # fmt: skip
        lost = [c for c in self.compare.key if c not in shared]
        if lost:
            return unreadable(None, f"key column missing: {', '.join(lost)}")
        key = list(self.compare.key) or sorted(shared)
        rest = sorted(c for c in shared if c not in key)
        one, other = self._by_key(old, key, rest), self._by_key(new, key, rest)
        for name in sorted({*one, *other}):
            self._rows(name, rest, one.get(name, []), other.get(name, []), found)
        return found

    def _by_key(self, rows: Rows, key: list[str], rest: list[str]) -> dict[Path, list[Path]]:
        place = {column: index for index, column in enumerate(rows.columns)}
        found: dict[Path, list[Path]] = defaultdict(list)
        for row in rows.rows:
            name = tuple(self.masked(row[place[c]]) for c in key)
            found[name].append(tuple(self.masked(row[place[c]]) for c in rest))
        return found

    def _rows(
        self, name: Path, rest: list[str], old: list[Path], new: list[Path], found: Comparison
    ) -> None:
        left, right = Counter(old), Counter(new)
        found.same += (left & right).total()
        missing = sorted((left - right).elements())
        added = sorted((right - left).elements())
        for was, now in zip_longest(missing, added):
            if was is None or now is None:
                gone = None if was is None else "row"
                found.note(Difference("row", name, gone, None if gone else "row"))
                continue
            wrong = tolerated = False
            for column, one, other in zip(rest, was, now, strict=True):
                if one == other:
                    continue
                if self._near(column, one, other):
                    tolerated = True
                    continue
                wrong = True
                if len(found.differences) < MOST:
                    found.differences.append(Difference(f"column {column}", name, one, other))
            # Counted by row, whatever the number of cells.
            found.different += wrong
            found.tolerated += tolerated and not wrong
            found.same += not (wrong or tolerated)

    def _near(self, column: str, one: str, other: str) -> bool:
        tolerance = self.compare.tolerances.get(column)
        if tolerance is None:
            return False
        comma = self.compare.decimal_comma
        a, b = number(one, comma=comma), number(other, comma=comma)
        return a is not None and b is not None and near(a, b, tolerance)

    # JSON

    def values(self, old: Any, new: Any) -> Comparison:
        """Leaf by leaf."""
        found = Comparison()
        self._value((), old, new, found)
        return found

    def _value(self, path: Path, old: Any, new: Any, found: Comparison) -> None:
        if _fits(path, self.compare.ignore):
            return
        if isinstance(old, dict) and isinstance(new, dict):
            found.same += not old and not new
            for name in sorted({*old, *new}):
                here = (*path, name)
                if name in old and name in new:
                    self._value(here, old[name], new[name], found)
                elif not _fits(here, self.compare.ignore):
                    found.note(
                        Difference("value", here, "value" if name in old else None,
                                   "value" if name in new else None)
                    )  # fmt: skip
        elif isinstance(old, list) and isinstance(new, list):
            found.same += not old and not new
            if _fits(path, self.compare.unordered):
                self._unordered(path, old, new, found)
            else:
                for index, (one, other) in enumerate(zip_longest(old, new, fillvalue=_ABSENT)):
                    self._item((*path, str(index)), one, other, found)
        else:
            self._leaf(path, old, new, found)

    def _item(self, path: Path, old: Any, new: Any, found: Comparison) -> None:
        if old is not _ABSENT and new is not _ABSENT:
            self._value(path, old, new, found)
        elif not _fits(path, self.compare.ignore):
            found.note(
                Difference("item", path, "item" if old is not _ABSENT else None,
                           "item" if new is not _ABSENT else None)
            )  # fmt: skip

    def _unordered(self, path: Path, old: list[Any], new: list[Any], found: Comparison) -> None:
        here = (*path, "*")
        one = {text: value for value in old if (text := self._canon(here, value)) is not None}
        other = {text: value for value in new if (text := self._canon(here, value)) is not None}
        left = Counter(self._canon(here, value) for value in old)
        right = Counter(self._canon(here, value) for value in new)
        for text in (left & right).elements():
            self._value(here, one[text], one[text], found)
        missing = sorted((left - right).elements())
        added = sorted((right - left).elements())
        for was, now in zip_longest(missing, added):
            self._item(
                here,
                _ABSENT if was is None else one[was],
                _ABSENT if now is None else other[now],
                found,
            )

    def _canon(self, path: Path, value: Any) -> str:
        """The same text for values that compare equal, tolerances left aside."""
        return json.dumps(self._bare(path, value), sort_keys=True)

    def _bare(self, path: Path, value: Any) -> Any:
        if _fits(path, self.compare.ignore):
            return None
        if isinstance(value, dict):
            return {
                name: self._bare((*path, name), inner)
                for name, inner in value.items()
                if not _fits((*path, name), self.compare.ignore)
            }
        if isinstance(value, list):
            order = not _fits(path, self.compare.unordered)
            bare = [
                self._bare((*path, str(i) if order else "*"), inner)
                for i, inner in enumerate(value)
            ]
            return bare if order else sorted(bare, key=lambda x: json.dumps(x, sort_keys=True))
        # Told apart by a letter: no text can pass for a number.
        if isinstance(value, Decimal):
            return f"n{_plain(value)}"
        return f"t{self.masked(value)}" if isinstance(value, str) else value

    def _leaf(self, path: Path, old: Any, new: Any, found: Comparison) -> None:
        one, other = self._bare(path, old), self._bare(path, new)
        if one == other and type(one) is type(other):
            found.same += 1
            return
        tolerated = False
        if isinstance(old, Decimal) and isinstance(new, Decimal):
            tolerated = any(
                _fits(path, (pattern,)) and near(old, new, tolerance)
                for pattern, tolerance in self.compare.tolerances.items()
            )
        found.note(Difference("value", path, _shown(old), _shown(new), tolerated))


class _Absent:
    pass


_ABSENT = _Absent()


def near(one: Decimal, other: Decimal, tolerance: Tolerance) -> bool:
    """Whether two numbers lie within the tolerance; the same whichever comes first."""
    with localcontext(Context(prec=200)):
        widest = max(
            Decimal(tolerance.absolute), Decimal(tolerance.relative) * max(abs(one), abs(other))
        )
        return abs(one - other) <= widest


def _plain(value: Decimal) -> Decimal:
    """1, 1.0 and 1E0 are one number, and so are 0 and -0."""
    with localcontext(Context(prec=200)):
        return value.normalize() if value else Decimal(0)


def _fits(path: Path, patterns: Sequence[str] | Mapping[str, Any]) -> bool:
    for pattern in patterns:
        parts = pattern.split(".") if pattern else []
        if len(parts) == len(path) and all(
            want in ("*", part) for want, part in zip(parts, path, strict=True)
        ):
            return True
    return False


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    count = 0
    for was, now in zip(one, other, strict=False):
        if was != now:
            break
        count += 1
    return count


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, dict | list):
        return "{…}" if isinstance(value, dict) else "[…]"
    return str(value) if isinstance(value, Decimal) else json.dumps(value)


def each(differences: Sequence[Difference]) -> Iterator[str]:
    """Every difference in full, a line each; for whoever may see the outputs."""
    for one in differences:
        place = " ".join(json.dumps(part, ensure_ascii=False) for part in one.place)
        was, now = (
            "-" if text is None else json.dumps(text, ensure_ascii=False)
            for text in (one.old, one.new)
        )
        yield f"{one.where} {place}: {was} → {now}".replace(" :", ":")
