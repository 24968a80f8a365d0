"""Debian packages that are unpacked in the user's cache and not installed.

Run as `python -m otapgate.lab.packages NAME…` or `tools/debian-packages NAME…`. A set of
names becomes one folder with what `apt-get install` would add to this machine, so that it
can be laid over the machine's own files. Needs no root, and no network the second time.
What packages do when they are installed (accounts, services) isn't done.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import platform
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from otapgate.errors import Failed, OtapgateError, Usage
from otapgate.i18n import _

_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+\Z")
_ADDED = re.compile(r"^Inst ([a-z0-9][a-z0-9+.-]*)", re.MULTILINE)
_MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
"""What has been a link into /usr since Debian 12."""

NEEDED = ("openssh-server", "nftables", "iproute2", "sudo", "python3")
"""What a lab can't do without."""


def cache() -> Path:
    """The folder of this user and this kind of system."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    # A relative one is to be ignored, says the XDG base directory specification.
    base = Path(home) if Path(home).is_absolute() else Path.home() / ".cache"
    try:
        system = platform.freedesktop_os_release()
    except OSError:
        system = {}
    kind = f"{system.get('ID', 'linux')}-{system.get('VERSION_ID', '0')}-{platform.machine()}"
    return base / "otapgate" / "debian" / kind


def layers() -> list[Path]:
    """Every set that is there whole, the newest first; each holds `tree` and `status`."""
    found = [path.parent for path in cache().glob("*/packages")]
    return sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)


def fetch(names: Sequence[str]) -> Path:
    """Unpack `names` and what they need that this machine lacks; returns the set's folder.

    Two that run at once wait for each other. Raises Usage (`package-name`) and Failed
    (`apt-missing`, `packages-not-fetched`).
    """
    wanted = sorted(set(names))
    for name in wanted:
        if not _NAME.match(name):
            raise Usage(
                "package-name", _("'{name}' can't be the name of a package.").format(name=name)
            )
    kept = cache() / hashlib.sha256("\n".join(wanted).encode()).hexdigest()[:16]
    with _alone(kept.parent):
        if not (kept / "packages").is_file():
            _unpack(wanted, kept)
    return kept


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    # 0700: what is unpacked may have been meant for root.
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _unpack(wanted: list[str], kept: Path) -> None:
    """Into a folder aside that is renamed, so that a cut leaves no half set."""
    for tool in ("apt-get", "dpkg-deb", "tar"):
        if shutil.which(tool) is None:
            raise Failed(
                "apt-missing",
                _("{tool} isn't there, so packages can't be fetched.").format(tool=tool),
                remedy=_("install these yourself: {names}").format(names=" ".join(wanted)),
            )
    added = _resolve(wanted)
    shutil.rmtree(kept, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=kept.parent, prefix=".fetching-") as aside:
        # apt fetches as a user of its own, which couldn't get in here; hence as root itself.
        archives, made = Path(aside) / "archives", Path(aside) / "made"
        archives.mkdir()
        tree = made / "tree"
        for name in _MERGED:
            (tree / "usr" / name).mkdir(parents=True)
            (tree / name).symlink_to(f"usr/{name}")
        if added:
            _run(["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", *added], archives)
        status = ""
        for archive in sorted(archives.glob("*.deb")):
            status += _control(archive)
            _extract(archive, tree)
        (made / "setuid").write_text("".join(f"{x}\n" for x in _tame(tree)), "utf-8")
        (made / "status").write_text(status, "utf-8")
        (made / "packages").write_text("\n".join(wanted) + "\n", "utf-8")
        made.rename(kept)


def _resolve(wanted: list[str]) -> list[str]:
    """What apt would add to this machine, with what it needs."""
    command = ["apt-get", "-q", "-s", "--no-install-recommends", "install", *wanted]
    done = _said(command)
    if done.returncode != 0 and os.geteuid() == 0:
        _run(["apt-get", "-q", "update"], Path("/"))
        done = _said(command)
    if done.returncode != 0:
        raise _failed(command, done, _("run apt-get update as root once, and this again"))
    return sorted(set(_ADDED.findall(done.stdout)))


def _control(archive: Path) -> str:
    """The package's paragraph as it stands in dpkg's list when it is installed."""
    told = _run(["dpkg-deb", "--field", str(archive)], archive.parent).stdout
    head, _newline, rest = told.partition("\n")
    return f"{head}\nStatus: install ok installed\n{rest.rstrip()}\n\n"


def _extract(archive: Path, tree: Path) -> None:
    # Not `dpkg-deb --extract`: its tar would put a folder in place of the link from lib to
    # usr/lib.
    with subprocess.Popen(
        ["dpkg-deb", "--fsys-tarfile", str(archive)],  # noqa: S607 - Debian's own
        stdout=subprocess.PIPE,
    ) as source:
        _run(["tar", "-x", "-f", "-", "--keep-directory-symlink", "-C", str(tree)],
             tree, stdin=source.stdout)  # fmt: skip
    if source.returncode != 0:
        raise Failed("packages-not-fetched", _("{file} is damaged.").format(file=archive.name))


def _tame(tree: Path) -> list[str]:
    """Take the setuid and setgid bits off every file, and tell which had them (mode and
    path): in the cache nobody is to become somebody else by them."""
    found = []
    for folder, _folders, names in os.walk(tree):
        for name in names:
            path = Path(folder, name)
            mode = path.lstat().st_mode
            if stat.S_ISREG(mode) and mode & 0o6000:
                path.chmod(stat.S_IMODE(mode) & ~0o6000)
                found.append(f"{stat.S_IMODE(mode):o} {path.relative_to(tree)}")
    return sorted(found)


def _said(
    command: list[str], folder: Path | None = None, stdin: IO[bytes] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"},
        stdin=stdin or subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=1800,
    )


def _run(
    command: list[str], folder: Path, stdin: IO[bytes] | None = None
) -> subprocess.CompletedProcess[str]:
    done = _said(command, folder, stdin)
    if done.returncode != 0:
        raise _failed(command, done, _("connect to the network once, and run this again"))
    return done


def _failed(command: list[str], done: subprocess.CompletedProcess[str], remedy: str) -> Failed:
    lines = [x for x in done.stderr.splitlines() if x.startswith(("E:", "tar:", "dpkg"))]
    return Failed(
        "packages-not-fetched",
        _("{command} failed: {why}").format(
            command=" ".join(command[:1]), why=(lines or [str(done.returncode)])[-1]
        ),
        remedy=remedy,
    )


def main(names: list[str]) -> int:
    """Print the folder that holds the packages; an exit code. Where there is no apt, a
    machine that has all a lab needs is fine as it is."""
    from otapgate.lab import programs

    try:
        print(fetch(names or NEEDED))
    except OtapgateError as error:
        if error.code == "apt-missing":
            with contextlib.suppress(Failed):
                programs.find()
                return 0
        sys.stderr.write(f"otapgate: {error.message}\n   → {error.remedy or '-'}\n")
        return error.exit
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
