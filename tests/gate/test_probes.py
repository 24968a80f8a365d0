"""What probes saw: fresh, for what is described now, and what the policy makes of it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from otapgate.gate.finding import Finding
from otapgate.landscape import model as m
from otapgate.ledger import state as s

from .earning import OLD, ago, ask, codes, landscape, signed, state, warnings


def spoilt(env: str, kind: str, **fields: Any) -> s.State:
    known = state()
    probe = known.environments[env].probes[kind]
    probe.act = msgspec.structs.replace(probe.act, **fields)
    return known


def only(known: s.State) -> Finding:
    decision = ask(known)
    assert decision.outcome == "allowed", "probes warn unless the policy says otherwise"
    (finding,) = decision.findings
    return finding


@pytest.mark.parametrize(("kind", "code"), [("isolation", "OG205"), ("access", "OG206"),
                                            ("representativeness", "OG207")])  # fmt: skip
def test_a_probe_that_is_missing_old_or_of_another_description_is_told(
    kind: str, code: str
) -> None:
    known = state()
    del known.environments["agenda-T"].probes[kind]
    found = only(known)
    assert (found.code, found.gap.subject) == (code, "agenda-T")
    assert found.gap.remedy is not None
    assert found.gap.remedy.command == f"otapgate env probe agenda-T {kind}"
    assert "never" in found.sentence()

    found = only(spoilt("agenda-T", kind, description=OLD))
    assert (found.code, "was changed after" in found.sentence()) == (code, True)

    known = state()
    known.environments["agenda-T"].probes[kind].at = ago(days=31)
    found = only(known)
    assert (found.code, "longer than 30 days" in found.sentence()) == (code, True)

    known = state()
    known.environments["agenda-T"].probes[kind].by = "builder"
    found = only(known)
    assert (found.code, "without a role" in found.sentence()) == (code, True)

    found = only(spoilt("agenda-T", kind, outcome="unknown"))
    assert (found.code, "could not be told" in found.sentence()) == (code, True)


@pytest.mark.parametrize(
    ("env", "kind", "fields", "said"),
    [
        ("agenda-A", "isolation", {"against": {"agenda-P": OLD}}, "compared with was changed"),
        ("agenda-A", "isolation", {"against": {}}, "not against this production"),
        ("agenda-A", "isolation", {"outcome": "violated", "counts": {"open": 2, "shared": 1}},
         "2 open, 1 shared"),
        ("agenda-P", "access", {"outcome": "violated", "counts": {"stray": 1}}, "1 stray, 0"),
        ("agenda-T", "representativeness", {"counts": {"score": 79}}, "79 %, less than 80 %"),
        ("agenda-T", "representativeness", {"counts": {}}, "for 0 %"),
    ],
)  # fmt: skip
def test_what_a_probe_found_is_told(env: str, kind: str, fields: dict[str, Any], said: str) -> None:
    found = only(spoilt(env, kind, **fields))
    assert found.gap.subject == env
    assert said in found.sentence()


def test_development_need_not_be_like_production() -> None:
    where, known = landscape(), state()
    street = where.streets[0]
    first = msgspec.structs.replace(street.environments[0], stage="O")
    street = msgspec.structs.replace(street, environments=(first, *street.environments[1:]))
    del known.environments["agenda-T"].probes["representativeness"]
    assert "OG207" not in warnings(ask(known, msgspec.structs.replace(where, streets=(street,))))


def test_one_machine_cant_be_apart_from_itself() -> None:
    where = landscape()
    street = where.streets[0]
    local = tuple(
        msgspec.structs.replace(e, hosts=(m.Host("h", {"ansible_connection": "local"}),))
        for e in street.environments
    )
    where = msgspec.structs.replace(
        where, streets=(msgspec.structs.replace(street, environments=local),)
    )
    found = [f for f in ask(state(), where).findings if f.code == "OG205"]
    assert [f.gap.subject for f in found] == ["agenda-T", "agenda-A"]
    assert "the same machine" in found[0].sentence()


def test_the_policy_can_make_it_block() -> None:
    where = landscape()
    rules = {"isolation-unproven": m.RuleSetting("block")}
    strict = msgspec.structs.replace(
        where, policy=msgspec.structs.replace(where.policy, rules=rules)
    )
    known = state()
    del known.environments["agenda-T"].probes["isolation"]
    assert codes(ask(known, strict)) == ["OG205"]
    assert codes(ask(state(), strict)) == []


def test_drift_of_production_is_told_where_it_was_looked_for() -> None:
    known = state()
    probes = known.environments["agenda-P"].probes
    act = msgspec.structs.replace(probes["access"].act, kind="drift", counts={"different": 3})
    probes["drift"] = signed(24, "admin", act)
    assert ask(known).findings == ()
    probes["drift"] = signed(25, "admin", msgspec.structs.replace(act, outcome="violated"))
    found = only(known)
    assert (found.code, "3 things" in found.sentence()) == ("OG208", True)


def test_a_builders_key_on_production_blocks_and_no_policy_weakens_that() -> None:
    """F16."""
    known = spoilt("agenda-P", "access", outcome="violated", counts={"builders": 1, "stray": 1})
    where = landscape()
    rules = {"OG209": m.RuleSetting("off", "b", "o", "2030-01-01")}
    soft = msgspec.structs.replace(where, policy=msgspec.structs.replace(where.policy, rules=rules))
    for decision in (ask(known), ask(known, soft), ask(known, to="agenda-A")):
        assert "OG209" in codes(decision)
    del known.environments["agenda-P"].probes["access"]
    assert "OG209" not in codes(ask(known))
