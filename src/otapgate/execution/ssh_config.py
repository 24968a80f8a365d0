"""The configuration that ssh reads instead of the user's: to the environment's hosts, and
nowhere else.

What leads Ansible to another host while a playbook runs, such as a host that a module adds
or a name that a fact changes, is seen in Ansible's events only afterwards. Here ssh itself
doesn't know the way.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from otapgate.landscape.model import Environment

NOWHERE = "outside-the-environment.invalid"
"""What another host's name is taken for; no name server knows it (RFC 2606)."""
_PLAIN = re.compile(r"[\w.:%-]+\Z", re.ASCII)
_ARGUMENTS = ("ansible_ssh_common_args", "ansible_ssh_extra_args")
_JUMP = re.compile(r"proxyjump(?:\s*=\s*|\s+)(.*)\Z", re.IGNORECASE)
_HOP = re.compile(r"(?:ssh://)?(?:.*@)?(\[[^\]]*\]|[^:/@\[\]]+)(?::\d+)?/?\Z")


def write(scratch: Path, environment: Environment) -> Path:
    """Write it below `scratch`, and say where. A name that would mean more than itself is
    left out, and so isn't reached."""
    path = scratch / "ssh_config"
    names = sorted({name for name in _names(environment) if _PLAIN.match(name)})
    refused = f"Host * {' '.join(f'!{name}' for name in names)}\n    HostName {NOWHERE}\n"
    text = refused if "{{" not in _arguments(environment) else ""  # a jump that isn't known yet
    path.write_text(f"# Written for one run of {environment.name}.\n{text}")
    return path


def _names(environment: Environment) -> Iterator[str]:
    for host in environment.hosts:
        known = environment.variables_of(host)
        given = str(known.get("ansible_host") or known.get("ansible_ssh_host") or host.name)
        yield from (given, given.casefold())
    for hop in _jumps(_arguments(environment)):
        yield from (hop, hop.casefold())


def _arguments(environment: Environment) -> str:
    given = [environment.variables_of(host) for host in environment.hosts]
    return " ".join(str(known[name]) for known in given for name in _ARGUMENTS if name in known)


def _jumps(arguments: str) -> Iterator[str]:
    """The hosts through which ssh jumps, to which it takes this configuration along."""
    try:
        words = shlex.split(arguments)
    except ValueError:
        return
    for word, following in pairwise([*words, ""]):
        value = ""
        if word == "-J":
            value = following
        elif word.startswith("-J"):
            value = word[2:]
        elif word.startswith("-o"):
            found = _JUMP.match(word[2:].strip() or following)
            value = found[1].strip("\"' ") if found else ""
        for hop in value.split(","):
            named = _HOP.match(hop.strip())
            if named:
                yield named[1].strip("[]")
