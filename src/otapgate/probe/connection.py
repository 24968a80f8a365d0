"""How each host is reached, from the same variables that Ansible would use. Pure.

A way that the probes can't take (through a jump host, by a template) is told in a
sentence: that host's answers are unknown then.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from typing import Any

import msgspec

from otapgate.i18n import _
from otapgate.landscape import host_keys
from otapgate.landscape.model import Environment, Host

USER = ("ansible_user", "ansible_ssh_user")
KEY_FILE = ("ansible_ssh_private_key_file", "ansible_private_key_file")
PASSWORD = ("ansible_password", "ansible_ssh_password", "ansible_ssh_pass")
BECOME_PASSWORD = ("ansible_become_password", "ansible_become_pass", "ansible_sudo_pass")
_ELSEWHERE = ("ansible_ssh_common_args", "ansible_ssh_extra_args", "ansible_ssh_executable",
              "ansible_become_flags", "ansible_become_exe")  # fmt: skip
_HARMLESS = ("identitiesonly", "connecttimeout", "serveraliveinterval", "serveralivecountmax",
             "loglevel", "compression", "tcpkeepalive", "batchmode")  # fmt: skip
"""Options of ssh that change nothing of where a connection goes, or as whom."""
_JUMP = re.compile(r"(^|[\s\"'])-[A-Za-z]*J|ProxyJump|ProxyCommand", re.IGNORECASE)
_TRUE = ("true", "yes", "on", "1", "y", "t")


class Become(msgspec.Struct, frozen=True):
    """Another user to become by sudo."""

    user: str
    password: str = ""


class Way(msgspec.Struct, frozen=True):
    """Everything it takes to run a script on one host."""

    environment: str
    host: str
    local: bool
    address: str = ""
    port: int = 22
    user: str = ""
    key_file: str = ""
    password: str = ""
    keys: tuple[str, ...] = ()
    """Host keys that are believed, `type base64`."""
    python: str = "/usr/bin/python3"
    become: Become | None = None
    problem: str = ""
    """Why it can't be taken, in a sentence; "" where it can."""


def ways(environment: Environment, secrets: Mapping[str, str]) -> list[Way]:
    """A way to every host of the environment; `secrets` are its secret variables.
    Raises BadInput when a host over SSH has no pinned key."""
    host_keys.require(environment)
    return [_way(environment, host, secrets) for host in environment.hosts]


def _way(environment: Environment, host: Host, secrets: Mapping[str, str]) -> Way:
    known = {**environment.variables_of(host), **secrets}
    connection = known.get("ansible_connection", "ssh")
    local = connection in ("local", "ansible.builtin.local")
    port = host_keys.port(environment, host)
    python = str(known.get("ansible_python_interpreter", ""))
    become, problem = _become(known)
    templated = [
        name
        for name in (*USER, *KEY_FILE, *PASSWORD, *BECOME_PASSWORD, "ansible_host",
                     "ansible_port", "ansible_become_user", "ansible_python_interpreter")
        if "{{" in str(known.get(name, ""))
    ]  # fmt: skip
    if not local and not host_keys.is_over_ssh(environment, host):
        problem = _("The probes don't know the connection '{name}'.").format(name=connection)
    elif templated:
        problem = _("'{name}' is a template, which only Ansible works out.").format(
            name=templated[0]
        )
    elif not local and (elsewhere := [name for name in _ELSEWHERE if _leads(known.get(name))]):
        name = elsewhere[0]
        if _JUMP.search(str(known[name])):
            problem = _(
                "it is reached through another machine ('{name}'), and the probes go straight to"
                " a host; run them on a machine that reaches it directly."
            ).format(name=name)
        else:
            problem = _("'{name}' is for ssh itself; the probes don't take that way.").format(
                name=name
            )
    elif not local and not port:
        problem = _("'{name}' is no port.").format(name="ansible_port")
    if python in ("", "auto", "auto_silent", "auto_legacy", "auto_legacy_silent"):
        python = sys.executable if local else "/usr/bin/python3"
    return Way(
        environment=environment.name,
        host=host.name,
        local=local,
        address=host_keys.address(environment, host),
        port=port,
        user=_first(known, USER),
        key_file=_first(known, KEY_FILE),
        password=_first(known, PASSWORD),
        keys=environment.host_keys.get(host.name, ()),
        python=python,
        become=become,
        problem=f"{host.name}: {problem}" if problem else "",
    )


def _leads(arguments: Any) -> bool:
    """Whether ssh's arguments might lead elsewhere: all but harmless options."""
    rest = str(arguments or "").replace("-o ", "-o").split()
    return any(
        not word.startswith("-o") or word[2:].partition("=")[0].casefold() not in _HARMLESS
        for word in rest
    )


def _become(known: Mapping[str, Any]) -> tuple[Become | None, str]:
    if str(known.get("ansible_become", "")).casefold() not in _TRUE:
        return None, ""
    method = str(known.get("ansible_become_method", "sudo")).rpartition(".")[2]
    if method != "sudo":
        return None, _("The probes become another user by sudo only, not by '{name}'.").format(
            name=method
        )
    user = str(known.get("ansible_become_user", "root"))
    return Become(user, _first(known, BECOME_PASSWORD)), ""


def _first(known: Mapping[str, Any], names: tuple[str, ...]) -> str:
    return next((str(known[name]) for name in names if known.get(name)), "")
