"""Running a Python script on many hosts at once, over SSH or here, and its answers.

The script goes to the interpreter's standard input and its answer comes as one JSON
document, so nothing is left on a host and nothing stands among its processes' arguments.
Keys of hosts are compared with those that are pinned before anything is sent; a host that
doesn't answer whole and in time has no answer, and a sentence says why.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import select
import shlex
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from otapgate.i18n import _
from otapgate.landscape import host_keys
from otapgate.probe.connection import Way
from otapgate.probe.transport import CONNECT_SECONDS, Gone, OtherKey, log_in, open_transport

if TYPE_CHECKING:
    import paramiko

# What paramiko has to say of a connection that fails is said in a sentence here.
logging.getLogger("paramiko").addHandler(logging.NullHandler())

AT_ONCE = 256
"""Hosts that are worked on at the same time. Most of it is waiting for answers that a
firewall keeps back; for the arithmetic of setting up connections see `transport`."""
ANSWER_SECONDS = 30.0
LARGEST = 16 * 1024 * 1024
_CHUNK = 65536
# It says when it is there, since only then is it certain that nobody asks for a password.
_BOOT = "import sys;sys.stdout.write('{mark}');sys.stdout.flush();exec(sys.stdin.read())"


class Answer(msgspec.Struct, frozen=True):
    """What came of one host."""

    way: Way
    value: dict[str, Any] | None
    """The script's answer; None when there is none."""
    problem: str = ""
    """Why there is none, in a sentence."""
    changed: bool = False
    """Whether it was another host key than the one that is pinned."""
    key: str = ""
    """Fingerprint of the key that otapgate logged in with, where it is known."""


class _Channel(Protocol):
    """Standard input, output and error of the interpreter, wherever it runs."""

    def send(self, data: bytes) -> None: ...
    def end(self) -> None: ...
    def receive(self, until: float) -> tuple[bytes, bytes, bool]: ...


def run(
    ways: Sequence[Way],
    script: Callable[[Way], str],
    *,
    seconds: float = ANSWER_SECONDS,
    at_once: int = AT_ONCE,
) -> list[Answer]:
    """Run on every host what `script` makes for it; answers in the order of `ways`."""
    if not ways:
        return []

    def one(way: Way) -> Answer:
        return _run(way, script(way), seconds)

    with ThreadPoolExecutor(min(at_once, len(ways))) as pool:
        return list(pool.map(one, ways))


def _run(way: Way, script: str, seconds: float) -> Answer:
    if way.problem:
        return Answer(way, None, way.problem)
    try:
        if way.local:
            return Answer(way, _locally(way, script, seconds))
        value, key = _over_ssh(way, script, seconds)
        return Answer(way, value, key=key)
    except Gone as error:
        return Answer(way, None, str(error), changed=isinstance(error, OtherKey))


def command(way: Way, mark: str, prompt: str) -> list[str]:
    """What runs on the host. Its arguments hold neither secret nor script."""
    python = [way.python, "-I", "-S", "-c", _BOOT.format(mark=mark)]  # the standard library only
    if way.become is None:
        return python
    return ["sudo", "-H", "-S", "-p", prompt, "-u", way.become.user, "--", *python]


def converse(channel: _Channel, way: Way, script: str, marks: tuple[str, str], until: float) -> Any:
    """Give the password if it is asked for, then the script; the answer's JSON value."""
    mark, prompt = (text.encode() for text in marks)
    out, err = b"", b""
    asked, ended = False, False
    while mark not in out:
        if ended:
            raise Gone(_said(way, err))
        more, errors, ended = channel.receive(until)
        out, err = (out + more)[-_CHUNK:], (err + errors)[-_CHUNK:]
        if prompt in err:
            if asked or way.become is None or not way.become.password:
                raise Gone(
                    _(
                        "sudo asks on {host} for a password that isn't given, or isn't right."
                    ).format(host=way.host)
                )
            channel.send(way.become.password.encode() + b"\n")
            asked, err = True, err.replace(prompt, b"")
    out = out.partition(mark)[2]
    channel.send(script.encode())
    channel.end()
    pieces, size = [out], len(out)
    while not ended:
        more, errors, ended = channel.receive(until)
        size += len(more)
        if size > LARGEST:
            raise Gone(_("{host} answers more than it should.").format(host=way.host))
        pieces.append(more)
        err = (err + errors)[-_CHUNK:]
    try:
        value = msgspec.json.decode(b"".join(pieces), type=dict[str, Any])
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError, UnicodeDecodeError):
        raise Gone(_said(way, err)) from None
    return value


def _said(way: Way, err: bytes) -> str:
    """The sentence for an answer that isn't one, with the last line that was written."""
    lines = [line for line in err.decode("utf-8", "replace").splitlines() if line.strip()]
    last = "".join(c if c.isprintable() else "\ufffd" for c in lines[-1][:200]) if lines else "-"
    if way.become is not None and way.become.password:
        last = last.replace(way.become.password, "***")
    return _("{host} gave no answer: {why}").format(host=way.host, why=last)


