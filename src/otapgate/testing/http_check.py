"""The HTTP step: asks an address of the environment, and only of it, and looks at the
answer and the time it took."""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import json
import math
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

from otapgate.i18n import _, ngettext
from otapgate.landscape.yaml_positions import shown
from otapgate.testing.plan import HttpStep
from otapgate.testing.template import render, value

MAX_BODY = 16 * 1024 * 1024
MAX_REDIRECTS = 5


class NotAsked(Exception):
    """The address wasn't asked, or didn't answer: a sentence why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    body: bytes
    location: str
    milliseconds: int
    """From connecting to the last byte, rounded up."""

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Checked:
    """Whether the answers were as said, in a sentence, and the last one."""

    ok: bool
    message: str
    output: str = ""


def check(step: HttpStep, variables: Mapping[str, Any], allowed: frozenset[str]) -> Checked:
    """Ask `step.repeat` times, each on a connection of its own, until one isn't right.

    `allowed` are the names and addresses that may be asked besides loopback. Proxies in
    the process's environment aren't used; a redirect is followed on the same host only.
    Raises BadInput for a template that can't be filled in.
    """
    url = render(step.url, variables)
    body = render(step.body, variables).encode() if step.body else None
    headers = {name: render(value, variables) for name, value in step.headers.items()}
    contains = render(step.contains, variables) if step.contains is not None else None
    wanted = None if step.json is None else value(step.json, variables)
    times: list[int] = []
    answer = None
    for _number in range(step.repeat):
        try:
            answer = _follow(step, url, body, headers, allowed)
        except NotAsked as error:
            return Checked(False, str(error))
        wrong = _wrong(step, contains, wanted, answer)
        if wrong:
            return Checked(False, wrong, _shown(answer))
        times.append(answer.milliseconds)
    assert answer is not None, "repeat is at least 1"
    rank = sorted(times)[math.ceil(step.percentile / 100 * len(times)) - 1]
    measured = ngettext(
        "{n} answer, within {ms} ms", "{n} answers; {percentile}% within {ms} ms", len(times)
    ).format(n=len(times), percentile=step.percentile, ms=rank)
    if step.budget_ms is not None and rank > step.budget_ms:
        return Checked(
            False,
            _("Too slow: {measured}, and {budget} ms is the limit.").format(
                measured=measured, budget=step.budget_ms
            ),
            _shown(answer),
        )
    return Checked(True, measured + ".", _shown(answer))


def ask(
    url: str,
    *,
    method: str,
    headers: Mapping[str, str],
    body: bytes | None,
    allowed: frozenset[str],
    seconds: float,
) -> Answer:
    """One answer, as it comes: no redirect is followed. Raises NotAsked."""
    target = _target(url, allowed)
    return _ask(target, method, body, dict(headers), time.monotonic() + seconds)


def _follow(
    step: HttpStep,
    url: str,
    body: bytes | None,
    headers: dict[str, str],
    allowed: frozenset[str],
) -> Answer:
    deadline = time.monotonic() + step.timeout_seconds
    method = step.method
    spent = 0
    for _hop in range(MAX_REDIRECTS + 1):
        target = _target(url, allowed)
        answer = _ask(target, method, body, headers, deadline)
        spent += answer.milliseconds
        redirects = answer.status in (301, 302, 303, 307, 308) and answer.location
        if not redirects or answer.status == step.status:
            return Answer(answer.status, answer.body, answer.location, spent)
        onward = urljoin(url, answer.location)
        if _origin(urlsplit(onward)) != _origin(target):
            raise NotAsked(
                _("{url} redirects to {other}, another place; that isn't followed.").format(
                    url=shown(url, 200), other=shown(onward, 200)
                )
            )
        if answer.status in (301, 302, 303) and method not in ("GET", "HEAD"):
            method, body = "GET", None
        url = onward
    raise NotAsked(_("{url} redirects without end.").format(url=shown(url, 200)))


def _origin(parts: SplitResult) -> tuple[str, str, int]:
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        port = -1
    return parts.scheme, (parts.hostname or "").lower(), port


def _target(url: str, allowed: frozenset[str]) -> SplitResult:
    """The parts of an address that may be asked."""
    try:
        parts = urlsplit(url)
        host, _port = (parts.hostname or "").lower(), parts.port
    except ValueError as error:
        raise NotAsked(_("{url} is not an address.").format(url=shown(url, 200))) from error
    if parts.scheme not in ("http", "https") or not host:
        raise NotAsked(_("{url} is not an http address.").format(url=shown(url, 200)))
    if parts.username is not None or parts.password is not None:
        raise NotAsked(_("The address holds a user's name; use a header."))
    if host not in allowed and not _loopback(host):
        raise NotAsked(
            _("{host} is no host of this environment, so it isn't asked.").format(
                host=shown(host, 100)
            )
        )
    return parts


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _ask(
    target: SplitResult,
    method: str,
    body: bytes | None,
    headers: dict[str, str],
    deadline: float,
) -> Answer:
    scheme, host, port = _origin(target)
    kind = http.client.HTTPSConnection if scheme == "https" else http.client.HTTPConnection
    begin = time.perf_counter()
    left = deadline - time.monotonic()
    connection = kind(host, port, timeout=max(left, 0.001))
    # A timeout on the socket is per read; a server that drips bytes needs this as well.
    held: list[socket.socket] = []
    watchdog = threading.Timer(max(left, 0.001), _cut, [connection, held])
    watchdog.daemon = True
    watchdog.start()
    path = (target.path or "/") + (f"?{target.query}" if target.query else "")
    try:
        connection.connect()
        held.append(connection.sock)
        connection.request(method, path, body, {"Connection": "close", **headers})
        response = connection.getresponse()
        data = response.read(MAX_BODY + 1)
        location = response.getheader("Location") or ""
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = _("it took too long") if time.monotonic() >= deadline else str(error)
        raise NotAsked(
            _("{url} gave no answer: {reason}.").format(
                url=shown(target.geturl(), 200),
                reason=shown(reason or type(error).__name__, 200),
            )
        ) from error
    finally:
        watchdog.cancel()
        connection.close()
    if time.monotonic() >= deadline:
        # A cut connection may look like the end of an answer without a length.
        raise NotAsked(
            _("{url} gave no answer: {reason}.").format(
                url=shown(target.geturl(), 200), reason=_("it took too long")
            )
        )
    if len(data) > MAX_BODY:
        raise NotAsked(_("{url} answers without end.").format(url=shown(target.geturl(), 200)))
    spent = math.ceil((time.perf_counter() - begin) * 1000)
    return Answer(response.status, data, location, spent)


def _cut(connection: http.client.HTTPConnection, held: list[socket.socket]) -> None:
    # Once the answer has begun, the connection has let go of its socket; before that,
    # during a TLS handshake, only the connection knows it.
    for end in held or [connection.sock]:
        with contextlib.suppress(OSError, AttributeError):
            end.shutdown(socket.SHUT_RDWR)


def _wrong(
    step: HttpStep, contains: str | None, values: dict[str, Any] | None, answer: Answer
) -> str:
    """What is not as said; "" when nothing is."""
    if answer.status != step.status:
        return _("The answer has status {status}, and {wanted} was expected.").format(
            status=answer.status, wanted=step.status
        )
    if contains is not None and contains not in answer.text:
        return _("The answer doesn't hold '{text}'.").format(text=shown(contains, 200))
    if values is None:
        return ""
    try:
        said = json.loads(answer.body)
    except (ValueError, RecursionError):
        return _("The answer is not JSON.")
    for path, wanted in values.items():
        found, there = _at(said, path)
        if not there:
            return _("The answer has nothing at '{path}'.").format(path=shown(path))
        if json.dumps(found, sort_keys=True) != json.dumps(wanted, sort_keys=True):
            return _("At '{path}' the answer has {found}, and {wanted} was expected.").format(
                path=shown(path), found=shown(json.dumps(found), 200), wanted=json.dumps(wanted)
            )
    return ""


def _at(value: Any, path: str) -> tuple[Any, bool]:
    for part in path.split(".") if path else []:
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None, False
    return value, True


def _shown(answer: Answer) -> str:
    return f"{answer.status}\n{answer.text}"
