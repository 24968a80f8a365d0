"""Outputs as values: tables, JSON, numbers. Pure.

What isn't what the plan takes it for is `Unreadable`, in words that hold nothing of it.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

_NUMBER = re.compile(r"[-+]?[0-9]{1,40}(\.[0-9]{1,40})?([eE][-+]?[0-9]{1,3})?\Z")
_COMMA = re.compile(r"[-+]?([0-9]{1,40}|[0-9]{1,3}(\.[0-9]{3}){1,12})(,[0-9]{1,40})?\Z")


class Unreadable(Exception):
    """An output that isn't what the plan takes it for: a sentence without its content."""


@dataclass(frozen=True, slots=True)
class Rows:
    """A table: columns by name, each row as long as there are columns."""

    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


def parse_table(text: str, delimiter: str, side: str) -> Rows:
    """A table from text with a line of column names; raises Unreadable."""
    try:
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise Unreadable(f"{side}: not csv: {error}") from error
    lines = [line for line in lines if line]
    if not lines:
        raise Unreadable(f"{side}: no line of column names")
    columns = tuple(lines[0])
    if len(set(columns)) < len(columns):
        raise Unreadable(f"{side}: a column's name stands there twice")
    for line in lines[1:]:
        if len(line) != len(columns):
            raise Unreadable(f"{side}: a row has {len(line)} cells, not {len(columns)}")
    return Rows(columns, [tuple(line) for line in lines[1:]])


def parse_json(text: str, side: str) -> Any:
    """JSON with numbers as Decimal and no key twice; raises Unreadable."""
    try:
        return json.loads(
            text, parse_float=_exact, parse_int=_exact, parse_constant=_exact,
            object_pairs_hook=_once,
        )  # fmt: skip
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"{side}: not JSON that can be compared") from error


def _exact(text: str) -> Decimal:
    found = number(text)
    if found is None:
        raise ValueError("no number that can be compared")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands there twice")
    return found


def number(text: str, *, comma: bool = False) -> Decimal | None:
    """The number that a text is; None for what isn't one, or is longer than any amount."""
    text = text.strip()
    if comma:
        if not _COMMA.match(text):
            return None
        text = text.replace(".", "").replace(",", ".")
    return Decimal(text) if _NUMBER.match(text) else None


def parse_text(data: bytes, side: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable(f"{side}: not UTF-8") from error
