"""Reads one YAML file of a release as Ansible would, without running anything.

Says by line what sends a task to another host, changes how a host is reached, or takes in
a file that isn't read here. What it can't see through is a problem. Works on YAML's own
nodes, since those know their lines.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from otapgate.errors import Problem
from otapgate.execution import commands_here, lookups, vault
from otapgate.execution import targets as t
from otapgate.execution.connection_names import is_redirecting, is_templated, redirects
from otapgate.execution.events import LOCALHOST
from otapgate.i18n import _

if TYPE_CHECKING:
    import yaml

_KEYWORDS = frozenset({"connection", "remote_user", "port"})
_CONTAINERS = frozenset(
    {"tasks", "pre_tasks", "post_tasks", "handlers", "block", "rescue", "always", "roles"}
    | {"dependencies", "apply"}
)
_BARE = frozenset({"when", "failed_when", "changed_when", "until", "that", "var", "break_when"})
_NAMES = frozenset({"loop_var", "index_var", "register"})
_MARKS = frozenset(f"{what}_{end}_string" for what in ("variable", "block", "comment")
                   for end in ("start", "end"))  # fmt: skip
_HERE = frozenset({"localhost"})
_SELF = re.compile(r"\{\{\s*inventory_hostname\s*\}\}\Z")
_HOST = re.compile(r"\*\Z|\w[\w.-]*\Z")
_META = frozenset(
    {"noop", "flush_handlers", "end_play", "end_host", "end_batch", "end_role", "clear_facts"}
    | {"clear_host_errors", "reset_connection"}
)
_FILE = frozenset({"include_tasks", "import_tasks", "import_playbook", "include"})
_ROLE = frozenset({"include_role", "import_role"})
_FROM = frozenset({"tasks_from", "vars_from", "defaults_from", "handlers_from"})
_SPECIAL = _FILE | _ROLE | {"add_host", "group_by", "meta", "include_vars", "set_fact"}
_STANDARD = "tag:yaml.org,2002:"
_SHAPES = frozenset({"map", "set", "seq", "omap", "pairs"})


def hosts_outside(patterns: Iterator[str], allowed: set[str] | None) -> str:
    """The first pattern of `hosts:` that may name others than `allowed`, or "". With None
    any plain name passes, but for otapgate's own machine."""
    for pattern in patterns:
        for item in pattern.split(","):
            parts = [item.strip()] if item.strip() in LOCALHOST else item.split(":")
            for part in (one.strip() for one in parts):
                if not part or part[0] in "!&":  # only narrows
                    continue
                known = part in allowed if allowed is not None else bool(_HOST.match(part))
                if is_templated(pattern) or not known or (allowed is None and part in LOCALHOST):
                    return pattern
    return ""


