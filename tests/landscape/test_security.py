"""What an environment's file says of host keys, access and being apart, and what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.landscape.conftest import problems_of

from otapgate.landscape.load import load
from otapgate.landscape.model import Difference, Receptor, Worker

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFh"


def put(root: Path, *lines: str) -> int:
    """Lines into the first environment; the line of the first of them."""
    path = root / "environments/agenda.yml"
    text = path.read_text()
    at = text.index("    access:")
    path.write_text(text[:at] + "".join(f"    {line}\n" for line in lines) + text[at:])
    return text[:at].count("\n") + 1


def test_all_of_it_is_read_and_in_the_digest(root: Path) -> None:
    before = load(root).environments()[0].digest
    path = root / "environments/agenda.yml"
    path.write_text(path.read_text().replace(
        "access: {deploy: [administrator]}",
        "access: {deploy: {roles: [administrator], sudo: true, keys: [SHA256:" + "a" * 43
        + "]}, test: [tester]}", 1))  # fmt: skip
    put(root,
        f"host_keys: {{agenda-t: [{KEY} root@agenda]}}",
        "ports: [443]", "names: [agenda.example]", 'relays: ["smtp.example:25"]',
        'databases: ["postgresql://db.example/agenda"]',
        "differences: [{aspect: infrastructure, item: memory, because: cost, until: 2027-01-01}]",
    )  # fmt: skip
    found = load(root).environments()[0]
    assert found.host_keys == {"agenda-t": (KEY,)}, "the comment is left out"
    assert found.access == {"deploy": ("administrator",), "test": ("tester",)}
    assert (found.sudo, found.access_keys) == (("deploy",), {"deploy": ("SHA256:" + "a" * 43,)})
    assert (found.ports, found.names, found.relays) == (
        (443,), ("agenda.example",), ("smtp.example:25",),
    )  # fmt: skip
    assert found.databases == ("postgresql://db.example/agenda",)
    assert found.differences == (Difference("infrastructure", "memory", "cost", "2027-01-01"),)
    assert found.digest != before


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("host_keys: {elsewhere: [" + KEY + "]}", "'elsewhere' is no host of this environment."),
        ("host_keys: {agenda-t: [ssh-ed25519 AAAA]}", "public part of an SSH host key"),
        (f"host_keys: {{agenda-t: [{KEY.replace('ed25519', 'rsa', 1)}]}}", "public part"),
        ("host_keys: {agenda-t: [nonsense]}", "public part of an SSH host key"),
        ("host_keys: {agenda-t: [ssh-dss AAAAB3NzaC1kc3MAAAAB]}", "public part"),
        ("ports: [0]", "at least 1"),
        ("ports: [80, 80]", "twice"),
        ("names: ['http://agenda.example/']", "neither a DNS name"),
        ("relays: [smtp.example]", "not a mail relay"),
        ("databases: ['postgresql://u:geheim@db.example/x']", "A password stands"),
        ("databases: ['agenda']", "not the URL of a database"),
        ("differences: [{aspect: speed, item: x, because: y, until: 2027-01-01}]", "speed"),
        ("differences: [{aspect: network, item: x, because: y, until: soon}]", "not a date"),
        ("variables: {ansible_ssh_args: -v}", "take away the check"),
        ("variables: {ansible_host_key_checking: false}", "take away the check"),
        ("variables: {ansible_connection: paramiko_ssh}", "another list of host keys"),
        ("variables: {ansible_ssh_common_args: -o StrictHostKeyChecking=no}", "Strict"),
        ("variables: {ansible_ssh_extra_args: '-oUser\"KnownHostsFile\"=/x'}", "KnownHosts"),
        ("variables: {ansible_netconf_host_key_checking: false}", "take away the check"),
        ("variables: {ansible_winrm_server_cert_validation: ignore}", "any machine pass"),
        ("variables: {ansible_httpapi_validate_certs: false}", "any machine pass"),
        ("worker: {command: [ssh -T worker@school otapgate worker]}", "a line for a shell"),
        ("worker: {command: [sshpass, -p, geheim, ssh]}", "can be seen by everybody"),
        ("worker: {command: [ssh, -o, PASSWORD=geheim]}", "can be seen by everybody"),
        ("worker: {command: [ssh, '']}", "can't be a word"),
        ("worker: {command: []}", "at least 1"),
        ("worker: {}", "exactly one of them"),
        ("worker: {command: [ssh], receptor: {socket: /run/r, node: n}}", "exactly one of them"),
        ("worker: {receptor: {socket: r.sock, node: school}}", "not the path of a socket"),
        ("worker: {receptor: {socket: /run/r, node: '--rm'}}", "can't be a name in Receptor"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_line(root: Path, line: str, said: str) -> None:
    number = put(root, line)
    (problem,) = problems_of(root)
    assert said in problem.message
    assert problem.where == f"environments/agenda.yml:{number}"
    assert "geheim" not in problem.message


def test_a_host_cant_weaken_it_either(root: Path) -> None:
    path = root / "environments/agenda.yml"
    text = path.read_text().replace(
        "        ansible_connection: local",
        "        ansible_ssh_common_args: -J jump -o globalknownhostsfile=/x", 1,
    )  # fmt: skip
    path.write_text(text)
    (problem,) = problems_of(root)
    assert "globalknownhostsfile" in problem.message


def test_a_worker_is_read_and_accepted_with_the_rest(root: Path) -> None:
    before = load(root).environments()[0].digest
    number = put(root, "worker: {command: [ssh, -T, worker@school.example, otapgate, worker]}")
    found = load(root).environments()[0]
    assert found.worker == Worker(("ssh", "-T", "worker@school.example", "otapgate", "worker"))
    assert found.digest != before
    path = root / "environments/agenda.yml"
    lines = path.read_text().splitlines()
    lines[number - 1] = "    worker: {receptor: {socket: /run/receptor/x.sock, node: school}}"
    path.write_text("\n".join(lines) + "\n")
    mesh = load(root).environments()[0]
    assert mesh.worker == Worker(receptor=Receptor("/run/receptor/x.sock", "school", "otapgate"))
    assert mesh.digest not in (before, found.digest)
    del lines[number - 1]
    path.write_text("\n".join(lines) + "\n")
    assert load(root).environments()[0].digest == before


def test_where_snapshots_lie_on_hosts_is_the_environments_to_say(root: Path) -> None:
    put(root, "variables: {otapgate_snapshot_root: /srv/snapshots}")
    assert load(root).environments()[0].variables == {"otapgate_snapshot_root": "/srv/snapshots"}
    put(root, "secrets: []")
    path = root / "environments/agenda.yml"
    path.write_text(path.read_text().replace("otapgate_snapshot_root", "otapgate_expect"))
    (problem,) = problems_of(root)
    assert "is set by otapgate itself" in problem.message


def test_the_same_address_behind_another_worker_is_another_machine(root: Path) -> None:
    usual = (root / "environments/agenda.yml").read_text()
    local, there = "        ansible_connection: local", "        ansible_host: 10.0.0.1"

    def described(street: str, stage: str, worker: str) -> None:
        """A street in which one environment, maybe behind a worker, has that address."""
        before, at, rest = usual.partition(f"  - stage: {stage}")
        rest = rest.replace(local, there, 1)
        if worker:
            line = f"    worker: {{command: [ssh, {worker}, otapgate, worker]}}\n"
            rest = rest.replace("    access:", f"{line}    access:", 1)
        path = root / f"environments/{street}.yml"
        path.write_text((before + at + rest).replace("agenda", street))

    described("agenda", "T", "one")
    described("rooster", "P", "other")
    load(root)
    for same in ("", "one"):
        described("rooster", "P", same)
        (problem,) = problems_of(root)
        assert "10.0.0.1" in problem.message
