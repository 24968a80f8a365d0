"""Commands with which a playbook would reach hosts past Ansible, from otapgate's own machine.

Where ssh is started by a task itself, no pinned host key, no inventory and no event counts.
Known programs are found by their names, in tasks that are delegated to this machine; a
program that has another name isn't, and neither is what a script does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from otapgate.execution import targets as t
from otapgate.execution.events import LOCALHOST

if TYPE_CHECKING:
    import yaml

_MODULES = frozenset({"command", "shell", "raw", "script", "expect"})
_PROGRAM = re.compile(
    r"(?<![\w.-])(?:ansible(?:-[a-z]+)?|ssh|slogin|sshpass|autossh|scp|sftp|rsync|mosh)(?![\w./-])"
)


def is_here(task: yaml.MappingNode) -> bool:
    """Whether the task, or what the block holds, is delegated to otapgate's own machine."""
    for key, value in t.pairs(task):
        if key.value == "local_action":
            return True
        if key.value == "delegate_to" and t.text_of(value) in LOCALHOST:
            return True
    return False


def programs(task: yaml.MappingNode) -> Iterator[tuple[str, yaml.Node]]:
    """Programs that connect to other hosts, named in the task's command, and where."""
    for call in t.calls(task, _MODULES):
        given = [one if isinstance(one, str) else " ".join(_texts(one))
                 for one in call.arguments.values()]  # fmt: skip
        for name in dict.fromkeys(_PROGRAM.findall(" \n ".join([call.raw, *given, call.text]))):
            yield name, call.node


def _texts(node: yaml.Node, depth: int = 0) -> Iterator[str]:
    import yaml

    if isinstance(node, yaml.ScalarNode):
        yield str(node.value)
    elif depth < 5 and isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _texts(item, depth + 1)
