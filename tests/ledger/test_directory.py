"""People, keys and roles: who may sign what, at every position."""

from __future__ import annotations

import pytest

from otapgate.ledger import predicates as p
from otapgate.ledger.state import State, fold
from otapgate.ledger.statement import VERSION, Head, Statement, Subject

from .book import NEW, ORIGIN, START, Book, D, school
from .conftest import MemorySigner


def test_people_and_roles_take_two_role_administrators():
    book = Book()
    people = book.state.directory
    assert (
        book.do("anna", "person-enrolled", p.PersonEnrolled("chris", (book.line("chris"),))) is None
    )
    assert people.person_of(book.keys["chris"].public.fingerprint) is None
    again = book.do("anna", "confirmed", p.Confirmed((book.last,)))
    assert "F12" in str(again)
    assert book.do("bram", "confirmed", p.Confirmed((2,))) is None
    assert people.person_of(book.keys["chris"].public.fingerprint) == "chris"


def test_a_confirmation_that_does_not_fit_changes_nothing():
    book = Book()
    for entries in ((), (1,), (0,), (7, 7)):
        assert book.do("bram", "confirmed", p.Confirmed(entries)) is not None
    book.do("anna", "person-enrolled", p.PersonEnrolled("chris", (book.line("chris"),)))
    enrolled = book.last
    book.do("anna", "role-granted", p.RoleGranted("chris", "builder"))
    granted = book.last
    assert "together" in str(book.do("bram", "confirmed", p.Confirmed((granted,))))
    assert set(book.state.directory.pending) == {enrolled, granted}


def test_one_administrator_alone_works_until_there_are_two_and_then_never_again():
    book = Book(("anna",))
    people = book.state.directory
    assert people.founded
    assert people.threshold == 1
    book.do("anna", "person-enrolled", p.PersonEnrolled("bram", (book.line("bram"),)))
    assert people.person_of(book.keys["bram"].public.fingerprint) == "bram"
    book.do("anna", "role-granted", p.RoleGranted("bram", "role-admin"))
    assert people.threshold == 2
    assert book.do("anna", "role-revoked", p.RoleRevoked("bram", "role-admin")) is None
    assert people.threshold == 2


@pytest.mark.parametrize("wrong", ["self", "stranger", "day"])
def test_a_grant_that_is_not_allowed_is_refused(wrong: str):
    book = school()
    grant = {
        "self": p.RoleGranted("anna", "builder"),
        "stranger": p.RoleGranted("nobody", "builder"),
        "day": p.RoleGranted("chris", "tester", None, "tomorrow"),
    }[wrong]
    assert book.do("anna", "role-granted", grant) is not None


def test_a_key_stands_for_one_person_for_ever():
    book = school()
    taken = p.PersonEnrolled("zoe", (book.line("chris"),))
    assert "F21" in str(book.do("anna", "person-enrolled", taken))
    new = MemorySigner().public.line
    assert book.do("anna", "person-enrolled", p.PersonEnrolled("zoe", (new,))) is None
    claimed = p.PersonEnrolled("yara", (new,))
    assert "F21" in str(book.do("bram", "person-enrolled", claimed)), "claimed, not yet confirmed"
    for keys, word in (
        ((), "without a key"),
        (("no key",), ""),
        ((book.line("chris"),), "already"),
    ):
        found = book.do("anna", "person-enrolled", p.PersonEnrolled("chris", keys))
        assert found is not None
        assert word in found


def test_a_revoked_key_signs_nothing_more_and_does_not_come_back():
    book = school()
    key = book.keys["chris"].public.fingerprint
    assert book.build() is None
    assert book.do("anna", "person-revoked", p.PersonRevoked("chris", key)) is None
    assert "nobody enrolled" in str(book.build(name="agenda@2.1", digest=D["9"]))
    assert NEW in book.state.releases, "what it signed before stays"
    back = p.PersonEnrolled("chris", (book.line("chris"),))
    assert "doesn't come back" in str(book.do("anna", "person-enrolled", back))
    assert book.do("anna", "person-revoked", p.PersonRevoked("chris", key)) is not None
    assert book.do("anna", "person-revoked", p.PersonRevoked("nobody")) is not None
    another = MemorySigner().public.line
    assert book.do("anna", "person-enrolled", p.PersonEnrolled("chris", (another,))) is None
    assert book.do("bram", "confirmed", p.Confirmed((book.last,))) is None
    assert len(book.state.directory.people["chris"].keys) == 2


