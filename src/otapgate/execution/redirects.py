"""The guard's static half: no play of a release may leave the environment it is given.

Reads every YAML file of a release's playbooks folder as Ansible would, but without
running anything, and names by file and line whatever sends a task to another host or
changes how a host is reached. It is strict: what it can't see through (a template in
`delegate_to`) is a problem. It keeps mistakes and carelessness out; a module that is
told to open a connection of its own can't be seen here, which is why releases are
reviewed and signed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from otapgate.errors import Problem
from otapgate.i18n import _

if TYPE_CHECKING:
    import yaml

REDIRECTING = re.compile(
    r"ansible_(?:(?:delegated_)?host|connection|port|user|remote_user|password|pass|"
    r"ssh_\w+|sftp_\w+|scp_\w+|\w*proxy\w*|network_os|inventory_\w+|python_interpreter|"
    r"shell_\w+|local_\w+|paramiko_\w+|winrm_\w+|psrp_\w+|docker_\w+|\w*_transfer_\w+)\Z"
    r"|inventory_hostname(?:_short)?\Z|otapgate_\w+\Z"
)
"""Variables that decide where a task goes or as whom, and otapgate's own."""

_ALLOWED = frozenset({"otapgate_snapshot_root"})
_KEYWORDS = frozenset({"connection", "remote_user", "port"})
_CONTAINERS = frozenset(
    {"tasks", "pre_tasks", "post_tasks", "handlers", "block", "rescue", "always", "roles"}
    | {"dependencies", "apply"}
)
_HERE = frozenset({"localhost"})
_SELF = re.compile(r"\{\{\s*inventory_hostname\s*\}\}\Z")
_NARROWING = re.compile(r"[!&]")
_ADD_HOST = frozenset({"add_host", "group_by"})
_META = frozenset({"refresh_inventory"})
_VARIABLE_FOLDERS = frozenset({"vars", "group_vars", "host_vars", "defaults"})
_PLUGIN_FOLDERS = re.compile(
    r"(action|connection|strategy|inventory|vars|lookup|become|callback|shell|cache|cliconf|"
    r"httpapi|netconf|terminal)_plugins?\Z"
)
_SUFFIXES = (".yml", ".yaml", ".json")
_JINJA = ("{{", "{%")


def scan_playbooks(
    folder: Path, hosts: Sequence[str] | None = None, environment: str = ""
) -> list[Problem]:
    """Every way in which the playbooks below `folder` might leave their environment.

    `hosts` and `environment` are what `hosts:` may name besides `all`; without them (when
    a release is built, and its environment isn't known) any plain name passes. Files are
    named relative to the folder's parent (`playbooks/deploy.yml`).
    """
    found: list[Problem] = []
    allowed = None if hosts is None else {"all", "*", environment, *hosts}
    for path in sorted(folder.rglob("*")):
        relative = str(path.relative_to(folder.parent))
        if path.is_symlink():
            found.append(Problem(_("A symbolic link may lead out of the release."), relative))
        elif path.is_dir() and _PLUGIN_FOLDERS.match(path.name):
            found.append(
                Problem(_("Plugins run on otapgate's own machine and may go anywhere."), relative)
            )
        elif path.is_file() and path.name == "ansible.cfg":
            found.append(Problem(_("An ansible.cfg would change how hosts are reached."), relative))
        elif path.is_file() and (path.suffix in _SUFFIXES or _bare_variables(path)):
            found += _Scan(relative, allowed, path).problems()
    return found


def scan_variables(variables: Mapping[str, Any], file: str) -> list[Problem]:
    """Problems with a release's own variables: none may redirect."""
    return [Problem(_redirects(name), file) for name in sorted(variables) if _is_redirecting(name)]


def _bare_variables(path: Path) -> bool:
    """group_vars/all and the like may have no suffix."""
    return not path.suffix and bool(_VARIABLE_FOLDERS & set(path.parent.parts[-2:]))


def _is_redirecting(name: str) -> bool:
    return (name not in _ALLOWED and bool(REDIRECTING.match(name))) or any(
        mark in name for mark in _JINJA
    )


