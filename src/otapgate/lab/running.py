"""A lab from outside: starting and ending it, and what can be asked of it meanwhile."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from otapgate.errors import Busy, Failed, Usage
from otapgate.i18n import _
from otapgate.lab import kernel, material, plan
from otapgate.lab.supervisor import CONTROL, DISKS, LOCK, STATE, started

MARK = "OTAPGATE_LAB"
"""Environment variable of every program that was started in a lab: the lab's id."""
KEYS, LOG = "keys", "lab.log"
_OURS = (STATE, f".{STATE}.new", CONTROL, LOG, LOCK, material.STREET, material.KNOWN_HOSTS)
_SECONDS_UP, _SECONDS_DOWN = 60.0, 5.0


@dataclass(frozen=True)
class Lab:
    """A lab that runs."""

    folder: Path
    state: dict[str, Any]
    """What lab.json says."""

    @property
    def pid(self) -> int:
        return int(self.state["supervisor"]["pid"])


def up(folder: Path, file: Path | None = None, tied: int | None = None) -> tuple[Lab, float]:
    """Start a lab in `folder`; returns it and the seconds that took.

    With `tied`, it ends when that process does. Raises Busy `lab-runs` when there is one
    already, BadInput for lab.yml, Failed `lab-programs` and `lab-refused` when the machine
    can't have one.
    """
    from otapgate.lab import draw, programs

    began = time.monotonic()
    asked = draw.read(file)
    tools = programs.find()
    mapped = os.geteuid() != 0
    if mapped and (why := programs.mapping()) is not None:
        raise _refused(why)
    folder = folder.resolve()
    lock: int | None = None
    try:
        _make(folder)
        lock = _lock(folder)
        if lock is None:
            raise Busy(
                "lab-runs",
                _("A lab runs in {folder} already.").format(folder=folder),
                remedy=f"otapgate lab down {folder}",
            )
        _sweep(folder)
        (folder / STATE).unlink(missing_ok=True)  # of one that was killed
        key = draw.pair("otapgate-lab")
        drawn = draw.draw(asked, folder, tools, key, mapped)
        _write(folder / KEYS / "lab", key.private)
        _write(folder / KEYS / "lab.pub", key.public)
        _begin(folder, drawn.plan, lock, tied)
        lab = find(folder)
        material.write(lab.folder, lab.state, drawn.passwords)
        return lab, time.monotonic() - began
    except BaseException:
        if lock is not None:
            os.close(lock)
            lock = None
            _stop(folder)
        if not running(folder):  # else it is another's
            _clear(folder)
        raise
    finally:
        if lock is not None:
            os.close(lock)


def foresee(file: Path | None) -> list[plan.Host]:
    """The hosts that `up` would start; raises what it would."""
    from otapgate.lab import draw, programs

    asked = draw.read(file)
    mapped = os.geteuid() != 0
    if mapped and (why := programs.mapping()) is not None:
        raise _refused(why)
    made = draw.draw(asked, Path(), programs.find(), draw.pair("otapgate-lab"), mapped)
    return made.plan.hosts


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)  # it holds keys and passwords
    except OSError as error:
        raise Usage(
            "lab-folder", _("{folder} can't hold a lab: {why}.").format(folder=folder, why=error)
        ) from error


def _lock(folder: Path) -> int | None:
    """The lab's lock, an open file that must stay open; None when a lab holds it."""
    handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


def _begin(folder: Path, made: Any, lock: int, tied: int | None) -> None:
    """Start the supervisor and wait until it says that the lab is up."""
    watch = os.pidfd_open(tied) if tied is not None else None
    inherited = [lock] if watch is None else [lock, watch]
    command = [sys.executable, "-I", "-m", "otapgate.lab.supervisor"]
    process = 0
    with (folder / LOG).open("wb") as log, subprocess.Popen(
        command if watch is None else [*command, str(watch)], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=log, pass_fds=inherited, start_new_session=True,
        env={k: v for k, v in os.environ.items() if k in ("PATH", "USER", "LOGNAME", "HOME")},
    ) as launcher:  # fmt: skip
        assert launcher.stdin is not None, "a pipe"
        assert launcher.stdout is not None, "a pipe"
        try:
            with contextlib.suppress(BrokenPipeError):
                launcher.stdin.write(msgspec.json.encode(made))
                launcher.stdin.close()
            said = b""
            until = time.monotonic() + _SECONDS_UP
            while True:
                if not select.select([launcher.stdout], [], [], until - time.monotonic())[0]:
                    raise _refused(_("it didn't come up within a minute"))
                more = os.read(launcher.stdout.fileno(), 65536)
                said += more
                *whole, said = said.split(b"\n")
                for line in whole:
                    told = json.loads(line)
                    process = int(told.get("pid", process))
                    if "error" in told:
                        raise _refused(told["error"])
                    if "up" in told:
                        return
                if not more:
                    raise _refused(_last_words(folder / LOG))
        except BaseException:
            if process:
                _end(process)
            launcher.kill()
            raise
        finally:
            if watch is not None:
                os.close(watch)


