"""Attacks on a ledger, each by somebody who can write its file: every one is reported."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from otapgate.errors import Integrity
from otapgate.ledger import merkle, sqlite
from otapgate.ledger import predicates as p
from otapgate.ledger import statement as st
from otapgate.ledger.statement import Entry, Head
from otapgate.ledger.storage import Ledger
from otapgate.ledger.verify import Verification, verify

from .book import D
from .conftest import ORIGIN, MemorySigner

AT = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


class Real:
    """A stored ledger of two role administrators and a builder, six entries long."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.anna, self.bram, self.chris = MemorySigner(), MemorySigner(), MemorySigner()
        with Ledger.create(f"sqlite:///{path}", ORIGIN) as ledger:
            founders = tuple(
                p.Founder(n, (k.public.line,)) for n, k in (("a", self.anna), ("b", self.bram))
            )
            self.add(ledger, self.anna, "genesis", p.Genesis(ORIGIN, founders, 2, D["0"]))
            self.add(ledger, self.bram, "confirmed", p.Confirmed((0,)))
            enrol = p.PersonEnrolled("c", (self.chris.public.line,))
            self.add(ledger, self.anna, "person-enrolled", enrol, name="Chris", notes="tall")
            self.add(ledger, self.anna, "role-granted", p.RoleGranted("c", "builder"))
            self.add(ledger, self.bram, "confirmed", p.Confirmed((2, 3)))
            built = p.ReleaseBuilt("agenda", "1.0", "agenda", None, 1, 1, ())
            self.add(ledger, self.chris, "release-built", built, "agenda@1.0")

    @staticmethod
    def add(
        ledger: Ledger,
        signer: MemorySigner,
        act: str,
        predicate: p.Predicate,
        about: str = "x",
        *,
        namespace: str | None = None,
        **details: Any,
    ) -> int:
        draft = st.Draft(act, (st.Subject(about, D["1"]),), p.to_predicate(predicate), details)
        sealed = st.seal(draft, ledger.head(), AT)
        signature = signer.sign(sealed.statement, namespace or st.namespace(act))
        return ledger.append(sealed, signature)

    def attack(self, *statements: str, **values: Any) -> None:
        """SQL as somebody with write access and the sqlite3 shell would type it, who
        leaves the triggers as they were."""
        with sqlite3.connect(self.path) as raw:
            names = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
            triggers = raw.execute(names).fetchall()
            for name, _sql in triggers:
                raw.execute(f"DROP TRIGGER {name}")
            raw.execute("PRAGMA ignore_check_constraints = ON")
            for sql in statements:
                raw.execute(sql, values)
            for _name, sql in triggers:
                raw.execute(sql)

    def entries(self) -> list[Entry]:
        with Ledger.open(f"sqlite:///{self.path}") as ledger:
            return list(ledger.entries())

    def verify(self, *pins: Head) -> Verification:
        with Ledger.open(f"sqlite:///{self.path}") as ledger:
            return verify(ledger, pins)

    def head(self, size: int | None = None) -> Head:
        with Ledger.open(f"sqlite:///{self.path}") as ledger:
            return ledger.head(size)


@pytest.fixture
def real(tmp_path: Path) -> Real:
    return Real(tmp_path / "ledger.sqlite")


class Forged:
    """A source that says whatever it was given, with a tree that fits it."""

    def __init__(self, entries: Iterable[Entry], origin: str = ORIGIN) -> None:
        self._entries = [
            Entry(n, e.statement, e.signature, st.leaf_hash(e.statement, e.signature))
            for n, e in enumerate(entries)
        ]
        self._origin = origin

    @property
    def origin(self) -> str:
        return self._origin

    def entries(self, start: int = 0, stop: int | None = None) -> Iterator[Entry]:
        yield from self._entries[start:stop]

    def head(self, size: int | None = None) -> Head:
        assert size is not None
        root = merkle.root(entry.leaf for entry in self._entries[:size])
        return Head(self._origin, size, root.hex())

    def nodes(self, size: int) -> Iterator[tuple[int, int, bytes]]:
        tree, found = merkle.CompactRange(), []
        for n, entry in enumerate(self._entries[:size]):
            found += [(level, n >> level, h) for level, h in enumerate(tree.append(entry.leaf), 1)]
        yield from sorted(found)

    def kept_details(self, size: int) -> Iterator[sqlite.DetailRow]:
        """As if all were erased."""
        for entry in self._entries[:size]:
            with contextlib.suppress(ValueError):
                for field, digest in st.parse(entry.statement).detail.items():
                    yield sqlite.DetailRow(entry.position, field, digest, None, None)

    def faults(self) -> list[str]:
        return []


