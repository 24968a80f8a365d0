"""Labs for tests: O, T, A and P hosts on this machine with an SSH server each.

In a test folder's conftest.py, `from tests.lab.labs import lab, make_lab` gives it the
fixtures; a lab ends with the test session at the latest, also when that is killed.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from otapgate.lab import draw, material, running

Result = subprocess.CompletedProcess[str]
ADMIN = "admin"
"""The administrator's side, where `exec` runs things; a source for rules."""


class Rules:
    """The firewall of a running lab."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab

    def open(self, source: str, target: str, port: int = 0) -> None:
        """Let `source` reach `target` on a TCP port, or (0) on everything."""
        holes, cuts = self._now()
        self._set([*holes, _hole(source, target, port)], cuts)

    def close(self, source: str, target: str, port: int = 0) -> None:
        """Undo `open`, or a hole of lab.yml."""
        holes, cuts = self._now()
        holes.remove(_hole(source, target, port))
        self._set(holes, cuts)

    def cut(self, source: str, target: str, port: int = 0) -> None:
        """Let nothing through either way, of connections that there are as well."""
        holes, cuts = self._now()
        self._set(holes, [*cuts, _hole(source, target, port)])

    def mend(self, source: str, target: str, port: int = 0) -> None:
        """Undo `cut`."""
        holes, cuts = self._now()
        cuts.remove(_hole(source, target, port))
        self._set(holes, cuts)

    def _now(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        state = self.lab.state
        return state["holes"], state["cuts"]

    def _set(self, holes: list[dict[str, Any]], cuts: list[dict[str, Any]]) -> None:
        running.ask(self.lab.folder, {"do": "rules", "holes": holes, "cuts": cuts})


def _hole(source: str, target: str, port: int) -> dict[str, Any]:
    return {"source": source, "target": target, "port": port}


class Lab:
    """A lab that runs, and what tests do to it."""

    def __init__(self, folder: Path, told: dict[str, Any]) -> None:
        self.folder = folder
        self.told = told
        """What `otapgate lab up --json` said."""
        self.rules = Rules(self)

    @property
    def state(self) -> dict[str, Any]:
        """What lab.json says now."""
        found: dict[str, Any] = json.loads((self.folder / "lab.json").read_bytes())
        return found

    @property
    def hosts(self) -> dict[str, dict[str, Any]]:
        """By name: stage, address, pid, ports, accounts, host_key."""
        found: dict[str, dict[str, Any]] = self.state["hosts"]
        return found

    @property
    def pid(self) -> int:
        """The supervisor; `os.kill(lab.pid, signal.SIGKILL)` ends the whole lab."""
        return int(self.state["supervisor"]["pid"])

    @property
    def key(self) -> Path:
        return self.folder / "keys" / "lab"

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"

    def password(self, host: str, account: str) -> str:
        """The password of an account with `password: true`."""
        known = json.loads((self.folder / "keys" / "passwords.json").read_bytes())
        return str(known[host][account])

    def argv(self, command: Sequence[str | Path]) -> list[str]:
        """The command line that runs `command` on the administrator's side, for Popen."""
        return [*OTAPGATE, "lab", "exec", str(self.folder), "--", *map(str, command)]

    def exec(self, command: Sequence[str | Path], timeout: float = 120, **more: Any) -> Result:
        """Run `command` on the administrator's side; nothing raised for its exit code."""
        return subprocess.run(
            self.argv(command), capture_output=True, text=True, check=False, timeout=timeout,
            **({"stdin": subprocess.DEVNULL} if "input" not in more else {}), **more,
        )  # fmt: skip

    def ssh_argv(self, host: str, account: str = "deploy") -> list[str]:
        """`ssh … ACCOUNT@ADDRESS`, to be run with `exec` or `argv`."""
        return [
            "ssh", "-F", "none", "-i", str(self.key), "-o", "IdentitiesOnly=yes",
            "-o", f"UserKnownHostsFile={self.known_hosts}", "-o", "BatchMode=yes",
            "-o", "ConnectTimeout=5", f"{account}@{self.hosts[host]['address']}",
        ]  # fmt: skip

    def ssh(
        self, host: str, command: Sequence[str], account: str = "deploy", timeout: float = 60
    ) -> Result:
        """Run `command` on a host over SSH."""
        words = shlex.join(command)
        return self.exec([*self.ssh_argv(host, account), words], timeout)

    def reaches(self, source: str, target: str, port: int, seconds: float = 1) -> bool:
        """Whether a TCP connection from a host (or admin) to another comes about."""
        address = self.hosts[target]["address"]
        probe = (
            "import socket\ntry:\n"
            f" socket.create_connection(('{address}', {port}), {seconds})\n"
            " print('open')\nexcept OSError as error:\n print('shut', error)"
        )
        if source == ADMIN:
            done = self.exec([sys.executable, "-c", probe])
        else:
            done = self.ssh(source, ["/usr/bin/python3", "-c", probe])
        assert done.stdout.startswith(("open", "shut")), done.stdout + done.stderr
        return done.stdout.startswith("open")

    def root(self, host: str) -> Path:
        """That host's file system, seen from outside; while it runs."""
        return Path(f"/proc/{self.hosts[host]['pid']}/root")

    def stop(self, host: str) -> None:
        """Pull its plug: processes and network are gone, what it wrote stays."""
        running.ask(self.folder, {"do": "stop", "host": host})

    def start(self, host: str) -> None:
        """Switch it on again."""
        running.ask(self.folder, {"do": "start", "host": host})

    def processes(self, host: str) -> dict[int, str]:
        """Process id, as the machine has it, to command line."""
        inside = Path(f"/proc/{self.hosts[host]['pid']}/ns/pid").stat().st_ino
        found = {}
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and (entry / "ns/pid").stat().st_ino == inside:
                    words = (entry / "cmdline").read_bytes().replace(b"\0", b" ")
                    found[int(entry.name)] = words.decode().strip()
            except OSError:
                continue
        return found

    def sshd_pids(self, host: str, sessions: bool = True) -> list[int]:
        """The processes of SSH's server; with `sessions` only those of connections. The
        listener comes back by itself when it is killed."""
        return sorted(
            pid
            for pid, words in self.processes(host).items()
            if words.startswith("sshd:") and not (sessions and "[listener]" in words)
        )

    def kill_sshd(self, host: str) -> None:
        """Break off every connection to a host, as `kill -9` does."""
        for pid in self.sshd_pids(host, sessions=False):
            os.kill(pid, signal.SIGKILL)

    def change_host_key(self, host: str) -> str:
        """Give a host another SSH key; `known_hosts` stays. Returns the new public key."""
        made = draw.pair(f"root@{host}")
        running.ask(
            self.folder,
            {"do": "host-key", "host": host, "private": made.private, "public": made.public},
        )
        return made.public.strip()

    def connection(self, host: str) -> dict[str, str]:
        """The Ansible variables for an environment file of a landscape."""
        return material.connection(self.folder, self.state, host)

    def down(self) -> None:
        running.down(self.folder)


