"""The guard's static half: no play of a release may leave the environment it is given.

Goes through the release's playbooks folder. Every file that Ansible could take for plays,
tasks or variables is read (`playbook_scan`), every template's lookups are looked at, and
what would run on otapgate's own machine or change how hosts are reached is refused by its
name. It keeps mistakes and casual tricks out; a module that is told to open a connection of
its own can't be seen here, which is why releases are reviewed and signed.
"""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from otapgate.errors import Problem
from otapgate.execution import lookups, vault
from otapgate.execution.connection_names import REDIRECTING, is_redirecting, redirects
from otapgate.execution.playbook_scan import Scan
from otapgate.execution.targets import SUFFIXES
from otapgate.i18n import _

__all__ = ["REDIRECTING", "scan_playbooks", "scan_texts", "scan_variables"]

_ANY_NAME = frozenset({"group_vars", "host_vars"})
"""A host's file bears the host's name, so any suffix may be part of it."""
_NO_SUFFIX = frozenset({"vars", "defaults", "tasks", "handlers", "meta"})
_PLUGIN_FOLDERS = re.compile(r"\w+_plugins?\Z|doc_fragments\Z")
_COLLECTIONS = "ansible_collections"
_SHIPPED = frozenset({"modules", "module_utils", "__init__.py"})
"""What of a collection's plugins goes to the hosts."""


def scan_playbooks(
    folder: Path,
    hosts: Sequence[str] | None = None,
    environment: str = "",
    secrets: Mapping[str, str] | None = None,
) -> list[Problem]:
    """Every way in which the playbooks below `folder` might leave their environment.

    `hosts` and `environment` are what `hosts:` may name besides `all`; without them (when
    a release is built, and its environment isn't known) any plain name passes, and what
    Ansible Vault sealed is left for later; with them it is opened by a password among
    `secrets`. Files are named relative to the folder's parent (`playbooks/deploy.yml`).
    """
    with vault.opening(secrets or {}) as opens:
        return _scan(folder, hosts, environment, None if hosts is None else opens)


def _scan(
    folder: Path, hosts: Sequence[str] | None, environment: str, opens: vault.Vault | None
) -> list[Problem]:
    found: list[Problem] = []
    allowed = None if hosts is None else {"all", "*", environment, *hosts}
    for path in sorted(folder.rglob("*")):
        relative = str(path.relative_to(folder.parent))
        inside = path.relative_to(folder).parts[:-1]
        if path.is_symlink():
            found.append(Problem(_("A symbolic link may lead out of the release."), relative))
        elif _runs_here(path, inside):
            found.append(
                Problem(_("Plugins run on otapgate's own machine and may go anywhere."), relative)
            )
        elif _hides_ours(path, inside):
            found.append(
                Problem(
                    _("Ansible would take this for a part of otapgate or of Ansible itself."),
                    relative,
                    remedy=_("Give it a name of its own."),
                )
            )
        elif path.is_file() and path.name == "ansible.cfg":
            found.append(Problem(_("An ansible.cfg would change how hosts are reached."), relative))
        elif path.is_file() and (path.suffix.lower() in SUFFIXES or _is_read_as_yaml(path, inside)):
            routes = _is_collection(inside) and inside[-1] == "meta" and path.stem == "runtime"
            found += Scan(relative, allowed, path, routes=routes, opens=opens).problems()
        elif path.is_file():
            found += _scan_template(relative, path, opens)
    return found


def scan_variables(variables: Mapping[str, Any], file: str) -> list[Problem]:
    """Problems with a release's own variables: none may redirect, or look things up."""
    return [
        *(Problem(redirects(name), file) for name in sorted(variables) if is_redirecting(name)),
        *scan_texts(variables, file),
    ]


def scan_texts(value: Any, file: str) -> list[Problem]:
    """Problems with texts of a release that Ansible takes for templates."""
    return [
        Problem(message, file) for text in _texts(value) for message in lookups.find_refused(text)
    ]


def _is_read_as_yaml(path: Path, inside: tuple[str, ...]) -> bool:
    """Whether Ansible would read it whatever its suffix."""
    return bool(_ANY_NAME & set(inside)) or (not path.suffix and bool(_NO_SUFFIX & set(inside)))


def _is_collection(inside: tuple[str, ...]) -> bool:
    return bool({"collections", _COLLECTIONS} & set(inside))


def _runs_here(path: Path, inside: tuple[str, ...]) -> bool:
    """Whether Ansible would run it on the machine that it runs on itself."""
    if path.is_dir() and _PLUGIN_FOLDERS.match(path.name):
        return True
    if not _is_collection(inside):
        return False
    if inside[-1] == "plugins" and path.name not in _SHIPPED:
        return True
    # Ansible imports the packages on its way to a module; those beside it, it sends
    rest = inside[inside.index(_COLLECTIONS) + 1 :] if _COLLECTIONS in inside else inside
    sent = rest[2:4] == ("plugins", "module_utils")
    return path.name == "__init__.py" and not sent and not _is_idle(path)


def _hides_ours(path: Path, inside: tuple[str, ...]) -> bool:
    """Whether Ansible would find it before otapgate's own module, or one of the parts (of
    otapgate or of ansible-core) that this is made of, and so let a release say itself what
    is on its hosts. Ansible looks beside the playbooks and in roles first, in folders
    below as well, by the name before the first dot and with or without a `_` before it."""
    if not {"library", "module_utils"} & set(inside):
        return inside[-1:] == (_COLLECTIONS,) and path.name.lower() == "ansible"
    below = _below(path, inside)
    names = [one.partition(".")[0].lstrip("_").lower() for one in below]
    if any(name.startswith("otapgate") for name in names):
        return True
    ours = "module_utils" in inside and not _is_collection(inside)
    return ours and path.is_file() and names[0] in _parts_of_ansible()


def _below(path: Path, inside: tuple[str, ...]) -> tuple[str, ...]:
    """The path below the folder of modules, or of their parts."""
    start = next(at for at, one in enumerate(inside) if one in ("library", "module_utils"))
    return (*inside[start + 1 :], path.name)


@cache
def _parts_of_ansible() -> frozenset[str]:
    """Names in ansible-core's module_utils, which a release's own would hide."""
    spec = importlib.util.find_spec("ansible.module_utils")
    places = [] if spec is None else list(spec.submodule_search_locations or ())
    names = (item.name.partition(".")[0] for place in places for item in Path(place).iterdir())
    return frozenset(name.lstrip("_").lower() for name in names if name != "__init__.py")


def _is_idle(path: Path) -> bool:
    """Whether a Python file does nothing when it is imported."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return all(
        (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        or (isinstance(node, ast.ImportFrom) and node.module == "__future__")
        for node in tree.body
    )


def _scan_template(relative: str, path: Path, opens: vault.Vault | None) -> list[Problem]:
    """Any text file may be a template."""
    text = path.read_bytes().decode("utf-8", "replace")
    if vault.is_sealed(text):
        if opens is None:
            return []
        try:
            text = opens.open(text).decode("utf-8", "replace")
        except vault.Closed as closed:
            return [closed.problem(relative)]
    if lookups.has_own_marks(text):
        return [Problem(lookups.own_marks(), relative, 1)]
    if "{{" not in text and "{%" not in text:
        return []
    return [Problem(message, relative) for message in lookups.find_refused(text)]


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return [text for item in value.values() for text in _texts(item)]
    if isinstance(value, Sequence):
        return [text for item in value for text in _texts(item)]
    return []
