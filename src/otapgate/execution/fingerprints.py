"""Fingerprints of many hosts: kept packed, looked at one by one; and what is said of many.

A fingerprint of two thousand files takes some megabytes as Python values and 0.2 MB
packed, so those of many hosts are held packed. What is the same of many hosts is one
line. Pure.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

MOST = 200
"""No more different things than this are named; the rest is counted."""
FEW = 3
"""Of as many hosts, each gets a line of its own."""

_NUMBERED = re.compile(r"(.*?)([0-9]+)([^0-9]*)\Z", re.DOTALL)


class Packed(Mapping[str, dict[str, Any]]):
    """Host → fingerprint, unpacked anew each time that it is asked for."""

    def __init__(self, found: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        self._packed: dict[str, bytes] = {}
        for host in found or ():
            self.put(host, (found or {})[host])

    def put(self, host: str, seen: Mapping[str, Any]) -> None:
        """Hold what was seen of a host."""
        try:
            text = json.dumps(seen)
        except RecursionError:
            text = json.dumps({"error": "the fingerprint is nested too deeply"})
        self._packed[host] = zlib.compress(text.encode(), 1)

    @classmethod
    def read(cls, data: bytes) -> Packed:
        """From the JSON object of all hosts, host by host; raises ValueError."""
        text, made, decoder = data.decode(), cls(), json.JSONDecoder()
        place = 1
        if text == "{}":
            return made
        if text[:1] != "{":
            raise ValueError("not an object")
        while True:
            host, place = decoder.raw_decode(text, place)
            seen, place = decoder.raw_decode(text, place + 1)
            if not isinstance(host, str) or not isinstance(seen, dict):
                raise ValueError("not fingerprints by host")
            made.put(host, seen)
            if text[place : place + 1] != ",":
                if text[place:] != "}":
                    raise ValueError("not an object")
                return made
            place += 1

    def __getitem__(self, host: str) -> dict[str, Any]:
        text = zlib.decompress(self._packed[host])
        found: dict[str, Any]
        try:
            found = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError):  # names that are no text, odd numbers
            found = json.loads(text)
        return found

    def same(self, other: Packed, host: str) -> bool:
        """Whether both hold the same of a host, byte for byte."""
        return self._packed[host] == other._packed[host]

    def __iter__(self) -> Iterator[str]:
        return iter(self._packed)

    def __len__(self) -> int:
        return len(self._packed)


class Told:
    """What is said of hosts, gathered so that each thing is held once."""

    def __init__(self) -> None:
        self._hosts: dict[str, list[str]] = {}
        self._more = 0

    def add(self, host: str, what: str) -> None:
        """Something about a host."""
        known = self._hosts.get(what)
        if known is not None:
            known.append(host)
        elif len(self._hosts) < MOST:
            self._hosts[what] = [host]
        else:
            self._more += 1

    def add_all(self, host: str, items: Iterable[str]) -> None:
        """Several things about a host."""
        for what in items:
            self.add(host, what)

    def __bool__(self) -> bool:
        return bool(self._hosts)

    def lines(self) -> tuple[str, ...]:
        """What holds of many hosts first, a line each; then host by host."""
        many, few = [], []
        for what, hosts in self._hosts.items():
            if len(hosts) > FEW:
                many.append(f"{len(hosts)} hosts ({named(hosts)}): {what}")
            else:
                few += [(host, what) for host in hosts]
        place = {host: n for n, host in enumerate(dict.fromkeys(host for host, _what in few))}
        few.sort(key=lambda one: place[one[0]])
        lines = [*many, *(f"{host}: {what}" for host, what in few)]
        rest = self._more + max(0, len(lines) - MOST)
        return (*lines[:MOST], f"and {rest} more") if rest else tuple(lines)


def named(hosts: Iterable[str]) -> str:
    """Every host, neighbours in number together: `db, web[01:40], web50`."""
    runs: dict[tuple[str, int, str], list[int]] = {}
    plain = []
    for host in hosts:
        match = _NUMBERED.match(host)
        if match is None:
            plain.append(host)
            continue
        before, digits, after = match.groups()
        # web9 and web10 are neighbours, web09 and web9 aren't the same.
        width = len(digits) if digits.startswith("0") and digits != "0" else 0
        runs.setdefault((before, width, after), []).append(int(digits))
    found = sorted(plain)
    for (before, width, after), numbers in sorted(runs.items()):
        for first, last in _runs(sorted(numbers)):
            one, other = (f"{n:0{width}}" for n in (first, last))
            if last - first < 2:
                found += [f"{before}{n:0{width}}{after}" for n in range(first, last + 1)]
            else:
                found.append(f"{before}[{one}:{other}]{after}")
    return ", ".join(found)


def _runs(numbers: list[int]) -> Iterator[tuple[int, int]]:
    first = last = numbers[0]
    for number in numbers[1:]:
        if number != last + 1:
            yield first, last
            first = number
        last = number
    yield first, last
