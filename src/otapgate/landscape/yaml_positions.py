"""YAML that people write, read into plain data with the line of every value.

`load` accepts a small, safe part of YAML and turns everything else into a `Problem` with
file, line and remedy; `validate` checks the data against a pydantic model and says in
plain sentences what is wrong. What the files mean is not here, but in `files.py` and with
the subjects that own a format.

The part of YAML: text, whole numbers, `true`, `false`, `null`, lists and mappings with
text as keys. `no`, `on`, `NO`, `010`, `12:30`, `2026-01-01` and `1_000` are text. Numbers
with a point are refused, because digests rest on canonical JSON, which has none (and
because an unquoted version 3.10 would be read as 3.1).
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import yaml

from otapgate import canonical
from otapgate.errors import Problem
from otapgate.i18n import N_, _
from otapgate.landscape.text_file import MAX_BYTES, decoded, read_bytes, shown

if TYPE_CHECKING:
    from pydantic import BaseModel

Model = TypeVar("Model", bound="BaseModel")

__all__ = ["MAX_BYTES", "Data", "Document", "Node", "load", "read_bytes", "shown", "validate"]

MAX_DEPTH = 40
MAX_NODES = 100_000
"""Values in one file, those that an alias repeats included."""
MAX_PROBLEMS = 200
"""After this many a file is not what it should be, and more lines don't help."""

Data: TypeAlias = Any
"""None, bool, int, str, list of Data, or dict of str to Data."""

_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)\Z")
_FLOAT = re.compile(
    r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?\Z"
    r"|[-+]?\.(inf|Inf|INF)\Z|\.(nan|NaN|NAN)\Z"
)
_WORDS: dict[str, Data] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True,
    "false": False, "False": False, "FALSE": False,
}  # fmt: skip


@dataclass(slots=True)
class Node:
    """Where a value stands, and its children by key or index."""

    line: int
    children: dict[str | int, Node] = field(default_factory=dict)
    size: int = 1


@dataclass(frozen=True, slots=True)
class Document:
    """What a file says, where it says it, and what is wrong with it as YAML."""

    data: Data
    """None when the file is empty or could not be read to its end."""
    file: str
    problems: tuple[Problem, ...]
    root: Node

    def line(self, loc: Sequence[str | int]) -> int | None:
        """The one-based line of the value at `loc`, or of the nearest value around it.

        Parts of `loc` that are not in the data (pydantic names the arm of a union there)
        are passed over. None for an empty file.
        """
        node = self.root
        for part in loc:
            node = node.children.get(part, node)
        return node.line or None

    def problem(
        self, message: str, loc: Sequence[str | int] = (), remedy: str | None = None
    ) -> Problem:
        """A `Problem` at the line of `loc`."""
        return Problem(message, self.file, self.line(loc), remedy)


def load(source: Path | str | bytes, file: str) -> Document:
    """Read a file (a `Path`), or text, that the user knows as `file`.

    Never raises for what the content may be: everything wrong is in `problems`, and
    `data` then holds what could be read.
    """
    if isinstance(source, Path):
        raw = read_bytes(source, file)
        if isinstance(raw, Problem):
            return Document(None, file, (raw,), Node(0))
        source = raw
    text = decoded(source, file)
    if isinstance(text, Problem):
        return Document(None, file, (text,), Node(0))
    return _Composer(text, file).compose()


class _Stop(Exception):
    """Reading on makes no sense; the reason is already among the problems."""


