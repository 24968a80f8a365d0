"""Two looks at one database compared: columns, tables, objects, sequences, rows (pure).

An answer comes from a host, so every part of it may be missing or of another type; what
can't be understood is a difference.
"""

from __future__ import annotations

import base64
import binascii
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from otapgate.execution.differences import both, happened, short

PART = 6
"""Bytes of a row's digest that an answer keeps."""


def compare_database(url: str, old: Any, new: Any) -> Iterator[str]:
    """What differs, each in one sentence."""
    for seen in (old, new):
        if not isinstance(seen, dict) or "error" in seen:
            yield f"database {url}: {short((seen or {}).get('error', 'not looked at'))}"
            return
    if bool(old.get("absent")) != bool(new.get("absent")):
        yield f"database {url}: {'was added' if old.get('absent') else 'is gone'}"
        return
    for table, was, now in both(old.get("tables"), new.get("tables")):
        if was is None or now is None:
            yield f"table {table}: {happened(was, now)} ({url})"
        else:
            yield from _table(table, was, now)
    for name, was, now in both(old.get("objects"), new.get("objects")):
        # NULL is a definition too: only what isn't there at all is gone
        if name not in old.get("objects", {}) or name not in new.get("objects", {}):
            there = name in new.get("objects", {})
            yield f"{name}: {'was added' if there else 'is gone'} ({url})"
        elif was != now:
            yield f"{name}: differs ({url})"
    for name, was, now in both(old.get("sequences"), new.get("sequences")):
        yield from _sequence(name, was, now, url)


def _table(table: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    changed = False
    for column, was, now in both(old.get("columns"), new.get("columns")):
        if was != now:
            changed = True
            yield f"column {column} of table {table}: {_column(was, now)}"
    for key in ("owner", "grants"):
        if old.get(key) != new.get(key):
            yield f"table {table}: {key} {short(old.get(key))} → {short(new.get(key))}"
    if not changed and old.get("sql") != new.get("sql"):
        yield f"table {table}: its definition differs"
    if (old.get("rows"), old.get("digest")) == (new.get("rows"), new.get("digest")):
        return
    if {*old.get("columns", ())} != {*new.get("columns", ())}:
        # every row's digest is another one then
        if old.get("rows") != new.get("rows"):
            yield f"table {table}: rows differ ({old.get('rows')} → {new.get('rows')})"
        return
    yield f"table {table}: {_rows(old, new)}"


def _column(was: Any, now: Any) -> str:
    if not isinstance(was, dict) or not isinstance(now, dict):
        return happened(was, now)
    parts = (
        f"{key} {short(one)} → {short(other)}" for key, one, other in both(was, now) if one != other
    )
    return ", ".join(parts)


def _rows(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """How many rows differ, as well as it can be told."""
    try:
        if "each" in old and "each" in new:
            was, now = Counter(_parts(old["each"])), Counter(_parts(new["each"]))
            count, least = max((was - now).total(), (now - was).total()), ""
        else:
            pairs = [
                (int(one[0]) - int(other[0]), one != other)
                for one, other in zip(old["groups"], new["groups"], strict=True)
            ]
            gone = sum(number for number, _same in pairs if number > 0)
            added = -sum(number for number, _same in pairs if number < 0)
            within = sum(differs and not number for number, differs in pairs)
            count, least = max(gone, added) + within, "at least "
    except (KeyError, TypeError, ValueError, IndexError, binascii.Error):
        count = 0
    if not count:
        return f"rows differ ({old.get('rows')} → {new.get('rows')})"
    return f"{least}{count} {'row differs' if count == 1 else 'rows differ'}"


def _parts(packed: str) -> list[bytes]:
    data = base64.b64decode(packed, validate=True)
    return [data[at : at + PART] for at in range(0, len(data), PART)]


def _sequence(name: str, was: Any, now: Any, url: str) -> Iterator[str]:
    if not isinstance(was, dict) or not isinstance(now, dict):
        if was != now:
            yield f"sequence {name}: {happened(was, now)} ({url})"
        return
    for key, one, other in both(was, now):
        if one != other:
            yield f"sequence {name}: {key} {short(one)} → {short(other)} ({url})"
