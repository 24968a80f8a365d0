"""What a release holds that Ansible Vault sealed: opened, so that the guard can read it and
its values can be kept out of what is written.

Opening is Ansible's own code, in a process of its own that gets the password on its
standard input. Nothing that was opened is written anywhere.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from otapgate.errors import BadInput, Problem
from otapgate.i18n import _
from otapgate.private_file import write_private
from otapgate.secrets_filter import SHORTEST

if TYPE_CHECKING:
    import yaml

SECRET = "ansible_vault_password"  # noqa: S105 - its name
"""The environment's secret that opens what its releases hold."""
HEADER = "$ANSIBLE_VAULT"
TAGS = ("!vault", "!vault-encrypted")
LEGACY_KEY = "__ansible_vault"
"""How JSON says `!vault`; Ansible reads it so wherever it reads JSON."""
_SCRIPT = Path(__file__).parent / "ansible" / "unvault.py"
_LARGEST = 64 * 1024
_ORDINARY = frozenset({"true", "false", "null", "none", "present", "absent", "yes", "no"})


class Closed(Exception):
    """A sealed text that can't be opened; says why, as a problem's message and remedy."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message, self.remedy = message, remedy

    def problem(self, file: str, line: int | None = 1) -> Problem:
        return Problem(self.message, file, line, remedy=self.remedy)


class Vault:
    """Opens sealed texts with one password; without one, none."""

    def __init__(self, password: str | None) -> None:
        self._password = password
        self._process: subprocess.Popen[str] | None = None
        self._opened: dict[str, bytes] = {}

    def open(self, sealed: str) -> bytes:
        """What is in it. Raises Closed."""
        if self._password is None:
            raise Closed(
                _("It is encrypted, and the environment has no secret {name}.").format(name=SECRET),
                _("Put {name} below the environment's 'secrets:'.").format(name=SECRET),
            )
        if sealed not in self._opened:
            answer = self._ask(sealed)
            if "data" not in answer:
                raise Closed(
                    _("It is encrypted, and {name} doesn't open it.").format(name=SECRET),
                    _("Keep the password with which it was encrypted as {name}.").format(
                        name=SECRET
                    ),
                )
            self._opened[sealed] = base64.b64decode(answer["data"])
        return self._opened[sealed]

    def text(self, sealed: str) -> str:
        """What is in it, as text. Raises Closed, and UnicodeDecodeError."""
        return self.open(sealed).decode("utf-8")

    def _ask(self, sealed: str) -> Any:
        if self._process is None:
            names = ("PATH", "HOME", "USER", "LOGNAME", "TMPDIR")
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(_SCRIPT)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                encoding="utf-8",
                cwd="/",
                env={
                    "LC_ALL": "C.UTF-8",
                    **{name: os.environ[name] for name in names if name in os.environ},
                },
            )
            self._write(self._password)
        self._write(sealed)
        assert self._process.stdout is not None
        try:
            return json.loads(self._process.stdout.readline())
        except ValueError:  # it ended
            return {}

    def _write(self, value: str | None) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(value) + "\n")
            self._process.stdin.flush()
        except OSError:
            return  # it ended, and so gives no answer

    def close(self) -> None:
        """End the process, if there is one."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


@contextmanager
def opening(secrets: Mapping[str, str]) -> Iterator[Vault]:
    """A vault with the password that is among an environment's secrets, or with none."""
    vault = Vault(secrets.get(SECRET))
    try:
        yield vault
    finally:
        vault.close()


def for_playbooks(secrets: Mapping[str, str]) -> dict[str, str]:
    """The secrets that playbooks get as variables: all but the password of vaults."""
    return {name: value for name, value in secrets.items() if name != SECRET}


def password_file(secrets: Mapping[str, str], scratch: Path) -> dict[str, str]:
    """Put the password where Ansible finds it, in the private folder `scratch`, which the
    caller removes; the environment variables that say so. None without a password."""
    if SECRET not in secrets:
        return {}
    path = scratch / "vault-password"  # not executable, or Ansible would run it
    write_private(path, secrets[SECRET].encode())
    return {"ANSIBLE_VAULT_PASSWORD_FILE": str(path)}


def is_sealed(text: str) -> bool:
    """Whether Ansible would open it before it reads it."""
    return text.startswith(HEADER)


def sealed_nodes(document: yaml.Node) -> Iterator[yaml.ScalarNode]:
    """The values below that are sealed, each once; keys aren't among them."""
    return (node for node in _values_below(document) if node.tag in TAGS)


def _values_below(document: yaml.Node) -> Iterator[yaml.ScalarNode]:
    import yaml

    waiting, seen = [document], set()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.ScalarNode):
            yield node
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value
        elif isinstance(node, yaml.MappingNode):
            waiting += [value for _key, value in node.value]


def hidden_values(folders: list[Path], secrets: Mapping[str, str]) -> tuple[str, ...]:
    """The values that sealed files and values below the playbook folders hold, which must be
    seen nowhere. Without a password there are none: the guard refuses what is sealed. Raises
    BadInput (`vault-closed`) when the password doesn't open all of it."""
    if SECRET not in secrets:
        return ()
    found: dict[str, None] = {}
    problems: list[Problem] = []
    with opening(secrets) as vault:
        for folder in folders:
            for path in sorted(folder.rglob("*")):
                if path.is_file() and not path.is_symlink():
                    file = str(path.relative_to(folder.parent))
                    for one in _values(path, file, vault, problems):
                        found[one] = None
    if problems:
        raise BadInput(
            "vault-closed",
            _("What the release holds in Ansible Vault can't be opened; nothing was done."),
            problems=tuple(problems),
        )
    return tuple(found)


def _values(path: Path, file: str, vault: Vault, problems: list[Problem]) -> Iterator[str]:
    import yaml

    text = path.read_bytes().decode("utf-8", "replace")
    whole = is_sealed(text)
    if not whole and not any(tag in text for tag in TAGS):
        return
    try:
        if whole:
            text = vault.open(text).decode("utf-8", "replace")
    except Closed as closed:
        problems.append(closed.problem(file))
        return
    try:
        documents = [x for x in yaml.compose_all(text, Loader=yaml.SafeLoader) if x is not None]
    except (yaml.YAMLError, RecursionError):
        documents = []  # the guard says so, where it matters
    for document in documents:
        for node in sealed_nodes(document):
            try:
                yield from _worth(vault.open(str(node.value)).decode("utf-8", "replace"))
            except Closed as closed:
                problems.append(closed.problem(file, node.start_mark.line + 1))
    if whole and documents and all(isinstance(x, yaml.MappingNode) for x in documents):
        for document in documents:
            for node in _values_below(document):
                if node.tag not in TAGS:
                    yield from _worth(str(node.value))
    elif whole:  # no variables: a key, say, that is copied to a host
        yield from _worth(text)


def _worth(value: str) -> Iterator[str]:
    """The value, unless masking it would blot out ordinary text, or take too long."""
    words = value.strip()
    if len(words) >= SHORTEST and len(value) <= _LARGEST and words.lower() not in _ORDINARY:
        yield value
