"""Real database servers for tests: own folder, socket and port on loopback, no privileges."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests import ports

NOBODY = 65534
SECONDS = 60


class Server(NamedTuple):
    """A server that runs; `socket` is a folder (PostgreSQL) or a file (MariaDB)."""

    socket: Path
    port: int
    client: str

    def postgresql(self, name: str) -> str:
        return f"postgresql://boss@/{name}?host={self.socket}&port={self.port}"

    def mariadb(self, name: str) -> str:
        return f"mariadb://root@/{name}?socket={self.socket}"

    def psql(self, name: str, text: str) -> str:
        command = [self.client, "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", self.postgresql(name)]
        return run(command, text)

    def mysql(self, name: str, text: str) -> str:
        command = [self.client, "--no-defaults", f"--socket={self.socket}", "-uroot", "-N", name]
        return run([one for one in command if one], text)


def run(command: list[str], text: str = "") -> str:
    done = subprocess.run(
        command, input=text, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, (command, done.stderr)
    return done.stdout


def program(*names: str) -> str:
    """Where one of the programs is: on PATH, where Debian keeps servers, or in the cache
    of unpacked packages. A test that needs it fails when it is nowhere."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "otapgate/debian"
    trees = [Path("/"), *cache.glob("*/*/tree"), *cache.glob("*/tree"), *cache.glob("*")]
    for name in names:
        found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
        # what Debian puts on PATH for psql is a wrapper that looks for clusters of its own
        if found and not name.startswith(("postgres", "initdb", "pg_", "psql")):
            return found
        for tree in trees:
            for pattern in ("usr/lib/postgresql/*/bin", "usr/bin", "usr/sbin", "usr/libexec"):
                for place in sorted(tree.glob(pattern), reverse=True):
                    if os.access(place / name, os.X_OK):
                        return str(place / name)
    raise AssertionError(
        f"{names[0]} is nowhere: this test needs a real server. Install Debian's packages"
        " postgresql and mariadb-server (no service has to run)."
    )


@contextmanager
def folder() -> Iterator[tuple[Path, list[str]]]:
    """A folder with a short path, and how to start a program that may not be root's."""
    place = Path(tempfile.mkdtemp(prefix="otapgate-"))
    try:
        if os.getuid() == 0:
            os.chown(place, NOBODY, NOBODY)
            identity = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
            yield place, ["setpriv", *identity, "--"]
        else:
            yield place, []
    finally:
        shutil.rmtree(place, ignore_errors=True)


@contextmanager
def running(command: list[str], ready: list[str], log: Path) -> Iterator[None]:
    """The server, from when it answers until the end of the block."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd="/")
    try:
        until = time.monotonic() + SECONDS
        while subprocess.run(ready, capture_output=True, check=False).returncode != 0:
            assert process.poll() is None, log.read_text(errors="replace")
            assert time.monotonic() < until, log.read_text(errors="replace")
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(SECONDS)


@contextmanager
def postgresql() -> Iterator[Server]:
    """PostgreSQL: `boss` is let in by the socket, others by password over TCP."""
    initdb, client = program("initdb"), program("psql")
    with folder() as (place, start):
        data, port = place / "data", ports.free(1)[0]
        run([*start, initdb, "-D", str(data), "-U", "boss", "-E", "UTF8", "--locale=C.UTF-8",
             "--auth-local=trust", "--auth-host=scram-sha-256", "--no-sync"])  # fmt: skip
        server = Server(place, port, client)
        command = [*start, program("postgres"), "-D", str(data), "-k", str(place), "-p", str(port),
                   "-h", "127.0.0.1", "-F"]  # fmt: skip
        ready = [client, "-XAtq", "-d", server.postgresql("postgres"), "-c", "SELECT 1"]
        with running(command, ready, place / "log"):
            yield server


@contextmanager
def mariadb() -> Iterator[Server]:
    """MariaDB: `root` is let in by the socket without a password."""
    install, client = program("mariadb-install-db"), program("mariadb", "mysql")
    with folder() as (place, start):
        data, port, socket = place / "data", ports.free(1)[0], place / "socket"
        run([*start, install, "--no-defaults", f"--datadir={data}", "--skip-test-db",
             "--auth-root-authentication-method=normal"])  # fmt: skip
        command = [*start, program("mariadbd", "mysqld"), "--no-defaults", f"--datadir={data}",
                   f"--socket={socket}", f"--port={port}", "--bind-address=127.0.0.1",
                   f"--pid-file={place}/pid", "--innodb-flush-log-at-trx-commit=0"]  # fmt: skip
        ready = [client, "--no-defaults", f"--socket={socket}", "-uroot", "-e", "SELECT 1"]
        with running(command, ready, place / "log"):
            yield Server(socket, port, client)
