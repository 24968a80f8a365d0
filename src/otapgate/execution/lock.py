"""One command at a time in an environment, on this machine.

A lock is an flock on a file below `.otapgate/locks`: the kernel releases it when its
holder dies, however it dies. A second file is held by Ansible itself (see `tether`), so
an environment where a killed command's Ansible is still at work counts as busy. Machines
that share a ledger are kept apart by the ledger, not here.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from contextlib import suppress
from datetime import datetime, tzinfo
from pathlib import Path
from types import TracebackType
from typing import Any

from otapgate.errors import Busy, Usage
from otapgate.i18n import _

KERNEL = Path("/proc/locks")
"""Where the kernel says which files are locked."""


def lock_path(root: Path, environment: str) -> Path:
    """The lock file of the environment, below the landscape's folder `root`."""
    return _folder(root, environment) / f"{environment}.lock"


def tether_path(root: Path, environment: str) -> Path:
    """The lock file that Ansible holds while it works in the environment."""
    return _folder(root, environment) / f"{environment}.ansible"


def _folder(root: Path, environment: str) -> Path:
    if not environment or "/" in environment or environment.startswith("."):
        raise Usage(
            "environment-name", _("{name!r} can't name an environment.").format(name=environment)
        )
    return root / ".otapgate" / "locks"


class EnvironmentLock:
    """Holds the environment for the duration of a `with` block.

    Entering raises Busy (`environment-locked`) at once, without waiting, when another
    process holds it, naming the process, since when, and its command.
    """

    def __init__(
        self, root: Path, environment: str, command: str = "", zone: tzinfo | None = None
    ) -> None:
        """`zone` is that of times in sentences; None for this machine's."""
        self.root = root
        self.environment = environment
        self.command = command
        self.zone = zone
        self._descriptor: int | None = None

    def __enter__(self) -> EnvironmentLock:
        path = lock_path(self.root, self.environment)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = _open(path)
        try:
            _take(descriptor, self.environment, self.zone)
            tether = _open(tether_path(self.root, self.environment))
            try:
                _take(tether, self.environment, self.zone)
            finally:
                os.close(tether)
            holder = {
                "pid": os.getpid(),
                "since": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                "command": self.command,
            }
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps(holder).encode(), 0)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._descriptor is not None:
            with suppress(OSError):  # the disk may have failed meanwhile; closing releases
                os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None


def holder(path: Path) -> dict[str, Any]:
    """What the lock file at `path` says of its holder: `pid`, `since`, `command`; empty
    when it says nothing. Says nothing about whether the holder lives."""
    try:
        said = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) and isinstance(said.get("pid"), int) else {}


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def busy(root: Path, environment: str, zone: tzinfo | None = None) -> dict[str, Any] | None:
    """Who holds the environment at this moment: `pid`, `since`, `command`; None for nobody.

    Takes no lock, not even for a moment: that could turn somebody away who begins just then.
    """
    for path in (lock_path(root, environment), tether_path(root, environment)):
        said = holder(path)
        if said and _locked(path, said["pid"]):
            return {**said, "since": _local(str(said.get("since", "?")), zone)}
    return None


def _locked(path: Path, pid: int) -> bool:
    try:
        inode = path.stat().st_ino
        held = [line.split() for line in KERNEL.read_text(encoding="ascii").splitlines()]
    except OSError:
        # Not Linux: whoever wrote its name there, and lives, is taken for the holder.
        try:
            os.kill(pid, 0)
        except (OSError, OverflowError):
            return False
        return True
    return any("FLOCK" in words and words[-3].endswith(f":{inode}") for words in held)


def _local(since: str, zone: tzinfo | None) -> str:
    """A moment as everything else shows it: local, with its offset."""
    try:
        return datetime.fromisoformat(since).astimezone(zone).isoformat(timespec="seconds")
    except ValueError:
        return since


def _take(descriptor: int, environment: str, zone: tzinfo | None) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        said = holder(Path(f"/proc/self/fd/{descriptor}"))
        raise Busy(
            "environment-locked",
            _(
                "{environment} is in use: process {pid} ({command}) has held it since {since}."
            ).format(
                environment=environment,
                pid=said.get("pid", "?"),
                command=said.get("command") or "?",
                since=_local(str(said.get("since", "?")), zone),
            ),
            remedy=_("Wait until it has finished, then try again."),
        ) from None
