from __future__ import annotations

import base64
import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otapgate.anonymize.leaks import Scanner

REAL = [
    "Jan de Vries", "Élodie Müller", "Roos", "Jan", "123456782", "0612345678",
    "+31 6 8765 4321", "jan.devries@school.nl", "NL91ABNA0417164300", "1234 AB",
]  # fmt: skip


@pytest.fixture(scope="module")
def scanner() -> Scanner:
    return Scanner(REAL)


@pytest.mark.parametrize(
    "cell",
    [
        "Gebeld met jan de vries.",
        "JAN DE VRIES",
        "jandevries",
        "seirvednaj42",
        "elodie muller",
        "roos!",
        "jan",
        "x123456782y",
        123456782,
        "1234.56.782",
        "12 123456782",
        "0687654321",
        "31612345678",
        '{"mail": "Jan.deVries@school.nl"}',
        "Jan%20de%20Vries",
        '{"naam": "\\u00c9lodie M\\u00fcller"}',
        "&Eacute;lodie M&uuml;ller",
        base64.b64encode(b"naam: Jan de Vries").decode(),
        b"Jan de Vries".hex(),
        b"\x00\x01Jan de Vries\x00",
        "Jan de Vries".encode("utf-16-le"),
        gzip.compress(b"hallo Jan de Vries", mtime=0),
        "NL91 ABNA 0417 1643 00",
        "1234ab",
    ],
)
def test_a_real_value_is_found_in_every_guise(scanner: Scanner, cell: str | int | bytes) -> None:
    assert scanner.count([cell, "iets anders"]) == 1


@pytest.mark.parametrize(
    "cell", ["rozen", "Roosendaal", "januari", "1234567", "2024-01-01 10:10:10", "Jan de Wit", 7]
)
def test_what_merely_looks_alike_is_left_alone(scanner: Scanner, cell: str | int) -> None:
    assert scanner.count([cell]) == 0


@given(st.text(max_size=30), st.text(max_size=30))
def test_a_long_name_is_found_whatever_stands_around_it(before: str, after: str) -> None:
    # Signs that combine with a letter make it another letter; a space keeps them off.
    assert Scanner(["Willemijn Oosterbaan"]).holds(f"{before} Willemijn Oosterbaan {after}")


def test_what_is_too_short_or_planned_is_counted_and_not_looked_for() -> None:
    scanner = Scanner(["Bo", "12", "Onbekend"], planned=["onbekend"])
    assert scanner.skipped == {"short": 2, "planned": 1}
    assert not scanner.holds("Bo is onbekend, 12")


def test_a_reference_table_may_name_a_place_but_not_a_person_within_text(
    scanner: Scanner,
) -> None:
    assert scanner.count(["Roos"], whole_is_fine=True) == 0
    assert scanner.count(["Roos van de bakker"], whole_is_fine=True) == 1


def test_values_and_numbers_are_cut_out_of_text(scanner: Scanner) -> None:
    cut = scanner.without(["Bel Jan de Vries op 06-55555555 of x@y.nl, roos"], "█")
    assert cut == ["Bel █ op █ of █, █"]


def test_a_text_that_hides_a_value_is_replaced_whole(scanner: Scanner) -> None:
    hidden = base64.b64encode(b"naam: Jan de Vries").decode()
    assert scanner.without([f"zie {hidden}"], "█") == ["█"]
