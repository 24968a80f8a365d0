"""The decision itself: pure, the same each time, and closed when something is wrong."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otapgate.gate import registry
from otapgate.gate.decide import Undecidable, decide
from otapgate.gate.facts import Facts
from otapgate.gate.finding import Action, Gap, Seen, fill
from otapgate.gate.norms import NORMS
from otapgate.landscape import model as m
from otapgate.ledger import state as s

from .earning import CHANGE, NEW, NOW, OLD, ago, ask, codes, environment, landscape, state, warnings
from .test_rules import SPOILT

FROZEN = {
    "OG101": "change-unknown", "OG102": "change-of-another-kind", "OG103": "change-unclassified",
    "OG104": "change-unauthorised", "OG105": "change-unscheduled", "OG106": "change-ended",
    "OG107": "release-of-another-change", "OG201": "environment-unowned",
    "OG202": "environment-unaccepted", "OG203": "dataset-missing", "OG204": "dataset-expired",
    "OG301": "test-plan-unregistered", "OG302": "tests-missing", "OG303": "tests-failed",
    "OG304": "test-coverage", "OG305": "tests-stale", "OG306": "test-plan-edited",
    "OG401": "rehearsal-missing", "OG402": "rehearsal-not-restored",
    "OG403": "rehearsal-from-another-release", "OG404": "rehearsal-lapsed",
    "OG405": "rollback-too-slow", "OG501": "acceptance-missing", "OG502": "acceptance-incomplete",
    "OG503": "acceptance-failed", "OG504": "acceptance-lapsed", "OG511": "sign-off-missing",
    "OG601": "builder-accepts", "OG602": "builder-signs-off", "OG603": "submitter-authorises",
    "OG604": "builder-promotes", "OG605": "builder-tests", "OG606": "acceptor-promotes",
    "OG615": "owner-built", "OG701": "not-in-previous-stage", "OG702": "previous-incomplete",
    "OG703": "source-changed", "OG704": "already-running", "OG801": "freeze",
    "OG901": "ledger-damaged", "OG902": "policy-unapproved", "OG903": "rule-weakened",
    "OG619": "supplier-accepts", "OG620": "chair-alone", "OG705": "unfinished",
    "OG904": "store-damaged", "OG905": "one-role-administrator", "OG906": "clock-behind",
    "OG406": "rolled-back-there", "OG505": "rolled-back", "OG614": "own-waiver",
    "OG407": "rehearsal-shallow",
    "OG521": "parallel-run-missing", "OG522": "parallel-run-lapsed", "OG523": "builder-concludes",
}  # fmt: skip


def test_a_code_never_comes_to_mean_something_else():
    known = {r.code: r.slug for r in registry.rules()}
    assert FROZEN.items() <= known.items()
    assert len(set(known.values())) == len(known)


def test_every_rule_explains_itself_and_names_norms_that_exist():
    for rule in registry.rules():
        assert rule.summary.endswith("."), rule.code
        assert rule.explanation.startswith(rule.summary)
        assert rule.norms
        assert set(rule.norms) <= set(NORMS)


def policy(**rules: m.RuleSetting) -> m.Landscape:
    where = landscape()
    return landscape(policy=msgspec.structs.replace(where.policy, rules=rules))


@pytest.mark.parametrize(
    "code", ["OG601", "OG602", "OG603", "OG619", "OG620", "OG901", "OG902", "OG523"]
)
def test_no_policy_weakens_a_hard_rule(code: str):
    rule = next(r for r in registry.rules() if r.code == code)
    off = m.RuleSetting("off", "small school", "Anna", "2027-01-01")
    for name in (code, rule.slug):
        assert rule.severity_under(policy(**{name: off}).policy, "2026-11-24") == "block"


def test_a_rule_can_be_turned_down_for_a_time_and_every_decision_shows_it():
    known = state()
    known.releases[NEW].rehearsals.clear()
    off = m.RuleSetting("off", "no second machine", "Anna", "2026-11-25")
    decision = ask(known, policy(OG401=off))
    assert decision.outcome == "allowed"
    assert decision.rules["OG401"] == "off"
    assert warnings(decision) == ["OG903"]
    assert "no second machine" in decision.findings[0].sentence()
    late = ask(known, policy(OG401=msgspec.structs.replace(off, until="2026-11-24")))
    assert codes(late) == ["OG401"]
    warned = ask(known, policy(**{"rehearsal-missing": m.RuleSetting("warn")}))
    assert warned.outcome == "allowed"
    assert warned.rules["OG401"] == "warned"
    assert warnings(warned) == ["OG401", "OG903"]


def test_only_rules_that_are_asked_are_shown_as_turned_down():
    where = policy(OG401=m.RuleSetting("warn"), OG302=m.RuleSetting("warn"))
    asked = tuple(r for r in registry.rules() if r.code in ("OG401", "OG903"))
    action = Action(NEW, "agenda-P", CHANGE, "admin")
    decision = decide(where, state(), Seen(), action, NOW, asked)
    assert decision.rules.keys() == {"OG401", "OG903"}
    assert [f.gap.subject for f in decision.findings] == ["OG401"]


def test_a_rule_that_fails_is_a_refusal():
    def broken(facts: Facts) -> Iterator[Gap]:
        """Fails."""
        raise ZeroDivisionError(facts.day)

    rule = registry.Rule("OG999", "broken", ("CH01-03",), broken, registry.always, "warn", False)
    decision = decide(landscape(), state(), Seen(), Action(NEW, "agenda-P", CHANGE, "admin"), NOW,
                      (rule,))  # fmt: skip
    assert decision.outcome == "refused"
    assert decision.rules == {"OG999": "blocked"}
    assert "ZeroDivisionError" in decision.findings[0].sentence()


@pytest.mark.parametrize(
    ("release", "environment", "where"),
    [
        ("sha256:" + "9" * 64, "agenda-P", None),
        (NEW, "roster-P", None),
        (NEW, "stray-P", "stray"),
    ],
)
def test_what_does_not_exist_is_not_decided_on(release: str, environment: str, where: str | None):
    found = landscape()
    if where is not None:
        stray = environment_in_no_street()
        street = found.streets[0]
        found = landscape(
            streets=(msgspec.structs.replace(street, environments=(*street.environments, stray)),)
        )
    with pytest.raises(Undecidable):
        decide(found, state(), Seen(), Action(release, environment, CHANGE, "admin"), NOW)


def environment_in_no_street() -> m.Environment:
    return environment("P", name="stray-P", street="nowhere")


def test_a_rule_must_be_whole_to_be_registered():
    def check(facts: Facts) -> Iterator[Gap]:
        """Says nothing."""
        yield from ()

    def silent(facts: Facts) -> Iterator[Gap]:
        yield from ()

    for slug, code, norms, function in (
        ("x", "OG1", ["CH01-03"], check),
        ("x", "OG998", ["CH99-99"], check),
        ("x", "OG998", ["CH01-03"], silent),
        ("another", "OG101", ["CH01-03"], check),
        ("change-unknown", "OG998", ["CH01-03"], check),
    ):
        with pytest.raises(ValueError, match="rule"):
            registry.rule(slug, code=code, norms=norms)(function)


def test_others_add_rules_through_an_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "linde_rules.py").write_text(
        "from otapgate.gate.registry import always, rule\n"
        "@rule('linde-full-moon', code='OG997', norms=['CH01-03'], applies=always)\n"
        "def moon(facts):\n    'Never at full moon.'\n"
        "    yield facts.gap('Full moon.')\n"
    )
    info = tmp_path / "linde-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: linde\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[otapgate.rules]\nlinde = linde_rules\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        registry.load_extensions()
        assert codes(ask(state())) == ["OG997"]
    finally:
        registry._rules.pop("OG997", None)
        sys.modules.pop("linde_rules", None)


def test_parameters_have_no_power_over_the_sentence():
    assert fill("{a} and {b}", {"a": "{b}", "b": ["x", "y"]}) == "{b} and x, y"
    assert fill("{a.__class__} {0} {missing}", {"a": 1}) == "{a.__class__} {0} {missing}"


def test_what_is_unfinished_stands_in_the_way():
    known = state()
    known.environments["agenda-A"].unfinished = s.Unfinished(
        "prom-9", "promotion", "agenda-A", NEW, OLD, CHANGE, ago(hours=1), "admin"
    )
    assert codes(ask(known)) == ["OG705"]


def test_an_environment_that_was_adopted_with_it_passed_no_gate():
    known = state()
    known.environments["agenda-A"].history[-1].by_act = "adopted"
    decision = ask(known)
    assert codes(decision) == ["OG701"]
    assert "no gate let in" in decision.blocking[0].sentence()


def test_another_ledger_or_another_street_is_no_ground():
    known = state()
    known.directory.origin = "other.example/x"
    assert codes(ask(known)) == ["OG901"]
    known = state()
    change = known.changes[CHANGE].submitted
    change.act = msgspec.structs.replace(change.act, street="roster")
    assert codes(ask(known)) == ["OG107"]


def test_a_rehearsal_somewhere_else_is_none():
    known = state()
    rehearsal = known.releases[NEW].rehearsals[-1]
    rehearsal.act = msgspec.structs.replace(rehearsal.act, environment="roster-T")
    assert codes(ask(known)) == ["OG404"]


def test_a_finding_is_recorded_without_a_sentence():
    known = state()
    known.releases[NEW].rehearsals.clear()
    (finding,) = ask(known).blocking
    recorded = finding.recorded
    assert (recorded.code, recorded.subject) == ("OG401", "agenda@2.0")
    assert recorded.params == {"release": "agenda@2.0"}


@settings(max_examples=60, deadline=None)
@given(st.sets(st.sampled_from(range(len(SPOILT))), min_size=1, max_size=6))
def test_taking_more_away_never_allows(which: set[int]):
    known = state()
    for index in sorted(which):
        try:
            SPOILT[index][0](known)
        except (AssertionError, IndexError, KeyError, AttributeError):
            continue  # what it would spoil is gone already
    assert ask(known).outcome == "refused"


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(range(len(SPOILT))))
def test_a_decision_is_the_same_from_a_copy_of_what_it_was_made_on(index: int):
    known, where = state(), landscape()
    SPOILT[index][0](known)
    first = ask(known, where)
    again = msgspec.json.decode(msgspec.json.encode(known), type=s.State)
    there = msgspec.json.decode(msgspec.json.encode(where), type=m.Landscape)
    second = ask(again, there)
    assert [f.recorded for f in first.findings] == [f.recorded for f in second.findings]
    assert (first.rules, first.landscape) == (second.rules, second.landscape)
