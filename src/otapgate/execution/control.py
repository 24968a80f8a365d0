"""ssh's control sockets: a private folder for each Ansible process, and their end.

Over one connection to a host go all the tasks of a run, which saves most of its time; ssh
keeps it open in a process of its own, the master. Here is seen to it that a master serves
one run only and ends with it, so that the next one looks at the host's key again.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets as random_names
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LONGEST = 79
"""Bytes of the folder's path: a socket's holds at most 107, of which Ansible's name for it
takes 11 and what ssh puts behind it while it makes one 17."""

_PLAIN = re.compile(r"/[\w./-]*\Z", re.ASCII)
"""ssh and Ansible both make something else of `%`, and ssh of spaces and quotes."""
_SECONDS = 5.0
_TRIES = 5


@contextmanager
def sockets() -> Iterator[Path | None]:
    """A new private folder for control sockets, whose masters are ended and which is removed
    afterwards; None where no path is short enough, and ssh connects for every task anew.

    Folders that killed commands left are removed first. Who holds one keeps it locked, so
    that one in use, of another command or in another container, is left alone.
    """
    for place in _places():
        root = place / f"otapgate-{os.getuid()}"
        if len(os.fsencode(root)) + 9 <= LONGEST and _is_private(root):
            _sweep(root)
            held = _make(root)
            if held is not None:
                break
    else:
        yield None
        return
    folder, descriptor = held
    try:
        yield folder
    finally:
        try:
            _end(folder)
        finally:
            os.close(descriptor)


def _places() -> Iterator[Path]:
    """Where it may be: in each no one else can put another folder in its place."""
    named = (tempfile.gettempdir(), os.environ.get("XDG_RUNTIME_DIR", ""), "/tmp", "/var/tmp")  # noqa: S108
    for name in dict.fromkeys(named):
        if not _PLAIN.match(name):
            continue
        with suppress(OSError):
            mode = Path(name).stat().st_mode
            if mode & stat.S_ISVTX or not mode & 0o022:
                yield Path(name)


def _is_private(folder: Path) -> bool:
    """Make it, unless it is there; whether it is a folder that only this user may enter."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return False
    mine = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
    return mine and stat.S_IMODE(found.st_mode) == 0o700


def _make(root: Path) -> tuple[Path, int] | None:
    """A new folder, and the descriptor that holds it locked."""
    for _attempt in range(_TRIES):
        folder = root / random_names.token_hex(4)
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            continue
        except OSError:
            return None
        descriptor = _locked(folder)
        if descriptor is not None:
            return folder, descriptor
    return None


def _locked(folder: Path) -> int | None:
    """A descriptor that holds `folder` locked; None when somebody else does, or it is gone."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), folder.lstat()):
            return descriptor
    except OSError:
        pass
    os.close(descriptor)
    return None


def _sweep(root: Path) -> None:
    """End and remove what killed commands left."""
    for folder in list(root.iterdir()):
        descriptor = _locked(folder)
        if descriptor is not None:
            try:
                _end(folder)
            finally:
                os.close(descriptor)


def _end(folder: Path) -> None:
    """Tell the masters to exit, all at once, and remove the folder. One that doesn't listen
    is out of reach from then on, and ends by itself when it has been idle long enough."""
    ssh = shutil.which("ssh")
    asked = []
    with suppress(OSError):
        for path in folder.iterdir():
            if ssh and stat.S_ISSOCK(path.lstat().st_mode):
                command = [ssh, "-F", "none", "-o", f"ControlPath={path}", "-O", "exit", "master"]
                asked.append(
                    subprocess.Popen(
                        command,
                        stdin=subprocess.DEVNULL,
                        stdout=subprocess.DEVNULL,
                        stderr=subprocess.DEVNULL,
                    )
                )
    for process in asked:
        try:
            process.wait(_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    shutil.rmtree(folder, ignore_errors=True)
