"""Which cases may begin: in the order of the plan, so many at once, after what they wait for.

Pure but for `Crew`, which gives each case a thread and tells what became of it to the one
thread that asks. Whatever ends first, results are handed on in the order of the plan.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from otapgate.testing.plan import Case


@dataclass(frozen=True, slots=True)
class Next:
    """What may begin now, and what never can, because a case before it didn't pass."""

    begin: tuple[Case, ...]
    skip: tuple[tuple[Case, str], ...]
    """Each with the case that it waited for."""


def following(
    cases: Sequence[Case], passed: Mapping[str, bool], running: Sequence[Case], width: int
) -> Next:
    """What comes next when the cases in `passed` have ended and `running` are at work.

    A case that must be alone holds back those after it until it has had its turn, so that
    it gets one.
    """
    begin: list[Case] = []
    skip: list[tuple[Case, str]] = []
    busy = [*running]
    under_way = {case.id for case in running}
    lost = {name for name, well in passed.items() if not well}
    for case in cases:
        if case.id in passed or case.id in under_way:
            continue
        failed = next((name for name in case.after if name in lost), None)
        if failed is not None:
            skip.append((case, failed))
            lost.add(case.id)
            continue
        if any(name not in passed for name in case.after):
            continue
        if len(busy) >= width or any(one.alone for one in busy):
            break
        if case.alone and busy:
            break
        begin.append(case)
        busy.append(case)
    return Next(tuple(begin), tuple(skip))


class Crew:
    """Threads that carry out cases, and a queue of what they say."""

    def __init__(self) -> None:
        self._said: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._threads: dict[str, threading.Thread] = {}

    def begin(self, case: Case, work: Callable[[Case], None]) -> None:
        """Carry out a case; `("ended", case)` comes when it has been."""

        def whole() -> None:
            try:
                work(case)
            finally:
                self._said.put(("ended", case))

        thread = threading.Thread(target=whole, name=f"case {case.id}", daemon=True)
        self._threads[case.id] = thread
        thread.start()

    def hear(self, running: Sequence[Case]) -> tuple[str, Any]:
        """Wait for what a case says next: that it ended, or what it asks."""
        while True:
            try:
                return self._said.get(timeout=1)
            except queue.Empty:
                for case in running:  # Ctrl-C may come between deciding to begin and beginning
                    thread = self._threads.get(case.id)
                    if thread is None or not thread.is_alive():
                        with contextlib.suppress(queue.Empty):
                            return self._said.get(block=False)
                        return "ended", case

    def ask(self, question: Any) -> Any:
        """From a case's thread: have the asking thread answer; waits for it."""
        reply: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._said.put(("asked", (question, reply)))
        return reply.get()
