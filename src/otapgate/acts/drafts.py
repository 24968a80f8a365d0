"""Acts ready to be recorded, and the ids that they give to things."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import Any

from otapgate.ledger import predicates as p
from otapgate.ledger.statement import Draft, Subject


def draft(
    act: str,
    predicate: p.Predicate,
    subjects: Iterable[tuple[str, str]],
    **details: Any,
) -> Draft:
    """An act ready to be recorded; `subjects` are names with digests; `details` whose
    value is None or empty are left out."""
    found = tuple(Subject(name, digest) for name, digest in subjects)
    kept = {k.replace("__", "/"): v for k, v in details.items() if v not in (None, "", {}, [])}
    return Draft(act, found, p.to_predicate(predicate), kept)


def new_id(prefix: str) -> str:
    """A short identifier that nothing else has: `run-3f9a1c0b2d4e`."""
    return f"{prefix}-{secrets.token_hex(6)}"
