"""What Ansible's processes are given of the machine that otapgate runs on."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from otapgate.errors import BadInput
from otapgate.execution.inventory import process_environment
from otapgate.execution.ssh_config import NOWHERE
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
    arguments = given(tmp_path, environment("ssh"))["ANSIBLE_SSH_ARGS"]
    assert arguments.startswith(f"-F {tmp_path}/ssh_config ")


def asked(folder: Path, host: str, *connections: str, more: str = "", **variables: Any) -> str:
    """Where ssh would go for that name, and through which host."""
    line = given(folder, environment(*connections, **variables))["ANSIBLE_SSH_ARGS"]
    done = subprocess.run(
        ["ssh", *shlex.split(line), *shlex.split(more), "-G", host],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    said = dict(one.split(" ", 1) for one in done.stdout.splitlines() if " " in one)
    return said["hostname"]


@pytest.mark.parametrize(
    ("host", "ends"),
    [
        ("web0", "web0"), ("web1", "web1"), ("p1", NOWHERE), ("web", NOWHERE), ("web01", NOWHERE),
        ("10.77.4.11", NOWHERE), ("*", NOWHERE), ("jump.example", NOWHERE),
    ],
)  # fmt: skip
def test_ssh_knows_the_way_to_the_environments_hosts_only(
    tmp_path: Path, host: str, ends: str
) -> None:
    assert asked(tmp_path, host, "ssh", "ssh") == ends


@pytest.mark.parametrize(
    "arguments",
    ["-J deploy@Jump.example:2222,second", "-o ProxyJump=deploy@Jump.example",
     "-oProxyJump='ssh://Jump.example:22'", "-o 'ProxyJump Jump.example'", "-JJump.example"],
)  # fmt: skip
def test_ssh_knows_the_way_through_a_jump_host(tmp_path: Path, arguments: str) -> None:
    described = {"ansible_ssh_common_args": arguments}
    assert asked(tmp_path, "Jump.example", "ssh", **described) != NOWHERE
    assert asked(tmp_path, "jump.example", "ssh", **described) == "jump.example"
    assert asked(tmp_path, "p1", "ssh", **described) == NOWHERE


def test_an_address_of_many_meanings_opens_nothing(tmp_path: Path) -> None:
    assert asked(tmp_path, "p1", "ssh", ansible_host="*") == NOWHERE
    assert asked(tmp_path, "192.0.2.1", "ssh", ansible_host="192.0.2.1") == "192.0.2.1"


def test_roles_come_from_the_release_only(tmp_path: Path) -> None:
    assert given(tmp_path, environment("ssh"))["ANSIBLE_ROLES_PATH"] == str(tmp_path / "roles")


def test_without_a_folder_for_its_sockets_ssh_connects_for_every_task(tmp_path: Path) -> None:
    apart = given(tmp_path, environment("ssh"))["ANSIBLE_SSH_ARGS"]
    assert "Control" not in apart
    together = process_environment(
        tmp_path, environment("ssh"), forks=1, sockets=tmp_path / "sockets"
    )
    assert "ControlPersist=60s" in together["ANSIBLE_SSH_ARGS"]
    assert together["ANSIBLE_SSH_CONTROL_PATH_DIR"] == str(tmp_path / "sockets")


def test_only_the_pinned_host_keys_are_believed(tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    folder.mkdir()
    described = environment("ssh", "ssh", "local", ansible_host="Web.example", ansible_port=2222)
    arguments = shlex.split(given(folder, described)["ANSIBLE_SSH_ARGS"])
    assert f'UserKnownHostsFile="{folder}/known_hosts"' in arguments
    assert {"StrictHostKeyChecking=yes", "GlobalKnownHostsFile=/dev/null"} <= set(arguments)
    assert (folder / "known_hosts").read_text() == f"[web.example]:2222 {KEY}\n" * 2
    plain = given(folder, environment("ssh"))["ANSIBLE_SSH_ARGS"]
    asked = subprocess.run(
        ["ssh", *shlex.split(plain), "-G", "web0"], capture_output=True, text=True, check=True
    ).stdout
    said = dict(line.split(" ", 1) for line in asked.splitlines() if " " in line)
    assert said["stricthostkeychecking"] in ("true", "yes")
    assert said["userknownhostsfile"].strip('"') == f"{folder}/known_hosts"
    assert (folder / "known_hosts").read_text() == f"web0 {KEY}\n"


def test_a_host_without_a_pinned_key_is_refused(tmp_path: Path) -> None:
    described = msgspec.structs.replace(environment("local", "ssh"), host_keys={})
    with pytest.raises(BadInput) as caught:
        given(tmp_path, described)
    assert caught.value.code == "host-keys-missing"
    assert "web1" in caught.value.message
    assert "web0" not in caught.value.message
    assert caught.value.remedy == "otapgate env pin demo-A"
