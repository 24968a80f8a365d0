"""What the first process of a host does: its file system, its accounts, its services.

It runs in the host's own namespaces, as pid 1 of them. After `enter` nothing of the
machine can be seen any more, so nothing may be imported from then on.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import time
from pathlib import Path

from otapgate.lab import kernel
from otapgate.lab.base import MERGED
from otapgate.lab.plan import Account, Host, Plan, Service

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_HIDDEN = ("sysrq-trigger", "kcore", "kmsg", "timer_list", "keys")
_SECONDS_TO_LISTEN = 20.0

SSHD = """Port 22
HostKey /etc/ssh/ssh_host_ed25519_key
AuthorizedKeysFile .ssh/authorized_keys
PasswordAuthentication yes
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
UsePAM no
UseDNS no
PrintMotd no
MaxStartups 200:30:400
MaxSessions 50
AcceptEnv LANG LC_*
SetEnv LANG=C.UTF-8
PidFile /run/sshd.pid
Subsystem sftp internal-sftp
"""


def enter(plan: Plan, host: Host, disk: Path, base: Path, shares: Path) -> None:
    """Build the host's file system on `disk` (a mount) and make it the only view."""
    socket.sethostname(host.name)
    root = disk / "root"
    first = not root.exists()
    for name in ("root", "layers"):
        (disk / name).mkdir(exist_ok=True)
    kernel.bind(str(root), str(root))
    for name in ("usr", "etc", "var", "home", "root", "tmp", "run", "srv", "opt", "mnt",
                 "media", "proc", "sys", "dev"):  # fmt: skip
        (root / name).mkdir(exist_ok=True)
    (root / "root").chmod(0o700)
    (root / "tmp").chmod(0o1777)
    trees = [Path(layer) / "tree" for layer in plan.layers]
    over(plan, disk, "usr", [base / "usr", *(tree / "usr" for tree in trees), Path("/usr")])
    over(plan, disk, "etc", [base / "etc"])
    over(plan, disk, "var", [base / "var"])
    for name in MERGED:
        source = Path("/", name)
        if source.is_symlink() and not (root / name).is_symlink():
            (root / name).symlink_to(source.readlink())
        elif source.is_dir() and not source.is_symlink():
            (root / name).mkdir(exist_ok=True)
            over(plan, disk, name, [source])
    _devices(root)
    kernel.mount("tmpfs", str(root / "run"), "tmpfs", kernel.NO_SUID | kernel.NO_DEV, "mode=755")
    for name in ("lock", "sshd"):
        (root / "run" / name).mkdir()
    for index, share in enumerate(plan.shares):
        if host.name in share.hosts:
            target = root / share.path.lstrip("/")
            target.mkdir(parents=True, exist_ok=True)
            kernel.bind(str(shares / str(index)), str(target))
    kernel.become_root_of(str(root))
    if first:
        _install(plan, host)


def over(plan: Plan, disk: Path, name: str, lower: list[Path]) -> None:
    """Mount `lower`, the first over the others, with what this host writes over all."""
    upper, work = disk / "layers" / f"{name}.upper", disk / "layers" / f"{name}.work"
    for folder in (upper, work):
        folder.mkdir(exist_ok=True)
    there = ":".join(_escaped(path) for path in lower if path.is_dir())
    data = f"lowerdir={there},upperdir={_escaped(upper)},workdir={_escaped(work)}"
    if plan.mapped:
        data += ",userxattr"
    kernel.mount("overlay", str(disk / "root" / name), "overlay", 0, data)


def _escaped(path: Path) -> str:
    return str(path).replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,")


