"""What entries amount to: an act counts only where signer, subject and history allow it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from otapgate.ledger import predicates as p
from otapgate.ledger.records import Change, Signed
from otapgate.ledger.state import State

from .book import DATA, DESCRIBED, FORM, NEW, OLD, PLAN, START, Book, D, school

COMPLETE = p.Completeness("complete")


def submit(book: Book) -> None:
    form = p.ChangeSubmitted("CHG-0001", "regular", "application", "agenda", FORM)
    assert book.do("chris", "change-submitted", form, about=[("CHG-0001", FORM)]) is None


def decision(
    book: Book, name: str = "dec-1", seen_size: int | None = None, **fields: Any
) -> str | None:
    given: dict[str, Any] = {
        "decision": name, "action": "promote", "outcome": "allowed", "release": NEW,
        "environment": "agenda-T", "stage": "T", "change": "CHG-0001", "actor": "daan",
        "now": book.clock.isoformat(), "landscape": OLD, "policy": book.state.policy,
        "seen": OLD, "size": book.state.size, "root": "00" * 32, "tool": "0", "rules": {},
        "findings": (),
    }  # fmt: skip
    made = p.Decision(**{**given, **fields})
    about = [(book.state.releases[made.release].name, made.release)]
    return book.do("daan", "decision", made, about=about, seen=seen_size)


def start(book: Book, name: str = "prom-1", decided: str = "dec-1", **fields: Any) -> str | None:
    given: dict[str, Any] = {
        "promotion": name, "decision": decided, "release": NEW, "previous": None,
        "environment": "agenda-T", "change": "CHG-0001",
    }  # fmt: skip
    made = p.PromotionStarted(**{**given, **fields})
    return book.do("daan", "promotion-started", made, about=[("agenda@2.0", made.release)])


def finish(book: Book, outcome: Any = "succeeded", name: str = "prom-1") -> str | None:
    made = p.PromotionFinished(name, "agenda-T", NEW, outcome, COMPLETE, {"h": "ok"}, 1, DATA)
    return book.do("daan", "promotion-finished", made, about=[("agenda@2.0", NEW)])


@pytest.fixture
def running() -> Book:
    """The new release runs in T by a promotion."""
    book = school()
    submit(book)
    assert book.build() is None
    assert decision(book) is None
    assert start(book) is None
    assert finish(book) is None
    return book


def test_the_life_of_a_change_is_a_projection():
    book = school()
    submit(book)
    change = book.state.changes["CHG-0001"]
    about = [("CHG-0001", FORM)]
    assert change.status == "submitted"
    classified = p.ChangeClassified("CHG-0001", "low", "low", "P4", D["0"])
    assert book.do("eva", "change-classified", classified, about=about) is None
    assert change.status == "classified"
    vote = p.ChangeAuthorised("CHG-0001", "change-manager", "rejected")
    assert book.do("eva", "change-authorised", vote, about=about) is None
    assert change.status == "rejected"
    vote = p.ChangeAuthorised("CHG-0001", "change-manager", "authorised")
    assert book.do("eva", "change-authorised", vote, about=about) is None
    assert change.status == "authorised"
    assert len(change.authorised) == 1, "the later verdict of one person in one role counts"
    board = p.ChangeAuthorised("CHG-0001", "board", "authorised")
    assert "role board" in str(book.do("eva", "change-authorised", board, about=about))
    for window in (("soon", "later"), ("2026-11-25T10:00", "2026-11-25T11:00")):
        bad = p.ChangeScheduled("CHG-0001", *window)
        assert "window" in str(book.do("eva", "change-scheduled", bad, about=about))
    good = p.ChangeScheduled("CHG-0001", "2026-11-25T10:00+01:00", "2026-11-25T11:00+01:00")
    assert book.do("eva", "change-scheduled", good, about=about) is None
    assert change.status == "scheduled"
    assert book.do("eva", "change-classified", classified, about=about) is None
    assert change.authorised == [], "another class needs another authorisation"
    closed = p.ChangeClosed("CHG-0001", "succeeded")
    assert book.do("eva", "change-closed", closed, about=about) is None
    assert change.status == "succeeded"
    assert "closed" in str(book.do("eva", "change-closed", closed, about=about))
    other = p.ChangeClosed("CHG-0009", "succeeded")
    assert "doesn't exist" in str(book.do("eva", "change-closed", other, about=about))
    again = p.ChangeSubmitted("CHG-0001", "regular", "application", "agenda", FORM)
    assert "already" in str(book.do("chris", "change-submitted", again, about=about))


def test_a_role_counts_only_for_who_holds_it_then():
    book = school()
    policy = p.PolicyApproved(D["7"])
    assert "none of the roles" in str(
        book.do("daan", "policy-approved", policy, about=[("policy", D["7"])])
    )
    assert book.do("eva", "policy-approved", policy, about=[("policy", D["7"])]) is None
    assert book.state.policy == D["7"]


def test_an_auditor_writes_nothing():
    book = Book()
    book.enrol("eva", "auditor", "tester")
    plan = p.PlanRegistered("plan", PLAN, "agenda", (), ())
    assert "F18" in str(book.do("eva", "plan-registered", plan, about=[("plan", PLAN)]))


def test_an_act_must_be_about_its_subject():
    book = school()
    policy = p.PolicyApproved(D["7"])
    wrong = [("policy", D["8"])]
    assert "subject" in str(book.do("eva", "policy-approved", policy, about=wrong))
    assert "subject" in str(book.build(name="agenda@2.0") or book.do(
        "chris", "release-built",
        p.ReleaseBuilt("agenda", "2.0", "agenda", None, 1, 1, ()), about=[("roster@2.0", D["8"])],
    ))  # fmt: skip
    for act, predicate in (
        ("environment-accepted", p.EnvironmentAccepted("agenda-T", DESCRIBED)),
        ("dataset-loaded", p.DatasetLoaded(
            "d", "agenda-T", "anonymised", DATA, PLAN, OLD, 1, 1, 0, 1, START.isoformat())),
    ):  # fmt: skip
        assert "subject" in str(book.do("daan", act, predicate, about=wrong))


def test_the_same_bytes_are_the_same_release():
    book = school()
    assert book.build() is None
    assert book.build() is None
    assert len(book.state.releases[NEW].built) == 2
    assert book.state.releases[NEW].builders == {"chris"}
    assert book.state.releases[NEW].changes == {"CHG-0001"}
    assert "built here before" in str(book.build(name="roster@2.0"))
    assert book.build(digest=D["7"], name="agenda@app@2.0") is None
    other = p.ReleaseBuilt("agenda@app", "2.0", "agenda", "CHG-0001", 1, 1, ("plan",))
    again = book.do("chris", "release-built", other, about=[("agenda@app@2.0", D["7"])])
    assert "built here before" in str(again), "the same name, and another application"
    assert book.build(digest=OLD, name="agenda@1.0") is None
    assert book.state.names() == [
        ("agenda@2.0", NEW), ("agenda@app@2.0", D["7"]), ("agenda@1.0", OLD),
    ]  # fmt: skip


def test_a_plan_is_registered_in_a_role_on_the_street_of_its_application():
    book = school()
    assert book.do("anna", "role-granted", p.RoleGranted("daan", "tester", "roster")) is None
    assert book.do("bram", "confirmed", p.Confirmed((book.last,))) is None

    def register(app: str) -> str | None:
        plan = p.PlanRegistered("plan", PLAN, app, (), ())
        return book.do("daan", "plan-registered", plan, about=[("plan", PLAN)])

    assert register("agenda") is None, "built nowhere yet: a role on any street will do"
    for digest, app, street in ((NEW, "agenda", "agenda"), (OLD, "roster", "roster")):
        built = p.ReleaseBuilt(app, "1", street, None, 1, 1, ("plan",))
        assert book.do("chris", "release-built", built, about=[(f"{app}@1", digest)]) is None
    assert "none of the roles" in str(register("agenda"))
    assert register("roster") is None
    moved = p.ReleaseBuilt("agenda", "2", "roster", None, 1, 1, ("plan",))
    assert book.do("chris", "release-built", moved, about=[("agenda@2", D["7"])]) is None
    assert register("agenda") is None, "the street of its last release"


def test_plans_and_datasets_are_kept_in_order():
    book = school()
    plan = p.PlanRegistered("plan", PLAN, "agenda", (), ())
    assert book.do("eva", "plan-registered", plan, about=[("plan", PLAN)]) is None
    assert book.build() is None
    assert book.do("eva", "plan-registered", plan, about=[("plan", PLAN)]) is None
    assert book.state.plan("plan", "agenda") is book.state.plans["plan"][-1]
    assert book.state.plan("plan", "roster") is None
    loaded = p.DatasetLoaded(
        "d", "agenda-T", "anonymised", DATA, PLAN, OLD, 1, 1, 0, 1, START.isoformat()
    )
    about = [("d", DATA)]
    assert book.do("daan", "dataset-loaded", loaded, about=about) is None
    nowhere = msgspec.structs.replace(loaded, environment=None)
    assert book.do("daan", "dataset-loaded", nowhere, about=about) is None
    assert len(book.state.datasets) == 2
    assert len(book.state.environment("agenda-T").datasets) == 1
    for bad in ("soon", "2026-11-24T10:00:00"):
        wrong = msgspec.structs.replace(loaded, expires=bad)
        assert "no time" in str(book.do("daan", "dataset-loaded", wrong, about=about))


def test_the_newest_probe_of_each_kind_counts():
    book = school()
    about = [("agenda-T", DESCRIBED)]
    apart = p.Probed("probe-1", "agenda-T", DESCRIBED, "isolation", "violated", {"open": 1}, DATA)
    access = msgspec.structs.replace(apart, kind="access", outcome="unknown")
    again = msgspec.structs.replace(apart, probe="probe-2", outcome="proven", counts={})
    for probed in (apart, access, again):
        assert book.do("daan", "probed", probed, about=about) is None
    found = book.state.environment("agenda-T").probes
    assert {kind: probe.act for kind, probe in found.items()} == {
        "isolation": again, "access": access,
    }  # fmt: skip
    assert "subject" in str(book.do("daan", "probed", apart, about=[("agenda-T", DATA)]))
    assert "none of the roles" in str(book.do("chris", "probed", apart, about=about))


def test_an_environment_is_accepted_and_adopted_once(running: Book):
    about = [("agenda-P", DESCRIBED)]
    accepted = p.EnvironmentAccepted("agenda-P", DESCRIBED)
    assert running.do("daan", "environment-accepted", accepted, about=about) is None
    adopted = p.EnvironmentAdopted("agenda-P", NEW, COMPLETE)
    about = [("agenda@2.0", NEW)]
    assert running.do("daan", "environment-adopted", adopted, about=about) is None
    assert running.state.environment("agenda-P").running is not None
    # The same again: looked at once more. Another release comes in by promotion only.
    assert running.do("daan", "environment-adopted", adopted, about=about) is None
    assert len(running.state.environment("agenda-P").history) == 1
    running.build(digest=OLD, name="agenda@1.0")
    other = p.EnvironmentAdopted("agenda-P", OLD, COMPLETE)
    about = [("agenda@1.0", OLD)]
    assert "history" in str(running.do("daan", "environment-adopted", other, about=about))
    unknown = p.EnvironmentAdopted("agenda-A", D["9"], COMPLETE)
    found = running.do("daan", "environment-adopted", unknown, about=[("x", D["9"])])
    assert "never built" in str(found)


def test_a_promotion_needs_the_decision_that_allowed_it():
    book = school()
    submit(book)
    book.build()
    assert "no decision" in str(start(book))
    assert decision(book, outcome="refused") is None
    assert "no decision" in str(start(book))
    assert "somebody else" in str(decision(book, actor="eva"))
    assert decision(book, action="resume") is None
    assert "no decision" in str(start(book)), "it allows to go on, not to begin"
    assert decision(book) is None
    assert "no decision" in str(start(book, environment="agenda-A"))
    assert decision(book) is None
    wrong = book.do(
        "daan", "promotion-started",
        p.PromotionStarted("p", "dec-1", NEW, D["9"], "agenda-T", "CHG-0001"),
        about=[("agenda@2.0", NEW)],
    )  # fmt: skip
    assert "begins with" in str(wrong)
    assert decision(book) is None
    assert start(book) is None
    assert decision(book) is None
    assert "unfinished" in str(start(book))
    assert book.state.promotions == 1


def test_a_promotion_begins_right_after_its_decision():
    book = school()
    submit(book)
    book.build()
    assert decision(book) is None
    book.clock += timedelta(minutes=5)
    assert "no decision" in str(start(book)), "a decision doesn't allow for ever"
    assert decision(book) is None
    no = p.SignOff(NEW, "agenda-P", DESCRIBED, "CHG-0001", "process-owner", "rejected")
    assert book.do("eva", "signoff", no, about=[("agenda@2.0", NEW)]) is None
    assert "came in after it" in str(start(book)), "it knows nothing of the refusal"
    assert decision(book) is None
    assert start(book) is None


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"size": 1}, "another log"),
        ({"root": "11" * 32}, "another log"),
        ({"now": (START - timedelta(days=1)).isoformat()}, "when it was signed"),
        ({"now": "soon"}, "when it was signed"),
        ({"policy": D["9"]}, "something else than what was so then"),
    ],
)
def test_a_decision_is_about_what_its_signer_saw(said: dict[str, Any], why: str):
    book = school()
    submit(book)
    book.build()
    assert why in str(decision(book, **said))
    assert book.state.decisions == 0


def test_an_allowed_decision_made_before_the_last_entry_counts_for_nothing():
    book = school()
    submit(book)
    book.build()
    size = book.state.size
    book.build()
    assert decision(book, outcome="refused", size=size, seen_size=size) is None
    size = book.state.size
    book.build()
    assert "something else" in str(decision(book, size=size, seen_size=size))


def test_what_was_signed_before_can_not_be_put_in_again():
    book = school()
    book.build()
    yes = p.SignOff(NEW, "agenda-P", DESCRIBED, "CHG-0001", "process-owner", "agreed")
    no = msgspec.structs.replace(yes, verdict="rejected")
    about = [("agenda@2.0", NEW)]
    before = book.state.size
    assert book.do("eva", "signoff", yes, about=about) is None
    assert book.do("eva", "signoff", no, about=about) is None
    again = book.do("eva", "signoff", yes, about=about, seen=before)
    assert "was held back" in str(again)
    assert [s.act.verdict for s in book.state.releases[NEW].signoffs] == ["agreed", "rejected"]
    # Nor what came to nothing at the time, once its signer has the role that was missing.
    lacking = p.ChangeClassified("CHG-0001", "low", "low", "P4", D["1"])
    before = book.state.size
    assert "none of the roles" in str(book.do("daan", "change-classified", lacking))
    assert book.do("anna", "role-granted", p.RoleGranted("daan", "change-manager")) is None
    assert book.do("bram", "confirmed", p.Confirmed((book.last,))) is None
    assert "was held back" in str(book.do("daan", "change-classified", lacking, seen=before))


def test_what_a_key_signed_before_it_was_enrolled_counts_for_nothing():
    book = Book()
    enrolled = p.PersonEnrolled("daan", (book.line("daan"),))
    assert book.do("anna", "person-enrolled", enrolled) is None
    before = book.state.size
    assert book.do("bram", "confirmed", p.Confirmed((book.last,))) is None
    form = p.ChangeSubmitted("CHG-0001", "regular", "application", "agenda", FORM)
    about = [("CHG-0001", FORM)]
    assert "was held back" in str(
        book.do("daan", "change-submitted", form, about=about, seen=before)
    )
    assert book.do("daan", "change-submitted", form, about=about) is None


def test_what_came_to_nothing_is_looked_into_and_dismissed():
    book = school()
    assert "none of the roles" in str(book.do("chris", "policy-approved", p.PolicyApproved(D["1"])))
    void = book.last
    assert list(book.state.void) == [void]
    dismissed = p.EntriesDismissed((void,))
    assert "none of the roles" in str(book.do("daan", "entries-dismissed", dismissed))
    other = book.last
    assert "in anybody's way" in str(
        book.do("anna", "entries-dismissed", p.EntriesDismissed((void, 1)))
    )
    assert "in anybody's way" in str(book.do("anna", "entries-dismissed", p.EntriesDismissed(())))
    everything = p.EntriesDismissed(tuple(book.state.void))
    assert book.do("bram", "entries-dismissed", everything) is None
    assert book.state.problems == []
    assert list(book.state.dismissed) == [void, other, other + 1, other + 2]


def test_an_entry_from_the_future_is_mended_by_setting_the_clock_right():
    book = school()
    about = [("agenda@2.0", NEW)]
    built = p.ReleaseBuilt("agenda", "2.0", "agenda", None, 1, 1, ("plan",))
    future = START + timedelta(days=400)
    assert book.do("chris", "release-built", built, about=about, at=future) is None
    assert "set back" in str(book.do("chris", "release-built", built, about=about))
    assert "none of the roles" in str(
        book.do("chris", "clock-corrected", p.ClockCorrected(), at=future)
    )
    assert "needs no correction" in str(
        book.do("anna", "clock-corrected", p.ClockCorrected(), at=future)
    )
    assert book.do("anna", "clock-corrected", p.ClockCorrected()) is None
    assert book.do("chris", "release-built", built, about=about) is None


def test_a_promotion_that_failed_stays_open_until_it_is_ended(running: Book):
    book = running
    book.build(digest=OLD, name="agenda@1.0")
    assert "isn't open" in str(finish(book))
    environment = book.state.environments["agenda-T"]
    assert environment.running is not None
    assert environment.running.release == NEW
    assert environment.promoted
    decision(book, name="dec-2", release=OLD)
    made = p.PromotionStarted("prom-2", "dec-2", OLD, NEW, "agenda-T", "CHG-0001")
    assert book.do("daan", "promotion-started", made, about=[("agenda@1.0", OLD)]) is None
    done = p.PromotionFinished("prom-2", "agenda-T", OLD, "failed", COMPLETE, {}, 1, DATA)
    assert book.do("daan", "promotion-finished", done, about=[("agenda@1.0", OLD)]) is None
    assert environment.unfinished is not None
    done = msgspec.structs.replace(done, outcome="rolled-back")
    assert book.do("daan", "promotion-finished", done, about=[("agenda@1.0", OLD)]) is None
    assert environment.unfinished is None
    assert environment.running.release == NEW


def test_where_going_back_failed_only_the_release_before_can_be_adopted(running: Book):
    book = running
    book.build(digest=OLD, name="agenda@1.0")
    decision(book, name="dec-2", release=OLD)
    made = p.PromotionStarted("prom-2", "dec-2", OLD, NEW, "agenda-T", "CHG-0001")
    book.do("daan", "promotion-started", made, about=[("agenda@1.0", OLD)])
    back = p.EnvironmentAdopted("agenda-T", NEW, COMPLETE)
    about = [("agenda@2.0", NEW)]
    assert "history" in str(book.do("daan", "environment-adopted", back, about=about)), (
        "going back was never tried"
    )
    failed = p.PromotionFinished(
        "prom-2", "agenda-T", OLD, "failed", COMPLETE, {}, 1, DATA, ("web: x is gone",)
    )
    book.do("daan", "promotion-finished", failed, about=[("agenda@1.0", OLD)])
    open_ = book.state.environment("agenda-T").unfinished
    assert open_ is not None
    assert (open_.failed, open_.left) == (True, ("web: x is gone",))
    forward = p.EnvironmentAdopted("agenda-T", OLD, COMPLETE)
    assert "history" in str(
        book.do("daan", "environment-adopted", forward, about=[("agenda@1.0", OLD)])
    ), "a promotion doesn't succeed by being adopted"
    assert book.do("daan", "environment-adopted", back, about=about) is None
    known = book.state.environment("agenda-T")
    assert known.unfinished is None
    assert [r.release for r in known.history] == [NEW]


def test_a_rollback_that_failed_is_settled_on_what_it_went_back_to(running: Book):
    book = running
    book.build(digest=OLD, name="agenda@1.0")
    decision(book, name="dec-2", release=OLD)
    made = p.PromotionStarted("prom-2", "dec-2", OLD, NEW, "agenda-T", "CHG-0001")
    book.do("daan", "promotion-started", made, about=[("agenda@1.0", OLD)])
    done = p.PromotionFinished("prom-2", "agenda-T", OLD, "succeeded", COMPLETE, {}, 1, DATA)
    book.do("daan", "promotion-finished", done, about=[("agenda@1.0", OLD)])
    back = p.RollbackStarted("back-1", "prom-2", "agenda-T", OLD, NEW)
    book.do("daan", "rollback-started", back, about=[("agenda@1.0", OLD)])
    failed = p.RollbackFinished("back-1", "agenda-T", NEW, "failed", ("x",), 1, DATA)
    book.do("daan", "rollback-finished", failed, about=[("agenda@1.0", OLD)])
    adopted = p.EnvironmentAdopted("agenda-T", NEW, COMPLETE)
    about = [("agenda@2.0", NEW)]
    assert book.do("daan", "environment-adopted", adopted, about=about) is None
    known = book.state.environment("agenda-T")
    assert known.unfinished is None
    assert [r.release for r in known.history] == [NEW]


def test_a_name_that_stands_for_two_builds_comes_with_its_digest(running: Book):
    assert running.state.called(NEW) == "agenda@2.0"
    running.build(digest=OLD, name="agenda@2.0")
    assert running.state.called(NEW) == f"agenda@2.0 ({NEW[7:15]})"
    assert running.state.called(OLD) == f"agenda@2.0 ({OLD[7:15]})"


def test_a_promotion_that_touched_nothing_is_no_mark_against_the_release(running: Book):
    book = running
    book.build(digest=OLD, name="agenda@1.0")
    about = [("agenda@1.0", OLD)]
    for touched in (False, True):
        decision(book, name="dec-2", release=OLD)
        made = p.PromotionStarted("prom-2", "dec-2", OLD, NEW, "agenda-T", "CHG-0001")
        assert book.do("daan", "promotion-started", made, about=about) is None
        done = p.PromotionFinished(
            "prom-2", "agenda-T", OLD, "rolled-back", COMPLETE, {}, 1, DATA, (), touched
        )
        assert book.do("daan", "promotion-finished", done, about=about) is None
        assert (OLD in book.state.environment("agenda-T").undone) is touched


def test_only_the_last_promotion_is_undone(running: Book):
    book = running
    about = [("agenda@2.0", NEW)]
    back = p.RollbackStarted("back-1", "prom-1", "agenda-T", NEW, None)
    other = msgspec.structs.replace(back, promotion="prom-0")
    assert "only the last" in str(book.do("daan", "rollback-started", other, about=about))
    nowhere = msgspec.structs.replace(back, environment="agenda-A")
    assert "only the last" in str(book.do("daan", "rollback-started", nowhere, about=about))
    assert book.do("daan", "rollback-started", back, about=about) is None
    assert "unfinished" in str(book.do("daan", "rollback-started", back, about=about))
    done = p.RollbackFinished("back-1", "agenda-T", None, "failed", ("x",), 1, DATA)
    assert book.state.environments["agenda-T"].undone == {}
    assert book.do("daan", "rollback-finished", done, about=about) is None
    assert book.state.environments["agenda-T"].unfinished is not None
    undone = book.state.environments["agenda-T"].undone[NEW]
    assert (undone.position, undone.failed) == (book.state.size - 1, True)
    done = msgspec.structs.replace(done, outcome="restored")
    assert book.do("daan", "rollback-finished", done, about=about) is None
    undone = book.state.environments["agenda-T"].undone[NEW]
    assert (undone.position, undone.failed) == (book.state.size - 1, False)
    assert book.state.environments["agenda-T"].running is None
    assert book.do("daan", "rollback-finished", done, about=about) is not None
    adopted = p.EnvironmentAdopted("agenda-T", NEW, COMPLETE)
    assert "history" in str(book.do("daan", "environment-adopted", adopted, about=about))


def test_with_two_in_a_row_the_one_before_is_where_a_rollback_goes(running: Book):
    book = running
    book.build(digest=OLD, name="agenda@1.0")
    decision(book, name="dec-2", release=OLD)
    made = p.PromotionStarted("prom-2", "dec-2", OLD, NEW, "agenda-T", "CHG-0001")
    book.do("daan", "promotion-started", made, about=[("agenda@1.0", OLD)])
    done = p.PromotionFinished("prom-2", "agenda-T", OLD, "succeeded", COMPLETE, {}, 1, DATA)
    book.do("daan", "promotion-finished", done, about=[("agenda@1.0", OLD)])
    back = p.RollbackStarted("back-1", "prom-2", "agenda-T", OLD, NEW)
    assert book.do("daan", "rollback-started", back, about=[("agenda@1.0", OLD)]) is None


def test_evidence_counts_where_the_release_ran(running: Book):
    book = running
    about = [("agenda@2.0", NEW)]
    run = p.TestRun("run-1", NEW, "agenda-T", DESCRIBED, PLAN, "passed", (), DATA)
    assert book.do("eva", "test-run", run, about=about) is None
    elsewhere = msgspec.structs.replace(run, environment="agenda-A")
    assert "didn't run" in str(book.do("eva", "test-run", elsewhere, about=about))
    accepted = p.Acceptance(NEW, "agenda-T", DESCRIBED, "CHG-0001", {}, {"works": "pass"})
    assert book.do("eva", "acceptance", accepted, about=about) is None
    signoff = p.SignOff(NEW, "agenda-P", DESCRIBED, "CHG-0001", "process-owner", "agreed")
    assert book.do("eva", "signoff", signoff, about=about) is None
    board = msgspec.structs.replace(signoff, role="board")
    assert "role board" in str(book.do("eva", "signoff", board, about=about))
    rehearsal = p.Rehearsal(
        "reh-1", NEW, NEW, "agenda-T", DESCRIBED, "none", "restored", 1, (), DATA
    )
    assert book.do("daan", "rehearsal", rehearsal, about=about) is None
    wrong = msgspec.structs.replace(rehearsal, previous=None)
    assert "went back to" in str(book.do("daan", "rehearsal", wrong, about=about))
    release = book.state.releases[NEW]
    found = (release.runs, release.acceptances, release.signoffs, release.rehearsals)
    assert [len(x) for x in found] == [1, 1, 1, 1]
    unknown = msgspec.structs.replace(run, release=D["9"])
    assert "never built" in str(book.do("eva", "test-run", unknown, about=[("x", D["9"])]))


def test_a_ledger_can_be_said_to_have_moved():
    book = Book()
    assert book.do("anna", "ledger-moved", p.LedgerMoved(D["5"])) is None
    assert book.state.place == D["5"]


def test_what_is_malformed_unknown_or_back_in_time_has_no_effect():
    book = school()
    assert "unknown act" in str(book.do("anna", "coronation", {}))
    assert "version" in str(book.do("anna", "confirmed", p.Confirmed((1,)), version=2))
    assert "malformed" in str(book.do("anna", "policy-approved", {"policy": 1}))
    assert "malformed" in str(book.do("anna", "policy-approved", {"policy": D["7"], "x": 1}))
    early = START - timedelta(days=1)
    moved = p.LedgerMoved(D["5"])
    assert "set back" in str(book.do("anna", "ledger-moved", moved, at=early))
    last = book.state.last_at
    slightly = datetime.fromisoformat(last) - timedelta(seconds=200)
    assert book.do("anna", "ledger-moved", moved, at=slightly) is None
    assert book.state.last_at == last, "small steps back don't add up"
    assert len(book.state.problems) == 5


def test_subjects_name_releases_by_their_own_names(running: Book):
    yes = p.SignOff(NEW, "agenda-P", DESCRIBED, "CHG-0001", "process-owner", "agreed")
    for about in ([("agenda@3.0", NEW)], [("agenda@2.0", NEW), ("agenda@1.0", NEW)]):
        assert "speaks of" in str(running.do("eva", "signoff", yes, about=about))
    assert running.do("eva", "signoff", yes, about=[("agenda@2.0", NEW)]) is None


def test_a_rollback_that_nothing_opened_is_no_end(running: Book):
    done = p.RollbackFinished("back-9", "agenda-A", None, "restored", (), 1, DATA)
    found = running.do("daan", "rollback-finished", done, about=[("agenda@2.0", NEW)])
    assert "isn't open" in str(found)


def test_a_state_survives_its_cache(running: Book):
    again = msgspec.json.decode(msgspec.json.encode(running.state), type=State)
    assert again == running.state


def test_a_change_without_anything_is_submitted():
    form = p.ChangeSubmitted("CHG-1", "regular", "application", None, FORM)
    assert Change(Signed(0, START.isoformat(), "x", form)).status == "submitted"


@pytest.mark.parametrize("now", ["x", "2026-11-24", "9999-12-31T23:59:59-12:00"])
def test_a_decision_at_no_time_allows_nothing(now: str) -> None:
    book = school()
    submit(book)
    assert book.build() is None
    assert "when it was signed" in (decision(book, now=now) or "")
    assert book.state.allowed is None


def test_a_waiver_is_of_a_release_by_somebody_who_did_not_build_it(running: Book):
    about = [("agenda@2.0", NEW)]
    waived = p.Waived(NEW, "OG304", "2026-12-01")
    assert running.do("eva", "waived", waived, about=about) is None
    assert [w.act.rule for w in running.state.releases[NEW].waivers] == ["OG304"]
    assert "none of the roles" in str(running.do("daan", "waived", waived, about=about))
    for until in ("2026-13-01", "20261201", "never"):
        said = running.do("eva", "waived", p.Waived(NEW, "OG304", until), about=about)
        assert "is no day" in str(said)
    assert running.do("anna", "role-granted", p.RoleGranted("chris", "board")) is None
    assert running.do("bram", "confirmed", p.Confirmed((running.last,))) is None
    assert "(F14)" in str(running.do("chris", "waived", waived, about=about))
    assert len(running.state.releases[NEW].waivers) == 1


def test_evidence_is_purged_once_and_only_of_runs_that_were_there(running: Book):
    run = p.TestRun("run-1", NEW, "agenda-T", DESCRIBED, PLAN, "passed", (), D["9"])
    assert running.do("eva", "test-run", run, about=[("agenda@2.0", NEW)]) is None

    def purge(*runs: str, environment: str = "agenda-T") -> str | None:
        purged = p.EvidencePurged(environment, runs, (D["9"],), 9, "retention", 365)
        return running.do("daan", "evidence-purged", purged, about=[("run-1", D["9"])])

    for said in (purge(), purge("run-2"), purge("run-1", environment="agenda-A")):
        assert "still has evidence" in str(said)
    assert purge("run-1") is None
    assert running.state.purged == {"run-1": running.last}
    assert "run-1" in str(purge("run-1"))
