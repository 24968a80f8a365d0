"""Keys, statements and ledgers for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from tests.memory_signer import MemorySigner

from otapgate.ledger import statement
from otapgate.ledger.keys import Signer
from otapgate.ledger.statement import Draft, Head, Sealed, Subject
from otapgate.ledger.storage import Ledger

# A slow moment of a shared machine is no defect; nothing here is about speed.
settings.register_profile("ledger", deadline=None)
settings.load_profile("ledger")

__all__ = ["MemorySigner"]

ORIGIN = "school.example/ledger"
AT = datetime(2026, 1, 1, 10, 0, 0, tzinfo=UTC)


def write(
    ledger: Ledger,
    signer: Signer,
    *,
    head: Head | None = None,
    act: str = "acceptance",
    **details: Any,
) -> tuple[int, Sealed, str]:
    """Append an act signed on `head` (the present one unless given)."""
    draft = Draft(act, (Subject("agenda@1.0.0", "sha256:" + "0" * 64),), {"n": 1}, details)
    sealed = statement.seal(draft, ledger.head() if head is None else head, AT)
    signature = signer.sign(sealed.statement, statement.namespace(act))
    return ledger.append(sealed, signature), sealed, signature


@pytest.fixture(scope="session")
def signer() -> MemorySigner:
    return MemorySigner()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    with Ledger.create(f"sqlite:///{path}", ORIGIN) as made:
        yield made