def said(found: Verification) -> str:
    return " | ".join(f"{x.entry}: {x.what}" for x in found.problems)


def test_an_honest_ledger_verifies_with_and_without_a_pin(real: Real):
    found = real.verify()
    assert said(found) == ""
    assert (found.entries, found.signatures) == (6, 6)
    assert real.verify(real.head(3), real.head()).problems == []
    assert D["1"] in found.state.releases


def test_an_edited_entry_is_found(real: Real):
    row = real.entries()[3]
    edited = row.statement.replace(b'"builder"', b'"auditor"')
    real.attack("UPDATE entry SET statement = :new WHERE position = 3", new=edited)
    found = said(real.verify())
    assert "3: its bytes don't match its hash" in found
    assert "3: The signature doesn't match" in found


def test_an_edited_entry_with_its_hashes_made_to_fit_is_found(real: Real):
    entries = real.entries()
    edited = entries[3].statement.replace(b'"builder"', b'"auditor"')
    entries[3] = Entry(3, edited, entries[3].signature, b"")
    assert "signature" in said(verify(Forged(entries)))


@pytest.mark.parametrize(
    "shuffle",
    [
        pytest.param(lambda e: [e[0], e[1], e[3], e[2], *e[4:]], id="reordered"),
        pytest.param(lambda e: [*e[:2], *e[3:]], id="dropped in the middle"),
        pytest.param(lambda e: [*e[:4], e[3], *e[4:]], id="replayed"),
        pytest.param(lambda e: [*e[:1], e[0], *e[1:]], id="two beginnings"),
    ],
)
def test_another_order_is_another_log(real: Real, shuffle: Callable[[Any], list[Entry]]):
    assert verify(Forged(shuffle(real.entries()))).problems


def test_a_missing_row_is_found(real: Real):
    real.attack("DELETE FROM entry WHERE position = 2")
    assert real.verify().problems


def test_a_row_that_jumps_is_found(real: Real):
    forged = Forged(real.entries())
    forged._entries[2] = Entry(9, *[getattr(forged._entries[2], f) for f in
                                    ("statement", "signature", "leaf")])  # fmt: skip
    found = verify(forged)
    assert "entry 2 is missing" in said(found)


def test_a_cut_off_end_is_found_by_a_pin_only(real: Real):
    pin = real.head()
    cut = Forged(real.entries()[:4])
    assert verify(cut).problems == []
    assert "cut short: the pin has 6 entries, this has 4" in said(verify(cut, [pin]))


def test_a_rewritten_history_is_found_by_a_pin(real: Real, tmp_path: Path):
    other = Real(tmp_path / "other.sqlite")
    assert "rewritten" in said(verify(Forged(other.entries()), [real.head()]))


def test_a_pin_of_another_ledger_is_no_pin(real: Real):
    assert "another ledger" in said(real.verify(Head("other.example/x", 1, "00" * 32)))


def test_a_signature_for_one_act_serves_no_other(real: Real):
    entries = real.entries()
    draft = st.Draft("confirmed", (st.Subject("x", D["1"]),), p.to_predicate(p.Confirmed((3,))))
    sealed = st.seal(draft, real.head(), AT)
    for namespace in ("acceptance@otapgate", "git"):
        signature = real.bram.sign(sealed.statement, namespace)
        assert verify(Forged([*entries, Entry(6, sealed.statement, signature, b"")])).problems


def test_an_entry_signed_for_another_ledger_is_found(real: Real):
    found = verify(Forged(real.entries(), "other.example/x"))
    assert "signed for another ledger" in said(found)


