"""Playbooks as steps of a test plan: run on the environment's hosts, and only there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from otapgate.execution.lock import tether_path
from otapgate.execution.redirects import scan_playbooks
from otapgate.execution.runner import Settings, run_playbooks
from otapgate.landscape.model import Environment


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
) -> Callable[[Path], Outcome]:
    """A function that runs one playbook on the environment's hosts; `secrets` become extra
    variables. A playbook that could reach other hosts isn't run."""
    settings = Settings(
        environment=environment,
        run_dir=run_dir.absolute(),
        lock=tether_path(root.absolute(), environment.name),
        secrets=secrets or {},
    )

    def run(playbook: Path) -> Outcome:
        hosts = tuple(host.name for host in environment.hosts)
        problems = scan_playbooks(playbook.parent, hosts, environment.name)
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
        result = run_playbooks(settings, [playbook], label=playbook.stem, variables=variables)
        return Outcome(result.ok, result.message, result.output.read_bytes())

    return run
