"""Two fingerprints of an environment compared: is the state back? (pure)

What differs is named precisely, in words that don't depend on the user's language, since
the ledger keeps them. Whether an installation is complete is `completeness`'s; taking
fingerprints is the Ansible module's. A fingerprint comes from a host, so every part of it
is treated as possibly missing or of another type.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from otapgate.execution.fingerprints import Told

SHOWN = 200
"""Characters of a value that are shown."""

Fingerprints = Mapping[str, Mapping[str, Any]]


def compare_state(before: Fingerprints, after: Fingerprints) -> tuple[str, ...]:
    """What is not as it was, over all hosts; () means that the state is back. A host or
    a part that couldn't be looked at counts as not back."""
    left = Told()
    for host in sorted({*before, *after}):
        if host not in before or host not in after:
            left.add(host, f"not looked at {'before' if host not in before else 'after'}")
        else:
            left.add_all(host, _host(before[host], after[host]))
    found = left.lines()
    return found if before else (*found, "no host was looked at before")


def unreadable(fingerprints: Fingerprints) -> tuple[str, ...]:
    """What could not be looked at, so that it could never be compared."""
    found = Told()
    for host in sorted(fingerprints):
        seen = fingerprints[host]
        if "error" in seen:
            found.add(host, _short(seen["error"]))
        for url, said in _part(seen, "databases").items():
            if "error" in said:
                found.add(host, f"database {url}: {_short(said['error'])}")
        for url, said in _part(seen, "http").items():
            if "error" in said:
                found.add(host, f"{url}: {_short(said['error'])}")
        for path, entries in _part(seen, "paths").items():
            for relative, entry in entries.items():
                if entry.get("type") == "unreadable":
                    found.add(host, f"{_joined(path, relative)}: {_short(entry.get('error'))}")
    return found.lines()


def _host(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    for seen in (before, after):
        if "error" in seen:
            yield _short(seen["error"])
            return
    for path, old, new in _pairs(before, after, "paths"):
        for relative, one, other in _both(old, new):
            yield from _entry(_joined(path, relative), one, other)
    for url, old, new in _pairs(before, after, "databases"):
        yield from _database(url, old, new)
    for url, old, new in _pairs(before, after, "http"):
        yield from _answer(url, old, new)
    for port in sorted({*before.get("ports", {}), *after.get("ports", {})}):
        was, now = before.get("ports", {}).get(port), after.get("ports", {}).get(port)
        if was != now:
            yield f"port {port}: {was} → {now}"
    yield from _installs(before.get("installs", []), after.get("installs", []))


def _entry(path: str, old: Any, new: Any) -> Iterator[str]:
    absent = {"type": "absent"}
    old, new = old or absent, new or absent
    if "unreadable" in (old.get("type"), new.get("type")):
        yield f"path {path}: can't be read"
    elif old.get("type") != new.get("type"):
        if new.get("type") == "absent":
            yield f"path {path}: {old.get('type')} is gone"
        elif old.get("type") == "absent":
            yield f"path {path}: {new.get('type')} was added"
        else:
            yield f"path {path}: {old.get('type')} → {new.get('type')}"
    else:
        for key in ("mode", "owner", "group", "target"):
            if old.get(key) != new.get(key):
                yield f"path {path}: {key} {_short(old.get(key))} → {_short(new.get(key))}"
        if (old.get("sha256"), old.get("size")) != (new.get("sha256"), new.get("size")):
            yield f"path {path}: content differs ({old.get('size')} → {new.get('size')} bytes)"


def _database(url: str, old: Any, new: Any) -> Iterator[str]:
    for seen in (old, new):
        if seen is None or "error" in seen:
            yield f"database {url}: {_short((seen or {}).get('error', 'not looked at'))}"
            return
    if bool(old.get("absent")) != bool(new.get("absent")):
        yield f"database {url}: {'was added' if old.get('absent') else 'is gone'}"
        return
    for table, was, now in _both(old.get("tables", {}), new.get("tables", {})):
        if was is None or now is None:
            yield f"table {table}: {'was added' if was is None else 'is gone'} ({url})"
        else:
            yield from _table(table, was, now)
    for name, was, now in _both(old.get("objects", {}), new.get("objects", {})):
        if was != now:
            what = "was added" if was is None else "is gone" if now is None else "differs"
            yield f"{name}: {what} ({url})"


def _table(table: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    changed = False
    for column, was, now in _both(old.get("columns", {}), new.get("columns", {})):
        if was != now:
            changed = True
            what = "was added" if was is None else "is gone" if now is None else "differs"
            yield f"column {column} of table {table}: {what}"
    if not changed and old.get("sql") != new.get("sql"):
        yield f"table {table}: its definition differs"
    if (old.get("rows"), old.get("digest")) == (new.get("rows"), new.get("digest")):
        return
    if "each" in old and "each" in new and not changed:
        was, now = Counter(old["each"]), Counter(new["each"])
        count = max((was - now).total(), (now - was).total())
        yield f"table {table}: {count} {'row differs' if count == 1 else 'rows differ'}"
    elif not changed or old.get("rows") != new.get("rows"):
        yield f"table {table}: rows differ ({old.get('rows')} → {new.get('rows')})"


def _answer(url: str, old: Any, new: Any) -> Iterator[str]:
    if old is None or new is None or "error" in old or "error" in new:
        yield f"{url}: not looked at"
    elif old.get("status") != new.get("status"):
        yield f"{url}: answered {_status(old)}, now {_status(new)}"
    elif old.get("sha256") != new.get("sha256"):
        yield f"{url}: answers something else"


def _status(seen: Mapping[str, Any]) -> str:
    return str(seen.get("status")) if seen.get("status") else "nothing"


def _installs(old: list[Any], new: list[Any]) -> Iterator[str]:
    by_root = {item.get("root"): item for item in old}
    for item in new:
        was = by_root.pop(item.get("root"), {})
        for name, one, other in _both(was.get("files", {}), item.get("files", {})):
            if one != other and "__pycache__" not in name:
                what = "was added" if one is None else "is gone" if other is None else "differs"
                yield f"installed {_joined(str(item.get('root')), name)}: {what}"
    for root in by_root:
        yield f"installed {root}: not looked at"


def _part(seen: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = seen.get(name)
    return found if isinstance(found, dict) else {}


def _pairs(
    before: Mapping[str, Any], after: Mapping[str, Any], name: str
) -> Iterator[tuple[str, Any, Any]]:
    return _both(_part(before, name), _part(after, name))


def _both(old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    old, new = old or {}, new or {}
    for key in sorted({*old, *new}):
        yield key, old.get(key), new.get(key)


def _joined(path: str, relative: str) -> str:
    return path if relative == "." else f"{path.rstrip('/')}/{relative}"


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"
