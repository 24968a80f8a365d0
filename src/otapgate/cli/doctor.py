"""`otapgate doctor`: what this machine lacks, and the command that mends it.

It looks and changes nothing. Every check is a small function that returns a `Check`; one
that can't be carried out says so as a warning, because not knowing isn't being fine.
"""

from __future__ import annotations

import locale
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from otapgate import errors
from otapgate.cli.options import find_landscape
from otapgate.cli.output import Reply, table
from otapgate.errors import Exit
from otapgate.i18n import _

if TYPE_CHECKING:
    from otapgate.landscape.model import Environment, Landscape

Outcome = Literal["ok", "warn", "missing"]

_SECONDS = 10
_LEAST_FREE = 500 * 1024 * 1024
"""Bytes: a release, its unpacked copy and a database snapshot of a small application."""
_RELEASED = 1_761_955_200
"""Seconds since 1970 at 1 November 2025: no clock that is right says less."""


@dataclass(frozen=True)
class Check:
    """What was looked at and how it is."""

    name: str
    """A fixed word for scripts, never translated."""
    outcome: Outcome
    found: str
    """What was seen, in the user's language."""
    remedy: str | None = None
    """A command, or a sentence where no command mends it."""


def doctor(
    workers: Annotated[
        bool,
        typer.Option(
            "--workers", help=_("Speak with the workers too, by the landscape's own commands.")
        ),
    ] = False,
) -> Reply:
    landscape = _landscape()
    checks = [
        python(), ssh(), ssh_keygen(), ansible(), mitogen(landscape), agent(), disk(), writable(),
        clock(), utf8(), *_workers(landscape, workers),
    ]  # fmt: skip
    missing = [c for c in checks if c.outcome == "missing"]
    words = {"ok": _("ok"), "warn": _("beware"), "missing": _("MISSING")}
    lines = [table([_("what"), _("outcome"), ""],
                   [[c.name, words[c.outcome], c.found] for c in checks])]  # fmt: skip
    wanting = [c for c in checks if c.remedy]
    if wanting:
        lines += ["", *(f"{c.name}\n   → {c.remedy}" for c in wanting)]
    data = [
        {"name": c.name, "outcome": c.outcome, "found": c.found, "remedy": c.remedy} for c in checks
    ]
    return Reply({"checks": data}, "\n".join(lines), ok=not missing,
                 exit=Exit.FAILED if missing else Exit.OK)  # fmt: skip


def python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    return Check("python", "ok", f"{version}, {sys.executable}")


def ssh() -> Check:
    return _program("ssh", ["ssh", "-V"], "sudo apt install openssh-client")


def ssh_keygen() -> Check:
    found = shutil.which("ssh-keygen")
    if found is None:
        return Check("ssh-keygen", "missing", _("not found"), "sudo apt install openssh-client")
    return Check("ssh-keygen", "ok", found)


def ansible() -> Check:
    """The one beside this Python first: that is the one that otapgate runs."""
    beside = Path(sys.executable).parent / "ansible-playbook"
    program = str(beside) if beside.exists() else "ansible-playbook"
    return _program(
        "ansible-playbook", [program, "--version"], f"{sys.executable} -m pip install ansible-core"
    )


def _landscape() -> Landscape | None:
    """The landscape here; None where there is none, or `check` says what is wrong with it."""
    from otapgate.landscape.load import load

    try:
        return load(find_landscape())
    except errors.OtapgateError:
        return None


def mitogen(landscape: Landscape | None) -> Check:
    """An option of a landscape; missing only where that asks for it."""
    from otapgate.execution import strategy

    asked = landscape is not None and landscape.strategy == "mitogen"
    ansible, found = strategy.installed()
    words = {"ansible": ansible or "?", "mitogen": found}
    if not found:
        said = _("not installed; needed only for 'strategy: mitogen'")
        return Check(
            "mitogen", "missing" if asked else "ok", said, strategy.remedy() * asked or None
        )
    if strategy.was_tried(ansible, found):
        return Check(
            "mitogen", "ok", _("{mitogen}, tried with ansible-core {ansible}").format(**words)
        )
    said = _("{mitogen}, never tried with ansible-core {ansible}").format(**words)
    return Check("mitogen", "missing" if asked else "warn", said, strategy.remedy())


