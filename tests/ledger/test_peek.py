"""Looking at a ledger without SQLAlchemy; that the answers are those of `storage` is
tested beside each answer in test_storage."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from otapgate import errors
from otapgate.ledger import peek, statement
from otapgate.ledger.storage import Ledger
from otapgate.ledger.verify import verify

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


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TRIGGER q BEFORE INSERT ON entry BEGIN SELECT RAISE(IGNORE); END",
        "CREATE VIEW shown AS SELECT * FROM entry",
        "DROP TRIGGER entry_kept",
    ],
)
def test_readers_and_writers_refuse_the_same(
    ledger: Ledger, path: Path, signer: MemorySigner, sql: str
) -> None:
    write(ledger, signer)
    assert peek.peek(path).size == 1
    with sqlite3.connect(path) as base:
        base.execute(sql)
    base.close()
    with pytest.raises(errors.Integrity) as reading:
        peek.since(path, 0)
    with pytest.raises(errors.Integrity) as writing:
        write(ledger, signer)
    assert reading.value.code == writing.value.code == "ledger-altered"
    assert reading.value.problems == writing.value.problems
    told = [x.what for x in verify(ledger).problems if x.entry is None]
    assert told == [problem.message for problem in reading.value.problems]


def test_a_page_that_sqlite_finds_damaged_is_told(
    ledger: Ledger, path: Path, signer: MemorySigner
) -> None:
    for _entry in range(3):
        write(ledger, signer, note="x" * 50)
    with sqlite3.connect(path) as base:
        base.execute("PRAGMA writable_schema = ON")
        (root,) = base.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'ix_detail_position'"
        ).fetchone()
        (size,) = base.execute("PRAGMA page_size").fetchone()
        base.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    base.close()
    ledger.close()
    # The index says that details stand elsewhere; no query of otapgate's would notice.
    data = bytearray(path.read_bytes())
    page = slice((root - 1) * size, root * size)
    cells = bytes(data[page])
    data[page] = cells.replace(b"\x03\x01\x01", b"\x03\x01\x02", 1)
    assert bytes(data[page]) != cells
    path.write_bytes(data)
    with Ledger.open(f"sqlite:///{path}") as opened:
        told = [x.what for x in verify(opened).problems]
    assert any("SQLite says that the file is damaged" in what for what in told), told
