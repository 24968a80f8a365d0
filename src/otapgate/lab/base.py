"""What every host of a lab starts from: the machine's programs, and little else of it.

`/usr` is the machine's, below the unpacked packages. `/etc` is a copy of what everybody
may read, without people, keys and passwords. `/var` is new but for the list of packages.
"""

from __future__ import annotations

import shutil
import stat
from collections.abc import Iterable
from pathlib import Path

_LEFT_OUT = frozenset(
    ("shadow", "shadow-", "gshadow", "gshadow-", "passwd-", "group-", "subuid", "subuid-",
     "subgid", "subgid-", "machine-id", "hostname", "hosts", "resolv.conf", "mtab", "fstab",
     "crypttab", "sudoers", "sudoers.d", "passwd", "group", "cron.d", "crontab", "docker",
     "kubernetes", "NetworkManager", "wireguard", "netplan", "letsencrypt", "environment")
)  # fmt: skip
"""What in /etc says who and where this machine is."""

_FIRST_PERSON = 1000
_NOBODY = 65534
_MORE = (("sshd", 74, 65534), ("postgres", 116, 116), ("mysql", 117, 117), ("postfix", 118, 118))
"""Accounts that packages would have made when they were installed: name, uid, gid."""
_DIRECTORIES = ("cache", "lib", "log", "mail", "opt", "spool", "lib/dpkg/info", "lib/sudo/lectured",
                "lib/postgresql", "lib/mysql", "spool/cron")  # fmt: skip
MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")


def make(base: Path, layers: Iterable[Path], mapped: bool) -> None:
    """Fill `base/etc`, `base/var` and `base/usr`, the lower layers of every host's own."""
    layers = list(layers)
    etc, var, usr = base / "etc", base / "var", base / "usr"
    for folder in (etc, var, usr):
        folder.mkdir(parents=True)
    _copy(Path("/etc"), etc, _LEFT_OUT)
    for layer in layers:
        if (layer / "tree/etc").is_dir():
            _copy(layer / "tree/etc", etc, _LEFT_OUT)
    for path in (etc / "ssh").glob("ssh_host_*"):
        path.unlink()
    (etc / "passwd").write_text(_passwd(), "utf-8")
    (etc / "group").write_text(_group(), "utf-8")
    (etc / "sudoers").write_text(
        "Defaults env_reset\nDefaults !lecture\n"
        'Defaults secure_path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"\n'
        "root ALL=(ALL:ALL) ALL\n@includedir /etc/sudoers.d\n",
        "utf-8",
    )
    (etc / "sudoers").chmod(0o440)
    (etc / "sudoers.d").mkdir(mode=0o750)
    for name in _DIRECTORIES:
        (var / name).mkdir(parents=True, exist_ok=True)
    (var / "tmp").mkdir()
    (var / "tmp").chmod(0o1777)
    (var / "run").symlink_to("/run")
    (var / "lock").symlink_to("/run/lock")
    (var / "lib/dpkg/status").write_text(_status(layers), "utf-8")
    _setuid(usr, layers, mapped)


def _copy(source: Path, target: Path, left_out: frozenset[str] = frozenset()) -> None:
    """What everybody may read; what is there already stays."""
    target.mkdir(exist_ok=True)
    for path in source.iterdir():
        mode = path.lstat().st_mode
        to = target / path.name
        if path.name in left_out or (to.exists() and not stat.S_ISDIR(mode)):
            continue
        if stat.S_ISLNK(mode):
            if not to.is_symlink():
                to.symlink_to(path.readlink())
        elif stat.S_ISDIR(mode) and mode & 0o005 == 0o005:
            _copy(path, to)
        elif stat.S_ISREG(mode) and mode & 0o004:
            shutil.copyfile(path, to)
            to.chmod(stat.S_IMODE(mode) & 0o755)


def _lines(file: str) -> list[list[str]]:
    return [line.split(":") for line in Path(file).read_text("utf-8").splitlines() if ":" in line]


def _system(number: str) -> bool:
    return number.isdigit() and (int(number) < _FIRST_PERSON or int(number) == _NOBODY)


def _passwd() -> str:
    """The machine's accounts that aren't people, and those that packages bring."""
    kept = [line for line in _lines("/etc/passwd") if len(line) == 7 and _system(line[2])]
    for line in kept:
        if line[0] == "root":
            line[5:] = ["/root", "/bin/bash"]
    names, numbers = {line[0] for line in kept}, {line[2] for line in kept}
    for name, uid, gid in _MORE:
        if name not in names:
            free = next(n for n in range(uid, _FIRST_PERSON) if str(n) not in numbers)
            numbers.add(str(free))
            home = {"postgres": "/var/lib/postgresql", "sshd": "/run/sshd"}.get(
                name, "/nonexistent"
            )
            kept.append([name, "x", str(free), str(gid), "", home, "/usr/sbin/nologin"])
    return "".join(":".join(line) + "\n" for line in kept)


def _group() -> str:
    kept = [[*x[:3], ""] for x in _lines("/etc/group") if len(x) == 4 and _system(x[2])]
    names, numbers = {line[0] for line in kept}, {line[2] for line in kept}
    for name, _uid, gid in _MORE:
        if name not in names and gid != _NOBODY and str(gid) not in numbers:
            kept.append([name, "x", str(gid), ""])
    return "".join(":".join(line) + "\n" for line in kept)


def _status(layers: list[Path]) -> str:
    """dpkg's list: the machine's packages, with those laid over them in their place."""
    machine = Path("/var/lib/dpkg/status")
    texts = [(layer / "status").read_text("utf-8") for layer in layers]
    if machine.is_file():
        texts.append(machine.read_text("utf-8", "replace"))
    found: dict[str, str] = {}
    for text in texts:
        for paragraph in text.split("\n\n"):
            head = paragraph.strip().partition("\n")[0]
            if head.startswith("Package:"):
                found.setdefault(head, paragraph.strip())
    return "".join(f"{paragraph}\n\n" for _head, paragraph in sorted(found.items()))


def _setuid(usr: Path, layers: list[Path], mapped: bool) -> None:
    """Programs that make somebody else of who runs them, with root of the lab as owner."""
    for layer in layers:
        for line in (layer / "setuid").read_text("utf-8").splitlines():
            mode, _space, name = line.partition(" ")
            if name.startswith("usr/") and not (usr / name[4:]).exists():
                _own(layer / "tree" / name, usr / name[4:], int(mode, 8))
    if not mapped:
        return
    # The machine's root is nobody in a user namespace, and sudo wants to be root's.
    sudo = Path("/usr/bin/sudo")
    if sudo.is_file() and not (usr / "bin/sudo").exists():
        try:
            _own(sudo, usr / "bin/sudo", 0o4755)
        except PermissionError:  # a machine that lets nobody read it
            return
        for folder in (Path("/usr/libexec/sudo"), Path("/usr/lib/sudo")):
            for path in folder.glob("*.so*"):
                _own(path, usr / path.relative_to("/usr"), 0o644)


def _own(source: Path, target: Path, mode: int) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(mode)
