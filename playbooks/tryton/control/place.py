"""Where everything of one Tryton environment lies, and the lock that guards it.

    home/
      releases/<12 hex of the release digest>/venv, installed.json, trytond.conf
      current -> releases/<12 hex>
      admin-password        made at the first deployment, mode 0600, never copied
      var/                  log, pid file, bytecode, lock, and `deploying` while one is busy

and the database file, anywhere below home. Standard library only: these files run on the
host with the interpreter that the application gets.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PATIENCE_SECONDS = 60.0
"""How long a command of a deployment that was killed may take to end by itself."""


class Wrong(Exception):
    """What went wrong, in a sentence for the person who reads Ansible's output."""


@dataclass(frozen=True)
class Place:
    """One environment on this host."""

    home: Path
    port: int
    database: Path

    @property
    def releases(self) -> Path:
        return self.home / "releases"

    @property
    def current(self) -> Path:
        """Link to the release in use, relative, so that the folder may be moved whole."""
        return self.home / "current"

    @property
    def var(self) -> Path:
        return self.home / "var"

    @property
    def log(self) -> Path:
        return self.var / "trytond.log"

    @property
    def pid_file(self) -> Path:
        return self.var / "trytond.pid"

    @property
    def deploying(self) -> Path:
        """Holds the id of the release being deployed, from the first change to the last."""
        return self.var / "deploying"

    @property
    def password(self) -> Path:
        return self.home / "admin-password"

    def in_use(self) -> str | None:
        """Id of the release that `current` points to."""
        try:
            return self.current.readlink().name
        except OSError:
            return None

    def release(self, name: str) -> Path:
        return self.releases / name

    def python(self, name: str) -> list[str]:
        """The release's interpreter, isolated; bytecode goes to var, so that the virtual
        environment holds the release's files and nothing else."""
        python = self.release(name) / "venv" / "bin" / "python"
        return [str(python), "-I", "-X", f"pycache_prefix={self.var / 'bytecode'}"]

    def program(self, name: str, script: str) -> list[str]:
        """A script of the release, by its own interpreter."""
        return [*self.python(name), str(self.release(name) / "venv" / "bin" / script)]

    def settings(self, name: str) -> Path:
        return self.release(name) / "trytond.conf"

    @contextmanager
    def locked(self) -> Iterator[int]:
        """Hold the environment; the descriptor goes to programs that change it, so that
        one that outlives a killed deployment is waited for."""
        self.var.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self.var / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            until = time.monotonic() + PATIENCE_SECONDS
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > until:
                        raise Wrong(
                            f"Another command has been working in {self.home} for more than "
                            f"{PATIENCE_SECONDS:.0f} s. Wait for it or end it, then try again."
                        ) from None
                    time.sleep(0.05)
            yield descriptor
        finally:
            os.close(descriptor)


def quiet_environment(**more: str) -> dict[str, str]:
    """What programs of the release get to see: no setting of the caller leaks in."""
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR", "TZ") if name in os.environ}
    return {**kept, "LANG": "C.UTF-8", **more}


def digest(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write(path: Path, content: str, mode: int = 0o600) -> None:
    """Write a file whole or not at all, and on disk before it counts."""
    aside = path.with_name(f".{path.name}.new")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), mode)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
    sync(path.parent)


def write_json(path: Path, value: Any) -> None:
    write(path, json.dumps(value, indent=1, sort_keys=True) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object; empty when there is none or it is damaged."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def sync(folder: Path) -> None:
    """Make renames in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
