"""What happens at a point of a command, and how a command is told where. Standard library
only: the Ansible callback loads this file as well.

A point is named by what is about to be done or has just been done there, and how often that
came by already: `journal:deploy begun#1`. CAMPAIGN is JSON: `trace` (a file that gets a line
for each point that comes by), `point` and `when` (where to strike), `do` (how), `mark` (a file
that is made at that moment), `tether` (the file that Ansible holds), `filler` (a file that
fills the ledger's disk), `mount` (where that disk is).
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

VARIABLE = "CAMPAIGN"
KILLS = ("otapgate", "ansible", "both")
"""Whom `kill -9` meets: the command, the Ansible that it started, or both at once."""
DISKS = ("full", "gone", "broken", "power")
"""What the ledger's disk does: it has no room left; it isn't mounted any more; whatever is
asked of it is an error; or it stops together with both processes, and what wasn't synced is
lost, as in a power cut."""

_MNT_DETACH = 2
_EXT4_IOC_SHUTDOWN = 0x8004587D
_WITHOUT_FLUSHING = 2


class Orders:
    """Where and how this command is struck, from its environment."""

    def __init__(self, said: dict[str, Any]) -> None:
        self.said = said
        self._count: dict[str, int] = {}

    @classmethod
    def given(cls) -> Orders:
        """As CAMPAIGN says; nothing at all where it isn't set."""
        return cls(json.loads(os.environ.get(VARIABLE, "{}")))

    def name(self, what: str) -> str:
        """The point's name: `what`, and the how manieth it is."""
        self._count[what] = self._count.get(what, 0) + 1
        return f"{what}#{self._count[what]}"

    def passes(self, point: str, when: str, otapgate: int, ansible: int | None = None) -> None:
        """A point comes by, in one of the processes; strikes when it is the one."""
        if ansible is None:
            ansible = held_by(self.said.get("tether"))
        self.note(point, when, ansible is not None)
        if self.wants(point, when):
            self.strike(otapgate, ansible)

    def note(self, point: str, when: str, ansible: bool) -> None:
        """A line in the trace: the point, and whether Ansible was at work."""
        if trace := self.said.get("trace"):
            line = json.dumps({"point": point, "when": when, "ansible": ansible}) + "\n"
            with Path(trace).open("a", encoding="utf-8") as file:
                file.write(line)

    def wants(self, point: str, when: str) -> bool:
        """Whether it is struck there."""
        return (self.said.get("point"), self.said.get("when")) == (point, when)

    def strike(self, otapgate: int, ansible: int | None) -> None:
        """Make it happen."""
        do = self.said["do"]
        Path(self.said["mark"]).touch()
        if do == "full":
            fill(Path(self.said["filler"]))
        elif do == "gone":
            detach(Path(self.said["mount"]))
        elif do in ("broken", "power"):
            break_off(Path(self.said["mount"]))
        kill([pid for pid, who in ((otapgate, "otapgate"), (ansible, "ansible"))
              if pid is not None and do in (who, "both", "power")])  # fmt: skip


def kill(pids: list[int]) -> None:
    """Kill all of them, this process last."""
    for pid in sorted(pids, key=lambda pid: pid == os.getpid()):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def held_by(tether: str | None) -> int | None:
    """The Ansible that holds the file at this moment; None where none does."""
    if tether is None:
        return None
    with suppress(OSError, ValueError, KeyError):
        descriptor = os.open(tether, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(json.loads(Path(tether).read_bytes())["pid"])
        finally:
            os.close(descriptor)
    return None


def fill(filler: Path) -> None:
    """Leave no room, not for a byte."""
    descriptor = os.open(filler, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        size = 1 << 20
        while size:
            try:
                while os.write(descriptor, b"\0" * size) == size:
                    pass
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
            size //= 2
    finally:
        os.close(descriptor)


def detach(mount: Path) -> None:
    """Unmount, whoever uses it: what is open stays so, nothing new is found there."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.umount2(os.fsencode(mount), _MNT_DETACH) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(mount))


def break_off(mount: Path) -> None:
    """Let the file system (ext4) fail whatever is asked of it from now on, and lose what
    wasn't synced."""
    descriptor = os.open(mount, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.ioctl(descriptor, _EXT4_IOC_SHUTDOWN, _WITHOUT_FLUSHING.to_bytes(4, "little"))
    finally:
        os.close(descriptor)