def test_a_head_that_never_was_is_found(real: Real):
    draft = st.Draft("confirmed", (st.Subject("x", D["1"]),), p.to_predicate(p.Confirmed((3,))))
    for head in (Head(ORIGIN, 6, "ab" * 32), Head(ORIGIN, 99, "ab" * 32)):
        sealed = st.seal(draft, head, AT)
        signature = real.bram.sign(sealed.statement, st.namespace("confirmed"))
        forged = Forged([*real.entries(), Entry(6, sealed.statement, signature, b"")])
        assert "saw a log that isn't this one" in said(verify(forged))


def test_an_act_without_the_role_for_it_is_found(real: Real):
    with Ledger.open(f"sqlite:///{real.path}") as ledger:
        real.add(ledger, real.chris, "role-granted", p.RoleGranted("c", "board"))
        stranger = MemorySigner()
        real.add(ledger, stranger, "confirmed", p.Confirmed((6,)))
    found = real.verify()
    assert "6: c holds none of the roles" in said(found)
    assert "7: signed by a key that nobody enrolled" in said(found)
    assert found.signatures == 8, "the signatures hold; what they sign has no effect"


@pytest.mark.parametrize(
    "mangle",
    [
        pytest.param(lambda s: s.replace(b'{"_type"', b'{"_type":"x","_type"', 1), id="twice"),
        pytest.param(lambda s: s.replace(b'"threshold":2', b'"threshold":2e0'), id="float"),
        pytest.param(
            lambda s: s.replace(b'"threshold":2', b'"threshold":' + b"9" * 5000), id="huge"
        ),
        pytest.param(lambda s: b"[" * 100_000, id="deep"),
        pytest.param(lambda s: s + b"\n", id="white space"),
        pytest.param(lambda s: b"\xff" + s, id="no text"),
    ],
)
def test_bytes_that_could_be_read_in_two_ways_are_no_statement(
    real: Real, mangle: Callable[[bytes], bytes]
):
    first = real.entries()[0]
    bad = mangle(first.statement)
    signature = real.anna.sign(bad, st.namespace("genesis"))
    found = verify(Forged([Entry(0, bad, signature, b"")]))
    assert found.problems
    assert found.signatures == 0


def test_a_tree_that_was_made_to_lie_is_found(real: Real):
    real.attack("UPDATE node SET hash = :new", new=b"\x00" * 32)
    assert "None:" in said(real.verify())


def test_a_leaf_that_was_made_to_lie_is_found(real: Real):
    real.attack("UPDATE entry SET leaf = :new WHERE position = 5", new=b"\x00" * 32)
    assert "5: its bytes don't match" in said(real.verify())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("DELETE FROM node WHERE level = 2", "None: the stored tree isn't the tree"),
        ("UPDATE node SET hash = zeroblob(32) WHERE level = 1 AND idx = 0", "None: the stored"),
        ("UPDATE node SET hash = 'x' WHERE level = 1 AND idx = 0", "None: the stored"),
        ("INSERT INTO node SELECT 1, 7, hash FROM node WHERE level = 2", "1 nodes where none"),
        ("INSERT INTO node SELECT 70, 0, hash FROM node WHERE level = 2", "1 nodes where none"),
        ("INSERT INTO node SELECT 1, -1, hash FROM node WHERE level = 2", "1 nodes where none"),
        ("INSERT INTO entry SELECT -1, statement, signature, leaf FROM entry WHERE position = 3",
         "None: it holds 1 entries where none can be"),
        ("INSERT INTO entry SELECT 9, statement, signature, leaf FROM entry WHERE position = 3",
         "entry 6 is missing"),
        ("INSERT INTO entry SELECT 1 << 52, statement, signature, leaf FROM entry"
         " WHERE position = 3", "entry 6 is missing"),
        ("INSERT INTO entry SELECT 9223372036854775807, statement, signature, leaf FROM entry"
         " WHERE position = 3", "an entry at position 9223372036854775807"),
        ("UPDATE entry SET position = position - 10", "an entry at position -5"),
        ("UPDATE detail SET value = CAST('\"Mallory\"' AS BLOB) WHERE field = 'name'",
         "2: its detail 'name' isn't what was signed"),
        ("UPDATE detail SET value = 'Mallory' WHERE field = 'name'", "values of the wrong type"),
        ("UPDATE detail SET salt = zeroblob(32) WHERE field = 'name'",
         "2: its detail 'name' isn't what was signed"),
        ("UPDATE detail SET field = 'name-x' WHERE field = 'name'",
         "2: the detail 'name-x' beside it isn't one"),
        ("UPDATE detail SET field = 'name-x' WHERE field = 'name'",
         "2: its detail 'name' is gone"),
        ("UPDATE detail SET field = CASE field WHEN 'name' THEN 'notes' ELSE 'name' END",
         "2: the detail 'name' beside it isn't one"),
        ("UPDATE detail SET position = 3 WHERE field = 'name'", "3: the detail 'name' beside it"),
        ("UPDATE detail SET position = -3 WHERE field = 'name'", "1 details where none can be"),
        ("UPDATE detail SET position = 99 WHERE field = 'name'", "1 details where none can be"),
        ("DELETE FROM detail WHERE field = 'name'",
         "2: its detail 'name' is gone, and wasn't erased"),
        ("INSERT INTO detail SELECT 'sha256:00', 4, 'name', salt, value FROM detail"
         " WHERE field = 'name'", "4: the detail 'name' beside it isn't one"),
    ],
)  # fmt: skip
def test_what_is_beside_the_entries_is_verified_too(real: Real, change: str, told: str):
    real.attack("PRAGMA foreign_keys = OFF", change)
    assert told in said(real.verify())