def test_a_person_who_is_revoked_loses_roles_and_what_waited():
    book = school()
    book.do("anna", "role-granted", p.RoleGranted("eva", "board"))
    assert book.state.directory.pending
    assert book.do("bram", "person-revoked", p.PersonRevoked("eva")) is None
    people = book.state.directory
    assert not people.pending
    assert people.roles("eva", "2026-11-24") == set()
    assert people.holders("tester", "2026-11-24") == ()
    assert book.do("anna", "role-granted", p.RoleGranted("eva", "tester")) is not None


def test_roles_hold_on_their_street_and_until_their_day():
    book = school()
    grant = p.RoleGranted("chris", "supplier", "agenda", "2026-12-01")
    assert book.do("anna", "role-granted", grant) is None
    assert book.do("bram", "confirmed", p.Confirmed((book.last,))) is None
    people, since = book.state.directory, book.last
    assert "supplier" in people.roles("chris", "2026-11-30", "agenda")
    assert "supplier" not in people.roles("chris", "2026-11-30", "roster")
    assert "supplier" not in people.roles("chris", "2026-12-01")
    assert people.held("chris", "supplier", since + 1, "2026-11-30", "agenda")
    assert not people.held("chris", "supplier", since, "2026-11-30", "agenda")
    assert book.do("bram", "role-revoked", p.RoleRevoked("chris", "supplier", "roster")) is not None
    assert book.do("bram", "role-revoked", p.RoleRevoked("chris", "supplier", "agenda")) is None
    assert people.held("chris", "supplier", since + 1, "2026-11-30", "agenda"), "it was held then"
    assert "supplier" not in people.roles("chris", "2026-11-30")


def _genesis(genesis: p.Genesis, signer: MemorySigner, position: int = 0) -> str | None:
    statement = Statement(
        "genesis", VERSION, (Subject("x", D["0"]),), START.isoformat(),
        Head(ORIGIN, 0, "00" * 32), {}, p.to_predicate(genesis),
    )  # fmt: skip
    return fold(State(), position, statement, signer.public.fingerprint)


def test_a_genesis_that_does_not_fit_founds_nothing():
    one, two = MemorySigner(), MemorySigner()
    anna, bram = p.Founder("anna", (one.public.line,)), p.Founder("bram", (two.public.line,))
    good = p.Genesis(ORIGIN, (anna, bram), 2, D["0"])
    assert _genesis(good, one) is None
    assert "first role administrator" in str(_genesis(good, two))
    assert "first entry" in str(_genesis(good, one, 3))
    for bad in (
        p.Genesis("another.example/x", (anna, bram), 2, D["0"]),
        p.Genesis(ORIGIN, (), 1, D["0"]),
        p.Genesis(ORIGIN, (anna, bram), 1, D["0"]),
        p.Genesis(ORIGIN, (anna, p.Founder("anna", (two.public.line,))), 2, D["0"]),
        p.Genesis(ORIGIN, (anna, p.Founder("bram", (one.public.line,))), 2, D["0"]),
    ):
        assert _genesis(bad, one) is not None


def test_a_lone_administrator_appoints_others_without_losing_the_start_for_one():
    book = Book(("anna",))
    keys = (book.line("chris"), MemorySigner().public.line)
    assert book.do("anna", "person-enrolled", p.PersonEnrolled("chris", keys[:1])) is None
    assert book.do("anna", "role-granted", p.RoleGranted("chris", "builder")) is None
    assert book.state.directory.threshold == 1
    assert book.do("anna", "person-enrolled", p.PersonEnrolled("chris", keys)) is None
    assert len(book.state.directory.people["chris"].keys) == 2, "one of them was known"
