"""Two looks at a host's surroundings compared: what a deployment left behind (pure)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from otapgate.execution.differences import both, happened, short

WORDS = {
    "cron": "scheduled job",
    "units": "unit of systemd",
    "sudo": "sudo rules",
    "sources": "package source",
    "accounts": "account",
    "groups": "group",
}
_PLACES = {"accounts": "/etc/passwd", "groups": "/etc/group"}
_JOB = re.compile(r"(?P<told>.*) \[(?P<path>.*) [0-9a-f]{8}\]\Z", re.DOTALL)


def compare_surroundings(old: Any, new: Any) -> Iterator[str]:
    """What differs, each in one sentence. What couldn't be read either time is left out;
    what could be read before has to be readable afterwards."""
    if old is None and new is None:
        return
    if not isinstance(old, dict) or not isinstance(new, dict):
        yield f"surroundings: not looked at {'after' if isinstance(old, dict) else 'before'}"
        return
    unread = {path: path for seen in (old, new) for path in _list(seen, "unread")}
    for path in sorted({*_list(new, "unread")} - {*_list(old, "unread")}):
        yield f"path {short(path)}: can't be read"
    for job, was, now in both(old.get("jobs"), new.get("jobs")):
        found = _JOB.match(job)
        told, path = (found["told"], found["path"]) if found else (job, "")
        if was != now and not _below(path, unread):
            yield f"cron job {short(told)} {_times(was, now)} ({short(path)})"
    for part, word in WORDS.items():
        for name, was, now in both(old.get(part), new.get(part)):
            if was != now and not _below(_PLACES.get(part, name), unread):
                yield f"{word} {short(name)}: {happened(was, now)}"
    heard, hears = _list(old, "listening"), _list(new, "listening")
    for address in sorted({*heard} ^ {*hears}):
        what = "is no longer listened on" if address in heard else "is listened on now"
        yield f"port {short(address.rpartition(' ')[2])}: {what} ({short(address)})"


def _list(seen: Mapping[str, Any], key: str) -> list[str]:
    found = seen.get(key)
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []


def _below(path: str, unread: Mapping[str, str]) -> bool:
    return any(path == one or path.startswith(f"{one}/") for one in unread)


def _times(was: Any, now: Any) -> str:
    if was is None or now is None:
        return happened(was, now)
    return "was added once more" if isinstance(was, int) and now > was else "is there less often"
