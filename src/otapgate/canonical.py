"""Canonical JSON and digests: the one way bytes are made from values.

The subset of RFC 8785 (JCS) that otapgate uses: no floats, integers within the range
that every JSON reader keeps exact, ASCII object keys, UTF-8. Within this subset
Python's own encoder with sorted keys yields the canonical form.
"""

from __future__ import annotations

import hashlib
import json
from typing import TypeAlias

JSON: TypeAlias = "None | bool | int | str | list[JSON] | dict[str, JSON]"

MAX_INTEGER = 2**53 - 1
MAX_DEPTH = 64


class NotCanonical(ValueError):
    """A value or text that has no canonical form, or isn't in it."""


def encode(value: JSON) -> bytes:
    """Canonical bytes of `value`; raises NotCanonical for floats, huge integers,
    non-ASCII keys, lone surrogates and nesting deeper than 64."""
    _check(value, MAX_DEPTH)
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise NotCanonical("text holds a lone surrogate") from error


def decode(data: bytes) -> JSON:
    """The value of canonical bytes; raises NotCanonical unless `data` is exactly what
    `encode` would make of it. That rules out duplicate keys, other number or escape
    forms, white space and byte order marks in one stroke."""
    try:
        value: JSON = json.loads(data.decode("utf-8"), parse_float=_no_float)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise NotCanonical(str(error)) from error
    if encode(value) != data:
        raise NotCanonical("not in canonical form")
    return value


def digest(data: bytes) -> str:
    """`sha256:` and the hexadecimal SHA-256 of `data`: how everything is named here."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def digest_of(value: JSON) -> str:
    """The digest of a value's canonical bytes."""
    return digest(encode(value))


def _no_float(text: str) -> JSON:
    raise NotCanonical(f"{text} is not an integer")


def _check(value: JSON, depth: int) -> None:
    if depth < 0:
        raise NotCanonical("nested too deeply")
    if value is None or isinstance(value, bool | str):
        return
    if isinstance(value, int):
        if abs(value) > MAX_INTEGER:
            raise NotCanonical(f"{value} is beyond 2^53 - 1")
    elif isinstance(value, list | tuple):  # msgspec.to_builtins leaves tuples as they are
        for item in value:
            _check(item, depth - 1)
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str) or not key.isascii():
                raise NotCanonical(f"key {key!r} is not an ASCII string")
            _check(item, depth - 1)
    else:
        raise NotCanonical(f"{type(value).__name__} has no canonical form")
