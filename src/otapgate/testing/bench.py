"""The place where steps work: the plan unpacked, who is who, and a room for each case.

Nothing of it outlives the run. What is done there is in `steps`.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from otapgate.errors import BadInput
from otapgate.i18n import _
from otapgate.landscape.model import Environment
from otapgate.landscape.yaml_positions import shown
from otapgate.release.manifest import Manifest
from otapgate.release.store import Store
from otapgate.release.unpack import remove, unpack_files
from otapgate.testing.answers import Answer
from otapgate.testing.limits import Limit
from otapgate.testing.plan import ManualStep, RegisteredPlan
from otapgate.testing.template import render


class PlaybookOutcome(Protocol):
    """What running a playbook gives back."""

    @property
    def ok(self) -> bool: ...
    @property
    def message(self) -> str: ...
    @property
    def output(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class PlaybookResult:
    """How a playbook went on the environment's hosts."""

    ok: bool
    message: str
    output: bytes = b""


PlaybookRunner: TypeAlias = Callable[[Path, Callable[[], bool]], PlaybookOutcome]
"""Runs the playbook at a path on the hosts of the environment that is tested, until the
function says that it is to stop."""


class HostAccess(Protocol):
    """How tests reach the environment's hosts: by this inventory, as Ansible does, whose
    programs need these environment variables."""

    @property
    def inventory(self) -> Path: ...
    @property
    def processes(self) -> Mapping[str, str]: ...


HostAccessMaker: TypeAlias = Callable[[], AbstractContextManager[HostAccess]]


@dataclass(frozen=True, slots=True)
class Hands:
    """What a run gets from outside of the plan."""

    ansible: PlaybookRunner | None = None
    hosts: HostAccessMaker | None = None
    attachments: Mapping[str, Path] = field(default_factory=dict)
    """Name → report that was handed in."""
    answers: Mapping[str, Answer] = field(default_factory=dict)
    """Answers that are known already, by the id of the question."""
    ask: Callable[[ManualStep], Answer] | None = None
    """Asks a person; called from the main thread only."""


@dataclass(slots=True)
class Bench:
    """Where and with what steps work."""

    bundle: Path
    scratch: Path
    environment: Environment
    variables: dict[str, Any]
    allowed: frozenset[str]
    processes: dict[str, str]
    """Environment variables of the programs that are run: these and no others."""
    store: Store
    hands: Hands = field(default_factory=Hands)
    margin: int = 0
    """Bytes to throw away where output is cut, for the sake of secrets."""
    ask: Callable[[ManualStep], Answer | None] = lambda _step: None
    """Gets the answer to a question, from any thread; None when there won't be one."""
    playbooks: threading.Lock = field(default_factory=threading.Lock)
    """Held by the one playbook that runs: Ansible works in an environment one at a time."""

    mask: Callable[[str], str] = str
    """Takes secrets out of a text."""

    def keep(self, data: bytes) -> str:
        """Keep bytes in the store; their digest."""
        return self.store.put(data)

    def harmless(self, data: bytes) -> bool:
        """Whether bytes hold no known secret, so that they may be kept as they are."""
        text = data.decode("utf-8", "replace")
        return self.mask(text) == text

    def play(self, playbook: Path, limit: Limit) -> PlaybookOutcome:
        """Run a playbook on the hosts, one at a time, until the limit."""
        ansible = self.hands.ansible
        if ansible is None:
            return PlaybookResult(False, _("Playbooks can't be run here."))
        while not self.playbooks.acquire(timeout=0.1):
            if limit.over:
                break
        else:
            try:
                found = ansible(playbook, lambda: limit.over)
            finally:
                self.playbooks.release()
            if not limit.over or found.ok:
                return found
            said = _("The playbook was stopped: {reason}.").format(reason=limit.why())
            return PlaybookResult(False, said, found.output)
        said = _("The step was not carried out: {reason}.").format(reason=limit.why())
        return PlaybookResult(False, said)

    @contextlib.contextmanager
    def room(self, name: str, limit: Limit) -> Iterator[Room]:
        """A folder of its own for a case, removed afterwards."""
        folder = self.scratch / name
        for one in (folder, folder / "home", folder / "tmp", folder / "results"):
            one.mkdir(mode=0o700)
        processes = {
            **self.processes,
            "HOME": str(folder / "home"),
            "TMPDIR": str(folder / "tmp"),
            "OTAPGATE_RESULTS": str(folder / "results"),
        }
        variables = {**self.variables, "otapgate_results": str(folder / "results")}
        try:
            yield Room(self, folder, processes, variables, limit)
        finally:
            remove(folder)


