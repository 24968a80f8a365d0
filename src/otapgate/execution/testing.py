"""What steps of a test plan need of the environment's hosts: playbooks run on them, and
only there, and a way for tests to look at them, which is Ansible's as well."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from otapgate.errors import Failed
from otapgate.execution import control, inventory, vault
from otapgate.execution.lock import tether_path
from otapgate.execution.redirects import scan_playbooks, scan_variables
from otapgate.execution.runner import FORKS, Settings, prepare_scratch, run_playbooks
from otapgate.landscape.model import Environment
from otapgate.private_file import write_private


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a playbook went, in the shape that a test's step wants."""

    ok: bool
    message: str
    output: bytes


def playbook_runner(
    root: Path,
    environment: Environment,
    run_dir: Path,
    secrets: Mapping[str, str] | None = None,
    release_variables: Mapping[str, Any] | None = None,
) -> Callable[[Path, Callable[[], bool]], Outcome]:
    """A function that runs one playbook on the environment's hosts, until its second
    argument says to stop; `secrets` become extra variables, the release's are the weakest,
    as in a promotion. A playbook that could reach other hosts isn't run."""
    brought = release_variables or {}
    settings = Settings(
        environment=environment,
        run_dir=run_dir.absolute(),
        lock=tether_path(root.absolute(), environment.name),
        release_variables=brought,
        secrets=secrets or {},
    )

    def run(playbook: Path, should_stop: Callable[[], bool]) -> Outcome:
        hosts = tuple(host.name for host in environment.hosts)
        problems = [
            *scan_playbooks(playbook.parent, hosts, environment.name, secrets or {}),
            *scan_variables(brought, "release.yml"),
        ]
        if problems:
            said = "; ".join(f"{x.where}: {x.message}" for x in problems[:5])
            return Outcome(False, said, b"")
        variables = {
            "otapgate_environment": {
                "name": environment.name,
                "stage": environment.stage,
                "street": environment.street,
            }
        }
        wary = msgspec.structs.replace(
            settings,
            should_stop=should_stop,
            hidden=vault.hidden_values([playbook.parent], secrets or {}),
            trees=(playbook.parent.absolute(),),
        )
        try:
            result = run_playbooks(wary, [playbook], label=playbook.stem, variables=variables)
        except Failed as error:
            if environment.worker is None:
                raise
            return Outcome(False, error.message, b"")  # it broke off, or is at work
        return Outcome(result.ok, result.message, result.output.read_bytes())

    return run


@dataclass(frozen=True, slots=True)
class Access:
    """An inventory, and the environment variables with which Ansible's programs use it."""

    inventory: Path
    processes: Mapping[str, str]


def host_access(
    environment: Environment,
    run_dir: Path,
    secrets: Mapping[str, str] | None = None,
    release_variables: Mapping[str, Any] | None = None,
) -> Callable[[], AbstractContextManager[Access]]:
    """Makes, each time it is called, the inventory and settings with which playbooks reach
    the hosts too: nothing of the user's own configuration of Ansible or SSH counts. They are
    removed afterwards, since `secrets` are among them."""
    settings = Settings(
        environment=environment,
        run_dir=run_dir.absolute(),
        lock=run_dir / "unused",
        release_variables=release_variables or {},
    )

    @contextmanager
    def opened() -> Iterator[Access]:
        scratch = prepare_scratch(settings, "hosts", {})
        try:
            with control.sockets() as sockets:
                yield _access(scratch, environment, secrets or {}, sockets)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    return opened


def _access(
    scratch: Path, environment: Environment, secrets: Mapping[str, str], sockets: Path | None
) -> Access:
    extra = scratch / "inventory" / "secrets.yml"
    # YAML as JSON; a host's own variables are the strongest there are in an inventory.
    hosts = {host.name: vault.for_playbooks(secrets) for host in environment.hosts}
    write_private(extra, json.dumps({"all": {"hosts": hosts}}).encode())
    processes = inventory.process_environment(scratch, environment, forks=FORKS, sockets=sockets)
    # What serves ansible-runner only: its callback isn't there for other programs.
    for name in ("ANSIBLE_STDOUT_CALLBACK", "RUNNER_OMIT_EVENTS", "MAX_EVENT_RES",
                 "RUNNER_ONLY_FAILED_EVENTS", "PATH", "TMPDIR"):  # fmt: skip
        processes.pop(name, None)
    return Access(scratch / "inventory", processes)
