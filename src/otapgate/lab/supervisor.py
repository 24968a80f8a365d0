"""The process that a lab hangs on: pid 1 of its own namespace of processes.

When it ends, by whatever cause, the kernel ends every process of the lab, and with them go
the networks, mounts and files of the hosts. Run as `python -m otapgate.lab.supervisor`
with the plan on standard input; it says on standard output, one JSON object a line, how it
goes, and last that the lab is up.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from otapgate.lab import base, cables, firewall, host, kernel
from otapgate.lab.plan import ADMIN, Hole, Host, Plan

STATE, CONTROL, LOCK, DISKS = "lab.json", "control", ".lock", "disks"


class Supervisor:
    """A lab, seen from inside."""

    def __init__(self, plan: Plan, process: int) -> None:
        self.plan = plan
        self.process = process
        """This process's number as the machine has it."""
        self.folder = Path(plan.folder)
        self.disks = self.folder / DISKS
        self.pids: dict[str, tuple[int, int]] = {}
        """By host that runs: its first process as the lab and as the machine number it."""
        self.ready: dict[str, int] = {}
        self.holes = list(plan.holes)
        self.cuts: list[Hole] = []
        self.admin, self.cookie = -1, 0
        self.began = time.monotonic()

    def up(self) -> None:
        """Everything from nothing. Raises OSError, with what failed in its text."""
        kernel.mount("", "/", flags=kernel.RECURSIVE | kernel.PRIVATE)
        self.disks.mkdir(exist_ok=True)
        kernel.mount("tmpfs", str(self.disks), "tmpfs", kernel.NO_DEV, "mode=755")
        own = self.disks / "proc"
        for name in ("proc", "hosts", "shares"):
            (self.disks / name).mkdir()
        kernel.mount("proc", str(own), "proc")
        (own / "sys/net/ipv4/ip_forward").write_text("1")
        base.make(self.disks / "base", [Path(x) for x in self.plan.layers], self.plan.mapped)
        for index, _share in enumerate(self.plan.shares):
            (self.disks / "shares" / str(index)).mkdir()
            (self.disks / "shares" / str(index)).chmod(0o1777)
        self.rules()
        self._ip("link set lo up\n")
        self._admin()
        for one in self.plan.hosts:
            self.begin(one)
        for one in self.plan.hosts:
            self.await_(one.name)

    def _admin(self) -> None:
        """The network that the administrator's programs are put in; held by an open file."""
        asked, answer = os.pipe()
        wait, go = os.pipe()
        child = os.fork()
        if child == 0:
            with contextlib.suppress(OSError):
                os.close(go)
                kernel.unshare(kernel.NEW_NET)
                os.write(answer, f"{host.number()} {kernel.network_cookie()}".encode())
                os.read(wait, 1)
            os._exit(0)
        os.close(wait)
        os.close(answer)
        told = os.read(asked, 60).split()
        if len(told) != 2:
            raise OSError(0, "the kernel gives no further network")
        outer, self.cookie = (int(x) for x in told)
        self.admin = os.open(f"/proc/{outer}/ns/net", os.O_RDONLY)
        self._cable(ADMIN, child)
        lines = cables.far(self.plan.admin)
        self._run([self.plan.ip, "-batch", "-"], lines, before=lambda: kernel.join(self.admin))
        os.close(go)
        os.waitpid(child, 0)
        os.close(asked)

    def _cable(self, name: str, process: int) -> None:
        self._ip(cables.near(self.plan, name, process))

    def begin(self, one: Host) -> None:
        """Start a host; `await_` waits until it can be logged in on."""
        disk = self.disks / "hosts" / one.name
        if not disk.exists():
            disk.mkdir()
            size = f",size={one.disk_mib}m" if one.disk_mib else ""
            kernel.mount("tmpfs", str(disk), "tmpfs", kernel.NO_DEV, f"mode=755{size}")
        answer, said = os.pipe()
        wait, go = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(answer)
            os.close(go)
            self._start(one, disk, said, wait)
        os.close(said)
        os.close(wait)
        os.waitpid(child, 0)
        told = _line(answer)
        if "error" in told:
            raise OSError(0, f"{one.name}: {told['error']}")
        self.pids[one.name] = (told["near"], told["far"])
        self._cable(one.name, told["near"])
        os.write(go, b".")
        os.close(go)
        self.ready[one.name] = answer

    def _start(self, one: Host, disk: Path, said: int, wait: int) -> None:
        """In a child: leave for new namespaces, and have a child there; never returns."""
        try:
            kernel.unshare(
                kernel.NEW_NS | kernel.NEW_NET | kernel.NEW_UTS | kernel.NEW_IPC | kernel.NEW_PID
            )
            near, number = os.pipe()
            child = os.fork()
            if child:
                os.write(number, str(child).encode())
                os._exit(0)
            os.close(number)
            _only(near, said, wait)
            far = host.number()
            _say(said, {"near": int(os.read(near, 20)), "far": far})
            if os.read(wait, 1) != b".":
                os._exit(1)
            self._run([self.plan.ip, "-batch", "-"], cables.far(one.address))
            sshd = "/usr/sbin/sshd"
            host.enter(self.plan, one, disk, self.disks / "base", self.disks / "shares")
            kernel.keep_capabilities()
            null = os.open("/dev/null", os.O_RDWR)
            for stream in range(3):  # the machine's, and not for the host to find
                os.dup2(null, stream)
            init = host.Init(one, sshd)
            init.start()
            _say(said, {"up": True})
            os.close(said)
            init.loop()
        except BaseException as error:
            with contextlib.suppress(OSError):
                _say(said, {"error": kernel.reason(error)})
        os._exit(1)

    def await_(self, name: str) -> None:
        """Wait for a host to answer; raises OSError with what it says is wrong."""
        answer = self.ready.pop(name)
        told = _line(answer)
        os.close(answer)
        if "error" in told:
            self.stop(name)
            raise OSError(0, f"{name}: {told['error']}")

    def stop(self, name: str) -> None:
        """As if its plug were pulled; what it wrote stays. Nothing when it isn't running."""
        near, _far = self.pids.pop(name, (0, 0))
        if near:
            os.kill(near, signal.SIGKILL)
            os.waitpid(near, 0)
            with contextlib.suppress(OSError):  # gone with the other end of the cable
                self._ip(f"link del {cables.interfaces(self.plan)[name]}\n")

    def rules(self) -> None:
        """Put the firewall's rules in force, all at once."""
        self._run([self.plan.nft, "-f", "-"], firewall.ruleset(self.plan, self.holes, self.cuts))

    def _ip(self, lines: str) -> None:
        self._run([self.plan.ip, "-batch", "-"], lines)

    def _run(self, command: list[str], said: str, before: Any = None) -> None:
        settings = {"PATH": host.PATH, "LD_LIBRARY_PATH": self.plan.library_path, "LANG": "C.UTF-8"}
        done = subprocess.run(
            command, input=said, text=True, capture_output=True, env=settings, check=False,
            timeout=30, preexec_fn=before,
        )  # fmt: skip
        if done.returncode != 0:
            raise OSError(0, f"{Path(command[0]).name}: {done.stderr.strip() or done.returncode}")

    def note(self) -> None:
        """Write down where everything is."""
        state = {
            "version": 1,
            "id": self.plan.id,
            "supervisor": {
                "pid": self.process,
                "started": started(self.process),
            },
            "user_namespace": self.plan.mapped,
            "admin": {
                "address": self.plan.admin,
                "network": f"/proc/{self.process}/fd/{self.admin}",
                "inode": os.fstat(self.admin).st_ino,
                "cookie": self.cookie,
            },
            "hosts": {
                one.name: {
                    "stage": one.stage,
                    "address": one.address,
                    "pid": self.pids.get(one.name, (0, 0))[1] or None,
                    "ports": sorted({22, *one.ports}),
                    "accounts": sorted(one.accounts),
                    "host_key": one.host_key_public.strip(),
                }
                for one in self.plan.hosts
            },
            "holes": [msgspec.to_builtins(x) for x in self.holes],
            "cuts": [msgspec.to_builtins(x) for x in self.cuts],
        }
        made = self.folder / f".{STATE}.new"
        made.write_text(json.dumps(state, indent=2) + "\n", "utf-8")
        made.chmod(0o600)
        made.replace(self.folder / STATE)

    def answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Do what somebody outside asks; raises OSError, KeyError."""
        known = {one.name: one for one in self.plan.hosts}
        match asked["do"]:
            case "stop":
                self.stop(known[asked["host"]].name)
            case "start":
                one = known[asked["host"]]
                if one.name not in self.pids:
                    self.begin(one)
                    self.await_(one.name)
            case "rules":
                self.holes = msgspec.convert(asked["holes"], list[Hole])
                self.cuts = msgspec.convert(asked["cuts"], list[Hole])
                self.rules()
            case "host-key":
                self._host_key(known[asked["host"]], asked["private"], asked["public"])
            case other:
                raise KeyError(other)
        self.note()
        return {"ok": True}

    def _host_key(self, one: Host, private: str, public: str) -> None:
        near, far = self.pids[one.name]
        one.host_key, one.host_key_public = private, public
        keys = Path(f"/proc/{far}/root/etc/ssh")
        (keys / "ssh_host_ed25519_key").write_text(private, "utf-8")
        (keys / "ssh_host_ed25519_key.pub").write_text(public, "utf-8")
        os.kill(near, signal.SIGHUP)

    def serve(self, bound: socket.socket, tied: int | None) -> None:
        """Answer until the lab is to end: asked to, its folder gone, or `tied` ended."""
        waiting = selectors.DefaultSelector()
        waiting.register(bound, selectors.EVENT_READ)
        if tied is not None:
            waiting.register(tied, selectors.EVENT_READ)
        while (self.folder / STATE).exists():
            self._bury()
            for key, _events in waiting.select(timeout=1.0):
                if key.fileobj is not bound:
                    return
                self._talk(bound)

    def _talk(self, bound: socket.socket) -> None:
        caller, _address = bound.accept()
        with caller:
            caller.settimeout(10)
            try:
                with caller.makefile("rw", encoding="utf-8") as stream:
                    asked = json.loads(stream.readline(1 << 20))
                    try:
                        told = self.answer(asked)
                    except (OSError, KeyError, ValueError, subprocess.SubprocessError) as error:
                        told = {"ok": False, "why": kernel.reason(error)}
                    stream.write(json.dumps(told) + "\n")
            except (OSError, ValueError):
                return

    def _bury(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while (found := os.waitpid(-1, os.WNOHANG)[0]) != 0:
                for name, (near, _far) in list(self.pids.items()):
                    if near == found:  # the host's first process was killed
                        self.pids.pop(name)
                        self.note()


def started(process: int) -> int:
    """When a process began, in ticks since the machine did; raises OSError."""
    told = Path(f"/proc/{process}/stat").read_text("utf-8", "replace")
    return int(told.rpartition(")")[2].split()[19])


def _only(*kept: int) -> None:
    """Close every open file but these and the standard three."""
    for number in [int(path.name) for path in Path("/proc/self/fd").iterdir()]:
        if number > 2 and number not in kept:
            with contextlib.suppress(OSError):
                os.close(number)


def _say(to: int, what: dict[str, Any]) -> None:
    os.write(to, json.dumps(what).encode() + b"\n")


def _line(source: int) -> dict[str, Any]:
    said = b""
    while not said.endswith(b"\n"):
        more = os.read(source, 1)
        if not more:
            return {"error": "it ended without a word"}
        said += more
    found: dict[str, Any] = json.loads(said)
    return found


def main() -> None:
    """Leave for new namespaces and be the lab; ends with it."""
    plan = msgspec.json.decode(sys.stdin.buffer.read(), type=Plan)
    tied = int(sys.argv[1]) if len(sys.argv) > 1 else None
    os.umask(0o022)
    try:
        if plan.mapped:
            _map()
        kernel.unshare(
            kernel.NEW_NS | kernel.NEW_NET | kernel.NEW_UTS | kernel.NEW_IPC | kernel.NEW_PID
        )
    except OSError as error:
        _say(1, {"error": kernel.reason(error), "step": "namespaces"})
        return
    if os.fork():
        return
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    try:
        supervisor = Supervisor(plan, host.number())
        _say(1, {"pid": supervisor.process})
        os.chdir(plan.folder)
        bound = socket.socket(socket.AF_UNIX)
        Path(CONTROL).unlink(missing_ok=True)
        bound.bind(CONTROL)
        bound.listen(8)
        supervisor.up()
        supervisor.note()
        _say(1, {"up": True})
    except (OSError, subprocess.SubprocessError) as error:
        with contextlib.suppress(OSError):
            _say(1, {"error": kernel.reason(error), "step": "hosts"})
        return
    null = os.open("/dev/null", os.O_RDWR)
    for stream in (0, 1):
        os.dup2(null, stream)
    supervisor.serve(bound, tied)


def _map() -> None:
    """Into a user namespace in which this user is root, and its range everybody else."""
    ready, done = os.pipe(), os.pipe()
    me = os.getpid()
    child = os.fork()
    if child == 0:
        os.close(ready[1])
        os.read(ready[0], 1)
        from otapgate.lab.programs import write_map

        try:
            write_map(me)
            os.write(done[1], b".")
        except (OSError, subprocess.SubprocessError) as error:
            os.write(done[1], kernel.reason(error).encode())
        os._exit(0)
    kernel.unshare(kernel.NEW_USER)
    os.write(ready[1], b".")
    os.close(ready[1])
    told = os.read(done[0], 1000)
    os.waitpid(child, 0)
    if told != b".":
        raise OSError(0, told.decode())
    os.setgroups([])
    os.setgid(0)
    os.setuid(0)


if __name__ == "__main__":
    main()
