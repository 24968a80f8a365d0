"""Which cases may begin: pure."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from otapgate.testing.limits import Limit, Stop
from otapgate.testing.plan import Case
from otapgate.testing.schedule import following


def case(name: str, *after: str, alone: bool = False) -> Case:
    return Case(name, "c", "", (), after, alone)


def ids(found: tuple[Case, ...]) -> list[str]:
    return [one.id for one in found]


def test_as_many_begin_as_may_and_in_the_order_of_the_plan() -> None:
    cases = [case("a"), case("b"), case("c")]
    assert ids(following(cases, {}, [], 2).begin) == ["a", "b"]
    assert ids(following(cases, {"b": True}, [cases[0]], 2).begin) == ["c"]
    assert ids(following(cases, {}, cases[:2], 2).begin) == []


def test_a_case_waits_for_those_before_it_and_is_left_out_when_they_fail() -> None:
    cases = [case("a"), case("b", "a"), case("c", "b"), case("d")]
    assert ids(following(cases, {}, [], 4).begin) == ["a", "d"]
    assert ids(following(cases, {"a": True, "d": True}, [], 4).begin) == ["b"]
    found = following(cases, {"a": False}, [], 4)
    assert [(one.id, why) for one, why in found.skip] == [("b", "a"), ("c", "b")]
    assert ids(found.begin) == ["d"]


def test_a_case_that_must_be_alone_gets_its_turn_and_has_no_company() -> None:
    cases = [case("a"), case("b", alone=True), case("c")]
    assert ids(following(cases, {}, [], 3).begin) == ["a"]
    assert ids(following(cases, {"a": True}, [], 3).begin) == ["b"]
    assert ids(following(cases, {"a": True}, [cases[1]], 3).begin) == []
    assert ids(following(cases, {"a": True, "b": True}, [], 3).begin) == ["c"]


@given(
    st.lists(
        st.tuples(st.sets(st.integers(0, 7)), st.booleans(), st.booleans()), min_size=1, max_size=8
    ),
    st.integers(1, 4),
    st.randoms(use_true_random=False),
)
def test_whatever_ends_first_every_case_has_its_turn_or_its_reason(plan, width, chance) -> None:
    cases = [
        case(str(n), *(str(x) for x in after if x < n), alone=alone)
        for n, (after, alone, _well) in enumerate(plan)
    ]
    passed: dict[str, bool] = {}
    running: list[Case] = []
    while len(passed) < len(cases):
        found = following(cases, passed, running, width)
        for one, _why in found.skip:
            passed[one.id] = False
        running += found.begin
        assert len(running) <= width
        assert len(running) == 1 or not any(one.alone for one in running)
        assert running or found.skip, "nothing waits for ever"
        if running:
            ended = running.pop(chance.randrange(len(running)))
            assert all(passed[name] for name in ended.after)
            passed[ended.id] = plan[int(ended.id)][2]


def test_the_limit_that_comes_first_counts_and_is_named() -> None:
    whole = Limit().within(100, "plan")
    assert (whole.within(5, "case").whose, whole.within(500, "case").whose) == ("case", "plan")
    assert whole.within(0, "case") is whole
    short = whole.within(5, "case").within(1, "step")
    assert short.left <= 1
    assert not short.over
    time.sleep(1.05)
    assert short.over
    assert "time of 1 s" in short.why()
    assert Limit().left == float("inf")


def test_asked_to_stop_everything_is_over_and_that_is_the_reason() -> None:
    stop = Stop()
    limit = Limit(stop=stop).within(100, "plan")
    stop.ask()
    stop.ask()
    assert limit.over
    assert "interrupted" in limit.why()
    stop.close()
