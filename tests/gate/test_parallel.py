"""Rules about parallel runs: only for changes that ask for one, and the newest counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from otapgate.gate import registry
from otapgate.gate.finding import Seen
from otapgate.landscape import model as m
from otapgate.ledger import predicates as p
from otapgate.ledger import state as s

from .earning import (
    CHANGE,
    NEW,
    OLD,
    PLAN,
    ago,
    ask,
    codes,
    environment,
    landscape,
    signed,
    state,
)

LATER = {"OG205", "OG206", "OG207", "OG208", "OG209", "OG407", "OG521", "OG522", "OG523", "OG614"}
FIRST = 50
"""Rules of the first set; there come no more."""
STARTED = p.ParallelStarted(
    "par-1", "agenda", PLAN, NEW, OLD, CHANGE, "agenda-P", "agenda-A",
    environment("P").digest, environment("A").digest, days=2, comparisons=2,
)  # fmt: skip


def compared(different: int = 0, at: str = "") -> Any:
    act = p.ParallelCompared("par-1", NEW, PLAN, 10, 1, different, PLAN)
    return signed(64, "tester", act, at or ago(hours=1))


def asked(**fields: Any) -> s.State:
    """Everything is earned, a parallel run too."""
    known = state()
    change = known.changes[CHANGE].submitted
    change.act = msgspec.structs.replace(change.act, parallel_run=True)
    run = s.Parallel(
        signed(62, "admin", STARTED, ago(days=3)),
        [compared(4, ago(days=1)), compared()],
        signed(65, "process", p.ParallelConcluded("par-1", NEW, "agreed")),
    )
    known.parallels = {"par-1": run}
    for name, value in fields.items():
        setattr(run, name, value)
    return known


def test_a_change_that_asks_for_none_needs_none():
    known = asked()
    known.parallels.clear()
    assert codes(ask(known)) == ["OG521"]
    change = known.changes[CHANGE].submitted
    change.act = msgspec.structs.replace(change.act, parallel_run=False)
    decision = ask(known)
    assert decision.outcome == "allowed"
    assert {decision.rules[c] for c in ("OG521", "OG522", "OG523")} == {"not-applicable"}


def test_a_concluded_run_that_agreed_is_enough_and_only_before_production():
    decision = ask(asked())
    assert decision.outcome == "allowed", codes(decision)
    assert {decision.rules[c] for c in ("OG521", "OG522", "OG523")} == {"passed"}
    missing = asked()
    missing.parallels.clear()
    assert "OG521" not in codes(ask(missing, to="agenda-A"))
    missing.changes.clear()
    assert "OG521" not in codes(ask(missing))


Spoil = Callable[[s.State], None]


def _rejected(known: s.State) -> None:
    known.parallels["par-1"].concluded = signed(
        65, "process", p.ParallelConcluded("par-1", NEW, "rejected")
    )


def _running(known: s.State) -> None:
    run = known.parallels["par-1"]
    run.concluded, run.compared = None, run.compared[:1]


def _nothing_compared(known: s.State) -> None:
    run = known.parallels["par-1"]
    run.concluded, run.compared = None, []


def _too_soon(known: s.State) -> None:
    run = known.parallels["par-1"]
    run.concluded, run.started.at = None, ago(days=1)


def _open(known: s.State) -> None:
    run = known.parallels["par-1"]
    run.concluded, run.compared = None, [compared(), compared(3)]


def _unconcluded(known: s.State) -> None:
    known.parallels["par-1"].concluded = None


def _another_began(known: s.State) -> None:
    other = msgspec.structs.replace(STARTED, parallel="par-2")
    known.parallels["par-2"] = s.Parallel(signed(66, "admin", other))


def _of_another_release(known: s.State) -> None:
    started = known.parallels["par-1"].started
    started.act = msgspec.structs.replace(started.act, release=OLD)


def _for_another_change(known: s.State) -> None:
    started = known.parallels["par-1"].started
    started.act = msgspec.structs.replace(started.act, change="CHG-0009")


def _described_anew(known: s.State) -> None:
    started = known.parallels["par-1"].started
    started.act = msgspec.structs.replace(started.act, new_description=OLD)


def _environment_gone(known: s.State) -> None:
    started = known.parallels["par-1"].started
    started.act = msgspec.structs.replace(started.act, old="agenda-O")


def _long_ago(known: s.State) -> None:
    concluded = known.parallels["par-1"].concluded
    assert concluded is not None
    concluded.at = ago(days=31)


def _by_the_builder(known: s.State) -> None:
    concluded = known.parallels["par-1"].concluded
    assert concluded is not None
    concluded.by = "builder"


SPOILT: list[tuple[Spoil, list[str], str]] = [
    (_rejected, ["OG521"], "don't agree"),
    (_nothing_compared, ["OG521"], "there are 0"),
    (_running, ["OG521"], "there are 1"),
    (_too_soon, ["OG521"], "2 days after its start"),
    (_open, ["OG521"], "3 differences aren't tolerated"),
    (_unconcluded, ["OG521"], "nobody has concluded"),
    (_another_began, ["OG521"], "par-2 isn't over"),
    (_of_another_release, ["OG521"], "never did"),
    (_for_another_change, ["OG521"], "never did"),
    (_described_anew, ["OG522"], "agenda-A was changed"),
    (_environment_gone, ["OG522"], "agenda-O was changed"),
    (_long_ago, ["OG522"], "longer ago than 30 days"),
    (_by_the_builder, ["OG523"], "somebody who built"),
]


@pytest.mark.parametrize(
    ("spoil", "expected", "words"), SPOILT, ids=[f.__name__[1:] for f, *_ in SPOILT]
)
def test_what_is_missing_is_what_is_found(spoil: Spoil, expected: list[str], words: str):
    known = asked()
    spoil(known)
    decision = ask(known)
    assert codes(decision) == expected
    sentences = " ".join(f.sentence() for f in decision.blocking)
    assert words in sentences
    assert "{" not in sentences
    for finding in decision.blocking:
        assert "CH06-07" in finding.norms
        assert finding.gap.remedy is not None
        assert finding.gap.remedy.command.startswith("otapgate parallel ")


def test_what_production_gave_back_runs_in_parallel_anew():
    known = asked()
    known.environments["agenda-P"].undone[NEW] = s.Undone(66, ago(minutes=50), False)
    found = [f for f in ask(known).blocking if f.code == "OG522"]
    assert len(found) == 1
    assert "taken out of agenda-P" in found[0].sentence()
    known.environments["agenda-P"].undone[NEW] = s.Undone(64, ago(minutes=50), False)
    assert "OG522" not in codes(ask(known))


def test_who_built_is_not_asked_to_conclude():
    known = asked(concluded=None)
    known.directory.seats.append(
        s.directory.Seat("builder", "process-owner", None, None, 0, "genesis")
    )
    (finding,) = ask(known).blocking
    assert finding.gap.remedy is not None
    assert finding.gap.remedy.who == ("process",)


def test_no_policy_lets_the_builder_conclude():
    where = landscape()
    off = m.RuleSetting("off", "small school", "Anna", "2027-01-01")
    weak = msgspec.structs.replace(where.policy, rules={"OG523": off, "OG521": off})
    known = asked()
    _by_the_builder(known)
    decision = ask(known, landscape(policy=weak), seen=Seen())
    assert "OG523" in codes(decision)
    assert decision.rules["OG521"] == "off"


def test_a_rule_s_set_is_the_one_in_which_it_came():
    own = [r for r in registry.rules() if r.own]
    # One that isn't in this list was there from the beginning: where it wasn't, and didn't
    # say so by `since`, every decision before it would come out otherwise.
    later = {r.code for r in own if r.since > 1}
    assert later == LATER
    assert len(own) - len(later) == FIRST
    assert max(r.since for r in own) == registry.RULE_SET
    first = {r.code for r in registry.rules_of(1, ())}
    assert "OG521" not in first
    assert "OG501" in first
    assert {r.code for r in registry.rules_of(registry.RULE_SET, ())} == {r.code for r in own}


def test_rules_of_others_are_asked_again_where_the_decision_lists_them():
    def moon(facts: Any) -> Any:
        """Never at full moon."""
        yield facts.gap("Full moon.")

    moon.__module__ = "linde_rules"
    registry.rule("linde-full-moon", code="OG997", norms=["CH01-03"])(moon)
    try:
        assert "OG997" not in {r.code for r in registry.rules_of(registry.RULE_SET, ())}
        assert "OG997" in {r.code for r in registry.rules_of(1, ["OG997"])}
    finally:
        registry._rules.pop("OG997", None)
