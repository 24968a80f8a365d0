"""kill -9 while appending: whatever was reported is there, and the log opens as it is."""

from __future__ import annotations

import multiprocessing
import os
import random
import select
import signal
import time
from pathlib import Path

from otapgate.ledger import merkle, peek, sshsig, statement
from otapgate.ledger.storage import Ledger

from .conftest import ORIGIN, MemorySigner, write

KILLS = int(os.environ.get("OTAPGATE_KILLS", "40"))


def append_until_killed(path: Path, report: int) -> None:
    signer = MemorySigner()
    with Ledger.open(f"sqlite:///{path}") as ledger:
        while True:
            position, _sealed, _signature = write(ledger, signer, notes="x" * 500)
            os.write(report, f"{position}\n".encode())


def killed_after(path: Path, seconds: float, *, first: bool) -> list[int]:
    """Positions that a child reported before it was killed, so long after it started or,
    with `first`, after its first report."""
    reading, writing = os.pipe()
    child = multiprocessing.get_context("fork").Process(
        target=append_until_killed, args=(path, writing), daemon=True
    )
    child.start()
    os.close(writing)
    if first:
        select.select([reading], [], [], 60)
    time.sleep(seconds)
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    with os.fdopen(reading, "rb") as pipe:
        return [int(line) for line in pipe.read().splitlines()]


def test_nothing_that_was_reported_is_lost_to_kill_9(path: Path) -> None:
    Ledger.create(f"sqlite:///{path}", ORIGIN).close()
    moments = random.Random(20260101)
    size, working = 0, 0
    for n in range(KILLS):
        # Most while it appends, some while it opens the ledger.
        reported = killed_after(path, moments.uniform(0, 0.03), first=n % 4 > 0)
        working += bool(reported)
        with Ledger.open(f"sqlite:///{path}") as ledger:
            head = ledger.head()
            leaves = [one.leaf for one in ledger.entries()]
        assert reported == list(range(size, size + len(reported)))
        # At most one was committed and not yet reported when the kill came.
        assert size + len(reported) <= head.size <= size + len(reported) + 1
        assert len(leaves) == head.size
        assert merkle.root(leaves).hex() == head.root
        assert peek.peek(path) == head
        size = head.size
    assert working >= KILLS * 3 // 4, "most kills must come while it appends"
    with Ledger.open(f"sqlite:///{path}") as ledger:
        for one in ledger.entries():
            assert one.leaf == statement.leaf_hash(one.statement, one.signature)
            sshsig.verify(one.signature, one.statement, "acceptance@otapgate")
        assert len(ledger.all_details()) == size
