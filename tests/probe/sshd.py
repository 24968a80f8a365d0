"""Real SSH servers on loopback, each with keys of its own: one host each.

They run as whoever runs the tests, and let in that user with one key. All of them are one
machine; what takes hosts of their own is tried in the lab.
"""

from __future__ import annotations

import getpass
import os
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests import ports

from otapgate.lab import packages


def _program() -> tuple[str, dict[str, str]]:
    """The server, and where its libraries are: the machine's own, or the one that
    `otapgate lab fetch` unpacked."""
    trees = [layer / "tree" for layer in packages.layers()]
    libraries = [str(x) for tree in trees for x in sorted((tree / "usr/lib").glob("*-linux-gnu"))]
    for tree in (Path("/"), *trees):
        found = tree / "usr/sbin/sshd"
        if found.exists():
            more = {} if tree == Path("/") else {"LD_LIBRARY_PATH": ":".join(libraries)}
            return str(found), {**os.environ, **more}
    raise AssertionError("there is no sshd: otapgate lab fetch")


def make_key(path: Path, kind: str = "ed25519") -> str:
    """A key pair at `path`; its public line without comment."""
    subprocess.run(
        ["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "", "-f", str(path)], check=True
    )
    return " ".join(path.with_suffix(".pub").read_text().split()[:2])


@dataclass
class Server:
    """One SSH server."""

    folder: Path
    port: int
    address: str = "127.0.0.1"
    host_key: str = ""
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)  # the server wants it to be there
        config = self.folder / "sshd_config"
        config.write_text(
            f"ListenAddress {self.address}\nPort {self.port}\n"
            f"HostKey {self.folder / 'host'}\nAuthorizedKeysFile {self.folder / 'authorized'}\n"
            "PidFile none\nUsePAM no\nStrictModes no\nPasswordAuthentication no\n"
            "PermitRootLogin prohibit-password\nMaxStartups 200\nLogLevel VERBOSE\n"
        )
        log = (self.folder / "log").open("wb")
        program, environment = _program()
        self._process = subprocess.Popen(
            [program, "-D", "-e", "-f", str(config)], stdout=log, stderr=log, env=environment
        )
        until = time.monotonic() + 10
        while True:
            try:
                socket.create_connection((self.address, self.port), timeout=1).close()
                return
            except OSError:
                if self._process.poll() is not None or time.monotonic() > until:
                    raise AssertionError((self.folder / "log").read_text()) from None
                time.sleep(0.05)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None

    def renew(self) -> None:
        """Another host key, as if another machine answered."""
        self.stop()
        for name in ("host", "host.pub"):
            (self.folder / name).unlink()
        self.host_key = make_key(self.folder / "host")
        self.start()

    def variables(self, key: Path) -> dict[str, object]:
        """How Ansible, and so a probe, reaches it."""
        return {
            "ansible_host": self.address,
            "ansible_port": self.port,
            "ansible_user": getpass.getuser(),
            "ansible_ssh_private_key_file": str(key),
        }


def servers(folder: Path, count: int) -> tuple[Path, list[Server]]:
    """The client's key, and so many servers that let it in, started."""
    client = folder / "client"
    public = make_key(client)
    found = []
    for number, port in enumerate(ports.free(count)):
        place = folder / f"host{number}"
        place.mkdir()
        (place / "authorized").write_text(public + "\n")
        server = Server(place, port, host_key=make_key(place / "host"))
        server.start()
        found.append(server)
    return client, found
