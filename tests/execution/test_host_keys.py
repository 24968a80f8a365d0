"""Ansible believes the host keys that the description pins, and no others."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.probe.sshd import Server

from otapgate.execution.runner import PlaybookResult, Settings, run_playbooks
from otapgate.landscape.model import Environment, Host

PLAY = "- hosts: all\n  gather_facts: false\n  tasks:\n    - raw: echo reached\n"


def run(folder: Path, key: Path, server: Server, pinned: str, **more: object) -> PlaybookResult:
    playbook = folder / "deploy.yml"
    playbook.write_text(PLAY)
    environment = Environment(
        name="demo-A",
        stage="A",
        street="demo",
        owner="Fenna",
        hosts=(Host("web", {**server.variables(key), **more}),),
        host_keys={"web": (pinned,)},
    )
    settings = Settings(environment=environment, run_dir=folder / "a run", lock=folder / "lock")
    return run_playbooks(settings, [playbook], label="deploy", variables={})


def test_a_host_with_the_pinned_key_is_reached(tmp_path: Path, host: tuple[Path, Server]) -> None:
    key, server = host
    result = run(tmp_path, key, server, server.host_key)
    assert result.ok, result.message


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"ansible_host_key_checking": False},
        {"ansible_ssh_common_args": "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"},
    ],
)
def test_another_host_key_is_refused_whatever_the_variables_say(
    tmp_path: Path, host: tuple[Path, Server], more: dict[str, object]
) -> None:
    key, server = host
    pinned = server.host_key
    server.renew()
    result = run(tmp_path, key, server, pinned, **more)
    assert (result.ok, result.code) == (False, "host-key-changed")
    assert result.message.startswith("web shows another SSH host key")
    assert "Accepted" not in (server.folder / "log").read_text()
