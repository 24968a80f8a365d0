"""Waivers: by whom they hold, for how long, and that hard rules know none (F14)."""

from __future__ import annotations

import msgspec
import pytest

from otapgate.gate.finding import Decision, Seen
from otapgate.landscape import model as m
from otapgate.ledger import predicates as p
from otapgate.ledger import state as s

from .earning import CHANGE, NEW, OLD, ask, codes, landscape, signed, state
from .earning import warnings as warned


def waived(
    rule: str = "OG401", *, by: str = "chair", until: str = "2026-11-25", role: m.Role = "board"
) -> s.State:
    """Without a rehearsal, and without any test of security, and one waiver."""
    known = state()
    known.releases[NEW].rehearsals.clear()
    known.directory.seats.append(s.directory.Seat(by, role, None, None, 0, "genesis"))
    known.releases[NEW].waivers.append(signed(66, by, p.Waived(NEW, rule, until)))
    return known


def test_a_waived_finding_warns_and_names_the_waiver():
    decision = ask(waived())
    assert (decision.outcome, decision.rules["OG401"]) == ("allowed", "warned")
    (finding,) = decision.findings
    assert (finding.code, finding.severity) == ("OG401", "warn")
    assert finding.waiver is not None
    assert (finding.waiver.by, finding.waiver.until, finding.waiver.entry) == (
        "chair", "2026-11-25", 66,
    )  # fmt: skip
    assert finding.recorded.waiver == 66


@pytest.mark.parametrize(
    "known",
    [
        waived(until="2026-11-24"),
        waived("OG402"),
        waived(role="tester"),
        waived(by="admin"),
        waived(by="builder"),
        waived(by="submitter"),
    ],
    ids=["lapsed", "another rule", "no role that waives", "promotes", "built", "asked"],
)
def test_a_waiver_that_does_not_hold_changes_nothing(known: s.State):
    decision = ask(known)
    assert codes(decision) == ["OG401"]
    assert all(f.waiver is None for f in decision.findings)


def test_of_another_build_a_waiver_says_nothing():
    known = waived()
    known.releases[OLD].waivers, known.releases[NEW].waivers = known.releases[NEW].waivers, []
    assert codes(ask(known)) == ["OG401"]


def test_the_role_that_must_mend_it_does_not_waive_it():
    """A change manager schedules; so that there is no window is the board's to waive."""
    known = state()
    known.changes[CHANGE].scheduled = None
    known.releases[NEW].waivers.append(signed(66, "manager", p.Waived(NEW, "OG105", "2027-01-01")))
    decision = ask(known)
    assert codes(decision) == ["OG105"]
    known.directory.seats.append(s.directory.Seat("manager", "board", None, None, 0, "genesis"))
    assert codes(ask(known)) == []


@pytest.mark.parametrize("rule", ["OG601", "OG603", "OG901", "OG904"])
def test_a_hard_rule_can_not_be_waived(rule: str):
    known = state()
    known.directory.seats.append(s.directory.Seat("chair", "board", None, None, 0, "genesis"))
    known.releases[NEW].waivers.append(signed(66, "chair", p.Waived(NEW, rule, "2027-01-01")))
    if rule == "OG601":
        known.releases[NEW].acceptances[-1].by = "builder"
    elif rule == "OG603":
        known.changes[CHANGE].submitted.by = "process"
    elif rule == "OG901":
        known.void[7] = "signed by nobody"
    else:
        assert rule in codes(ask(known, seen=Seen(store_problems=("artifacts/x",))))
        return
    assert rule in codes(ask(known))


def test_a_waiver_by_who_is_held_back_is_shown_to_count_for_nothing():
    decision = ask(waived(by="submitter"))
    assert warned(decision) == ["OG614"]
    (warning,) = [f for f in decision.findings if f.code == "OG614"]
    assert "(F14)" in warning.sentence()
    assert "OG401" in warning.sentence()
    assert warned(ask(waived())) == ["OG401"]


def test_without_a_change_nobody_asked_for_it():
    decision = ask(waived(), change="CHG-0009")
    assert decision.rules["OG401"] == "warned"


def test_a_role_that_came_later_waives_nothing():
    known = waived()
    known.directory.seats[-1].since = 67
    assert codes(ask(known)) == ["OG401"]


def test_what_the_policy_made_a_warning_needs_no_waiver():
    where = landscape()
    rules = {"OG401": m.RuleSetting("warn")}
    where = landscape(policy=msgspec.structs.replace(where.policy, rules=rules))
    assert all(f.waiver is None for f in ask(waived(), where).findings)


def test_the_same_decision_comes_out_of_a_copy():
    def again(known: s.State) -> Decision:
        return ask(msgspec.json.decode(msgspec.json.encode(known), type=s.State))

    first, second = ask(waived()), again(waived())
    assert [f.recorded for f in first.findings] == [f.recorded for f in second.findings]
