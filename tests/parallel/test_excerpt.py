"""What is kept of a difference holds hardly anything of what was compared."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from otapgate.parallel.compare import Difference
from otapgate.parallel.excerpt import FEW, Excerpts

names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30)


@given(names, names, names)
def test_of_personal_data_only_the_shape_of_a_few_characters_is_kept(
    key: str, old: str, new: str
) -> None:
    told = Excerpts(personal=True).of(Difference("column x", (key,), old, new))
    for text in (told["old"], told["new"]):
        assert text is not None
        kept = text.strip("…")
        assert len(kept) <= FEW
        assert not set(kept) & (set(old + new) - set(" .,:;-+/_()[]{}'\"=Aa9?"))
    assert told["place"] is not None
    assert len(told["place"]) == 9


def test_a_key_has_one_mark_in_one_comparison_and_another_in_the_next() -> None:
    difference = Difference("row", ("999900015",), "row", None)
    one, other = Excerpts(personal=True), Excerpts(personal=True)
    assert one.of(difference)["place"] == one.of(difference)["place"]
    assert one.of(difference)["place"] != other.of(difference)["place"]
    assert one.digest(b"x") == one.digest(b"x") != other.digest(b"x")


def test_the_shape_begins_where_they_differ() -> None:
    told = Excerpts(personal=True).of(Difference("column a", (), "1.234,50", "1.234,75"))
    assert (told["old"], told["new"]) == ("…99", "…99")
    told = Excerpts(personal=True).of(Difference("column a", (), "Jansen", "jansen"))
    assert (told["old"], told["new"]) == ("Aaaaaa", "aaaaaa")


def test_names_in_the_plan_are_no_secret() -> None:
    told = Excerpts(personal=True, known=["items"]).of(
        Difference("value", ("items", "*", "Fatima"), "1", None)
    )
    assert str(told["place"]).startswith("items.*.#")
    assert "Fatima" not in json.dumps(told)
    assert told["new"] is None


def test_other_data_are_shown_around_the_difference_without_control_characters() -> None:
    told = Excerpts(personal=False).of(
        Difference("line 3", ("a.csv",), "x" * 100 + "\x1b[31m", "x" * 100 + "y")
    )
    assert told["place"] == "a.csv"
    assert str(told["new"]).endswith("xxxy")
    assert "\x1b" not in str(told["old"])
