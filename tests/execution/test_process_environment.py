"""What Ansible's processes are given of the machine that otapgate runs on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from otapgate.execution.inventory import process_environment
from otapgate.landscape.model import Environment, Host

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFh"


def environment(*connections: str, **variables: Any) -> Environment:
    return Environment(
        name="demo-A",
        stage="A",
        street="demo",
        owner="Fenna",
        hosts=tuple(
            Host(f"web{number}", {"ansible_connection": connection})
            for number, connection in enumerate(connections)
        ),
        variables=variables,
        host_keys={f"web{number}": (KEY,) for number in range(len(connections))},
    )


def given(folder: Path, described: Environment) -> dict[str, str]:
    return process_environment(folder, described, forks=1)


def test_the_agent_is_only_there_when_a_host_is_reached_with_its_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", "/agent")
    assert "SSH_AUTH_SOCK" not in given(tmp_path, environment("local", "local"))
    assert given(tmp_path, environment("local", "ssh"))["SSH_AUTH_SOCK"] == "/agent"


def test_ssh_reads_nobodys_configuration(tmp_path: Path) -> None:
    assert given(tmp_path, environment("ssh"))["ANSIBLE_SSH_ARGS"].startswith("-F /dev/null ")


def test_roles_come_from_the_release_only(tmp_path: Path) -> None:
    assert given(tmp_path, environment("ssh"))["ANSIBLE_ROLES_PATH"] == str(tmp_path / "roles")


def test_two_ways_to_one_address_share_no_connection(tmp_path: Path) -> None:
    """The same private address behind two jump hosts is two machines."""
    name = "ANSIBLE_SSH_CONTROL_PATH_DIR"
    one = given(tmp_path, environment("ssh", ansible_ssh_common_args="-J a"))[name]
    other = given(tmp_path, environment("ssh", ansible_ssh_common_args="-J b"))[name]
    again = given(tmp_path, environment("ssh", ansible_ssh_common_args="-J a"))[name]
    assert one == again != other
    assert Path(one).stat().st_mode & 0o777 == 0o700
