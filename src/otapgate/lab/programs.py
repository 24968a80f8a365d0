"""The programs that a lab is made with, on the machine or unpacked in the cache."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from otapgate.errors import Failed, Problem
from otapgate.i18n import _
from otapgate.lab import packages

_PLACES = ("usr/sbin", "usr/bin", "sbin", "bin")
_RANGE = 65536
"""How many accounts a lab has room for; nobody is the 65534th."""


@dataclass(frozen=True)
class Programs:
    """Paths on this machine."""

    ip: Path
    nft: Path
    library_path: str
    """Where those find their libraries; empty when they are installed."""
    layers: tuple[Path, ...]
    """Unpacked packages that the hosts have besides."""


def find() -> Programs:
    """What is there. Raises Failed `lab-programs` naming everything that isn't."""
    layers = tuple(packages.layers())
    trees = [layer / "tree" for layer in layers]
    found = {name: _first(name, trees) for name in ("ip", "nft")}
    lacking = [name for name, path in found.items() if path is None]
    lacking += [
        name.rpartition("/")[2]
        for name in ("usr/sbin/sshd", "usr/bin/python3")
        if not any((tree / name).exists() for tree in (Path("/"), *trees))
    ]
    if lacking or found["ip"] is None or found["nft"] is None:
        raise Failed(
            "lab-programs",
            _("The lab needs programs that aren't on this machine: {names}.").format(
                names=", ".join(lacking)
            ),
            remedy="otapgate lab fetch",
            problems=tuple(Problem(_("There is no {name}.").format(name=x)) for x in lacking),
        )
    libraries = [
        str(path) for tree in trees for path in sorted((tree / "usr/lib").glob("*-linux-gnu"))
    ]
    return Programs(found["ip"], found["nft"], ":".join(libraries), layers)


def _first(name: str, trees: list[Path]) -> Path | None:
    """The machine's own before an unpacked one."""
    for tree in (Path("/"), *trees):
        for place in _PLACES:
            path = tree / place / name
            if os.access(path, os.X_OK) and path.is_file():
                return path
    return None


def mapping() -> str | None:
    """Why this user can't have a namespace of users with more than one account, or None."""
    for name in ("newuidmap", "newgidmap"):
        if shutil.which(name) is None:
            return _(
                "{name} isn't installed (package uidmap), so there can be one account only, and"
                " sshd needs two"
            ).format(name=name)
    for file in ("/etc/subuid", "/etc/subgid"):
        if _subordinate(file) is None:
            return _("{file} gives {user} no range of {count} numbers").format(
                file=file, user=getpass.getuser(), count=_RANGE
            )
    return None


def write_map(process: int) -> None:
    """Make this user root in the user namespace of `process`, and its ranges the others.
    Raises OSError and subprocess.CalledProcessError."""
    for tool, file, own in (
        ("newuidmap", "/etc/subuid", os.getuid()), ("newgidmap", "/etc/subgid", os.getgid()),
    ):  # fmt: skip
        first = _subordinate(file)
        if first is None:
            raise OSError(0, f"{file}: no range")
        subprocess.run(
            [tool, str(process), "0", str(own), "1", "1", str(first), str(_RANGE - 1)],
            check=True, capture_output=True, timeout=30,
        )  # fmt: skip


def _subordinate(file: str) -> int | None:
    """The first number of a range of this user that is large enough."""
    try:
        lines = Path(file).read_text("utf-8").splitlines()
    except OSError:
        return None
    try:
        names = {getpass.getuser(), str(os.getuid())}
    except (KeyError, OSError):
        names = {str(os.getuid())}
    for line in lines:
        fields = line.split(":")
        if len(fields) == 3 and fields[0] in names and int(fields[2]) >= _RANGE - 1:
            return int(fields[1])
    return None
