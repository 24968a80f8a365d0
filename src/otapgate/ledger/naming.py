"""Which words can be names, and finding them in what an act says. Pure.

Names are checked where an act is read from an entry, not where a state that was made of
such acts is decoded from its cache: a pattern on the type would be tried on tens of
thousands of names before every decision, and took twice the time of all the rest.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Annotated, Any, TypeAlias

import msgspec

Name: TypeAlias = Annotated[str, msgspec.Meta(extra={"checked": "name"})]
"""What things are called. They end up in commands that people copy from a remedy, so
nothing that a shell or a terminal takes for more than a word."""
Id: TypeAlias = Annotated[str, msgspec.Meta(extra={"checked": "id"})]
"""What otapgate calls a run, a decision or a dataset: `prom-3f9a1c0b2d4e`. Folders are
named by it, here and on hosts, so it can't be a path."""

_WORDS = {
    "name": re.compile(r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._+!~@:/-]{0,127}"),
    "id": re.compile(r"[a-z][a-z0-9-]{0,63}"),
}
_Find: TypeAlias = Callable[[Any], Iterator[tuple[str, str]]]
"""Finds words in a value, each with what it must be: `name` or `id`."""


def check(plain: dict[str, Any], kind: type[msgspec.Struct]) -> None:
    """Raise msgspec.ValidationError unless every `Name` and `Id` of the class is one in
    `plain`, from which a value of the class could be made."""
    find = _finder_of(kind)
    for what, word in find(plain) if find is not None else ():
        if not _WORDS[what].fullmatch(word):
            raise msgspec.ValidationError(f"{word!a} can't be a name")


@cache
def _finder_of(kind: type[msgspec.Struct]) -> _Find | None:
    from msgspec import inspect  # here, because only a fold needs it and start-up doesn't

    return _finder(inspect.type_info(kind))


def _finder(kind: Any) -> _Find | None:
    """What goes through a plain value of the type for its names; None where it has none."""
    from msgspec import inspect

    match kind:
        case inspect.Metadata(extra={"checked": what}):
            return lambda value: iter(((what, value),))
        case inspect.StructType(fields=fields):
            found = {f.encode_name: find for f in fields if (find := _finder(f.type))}
            return _of_fields(found) if found else None
        case inspect.VarTupleType(item_type=item):
            each = _finder(item)
            return _of_items(each) if each else None
        case inspect.DictType(key_type=key):
            each = _finder(key)
            return _of_items(each) if each else None
        case inspect.UnionType(types=types):
            some = next((find for one in types if (find := _finder(one))), None)
            return _if_any(some) if some else None
        case _:
            return None


def _of_fields(finders: dict[str, _Find]) -> _Find:
    def find(value: dict[str, Any]) -> Iterator[tuple[str, str]]:
        for field, names in finders.items():
            if field in value:
                yield from names(value[field])

    return find


def _of_items(names: _Find) -> _Find:
    def find(value: Any) -> Iterator[tuple[str, str]]:
        for item in value:
            yield from names(item)

    return find


def _if_any(names: _Find) -> _Find:
    def find(value: Any) -> Iterator[tuple[str, str]]:
        return iter(()) if value is None else names(value)

    return find