def agent() -> Check:
    """A missing agent is only a warning: a key file does as well."""
    start = "eval $(ssh-agent) && ssh-add"
    if not os.environ.get("SSH_AUTH_SOCK"):
        return Check(
            "ssh-agent",
            "warn",
            _("no agent in this session; a key file (--key) does as well"),
            start,
        )
    answer = _run(["ssh-add", "-l"])
    if answer is None:
        return Check("ssh-agent", "warn", _("could not be asked"), start)
    code, text = answer
    if code == 0:
        return Check("ssh-agent", "ok", _("keys: {n}").format(n=len(text.splitlines())))
    if code == 1:
        return Check("ssh-agent", "warn", _("holds no key"), "ssh-add")
    return Check("ssh-agent", "warn", _("does not answer"), start)


def disk() -> Check:
    """Where the ledger and the content store are, or would come."""
    where = _place()
    try:
        free = shutil.disk_usage(where).free
    except OSError as error:
        return Check("disk", "warn", f"{where}: {error.strerror}")
    found = _("{megabytes} MB free in {directory}").format(
        megabytes=free // 1_000_000, directory=where
    )
    if free < _LEAST_FREE:
        return Check("disk", "warn", found, _("Make room: a promotion needs 500 MB to be safe."))
    return Check("disk", "ok", found)


def writable() -> Check:
    where = _place()
    if os.access(where, os.W_OK | os.X_OK):
        return Check("landscape-writable", "ok", str(where))
    return Check("landscape-writable", "missing", _("{directory} can't be written").format(
        directory=where), f"sudo chown -R {os.getuid()} {where}")  # fmt: skip


def clock() -> Check:
    """Sane, and kept right: windows and expiry rest on it."""
    now = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    if time.time() < _RELEASED:
        return Check("clock", "missing", now, "sudo timedatectl set-ntp true")
    answer = _run(["timedatectl", "show", "--property=NTPSynchronized", "--value"])
    if answer is not None and answer[0] == 0:
        if answer[1].strip() == "yes":
            return Check("clock", "ok", _("{now}, synchronised").format(now=now))
        return Check("clock", "warn", _("{now}, not synchronised").format(now=now),
                     "sudo timedatectl set-ntp true")  # fmt: skip
    return Check("clock", "warn", _("{now}; whether it is synchronised can't be seen").format(
        now=now))  # fmt: skip


def utf8() -> Check:
    """Ansible refuses to start in another encoding."""
    found = locale.getpreferredencoding(do_setlocale=False)
    if found.replace("-", "").casefold() == "utf8":
        return Check("locale", "ok", found)
    return Check("locale", "missing", found, "export LC_ALL=C.UTF-8")


def _workers(landscape: Landscape | None, speak: bool) -> list[Check]:
    """The machines that the landscape's environments name as their workers. A landscape that
    somebody sent says which command that takes, so none is run unless it is asked for."""
    known = landscape.environments() if landscape is not None else ()
    return [_worker(one, speak) for one in known if one.worker is not None]


def _worker(environment: Environment, speak: bool) -> Check:
    from otapgate.execution import far, talk

    name = f"worker {environment.name}"
    try:
        if not speak:
            talk.program(environment)
            return Check(name, "warn", _("not spoken with"), "otapgate doctor --workers")
        far.require(environment)
    except errors.Busy as error:
        return Check(name, "ok", error.message)
    except errors.OtapgateError as error:
        return Check(name, "missing", error.message, error.remedy)
    return Check(name, "ok", _("answers, and is like this side"))


def _program(name: str, command: list[str], remedy: str) -> Check:
    answer = _run(command)
    if answer is None or answer[0] != 0:
        return Check(name, "missing", _("not found, or it doesn't run"), remedy)
    return Check(name, "ok", (answer[1].splitlines() or [""])[0])


def _run(command: list[str]) -> tuple[int, str] | None:
    """Exit code and everything said; None when it can't be run or takes too long."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=_SECONDS, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.returncode, done.stdout.decode("utf-8", "replace")


def _place() -> Path:
    try:
        return find_landscape()
    except errors.OtapgateError:
        return Path.cwd()
