"""What is wrong with a file's content, in plain sentences instead of pydantic's jargon.

Works for every pydantic model in the program; knows nothing of any format. Imported only
when a file is validated, because pydantic takes its time to load.
"""

from __future__ import annotations

import difflib
import json
import re
import types
import typing
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import pydantic
from pydantic import BaseModel

from otapgate.errors import Problem
from otapgate.i18n import _
from otapgate.landscape.yaml_positions import MAX_PROBLEMS, Document, shown

Loc = Sequence[str | int]
Model = TypeVar("Model", bound=BaseModel)

_SECRET = re.compile(r"pass|secret|token|key|geheim|wachtwoord", re.IGNORECASE)


class Wrong(ValueError):
    """Raised in a model's validator: a sentence, where below the model, and a remedy."""

    def __init__(self, message: str, *at: str | int, remedy: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.at = at
        self.remedy = remedy


def validate(document: Document, model: type[Model]) -> tuple[Model | None, list[Problem]]:
    """See `yaml_positions.validate`."""
    problems = list(document.problems)
    if document.data is None:
        if not problems:
            problems.append(
                Problem(
                    _("The file is empty."),
                    document.file,
                    remedy=_("Fill it in; the JSON Schema says what belongs in it."),
                )
            )
        return None, problems
    try:
        # Strict, so that "5" is no number; by way of JSON, so that a list may be a tuple.
        result = model.model_validate_json(json.dumps(document.data), strict=True)
    except pydantic.ValidationError as error:
        found = [_problem(document, model, item) for item in error.errors(include_url=False)]
        found.sort(key=lambda problem: problem.line or 0)
        return None, _unique(problems + found)[:MAX_PROBLEMS]
    return (None, problems) if problems else (result, [])


def path(loc: Loc) -> str:
    """`hosts[0].name`, as a person would point at it."""
    text = ""
    for part in loc:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{shown(part)}" if text else part
    return shown(text, 120)


def _unique(problems: list[Problem]) -> list[Problem]:
    return list(dict.fromkeys(problems))


def _problem(document: Document, model: type[BaseModel], error: Any) -> Problem:
    loc: list[str | int] = [part for part in error["loc"] if part != "[key]"]
    kind: str = error["type"]
    context: dict[str, Any] = error.get("ctx") or {}
    here = path(_present(document, loc))
    cause = context.get("error")
    if isinstance(cause, Wrong):
        return document.problem(cause.message, [*loc, *cause.at], cause.remedy)
    if kind == "value_error":
        return document.problem(f"'{here}': {cause}" if here else str(cause), loc)
    if kind == "missing":
        return _missing(document, loc)
    if kind == "extra_forbidden":
        return _unknown(document, model, loc)
    if kind in ("literal_error", "enum", "union_tag_invalid"):
        return _not_allowed(document, loc, here, error["input"], context)
    message, remedy = _mistyped(kind, here, error, context, loc)
    return document.problem(message, loc, remedy)


def _present(document: Document, loc: Loc) -> list[str | int]:
    """`loc` without the names that pydantic gives to the arms of a union."""
    node, parts = document.root, []
    for index, part in enumerate(loc):
        child = node.children.get(part)
        if child is not None:
            node = child
            parts.append(part)
        elif index == len(loc) - 1 and isinstance(part, str) and not node.children:
            break
    return parts


def _missing(document: Document, loc: Loc) -> Problem:
    name = str(loc[-1])
    inside = path(_present(document, loc[:-1]))
    if inside:
        message = _("'{name}' is missing in '{inside}'.").format(name=name, inside=inside)
    else:
        message = _("'{name}' is missing.").format(name=name)
    return document.problem(message, loc, _("Add '{name}: …'.").format(name=name))


def _unknown(document: Document, model: type[BaseModel], loc: Loc) -> Problem:
    name = str(loc[-1])
    known = sorted(_keys(model, loc[:-1]))
    close = difflib.get_close_matches(name.lower(), known, n=1)
    message = _("'{name}' is not known here.").format(name=shown(name))
    if close:
        remedy = _("Did you mean '{name}'?").format(name=close[0])
    elif known:
        remedy = _("Known here: {names}.").format(names=", ".join(known))
    else:
        remedy = _("Delete it.")
    return document.problem(message, loc, remedy)


def _not_allowed(
    document: Document, loc: Loc, here: str, value: Any, context: dict[str, Any]
) -> Problem:
    if "tag" in context:
        value = context["tag"]
    expected = str(context.get("expected") or context.get("expected_tags") or "")
    allowed = re.findall(r"'([^']*)'", expected) or [expected]
    if not here and loc:
        here = str(loc[-1])
    message = (
        _("'{here}' is {found}, which is not possible.").format(here=here, found=found(value, loc))
        if here
        else _("{found} is not possible here.").format(found=found(value, loc))
    )
    close = difflib.get_close_matches(value, allowed, n=1) if isinstance(value, str) else []
    remedy = _("Choose one of: {allowed}.").format(allowed=", ".join(allowed))
    if close:
        remedy = _("Did you mean '{name}'?").format(name=close[0]) + " " + remedy
    return document.problem(message, loc, remedy)


def found(value: Any, loc: Loc = ()) -> str:
    """What stands there, for a sentence; the content of secrets is not repeated."""
    if value is None:
        return _("empty")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return _("a list")
    if isinstance(value, dict):
        return _("a mapping")
    if loc and _SECRET.search(str(loc[-1])):
        return _("a text") if isinstance(value, str) else _("a number")
    if isinstance(value, str):
        return _('the text "{text}"').format(text=shown(value))
    return _("the number {number}").format(number=value)


def _expected(kind: str) -> str | None:
    """What pydantic wanted, for errors that are about the type."""
    stem = kind.split("_", maxsplit=1)[0]
    return {
        "string": _("a text"),
        "int": _("a whole number"),
        "bool": _("true or false"),
        "list": _("a list (lines that begin with '- ')"),
        "tuple": _("a list (lines that begin with '- ')"),
        "set": _("a list (lines that begin with '- ')"),
        "dict": _("a mapping (lines of 'name: value')"),
        "model": _("a mapping (lines of 'name: value')"),
        "date": _("a date such as 2026-01-31"),
        "datetime": _("a time with zone such as 2026-01-31T18:00:00+01:00"),
        "timezone": _("a time with zone such as 2026-01-31T18:00:00+01:00"),
        "none": _("empty"),
    }.get(stem)


def _mistyped(
    kind: str, here: str, error: Any, context: dict[str, Any], loc: Loc
) -> tuple[str, str | None]:
    """Message and remedy for a wrong type, and for a right type out of bounds."""
    value = error["input"]
    name = here or _("the file")
    bounds = {
        "greater_than_equal": (_("at least {limit}"), "ge"),
        "greater_than": (_("more than {limit}"), "gt"),
        "less_than_equal": (_("at most {limit}"), "le"),
        "less_than": (_("less than {limit}"), "lt"),
        "string_too_short": (_("text of at least {limit} characters"), "min_length"),
        "string_too_long": (_("text of at most {limit} characters"), "max_length"),
        "too_short": (_("a list of at least {limit}"), "min_length"),
        "too_long": (_("a list of at most {limit}"), "max_length"),
    }
    if kind in bounds:
        sentence, limit = bounds[kind]
        expected: str | None = sentence.format(limit=context.get(limit))
    elif kind == "string_pattern_mismatch":
        expected = _("text of the form {pattern}").format(pattern=context.get("pattern"))
    else:
        expected = _expected(kind)
    if expected is None:
        return f"'{name}': {shown(str(error['msg']), 200)}", None
    message = _("'{name}' is {found}, but must be {expected}.").format(
        name=name, found=found(value, loc), expected=expected
    )
    if kind.startswith("string_type") and isinstance(value, bool | int):
        return message, _("Put quotes around it.")
    if kind.startswith("int") and isinstance(value, str) and value.strip("-").isdigit():
        return message, _("Write the number without quotes.")
    if kind.startswith("bool") and isinstance(value, str):
        if value.strip().casefold() in ("true", "false"):
            return message, _("Write true or false, without quotes.")
        return message, _("Write true or false.")
    if value is None:
        return message, _("Fill it in.")
    return message, _("Change it to {expected}.").format(expected=expected)


def _keys(annotation: Any, loc: Loc) -> set[str]:
    """The keys that may stand at `loc` below a type, all arms of a union together."""
    keys: set[str] = set()
    for kind in _at([annotation], list(loc)):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            keys.update(field.alias or name for name, field in kind.model_fields.items())
    return keys


def _at(kinds: Iterable[Any], loc: list[str | int]) -> list[Any]:
    flat = [arm for kind in kinds for arm in _arms(kind)]
    if not loc:
        return flat
    below: list[Any] = []
    for kind in flat:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            below += [
                field.annotation
                for name, field in kind.model_fields.items()
                if loc[0] in (name, field.alias)
            ]
        elif isinstance(loc[0], int):
            below += [a for a in typing.get_args(kind)[:1] if typing.get_origin(kind) is not dict]
        elif typing.get_origin(kind) is dict:
            below.append(typing.get_args(kind)[1])
    # A part that leads nowhere is the name of a union's arm.
    return _at(below or flat, loc[1:])


def _arms(kind: Any) -> list[Any]:
    origin = typing.get_origin(kind)
    if origin is typing.Annotated:
        return _arms(typing.get_args(kind)[0])
    if origin in (typing.Union, types.UnionType):
        return [arm for part in typing.get_args(kind) for arm in _arms(part)]
    return [kind]
