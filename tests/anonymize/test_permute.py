from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stdnum import iban as iban_standard
from stdnum.nl import bsn as bsn_standard

from otapgate.anonymize import permute
from otapgate.anonymize.keys import Prf, RunKey


def numbers(*values: int) -> pl.Series:
    return pl.Series(values, dtype=pl.UInt64)


@given(st.integers(2, 3000), st.binary(min_size=32, max_size=32))
@settings(max_examples=40, deadline=None)
def test_every_range_is_permuted_onto_itself(size: int, key: bytes) -> None:
    permutation = permute.Permutation(Prf(RunKey(key), "x"), size)
    result = permutation.apply(pl.arange(0, size, eager=True, dtype=pl.UInt64))
    assert sorted(result) == list(range(size))


def test_a_range_too_large_for_tables_stays_unique_and_inside() -> None:
    permutation = permute.Permutation(Prf(RunKey(), "x"), 10**14 + 7)
    result = permutation.apply(pl.arange(0, 5000, eager=True, dtype=pl.UInt64))
    assert result.n_unique() == 5000
    assert result.max() < 10**14 + 7  # type: ignore[operator]
    assert result.max() > 10**12  # type: ignore[operator]


def test_another_key_gives_another_permutation() -> None:
    asked = pl.arange(0, 1000, eager=True, dtype=pl.UInt64)
    one, two = (permute.Permutation(Prf(RunKey(), "x"), 10**8).apply(asked) for _ in range(2))
    assert (one == two).sum() <= 1


@given(st.lists(st.integers(0, 9 * 10**6 - 1), min_size=1, max_size=50))
def test_every_written_bsn_passes_the_eleven_test_in_the_test_range(asked: list[int]) -> None:
    style = permute.bsn()
    written = style.write(numbers(*asked))
    assert all(bsn_standard.is_valid(text) and text.startswith("9") for text in written)
    assert written.n_unique() == len(set(asked))
    assert style.valid(written).all()


def test_ten_neighbouring_bsn_numbers_never_meet() -> None:
    style = permute.bsn()
    asked = pl.arange(0, 200_000, eager=True, dtype=pl.UInt64)
    assert style.write(asked).n_unique() == 200_000


def test_an_invalid_bsn_stays_invalid_and_never_meets_a_valid_one() -> None:
    style = permute.bsn()
    asked = pl.arange(0, 50_000, eager=True, dtype=pl.UInt64)
    invalid = style.write_invalid(asked)
    assert invalid.n_unique() == 50_000
    assert not style.valid(invalid).any()
    assert not any(bsn_standard.is_valid(text) for text in invalid.head(2000))


@given(st.lists(st.integers(0, 10**10 - 1), min_size=1, max_size=50))
def test_every_written_iban_is_valid_at_a_bank_that_does_not_exist(asked: list[int]) -> None:
    written = permute.iban().write(numbers(*asked))
    assert all(iban_standard.is_valid(text) and text[4:8] == "OTAP" for text in written)


@pytest.mark.parametrize(
    ("written", "spelling"),
    [("10001", "10001"), ("1.234.567", "001234567"), ("1234 56 782", "123456782")],
)
def test_ways_of_writing_a_bsn_have_one_spelling(written: str, spelling: str) -> None:
    assert permute.bsn().canonical(pl.Series([written])).to_list() == [spelling]


@given(st.text(max_size=40))
@settings(deadline=None)
def test_the_keyed_function_depends_on_key_label_and_text(text: str) -> None:
    key, other = RunKey(b"k" * 32), RunKey(b"o" * 32)
    asked = pl.Series([text, text + "x", text], dtype=pl.Utf8)
    first = Prf(key, "a").numbers(asked)
    assert first[0] == first[2] != first[1]
    assert first.to_list() != Prf(key, "b").numbers(asked).to_list()
    assert first.to_list() != Prf(other, "a").numbers(asked).to_list()


def test_short_long_and_odd_texts_get_the_same_number_alone_and_together() -> None:
    prf = Prf(RunKey(), "a")
    texts = ["jan", "é", "x" * 15, "x" * 16, "", "a\0", "a"]
    together = prf.numbers(pl.Series(texts)).to_list()
    assert together == [prf.numbers(pl.Series([text]))[0] for text in texts]
    assert len(set(together)) == len(texts)


def test_a_destroyed_key_is_overwritten_and_gives_nothing() -> None:
    key = RunKey()
    sub = key.subkey("x")
    assert any(sub)
    key.destroy()
    assert not any(sub)
    assert not any(key._key)
    with pytest.raises(ValueError, match="destroyed"):
        key.subkey("x")