def _devices(root: Path) -> None:
    dev, proc = root / "dev", root / "proc"
    kernel.mount("tmpfs", str(dev), "tmpfs", kernel.NO_SUID, "mode=755")
    for name in _DEVICES:
        (dev / name).touch()
        kernel.bind(f"/dev/{name}", str(dev / name))
    for name, mode in (("pts", ""), ("shm", "mode=1777")):
        (dev / name).mkdir()
        if mode:
            kernel.mount("tmpfs", str(dev / name), "tmpfs", kernel.NO_SUID, mode)
    kernel.mount("devpts", str(dev / "pts"), "devpts", kernel.NO_SUID | kernel.NO_EXEC,
                 "newinstance,ptmxmode=0666,mode=0620,gid=5")  # fmt: skip
    for name, to in (("ptmx", "pts/ptmx"), ("fd", "/proc/self/fd"), ("stdin", "fd/0"),
                     ("stdout", "fd/1"), ("stderr", "fd/2")):  # fmt: skip
        (dev / name).symlink_to(to)
    kernel.mount("proc", str(proc), "proc", kernel.NO_SUID | kernel.NO_DEV | kernel.NO_EXEC)
    # Root on a host is root on the machine to /proc/sys, which isn't the host's alone.
    kernel.bind(str(proc / "sys"), str(proc / "sys"), read_only=True)
    for name in _HIDDEN:
        if (proc / name).exists():
            kernel.bind("/dev/null", str(proc / name))
    # Where only a part of it is shown to us it can't be had, and a host works without.
    with contextlib.suppress(OSError):
        flags = kernel.READ_ONLY | kernel.NO_SUID | kernel.NO_DEV
        kernel.mount("sysfs", str(root / "sys"), "sysfs", flags)


def _install(plan: Plan, host: Host) -> None:
    """What makes this host this one; at its first start only, since then it is its own."""
    known = "".join(f"{x.address} {x.name}\n" for x in plan.hosts)
    _write("/etc/hostname", f"{host.name}\n")
    _write("/etc/hosts", f"127.0.0.1 localhost\n{known}")
    _write("/etc/resolv.conf", "")
    _write("/etc/fstab", "")
    _write("/etc/machine-id", f"{host.machine_id}\n", 0o444)
    _write("/etc/ssh/ssh_host_ed25519_key", host.host_key, 0o600)
    _write("/etc/ssh/ssh_host_ed25519_key.pub", host.host_key_public)
    _write("/etc/ssh/sshd_config", SSHD)
    system = [line.split(":")[0] for line in _read("/etc/passwd")]
    shadow = [f"{name}:*:20000:0:99999:7:::" for name in system if name not in host.accounts]
    people, groups = _read("/etc/passwd"), _read("/etc/group")
    for name, account in host.accounts.items():
        if name != "root":
            people.append(f"{name}:x:{account.uid}:{account.uid}::/home/{name}:{account.shell}")
            groups.append(f"{name}:x:{account.uid}:")
        shadow.append(f"{name}:{account.shadow}:20000:0:99999:7:::")
        for wanted in account.groups:
            groups = _joined(groups, wanted, name)
    _write("/etc/passwd", "\n".join(people) + "\n")
    _write("/etc/group", "\n".join(groups) + "\n")
    _write("/etc/shadow", "\n".join(shadow) + "\n", 0o600)
    for name, account in host.accounts.items():
        _home(name, account)
    for path, content in host.files.items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        _write(path, content)


def _home(name: str, account: Account) -> None:
    home = Path("/root") if name == "root" else Path("/home", name)
    home.mkdir(mode=0o700, exist_ok=True)
    (home / ".ssh").mkdir(mode=0o700)
    _write(str(home / ".ssh/authorized_keys"), "".join(f"{x}\n" for x in account.keys), 0o600)
    for path in (home, home / ".ssh", home / ".ssh/authorized_keys"):
        os.chown(path, account.uid, account.uid)
    if account.sudo and name != "root":
        _write(f"/etc/sudoers.d/{name}", f"{name} ALL=(ALL:ALL) NOPASSWD: ALL\n", 0o440)


