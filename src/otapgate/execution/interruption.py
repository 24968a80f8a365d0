"""Ctrl-C while Ansible works: Ansible is asked to stop, waited for, and only then left.
So it is when otapgate itself wants it to stop.

ansible-runner kills Ansible's process group outright, and Ansible's workers have groups
of their own, so they would go on. Asked with SIGTERM, Ansible stops its workers and what
they run.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from otapgate.execution.lock import holder

GRACE_SECONDS = 20.0
"""How long Ansible may take to stop before it is killed."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interruption:
    """While it is entered, SIGINT, SIGTERM and SIGHUP stop the Ansible that holds the
    lock file, instead of this process. Outside the main thread it does nothing."""

    def __init__(self, lock: Path) -> None:
        self._lock = lock
        self._before: dict[int, Any] = {}
        self._asked_at: float | None = None
        self._by_user = False
        self._told: set[int] = set()
        self._killed = False

    @property
    def asked(self) -> bool:
        """Whether somebody asked to stop; not whether otapgate itself did."""
        return self._by_user

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        self._by_user = True
        self.stop()

    def stop(self) -> None:
        """Ask Ansible to stop; nothing happens the second time."""
        if self._asked_at is None:
            self._asked_at = time.monotonic()
        self._tell()

    def check(self) -> bool:
        """Called now and then by ansible-runner; always False, since stopping is done
        here and not by it."""
        if self._asked_at is not None:
            self._tell()
            if time.monotonic() - self._asked_at > GRACE_SECONDS and not self._killed:
                self._killed = True
                self._kill()
        return False

    def reap(self) -> None:
        """Wait until nothing of Ansible holds the lock any more, at most `GRACE_SECONDS`:
        a worker may outlive the main process for a moment."""
        if self._asked_at is None:
            return
        import fcntl

        with contextlib.suppress(OSError):
            descriptor = os.open(self._lock, os.O_RDWR | os.O_CLOEXEC)
            try:
                until = time.monotonic() + GRACE_SECONDS
                while time.monotonic() < until:
                    with contextlib.suppress(BlockingIOError):
                        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        return
                    time.sleep(0.05)
            finally:
                os.close(descriptor)

    def _tell(self) -> None:
        pid = self._child()
        if pid is not None and pid not in self._told:
            self._told.add(pid)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)

    def _kill(self) -> None:
        pid = self._child()
        if pid is None:
            return
        for victim in [*_children(pid), pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)

    def _child(self) -> int | None:
        """Ansible's process, if it holds the lock and is a child of ours."""
        pid = holder(self._lock).get("pid")
        return pid if isinstance(pid, int) and _parent(pid) == os.getpid() else None


def _parent(pid: int) -> int | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return int(text.rpartition(")")[2].split()[1])


def _children(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [int(word) for word in text.split()]
