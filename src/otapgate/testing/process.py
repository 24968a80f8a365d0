"""Runs a program for a step: bounded in time and output, and ended with all it started."""

from __future__ import annotations

import contextlib
import json
import math
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from otapgate.i18n import why
from otapgate.testing import leash
from otapgate.testing.limits import Stop

KEPT = 256 * 1024
"""Bytes of output that are held: this much from the beginning, this much from the end."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended."""

    exit: int | None
    """Its exit code, negative for a signal; None when it never started."""
    output: str
    """Standard output and error together, in the order in which they came."""
    late: bool = False
    """It didn't end in time and was killed."""
    lingering: bool = False
    """Something it started escaped and still holds its output open."""
    reason: str = ""
    """Why it didn't start."""
    cut: bool = False
    """Part of its output was left out, because there was too much of it."""


def carry_out(
    argv: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    seconds: float,
    margin: int = 0,
    stop: Stop | None = None,
) -> Ended:
    """Run `argv` in `folder` with exactly `environment`, for at most `seconds`, or until
    `stop` is asked.

    All that comes of it is killed at the end in every case, daemons too, also on Ctrl-C
    and when otapgate itself is killed (`leash`). Where output is left out, `margin` bytes
    on both sides of the gap are thrown away too, so that a secret of that length can't be
    cut in half there.
    """
    held = _Held()
    ours, theirs = socket.socketpair()
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(leash.__file__)), str(theirs.fileno()), *argv],
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=(theirs.fileno(),),
        )
    except (OSError, ValueError) as error:
        ours.close()
        held.release()
        reason = why(error)
        return Ended(None, "", reason=reason or type(error).__name__)
    finally:
        theirs.close()
    assert process.stdout is not None
    kept = _Kept()
    reader = threading.Thread(target=kept.read, args=(process.stdout,), daemon=True)
    early = False
    said: dict[str, Any] = {}
    try:
        reader.start()
        held.release()
        early = _ended_within(ours, seconds, stop)
    finally:
        said = _end(ours, process)
        reader.join(5)
        if not reader.is_alive():
            process.stdout.close()
    output = kept.text(margin)
    if said.get("failed") is not None:
        failed = OSError(said["failed"], os.strerror(said["failed"]))
        return Ended(None, output, reason=why(failed))
    lingering = reader.is_alive() or bool(said.get("left", True))
    code = said.get("exit")
    ended = code if code is not None else -signal.SIGKILL
    return Ended(ended, output, not early, lingering, cut=kept.cut)


def _ended_within(channel: socket.socket, seconds: float, stop: Stop | None) -> bool:
    waiting = select.poll()  # and not select, which knows no descriptor above 1023
    waiting.register(channel, select.POLLIN)
    if stop is not None:
        waiting.register(stop.descriptor, select.POLLIN)
    timeout = None if seconds == float("inf") else math.ceil(seconds * 1000)
    return channel.fileno() in {descriptor for descriptor, _event in waiting.poll(timeout)}


def _end(channel: socket.socket, process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """Have the leash kill what is left, and hear how the program ended."""
    said = b""
    try:
        with contextlib.suppress(OSError):
            channel.shutdown(socket.SHUT_WR)
        channel.settimeout(leash.PATIENCE_SECONDS + 5)
        with contextlib.suppress(OSError):
            while chunk := channel.recv(4096):
                said += chunk
    finally:
        channel.close()
        # Until its leader is waited for, nobody else can have got the group's number.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    try:
        found = json.loads(said)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


class _Held:
    """Ctrl-C held back until `release`: a program that has begun, but of which nobody knows
    yet, could not be ended. The program itself hears it as ever."""

    def __init__(self) -> None:
        self._came = False
        self._before: object = None
        # Only the main thread hears signals, and only Python's own answer to this one is ours.
        if (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        ):
            self._before = signal.signal(signal.SIGINT, self._note)

    def _note(self, _number: int, _frame: object) -> None:
        self._came = True

    def release(self) -> None:
        """Raise KeyboardInterrupt if Ctrl-C came meanwhile."""
        if self._before is not None:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        if self._came:
            raise KeyboardInterrupt


class _Kept:
    """The beginning and the end of an output of any length."""

    def __init__(self) -> None:
        self._head = bytearray()
        self._tail = bytearray()
        self._lost = 0

    def read(self, stream: IO[bytes]) -> None:
        descriptor = stream.fileno()
        while chunk := os.read(descriptor, 65536):
            room = KEPT - len(self._head)
            self._head += chunk[:room]
            self._tail += chunk[room:] if room < len(chunk) else b""
            extra = len(self._tail) - KEPT
            if extra > 0:
                del self._tail[:extra]
                self._lost += extra

    @property
    def cut(self) -> bool:
        return self._lost > 0

    def text(self, margin: int) -> str:
        if not self._lost:
            return (self._head + self._tail).decode("utf-8", "replace")
        head = self._head[: len(self._head) - margin].decode("utf-8", "replace")
        tail = self._tail[margin:].decode("utf-8", "replace")
        return f"{head}\n[… {self._lost + 2 * margin} bytes …]\n{tail}"
