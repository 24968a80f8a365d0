"""Over which connections otapgate can look at a host, and what a release must do without.

Looking is done by a module in Python, on the host. Windows and most network equipment run
none: over `network_cli` such a module would even run on otapgate's own machine, and tell of
that. So what isn't known to run Python there isn't looked at (pure).
"""

from __future__ import annotations

from otapgate.errors import BadInput, Problem
from otapgate.i18n import _
from otapgate.landscape.model import Environment
from otapgate.release.manifest import Manifest

_SEEING = frozenset(
    (
        "ssh", "local", "smart", "paramiko", "paramiko_ssh", "docker", "docker_api",
        "nsenter", "podman", "buildah", "kubectl", "oc", "lxc",
        "lxd", "incus", "chroot", "jail", "machinectl",
    )
)  # fmt: skip
"""Connections, without their collection, by which Python runs on the host itself."""


def unseen(environment: Environment) -> dict[str, str]:
    """Hosts that can't be looked at, each with the connection that is to blame."""
    found = {}
    for host in environment.hosts:
        known = environment.variables_of(host)
        connection = str(known.get("ansible_connection", "ssh"))
        if connection.rpartition(".")[2] not in _SEEING:
            found[host.name] = connection
    return found


def require(environment: Environment, release: Manifest, compares: bool) -> None:
    """Raises BadInput (`host-unseen`) where `problems` finds any."""
    found = problems(environment, release, compares)
    if found:
        raise BadInput(
            "host-unseen",
            _("{release} says of its state what can't be looked at in {environment}; nothing was"
              " done.").format(release=release.name, environment=environment.name),
            problems=tuple(found),
            where=environment.file or None,
        )  # fmt: skip


def problems(environment: Environment, release: Manifest, compares: bool) -> list[Problem]:
    """What a release lacks to be promoted to hosts that can't be looked at; `compares` says
    whether it has a `compare.yml`."""
    state = release.state
    declared = [
        name
        for name, given in (
            ("paths", state.paths), ("databases", state.databases), ("http", state.http),
            ("ports", state.ports), ("services", state.services), ("packages", state.packages),
            ("installs", release.installs),
        )
        if given
    ]  # fmt: skip
    found = []
    for host, connection in unseen(environment).items():
        if declared:
            found.append(
                Problem(
                    _("{host} is reached by {connection}, over which otapgate can't look at what"
                      " release.yml declares ({names}).").format(
                        host=host, connection=connection, names=", ".join(declared)),
                    "release.yml",
                    remedy=_("Declare none of it, and look yourself in verify.yml and compare.yml;"
                             " hosts that can be looked at belong in a street of their own."),
                )
            )  # fmt: skip
        if not compares:
            found.append(
                Problem(
                    _("{host} is reached by {connection}, so only a compare.yml can tell whether"
                      " its state came back.").format(host=host, connection=connection),
                    "playbooks/compare.yml",
                    remedy=_("Write one that fails when what it finds isn't what snapshot.yml"
                             " kept."),
                )
            )  # fmt: skip
    return found
