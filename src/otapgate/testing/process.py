"""Runs a program for a step: bounded in time and output, and ended with all it started."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from otapgate.i18n import why

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
) -> Ended:
    """Run `argv` in `folder` with exactly `environment`, for at most `seconds`.

    Its process group is killed at the end in every case, also on Ctrl-C, so nothing of
    it runs on. Where output is left out, `margin` bytes on both sides of the gap are
    thrown away too, so that a secret of that length can't be cut in half there.
    """
    held = _Held()
    try:
        process = subprocess.Popen(
            list(argv),
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        held.release()
        reason = why(error)
        return Ended(None, "", reason=reason or type(error).__name__)
    assert process.stdout is not None
    kept = _Kept()
    reader = threading.Thread(target=kept.read, args=(process.stdout,), daemon=True)
    late = True
    try:
        reader.start()
        held.release()
        late = not _ended_within(process.pid, seconds)
    finally:
        # The group is killed before its leader is waited for: until then nobody else
        # can have got the number.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        reader.join(5)
        if not reader.is_alive():
            process.stdout.close()
    text = kept.text(margin)
    return Ended(process.returncode, text, late, reader.is_alive(), cut=kept.cut)


def _ended_within(pid: int, seconds: float) -> bool:
    descriptor = os.pidfd_open(pid)
    try:
        return bool(select.select([descriptor], [], [], seconds)[0])
    finally:
        os.close(descriptor)


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
