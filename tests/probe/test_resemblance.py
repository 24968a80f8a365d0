"""Scores of likeness and drift: what must hold for any hosts, and some by hand. CH04-03."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from otapgate.landscape.model import ASPECTS, Difference
from otapgate.probe.resemblance import combined, drift, resemblance

DAY = "2026-11-24"
VALUES = st.sampled_from(["", "1.2.3", "1.2.4", "2.0", "64 MiB", "128 MiB", "yes", "0"])
ITEMS = st.dictionaries(
    st.sampled_from(["system", "version", "memory", "processors", "package:a", "x"]),
    VALUES.filter(bool),
)
PRINTS = st.dictionaries(st.sampled_from(ASPECTS), ITEMS)


def score(here: Any, there: Any, *declared: Difference) -> int:
    return resemblance(here, there, declared, day=DAY).score


@given(PRINTS)
def test_what_is_the_same_is_wholly_alike(one: Any) -> None:
    found = resemblance(one, one, day=DAY)
    assert found.differences == ()
    assert set(found.aspects.values()) <= {100}
    assert found.score == (100 if any(one.values()) else 0), "nothing known is not alike"


@given(PRINTS, PRINTS)
def test_likeness_is_mutual_and_a_percentage(one: Any, other: Any) -> None:
    found, back = resemblance(one, other, day=DAY), resemblance(other, one, day=DAY)
    assert found.score == back.score
    assert 0 <= found.score <= 100
    assert found.aspects == back.aspects
    assert set(found.aspects) == {a for a in ASPECTS if one.get(a) or other.get(a)}


@given(PRINTS, PRINTS)
def test_every_difference_is_named_and_nothing_else(one: Any, other: Any) -> None:
    found = {(d.aspect, d.item) for d in resemblance(one, other, day=DAY).differences}
    assert found == {
        (aspect, item)
        for aspect in ASPECTS
        for item in {*one.get(aspect, {}), *other.get(aspect, {})}
        if one.get(aspect, {}).get(item) != other.get(aspect, {}).get(item)
    }


@given(PRINTS, PRINTS, st.sampled_from(ASPECTS))
def test_a_declaration_never_lowers_a_score_and_ends(one: Any, other: Any, aspect: Any) -> None:
    alive = Difference(aspect, "*", "cost", "2026-11-25")
    over = Difference(aspect, "*", "cost", DAY)
    assert score(one, other, alive) >= score(one, other) == score(one, other, over)
    found = resemblance(one, other, [alive], day=DAY)
    assert found.aspects.get(aspect, 100) == 100
    assert all((d.declared == "cost") == (d.aspect == aspect) for d in found.differences)


@given(PRINTS, PRINTS)
def test_mending_a_difference_never_lowers_its_aspect(one: Any, other: Any) -> None:
    before = resemblance(one, other, day=DAY)
    for d in before.differences[:3]:
        mended = {aspect: dict(items) for aspect, items in one.items()}
        if d.there:
            mended.setdefault(d.aspect, {})[d.item] = d.there
        else:
            del mended[d.aspect][d.item]
        after = resemblance(mended, other, day=DAY).aspects
        assert after.get(d.aspect, 100) >= before.aspects[d.aspect]


def test_quantities_count_by_their_ratio_and_versions_by_how_far_they_agree() -> None:
    def alike(item: str, here: str, there: str) -> int:
        return score({"infrastructure": {item: here}}, {"infrastructure": {item: there}})

    assert alike("memory", "2048 MiB", "8192 MiB") == 25
    assert alike("package:nginx", "1.22.1-9", "1.22.1-10") == 90
    assert alike("package:nginx", "1.22", "1.24") == 50
    assert alike("package:nginx", "1.22", "2.0") == 0
    assert alike("package:nginx", "", "2.0") == 0
    assert alike("time zone", "UTC", "Europe/Amsterdam") == 0


def test_a_declaration_names_one_item_or_several_by_a_star() -> None:
    here = {"application-software": {"package:gdb": "13", "package:strace": "6", "service:x": "y"}}
    one = Difference("application-software", "package:*", "for testers", "2027-01-01")
    found = resemblance(here, {}, [one], day=DAY)
    assert [d.item for d in found.differences if not d.declared] == ["service:x"]
    other = Difference("application-software", "package:[gs]*", "no pattern", "2027-01-01")
    assert len([d for d in resemblance(here, {}, [other], day=DAY).differences if d.declared]) == 0


def test_several_hosts_count_by_the_least_and_by_every_value() -> None:
    hosts = [
        {"infrastructure": {"memory": "64 MiB"}, "operating-system": {"kernel": "6.1"}},
        {"infrastructure": {"memory": "8 MiB"}, "operating-system": {"kernel": "6.2"}},
    ]
    assert combined(hosts) == {
        "infrastructure": {"memory": "8 MiB"},
        "operating-system": {"kernel": "6.1 | 6.2"},
    }


def test_drift_names_what_came_went_and_changed_on_which_host() -> None:
    before = {"p1": {"application-software": {"package:a": "1", "package:b": "1"},
                     "infrastructure": {"memory": "1 MiB"},
                     "accounts": {"account x": "-"}}}  # fmt: skip
    now = {"p1": {"application-software": {"package:a": "2", "package:c": "1"},
                  "infrastructure": {"memory": "2 MiB"},
                  "accounts": {"account x": "sudo"}}}  # fmt: skip
    assert [(d.host, d.item, d.kind) for d in drift(before, now)] == [
        ("p1", "accounts: account x", "changed"),
        ("p1", "application-software: package:a", "changed"),
        ("p1", "application-software: package:b", "removed"),
        ("p1", "application-software: package:c", "added"),
    ]
    assert drift(now, now) == ()
    assert {d.kind for d in drift(before, {})} == {"removed"}
