"""Personal values as storage keeps them, checked against what was signed. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from otapgate import errors
from otapgate.canonical import JSON
from otapgate.i18n import _
from otapgate.ledger.statement import SealedDetail, open_detail


class DetailRow(NamedTuple):
    """A detail with the statement of its entry; salt and value are None once erased."""

    position: int
    field: str
    commitment: str
    salt: bytes | None
    value: bytes | None
    statement: bytes


def opened(rows: Iterable[DetailRow]) -> dict[int, dict[str, JSON]]:
    """Values by position and field, erased ones left out.

    Raises Integrity where a value isn't the one that the entry commits to.
    """
    found: dict[int, dict[str, JSON]] = {}
    for position, field, commitment, salt, value, statement in rows:
        if salt is None and value is None:
            continue
        kept = SealedDetail(field, commitment, salt or b"", value or b"")
        try:
            found.setdefault(position, {})[field] = open_detail(statement, kept)
        except ValueError as error:
            raise errors.Integrity(
                "detail-altered",
                _("Entry {position}: {problem}").format(position=position, problem=error),
                remedy=_("restore the ledger from a backup, or erase this detail"),
            ) from error
    return found
