"""A disk for the ledger alone that can fill up, go away or break, and comes back.

It takes a mount namespace of one's own; `broken` and `power` take loop devices too, so root.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from tests.e2e.school import remove

from .strike import detach

SIZE = "24M"
PATIENCE = 20.0


class Disk:
    """What is mounted on `.otapgate` of a landscape during a trial."""

    def __init__(self, work: Path) -> None:
        self.medium = work / "medium"
        self.image = work / "medium.img"
        self.medium.mkdir(exist_ok=True)
        self.mounted: Path | None = None

    def on(self, do: str, folder: Path) -> None:
        """Put what is in `folder` on a new disk, and that in its place."""
        if do in ("broken", "power"):
            with self.image.open("wb") as file:
                file.truncate(24 << 20)
            run("mkfs.ext4", "-q", "-F", str(self.image))
            run("mount", "-o", "loop", str(self.image), str(self.medium))
        else:
            run("mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0700", "none", str(self.medium))
        run("cp", "-a", f"{folder}/.", str(self.medium))
        self.medium.chmod(0o700)
        for child in folder.iterdir():  # nothing of it is below, where the disk goes away
            remove(child) if child.is_dir() else child.unlink()
        os.sync()
        if do in ("broken", "power"):
            detach(self.medium)
            run("mount", "-o", "loop", str(self.image), str(folder))
        else:
            run("mount", "--bind", str(self.medium), str(folder))
        self.mounted = folder

    def back(self, do: str) -> None:
        """The disk is as it was: room again, mounted again, or checked and mounted."""
        assert self.mounted is not None
        if do == "full":
            (self.mounted / FILLER).unlink()
        elif do == "gone":
            run("mount", "--bind", str(self.medium), str(self.mounted))
        elif do in ("broken", "power"):
            self._anew(self.mounted)

    def _anew(self, folder: Path) -> None:
        """Mount the broken disk again. While the kernel still clears up after who was killed,
        that would only show the same broken file system once more."""
        until = time.monotonic() + PATIENCE
        while True:
            detach(folder)
            run("mount", "-o", "loop", str(self.image), str(folder))
            try:
                (folder / FILLER).touch()
                (folder / FILLER).unlink()
            except OSError:
                assert time.monotonic() < until, "the disk doesn't come back"
                time.sleep(0.05)
            else:
                return

    def off(self) -> None:
        """Away with it."""
        for place in (self.mounted, self.medium):
            while place is not None and os.path.ismount(place):
                detach(place)
        self.mounted = None
        self.image.unlink(missing_ok=True)


FILLER = "filler"


def run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"


def can_mount() -> bool:
    """Whether this process may mount things, in a namespace of its own."""
    with tempfile.TemporaryDirectory() as place:
        done = subprocess.run(
            ["unshare", "-m", "mount", "-t", "tmpfs", "none", place],
            capture_output=True, check=False,
        )  # fmt: skip
    return done.returncode == 0


def can_loop() -> bool:
    """Whether there are loop devices and ext4 for it as well."""
    if shutil.which("mkfs.ext4") is None:
        return False
    with tempfile.TemporaryDirectory() as work:
        disk = Disk(Path(work))
        folder = Path(work) / "folder"
        folder.mkdir()
        try:
            disk.on("broken", folder)
        except (AssertionError, OSError):
            return False
        finally:
            with suppress(OSError):
                disk.off()
    return True


def loopback_up() -> None:
    """Switch on 127.0.0.1 in a network namespace of one's own."""
    import fcntl
    import socket
    import struct

    class Request(ctypes.Structure):
        _fields_ = (("name", ctypes.c_char * 16), ("flags", ctypes.c_short),
                    ("rest", ctypes.c_char * 22))  # fmt: skip

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, 0x8914, bytes(Request(b"lo", 1 | 64, b"")))
    assert struct.calcsize("P") == 8
