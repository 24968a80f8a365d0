"""What a landscape takes over of a lab: a street's description, and the hosts' keys."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from otapgate.lab.supervisor import STATE

STREET, KNOWN_HOSTS = "street.yml", "known_hosts"
_SECRETS = "passwords"
_STAGES = "OTAP"


def write(folder: Path, state: dict[str, Any], passwords: dict[str, dict[str, str]]) -> None:
    """Put `street.yml`, `known_hosts` and, where there are any, `passwords.json` in keys/."""
    (folder / KNOWN_HOSTS).write_text(known_hosts(state), "utf-8")
    (folder / STREET).write_text(street(folder, state), "utf-8")
    if passwords:
        path = folder / "keys" / f"{_SECRETS}.json"
        path.touch(0o600)
        path.write_text(json.dumps(passwords, indent=2) + "\n", "utf-8")


def known_hosts(state: dict[str, Any]) -> str:
    """A line a host: its address, its name and its key."""
    lines = []
    for name, host in state["hosts"].items():
        kind, key = host["host_key"].split()[:2]
        lines.append(f"{host['address']},{name} {kind} {key}\n")
    return "".join(lines)


def connection(folder: Path, state: dict[str, Any], name: str) -> dict[str, str]:
    """The Ansible variables by which a host is reached."""
    host = state["hosts"][name]
    account = "deploy" if "deploy" in host["accounts"] else next(iter(host["accounts"]), "root")
    return {
        "ansible_host": host["address"],
        "ansible_user": account,
        "ansible_ssh_private_key_file": str(folder / "keys" / "lab"),
        "ansible_ssh_common_args": "-o IdentitiesOnly=yes",
        "ansible_python_interpreter": "/usr/bin/python3",
    }


def street(folder: Path, state: dict[str, Any]) -> str:
    """A file that can stand in a landscape as `environments/lab.yml`."""
    lines = [
        "# yaml-language-server: $schema=../.otapgate/schema/street.json",
        f"# Of the lab in {folder}; {STATE} there says what runs.",
        "street: lab",
        "title: Lab",
        "environments:",
    ]
    for stage in _STAGES:
        names = [name for name, host in state["hosts"].items() if host["stage"] == stage]
        if not names:
            continue
        lines += [f"  - stage: {stage}", "    owner: Daan Jansen", "    hosts:"]
        for name in names:
            lines.append(f"      {name}:")
            lines += [
                f"        {variable}: {json.dumps(value)}"
                for variable, value in connection(folder, state, name).items()
            ]
        lines.append("    host_keys:")
        for name in names:
            kind, key = state["hosts"][name]["host_key"].split()[:2]
            lines.append(f"      {name}: [{kind} {key}]")
    return "\n".join(lines) + "\n"
