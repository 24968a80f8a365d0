"""Looking at a ledger without SQLAlchemy; that the answers are those of `storage` is
tested beside each answer in test_storage."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from otapgate.ledger import peek, statement
from otapgate.ledger.storage import Ledger

from .conftest import AT, ORIGIN, MemorySigner, write


def test_looking_does_not_import_sqlalchemy_or_cryptography(
    ledger: Ledger, path: Path, signer: MemorySigner
) -> None:
    write(ledger, signer, name="Sanne")
    code = (
        "import sys; from pathlib import Path; from otapgate.ledger import peek;"
        "path = Path(sys.argv[1]); print(peek.peek(path).size, len(peek.since(path, 0)),"
        " peek.details_at(path, 0), peek.details(path, 'n'));"
        "assert not {'sqlalchemy', 'cryptography'} & sys.modules.keys()"
    )
    command = [sys.executable, "-c", code, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "1 1 {'name': 'Sanne'} {0: {'name': 'Sanne'}}\n"


def test_looking_can_not_write(ledger: Ledger, path: Path) -> None:
    with peek._opened(path) as (raw, origin):
        assert origin == ORIGIN
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            raw.execute("INSERT INTO meta VALUES ('a', 'b')")


def test_what_is_not_committed_is_not_seen(
    ledger: Ledger, path: Path, signer: MemorySigner
) -> None:
    write(ledger, signer)
    before = peek.peek(path), peek.since(path, 0)
    seen = []
    sealed = statement.seal(
        statement.Draft("acceptance", (statement.Subject("x", "sha256:" + "0" * 64),), {}),
        ledger.head(),
        AT,
    )
    signature = signer.sign(sealed.statement, "acceptance@otapgate")
    ledger.append(
        sealed, signature, lambda _arrived: seen.append((peek.peek(path), peek.since(path, 0)))
    )
    assert seen == [before]
    assert peek.peek(path) == ledger.head()
    assert [row.position for row in peek.since(path, 0)] == [0, 1]
