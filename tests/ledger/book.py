"""A ledger in the head: acts are folded as entries, without signing or storing them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from otapgate.ledger import predicates as p
from otapgate.ledger.state import State, fold
from otapgate.ledger.statement import VERSION, Head, Statement, Subject

from .conftest import MemorySigner

ORIGIN = "school.example/ledger"
START = datetime(2026, 11, 24, 9, 0, tzinfo=timezone(timedelta(hours=1)))
D = {c: "sha256:" + c * 64 for c in "abcdef0123456789"}
NEW, OLD, PLAN, DATA, FORM, DESCRIBED = (D[c] for c in "abcdef")


class Book:
    """Two role administrators, `anna` and `bram`, and whoever they appoint."""

    def __init__(self, founders: Sequence[str] = ("anna", "bram")) -> None:
        self.state = State()
        self.keys = {name: MemorySigner() for name in ("anna", "bram", "chris", "daan", "eva")}
        self.clock = START
        genesis = p.Genesis(
            ORIGIN,
            tuple(p.Founder(f, (self.line(f),)) for f in founders),
            min(2, len(founders)),
            D["0"],
        )
        assert self.do(founders[0], "genesis", genesis) is None
        if len(founders) > 1:
            assert self.do("bram", "confirmed", p.Confirmed((0,))) is None

    def line(self, name: str) -> str:
        return self.keys[name].public.line

    def do(
        self,
        by: str,
        act: str,
        predicate: p.Predicate | dict[str, Any],
        *,
        about: Sequence[tuple[str, str]] = (("x", D["0"]),),
        at: datetime | None = None,
        version: int = VERSION,
        origin: str = ORIGIN,
        position: int | None = None,
        seen: int | None = None,
    ) -> str | None:
        """Fold one act, a minute after the last; the sentence if it came to nothing. `seen`
        is the size of the log that its signer saw, all of it if not said."""
        self.clock += timedelta(minutes=1)
        plain = predicate if isinstance(predicate, dict) else p.to_predicate(predicate)
        statement = Statement(
            act=act,
            version=version,
            subjects=tuple(Subject(n, d) for n, d in about),
            at=(at or self.clock).isoformat(timespec="seconds"),
            head=Head(origin, self.state.size if seen is None else seen, "00" * 32),
            detail={},
            predicate=plain,
        )
        where = self.state.size if position is None else position
        return fold(self.state, where, statement, self.keys[by].public.fingerprint)

    @property
    def last(self) -> int:
        return self.state.size - 1

    def enrol(self, name: str, *roles: Any) -> None:
        """Enrolled by anna with roles, confirmed by bram."""
        waiting = []
        assert (
            self.do("anna", "person-enrolled", p.PersonEnrolled(name, (self.line(name),))) is None
        )
        waiting.append(self.last)
        for role in roles:
            assert self.do("anna", "role-granted", p.RoleGranted(name, role)) is None
            waiting.append(self.last)
        assert self.do("bram", "confirmed", p.Confirmed(tuple(waiting))) is None

    def build(self, by: str = "chris", digest: str = NEW, name: str = "agenda@2.0") -> str | None:
        app, _at, version = name.partition("@")
        built = p.ReleaseBuilt(app, version, "agenda", "CHG-0001", 1, 1, ("plan",))
        return self.do(by, "release-built", built, about=[(name, digest)])


def school() -> Book:
    """Everybody in place: chris builds, daan administers and owns, eva tests and leads."""
    book = Book()
    book.enrol("chris", "builder")
    book.enrol("daan", "administrator", "environment-owner")
    book.enrol("eva", "tester", "test-lead", "process-owner", "change-manager")
    return book
