"""Each rule finds its gap, and nothing else does: from a promotion that has earned it all."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from otapgate.gate.finding import Seen
from otapgate.landscape import model as m
from otapgate.ledger import predicates as p
from otapgate.ledger import state as s

from .earning import (
    CHANGE,
    NEW,
    NOW,
    OLD,
    PLAN,
    ago,
    ask,
    codes,
    environment,
    landscape,
    signed,
    state,
    warnings,
)

Spoil = Callable[[s.State], None]


def release(known: s.State) -> s.Release:
    return known.releases[NEW]


def replaced(acts: list[Any], index: int = -1, **fields: Any) -> None:
    """The act changed in some of its fields."""
    acts[index].act = msgspec.structs.replace(acts[index].act, **fields)


def test_everything_earned_is_allowed():
    decision = ask(state())
    assert decision.outcome == "allowed", [f.sentence() for f in decision.blocking]
    assert decision.findings == ()


def spoil(name: str) -> Callable[[Spoil], Any]:
    return lambda function: pytest.param(function, id=name)


def _classified(known: s.State) -> None:
    known.changes[CHANGE].classified = None


def _no_change(known: s.State) -> None:
    known.changes.clear()


def _emergency(known: s.State) -> None:
    change = known.changes[CHANGE].submitted
    change.act = msgspec.structs.replace(change.act, kind="emergency")


def _other_matrix(known: s.State) -> None:
    found = known.changes[CHANGE].classified
    assert found is not None
    found.act = msgspec.structs.replace(found.act, priority="P4")


def _rejected(known: s.State) -> None:
    replaced(known.changes[CHANGE].authorised, verdict="rejected")


def _unauthorised(known: s.State) -> None:
    known.changes[CHANGE].authorised.pop()


def _sensitive(known: s.State) -> None:
    change = known.changes[CHANGE].submitted
    change.act = msgspec.structs.replace(change.act, privacy=True)


def _unscheduled(known: s.State) -> None:
    known.changes[CHANGE].scheduled = None


def _other_window(known: s.State) -> None:
    found = known.changes[CHANGE].scheduled
    assert found is not None
    found.act = p.ChangeScheduled(CHANGE, ago(hours=3), ago(hours=2))


def _closed(known: s.State) -> None:
    known.changes[CHANGE].closed = signed(69, "manager", p.ChangeClosed(CHANGE, "withdrawn"))


def _other_change(known: s.State) -> None:
    replaced(release(known).built, change="CHG-0002")


def _other_street(known: s.State) -> None:
    replaced(release(known).built, street="roster")


def _unaccepted(known: s.State) -> None:
    known.environments["agenda-A"].accepted = None


def _changed_environment(known: s.State) -> None:
    found = known.environments["agenda-A"].accepted
    assert found is not None
    found.act = p.EnvironmentAccepted("agenda-A", OLD)


def _other_owner(known: s.State) -> None:
    found = known.environments["agenda-T"].accepted
    assert found is not None
    found.by = "lead"


def _no_data(known: s.State) -> None:
    known.environments["agenda-T"].datasets.clear()


def _pseudonymised(known: s.State) -> None:
    replaced(known.environments["agenda-T"].datasets, label="pseudonymised")


def _leaked(known: s.State) -> None:
    replaced(known.environments["agenda-A"].datasets, leaks=2)


def _expired(known: s.State) -> None:
    replaced(known.environments["agenda-A"].datasets, expires=ago(days=1))


def _old_data(known: s.State) -> None:
    known.environments["agenda-A"].datasets[-1].at = ago(days=91)


def _no_plans(known: s.State) -> None:
    replaced(release(known).built, plans=())
    replaced(release(known).acceptances, plans={})


def _unregistered(known: s.State) -> None:
    known.plans.clear()


def _untested(known: s.State) -> None:
    release(known).runs.clear()


def _plan_changed(known: s.State) -> None:
    again = msgspec.structs.replace(known.plans["plan"][-1].act, digest=OLD)
    known.plans["plan"].append(signed(66, "lead", again))


def _registered_later(known: s.State) -> None:
    known.plans["plan"][-1].position = 67


def _tested_elsewhere(known: s.State) -> None:
    replaced(release(known).runs, description=OLD)


def _failed(known: s.State) -> None:
    run = release(known).runs[-1].act
    bad = msgspec.structs.replace(run.cases[0], outcome="failed")
    replaced(release(known).runs, cases=(bad, *run.cases[1:]), outcome="failed")


def _skipped(known: s.State) -> None:
    replaced(release(known).runs, cases=release(known).runs[-1].act.cases[:1])


def _uncovered(known: s.State) -> None:
    plan = known.plans["plan"][-1]
    plan.act = msgspec.structs.replace(plan.act, criteria=plan.act.criteria[:1])


def _old_tests(known: s.State) -> None:
    release(known).runs[-1].at = ago(days=31)


def _unrehearsed(known: s.State) -> None:
    release(known).rehearsals.clear()


def _not_restored(known: s.State) -> None:
    case = p.RehearsalCase("none", "", 0, False, ("h: a file is left",))
    replaced(release(known).rehearsals, outcome="not-restored", cases=(case,))


def _rehearsed_from_another(known: s.State) -> None:
    replaced(release(known).rehearsals, previous=None)


def _old_rehearsal(known: s.State) -> None:
    release(known).rehearsals[-1].at = ago(days=31)


def _rehearsed_elsewhere(known: s.State) -> None:
    replaced(release(known).rehearsals, description=OLD)


def _slow(known: s.State) -> None:
    replaced(release(known).rehearsals, milliseconds_rollback=301_000)


def _not_accepted(known: s.State) -> None:
    release(known).acceptances.clear()


def _other_plan_accepted(known: s.State) -> None:
    replaced(release(known).acceptances, plans={"plan": OLD})


def _criterion_missing(known: s.State) -> None:
    replaced(release(known).acceptances, criteria={"works": "pass"})


def _criterion_failed(known: s.State) -> None:
    replaced(release(known).acceptances, criteria={"works": "pass", "safe": "fail"})


def _old_acceptance(known: s.State) -> None:
    release(known).acceptances[-1].at = ago(days=31)


def _accepted_before_change(known: s.State) -> None:
    replaced(release(known).acceptances, description=OLD)


def _accepted_in_test(known: s.State) -> None:
    test = environment("T")
    replaced(release(known).acceptances, environment=test.name, description=test.digest)


def _unsigned(known: s.State) -> None:
    release(known).signoffs.clear()


def _refused(known: s.State) -> None:
    replaced(release(known).signoffs, verdict="rejected")


def _signed_before_change(known: s.State) -> None:
    replaced(release(known).signoffs, description=OLD)


def _builder_accepts(known: s.State) -> None:
    release(known).acceptances[-1].by = "builder"


def _builder_signs(known: s.State) -> None:
    known.directory.seats.append(
        s.directory.Seat("builder", "process-owner", None, None, 0, "genesis")
    )
    release(known).signoffs[-1].by = "builder"


def _submitter_authorises(known: s.State) -> None:
    known.changes[CHANGE].submitted.by = "manager"


def _builder_tests(known: s.State) -> None:
    release(known).runs[-1].by = "builder"


def _owner_built(known: s.State) -> None:
    release(known).built[-1].by = "owner"


def _not_in_acceptance(known: s.State) -> None:
    known.environments["agenda-A"].history[-1].release = OLD


def _nothing_in_acceptance(known: s.State) -> None:
    known.environments["agenda-A"].history.clear()


def _incomparable(known: s.State) -> None:
    running = known.environments["agenda-A"].history
    running[-1] = msgspec.structs.replace(running[-1], completeness=p.Completeness("unknown"))


def _incomplete(known: s.State) -> None:
    found = p.Completeness("incomplete", extra=("h: /srv/extra",))
    known.environments["agenda-A"].history[-1].completeness = found


def _bad_entry(known: s.State) -> None:
    known.void[7] = "signed by nobody"


def _other_policy(known: s.State) -> None:
    known.policy = OLD


def _clock(known: s.State) -> None:
    known.last_at = (NOW + timedelta(hours=1)).isoformat()


def _owner_gone(known: s.State) -> None:
    seat = next(x for x in known.directory.seats if x.role == "environment-owner")
    seat.revoked = 69


def _owner_lapsed(known: s.State) -> None:
    seat = next(x for x in known.directory.seats if x.role == "environment-owner")
    seat.until = "2026-11-24"
    for found in known.environments.values():
        assert found.accepted is not None
        found.accepted.at = ago(days=2)


def _accepted_too_early(known: s.State) -> None:
    seat = next(x for x in known.directory.seats if x.role == "environment-owner")
    seat.since = 12


def _loaded_by_a_stranger(known: s.State) -> None:
    known.environments["agenda-T"].datasets[-1].by = "tester"


def _accepted_before_tests(known: s.State) -> None:
    release(known).runs[-1].position = 64


def _failed_after_acceptance(known: s.State) -> None:
    run = release(known).runs[-1]
    bad = msgspec.structs.replace(run.act.cases[0], outcome="failed")
    failed = msgspec.structs.replace(run.act, cases=(bad, *run.act.cases[1:]), outcome="failed")
    release(known).runs += [signed(64, "tester", failed), signed(65, "tester", run.act)]


def _signed_before_acceptance(known: s.State) -> None:
    release(known).signoffs[-1].position = 55


def _signed_before_plan(known: s.State) -> None:
    release(known).signoffs[-1].position = 39
    release(known).acceptances[-1].position = 38
    release(known).runs[-1].position = 37


def _old_sign_off(known: s.State) -> None:
    release(known).signoffs[-1].at = ago(days=31)


def _signed_without_role(known: s.State) -> None:
    seat = next(x for x in known.directory.seats if x.role == "process-owner")
    seat.since = 62  # they got the role later
    known.changes[CHANGE].authorised[-1].position = 63


def _refused_by_one_of_two(known: s.State) -> None:
    known.directory.seats.append(
        s.directory.Seat("submitter", "process-owner", None, None, 0, "genesis")
    )
    no = msgspec.structs.replace(release(known).signoffs[-1].act, verdict="rejected")
    release(known).signoffs.insert(0, signed(60, "submitter", no))


def _no_case_about_it(known: s.State) -> None:
    run = release(known).runs[-1].act
    twice = msgspec.structs.replace(run.cases[1], criterion="works")
    replaced(release(known).runs, cases=(run.cases[0], twice))


def _no_cases(known: s.State) -> None:
    plan = known.plans["plan"][-1]
    plan.act = msgspec.structs.replace(plan.act, cases=())
    replaced(release(known).runs, cases=())


def _one_case_twice(known: s.State) -> None:
    run = release(known).runs[-1].act
    bad = msgspec.structs.replace(run.cases[0], outcome="failed")
    replaced(release(known).runs, cases=(bad, *run.cases))


def _nothing_rehearsed(known: s.State) -> None:
    replaced(release(known).rehearsals, cases=())


def _supplier(known: s.State) -> None:
    for person in ("builder", "lead"):
        known.directory.seats.append(s.directory.Seat(person, "supplier", None, None, 0, "genesis"))


SPOILT: list[tuple[Spoil, list[str], str]] = [
    (_no_change, ["OG101"], "No change CHG-0001 was submitted."),
    (_emergency, ["OG102"], "emergency change"),
    (_classified, ["OG103"], "no impact and urgency"),
    (_other_matrix, ["OG103"], "by the policy now in force it is P3"),
    (_rejected, ["OG104"], "rejected by the process-owner"),
    (_unauthorised, ["OG104"], "process-owner: 0 of 1"),
    (_sensitive, ["OG104"], "ibp-officer: 0 of 1"),
    (_unscheduled, ["OG105"], "no window"),
    (_other_window, ["OG105"], "not within the window"),
    (_closed, ["OG106"], "withdrawn"),
    (_other_change, ["OG107"], "was not built for CHG-0001"),
    (_other_street, ["OG107"], "belongs to the street roster"),
    (_unaccepted, ["OG202"], "has not accepted agenda-A"),
    (_changed_environment, ["OG202"], "changed after its owner accepted it"),
    (_other_owner, ["OG202"], "somebody who isn't its owner now"),
    (_no_data, ["OG203"], "agenda-T has no record"),
    (_pseudonymised, ["OG203"], "is pseudonymised"),
    (_leaked, ["OG203"], "with 2 leaks"),
    (_expired, ["OG204"], "has expired"),
    (_old_data, ["OG204"], "has expired"),
    (_no_plans, ["OG301"], "names no test plan"),
    (_unregistered, ["OG301"], "plan is not registered"),
    (_untested, ["OG302"], "was not run on this release"),
    (_plan_changed, ["OG302", "OG502", "OG511"], "was changed after it was run"),
    (_registered_later, ["OG302", "OG511"], "registered only after it was run"),
    (_tested_elsewhere, ["OG302"], "environment was changed after"),
    (_failed, ["OG303"], "works-case"),
    (_skipped, ["OG303", "OG304"], "safe-case"),
    (_uncovered, ["OG304"], "security"),
    (_old_tests, ["OG305"], "longer ago than 30 days"),
    (_unrehearsed, ["OG401"], "never rehearsed"),
    (_not_restored, ["OG402"], "a file is left"),
    (_rehearsed_from_another, ["OG403"], "production runs agenda@1.0"),
    (_old_rehearsal, ["OG404"], "longer ago than 30 days"),
    (_rehearsed_elsewhere, ["OG404"], "changed after the rehearsal"),
    (_slow, ["OG405"], "took 301 seconds"),
    (_not_accepted, ["OG501"], "has not been accepted"),
    (_other_plan_accepted, ["OG502"], "changed after the acceptance"),
    (_criterion_missing, ["OG502"], "no outcome for: safe"),
    (_criterion_failed, ["OG503"], "not met: safe"),
    (_old_acceptance, ["OG504"], "longer ago than 30 days"),
    (_accepted_before_change, ["OG504"], "changed after the release was accepted"),
    (_accepted_in_test, ["OG504"], "accepted in agenda-T, not in agenda-A"),
    (_unsigned, ["OG511"], "process-owner has not signed off"),
    (_refused, ["OG511"], "refused to sign off"),
    (_signed_before_change, ["OG511"], "changed after the process-owner signed"),
    (_builder_accepts, ["OG601"], "(F01)"),
    (_builder_signs, ["OG511", "OG602"], "(F02)"),
    (_submitter_authorises, ["OG104", "OG603"], "(F03)"),
    (_builder_tests, ["OG605"], "(F05)"),
    (_owner_built, ["OG615"], "(F15)"),
    (_not_in_acceptance, ["OG701"], "doesn't run this release but: agenda@1.0"),
    (_nothing_in_acceptance, ["OG701"], "Nothing runs in agenda-A yet"),
    (_incomplete, ["OG702"], "/srv/extra"),
    (_incomparable, ["OG702"], "declares no installs"),
    (_bad_entry, ["OG901"], "signed by nobody"),
    (_other_policy, ["OG902"], "The policy, the calendar"),
    (_clock, ["OG906"], "last entry is of"),
    (_owner_gone, ["OG201"], "doesn't hold the role of environment owner"),
    (_owner_lapsed, ["OG201"], "doesn't hold the role of environment owner"),
    (_accepted_too_early, ["OG202"], "before they held that role"),
    (_loaded_by_a_stranger, ["OG203"], "without a role here"),
    (_accepted_before_tests, ["OG504"], "accepted before the test plan plan was run"),
    (_failed_after_acceptance, ["OG504"], "failed after the release was accepted"),
    (_signed_before_acceptance, ["OG511"], "before it was accepted"),
    (_signed_before_plan, ["OG302", "OG511"], "registered anew after the process-owner"),
    (_old_sign_off, ["OG511"], "longer ago than 30 days"),
    (_signed_without_role, ["OG511"], "process-owner has not signed off"),
    (_refused_by_one_of_two, ["OG511"], "refused to sign off"),
    (_no_case_about_it, ["OG304"], "security"),
    (_no_cases, ["OG303", "OG304"], "run-1"),
    (_one_case_twice, ["OG303"], "works-case"),
    (_nothing_rehearsed, ["OG402"], "did not restore the state: ?"),
    (_supplier, ["OG619"], "(F19)"),
]


@pytest.mark.parametrize(
    ("take_away", "expected", "words"), SPOILT, ids=[f.__name__[1:] for f, *_ in SPOILT]
)
def test_what_is_taken_away_is_what_is_found(take_away: Spoil, expected: list[str], words: str):
    known = state()
    take_away(known)
    decision = ask(known)
    assert decision.outcome == "refused"
    assert codes(decision) == expected
    sentences = " ".join(f.sentence() for f in decision.blocking)
    assert words in sentences
    assert "{" not in sentences, "every parameter was filled in"
    assert all(f.gap.remedy is not None for f in decision.blocking), "refusals teach"
    assert all(f.norms for f in decision.blocking)


@pytest.mark.parametrize(
    ("actor", "expected"), [("builder", ["OG604"]), ("lead", ["OG606"]), ("", [])]
)
def test_who_built_or_accepted_does_not_promote(actor: str, expected: list[str]):
    assert codes(ask(state(), actor=actor)) == expected


def test_an_owner_who_is_not_enrolled_is_no_owner():
    where = landscape()
    street = where.streets[0]
    nobody = tuple(msgspec.structs.replace(e, owner="") for e in street.environments)
    where = landscape(streets=(msgspec.structs.replace(street, environments=nobody),))
    assert codes(ask(state(), where)) == ["OG201"]


def test_an_environment_without_personal_data_needs_no_dataset():
    where = landscape()
    street = where.streets[0]
    empty = tuple(
        msgspec.structs.replace(e, data=m.DataRule("none")) if e.stage != "P" else e
        for e in street.environments
    )
    where = landscape(streets=(msgspec.structs.replace(street, environments=empty),))
    known = state()
    _no_data(known)
    assert codes(ask(known, where)) == []


def test_what_changed_of_the_approved_policy_is_named_where_it_can_be():
    known = state()
    _other_policy(known)
    decision = ask(known, seen=Seen(policy_changes=("calendar.yml", "roster (stages)")))
    assert codes(decision) == ["OG902"]
    assert "since: calendar.yml, roster (stages)." in decision.blocking[0].sentence()


def test_a_freeze_stops_everything_on_its_streets_only():
    here = m.Freeze("exams", ago(hours=1), ago(hours=-1))
    decision = ask(state(), landscape(freezes=(here,)))
    assert codes(decision) == ["OG801"]
    assert "exams" in decision.blocking[0].sentence()
    elsewhere = m.Freeze("exams", ago(hours=1), ago(hours=-1), ("roster",))
    over = m.Freeze("exams", ago(hours=2), ago(hours=1))
    assert codes(ask(state(), landscape(freezes=(elsewhere, over)))) == []


def test_an_acceptance_of_other_bytes_has_lapsed_and_the_files_are_named():
    known = state()
    earlier = s.Release(
        "agenda@2.0",
        OLD,
        release(known).built,
        acceptances=release(known).acceptances,
        signoffs=release(known).signoffs,
    )
    other = s.Release("roster@1.0", PLAN, [signed(3, "builder", p.ReleaseBuilt(
        "roster", "1.0", "roster", None, 1, 1, ()))])  # fmt: skip
    known.releases[OLD] = earlier
    known.releases[PLAN] = other
    release(known).acceptances = []
    release(known).signoffs = []
    seen = Seen(differences={OLD: ("artifacts/page.html",)})
    decision = ask(known, seen=seen)
    assert codes(decision) == ["OG501", "OG511"]
    for finding in decision.blocking:
        assert "lapsed" in finding.sentence()
        assert "artifacts/page.html" in finding.sentence()


def test_a_release_that_others_were_not_accepted_for_says_so_plainly():
    known = state()
    release(known).acceptances = []
    known.releases[OLD].acceptances = [
        signed(7, "lead", p.Acceptance(OLD, "agenda-A", OLD, "CHG-0000", {}, {}))
    ]
    assert "has not been accepted" in ask(known).blocking[0].sentence()


def test_what_is_only_worth_knowing_does_not_refuse():
    known = state()
    seen = Seen(drift=("playbooks/deploy.yml",), plan_files={"plan": OLD})
    decision = ask(known, seen=seen)
    assert decision.outcome == "allowed"
    assert warnings(decision) == ["OG306", "OG703"]


def there_already(where: str = "agenda-P") -> s.State:
    """A ledger in which the environment runs the release that is asked for."""
    known = state()
    known.environments[where].history[-1].release = NEW
    return known


@pytest.mark.parametrize("where", ["agenda-T", "agenda-A", "agenda-P"])
def test_what_runs_there_already_is_refused_and_nothing_else_is_asked(where: str):
    decision = ask(there_already(where), to=where)
    assert codes(decision) == ["OG704"], "no rehearsal from itself to itself"
    assert "runs agenda@2.0 already" in decision.blocking[0].sentence()
    assert decision.blocking[0].gap.remedy is not None


@pytest.mark.parametrize("where", ["agenda-T", "agenda-P"])
def test_what_runs_there_but_not_wholly_may_be_deployed_again(where: str):
    known = there_already(where)
    known.environments[where].history[-1].completeness = p.Completeness("incomplete")
    assert ask(known, to=where).outcome == "allowed"


def test_what_was_taken_in_between_two_stages_may_still_pass_the_gate():
    known = there_already("agenda-A")
    known.environments["agenda-A"].history[-1].by_act = "adopted"
    assert ask(known, to="agenda-A").outcome == "allowed"
    known = there_already("agenda-P")
    known.environments["agenda-P"].history[-1].by_act = "adopted"
    assert codes(ask(known)) == ["OG704"]


def command(known: s.State, code: str) -> str:
    """What a finding says that mends it."""
    (finding,) = [f for f in ask(known).blocking if f.code == code]
    assert finding.gap.remedy is not None
    return finding.gap.remedy.command


def test_a_test_is_asked_for_where_the_release_runs():
    known = state()
    _untested(known)
    assert command(known, "OG302") == "otapgate test run agenda@2.0 --env agenda-A --plan plan"
    known.environments["agenda-A"].history.clear()
    assert command(known, "OG302") == "otapgate test run agenda@2.0 --env agenda-T --plan plan"
    known.environments["agenda-T"].history[-1].release = OLD
    assert command(known, "OG302") == (
        "otapgate promote agenda@2.0 --to agenda-T --change CHG-0001"
    )


def test_where_nothing_runs_that_is_what_is_said():
    known = state()
    known.environments["agenda-A"].history.clear()
    (said,) = [f.sentence() for f in ask(known).blocking if f.code == "OG701"]
    assert said == "Nothing runs in agenda-A yet; this release must run there first."


def test_a_rehearsal_is_asked_for_where_there_is_something_to_come_back_to():
    known = state()
    _unrehearsed(known)
    for stage in "TA":  # both run the new release already
        history = known.environments[f"agenda-{stage}"].history
        history.insert(0, msgspec.structs.replace(history[0], release=OLD))
    assert command(known, "OG401") == "otapgate rollback agenda-T"
    known.environments["agenda-A"].history.pop()
    assert command(known, "OG401") == "otapgate rehearse agenda@2.0 --env agenda-A"


@pytest.mark.parametrize(("founded", "threshold"), [(False, 2), (True, 1)])
def test_a_lone_role_administrator_is_shown_until_mended(founded: bool, threshold: int):
    known = state()
    known.directory.founded, known.directory.threshold = founded, threshold
    known.directory.founders = ["admin", "manager"]
    decision = ask(known)
    assert decision.outcome == "allowed"
    assert warnings(decision) == ["OG905"]


def test_a_damaged_store_or_ledger_refuses():
    seen = Seen(store_problems=("artifacts/x.whl",), ledger_problems=("entry 3: edited",))
    decision = ask(state(), seen=seen)
    assert codes(decision) == ["OG901", "OG904"]


def test_an_unapproved_policy_is_for_the_board_where_there_is_one():
    known = state()
    known.policy = OLD
    (finding,) = ask(known).blocking
    assert finding.gap.remedy is not None
    assert finding.gap.remedy.role == "change-manager"
    known.directory.seats.append(s.directory.Seat("process", "board", None, None, 0, "genesis"))
    (finding,) = ask(known).blocking
    assert finding.gap.remedy is not None
    assert (finding.gap.remedy.role, finding.gap.remedy.who) == ("board", ("process",))


def test_the_first_stage_asks_for_less_than_production():
    known = state()
    for take_away in (_classified, _untested, _unrehearsed, _not_accepted, _unsigned):
        take_away(known)
    known.environments["agenda-T"].history[-1].release = OLD
    assert codes(ask(known, to="agenda-T")) == []
    assert "not-applicable" in ask(known, to="agenda-T").rules.values()


def test_a_remedy_names_nobody_who_is_barred_from_it():
    known = state()
    _not_accepted(known)
    known.directory.seats.append(s.directory.Seat("builder", "test-lead", None, None, 0, "g"))
    (finding,) = ask(known).blocking
    assert finding.gap.remedy is not None
    assert finding.gap.remedy.who == ("lead",)


def test_evidence_for_an_unregistered_plan_counts_for_nothing():
    known = state()
    known.plans.clear()
    release(known).runs[-1].by = "builder"
    assert codes(ask(known)) == ["OG301"]


def test_a_change_without_a_limit_has_no_slow_rollback():
    known = state()
    _slow(known)
    change = known.changes[CHANGE].submitted
    change.act = msgspec.structs.replace(change.act, rollback_minutes=None)
    assert codes(ask(known)) == []


def test_a_role_that_ended_after_signing_takes_nothing_back():
    known = state()
    for seat in known.directory.seats:
        if seat.role in ("process-owner", "change-manager"):
            seat.revoked = 69
        if seat.role == "test-lead":
            seat.until = "2026-11-25"
    assert codes(ask(known)) == []


def test_a_role_on_another_street_signs_nothing_here():
    known = state()
    for seat in known.directory.seats:
        if seat.role == "process-owner":
            seat.street = "roster"
    assert codes(ask(known)) == ["OG104", "OG511"]


def test_a_passing_run_after_the_acceptance_does_it_no_harm():
    known = state()
    release(known).runs.append(signed(66, "tester", release(known).runs[-1].act))
    assert codes(ask(known)) == []


def test_a_builder_or_submitter_who_was_set_aside_by_somebody_else_does_no_harm():
    known = state()
    found = release(known)
    found.signoffs.insert(0, signed(60, "builder", found.signoffs[-1].act))
    change = known.changes[CHANGE]
    change.authorised.insert(0, signed(12, "submitter", change.authorised[-1].act))
    assert codes(ask(known)) == []


def test_production_data_is_for_production_alone():
    where = landscape()
    street = where.streets[0]
    raw = tuple(
        msgspec.structs.replace(e, data=m.DataRule("production")) for e in street.environments
    )
    where = landscape(streets=(msgspec.structs.replace(street, environments=raw),))
    decision = ask(state(), where)
    assert codes(decision) == ["OG203"]
    assert [f.gap.subject for f in decision.blocking] == ["agenda-T", "agenda-A"]


def test_personal_data_where_there_should_be_none_is_found():
    where = landscape()
    street = where.streets[0]
    empty = tuple(
        msgspec.structs.replace(e, data=m.DataRule("none")) if e.stage != "P" else e
        for e in street.environments
    )
    where = landscape(streets=(msgspec.structs.replace(street, environments=empty),))
    known = state()
    _pseudonymised(known)
    (finding,) = ask(known, where).blocking
    assert "said to hold no data, but pseudonymised" in finding.sentence()


def test_anonymised_data_is_not_synthetic():
    where = landscape()
    street = where.streets[0]
    made = tuple(
        msgspec.structs.replace(e, data=m.DataRule("synthetic")) if e.stage != "P" else e
        for e in street.environments
    )
    where = landscape(streets=(msgspec.structs.replace(street, environments=made),))
    known = state()
    assert codes(ask(known, where)) == ["OG203"]
    for stage in "TA":
        replaced(known.environments[f"agenda-{stage}"].datasets, label="synthetic")
    assert codes(ask(known, where)) == []


def asking(**fields: Any) -> m.Landscape:
    """A landscape whose policy has these fields."""
    return landscape(policy=msgspec.structs.replace(landscape().policy, **fields))


def test_a_policy_that_asks_nobody_to_sign_off_for_production_is_a_gap():
    (finding,) = ask(state(), asking(sign_off={})).blocking
    assert (finding.code, finding.gap.subject) == ("OG511", "policy.yml")
    assert "names nobody who signs off before agenda-P" in finding.sentence()


def test_a_policy_can_ask_for_a_sign_off_before_acceptance_too():
    where = asking(sign_off={"P": ("process-owner",), "A": ("process-owner",)})
    known = state()
    known.environments["agenda-A"].history[-1].release = OLD
    _signed_before_acceptance(known)
    (finding,) = ask(known, where, to="agenda-A").blocking
    assert "process-owner has not signed off" in finding.sentence()
    described = environment("A")
    release(known).acceptances.clear()
    release(known).signoffs = [signed(61, "process", p.SignOff(
        NEW, described.name, described.digest, CHANGE, "process-owner", "agreed"))]  # fmt: skip
    assert codes(ask(known, where, to="agenda-A")) == []


def test_the_chair_alone_is_no_cab():
    cab = {"P3": {"change-manager": 1, "cab-member": 1}}
    known = state()
    known.directory.seats.append(s.directory.Seat("manager", "cab-member", None, None, 0, "g"))
    change = known.changes[CHANGE]
    change.authorised[-1] = signed(
        14, "manager", p.ChangeAuthorised(CHANGE, "cab-member", "authorised")
    )
    (finding,) = ask(known, asking(authorisation=cab)).blocking
    assert finding.code == "OG620"
    assert "(F20)" in finding.sentence()
    known.directory.seats.append(s.directory.Seat("lead", "cab-member", None, None, 0, "g"))
    change.authorised.append(
        signed(15, "lead", p.ChangeAuthorised(CHANGE, "cab-member", "authorised"))
    )
    assert codes(ask(known, asking(authorisation=cab))) == []


def test_a_supplier_who_delivers_is_accepted_by_the_school():
    known = state()
    known.directory.seats.append(s.directory.Seat("builder", "supplier", None, None, 0, "g"))
    assert codes(ask(known)) == []


def _cut(index: int, fault: str = "kill") -> p.RehearsalCase:
    return p.RehearsalCase(fault=fault, task=f"task {index}", index=index, restored=True)


@pytest.mark.parametrize(
    ("wanted", "faults", "cuts", "enough"),
    [
        ("none", "none", (), True),
        ("all", "none", (), False),
        ("all", "all", (1, 2), True),
        ("all", "all", (), False),  # says so, and cut nothing
        ("all", "sample:900", (1, 2), False),
        ("sample:3", "sample:2", (1, 2), False),
        ("sample:3", "sample:3", (1, 4, 7), True),
        ("sample:3", "sample:20", (1, 4, 7), True),
        ("sample:3", "all", (1, 2), True),
        ("sample:3", "sample:much", (1,), False),
    ],
)
def test_a_rehearsal_cuts_the_deployment_where_the_policy_asks(
    wanted: str, faults: str, cuts: tuple[int, ...], enough: bool
):
    where = asking(rehearsal_faults={"P3": wanted, "P1": "all"})
    known = state()
    whole = release(known).rehearsals[-1].act.cases
    replaced(
        release(known).rehearsals, faults=faults, cases=(*whole, *(_cut(index) for index in cuts))
    )
    found = ask(known, where).blocking
    if enough:
        assert not found
        return
    (finding,) = found
    assert finding.code == "OG407"
    assert f"at {len(cuts)} of its tasks; the policy asks {wanted}" in finding.sentence()
    assert finding.gap.remedy is not None
    assert finding.gap.remedy.command.endswith(f"--faults {wanted}")


def test_without_a_priority_no_depth_is_asked():
    known = state()
    known.changes[CHANGE].classified = None
    assert "OG407" not in codes(ask(known, asking(rehearsal_faults={"P3": "all"})))


def test_a_rehearsal_that_never_was_is_asked_for_at_the_depth_of_the_policy():
    known = state()
    release(known).rehearsals.clear()
    (finding,) = ask(known, asking(rehearsal_faults={"P3": "sample:5"})).blocking
    assert finding.code == "OG401"
    assert finding.gap.remedy is not None
    assert finding.gap.remedy.command.endswith("--faults sample:5")


def undone(position: int, *, where: str = "agenda-P", failed: bool = False) -> s.State:
    """The new release was taken back there, at a position in the ledger."""
    known = state()
    known.environments[where].undone = {NEW: s.Undone(position, ago(minutes=30), failed)}
    return known


def test_what_was_rolled_back_is_accepted_and_signed_off_anew():
    decision = ask(undone(65))
    assert codes(decision) == ["OG505"]
    first, second = decision.blocking
    assert first.sentence() == (
        "agenda@2.0 was rolled back in agenda-P on 2026-11-24, and accepted only before that."
    )
    assert first.gap.remedy is not None
    assert "otapgate accept agenda@2.0" in first.gap.remedy.command
    assert "process-owner signed off agenda@2.0 only before that" in second.sentence()
    assert second.gap.remedy is not None
    assert "otapgate sign-off agenda@2.0 --to agenda-P" in second.gap.remedy.command


def test_who_signed_off_after_a_rollback_is_not_asked_by_that_rule():
    known = undone(60)
    release(known).acceptances[-1].position = 60
    (finding,) = ask(known).blocking
    assert (finding.code, "accept " in str(finding.gap.remedy)) == ("OG505", True)


def test_what_failed_is_accepted_anew_too():
    assert "failed in agenda-P" in ask(undone(65, failed=True)).blocking[0].sentence()


def test_what_was_accepted_and_signed_off_after_a_rollback_counts():
    assert ask(undone(59)).outcome == "allowed"
    known = undone(65)
    release(known).acceptances[-1].position = 66
    assert codes(ask(known)) == ["OG511"]
    release(known).signoffs[-1].position = 67
    assert ask(known).outcome == "allowed"


def test_a_rollback_is_no_matter_without_an_acceptance():
    known = undone(65)
    release(known).acceptances.clear()
    release(known).signoffs.clear()
    assert codes(ask(known)) == ["OG501", "OG511"]


def test_what_was_rolled_back_before_production_is_said():
    known = undone(65, where="agenda-T", failed=True)
    known.environments["agenda-T"].history[-1].release = OLD
    decision = ask(known, to="agenda-T")
    assert decision.outcome == "allowed"
    assert warnings(decision) == ["OG406"]
    assert decision.findings[0].sentence() == "agenda@2.0 failed in agenda-T on 2026-11-24."
    known = undone(65, where="agenda-T")
    known.environments["agenda-T"].history[-1].release = OLD
    (finding,) = ask(known, to="agenda-T").findings
    assert finding.sentence() == "agenda@2.0 was rolled back in agenda-T on 2026-11-24."
    known.environments["agenda-T"].undone.clear()
    assert ask(known, to="agenda-T").findings == ()
