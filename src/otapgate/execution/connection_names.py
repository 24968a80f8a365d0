"""Names that no release may give a variable: they decide where a task goes, or as whom.

Ansible and its connection plugins read such variables by name, and plugins to come bring
new ones, so this is an allow-list: of all that begins with `ansible_`, a release may set
only what is named here.
"""

from __future__ import annotations

import re

from otapgate.i18n import _

REDIRECTING = re.compile(
    r"_?ansible_(?!(?:managed|become(?:_(?:user|method|password|pass|exe|flags))?)\Z)\w*\Z"
    r"|mitogen_\w*\Z|delegated_vars\b.*\Z|inventory_hostname(?:_short)?\Z|otapgate_\w+\Z",
    re.DOTALL,
)
"""Ansible's own names but for those of becoming somebody else on the same host, the names
that ansible-core's plugins have besides, Mitogen's, and otapgate's."""

JINJA = ("{{", "{%")
_ALLOWED = frozenset({"otapgate_snapshot_root"})


def is_templated(text: str) -> bool:
    """Whether Ansible makes something else of it."""
    return any(mark in text for mark in JINJA)


def is_redirecting(name: str) -> bool:
    """Whether a variable of this name may decide where a task goes; a name that is only
    known later may."""
    return (name not in _ALLOWED and bool(REDIRECTING.match(name))) or is_templated(name)


def redirects(name: str) -> str:
    """The sentence for a name that is redirecting."""
    return _("{name} decides where or how a host is reached; only the environment sets it.").format(
        name=name
    )