def _joined(groups: list[str], wanted: str, name: str) -> list[str]:
    """The lines of /etc/group with `name` in the group `wanted`, made where it lacks."""
    found = []
    there = False
    for line in groups:
        fields = line.split(":")
        if fields[0] == wanted:
            there = True
            fields[3] = ",".join([x for x in fields[3].split(",") if x] + [name])
        found.append(":".join(fields))
    if not there:
        taken = {line.split(":")[2] for line in groups}
        number = next(n for n in range(999, 100, -1) if str(n) not in taken)
        found.append(f"{wanted}:x:{number}:{name}")
    return found


def _read(path: str) -> list[str]:
    return Path(path).read_text("utf-8").splitlines()


def _write(path: str, text: str, mode: int = 0o644) -> None:
    file = Path(path)
    file.unlink(missing_ok=True)
    file.write_text(text, "utf-8")
    file.chmod(mode)


def number() -> int:
    """This process's id as the machine has it, while the machine's /proc is in view."""
    return int(Path("/proc/self").readlink().name)


class Init:
    """Starts the services, and buries what dies; never returns."""

    def __init__(self, host: Host, sshd: str) -> None:
        self.services = [Service(name="sshd", run=[sshd, "-D", "-e"], restart=True), *host.services]
        self.running: dict[int, Service] = {}
        self.due: dict[float, Service] = {}

    def start(self) -> None:
        """Begin them all; raises OSError when sshd doesn't come to listen."""
        signal.signal(signal.SIGHUP, lambda *_: self._renew())
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
        for service in self.services:
            self.begin(service)
        until = time.monotonic() + _SECONDS_TO_LISTEN
        while not _listening(22):
            self.bury()
            if time.monotonic() > until or not any(
                service.name == "sshd" for service in self.running.values()
            ):
                tail = " ".join(_read("/var/log/sshd.log")[-3:])
                raise OSError(0, f"sshd: {tail}")
            time.sleep(0.01)

    def loop(self) -> None:
        while True:
            self.bury()
            for when in [x for x in self.due if x <= time.monotonic()]:
                self.begin(self.due.pop(when))
            time.sleep(0.2)  # a child's end interrupts it

    def begin(self, service: Service) -> None:
        child = os.fork()
        if child:
            self.running[child] = service
            return
        try:
            _become(service)
        except BaseException as error:
            sys.stderr.write(f"{service.run[0]}: {error}\n")
            sys.stderr.flush()
        os._exit(127)

    def bury(self) -> None:
        while True:
            try:
                child, _status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if child == 0:
                return
            service = self.running.pop(child, None)
            if service is not None and service.restart:
                self.due[time.monotonic() + 0.3] = service

    def _renew(self) -> None:
        """sshd anew, with the host key that is there now; sessions go on."""
        for child, service in self.running.items():
            if service.name == "sshd":
                os.kill(child, signal.SIGTERM)


def _become(service: Service) -> None:
    os.setsid()
    log = os.open(f"/var/log/{service.name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    null = os.open("/dev/null", os.O_RDONLY)
    for source, target in ((null, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGCHLD, signal.SIGINT, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    person = next(x for x in (y.split(":") for y in _read("/etc/passwd")) if x[0] == service.user)
    uid, gid, home = int(person[2]), int(person[3]), person[5]
    member = [
        int(x[2]) for x in (y.split(":") for y in _read("/etc/group"))
        if service.user in x[3].split(",")
    ]  # fmt: skip
    if uid:
        os.setgroups([gid, *member])
        os.setgid(gid)
        os.setuid(uid)
    os.chdir(home if uid and Path(home).is_dir() else "/")
    os.execvpe(  # noqa: S606 - a list, no shell
        service.run[0], service.run,
        {"PATH": PATH, "HOME": home, "USER": service.user, "LANG": "C.UTF-8"},
    )  # fmt: skip


def _listening(port: int) -> bool:
    """Whether somebody listens on that TCP port, by the kernel's own list."""
    for name in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = _read(name)[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                return True
    return False
