"""Ties ansible-playbook to the otapgate process that started it; run as a script.

Started as `python -I -S tether.py LOCK PARENT COMMAND…`, so it imports nothing of
otapgate and nothing from the environment. It asks the kernel to send SIGTERM when the
parent dies, takes a file lock that Ansible and its workers keep for as long as one of
them lives, and then becomes Ansible. So a `kill -9` of otapgate stops Ansible, and until
it has really stopped the environment is seen to be busy.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import signal
import sys
import time

PARENT_GONE = 124
LOCK_HELD = 125
NOT_STARTED = 126
PATIENCE_SECONDS = 10.0
"""How long a worker of the step before may take to end before this counts as busy."""

_PR_SET_PDEATHSIG = 1


def main(argv: list[str]) -> int:
    """Lock, tie, become the command; returns only when that failed (an exit code)."""
    lock, parent, command = argv[0], int(argv[1]), argv[2:]
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
            sys.stderr.write("otapgate: the kernel refused PR_SET_PDEATHSIG\n")
            return NOT_STARTED
    if os.getppid() != parent:  # it died before the kernel was told
        return PARENT_GONE
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() > until:
                return LOCK_HELD
            time.sleep(0.05)
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    holder = {"pid": os.getpid(), "since": since, "command": "ansible-playbook"}
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(holder).encode(), 0)
    # Inherited over exec and by Ansible's forked workers; modules and the services they
    # start don't get it, since Ansible starts those with all descriptors closed.
    os.set_inheritable(descriptor, True)
    try:
        os.execv(command[0], command)  # noqa: S606 - a list, no shell
    except OSError as error:
        sys.stderr.write(f"otapgate: {command[0]}: {error.strerror}\n")
    return NOT_STARTED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
