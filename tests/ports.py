"""Ports for the services that tests start, also when tests run side by side."""

from __future__ import annotations

import os
import random
import socket

FIRST, EACH, MOST = 10_000, 1_000, 20
"""All below 32768: from there the system gives ports to outgoing connections, which may
take one between now and the service's start."""

_given: set[int] = set()


def free(count: int) -> list[int]:
    """Ports on loopback that nobody listens on, and that no other worker of pytest-xdist
    and no other test of this one is given."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % MOST
    start = FIRST + worker * EACH
    found: list[int] = []
    for port in random.sample(range(start, start + EACH), EACH):
        if port not in _given and _unused(port):
            _given.add(port)
            found.append(port)
            if len(found) == count:
                return found
    raise AssertionError(f"no {count} free ports from {start}")


def _unused(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