OTAPGATE = [sys.executable, "-m", "otapgate"]


def up(folder: Path, text: str | None = None) -> Lab:
    """Start a lab in `folder`, of a lab.yml with `text` or the usual one; it ends with this
    process."""
    command = [*OTAPGATE, "--json", "lab", "up", str(folder), "--while", str(os.getpid())]
    if text is not None:
        file = folder.with_name(f"{folder.name}.yml")
        file.write_text(text, "utf-8")
        command += ["--file", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return Lab(folder, json.loads(done.stdout))


def wait_until(so: Callable[[], bool], seconds: float = 10) -> None:
    """Until something holds; fails when it doesn't come to."""
    until = time.monotonic() + seconds
    while not so():
        assert time.monotonic() < until, "it didn't come to be so"
        time.sleep(0.02)


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The usual lab (t1, a1, p1, p2, p3), shared by the tests of a session: leave it as it
    was."""
    made = up(tmp_path_factory.mktemp("labs") / "usual")
    yield made
    made.down()


@pytest.fixture
def make_lab(tmp_path: Path) -> Iterator[Callable[..., Lab]]:
    """Makes labs of this test alone: `make_lab(text_of_lab_yml)`, or the usual one."""
    made: list[Lab] = []

    def make(text: str | None = None) -> Lab:
        made.append(up(tmp_path / f"lab{len(made)}", text))
        return made[-1]

    yield make
    for one in made:
        one.down()
