"""Becomes an ordinary user, as which a command is run: `python ordinary.py RANGES COMMAND…`.

To be run as root. In a namespace of mounts of its own, so that the machine doesn't notice,
there comes a user `lab-user` who can read Python, this checkout and the unpacked packages
wherever they are, and who has, with RANGES `yes`, what the package uidmap and `useradd`
would have given: newuidmap and a range of numbers. Its home is in memory, and gone afterwards.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from otapgate.lab import kernel, packages

NAME, NUMBER = "lab-user", 54321
ROOT = Path(__file__).resolve().parents[2]


WORK = Path("/mnt")


def main(ranges: bool, command: list[str]) -> None:
    layers = packages.layers()
    kernel.unshare(kernel.NEW_NS)
    kernel.mount("", "/", flags=kernel.RECURSIVE | kernel.PRIVATE)
    work = WORK
    kernel.mount("tmpfs", str(work), "tmpfs", 0, "mode=755")
    cache = work / "cache" / packages.cache().relative_to(packages.cache().parents[2])
    for layer in layers:
        (cache / layer.name).mkdir(parents=True)
        kernel.bind(str(layer), str(cache / layer.name))
    show(work, [Path(sys.base_prefix), Path(sys.prefix), ROOT])
    for name in ("etc", "changes"):
        (work / name).mkdir()
    kernel.mount(
        "overlay", "/etc", "overlay", 0,
        f"lowerdir=/etc,upperdir={work / 'etc'},workdir={work / 'changes'}",
    )  # fmt: skip
    add("/etc/passwd", f"{NAME}:x:{NUMBER}:{NUMBER}::{work}/home:/bin/sh\n")
    add("/etc/group", f"{NAME}:x:{NUMBER}:\n")
    tools = work / "bin"
    tools.mkdir()
    if ranges:
        for file in ("/etc/subuid", "/etc/subgid"):
            add(file, f"{NAME}:700000:65536\n")
        for name in ("newuidmap", "newgidmap"):
            found = next(
                path
                for layer in [Path("/"), *(cache / layer.name / "tree" for layer in layers)]
                if (path := layer / "usr/bin" / name).is_file()
            )
            (tools / name).write_bytes(found.read_bytes())
            (tools / name).chmod(0o4755)
    home = work / "home"
    home.mkdir()
    os.chown(home, NUMBER, NUMBER)
    os.setgroups([])
    os.setgid(NUMBER)
    os.setuid(NUMBER)
    os.chdir(home)
    os.execve(
        command[0],
        command,
        {
            "PATH": f"{tools}:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(home), "USER": NAME,
            "LOGNAME": NAME, "XDG_CACHE_HOME": str(work / "cache"), "LC_ALL": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
        },
    )  # fmt: skip


def show(work: Path, wanted: list[Path]) -> None:
    """Make folders reachable that are in one that only root may enter."""
    hidden: dict[Path, list[Path]] = {}
    for path in (x.resolve() for x in wanted):
        for parent in reversed(path.parents):
            if parent.stat().st_mode & 0o001 == 0:
                hidden.setdefault(parent, []).append(path)
                break
    for number, (closed, inside) in enumerate(hidden.items()):
        stash = work / f"stash{number}"
        stash.mkdir()
        kernel.mount(str(closed), str(stash), flags=kernel.BIND | kernel.RECURSIVE)
        kernel.mount("tmpfs", str(closed), "tmpfs", 0, "mode=755")
        for path in inside:
            path.mkdir(parents=True, exist_ok=True)
            source = stash / path.relative_to(closed)
            kernel.mount(str(source), str(path), flags=kernel.BIND | kernel.RECURSIVE)


def add(file: str, line: str) -> None:
    """One more line in a file of the machine, as this command sees it."""
    with Path(file).open("a", encoding="utf-8") as stream:
        stream.write(line)
    Path(file).chmod(0o644)


if __name__ == "__main__":
    main(sys.argv[1] == "yes", sys.argv[2:])
