"""What a promotion or rehearsal is about, and what its playbooks are told.

The contract of variables between otapgate and a release's playbooks is made here and
described in docs/reference/release-contract.md. Running them is the promotion's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from otapgate.errors import BadInput
from otapgate.execution.events import Progress
from otapgate.execution.lock import tether_path
from otapgate.execution.runner import FORKS, Settings
from otapgate.execution.sight import unseen
from otapgate.i18n import _
from otapgate.landscape.model import Environment, Strategy
from otapgate.release.manifest import Manifest

if TYPE_CHECKING:
    from otapgate.execution.completeness import Expected

FINGERPRINT = Path(__file__).parent / "ansible" / "fingerprint.yml"
SNAPSHOT_ROOT = "/var/tmp/otapgate"  # noqa: S108 - survives a reboot, unlike /tmp
SNAPSHOT_VARIABLE = "otapgate_snapshot_root"
"""Environment or host variable: where snapshots lie on hosts that aren't local."""
PATIENCE_SECONDS = 30
"""How long services may take, after going back, to answer as before."""

_HEX = re.compile(r"[0-9a-f]{64}\Z")
_WORD = re.compile(r"[a-z-]{1,40}\Z")
_ADDRESS = re.compile(r"[0-9a-f.:]{2,45} \d{1,5}\Z")
_UNIT = re.compile(r"[A-Za-z0-9:_.@\\-]{1,255}\Z")
_SECRET = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


