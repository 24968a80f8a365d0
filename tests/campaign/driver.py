"""Runs the command line with a point of the crash campaign before and after everything that
it makes durable: records of the journal, entries of the ledger, objects, what is removed.

Used as `python -m tests.campaign.driver ARGUMENTS OF OTAPGATE`. Nothing of this is in the
product: its functions are wrapped here, in the process that is struck.
"""

from __future__ import annotations

import functools
import itertools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from otapgate.acts import memory, runs
from otapgate.cli.app import main
from otapgate.execution import faults, journal
from otapgate.execution.lock import EnvironmentLock
from otapgate.ledger import statement, storage
from otapgate.release import store, unpack

from .strike import VARIABLE, Orders

CALLBACKS = Path(__file__).parent / "callback"


def wrap(
    orders: Orders, owner: Any, attribute: str, name: Callable[..., str | None], *whens: str
) -> None:
    """Let points pass around a function; `name` gets its arguments, and says None where
    there is none."""
    whole = getattr(owner, attribute)

    @functools.wraps(whole)
    def wrapped(*arguments: Any, **more: Any) -> Any:
        what = name(*arguments, **more)
        if what is None:
            return whole(*arguments, **more)
        point = orders.name(what)
        if "before" in whens:
            orders.passes(point, "before", os.getpid())
        found = whole(*arguments, **more)
        if "after" in whens:
            orders.passes(point, "after", os.getpid())
        return found

    setattr(owner, attribute, wrapped)


def journalling(orders: Orders) -> None:
    """A record of the journal, and one of which half is written."""
    whole = journal.Journal.append
    here = {"point": ""}

    @functools.wraps(whole)
    def append(self: journal.Journal, step: str, event: str, **data: Any) -> None:
        here["point"] = orders.name(f"journal:{step} {event}")
        orders.passes(here["point"], "before", os.getpid())
        whole(self, step, event, **data)
        orders.passes(here["point"], "after", os.getpid())

    def write(descriptor: int, data: bytes) -> int:
        if orders.wants(here["point"], "half"):
            os.write(descriptor, data[: len(data) // 2])
        orders.passes(here["point"], "half", os.getpid())
        return os.write(descriptor, data)

    journal.Journal.append = append  # type: ignore[method-assign]
    journal.os = SimpleNamespace(**{**vars(os), "write": write})  # type: ignore[attr-defined]


def committing(orders: Orders) -> None:
    """An entry that is in the database's transaction, and not committed."""
    whole = storage.Ledger._read_back

    @functools.wraps(whole)
    def read_back(self: storage.Ledger, connection: Any, row: Any, *more: Any) -> None:
        whole(self, connection, row, *more)
        act = statement.parse(row[1]).act
        orders.passes(orders.name(f"commit:{act}"), "before", os.getpid())

    storage.Ledger._read_back = read_back  # type: ignore[method-assign]


def tasks() -> None:
    """The points that Ansible passes by itself."""
    whole, numbers = faults.variables, itertools.count(1)

    def variables(fault: faults.Fault | None, scratch: Path) -> dict[str, str]:
        return {
            **whole(fault, scratch),
            "ANSIBLE_CALLBACKS_ENABLED": "campaign_point",
            VARIABLE: os.environ.get(VARIABLE, "{}"),
            "CAMPAIGN_RUN": f"{next(numbers)}-{scratch.name.rpartition('-')[0]}",
        }

    faults.variables = variables
    faults.CALLBACKS = f"{faults.CALLBACKS}:{CALLBACKS}"  # type: ignore[assignment]


def removed(tree: Path) -> str | None:
    """What is removed: an unpacked release or a run's folder, by its kind."""
    return None if tree.name.endswith(".partial") else f"remove:{tree.name.partition('-')[0]}"


def points(orders: Orders) -> None:
    """Every point."""
    both = ("before", "after")
    journalling(orders)
    committing(orders)
    tasks()
    wrap(orders, EnvironmentLock, "__enter__", lambda _lock: "lock:taken", "after")
    wrap(orders, EnvironmentLock, "__exit__", lambda *_: "lock:released", "before")
    wrap(orders, unpack, "unpack", lambda _manifest, _store, tree: f"unpack:{tree.name}", *both)
    wrap(orders, unpack, "remove", removed, *both)
    wrap(orders, journal.Journal, "keep", lambda _self, name, _value: f"keep:{name}", *both)
    wrap(orders, store.Store, "put", lambda _self, _data: "store:put", *both)
    wrap(orders, storage.Ledger, "append",
         lambda _self, sealed, *_more: f"ledger:{statement.parse(sealed.statement).act}",
         *both)  # fmt: skip
    wrap(orders, memory, "keep", lambda *_: "memory:keep", *both)
    wrap(orders, runs, "prune", lambda *_: "prune:runs", "before")


if __name__ == "__main__":
    points(Orders.given())
    sys.exit(main(sys.argv[1:]))
