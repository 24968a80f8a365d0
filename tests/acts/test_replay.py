"""Decisions are made again by the rules that there were, and none is left out by a trick."""

from __future__ import annotations

import msgspec

from otapgate.acts.gatekeeping import _compare, _History
from otapgate.gate import registry
from otapgate.gate.finding import Decision
from otapgate.ledger import predicates as p

D = "sha256:" + "0" * 64


def decision(name: str = "dec-1", rule_set: int = registry.RULE_SET, **rules: str) -> p.Decision:
    asked = {r.code: "passed" for r in registry.rules_of(rule_set, ())}
    return p.Decision(
        name, "promote", "allowed", D, "agenda-P", "P", "CHG-0001", "p", "2026-11-25T10:00:00Z",
        D, D, D, 9, "00", "0.1.0", {**asked, **rules}, (), rule_set,
    )  # type: ignore[arg-type]  # fmt: skip


def made_again(was: p.Decision) -> Decision:
    """What replaying gives when every rule that is asked passes."""
    asked = registry.rules_of(was.rule_set, was.rules)
    outcomes = dict.fromkeys((r.code for r in asked), "passed")
    return msgspec.convert(
        {
            "action": {"release": D, "environment": "agenda-P", "change": "CHG-0001", "actor": "p"},
            "outcome": "allowed", "now": was.now, "landscape": D, "policy": D, "size": 9,
            "root": "00", "tool": "9", "rules": outcomes, "findings": [], "rule_set": 2,
        },
        Decision,
    )  # fmt: skip


def test_a_rule_that_came_later_is_not_asked_of_an_earlier_decision():
    was = decision(rule_set=1)
    assert "OG521" not in was.rules
    assert _compare(was, made_again(was)) == []
    assert _History().went_back(was) == []


def test_a_rule_that_there_was_and_was_left_out_is_a_difference():
    was = decision()
    del was.rules["OG521"]
    (found,) = _compare(was, made_again(was))
    assert (found["rule"], found["was"], found["is"]) == ("OG521", "absent", "passed")


def test_nobody_leaves_rules_out_by_naming_an_older_set():
    history = _History()
    assert history.went_back(decision(rule_set=1)) == []
    assert history.went_back(decision("dec-2")) == []
    (found,) = history.went_back(decision("dec-3", rule_set=1))
    assert (found["rule"], found["was"], found["is"]) == ("rule-set", 1, registry.RULE_SET)


def test_a_set_that_this_version_does_not_know_cannot_be_replayed():
    for unknown in (0, registry.RULE_SET + 1):
        (found,) = _History().went_back(decision(rule_set=unknown))
        assert found["rule"] == "rule-set"


def test_what_others_rules_asked_once_they_ask_ever_after():
    history = _History()
    assert history.went_back(decision()) == []
    assert history.went_back(decision("dec-2", OG997="passed")) == []
    (found,) = history.went_back(decision("dec-3"))
    assert (found["rule"], found["is"]) == ("OG997", "asked before")


def test_a_decision_of_the_first_set_is_written_as_it_ever_was():
    assert "rule_set" not in p.to_predicate(decision(rule_set=1))
    assert p.from_predicate("decision", p.to_predicate(decision(rule_set=1))) == decision(
        rule_set=1
    )