def test_a_detail_that_was_erased_is_no_problem(real: Real):
    with Ledger.open(f"sqlite:///{real.path}") as ledger:
        for row in list(ledger.kept_details(6)):
            ledger.erase_detail(row.commitment)
    assert real.verify().problems == []


def test_a_detail_that_nobody_could_read_is_found(real: Real):
    """Signed by somebody enrolled, and put in past `append`, which refuses it."""

    class Beside(Forged):
        def kept_details(self, size: int) -> Iterator[sqlite.DetailRow]:
            yield sqlite.DetailRow(0, "name", digest, b"s" * 32, b"[1, 2]")

    digest = st.commitment(b"s" * 32, b"[1, 2]")
    first = st.parse(real.entries()[0].statement)
    genesis = st.seal(
        st.Draft("genesis", first.subjects, first.predicate, {"name": "x"}),
        Head(ORIGIN, 0, merkle.EMPTY_ROOT.hex()),
        AT,
    )
    bad = genesis.statement.replace(genesis.details[0].commitment.encode(), digest.encode())
    signature = real.anna.sign(bad, st.namespace("genesis"))
    assert "0: its detail 'name' can't be read" in said(
        verify(Beside([Entry(0, bad, signature, b"")]))
    )


def test_entries_that_arrive_meanwhile_are_no_problem(real: Real):
    with Ledger.open(f"sqlite:///{real.path}") as ledger:

        class Growing:
            origin, head, nodes = ledger.origin, ledger.head, ledger.nodes
            kept_details, faults = ledger.kept_details, ledger.faults

            def entries(self, start: int = 0, stop: int | None = None) -> Iterator[Entry]:
                yield from ledger.entries(start, stop)
                enrol = p.PersonEnrolled("d", (MemorySigner().public.line,))
                real.add(ledger, real.anna, "person-enrolled", enrol, name="Daan")
                real.add(ledger, real.bram, "confirmed", p.Confirmed((6,)))

        found = verify(Growing())
    assert (said(found), found.entries) == ("", 6)


class Broken(Forged):
    """A source whose storage gives way while it is read."""

    def __init__(self, entries: list[Entry], where: str) -> None:
        super().__init__(entries)
        self.where = where

    def entries(self, start: int = 0, stop: int | None = None) -> Iterator[Entry]:
        yield from super().entries(start, 2 if self.where == "entries" else stop)
        if self.where == "entries":
            raise Integrity("ledger-damaged", "A page of the file can't be read.")

    def head(self, size: int | None = None) -> Head:
        if self.where == "head":
            raise Integrity("ledger-damaged", "The tree can't be read.")
        return super().head(size)


@pytest.mark.parametrize("where", ["entries", "head"])
def test_a_storage_that_gives_way_is_reported_where_it_did(real: Real, where: str):
    found = verify(Broken(real.entries(), where))
    assert "can't be read" in said(found)
