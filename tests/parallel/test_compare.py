"""The core of a comparison: whatever the outputs are, it is fair to both sides."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otapgate.parallel.compare import MOST, Comparison, Rules, near
from otapgate.parallel.plan import Compare, Mask, Tolerance
from otapgate.parallel.reading import number

COLUMNS = ("id", "amount", "note")
# Mostly small, so that many of them lie near each other.
amounts = st.integers(-9, 9).map(str) | st.decimals(-1000, 1000, places=3).map(str)
cells = st.text(st.characters(codec="utf-8", exclude_characters="\x00\r\n"), max_size=4)
rows = st.lists(
    st.tuples(st.integers(0, 2).map(str), st.one_of(amounts, cells), cells), max_size=12
)
leaves = st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | st.text(max_size=3)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abcn"), inner, max_size=3)
    ),
    max_leaves=12,
)
lines = st.lists(st.sampled_from(["a", "b", "", "12:30", "x 12:31"]), max_size=10)
tolerances = st.builds(
    Tolerance, st.sampled_from(["0", "0.01", "2"]), st.sampled_from(["0", "0.1", "0.5"])
)


def counts(found: Comparison) -> tuple[int, int, int]:
    return found.same, found.tolerated, found.different


def written(found: list[tuple[str, str, str]]) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out).writerows([COLUMNS, *found])
    return out.getvalue().encode()


def csv_rules(**fields: Any) -> Rules:
    return Rules(Compare(as_="csv", **fields))


KEYED = Compare(as_="csv", key=("id",), tolerances={"amount": Tolerance("1", "0.1")})
LOOSE = Compare(as_="json", unordered=("", "a", "*.a"), tolerances={"n": Tolerance("1", "0.1")})


@pytest.mark.parametrize("compare", [Compare(as_="csv"), KEYED])
@given(rows)
def test_a_table_is_like_itself(compare: Compare, found: list[tuple[str, str, str]]) -> None:
    data = written(found)
    assert counts(Rules(compare).bodies(data, data)) == (len(found), 0, 0)


@pytest.mark.parametrize("compare", [Compare(as_="csv"), KEYED])
@given(rows, rows, st.randoms())
def test_rows_may_come_in_any_order(
    compare: Compare, one: list[tuple[str, str, str]], other: list[tuple[str, str, str]],
    random: Any,
) -> None:  # fmt: skip
    before = counts(Rules(compare).bodies(written(one), written(other)))
    shuffled = random.sample(one, len(one))
    assert counts(Rules(compare).bodies(written(shuffled), written(other))) == before


@pytest.mark.parametrize("compare", [Compare(as_="csv"), KEYED])
@given(rows, rows)
def test_tables_compare_the_same_either_way(
    compare: Compare, one: list[tuple[str, str, str]], other: list[tuple[str, str, str]]
) -> None:
    rules = Rules(compare)
    there = counts(rules.bodies(written(one), written(other)))
    assert counts(rules.bodies(written(other), written(one))) == there
    assert there[2] > 0 or sorted(r[0] for r in one) == sorted(r[0] for r in other)


@given(rows, rows)
def test_without_tolerance_tables_agree_only_when_they_hold_the_same(
    one: list[tuple[str, str, str]], other: list[tuple[str, str, str]]
) -> None:
    found = Rules(Compare(as_="csv", key=("id",))).bodies(written(one), written(other))
    assert (found.different == 0) == (sorted(one) == sorted(other))
    assert found.tolerated == 0


@given(values)
def test_a_json_value_is_like_itself_however_it_is_written(value: Any) -> None:
    for compare in (Compare(as_="json"), LOOSE):
        found = Rules(compare).bodies(
            json.dumps(value).encode(), json.dumps(value, indent=1, sort_keys=True).encode()
        )
        assert (found.tolerated, found.different) == (0, 0)
        assert found.same > 0


@given(values, values)
def test_json_compares_the_same_either_way(one: Any, other: Any) -> None:
    a, b = json.dumps(one).encode(), json.dumps(other).encode()
    for compare in (Compare(as_="json"), LOOSE):
        assert counts(Rules(compare).bodies(a, b)) == counts(Rules(compare).bodies(b, a))


@given(st.lists(values, max_size=6), st.randoms())
def test_a_list_without_order_may_be_shuffled(value: list[Any], random: Any) -> None:
    shuffled = random.sample(value, len(value))
    found = Rules(LOOSE).bodies(json.dumps(value).encode(), json.dumps(shuffled).encode())
    assert found.different == 0


@given(lines, lines)
def test_lines_compare_the_same_either_way_and_every_line_counts(
    one: list[str], other: list[str]
) -> None:
    a, b = ("".join(f"{x}\n" for x in found).encode() for found in (one, other))
    for ordered in (True, False):
        rules = Rules(Compare(ordered_lines=ordered))
        found = rules.bodies(a, b)
        assert counts(found) == counts(rules.bodies(b, a))
        assert found.total == max(len(one), len(other))
        same = one == other if ordered else sorted(one) == sorted(other)
        assert (found.different == 0) == same


@given(amounts, amounts, tolerances)
def test_a_tolerance_is_the_same_either_way_and_holds_nothing_against_itself(
    one: str, other: str, tolerance: Tolerance
) -> None:
    a, b = Decimal(one), Decimal(other)
    assert near(a, b, tolerance) == near(b, a, tolerance)
    assert near(a, a, tolerance)
    assert near(a, b, Tolerance()) == (a == b)


def test_one_line_too_many_in_the_middle_is_one_difference() -> None:
    found = Rules(Compare()).bodies(b"a\nb\nc\nd\n", b"a\nb\nx\nc\nd\n")
    assert counts(found) == (4, 0, 1)
    (difference,) = found.differences
    assert (difference.where, difference.old, difference.new) == ("line 3", None, "x")


def test_masks_blot_out_what_always_differs() -> None:
    rules = Rules(
        Compare(masks=(Mask("number", "nr [0-9]+"),)), (Mask("time", "[0-9]{2}:[0-9]{2}"),)
    )
    assert counts(rules.bodies(b"at 12:30, nr 7", b"at 14:01, nr 12")) == (1, 0, 0)
    assert counts(rules.bodies(b"at 12:30, no 7", b"at 14:01, no 12")) == (0, 0, 1)
    # A pattern that could take for ever isn't tried on what a host made endless.
    slow = Rules(Compare(masks=(Mask("slow", "(a+)+b"),)))
    assert slow.bodies(b"a" * 20_000, b"a" * 20_000).different == 0


def test_a_number_is_near_by_the_wider_tolerance_and_only_in_its_column() -> None:
    rules = csv_rules(key=("id",), tolerances={"amount": Tolerance("0.01", "0.001")})
    old = b"id,amount,note\n1,10.00,5\n2,2000,x\n3,7,x\n"
    new = b"note,id,amount\n5,1,10.01\nx,2,2001.9\nx,3,7.02\n"
    found = rules.bodies(old, new)
    assert counts(found) == (0, 2, 1)
    (difference,) = found.differences
    assert (difference.where, difference.place) == ("column amount", ("3",))
    assert counts(csv_rules(key=("id",)).bodies(old, new)) == (0, 0, 3)


def test_numbers_are_read_as_the_school_writes_them() -> None:
    rules = csv_rules(
        key=("id",), tolerances={"amount": Tolerance("0.05")}, delimiter=";", decimal_comma=True
    )
    same = rules.bodies(b"id;amount\n1;1.234,50\n", b"id;amount\n1;1234,52\n")
    assert counts(same) == (0, 1, 0)
    other = rules.bodies(b"id;amount\n1;1.234,50\n", b"id;amount\n1;1.234\n")
    assert counts(other) == (0, 0, 1)


@pytest.mark.parametrize("text", ["", "NaN", "inf", "1e9999", "0x10", "1_0", "٣", "1" * 41, "1,5"])
def test_what_is_no_amount_is_no_number(text: str) -> None:
    assert number(text) is None
    tolerances = {"amount": Tolerance("99", "1")}
    rules = csv_rules(key=("id",), tolerances=tolerances)
    found = rules.bodies(f'id,amount\n1,"{text}"\n'.encode(), b"id,amount\n1,5\n")
    assert found.different == 1


def test_columns_that_only_one_side_has_are_told_unless_they_are_ignored() -> None:
    old, new = b"id,a,made\n1,x,2\n", b"id,a,by\n1,x,3\n"
    found = csv_rules(key=("id",)).bodies(old, new)
    assert counts(found) == (1, 0, 2)
    assert {d.place for d in found.differences} == {("made",), ("by",)}
    assert counts(csv_rules(key=("id",), ignore=("made", "by")).bodies(old, new)) == (1, 0, 0)
    lost = csv_rules(key=("nr",)).bodies(old, new)
    assert lost.different == 1
    assert "key column missing: nr" in str(lost.differences[0].new)


def test_paths_in_json_are_ignored_tolerated_and_told() -> None:
    compare = Compare(
        as_="json", ignore=("at", "items.*.id"), unordered=("items",),
        tolerances={"items.*.total": Tolerance("0.01")},
    )  # fmt: skip
    old = {"at": 1, "items": [{"id": 1, "total": 5.0, "n": "x"}, {"id": 2, "total": 7.5, "n": "y"}]}
    new = {"at": 2, "items": [{"id": 8, "total": 7.5, "n": "y"}, {"id": 9, "total": 5, "n": "x"}]}
    rules = Rules(compare)
    assert counts(rules.bodies(json.dumps(old).encode(), json.dumps(new).encode())) == (4, 0, 0)
    new["items"][1]["total"] = 5.01  # type: ignore[index]
    assert counts(rules.bodies(json.dumps(old).encode(), json.dumps(new).encode())) == (3, 1, 0)
    new["items"][1]["n"] = "z"  # type: ignore[index]
    new["more"] = None  # type: ignore[assignment]
    found = rules.bodies(json.dumps(old).encode(), json.dumps(new).encode())
    assert found.different == 2
    assert {d.place for d in found.differences} == {("items", "*", "n"), ("more",)}


@pytest.mark.parametrize(
    ("one", "other"), [("1", '"1"'), ("1", "true"), ("0", "false"), ("null", "0"), ("[]", "{}"),
                       ('["n1"]', "[1]"), ("[1]", "[1, 1]"), ('{"a": 1}', '{"a": {}}')],
)  # fmt: skip
def test_what_is_alike_only_to_python_differs(one: str, other: str) -> None:
    for compare in (Compare(as_="json"), LOOSE):
        assert Rules(compare).bodies(one.encode(), other.encode()).different == 1


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("text", b"\xff\xfe"), ("csv", b""), ("csv", b'a,b\n"x'), ("csv", b"a,a\n1,2\n"),
        ("csv", b"a,b\n1,2,3\n"), ("csv", b"a,b\n1\n"), ("json", b"{"), ("json", b'{"a":1,"a":2}'),
        ("json", b"NaN"), ("json", b"1e99999"), ("json", b"[" * 100_000), ("json", b"9" * 9999),
    ],
)  # fmt: skip
def test_what_cannot_be_read_differs_even_from_itself(kind: Any, data: bytes) -> None:
    found = Rules(Compare(as_=kind)).bodies(data, data)
    assert counts(found) == (0, 0, 1)


def test_bytes_are_the_same_or_not() -> None:
    rules = Rules(Compare(as_="bytes"))
    assert counts(rules.bodies(b"\xff", b"\xff")) == (1, 0, 0)
    assert counts(rules.bodies(b"\xff", b"\xfe")) == (0, 0, 1)


def test_no_more_is_described_than_can_be_read_but_all_is_counted() -> None:
    old = b"".join(b"%d\n" % n for n in range(5000))
    found = Rules(Compare()).bodies(old, old.replace(b"\n", b"x\n"))
    assert found.different == 5000
    assert len(found.differences) == MOST
