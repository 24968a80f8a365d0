"""What a release is: a list of files by digest, and what they are for.

The manifest's canonical JSON is the release; its digest is the release's name for
everything that rests on it (CH01-07). No I/O here.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from otapgate import canonical
from otapgate.landscape.model import Value


class ReleaseFile(Value, frozen=True):
    """One file, by content."""

    path: str
    """Relative, with slashes, below `artifacts/` or `playbooks/`."""
    digest: str
    size: int
    executable: bool = False


class DatabaseState(Value, frozen=True):
    """A database that must come back after a rollback, compared by schema and rows,
    whatever their physical order."""

    url: str
    """A template over the environment's variables: `sqlite:///{{ database }}`."""
    ignore: tuple[str, ...] = ()
    """Tables (fnmatch patterns) that may differ: sessions, logs, caches."""
    password: str = ""
    """Name of the environment's secret that is the password, or "" where none is needed."""


class HttpState(Value, frozen=True):
    """An address that must answer as before after a rollback."""

    url: str
    method: Literal["GET", "POST"] = "GET"
    body: str = ""
    content_type: str = ""
    compare: Literal["status", "body"] = "status"


class State(Value, frozen=True):
    """What must be as it was after a rollback (templates over the environment's variables)."""

    paths: tuple[str, ...] = ()
    """Files, links and folders, compared bit for bit with mode and owner."""
    exclude: tuple[str, ...] = ()
    """Patterns below those paths that may differ: logs, pid files, caches."""
    databases: tuple[DatabaseState, ...] = ()
    http: tuple[HttpState, ...] = ()
    ports: tuple[str, ...] = ()
    """TCP ports on the host that must be open, or closed, as they were."""
    services: tuple[str, ...] = ()
    """Units of systemd whose state and definition must be as they were."""
    packages: tuple[str, ...] = ()
    """Patterns of the system's packages that must be there in the same version."""
    surroundings: bool = True
    """Whether what nobody declared is compared too: scheduled jobs, units, accounts,
    sudo rules, package sources and listening ports."""


class Install(Value, frozen=True):
    """A place on every host that must hold exactly what the release says (CH06-09)."""

    root: str
    """Folder on the host, a template over the environment's variables."""
    kind: Literal["files", "wheels"]
    """`files`: the tree below `source`, byte for byte. `wheels`: a virtual environment
    that holds exactly the wheels below `source`, by their RECORD."""
    source: str
    """Folder in the release: `artifacts/site`."""
    ignore: tuple[str, ...] = ()
    """Patterns below root that are nobody's business: caches, logs."""


class Manifest(Value, frozen=True):
    """A release, whole. Its digest is its identity."""

    app: str
    version: str
    street: str
    plans: tuple[str, ...]
    variables: dict[str, Any]
    state: State
    installs: tuple[Install, ...]
    files: tuple[ReleaseFile, ...]
    """Sorted by path."""

    @property
    def name(self) -> str:
        return f"{self.app}@{self.version}"

    def encoded(self) -> bytes:
        """Canonical JSON: what is stored, digested and signed."""
        plain = msgspec.to_builtins(self, str_keys=True)
        # what came later isn't written where it says nothing, so that a release from
        # before keeps its digest
        _leave_out(plain["state"], {"services": (), "packages": (), "surroundings": True})
        for one in plain["state"]["databases"]:
            _leave_out(one, {"password": ""})
        return canonical.encode(plain)

    @property
    def digest(self) -> str:
        return canonical.digest(self.encoded())


def _leave_out(plain: dict[str, Any], defaults: dict[str, Any]) -> None:
    for name, default in defaults.items():
        if plain[name] == default or (default == () and not plain[name]):
            del plain[name]


def decode(data: bytes) -> Manifest:
    """A manifest from its canonical bytes; raises canonical.NotCanonical or
    msgspec.ValidationError."""
    return msgspec.convert(canonical.decode(data), Manifest)