class Scan:
    """One file. `routes`: it is a collection's `meta/runtime.yml`. `opens`: what is sealed by
    Ansible Vault is read with it; None where no password can be known yet, and what is sealed
    is left for the check before each run."""

    def __init__(
        self,
        relative: str,
        allowed: set[str] | None,
        path: Path,
        *,
        routes: bool = False,
        opens: vault.Vault | None = None,
    ) -> None:
        self._file = relative
        self._allowed = allowed
        self._path = path
        self._routes = routes
        self._vault = opens
        self._found: dict[Problem, None] = {}
        self._seen: set[tuple[int, bool, bool, bool]] = set()
        self._here = 0
        """How many of the tasks and blocks around are delegated to this machine."""

    def problems(self) -> list[Problem]:
        """All there are, in the order of the file."""
        import yaml

        try:
            text = self._path.read_text("utf-8")
            if vault.is_sealed(text):
                if self._vault is None:
                    return []
                text = self._vault.text(text)
            for document in yaml.compose_all(text, Loader=yaml.SafeLoader):
                if document is not None:
                    self._open(document)
                    # plays and tasks are lists; variables never are
                    self._walk(document, acts=isinstance(document, yaml.SequenceNode))
                    if isinstance(document, yaml.MappingNode) and self._path.parent.name == "meta":
                        self._children(document, {"dependencies"}, self._roles)
        except vault.Closed as closed:
            self._put(closed.problem(self._file))
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            self._put(Problem(str(error.problem), self._file, mark.line + 1 if mark else None))
        except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
            self._put(Problem(str(error), self._file))
        return list(self._found)

    def _open(self, document: yaml.Node) -> None:
        """Put in the place of every sealed value what is in it, as Ansible will read it."""
        if self._vault is None:
            return
        for node in vault.sealed_nodes(document):
            try:
                node.value = self._vault.text(str(node.value))
                node.tag = f"{_STANDARD}str"
            except vault.Closed as closed:
                self._put(closed.problem(self._file, node.start_mark.line + 1))
            except UnicodeDecodeError as error:
                self._add(str(error), node)

    def _put(self, problem: Problem) -> None:
        self._found[problem] = None

    def _add(self, message: str, node: yaml.Node) -> None:
        self._put(Problem(message, self._file, node.start_mark.line + 1))

    def _walk(self, node: yaml.Node, *, acts: bool = False, bare: bool = False) -> None:
        """`acts`: the mapping, or the list's items, are plays, tasks, blocks or roles, and
        not a module's arguments or data, where the same words mean something else. `bare`:
        text is an expression even without `{{ }}`."""
        import yaml

        key_of_walk = (id(node), acts, bare, self._here > 0)
        if key_of_walk in self._seen:  # an alias; a loop of them would have no end
            return
        self._seen.add(key_of_walk)
        self._tag(node)
        if isinstance(node, yaml.ScalarNode):
            for message in lookups.find_refused(str(node.value), bare=bare):
                self._add(message, node)
        elif isinstance(node, yaml.SequenceNode):
            for item in node.value:
                self._walk(item, acts=acts, bare=bare)
        elif isinstance(node, yaml.MappingNode):
            here = acts and commands_here.is_here(node)
            self._here += here
            if acts:
                self._task(node)
            if acts and self._here:
                self._commands(node)
            for key, value in node.value:
                if key.tag == t.MERGE:
                    self._walk(value, acts=acts, bare=bare)
                elif isinstance(key, yaml.ScalarNode) and key.tag not in vault.TAGS:
                    self._walk(key)
                    self._pair(str(key.value), key, value)
                    self._walk(value, acts=key.value in _CONTAINERS, bare=key.value in _BARE)
                else:
                    self._add(_("A key that isn't plain text can't be checked."), key)
            self._here -= here

    def _tag(self, node: yaml.Node) -> None:
        """Tags that make something else of what is written (`!!binary`, `!!str {=: x}`)."""
        import yaml

        kind = str(node.tag).removeprefix(_STANDARD)
        if kind == node.tag:  # Ansible's own, or unknown to it
            return
        if (kind == "binary") or (kind in _SHAPES) == isinstance(node, yaml.ScalarNode):
            self._add(_("The tag !!{tag} hides what is written.").format(tag=kind), node)

    def _pair(self, key: str, node: yaml.Node, value: yaml.Node) -> None:
        """What counts in any mapping."""
        if key == vault.LEGACY_KEY:
            self._add(_("{key} hides what is written; write !vault.").format(key=key), node)
        elif key == "delegate_to":
            words = " ".join(_words(value))
            if not (words in _HERE or _SELF.match(words)):
                self._add(
                    _(
                        "delegate_to {target} leaves the environment; only localhost may stand"
                        " there."
                    ).format(target=words or "?"),
                    node,
                )
        elif key in _NAMES:
            self._named(value)
        elif key in _MARKS:
            self._add(lookups.own_marks(), node)
        elif key == "redirect" and self._routes:
            self._add(_("A redirect gives a module or plugin another name."), node)
        elif is_redirecting(key):
            self._add(redirects(key), node)

    def _named(self, value: yaml.Node | str | None, node: yaml.Node | None = None) -> None:
        """The value becomes the name of a variable."""
        import yaml

        if value is None:
            return
        at = value if isinstance(value, yaml.Node) else node
        for name in [value] if isinstance(value, str) else _leaves(value):
            if at is not None and is_redirecting(name):
                self._add(redirects(name), at)

    def _task(self, task: yaml.MappingNode) -> None:
        """A play, task, block or role: what its keywords and its module are told."""
        import yaml

        for key, value in t.pairs(task):
            name = str(key.value)
            if name == "hosts":
                self._hosts(value)
            elif name in _KEYWORDS:
                self._add(redirects(name), key)
            elif name == "vars_files":
                self._targets(value, t.is_inside)
            elif name == "vars_prompt" and isinstance(value, yaml.SequenceNode):
                for asked in value.value:
                    if isinstance(asked, yaml.MappingNode):
                        self._children(asked, {"name"}, self._named)
            elif name in ("roles", "dependencies"):
                self._roles(value)
            elif name == "module_defaults":
                for call in t.default_calls(value, _SPECIAL):
                    call.watched = False
                    self._call(call)
            elif name.startswith("with_") and not lookups.is_harmless(name[5:]):
                self._add(lookups.refused(name[5:]), key)
        for call in t.calls(task, _SPECIAL):
            self._call(call)

    def _commands(self, task: yaml.MappingNode) -> None:
        """What is started on otapgate's own machine."""
        for program, at in commands_here.programs(task):
            self._add(
                _("{program}, started on otapgate's own machine, may go anywhere.").format(
                    program=program
                ),
                at,
            )

    def _children(
        self, node: yaml.MappingNode, names: set[str], act: Callable[[yaml.Node], None]
    ) -> None:
        for key, value in t.pairs(node):
            if key.value in names:
                act(value)

    def _hosts(self, value: yaml.Node) -> None:
        import yaml

        outside = hosts_outside(_words(value), self._allowed)
        if isinstance(value, yaml.MappingNode):
            outside = "?"
        if outside:
            self._add(
                _("hosts: {pattern} is not `all` nor one of the environment's.").format(
                    pattern=outside
                ),
                value,
            )

    def _roles(self, value: yaml.Node) -> None:
        import yaml

        for item in value.value if isinstance(value, yaml.SequenceNode) else [value]:
            if isinstance(item, yaml.MappingNode):
                self._children(item, {"role", "name", "src"}, self._role)
                self._children(item, set(_FROM), self._role_file)
            else:
                self._role(item)

    def _role(self, value: yaml.Node) -> None:
        self._targets(value, t.is_plain)

    def _role_file(self, value: yaml.Node) -> None:
        self._targets(value, t.is_role_file)

    def _targets(self, value: yaml.Node, fits: Callable[[str | None], bool]) -> None:
        import yaml

        if isinstance(value, yaml.SequenceNode):
            for item in value.value:
                self._targets(item, fits)
        elif not (isinstance(value, yaml.ScalarNode) and value.value == ""):
            self._target(t.text_of(value), value, fits)

    def _target(
        self, text: str | None, node: yaml.Node, fits: Callable[[str | None], bool]
    ) -> None:
        if not fits(text):
            self._add(
                _(
                    "{target} can't be checked: name a .yml, .yaml or .json file, or a role, of"
                    " this release, without templates and `..`."
                ).format(target=text or "?"),
                node,
            )

    def _call(self, call: t.Call) -> None:
        """One of the modules that change where things go, or take in other files."""
        if not call.module:
            self._add(_("Which module this runs can't be seen."), call.node)
        elif call.short in ("add_host", "group_by"):
            self._add(_("{key} changes the inventory.").format(key=call.module), call.node)
        elif call.opaque:
            self._add(_("What {key} is given can't be seen.").format(key=call.module), call.node)
        elif call.short == "meta":
            does = call.raw or t.text_of(call.arguments.get("free_form")) or ""
            if does and does not in _META:
                self._add(_("{key} changes the inventory.").format(key=does), call.node)
        elif call.short == "set_fact":
            for name in call.arguments:
                self._named(name, call.node)
        elif call.short in _ROLE:
            self._arguments(call, {"name", "role"}, t.is_plain)
            self._arguments(call, set(_FROM), t.is_role_file)
        else:
            fits = _inside_or_watched if call.watched else t.is_inside
            self._arguments(call, {"file"}, fits)
            if call.raw:
                self._target(call.raw, call.node, fits)
            if call.short == "include_vars":
                self._include_vars(call)

    def _include_vars(self, call: t.Call) -> None:
        self._arguments(call, {"dir"}, lambda path: t.is_inside(path, suffix=False))
        self._named(call.arguments.get("name"), call.node)
        given = call.arguments.get("extensions")
        for extension in (
            () if given is None else [given] if isinstance(given, str) else _words(given)
        ):
            if f".{extension.lstrip('.')}" not in t.SUFFIXES:
                self._target(extension, call.node, t.is_inside)

    def _arguments(self, call: t.Call, names: set[str], fits: Callable[[str | None], bool]) -> None:
        for name, value in call.arguments.items():
            if name in names:
                self._target(t.text_of(value), call.node, fits)


def _inside_or_watched(path: str | None) -> bool:
    return t.is_inside(path) or t.is_watched(path)


def _words(node: yaml.Node) -> Iterator[str]:
    import yaml

    if isinstance(node, yaml.ScalarNode):
        yield str(node.value).strip()
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _words(item)


def _leaves(node: yaml.Node, depth: int = 0) -> Iterator[str]:
    """Every text in it, keys too: newer Ansible takes a mapping of names."""
    import yaml

    if isinstance(node, yaml.ScalarNode):
        yield str(node.value).strip()
    elif depth < 5 and isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _leaves(item, depth + 1)
    elif depth < 5 and isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _leaves(key, depth + 1)
            yield from _leaves(value, depth + 1)
