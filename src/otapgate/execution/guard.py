"""The inventory guard: Ansible will reach this environment's hosts, these ways, only.

The static half (`redirects`) reads a release's playbooks. The dynamic half here asks
`ansible-inventory`, with exactly the inventory and settings that the promotion will use
and the release's own variable files beside them, what it makes of it, and compares every
host and every connection variable with the environment's description.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import msgspec

from otapgate.errors import Problem
from otapgate.execution import inventory as inventories
from otapgate.execution import vault
from otapgate.execution.plan import Plan
from otapgate.execution.redirects import REDIRECTING, scan_playbooks, scan_texts, scan_variables
from otapgate.execution.runner import ansible_binary, prepare_scratch
from otapgate.i18n import _
from otapgate.secrets_filter import SecretsFilter

TIMEOUT_SECONDS = 60


class InventoryCheck:
    """A check that runs while something else is done; see `start_inventory_check`."""

    def __init__(self, plan: Plan, process: subprocess.Popen[bytes], scratch: Path) -> None:
        self._plan = plan
        self._process = process
        self._scratch = scratch

    def result(self) -> list[Problem]:
        """Wait for the answer; empty when Ansible sees exactly what is described."""
        try:
            try:
                output, errors = self._process.communicate(timeout=TIMEOUT_SECONDS)
            except subprocess.TimeoutExpired:
                return [Problem(_("ansible-inventory gave no answer."))]
            if self._process.returncode != 0:
                said = self._plan.settings().mask(errors.decode("utf-8", "replace")).strip()[-1000:]
                return [Problem(_("ansible-inventory failed: {why}").format(why=said))]
            return compare_inventory(self._plan, output)
        finally:
            self.cancel()

    def cancel(self) -> None:
        """Stop it and clean up; nothing happens when it has been done."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()
        shutil.rmtree(self._scratch, ignore_errors=True)


def start_inventory_check(plan: Plan) -> InventoryCheck:
    """Start asking `ansible-inventory` in the background. Call `result` (or `cancel`).
    Raises Failed (`ansible-missing`)."""
    binary = ansible_binary("ansible-inventory")
    settings = plan.settings()
    scratch = prepare_scratch(settings, "inventory", plan.host_variables({}))
    environment = inventories.process_environment(
        scratch,
        plan.environment,
        forks=settings.forks,
        collections=settings.collections,
        strategy=plan.strategy,  # what doesn't fit is refused before anything is touched
    )
    environment |= {
        "ANSIBLE_STDOUT_CALLBACK": "default",
        **vault.password_file(plan.secrets, scratch),
    }
    playbooks = plan.release_tree.absolute() / "playbooks"
    process = subprocess.Popen(
        [
            *(binary, "-i", str(scratch / "inventory" / "hosts.yml"), "--list"),
            *("--playbook-dir", str(playbooks)),
        ],
        env=environment,
        cwd=scratch,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    return InventoryCheck(plan, process, scratch)


def check_release(plan: Plan) -> list[Problem]:
    """The static half for one plan: its playbooks, variables and declared state."""
    return [
        *scan_playbooks(
            plan.release_tree / "playbooks", plan.hosts, plan.environment.name, plan.secrets
        ),
        *scan_variables(plan.manifest.variables, "release.yml"),
        *scan_texts(
            msgspec.to_builtins((plan.manifest.state, plan.manifest.installs)), "release.yml"
        ),
        *(
            Problem(
                _("{environment} has no secret {name}, the password of {url}.").format(
                    environment=plan.environment.name, name=one.password, url=one.url
                ),
                "release.yml",
                remedy=_("Put {name} below the environment's 'secrets:'.").format(
                    name=one.password
                ),
            )
            for one in plan.manifest.state.databases
            if one.password and one.password not in plan.environment.secrets
        ),
    ]


def compare_inventory(plan: Plan, listed: bytes) -> list[Problem]:
    """What `ansible-inventory --list` says, against the environment (pure)."""
    try:
        said = json.loads(listed)
        per_host: dict[str, Any] = said["_meta"]["hostvars"]
        groups = {
            name: set(group.get("hosts", ())) for name, group in said.items() if name != "_meta"
        }
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        return [Problem(_("ansible-inventory's answer can't be read."))]
    hosts = {*per_host, *(host for members in groups.values() for host in members)}
    mask = plan.settings().mask
    found = [
        Problem(
            _("{host} isn't a host of {environment}, but Ansible would go there.").format(
                host=host, environment=plan.environment.name
            )
        )
        for host in sorted(hosts - set(plan.hosts))
    ]
    for host in plan.hosts:
        if host not in hosts:
            found.append(Problem(_("Ansible doesn't know {host}.").format(host=host)))
            continue
        wanted = inventories.connection_variables(plan.environment, host)
        seen = {
            name: value
            for name, value in per_host.get(host, {}).items()
            if name.startswith("ansible_") or REDIRECTING.match(name)
        }
        own = plan.host_variables({})[host]
        for name in sorted({*wanted, *seen}):
            expected = wanted.get(name, own.get(name))
            if name == "otapgate_snapshot_root":
                continue
            if seen.get(name) != expected:
                found.append(
                    Problem(
                        _("{host}: Ansible would use {name}={seen!r}, not {wanted!r}.").format(
                            host=host, name=name, seen=_shown(seen.get(name), mask), wanted=expected
                        ),
                        remedy=_("Take {name} out of the release's variables.").format(name=name),
                    )
                )
    return found


def _shown(value: Any, mask: SecretsFilter) -> Any:
    """A value for a sentence, without secrets."""
    return mask(value) if isinstance(value, str) else json.loads(mask(json.dumps(value)))