@dataclass(slots=True)
class Room:
    """Where the steps of one case work."""

    bench: Bench
    folder: Path
    processes: dict[str, str]
    variables: dict[str, Any]
    limit: Limit

    @property
    def results(self) -> Path:
        """Where commands put reports for later steps."""
        return self.folder / "results"

    def seen_by(self, host: str) -> dict[str, Any]:
        """The variables that a step's templates see."""
        if not host:
            return self.variables
        for one in self.bench.environment.hosts:
            if one.name == host:
                return {**self.variables, "inventory_hostname": host, **one.variables}
        raise BadInput(
            "host-unknown",
            _("{environment} has no host {host}.").format(
                environment=self.bench.environment.name, host=shown(host)
            ),
        )


@contextlib.contextmanager
def bench(
    plan: RegisteredPlan,
    manifest: Manifest,
    environment: Environment,
    workdir: Path,
    store: Store,
    hands: Hands,
) -> Iterator[Bench]:
    """Unpack the bundle, say what the environment is, and clean up afterwards."""
    bundle, scratch = workdir / "plan", workdir / "scratch"
    try:
        unpack_files(plan.plan.files, store, bundle, name=plan.name)
        scratch.mkdir(mode=0o700)
        described = scratch / "environment.json"
        described.touch(mode=0o600)
        described.write_text(json.dumps(_described(environment, manifest)), encoding="utf-8")
        yield Bench(
            bundle=bundle,
            scratch=scratch,
            environment=environment,
            variables=_variables(environment, manifest),
            allowed=addresses(environment),
            processes={
                "PATH": os.environ.get("PATH", os.defpath),
                "LANG": "C.UTF-8",
                "LC_ALL": "C.UTF-8",
                "PYTHONDONTWRITEBYTECODE": "1",
                "OTAPGATE_ENVIRONMENT": str(described),
            },
            store=store,
            hands=hands,
        )
    finally:
        remove(bundle)
        remove(scratch)


def _described(environment: Environment, manifest: Manifest) -> dict[str, Any]:
    """What tests get to know of where they run."""
    return {
        "name": environment.name,
        "stage": environment.stage,
        "street": environment.street,
        "variables": environment.variables,
        "hosts": [{"name": h.name, "variables": h.variables} for h in environment.hosts],
        "release": {"name": manifest.name, "version": manifest.version, "digest": manifest.digest},
    }


def _variables(environment: Environment, manifest: Manifest) -> dict[str, Any]:
    """As in the release's playbooks: the environment's go before the release's; those of
    a host only where there is one, or `host:` in the step says which."""
    variables = {
        **manifest.variables,
        **environment.variables,
        "otapgate_environment": environment.name,
        "otapgate_release": {
            "name": manifest.name,
            "app": manifest.app,
            "version": manifest.version,
            "digest": manifest.digest,
        },
        "hosts": {host.name: host.variables for host in environment.hosts},
    }
    if len(environment.hosts) == 1:
        only = environment.hosts[0]
        variables |= {"inventory_hostname": only.name, **only.variables}
    return variables


def addresses(environment: Environment) -> frozenset[str]:
    """What an HTTP step may ask, besides loopback: hosts by name and by address."""
    allowed = set()
    for host in environment.hosts:
        allowed.add(host.name.lower())
        address = host.variables.get("ansible_host")
        if isinstance(address, str):
            with contextlib.suppress(BadInput):
                allowed.add(render(address, environment.variables_of(host)).lower())
    return frozenset(allowed)