class _Composer:
    """Builds data and nodes from the parser's events, so that limits hold while reading."""

    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.problems: list[Problem] = []
        self.nodes = 0
        self.anchors: dict[str, tuple[Data, Node] | None] = {}

    def compose(self) -> Document:
        data: Data = None
        root = Node(0)
        try:
            events = self._events()
            for event in events:
                if isinstance(event, yaml.DocumentStartEvent):
                    if root.line:
                        self._add(
                            event,
                            _("A second document begins here ('---')."),
                            _("Keep one document in a file."),
                        )
                        break
                    data, root = self._node(next(events), events, MAX_DEPTH)
        except _Stop:
            data = None
        except yaml.MarkedYAMLError as error:
            data = None
            self.problems.append(_syntax(error, self.text, self.file))
        except yaml.YAMLError as error:
            data = None
            self.problems.append(
                Problem(
                    _("This is not YAML: {reason}.").format(reason=shown(str(error))), self.file
                )
            )
        return Document(data, self.file, tuple(self.problems), root)

    def _events(self) -> Iterator[Any]:
        loader = yaml.CSafeLoader(self.text)
        try:
            while (event := loader.get_event()) is not None:
                yield event
        finally:
            loader.dispose()

    def _add(self, event: Any, message: str, remedy: str) -> None:
        self.problems.append(Problem(message, self.file, event.start_mark.line + 1, remedy))
        if len(self.problems) >= MAX_PROBLEMS:
            raise _Stop

    def _node(self, event: Any, events: Iterator[Any], depth: int) -> tuple[Data, Node]:
        node = Node(event.start_mark.line + 1)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, node)
        if event.tag is not None:
            self._add(
                event,
                _("The tag '{tag}' is not read here.").format(tag=shown(event.tag)),
                _("Write a plain value. Secrets don't belong in these files."),
            )
        self._count(event, 1)
        if event.anchor is not None:
            self.anchors[event.anchor] = None
        data: Data
        if isinstance(event, yaml.ScalarEvent):
            data = self._scalar(event)
        elif depth <= 0:
            self._add(
                event,
                _("This is nested deeper than {limit} levels.").format(limit=MAX_DEPTH),
                _("Make the file flatter."),
            )
            raise _Stop
        elif isinstance(event, yaml.SequenceStartEvent):
            data = []
            while not isinstance(item := next(events), yaml.SequenceEndEvent):
                value, child = self._node(item, events, depth - 1)
                node.children[len(data)] = child
                node.size += child.size
                data.append(value)
        else:
            data = self._mapping(node, events, depth - 1)
        if event.anchor is not None:
            self.anchors[event.anchor] = (data, node)
        return data, node

    def _mapping(self, node: Node, events: Iterator[Any], depth: int) -> dict[str, Data]:
        data: dict[str, Data] = {}
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            key = self._key(event, events, depth)
            value, child = self._node(next(events), events, depth)
            # The key's line is where a reader looks, also when the value starts below it.
            placed = Node(event.start_mark.line + 1, child.children, child.size)
            node.size += child.size + 1
            if key is None:
                continue
            if key in data:
                self._add(
                    event,
                    _("'{key}' stands here twice; the first is on line {line}.").format(
                        key=shown(key), line=node.children[key].line
                    ),
                    _("Delete one of the two."),
                )
                continue
            data[key] = value
            node.children[key] = placed
        return data

    def _key(self, event: Any, events: Iterator[Any], depth: int) -> str | None:
        """The text of a key; None, with a problem, for a key of another kind."""
        if not isinstance(event, yaml.ScalarEvent):
            self._node(event, events, depth)
            self._add(event, _("A key must be text."), _("Use a plain name as the key."))
            return None
        self._count(event, 1)
        plain = event.implicit[0] and not event.style
        if event.tag is not None or event.anchor is not None or (plain and event.value == "<<"):
            self._add(
                event,
                _("Keys with tags or anchors, and merging with '<<', are not read here."),
                _("Write the keys out."),
            )
            return None
        if plain and not isinstance(self._plain(event.value), str):
            self._add(
                event,
                _("The key '{key}' is not text.").format(key=shown(event.value)),
                _('Put quotes around it: "{key}".').format(key=shown(event.value)),
            )
            return None
        if not event.value.isascii():
            self._add(
                event,
                _("The key '{key}' holds letters outside ASCII.").format(key=shown(event.value)),
                _("Use letters a to z, digits, '-' and '_' in keys."),
            )
            return None
        return str(event.value)

    def _scalar(self, event: Any) -> Data:
        if not event.implicit[0] or event.style:
            return event.value
        value = self._plain(event.value)
        if isinstance(value, float):
            self._add(
                event,
                _("{value} is a number with a point, and those are not read here.").format(
                    value=shown(event.value)
                ),
                _('Put quotes around it ("{value}") if it is text, such as a version; '
                  "otherwise use a whole number of a smaller unit.").format(
                    value=shown(event.value)
                ),
            )  # fmt: skip
            return event.value
        if isinstance(value, int) and abs(value) > canonical.MAX_INTEGER:
            self._add(
                event,
                _("The number {value} is too large.").format(value=shown(event.value)),
                _("Put quotes around it if it is text."),
            )
            return event.value
        return value

    @staticmethod
    def _plain(text: str) -> Data:
        """The value of an unquoted scalar; a float stands for one that is refused."""
        if text in _WORDS:
            return _WORDS[text]
        if _INTEGER.match(text):
            return int(text) if len(text) <= 20 else 10**20
        return 0.0 if _FLOAT.match(text) else text

    def _alias(self, event: Any, node: Node) -> tuple[Data, Node]:
        found = self.anchors.get(event.anchor)
        if found is None:
            self._add(
                event,
                _("'*{name}' repeats something that isn't whole yet.").format(
                    name=shown(event.anchor)
                )
                if event.anchor in self.anchors
                else _("'*{name}' repeats '&{name}', which is not above it.").format(
                    name=shown(event.anchor)
                ),
                _("Write the value out."),
            )
            return None, node
        data, target = found
        self._count(event, target.size)
        return copy.deepcopy(data), Node(node.line, target.children, target.size)

    def _count(self, event: Any, size: int) -> None:
        self.nodes += size
        if self.nodes > MAX_NODES:
            self._add(
                event,
                _("The file holds more than {limit} values, repeated ones included.").format(
                    limit=MAX_NODES
                ),
                _("Split it, and repeat less with '*'."),
            )
            raise _Stop


