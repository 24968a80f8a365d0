"""What hosts answer, as typed values: every answer is a stranger's until it fits. Pure."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import msgspec

from otapgate.i18n import _
from otapgate.probe.connection import Way
from otapgate.probe.remote import Answer

Outcome: TypeAlias = Literal["proven", "violated", "unknown"]
Reached: TypeAlias = Literal["open", "closed", "filtered", "unknown"]
Text = Annotated[str, msgspec.Meta(max_length=1000)]


class Item(msgspec.Struct, array_like=True, frozen=True):
    """Something that a host has."""

    kind: Text
    name: Text
    hash: Text


class Possessions(msgspec.Struct, frozen=True):
    items: list[Item]
    kernel: Text
    connections: list[tuple[Text, int]]


class Account(msgspec.Struct, frozen=True):
    """An account that can log in, or may become root."""

    name: Text
    groups: list[Text]
    keys: list[Text]
    password: bool
    login: bool
    root: Text


class Seen(msgspec.Struct, frozen=True):
    """What one host answered; parts that weren't asked are empty."""

    unknown: list[Text]
    sweep: list[Reached] = []
    possessions: Possessions | None = None
    accounts: list[Account] | None = None
    system: dict[Text, dict[Text, Text]] | None = None


class Host(msgspec.Struct, frozen=True):
    """A host with its answer."""

    way: Way
    seen: Seen | None
    unknown: tuple[str, ...]
    """What could not be told of it, in sentences."""
    key: str = ""
    """Fingerprint of the key that otapgate logged in with."""


def taken(answer: Answer) -> Host:
    """The answer as a host's, or why it is none."""
    if answer.value is None:
        return Host(answer.way, None, (answer.problem,))
    try:
        seen = msgspec.convert(answer.value, Seen)
    except (msgspec.ValidationError, RecursionError):
        problem = _("{host} answers something else than was asked.").format(host=answer.way.host)
        return Host(answer.way, None, (problem,))
    unknown = tuple(f"{answer.way.host}: {sentence}" for sentence in seen.unknown)
    return Host(answer.way, seen, unknown, answer.key)


def plain(text: str) -> str:
    """A host's text, fit for a terminal and for the ledger."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)[:300]


def whole(value: Any) -> Any:
    """JSON values in which every text is plain."""
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, dict):
        return {plain(str(key)): whole(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [whole(inner) for inner in value]
    return value
