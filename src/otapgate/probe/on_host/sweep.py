"""Which addresses and ports can be reached from here: all tried at once."""

from __future__ import annotations

import errno
import selectors
import socket
import threading
import time
from typing import Any

_FILTERED = (
    errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EACCES, errno.EPERM,
    errno.ENETDOWN, errno.EHOSTDOWN,
)  # fmt: skip
_BATCH = 400
"""Sockets at once; a process often may have 1024 files."""


def sweep(targets: list[tuple[str, int]], seconds: float) -> list[str]:
    """Outcome by target: `open`, `closed` (refused, or a name that isn't known here),
    `filtered` (no answer) or `unknown`. Each target is an address or name, and a port."""
    addresses = _resolved({name for name, _port in targets}, seconds)
    outcomes = []
    attempts = []
    for index, (name, port) in enumerate(targets):
        found = addresses.get(name)
        outcomes.append("unknown" if found is None else "closed")
        attempts += [(index, family, address, port) for family, address in found or ()]
    seen: dict[int, set[str]] = {}
    for start in range(0, len(attempts), _BATCH):
        for index, outcome in _connect(attempts[start : start + _BATCH], seconds):
            seen.setdefault(index, set()).add(outcome)
    for index, several in seen.items():
        # a name with several addresses is as near as the nearest of them
        outcomes[index] = next(o for o in ("open", "unknown", "closed", "filtered") if o in several)
    return outcomes


def _resolved(names: set[str], seconds: float) -> dict[str, Any]:
    """Addresses by name; None for a name that nobody could tell about."""
    found: dict[str, Any] = dict.fromkeys(names)
    waiting = []
    for name in names:
        family = socket.AF_INET6 if ":" in name else socket.AF_INET
        try:
            socket.inet_pton(family, name)
            found[name] = [(family, name)]
        except OSError:
            thread = threading.Thread(target=_resolve, args=(name, found), daemon=True)
            thread.start()
            waiting.append(thread)
    until = time.monotonic() + seconds
    for thread in waiting:
        thread.join(max(0.0, until - time.monotonic()))
    return dict(found)


def _resolve(name: str, found: dict[str, Any]) -> None:
    try:
        answers = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno in (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)):
            found[name] = []
        return
    except (OSError, UnicodeError):
        return
    found[name] = sorted({(family, where[0]) for family, _t, _p, _c, where in answers})


def _connect(attempts: list[Any], seconds: float) -> list[tuple[int, str]]:
    """(index, outcome) for each attempt."""
    done = []
    sockets = {}
    with selectors.DefaultSelector() as selector:
        for index, family, address, port in attempts:
            try:
                plain = socket.socket(family, socket.SOCK_STREAM)
            except OSError as error:
                done.append((index, "filtered" if error.errno == errno.EAFNOSUPPORT else "unknown"))
                continue
            plain.setblocking(False)
            code = plain.connect_ex((address, port))
            if code in (errno.EINPROGRESS, errno.EWOULDBLOCK):
                selector.register(plain, selectors.EVENT_WRITE, index)
                sockets[plain.fileno()] = plain
            else:
                done.append((index, _outcome(code)))
                plain.close()
        until = time.monotonic() + seconds
        while selector.get_map():
            left = until - time.monotonic()
            ready = selector.select(left) if left > 0 else []
            if not ready and left <= 0:
                break
            for key, _events in ready:
                plain = sockets[key.fd]
                code = plain.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                done.append((key.data, _outcome(code)))
                selector.unregister(plain)
                plain.close()
        for key in list(selector.get_map().values()):
            plain = sockets[key.fd]
            done.append((key.data, "filtered"))
            selector.unregister(plain)
            plain.close()
    return done


def _outcome(code: int) -> str:
    if code == 0:
        return "open"
    if code == errno.ECONNREFUSED:
        return "closed"
    return "filtered" if code in _FILTERED else "unknown"
