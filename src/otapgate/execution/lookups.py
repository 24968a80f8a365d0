"""Lookups of a release's templates: they run on otapgate's own machine.

Only those of ansible-core that read variables, or files of the release, pass. What a
template calls is found with Jinja's own parser, so that quotes and line breaks hide
nothing.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from otapgate.i18n import _

if TYPE_CHECKING:
    from jinja2 import Environment, nodes

HARMLESS = frozenset(
    {"config", "csvfile", "dict", "env", "file", "fileglob", "first_found", "indexed_items"}
    | {"ini", "inventory_hostnames", "items", "list", "nested", "password", "random_choice"}
    | {"sequence", "subelements", "template", "together", "unvault", "varnames", "vars"}
)
"""Lookups of ansible-core that start nothing and open no connection."""

_FILES = frozenset({"csvfile", "file", "fileglob", "first_found", "ini", "template", "unvault"})
_CALLS = frozenset({"lookup", "query", "q"})
_WORD = re.compile(r"\b(?:lookup|query|q)\b")
_LITERAL = re.compile(r"\b(?:lookup|query|q)\s*\(\s*['\"]\s*([\w.]+)")
_OWN_MARKS = re.compile(r"#\s*jinja2:.*_(?:string|prefix)")
_OUTSIDE = re.compile(r"[/~$]|(?:.*/)?\.\.(?:/|\Z)")


def is_harmless(name: str) -> bool:
    """Whether `lookup(name, …)`, or `with_name`, stays within the release."""
    for prefix in ("ansible.builtin.", "ansible.legacy."):
        name = name.removeprefix(prefix)
    return name in HARMLESS


def refused(name: str) -> str:
    """The sentence for a lookup that doesn't pass."""
    return _("The lookup {name} may run or reach anything from otapgate's own machine.").format(
        name=name
    )


def find_refused(text: str, *, bare: bool = False) -> list[str]:
    """What is wrong with the lookups in `text`, as sentences. `bare`: the whole of it is an
    expression, as in `when`."""
    from jinja2 import TemplateSyntaxError

    if not _WORD.search(text):
        return []
    source = f"{{{{ ({text}) }}}}" if bare and "{{" not in text else text
    try:
        tree = _jinja().parse(source)
    except (TemplateSyntaxError, RecursionError):
        # Ansible can't read it either, but for a file that brings marks of its own
        return [refused(name) for name in _LITERAL.findall(text) if not is_harmless(name)]
    return list(dict.fromkeys(_walk(tree, tree)))


def has_own_marks(text: str) -> bool:
    """Whether a template file says on its first line what stands for `{{`."""
    return bool(_OWN_MARKS.match(text))


@cache
def _jinja() -> Environment:
    from jinja2 import Environment

    return Environment()  # noqa: S701 - only parsed, never rendered


def _walk(node: nodes.Node, parent: nodes.Node) -> list[str]:
    from jinja2 import nodes

    found: list[str] = []
    if isinstance(node, nodes.Name) and node.name in _CALLS and node.ctx == "load":
        if isinstance(parent, nodes.Call) and parent.node is node:
            found += _call(parent)
        elif not isinstance(
            parent,
            nodes.Output | nodes.Filter | nodes.Test | nodes.Compare | nodes.Concat
            | nodes.BinExpr | nodes.Getattr | nodes.Getitem,
        ):  # fmt: skip
            found.append(refused("?"))  # handed on, to be called under another name
    for child in node.iter_child_nodes():
        found += _walk(child, node)
    return found


def _call(call: nodes.Call) -> list[str]:
    from jinja2 import nodes

    first = call.args[0] if call.args else None
    if not isinstance(first, nodes.Const) or not isinstance(first.value, str):
        return [refused("?")]
    name = first.value
    if not is_harmless(name):
        return [refused(name)]
    named = {pair.key: pair.value for pair in call.kwargs if isinstance(pair, nodes.Keyword)}
    found = [own_marks() for key in named if key.endswith("_string")]
    if name.rpartition(".")[2] in _FILES:
        found += [
            _("{path} lies, or may lie, outside the release.").format(path=value.value)
            for value in (*call.args[1:], *named.values())
            if isinstance(value, nodes.Const) and _OUTSIDE.match(str(value.value))
        ]
    return found


def own_marks() -> str:
    """The sentence for a template that changes what a template looks like."""
    return _("A template with marks of its own instead of {{ }} can't be checked.")
