"""From an environment's file to how its hosts are known, reached and kept apart.

What several values of one environment must have in common: keys of hosts that there are,
nothing that weakens the check of them. The form of each value is in `security`.
"""

from __future__ import annotations

from typing import Any

from otapgate.errors import Problem
from otapgate.i18n import _
from otapgate.landscape import security
from otapgate.landscape.files import EnvironmentFile
from otapgate.landscape.model import Difference
from otapgate.landscape.yaml_positions import Document


def described(entry: EnvironmentFile) -> dict[str, Any]:
    """Fields of the `Environment` that speak of access and of being reached."""
    access, keys, sudo = {}, {}, []
    for account, rule in entry.access.items():
        if isinstance(rule, security.AccountFile):
            access[account] = tuple(rule.roles)
            if rule.keys:
                keys[account] = tuple(rule.keys)
            if rule.sudo:
                sudo.append(account)
        else:
            access[account] = tuple(rule)
    return {
        "access": access,
        "sudo": tuple(sudo),
        "access_keys": keys,
        "host_keys": {host: tuple(keys) for host, keys in entry.host_keys.items()},
        "ports": tuple(entry.ports),
        "names": tuple(entry.names),
        "relays": tuple(entry.relays),
        "databases": tuple(entry.databases),
        "differences": tuple(
            Difference(one.aspect, one.item, one.because, one.until) for one in entry.differences
        ),
        "worker": None if entry.worker is None else entry.worker.value(),
    }


def problems(document: Document, entry: EnvironmentFile, loc: list[str | int]) -> list[Problem]:
    """What is wrong between these values, with where it stands."""
    found = [
        document.problem(
            _("'{name}' is no host of this environment.").format(name=host),
            [*loc, "host_keys", host],
            _("Known here: {names}.").format(names=", ".join(sorted(entry.hosts))),
        )
        for host in entry.host_keys
        if host not in entry.hosts
    ]
    places = [([*loc, "variables"], entry.variables)]
    places += [([*loc, "hosts", host], own or {}) for host, own in entry.hosts.items()]
    for at, variables in places:
        found += [
            document.problem(message, [*at, name], remedy)
            for name, message, remedy in security.weakened(variables)
        ]
    return found