def _redirects(name: str) -> str:
    return _("{name} decides where or how a host is reached; only the environment sets it.").format(
        name=name
    )


class _Scan:
    """One file. Works on YAML's own nodes, since those know their lines."""

    def __init__(self, relative: str, allowed: set[str] | None, path: Path) -> None:
        self._file = relative
        self._allowed = allowed
        self._path = path
        self._variables = bool(_VARIABLE_FOLDERS & set(Path(relative).parts[:-1]))
        self._found: list[Problem] = []
        self._seen: set[int] = set()

    def problems(self) -> list[Problem]:
        import yaml

        try:
            text = self._path.read_text("utf-8")
            if text.startswith("$ANSIBLE_VAULT"):
                return [Problem(_("An encrypted file can't be checked."), self._file, 1)]
            for document in yaml.compose_all(text, Loader=yaml.SafeLoader):
                if document is not None:
                    self._walk(document, acts=not self._variables)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            self._found.append(
                Problem(str(error.problem), self._file, mark.line + 1 if mark else None)
            )
        except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
            self._found.append(Problem(str(error), self._file))
        return self._found

    def _add(self, message: str, node: yaml.Node) -> None:
        self._found.append(Problem(message, self._file, node.start_mark.line + 1))

    def _walk(self, node: yaml.Node, *, acts: bool = False) -> None:
        """`acts`: the mapping, or the list's items, are plays, tasks, blocks or roles, and
        not a module's arguments or data, where the same words mean something else."""
        import yaml

        if id(node) in self._seen:  # an alias; a loop of them would have no end
            return
        self._seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            for item in node.value:
                self._walk(item, acts=acts)
        elif isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                name = str(key.value) if isinstance(key, yaml.ScalarNode) else ""
                if name:
                    self._pair(name, key, value, acts=acts)
                self._walk(value, acts=name in _CONTAINERS)

    def _pair(self, key: str, node: yaml.Node, value: yaml.Node, *, acts: bool) -> None:
        short = key.rpartition(".")[2]
        if short in _ADD_HOST:
            self._add(_("{key} changes the inventory.").format(key=key), node)
        elif short == "meta" and _META & set(_words(value)):
            self._add(_("{key} changes the inventory.").format(key="refresh_inventory"), node)
        elif key in ("delegate_to", "local_action"):
            self._delegated(key, node, value)
        elif key == "hosts" and acts:
            self._hosts(value)
        elif (key in _KEYWORDS and acts) or _is_redirecting(key):
            self._add(_redirects(key), node)
        if short == "set_fact":
            self._free_form(value)

    def _delegated(self, key: str, node: yaml.Node, value: yaml.Node) -> None:
        words = " ".join(_words(value))
        if key == "local_action" or words in _HERE or _SELF.match(words):
            return
        self._add(
            _(
                "delegate_to {target} leaves the environment; only localhost may stand there."
            ).format(target=words or "?"),
            node,
        )

    def _hosts(self, value: yaml.Node) -> None:
        for pattern in _words(value):
            for part in re.split(r"[,:]", pattern):
                name = _NARROWING.sub("", part.strip(), count=1)
                narrows = part.strip()[:1] in ("!", "&")
                if not name or narrows:
                    continue
                templated = any(mark in pattern for mark in _JINJA)
                outside = self._allowed is not None and name not in self._allowed
                # without an inventory `localhost` is otapgate's own machine
                implicit = self._allowed is None and name in ("localhost", "127.0.0.1", "::1")
                if templated or outside or implicit:
                    self._add(
                        _("hosts: {pattern} is not `all` nor one of the environment's.").format(
                            pattern=pattern
                        ),
                        value,
                    )
                    break

    def _free_form(self, value: yaml.Node) -> None:
        """`set_fact: a=1 b=2`, the short form."""
        import yaml

        if isinstance(value, yaml.ScalarNode):
            for word in str(value.value).split():
                name, equals, _rest = word.partition("=")
                if equals and _is_redirecting(name):
                    self._add(_redirects(name), value)


def _words(node: yaml.Node) -> Iterator[str]:
    import yaml

    if isinstance(node, yaml.ScalarNode):
        yield str(node.value).strip()
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _words(item)
