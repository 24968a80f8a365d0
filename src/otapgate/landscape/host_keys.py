"""Which SSH host keys an environment's hosts have, as its description pins them. Pure.

Ansible is given these in a file of its own, and the probes compare with them; no other
list of known hosts counts.
"""

from __future__ import annotations

from otapgate import errors
from otapgate.i18n import _
from otapgate.landscape.model import Environment, Host

OVER_SSH = ("ssh", "smart", "paramiko", "paramiko_ssh", "ansible.builtin.ssh",
            "ansible.builtin.paramiko_ssh")  # fmt: skip
"""What Ansible calls its ways over SSH."""


def is_over_ssh(environment: Environment, host: Host) -> bool:
    return environment.variables_of(host).get("ansible_connection", "ssh") in OVER_SSH


def address(environment: Environment, host: Host) -> str:
    """Where the host is reached: name or address, lower case as ssh compares it."""
    known = environment.variables_of(host)
    found = known.get("ansible_host") or known.get("ansible_ssh_host") or host.name
    return str(found).casefold()


def port(environment: Environment, host: Host) -> int:
    """The port of the host's SSH server; 0 where that can't be told."""
    known = environment.variables_of(host)
    found = str(known.get("ansible_port") or known.get("ansible_ssh_port") or 22)
    return int(found) if found.isascii() and found.isdigit() and int(found) < 65536 else 0


def unpinned(environment: Environment) -> list[str]:
    """Hosts that are reached over SSH and have no key in the description."""
    return [
        host.name
        for host in environment.hosts
        if is_over_ssh(environment, host) and not environment.host_keys.get(host.name)
    ]


def require(environment: Environment) -> None:
    """Raises BadInput unless every host over SSH has its keys in the description."""
    missing = unpinned(environment)
    if missing:
        raise errors.BadInput(
            "host-keys-missing",
            _("The SSH host keys of {hosts} aren't in the description of {environment}; nothing"
              " was sent there.").format(
                hosts=", ".join(missing), environment=environment.name),
            remedy=f"otapgate env pin {environment.name}",
            where=environment.file,
        )  # fmt: skip


def known_hosts(environment: Environment) -> str:
    """The pinned keys as ssh's file of known hosts."""
    lines = []
    for host in environment.hosts:
        if not is_over_ssh(environment, host):
            continue
        name, at = address(environment, host), port(environment, host)
        pattern = name if at == 22 else f"[{name}]:{at}"
        lines += [f"{pattern} {key}\n" for key in environment.host_keys.get(host.name, ())]
    return "".join(lines)


def changed(host: str) -> str:
    """The sentence for a host that showed another key."""
    return _(
        "{host} shows another SSH host key than the one in its description; nothing was sent there."
    ).format(host=host)


def is_other(message: str) -> bool:
    """Whether ssh, or Mitogen, turned away because of the host's key: always in English."""
    said = ("Host key verification failed", "HOST IDENTIFICATION", "mismatching host key")
    return any(words in message for words in said)