def _last_words(log: Path) -> str:
    lines = log.read_text("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else _("it ended without a word")


def _refused(why: str) -> Failed:
    return Failed(
        "lab-refused",
        _("This machine can't have a lab: {why}.").format(why=why),
        remedy=_(
            "run it as root, or as a user with ranges in /etc/subuid and /etc/subgid on a kernel"
            " that allows user namespaces"
        ),
    )


def running(folder: Path) -> bool:
    """Whether a lab runs in `folder`."""
    if not (folder / LOCK).exists():
        return False
    lock = _lock(folder)
    if lock is None:
        return True
    os.close(lock)
    return False


def find(folder: Path) -> Lab:
    """The lab that runs in `folder`. Raises Failed `lab-down` when none does."""
    folder = folder.resolve()
    try:
        state = json.loads((folder / STATE).read_bytes())
        noted = state["supervisor"]
        if running(folder) and started(noted["pid"]) == noted["started"]:
            return Lab(folder, state)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise Failed(
        "lab-down",
        _("No lab runs in {folder}.").format(folder=folder),
        remedy=f"otapgate lab up {folder}",
    )


def down(folder: Path) -> bool:
    """End the lab in `folder`, and clear what one left that was killed; False when there
    was nothing."""
    folder = folder.resolve()
    there = (folder / STATE).exists() or running(folder)
    if not folder.is_dir():
        return False
    if running(folder):
        for _try in range(50):
            if (folder / STATE).exists():
                break
            time.sleep(0.1)  # it's coming up
        _sweep(folder)
        _stop(folder)
    _sweep(folder)
    _clear(folder)
    return there


def _stop(folder: Path) -> None:
    """End the lab and wait for it to let go of its folder. One that was just being started
    does so by itself, when it finds nobody to tell that it is up. Raises Busy `lab-runs`."""
    until = time.monotonic() + _SECONDS_UP
    while running(folder):
        # Only while the lock is held is lab.json about a process that still is.
        with contextlib.suppress(OSError, ValueError, Failed):
            _end(find(folder).pid)
        if time.monotonic() > until:
            raise Busy("lab-runs", _("The lab in {folder} doesn't end.").format(folder=folder))
        time.sleep(0.02)


def _end(process: int) -> None:
    """SIGTERM, and what doesn't hear it within five seconds, SIGKILL."""
    try:
        handle = os.pidfd_open(process)
    except ProcessLookupError:
        return
    try:
        for number in (signal.SIGTERM, signal.SIGKILL):
            signal.pidfd_send_signal(handle, number)
            if select.select([handle], [], [], _SECONDS_DOWN)[0]:
                return
    except ProcessLookupError:
        return
    finally:
        os.close(handle)


def _sweep(folder: Path) -> None:
    """End the programs that were started on the administrator's side of a lab that was
    here, such as SSH's kept connections: nothing else ends them when the lab ends."""
    try:
        noted = json.loads((folder / STATE).read_bytes())["admin"]
        inode, cookie = int(noted["inode"]), int(noted["cookie"])
    except (OSError, ValueError, KeyError, TypeError):
        return
    if not cookie:
        return
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            # Inodes of networks are given out again, cookies aren't while the machine runs.
            if (entry / "ns/net").stat().st_ino == inode and network_of(entry) == cookie:
                os.kill(int(entry.name), signal.SIGKILL)


def network_of(process: Path) -> int:
    """The cookie of the network of a process (its folder in /proc), of which there is never
    another; -1 when it can't be told. Looked up in a child that enters the network."""
    told, answer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            for name, kind in (("user", kernel.NEW_USER), ("net", kernel.NEW_NET)):
                there = os.open(process / "ns" / name, os.O_RDONLY)
                if os.fstat(there).st_ino != Path("/proc/self/ns", name).stat().st_ino:
                    kernel.join(there, kind)
            os.write(answer, str(kernel.network_cookie()).encode())
        finally:
            os._exit(0)
    os.close(answer)
    said = os.read(told, 30)
    os.close(told)
    os.waitpid(child, 0)
    return int(said or b"-1")


def _clear(folder: Path) -> None:
    """Remove what belongs to a lab, and the folder when nothing else is in it."""
    for name in _OURS:
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / KEYS, ignore_errors=True)
    for path in (folder / DISKS, folder):
        with contextlib.suppress(OSError):
            path.rmdir()


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(text)


def ask(folder: Path, what: dict[str, Any]) -> None:
    """Have the lab in `folder` do something; raises Failed `lab-failed` with its reason."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(60)
            # The folder's own path may be longer than the 107 bytes that a socket's may.
            line.connect(f"/proc/self/fd/{handle}/{CONTROL}")
            with line.makefile("rw", encoding="utf-8") as stream:
                stream.write(json.dumps(what) + "\n")
                stream.flush()
                told = json.loads(stream.readline())
    except (OSError, ValueError) as error:
        raise Failed("lab-failed", _("The lab doesn't answer: {why}.").format(why=error)) from error
    finally:
        os.close(handle)
    if not told.get("ok"):
        raise Failed("lab-failed", _("The lab couldn't: {why}.").format(why=told.get("why")))


def enter(lab: Lab) -> None:
    """Put this process on the administrator's side of the lab, for good. The file system
    stays the machine's; so does everything else but the network. Raises OSError."""
    with contextlib.ExitStack() as stack:
        user = None
        if lab.state["user_namespace"]:
            user = os.open(f"/proc/{lab.pid}/ns/user", os.O_RDONLY)
            stack.callback(os.close, user)
        net = os.open(lab.state["admin"]["network"], os.O_RDONLY)
        stack.callback(os.close, net)
        if user is not None:
            kernel.join(user, kernel.NEW_USER)
        kernel.join(net, kernel.NEW_NET)


def environment(lab: Lab) -> dict[str, str]:
    """This process's environment, marked; no proxies, since nothing but the lab is there."""
    kept = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    return kept | {MARK: lab.state["id"]}


def execute(lab: Lab, command: Sequence[str]) -> NoReturn:
    """Become `command` on the administrator's side. Raises Failed when that can't be."""
    try:
        enter(lab)
        os.execvpe(command[0], list(command), environment(lab))  # noqa: S606 - a list
    except OSError as error:
        raise Failed(
            "lab-exec",
            _("{command} can't be run in the lab: {why}.").format(command=command[0], why=error),
        ) from error
