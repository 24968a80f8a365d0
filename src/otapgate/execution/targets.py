"""What a task of a release is called with: its module, its arguments, the files it names.

Ansible lets the same thing be written in many ways (`include_tasks: x.yml`, `action:
include_tasks x.yml`, `action: {module: include_tasks, file: x.yml}`, with `args:`, with
`<<`). Here they all become one. Works on YAML's own nodes, since those know their lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from otapgate.execution.connection_names import is_templated

if TYPE_CHECKING:
    import yaml

SUFFIXES = (".yml", ".yaml", ".json")
"""Of files that are read, in any case; no other may be included."""

WATCHED = frozenset({"include_tasks", "include_vars"})
"""Modules that take a file in while Ansible runs, and say which."""

MERGE = "tag:yaml.org,2002:merge"
_PATH = re.compile(r"(?:\./)?[\w-][\w.+ @-]*(?:/[\w-][\w.+ @-]*)*\Z")
_NAME = re.compile(r"[\w-][\w.-]*(?:/[\w-][\w.-]*)*\Z")
_PAIRS = re.compile(
    r"(?:\s*\w+=(?:\"[^\"\\]*\"|'[^'\\]*'|(?:\{\{(?:(?!\}\})[^\\])*\}\}|[^\s\"'{\\])*)(?=\s|\Z))+\s*\Z"
)
_TEMPLATED = re.compile(r"(?:[\w.+@/ -]|\{\{(?:(?!\{\{|\}\})[^\\])*\}\})+\Z")
_PAIR = re.compile(r"(\w+)=(\"[^\"]*\"|'[^']*'|(?:\{\{.*?\}\}|[^\s\"'{])*)")


@dataclass
class Call:
    """One module and what it is given, however it was written."""

    module: str
    """As written; "" when a template decides."""
    node: yaml.Node
    """Where it stands."""
    arguments: dict[str, yaml.Node | str] = field(default_factory=dict)
    raw: str = ""
    """What is no `name=value`: the file of `include_tasks: x.yml`."""
    watched: bool = False
    """Whether the file that it takes in is looked at while it runs, so that a template may
    name it (see `includes`)."""
    text: str = ""
    """All that was written as one text, arguments too."""
    opaque: bool = False
    """Whether there are arguments that can't be known before it runs."""

    @property
    def short(self) -> str:
        """The module's name without its collection."""
        return self.module.rpartition(".")[2]


def pairs(node: yaml.MappingNode) -> list[tuple[yaml.Node, yaml.Node]]:
    """Keys and values of a mapping, with those that `<<` brings in."""
    import yaml

    found: list[tuple[yaml.Node, yaml.Node]] = []
    seen: set[int] = set()

    def take(one: yaml.Node) -> None:
        if id(one) in seen:
            return
        seen.add(id(one))
        if isinstance(one, yaml.SequenceNode):
            for item in one.value:
                take(item)
        elif isinstance(one, yaml.MappingNode):
            for key, value in one.value:
                if key.tag == MERGE:
                    take(value)
                else:
                    found.append((key, value))

    take(node)
    return found


def calls(task: yaml.MappingNode, special: frozenset[str]) -> Iterator[Call]:
    """What the task calls, as far as it is one of the `special` modules (short names), or
    can't be known."""
    import yaml

    items = pairs(task)
    more = [value for key, value in items if key.value == "args"]
    for key, value in items:
        if not isinstance(key, yaml.ScalarNode):
            continue
        call: Call | None = None
        if key.value in ("action", "local_action"):
            call = _action(key, value)
        elif str(key.value).rpartition(".")[2] in special:
            call = Call(str(key.value), key)
            call.watched = call.short in WATCHED
            _give(call, value, whole=call.watched)
        if call is not None and (not call.module or call.short in special):
            for given in more:
                _give(call, given)
            yield call


def default_calls(node: yaml.Node, special: frozenset[str]) -> Iterator[Call]:
    """The calls for which `module_defaults` gives arguments."""
    import yaml

    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from default_calls(item, special)
    elif isinstance(node, yaml.MappingNode):
        yield from calls(node, special)
    elif node.value:
        yield Call("", node)


def _action(key: yaml.Node, value: yaml.Node) -> Call:
    import yaml

    call = Call("", key)
    text = ""
    if isinstance(value, yaml.ScalarNode):
        text = str(value.value)
    elif isinstance(value, yaml.MappingNode):
        for name, given in pairs(value):
            if name.value == "module" and isinstance(given, yaml.ScalarNode):
                text = str(given.value)
            elif isinstance(name, yaml.ScalarNode):
                call.arguments[str(name.value)] = given
    first, _space, rest = text.strip().partition(" ")
    first, _line, more = first.partition("\n")
    if re.fullmatch(r"[\w.]+", first):
        call.module = first
        _give_text(call, f"{more} {rest}")
    return call


def _give(call: Call, value: yaml.Node, *, whole: bool = False) -> None:
    """`whole`: a text that is a template, without `=`, is the name of a file."""
    import yaml

    if isinstance(value, yaml.ScalarNode):
        if whole and is_watched(str(value.value).strip()) and "=" not in value.value:
            call.raw = str(value.value).strip()
        else:
            _give_text(call, str(value.value))
    elif isinstance(value, yaml.MappingNode):
        for name, given in pairs(value):
            if isinstance(name, yaml.ScalarNode):
                call.arguments[str(name.value)] = given
    else:
        call.opaque = True
    raw = call.arguments.get("_raw_params")
    if isinstance(raw, yaml.ScalarNode):
        del call.arguments["_raw_params"]
        _give_text(call, str(raw.value))
    if "_variable_params" in call.arguments:
        call.opaque = True


def _give_text(call: Call, text: str) -> None:
    text = text.strip()
    if not text:
        return
    call.text = f"{call.text} {text}"
    if "=" not in text and not is_templated(text) and "\\" not in text:
        call.raw = text
    elif _PAIRS.match(text):
        for name, given in _PAIR.findall(text):
            call.arguments[name] = given.strip("\"'")
    else:
        call.opaque = True


def text_of(value: yaml.Node | str | None) -> str | None:
    """The text of an argument; None when it isn't one text."""
    import yaml

    if isinstance(value, yaml.ScalarNode):
        return str(value.value).strip()
    return value if isinstance(value, str) else None


def is_inside(path: str | None, *, suffix: bool = True) -> bool:
    """Whether a path is sure to be a file of the release, and one that is read."""
    if path is None or not _PATH.match(path):
        return False
    return not suffix or path.lower().endswith(SUFFIXES)


def is_watched(path: str | None) -> bool:
    """Whether a template may name a file, which is then looked at when it is taken in. What
    is written in it doesn't lead out by itself."""
    if path is None or not is_templated(path) or not _TEMPLATED.match(path):
        return False
    written = re.sub(r"\{\{.*?\}\}", "x", path, flags=re.DOTALL)
    return is_inside(written, suffix=False) and "otapgate_" not in path and "{%" not in path


def is_plain(name: str | None) -> bool:
    """Whether the name of a role, or of a file in it, is sure to lie in the release."""
    return name is not None and bool(_NAME.match(name))


def is_role_file(name: str | None) -> bool:
    """Whether what `tasks_from` and the like name is sure to be read."""
    if name is None or not is_plain(name):
        return False
    ending = name.rpartition("/")[2]
    return "." not in ending or ending.lower().endswith(SUFFIXES)
