"""Looks at every process of the machine, all the time, while something runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def watching(look: Callable[[Path], None], seconds: float) -> Iterator[None]:
    """`look` is given each process's folder in /proc, over and over; what is gone by then is
    passed over. `seconds` between two rounds."""
    ended = threading.Event()

    def rounds() -> None:
        while not ended.is_set():
            for entry in Path("/proc").iterdir():
                if entry.name.isdigit():
                    with suppress(OSError):
                        look(entry)
            time.sleep(seconds)

    thread = threading.Thread(target=rounds, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
