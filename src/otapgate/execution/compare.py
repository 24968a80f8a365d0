"""Two fingerprints of an environment compared: is the state back? (pure)

What differs is named precisely, in words that don't depend on the user's language, since
the ledger keeps them. Whether an installation is complete is `completeness`'s; taking
fingerprints is the Ansible module's. A fingerprint comes from a host, so every part of it
is treated as possibly missing or of another type.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from otapgate.execution.compare_database import compare_database
from otapgate.execution.compare_surroundings import compare_surroundings
from otapgate.execution.differences import both, happened, short
from otapgate.execution.fingerprints import Packed, Told

Fingerprints = Mapping[str, Mapping[str, Any]]


def compare_state(before: Fingerprints, after: Fingerprints) -> tuple[str, ...]:
    """What is not as it was, over all hosts; () means that the state is back. A host or
    a part that couldn't be looked at counts as not back."""
    left = Told()
    for host in sorted({*before, *after}):
        if host not in before or host not in after:
            left.add(host, f"not looked at {'before' if host not in before else 'after'}")
        else:
            was = before[host]
            left.add_all(host, _host(was, was if _alike(before, after, host) else after[host]))
    found = left.lines()
    return found if before else (*found, "no host was looked at before")


def _alike(before: Fingerprints, after: Fingerprints, host: str) -> bool:
    """Whether a host said twice the same, as can be told without unpacking it."""
    return isinstance(before, Packed) and isinstance(after, Packed) and before.same(after, host)


def unreadable(fingerprints: Fingerprints) -> tuple[str, ...]:
    """What could not be looked at, so that it could never be compared."""
    found = Told()
    for host in sorted(fingerprints):
        seen = fingerprints[host]
        if "error" in seen:
            found.add(host, short(seen["error"]))
        for url, said in _part(seen, "databases").items():
            if "error" in said:
                found.add(host, f"database {url}: {short(said['error'])}")
        for url, said in _part(seen, "http").items():
            if "error" in said:
                found.add(host, f"{url}: {short(said['error'])}")
        for name, said in _part(seen, "services").items():
            if "error" in said:
                found.add(host, f"service {name}: {short(said['error'])}")
        if "error" in _part(seen, "packages"):
            found.add(host, f"packages: {short(_part(seen, 'packages')['error'])}")
        for path, entries in _part(seen, "paths").items():
            for relative, entry in entries.items():
                if entry.get("type") == "unreadable":
                    found.add(host, f"{_joined(path, relative)}: {short(entry.get('error'))}")
    return found.lines()


def _host(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    for seen in (before, after):
        if "error" in seen:
            yield short(seen["error"])
            return
    for path, old, new in _pairs(before, after, "paths"):
        for relative, one, other in both(old, new):
            if one and one == other and one.get("type") != "unreadable":
                continue  # nearly all of them: the rest costs more than comparing
            yield from _entry(_joined(path, relative), one, other)
    for url, old, new in _pairs(before, after, "databases"):
        yield from compare_database(url, old, new)
    for url, old, new in _pairs(before, after, "http"):
        yield from _answer(url, old, new)
    for port in sorted({*before.get("ports", {}), *after.get("ports", {})}):
        was, now = before.get("ports", {}).get(port), after.get("ports", {}).get(port)
        if was != now:
            yield f"port {port}: {was} → {now}"
    for name, old, new in _pairs(before, after, "services"):
        yield from _service(name, old, new)
    yield from _packages(_part(before, "packages"), _part(after, "packages"))
    yield from compare_surroundings(before.get("surroundings"), after.get("surroundings"))
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
                yield f"path {path}: {key} {short(old.get(key))} → {short(new.get(key))}"
        if (old.get("sha256"), old.get("size")) != (new.get("sha256"), new.get("size")):
            yield f"path {path}: content differs ({old.get('size')} → {new.get('size')} bytes)"


def _service(name: str, old: Any, new: Any) -> Iterator[str]:
    for seen in (old, new):
        if not isinstance(seen, dict) or "error" in seen:
            yield f"service {name}: {short((seen or {}).get('error', 'not looked at'))}"
            return
    for key, was, now in both(old, new):
        if key == "files":
            for path, one, other in both(was, now):
                if one != other:
                    yield f"service {name}: {path} {happened(one, other)}"
        elif was != now:
            yield f"service {name}: {key} {short(was)} → {short(now)}"


def _packages(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    if not old and not new:
        return
    for seen in (old, new):
        if "error" in seen or "found" not in seen:
            yield f"packages: {short(seen.get('error', 'not looked at'))}"
            return
    for name, was, now in both(old["found"], new["found"]):
        if was is not None and now is not None and was != now:
            yield f"package {name}: {short(was)} → {short(now)}"
        elif was != now:
            yield f"package {name}: {happened(was, now)}"


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
        for name, one, other in both(was.get("files", {}), item.get("files", {})):
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
    return both(_part(before, name), _part(after, name))


def _joined(path: str, relative: str) -> str:
    return path if relative == "." else f"{path.rstrip('/')}/{relative}"
