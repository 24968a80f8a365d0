"""Ansible variables that an environment's file gives: names, secrets by name, no values of them."""

from __future__ import annotations

import re
from typing import Any

from otapgate.i18n import _
from otapgate.landscape import security
from otapgate.landscape.sentences import Wrong
from otapgate.landscape.yaml_positions import shown

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}\Z")
_SECRET = re.compile(r"passw|passwd|passphrase|secret|token|private_?key|become_pass|ssh_pass",
                     re.IGNORECASE)  # fmt: skip
_FILE = re.compile(r"_(file|path|dir)\Z")
_REFERENCE = re.compile(r"\{\{ *[A-Za-z_][A-Za-z0-9_]* *\}\}")
SNAPSHOT_ROOT = "otapgate_snapshot_root"
"""The one variable of otapgate's own that an environment sets: where snapshots lie."""
_FOLDER = re.compile(r"(/[\w.-]+)+\Z", re.ASCII)
PASSWORDS = ("ansible_password", "ansible_become_password", "ansible_vault_password")


def check_variables(value: dict[str, Any]) -> dict[str, Any]:
    """Names that Ansible takes as variables, and none that otapgate sets itself; and no
    secret written out: the landscape is shared, and each decision keeps a copy of it."""
    for name, given in value.items():
        if not _VARIABLE.match(name):
            raise Wrong(
                _("'{name}' can't be the name of a variable.").format(name=shown(name)),
                name,
                remedy=_("Use letters, digits and '_', and don't begin with a digit."),
            )
        if name == SNAPSHOT_ROOT:
            _check_folder(name, given)
        elif name.startswith("otapgate_"):
            raise Wrong(
                _("'{name}' is set by otapgate itself.").format(name=shown(name)),
                name,
                remedy=_("Give the variable another name."),
            )
    found = _secret(value)
    if found is not None:
        raise Wrong(
            _("'{name}' looks like a secret, and its value stands in the file.").format(
                name=shown(str(found[-1]))
            ),
            *found,
            remedy=_("Take the value out, and put the variable's name below 'secrets:'."),
        )
    return value


def _check_folder(name: str, value: Any) -> None:
    if not isinstance(value, str) or not _FOLDER.match(value) or ".." in value.split("/"):
        raise Wrong(
            _("'{name}' is not a folder on the hosts.").format(name=name),
            name,
            remedy=_("Write an absolute path: /srv/snapshots."),
        )


def _secret(value: Any, secret: bool = False) -> tuple[str | int, ...] | None:
    """Where below `value` a secret is written out: some text or number below a name that
    speaks of one. Naming another variable isn't writing it out, nor is naming a file."""
    if isinstance(value, dict):
        for name, inner in value.items():
            speaks = _SECRET.search(str(name)) and not _FILE.search(str(name))
            found = _secret(inner, secret or bool(speaks))
            if found is not None:
                return (name, *found)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            found = _secret(inner, secret)
            if found is not None:
                return (index, *found)
    elif secret and not isinstance(value, bool) and value not in (None, ""):
        return None if _REFERENCE.fullmatch(str(value)) else ()
    return None


def check_secrets(value: list[str]) -> list[str]:
    """Names of variables, and of Ansible's own only those that are passwords: a secret
    comes before every other variable, so it must not say where a playbook goes."""
    check_variables(dict.fromkeys(value))
    for index, name in enumerate(value):
        if name.startswith("ansible_") and name not in PASSWORDS:
            raise Wrong(
                _("'{name}' can't be a secret.").format(name=shown(name)),
                index,
                remedy=_("Of Ansible's own variables only: {names}.").format(
                    names=", ".join(PASSWORDS)
                ),
            )
    return security.check_unique(value)
