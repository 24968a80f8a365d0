"""The HTTP step: asks an address of the environment, and only of it, and looks at the
answer and the time it took."""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import json
import math
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

from otapgate.i18n import _, ngettext
from otapgate.landscape.yaml_positions import shown
from otapgate.testing.bench import Room
from otapgate.testing.evidence import Attempt
from otapgate.testing.limits import Limit
from otapgate.testing.plan import HttpStep
from otapgate.testing.template import render, value

MAX_BODY = 16 * 1024 * 1024
MAX_REDIRECTS = 5
MAX_SECONDS = 3600.0


class NotAsked(Exception):
    """The address wasn't asked, or didn't answer: a sentence why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...]
    """Names in small letters, in the order in which they came."""
    microseconds: int
    """From connecting to the last byte, by the monotonic clock; redirects included."""

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    @property
    def milliseconds(self) -> int:
        """Rounded up."""
        return -(-self.microseconds // 1000)

    def all(self, name: str) -> list[str]:
        """Every value of a header."""
        return [value for known, value in self.headers if known == name]


@dataclass(frozen=True, slots=True)
class Question:
    """A step's request with its templates filled in, and what the answer must be."""

    step: HttpStep
    url: str
    body: bytes | None
    headers: dict[str, str]
    contains: str | None
    values: dict[str, Any] | None
    allowed: frozenset[str]
    """Names and addresses that may be asked besides loopback."""

    def ask(self, limit: Limit) -> Answer:
        """Ask once, on a new connection. Proxies in the process's environment aren't used; a
        redirect is followed on the same host only. Raises NotAsked."""
        limit = limit.within(self.step.timeout_seconds, "step")
        return _follow(self.step, self.url, self.body, self.headers, self.allowed, limit)

    def wrong(self, answer: Answer) -> str:
        """What of the answer is not as said; "" when nothing is."""
        return _wrong(self.step, self.contains, self.values, answer)


def prepare(step: HttpStep, room: Room) -> Question:
    """Fill in the templates; raises BadInput for one that can't be."""
    variables = room.seen_by(step.host)
    return Question(
        step,
        render(step.url, variables),
        render(step.body, variables).encode() if step.body else None,
        {name: render(text, variables) for name, text in step.headers.items()},
        render(step.contains, variables) if step.contains is not None else None,
        None if step.json is None else value(step.json, variables),
        room.bench.allowed,
    )


def check(step: HttpStep, room: Room) -> Attempt:
    """Ask `step.repeat` times, one after another, until one isn't right."""
    question = prepare(step, room)
    times: list[int] = []
    answer = None
    for _number in range(step.repeat):
        if room.limit.over:
            said = _("The step was stopped: {reason}.").format(reason=room.limit.why())
            return Attempt("http", False, said)
        try:
            answer = question.ask(room.limit)
        except NotAsked as error:
            return Attempt("http", False, str(error))
        wrong = question.wrong(answer)
        if wrong:
            return Attempt("http", False, wrong, _shown(answer))
        times.append(answer.milliseconds)
    assert answer is not None, "repeat is at least 1"
    rank = percentile(sorted(times), step.percentile)
    measured = ngettext(
        "{n} answer, within {ms} ms", "{n} answers; {percentile}% within {ms} ms", len(times)
    ).format(n=len(times), percentile=step.percentile, ms=rank)
    if step.budget_ms is not None and rank > step.budget_ms:
        return Attempt(
            "http",
            False,
            _("Too slow: {measured}, and {budget} ms is the limit.").format(
                measured=measured, budget=step.budget_ms
            ),
            _shown(answer),
        )
    return Attempt("http", True, measured + ".", _shown(answer))


def percentile(ordered: list[int], percent: int) -> int:
    """The nearest rank: the smallest value that so many in a hundred don't exceed."""
    return ordered[max(1, math.ceil(percent * len(ordered) / 100)) - 1]


def ask_once(
    url: str,
    *,
    method: str,
    headers: Mapping[str, str],
    body: bytes | None,
    allowed: frozenset[str],
    seconds: float,
) -> Answer:
    """One answer, as it comes: no redirect is followed. Raises NotAsked."""
    target = checked_target(url, allowed)
    return ask(target, method, body, dict(headers), Limit(time.monotonic() + seconds, "step"))


def _follow(
    step: HttpStep,
    url: str,
    body: bytes | None,
    headers: dict[str, str],
    allowed: frozenset[str],
    limit: Limit,
) -> Answer:
    method = step.method
    spent = 0
    for _hop in range(MAX_REDIRECTS + 1):
        target = checked_target(url, allowed)
        answer = ask(target, method, body, headers, limit)
        spent += answer.microseconds
        location = next(iter(answer.all("location")), "")
        redirects = answer.status in (301, 302, 303, 307, 308) and location
        if not redirects or answer.status == step.status:
            return Answer(answer.status, answer.body, answer.headers, spent)
        onward = urljoin(url, location)
        if origin(urlsplit(onward)) != origin(target):
            raise NotAsked(
                _("{url} redirects to {other}, another place; that isn't followed.").format(
                    url=shown(url, 200), other=shown(onward, 200)
                )
            )
        if answer.status in (301, 302, 303) and method not in ("GET", "HEAD"):
            method, body = "GET", None
        url = onward
    raise NotAsked(_("{url} redirects without end.").format(url=shown(url, 200)))


def origin(parts: SplitResult) -> tuple[str, str, int]:
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        port = -1
    return parts.scheme, (parts.hostname or "").lower(), port


def checked_target(url: str, allowed: frozenset[str]) -> SplitResult:
    """The parts of an address that may be asked; raises NotAsked for another."""
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


def ask(
    target: SplitResult,
    method: str,
    body: bytes | None,
    headers: dict[str, str],
    limit: Limit,
    context: ssl.SSLContext | None = None,
) -> Answer:
    """Ask once, within the limit; `context` is for TLS, Python's own when not given. Raises
    NotAsked."""
    scheme, host, port = origin(target)
    begin = time.perf_counter()
    left = min(limit.left, MAX_SECONDS)
    connection: http.client.HTTPConnection
    if scheme == "https":
        connection = http.client.HTTPSConnection(
            host, port, timeout=max(left, 0.001), context=context
        )
    else:
        connection = http.client.HTTPConnection(host, port, timeout=max(left, 0.001))
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
        said = tuple((name.lower(), text) for name, text in response.getheaders())
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = _("it took too long") if limit.left == 0 else str(error)
        raise NotAsked(
            _("{url} gave no answer: {reason}.").format(
                url=shown(target.geturl(), 200),
                reason=shown(reason or type(error).__name__, 200),
            )
        ) from error
    finally:
        watchdog.cancel()
        connection.close()
    if limit.left == 0:
        # A cut connection may look like the end of an answer without a length.
        raise NotAsked(
            _("{url} gave no answer: {reason}.").format(
                url=shown(target.geturl(), 200), reason=_("it took too long")
            )
        )
    if len(data) > MAX_BODY:
        raise NotAsked(_("{url} answers without end.").format(url=shown(target.geturl(), 200)))
    spent = math.ceil((time.perf_counter() - begin) * 1_000_000)
    return Answer(response.status, data, said, spent)


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