_REASONS = (
    N_("mapping values are not allowed in this context"),
    N_("found character that cannot start any token"),
    N_("found unexpected end of stream"),
    N_("found unknown escape character"),
    N_("found unexpected document indicator"),
    N_("could not find expected ':'"),
    N_("did not find expected node content"),
    N_("did not find expected '-' indicator"),
    N_("did not find expected key"),
    N_("did not find expected ',' or ']'"),
    N_("did not find expected ',' or '}}'"),
    N_("did not find expected alphabetic or numeric character"),
    N_("did not find expected <document start>"),
    N_("block sequence entries are not allowed in this context"),
    N_("mapping keys are not allowed in this context"),
)
"""What libyaml says most, to be said in the user's language; the rest stays as it is."""


def _syntax(error: yaml.MarkedYAMLError, text: str, file: str) -> Problem:
    """What the parser stumbled on, with the commonest causes named."""
    mark = error.problem_mark or error.context_mark
    reason = error.problem or error.context or ""
    if "end of stream" in reason and error.context_mark:
        mark = error.context_mark  # where the quote or bracket was opened that nothing closes
    line = mark.line + 1 if mark else None
    if "nesting depth" in reason:
        # Newer versions of libyaml give up by themselves, before we have counted.
        return Problem(
            _("This is nested deeper than {limit} levels.").format(limit=MAX_DEPTH),
            file,
            line or 1,
            _("Make the file flatter."),
        )
    lines = text.splitlines()
    shown_line = lines[line - 1] if line and line <= len(lines) else ""
    if shown_line.lstrip(" ").startswith("\t") or r"'\t'" in reason:
        return Problem(
            _("A tab stands where YAML wants spaces."), file, line, _("Indent with spaces.")
        )
    if "mapping values are not allowed" in reason:
        remedy = _("Check the indentation, and put quotes around text that holds ': '.")
    elif "cannot start any token" in reason:
        remedy = _("Put quotes around text that begins with '@', '`', '%' or another sign.")
    elif "undefined alias" in reason:
        remedy = _("Write the value out.")
    else:
        remedy = _("Check the indentation, quotes and brackets on this line and the one above it.")
    said = _(reason.replace("}", "}}")).replace("}}", "}")  # braces as sentences have them
    return Problem(
        _("This is not YAML: {reason}.").format(reason=shown(said, 120)), file, line, remedy
    )


def validate(document: Document, model: type[Model]) -> tuple[Model | None, list[Problem]]:
    """Check a document against `model`.

    Returns the model, or None together with every problem of the document: those of
    `load` first, then those of the content in order of line.
    """
    from otapgate.landscape import sentences

    return sentences.validate(document, model)
