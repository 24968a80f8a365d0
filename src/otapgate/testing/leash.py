"""Holds a program and all that comes of it; run as a script.

Started as `python -I -S leash.py CHANNEL COMMAND…`, so it imports nothing of otapgate and
nothing from the environment. It makes itself the parent of whatever its children leave
behind, starts the command in a session of its own, and waits for its end or for that of
otapgate, which is the end of CHANNEL. Then it kills what is left, down to the last
process, and says on CHANNEL how the command ended. So a `kill -9` of otapgate leaves
nothing running, and no daemon that a test starts outlives it.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import sys
import time

_PR_SET_CHILD_SUBREAPER = 36
PATIENCE_SECONDS = 10.0
"""How long killing may take before what is left is called lingering."""


def main(argv: list[str]) -> int:
    """Hold the command; returns 0 whatever became of it: that is told on the channel."""
    channel, command = int(argv[0]), argv[1:]
    os.set_inheritable(channel, False)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        return _tell(channel, {"failed": ctypes.get_errno()})
    try:
        child = os.posix_spawnp(
            command[0],
            command,
            os.environ,
            setsid=True,
            setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],
        )
    except OSError as error:
        return _tell(channel, {"failed": error.errno})
    # Our own hold on the output would keep its reader waiting.
    silent = os.open(os.devnull, os.O_RDWR)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    ended = os.pidfd_open(child)
    waiting = select.poll()
    waiting.register(channel, select.POLLIN | select.POLLHUP)
    waiting.register(ended, select.POLLIN)
    happened = {descriptor for descriptor, _event in waiting.poll()}
    status: int | None = None
    if ended in happened:
        status = os.waitpid(child, 0)[1]
    left = not _clear()
    exit_code = None if status is None else os.waitstatus_to_exitcode(status)
    return _tell(channel, {"exit": exit_code, "left": left})


def _clear() -> bool:
    """Kill every process that came of the command; whether none is left. Only our own
    children are killed, since their numbers can't come to mean another process; whose
    parent dies becomes our child, so that in the end everything has been one."""
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        for child in _children():
            try:
                os.kill(child, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                continue
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return True
        time.sleep(0.002)
    return False


def _children() -> list[int]:
    me = os.getpid()
    try:
        return [int(word) for word in _read(f"/proc/{me}/task/{me}/children").split()]
    except OSError:  # a kernel without that list
        numbers = [int(entry.name) for entry in os.scandir("/proc") if entry.name.isdecimal()]
        return [pid for pid in numbers if _parent(pid) == me]


def _parent(pid: int) -> int:
    try:
        return int(_read(f"/proc/{pid}/stat").rpartition(b")")[2].split()[1])
    except OSError:
        return 0


def _read(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        said = b""
        while chunk := os.read(descriptor, 65536):
            said += chunk
        return said
    finally:
        os.close(descriptor)


def _tell(channel: int, said: dict[str, object]) -> int:
    try:
        os.write(channel, json.dumps(said).encode() + b"\n")
    except OSError:
        return 1  # nobody is there any more
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