def _late(way: Way) -> Gone:
    return Gone(_("{host} gave no answer in time.").format(host=way.host))


def _marks() -> tuple[str, str]:
    token = secrets.token_hex(8)
    return f"otapgate-{token}-here", f"otapgate-{token}-password:"


# -- on this machine ------------------------------------------------------------------


class _Process:
    """The interpreter as a process of this machine."""

    def __init__(self, process: subprocess.Popen[bytes], way: Way) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self._stdin, self._way = process.stdin, way
        self._open = [process.stdout, process.stderr]
        self._out = process.stdout

    def send(self, data: bytes) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._stdin.write(data)
            self._stdin.flush()

    def end(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._stdin.close()

    def receive(self, until: float) -> tuple[bytes, bytes, bool]:
        ready, _w, _x = select.select(self._open, [], [], max(0.0, until - time.monotonic()))
        if not ready:
            raise _late(self._way)
        out = err = b""
        for stream in ready:
            data = os.read(stream.fileno(), _CHUNK)
            if not data:
                self._open.remove(stream)
            elif stream is self._out:
                out = data
            else:
                err = data
        return out, err, not self._open


def _locally(way: Way, script: str, seconds: float) -> Any:
    marks = _marks()
    try:
        process = subprocess.Popen(
            command(way, *marks),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"PATH": os.defpath + ":/usr/sbin:/sbin", "LC_ALL": "C"},
            cwd="/",
        )
    except OSError as error:
        raise Gone(_said(way, str(error).encode())) from None
    try:
        return converse(_Process(process, way), way, script, marks, time.monotonic() + seconds)
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


# -- over SSH -------------------------------------------------------------------------


class _Remote:
    """The interpreter at the other end of an SSH channel."""

    def __init__(self, channel: paramiko.Channel, way: Way) -> None:
        self._channel, self._way = channel, way
        self._something = threading.Event()
        """Set when there is something to read on either, and for good once they have ended."""
        channel.in_buffer.set_event(self._something)
        channel.in_stderr_buffer.set_event(self._something)

    def send(self, data: bytes) -> None:
        try:
            self._channel.sendall(data)
        except (OSError, EOFError):
            raise _late(self._way) from None

    def end(self) -> None:
        with contextlib.suppress(OSError, EOFError):
            self._channel.shutdown_write()

    def receive(self, until: float) -> tuple[bytes, bytes, bool]:
        channel = self._channel
        while True:
            out = channel.recv(_CHUNK) if channel.recv_ready() else b""
            err = channel.recv_stderr(_CHUNK) if channel.recv_stderr_ready() else b""
            if out or err:
                return out, err, False
            if channel.closed or (channel.exit_status_ready() and channel.eof_received):
                more = channel.recv_ready() or channel.recv_stderr_ready()
                if not more:
                    return b"", b"", True
                continue
            # after the end of what it writes comes how it ended; that isn't something to read
            next_ = channel.status_event if channel.eof_received else self._something
            left = until - time.monotonic()
            if left <= 0 or not next_.wait(left):
                raise _late(self._way)


def _over_ssh(way: Way, script: str, seconds: float) -> tuple[Any, str]:
    import paramiko

    until = time.monotonic() + CONNECT_SECONDS
    transport = open_transport(way.address, way.port, [key.split()[0] for key in way.keys], way)
    try:
        shown = transport.get_remote_server_key()
        line = f"{shown.get_name()} {shown.get_base64()}"
        if line not in way.keys:
            raise OtherKey(host_keys.changed(way.host))
        try:
            fingerprint = log_in(transport, way, until)
            channel = transport.open_session(timeout=max(1.0, until - time.monotonic()))
            marks = _marks()
            channel.exec_command(shlex.join(command(way, *marks)))
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise Gone(
                _("{host} doesn't let otapgate in: {why}").format(
                    host=way.host, why=str(error) or type(error).__name__
                )
            ) from None
        with contextlib.closing(channel):
            until = time.monotonic() + seconds
            return converse(_Remote(channel, way), way, script, marks, until), fingerprint
    finally:
        transport.close()


def fetch_host_keys(ways: Sequence[Way], types: Sequence[str]) -> Mapping[str, list[str] | str]:
    """The keys that hosts over SSH show, `type base64`, by host: to be pinned. A sentence
    for a host that shows none. No key is believed, and nobody logs in."""

    def one(way: Way) -> list[str] | str:
        if way.problem:
            return way.problem
        found, last = [], ""
        for kind in types:
            try:
                transport = open_transport(way.address, way.port, [kind], way)
            except OtherKey:
                continue  # it has none of this kind
            except Gone as error:
                last = str(error)
                break
            shown = transport.get_remote_server_key()
            found.append(f"{shown.get_name()} {shown.get_base64()}")
            transport.close()
        return (
            found
            or last
            or _("{host} shows no host key of a kind that is accepted.").format(host=way.host)
        )

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip([way.host for way in ways], pool.map(one, ways), strict=True))
