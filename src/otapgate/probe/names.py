"""Addresses of production's names, looked up here: a host that can't look a name up may
reach the address all the same."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec

from otapgate.probe.isolation import Target


def with_addresses(targets: Sequence[Target]) -> tuple[Target, ...]:
    """The targets, and for each that is a name one more for every address of it."""
    names = sorted({one.address for one in targets if not _is_address(one.address)})
    with ThreadPoolExecutor(max(1, min(32, len(names)))) as pool:
        addresses = dict(zip(names, pool.map(_look_up, names), strict=True))
    found = {(one.address, one.port): one for one in targets}
    for one in targets:
        for address in addresses.get(one.address, ()):
            more = msgspec.structs.replace(one, address=address)
            found.setdefault((address, one.port), more)
    return tuple(found.values())


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _look_up(name: str) -> list[str]:
    try:
        answers = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return sorted({str(where[0]) for _family, _type, _proto, _name, where in answers})
