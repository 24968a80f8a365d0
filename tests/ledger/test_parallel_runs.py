"""Parallel runs in the ledger: what came too early or from the wrong hand has no effect."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from otapgate.ledger import predicates as p

from .book import DESCRIBED, NEW, OLD, PLAN, Book, D, school
from .test_state import COMPLETE, decision, finish, start, submit

ABOUT = [("agenda@2.0", NEW)]
STARTED = p.ParallelStarted(
    "par-1", "agenda", PLAN, NEW, None, "CHG-0001", "agenda-P", "agenda-T",
    DESCRIBED, DESCRIBED, days=0, comparisons=2,
)  # fmt: skip
AGREED = p.ParallelConcluded("par-1", NEW, "agreed")


def compared(different: int = 0, **fields: str) -> p.ParallelCompared:
    made = p.ParallelCompared("par-1", NEW, PLAN, 5, 0, different, D["9"])
    return msgspec.structs.replace(made, **fields)


@pytest.fixture
def book() -> Book:
    """The new release runs in T."""
    book = school()
    submit(book)
    assert book.build() is None
    assert decision(book) is None
    assert start(book) is None
    assert finish(book) is None
    return book


def begin(book: Book, by: str = "daan", **fields: object) -> str | None:
    made = msgspec.structs.replace(STARTED, **fields)
    return book.do(by, "parallel-started", made, about=[("agenda@2.0", made.release)])


def look(book: Book, made: p.ParallelCompared) -> str | None:
    return book.do("eva", "parallel-compared", made, about=ABOUT)


def conclude(book: Book, by: str = "eva", made: p.ParallelConcluded = AGREED) -> str | None:
    return book.do(by, "parallel-concluded", made, about=ABOUT)


def test_a_run_is_begun_compared_and_concluded(book: Book):
    assert begin(book) is None
    known = book.state.parallels["par-1"]
    assert known.waits_for() == "comparison"
    assert "isn't over" in str(conclude(book))
    assert look(book, compared()) is None
    assert known.waits_for() == "comparisons"
    assert "isn't over" in str(conclude(book))
    assert look(book, compared(3)) is None
    assert known.waits_for() is None
    assert "differences that nothing allows" in str(conclude(book))
    assert look(book, compared()) is None
    assert conclude(book) is None
    assert known.concluded is not None
    assert "was concluded" in str(conclude(book))
    assert "was concluded" in str(look(book, compared()))


def test_the_last_comparison_comes_after_the_days_and_not_the_conclusion(book: Book):
    assert begin(book, days=2, comparisons=1) is None
    assert look(book, compared()) is None
    book.clock += timedelta(days=3)
    assert book.state.parallels["par-1"].waits_for() == "days"
    assert "isn't over" in str(conclude(book))
    assert look(book, compared()) is None
    assert conclude(book) is None


def test_a_run_is_rejected_at_any_moment(book: Book):
    assert begin(book) is None
    assert conclude(book, made=msgspec.structs.replace(AGREED, verdict="rejected")) is None


def test_what_is_not_so_begins_nothing(book: Book):
    assert "isn't open" in str(begin(book, change="CHG-0009"))
    assert "at least one" in str(begin(book, comparisons=0))
    assert "agenda-A runs something else" in str(begin(book, new="agenda-A"))
    assert "agenda-P runs something else" in str(begin(book, previous=OLD))
    assert "none of the roles" in str(begin(book, by="chris"))
    assert begin(book) is None
    assert "exists already" in str(begin(book))
    closed = p.ChangeClosed("CHG-0001", "withdrawn")
    assert book.do("eva", "change-closed", closed, about=[("CHG-0001", D["f"])]) is None
    assert "isn't open" in str(begin(book, parallel="par-2"))


def test_of_two_systems_in_one_environment_the_ledger_asks_nothing_more(book: Book):
    assert begin(book, old="agenda-P", new="agenda-P") is None
    assert look(book, compared()) is None


def test_a_comparison_is_of_that_run_that_plan_and_what_ran_then(book: Book):
    assert begin(book) is None
    assert "no parallel run" in str(look(book, compared(parallel="par-9")))
    assert "another plan" in str(look(book, compared(digest=OLD)))
    assert book.build(digest=OLD, name="agenda@1.0") is None
    other = compared(release=OLD)
    told = book.do("eva", "parallel-compared", other, about=[("agenda@1.0", OLD)])
    assert "no parallel run" in str(told)
    adopted = p.EnvironmentAdopted("agenda-P", OLD, COMPLETE)
    told = book.do("daan", "environment-adopted", adopted, about=[("agenda@1.0", OLD)])
    assert told is None
    assert "agenda-P runs something else" in str(look(book, compared()))


def test_who_built_concludes_nothing(book: Book):
    assert begin(book, comparisons=1) is None
    assert look(book, compared()) is None
    granted = p.RoleGranted("chris", "process-owner")
    assert book.do("anna", "role-granted", granted) is None
    assert book.do("bram", "confirmed", p.Confirmed((book.last,))) is None
    assert "who built" in str(conclude(book, by="chris"))
    rejected = msgspec.structs.replace(AGREED, verdict="rejected")
    assert "who built" in str(conclude(book, by="chris", made=rejected))
    assert conclude(book) is None