class Plan(msgspec.Struct, frozen=True):
    """One promotion (or rehearsal): which release, where, instead of what."""

    promotion_id: str
    manifest: Manifest
    release_tree: Path
    """Unpacked, read-only, verified: holds `artifacts/` and `playbooks/`."""
    environment: Environment
    run_dir: Path
    """`.otapgate/runs/<id>`: journal, output, snapshot of local hosts."""
    root: Path
    """The landscape's folder; the environment's locks lie below it."""
    put: Callable[[bytes], str]
    """Keeps evidence in the store; returns its digest."""
    previous: Manifest | None = None
    previous_tree: Path | None = None
    secrets: Mapping[str, str] = {}
    """Extra variables that must not be seen anywhere."""
    hidden: tuple[str, ...] = ()
    """Further values that must not be: those of the release's vaults."""
    on_progress: Callable[[Progress], None] | None = None
    patience: int = PATIENCE_SECONDS
    forks: int = FORKS
    strategy: Strategy = "linear"

    @property
    def hosts(self) -> tuple[str, ...]:
        """Names of the environment's hosts."""
        return tuple(host.name for host in self.environment.hosts)

    def playbook(self, name: str, *, optional: bool = False) -> list[Path]:
        """The release's playbook of that name, as a list of one, or of none when it is
        optional and not there. Raises BadInput (`playbook-missing`)."""
        path = self.release_tree / "playbooks" / name
        if path.is_file():
            return [path]
        if optional:
            return []
        raise BadInput(
            "playbook-missing",
            _("{release} has no {name}.").format(release=self.manifest.name, name=name),
            where=f"playbooks/{name}",
        )

    def way_back(self) -> tuple[list[Path], list[Path]]:
        """The playbooks of going back, and those that look at what came of it."""
        way = [*self.playbook("rollback.yml"), *self.playbook("restore.yml", optional=True)]
        return way, [FINGERPRINT, *self.playbook("compare.yml", optional=True)]

    def installed_before(self) -> tuple[Expected, ...]:
        """The files that the release before put on hosts, where there is one."""
        from otapgate.execution.completeness import installed_files

        return () if self.previous is None else installed_files(self.previous)

    def settings(self) -> Settings:
        """What all of the plan's Ansible runs share."""
        collections = self.release_tree / "playbooks" / "collections"
        return Settings(
            environment=self.environment,
            run_dir=self.run_dir.absolute(),
            lock=tether_path(self.root.absolute(), self.environment.name),
            release_variables=self.manifest.variables,
            secrets=self.secrets,
            hidden=self.hidden,
            collections=(collections.absolute(),) if collections.is_dir() else (),
            trees=tuple(
                tree.absolute() for tree in (self.release_tree, self.previous_tree) if tree
            ),
            forks=self.forks,
            strategy=self.strategy,
            on_progress=self.on_progress,
        )

    def variables(self, *, patience: int = 0) -> dict[str, Any]:
        """The extra variables of the contract."""
        previous = None
        if self.previous is not None and self.previous_tree is not None:
            previous = {
                **_release(self.previous),
                "artifacts": str(self.previous_tree.absolute()),
            }
        return {
            "otapgate_release": _release(self.manifest),
            "otapgate_artifacts": str(self.release_tree.absolute()),
            "otapgate_environment": {
                "name": self.environment.name,
                "stage": self.environment.stage,
                "street": self.environment.street,
            },
            "otapgate_previous": previous,
            "otapgate_fingerprint_spec": {
                **_spec(self.manifest),
                "patience": patience,
                "expect": "{{ otapgate_expect }}",
            },
            "otapgate_fingerprint_passwords": _passwords(self.manifest),
            "otapgate_unseen": unseen(self.environment),
        }

    def for_previous(self) -> Plan:
        """The same environment with the previous release in the place of this one, to run
        that release's own playbooks."""
        if self.previous is None or self.previous_tree is None:
            raise ValueError("there is no previous release")
        return msgspec.structs.replace(
            self,
            manifest=self.previous,
            release_tree=self.previous_tree,
            previous=None,
            previous_tree=None,
        )

    def host_variables(self, before: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """For every host: its snapshot folder, and how its services answered before."""
        return {
            host: {
                "otapgate_snapshot": self.snapshot_folder(host),
                "otapgate_expect": _expected(before.get(host, {})),
            }
            for host in self.hosts
        }

    def snapshot_folder(self, host: str) -> str:
        """Where the host's snapshot is kept, on that host."""
        if self._is_local(host):
            return str(self.run_dir.absolute() / "snapshot" / host)
        return f"{self.snapshot_root(host)}/{self.promotion_id}/{host}"

    def snapshot_root(self, host: str) -> str:
        """The folder of all snapshots on a host; "" where that is local, and each run has
        its own in its folder."""
        if self._is_local(host):
            return ""
        return str(self._variables_of(host).get(SNAPSHOT_VARIABLE, SNAPSHOT_ROOT))

    def make_snapshot_folders(self) -> None:
        """Make the folders (0700) for local hosts; on others the playbook does."""
        for host in self.hosts:
            if self._is_local(host):
                Path(self.snapshot_folder(host)).mkdir(mode=0o700, parents=True, exist_ok=True)

    def _is_local(self, host: str) -> bool:
        local = self._variables_of(host).get("ansible_connection") == "local"
        return local and self.environment.worker is None

    def _variables_of(self, host: str) -> dict[str, Any]:
        return self.environment.variables_of(self.environment.host(host))


def _release(manifest: Manifest) -> dict[str, str]:
    return {
        "name": manifest.name,
        "app": manifest.app,
        "version": manifest.version,
        "digest": manifest.digest,
    }


def _spec(manifest: Manifest) -> dict[str, Any]:
    """What the fingerprint module must look at; Ansible fills in the templates."""
    state: dict[str, Any] = {
        "paths": list(manifest.state.paths),
        "exclude": list(manifest.state.exclude),
        "databases": [
            {"url": one.url, "ignore": list(one.ignore)} for one in manifest.state.databases
        ],
        "http": [
            {
                "url": one.url,
                "method": one.method,
                "body": one.body,
                "content_type": one.content_type,
                "compare": one.compare,
            }
            for one in manifest.state.http
        ],
        "ports": list(manifest.state.ports),
        "services": list(manifest.state.services),
        "packages": list(manifest.state.packages),
        # not on otapgate's own machine, where others install and configure things meanwhile
        "surroundings": "{{ ansible_connection != 'local' }}"
        if manifest.state.surroundings
        else False,
        # otapgate's own machine isn't one host's alone: others open and close ports there
        "listening": "{{ ansible_connection != 'local' }}",
        "installs": [
            {"root": one.root, "kind": one.kind, "ignore": list(one.ignore)}
            for one in manifest.installs
        ],
    }
    return state


def _passwords(manifest: Manifest) -> list[str]:
    """For every database the template of its password; the guard holds that each is the
    name of a secret of the environment."""
    return [
        "{{ " + one.password + " }}" if _SECRET.match(one.password) else ""
        for one in manifest.state.databases
    ]


def _expected(seen: Any) -> dict[str, Any]:
    """What to wait for. It came from a host and goes back into Ansible, which would
    evaluate a template in it: only numbers, digests and plain names pass."""
    http = {
        key: {
            name: value
            for name, value in said.items()
            if (name == "status" and isinstance(value, int))
            or (name == "sha256" and isinstance(value, str) and _HEX.match(value))
        }
        for key, said in seen.get("http", {}).items()
        if "{" not in key and isinstance(said, dict)
    }
    ports = {
        key: state
        for key, state in seen.get("ports", {}).items()
        if key.isdigit() and state in ("open", "closed")
    }
    services = {
        key: {
            name: value
            for name, value in said.items()
            if name in ("active", "sub") and isinstance(value, str) and _WORD.match(value)
        }
        for key, said in seen.get("services", {}).items()
        if _UNIT.match(key) and isinstance(said, dict)
    }
    expected: dict[str, Any] = {"http": http, "ports": ports, "services": services}
    around = seen.get("surroundings")
    heard = around.get("listening") if isinstance(around, dict) else None
    if isinstance(heard, list):
        expected["listening"] = [
            one for one in heard if isinstance(one, str) and _ADDRESS.match(one)
        ]
    return expected
