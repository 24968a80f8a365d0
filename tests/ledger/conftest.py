"""Keys, statements and ledgers for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import settings

from otapgate.ledger import sshsig, statement, wire
from otapgate.ledger.keys import Signer
from otapgate.ledger.statement import Draft, Head, Sealed, Subject
from otapgate.ledger.storage import Ledger

# A slow moment of a shared machine is no defect; nothing here is about speed.
settings.register_profile("ledger", deadline=None)
settings.load_profile("ledger")

ORIGIN = "school.example/ledger"
AT = datetime(2026, 1, 1, 10, 0, 0, tzinfo=UTC)


class MemorySigner:
    """An Ed25519 key in memory that signs as the key files of `keys` do."""

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()
        raw = self._key.public_key().public_bytes_raw()
        self.public = sshsig.from_blob(wire.string(b"ssh-ed25519") + wire.string(raw))

    def sign(self, message: bytes, namespace: str) -> str:
        raw = self._key.sign(sshsig.to_be_signed(namespace, message))
        signature = wire.string(b"ssh-ed25519") + wire.string(raw)
        return sshsig.assemble(self.public, namespace, signature)


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
