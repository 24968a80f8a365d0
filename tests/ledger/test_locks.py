"""Only SQLite opens a ledger's file: closing it elsewhere drops the process's locks.

What follows from a lock that was dropped is that another command removes the write-ahead
log under the feet of this one, and that entries which were acknowledged are gone.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from otapgate.ledger import peek, sqlite
from otapgate.ledger.storage import Ledger
from otapgate.ledger.verify import verify

from .conftest import ORIGIN, MemorySigner, write

COUNT = (
    "import sqlite3, sys;"
    "print(*sqlite3.connect(sys.argv[1]).execute('SELECT count(*) FROM entry').fetchone())"
)
CHILD = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from conftest import MemorySigner, write
from otapgate.ledger.storage import Ledger
with Ledger.open(f"sqlite:///{sys.argv[2]}") as ledger:
    print(write(ledger, MemorySigner())[0])
"""


def counted_elsewhere(path: Path) -> int:
    """How many entries another process sees, which closes the ledger afterwards."""
    done = subprocess.run([sys.executable, "-c", COUNT, path], capture_output=True, check=True)
    return int(done.stdout)


def written_elsewhere(path: Path) -> int:
    command = [sys.executable, "-c", CHILD, str(Path(__file__).parent), str(path)]
    return int(subprocess.run(command, capture_output=True, check=True).stdout)


@pytest.mark.parametrize(
    "look",
    [
        pytest.param(peek.peek, id="peek"),
        pytest.param(lambda path: peek.since(path, 0), id="since"),
        pytest.param(lambda path: peek.details(path, "name-"), id="details"),
        pytest.param(lambda path: Ledger.open(f"sqlite:///{path}").close(), id="open"),
    ],
)
def test_looking_at_a_ledger_that_is_open_loses_nothing(
    path: Path, signer: MemorySigner, look: Callable[[Path], Any]
) -> None:
    Ledger.create(f"sqlite:///{path}", ORIGIN).close()
    with Ledger.open(f"sqlite:///{path}") as ledger:
        write(ledger, signer)
        look(path)
        assert written_elsewhere(path) == 1
        assert counted_elsewhere(path) == 2
        assert path.with_name(path.name + "-wal").exists(), "somebody took itself for the last"
        for n in (2, 3):
            assert write(ledger, signer)[0] == n
            look(path)
            assert counted_elsewhere(path) == n + 1
    assert counted_elsewhere(path) == 4
    with Ledger.open(f"sqlite:///{path}") as ledger:
        assert [one.position for one in ledger.entries()] == [0, 1, 2, 3]


opened: list[Path] | None = None


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and opened is not None and isinstance(arguments[0], str | bytes):
        opened.append(Path(os.fsdecode(arguments[0])))


def test_python_never_opens_the_file(path: Path, signer: MemorySigner) -> None:
    """Every way to a ledger, watched by the interpreter, which sees what Python opens and
    not what libsqlite3 does."""
    global opened  # noqa: PLW0603 - a hook can't be taken off again
    sys.addaudithook(_note)
    opened = []
    try:
        Ledger.create(f"sqlite:///{path}", ORIGIN).close()
        with Ledger.open(f"sqlite:///{path}") as ledger:
            _position, sealed, _signature = write(ledger, signer, name="Sanne")
            ledger.head(0)
            verify(ledger)
            ledger.all_details()
            peek.peek(path)
            peek.since(path, 0)
            peek.details_at(path, 0)
            sqlite.check_file(path)
            ledger.erase_detail(sealed.details[0].commitment)
        found = [one for one in opened if one.name.startswith(path.name)]
    finally:
        opened = None
    assert found == []
