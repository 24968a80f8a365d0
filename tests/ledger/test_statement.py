"""Statements: what is sealed is read back; anything else is refused with a sentence."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otapgate import canonical
from otapgate.ledger import merkle, statement
from otapgate.ledger.statement import Draft, Head, MalformedStatement, Subject

AT = datetime(2026, 1, 1, 10, 0, 0, 999_999, tzinfo=timezone(timedelta(hours=1)))
HEAD = Head("school.example/ledger", 41, "ab" * 32)
SUBJECT = Subject("agenda@3.5.4", "sha256:" + "0c" * 32)
DRAFT = Draft("acceptance", (SUBJECT,), {"change": "CHG-0001"})


def good() -> dict[str, Any]:
    """The parsed JSON of a sealed statement with a detail, to be damaged."""
    draft = Draft("acceptance", (SUBJECT,), {"change": "CHG-0001"}, {"notes": "Fine."})
    value: dict[str, Any] = json.loads(statement.seal(draft, HEAD, AT).statement)
    return value


def test_a_sealed_draft_reads_back_as_it_was() -> None:
    draft = Draft("environment-accepted", (SUBJECT,), {"environment": "agenda-P"}, {"because": "Ü"})
    sealed = statement.seal(draft, HEAD, AT)
    read = statement.parse(sealed.statement)
    assert read.act == "environment-accepted"
    assert read.version == 1
    assert read.subjects == (SUBJECT,)
    assert read.at == "2026-01-01T10:00:00+01:00"
    assert read.head == HEAD
    assert read.predicate == {"environment": "agenda-P"}
    assert read.detail == {"because": sealed.details[0].commitment}


def test_a_statement_without_details_has_no_detail_object() -> None:
    sealed = statement.seal(DRAFT, HEAD, AT)
    assert sealed.details == ()
    assert b'"detail"' not in sealed.statement
    assert statement.parse(sealed.statement).detail == {}


def test_the_bytes_of_a_statement_are_those_of_the_documentation() -> None:
    sealed = statement.seal(DRAFT, HEAD, AT)
    assert sealed.statement.decode() == (
        '{"_type":"https://in-toto.io/Statement/v1","predicate":'
        '{"at":"2026-01-01T10:00:00+01:00","change":"CHG-0001","log":'
        '{"origin":"school.example/ledger","root":"' + "ab" * 32 + '","size":41}},'
        '"predicateType":"https://otapgate.example/predicate/acceptance/v1",'
        '"subject":[{"digest":{"sha256":"' + "0c" * 32 + '"},"name":"agenda@3.5.4"}]}'
    )


def test_a_commitment_is_the_hash_of_salt_and_canonical_value() -> None:
    draft = Draft("acceptance", (SUBJECT,), {}, {"notes": {"b": 1, "a": "Zoë"}})
    detail = statement.seal(draft, HEAD, AT, salt=lambda: b"s" * 32).details[0]
    assert detail.value == '{"a":"Zoë","b":1}'.encode()
    expected = hashlib.sha256(b"s" * 32 + detail.value).hexdigest()
    assert detail.commitment == f"sha256:{expected}"


def test_the_same_value_gets_another_commitment_each_time() -> None:
    draft = Draft("acceptance", (SUBJECT,), {}, {"a": "x", "b": "x"})
    details = [*statement.seal(draft, HEAD, AT).details, *statement.seal(draft, HEAD, AT).details]
    assert len({one.commitment for one in details}) == 4
    assert {len(one.salt) for one in details} == {32}


def test_the_value_of_a_detail_is_not_in_the_statement() -> None:
    draft = Draft("acceptance", (SUBJECT,), {}, {"name": "Sanne de Vries"})
    assert b"Sanne" not in statement.seal(draft, HEAD, AT).statement


def test_a_leaf_is_statement_newline_signature() -> None:
    assert statement.leaf_data(b"{}", "SIG\n") == b"{}\nSIG\n"
    assert statement.leaf_hash(b"{}", "SIG\n") == merkle.leaf_hash(b"{}\nSIG\n")


def test_the_namespace_names_the_act() -> None:
    assert statement.namespace("signoff") == "signoff@otapgate"


@pytest.mark.parametrize("key", ["at", "log", "detail"])
def test_a_predicate_may_not_bring_the_common_fields_itself(key: str) -> None:
    with pytest.raises(MalformedStatement, match=key):
        statement.seal(Draft("acceptance", (SUBJECT,), {key: {}}), HEAD, AT)


def test_a_time_without_zone_is_not_sealed() -> None:
    with pytest.raises(MalformedStatement, match="zone"):
        statement.seal(DRAFT, HEAD, datetime(2026, 1, 1))


@pytest.mark.parametrize(
    "draft",
    [
        Draft("acceptance", (), {}),
        Draft("Acceptance", (SUBJECT,), {}),
        Draft("a/../b", (SUBJECT,), {}),
        Draft("acceptance", (Subject("x", "md5:" + "0" * 32),), {}),
        Draft("acceptance", (SUBJECT,), {"score": 0.5}),
        Draft("acceptance", (SUBJECT,), {}, {"score": 0.5}),
        Draft("acceptance", (SUBJECT,), {}, {"Bad Field": "x"}),
        Draft("acceptance", (SUBJECT,), {"text": "x" * statement.MAX_STATEMENT}),
    ],
)
def test_what_could_not_be_read_back_is_never_sealed(draft: Draft) -> None:
    with pytest.raises(MalformedStatement):
        statement.seal(draft, HEAD, AT)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"\xff",
        b"[" * 100_000,
        b"1" * 5000,
        b'{"a":1,"a":1}',
        b" {}",
        b"\xef\xbb\xbf{}",
        b"NaN",
        b"1.0",
        b'"\\u0041"',
        b" " * (statement.MAX_STATEMENT + 1),
        b"[]",
        b"null",
    ],
)
def test_bytes_that_are_no_statement_are_refused(data: bytes) -> None:
    with pytest.raises(MalformedStatement):
        statement.parse(data)


def test_a_statement_in_another_form_is_refused() -> None:
    value = good()
    for other in (
        json.dumps(value).encode(),
        json.dumps(value, separators=(",", ":")).encode() + b"\n",
        json.dumps(value, indent=1, sort_keys=True).encode(),
    ):
        with pytest.raises(MalformedStatement, match="canonical"):
            statement.parse(other)


DAMAGE: list[tuple[tuple[str | int, ...], Any]] = [
    (("_type",), "https://in-toto.io/Statement/v0.1"),
    (("_type",), None),
    (("extra",), 1),
    (("predicateType",), 7),
    (("predicateType",), "https://otapgate.example/predicate/acceptance"),
    (("predicateType",), "https://otapgate.example/predicate/acceptance/v0"),
    (("predicateType",), "https://otapgate.example/predicate/acceptance/v1\n"),
    (("predicateType",), "https://elsewhere.example/predicate/acceptance/v1"),
    (("predicate",), []),
    (("predicate",), {"at": "2026-01-01T10:00:00+01:00"}),
    (("subject",), []),
    (("subject",), {}),
    (("subject", 0), "agenda"),
    (("subject", 0, "uri"), "x"),
    (("subject", 0, "name"), ""),
    (("subject", 0, "name"), 1),
    (("subject", 0, "name"), "agenda\x1b[2J"),
    (("subject", 0, "digest"), {"sha256": "0" * 64, "md5": "0"}),
    (("subject", 0, "digest", "sha256"), "0" * 63),
    (("subject", 0, "digest", "sha256"), "A" * 64),
    (("subject", 0, "digest", "sha256"), None),
    (("predicate", "at"), 1),
    (("predicate", "at"), "gisteren"),
    (("predicate", "at"), "2026-01-01T10:00:00"),
    (("predicate", "at"), "2026-01-01T10:00:00Z"),
    (("predicate", "at"), "2026-01-01T10:00:00.5+01:00"),
    (("predicate", "at"), "2026-02-30T10:00:00+01:00"),
    (("predicate", "log"), None),
    (("predicate", "log", "origin"), ""),
    (("predicate", "log", "origin"), 3),
    (("predicate", "log", "origin"), "a b"),
    (("predicate", "log", "origin"), "a+b"),
    (("predicate", "log", "origin"), "a\tb"),
    (("predicate", "log", "origin"), "a" * 256),
    (("predicate", "log", "size"), -1),
    (("predicate", "log", "size"), True),
    (("predicate", "log", "size"), "1"),
    (("predicate", "log", "size"), 2**53),
    (("predicate", "log", "root"), "AB" * 32),
    (("predicate", "log", "root"), 0),
    (("predicate", "detail"), {}),
    (("predicate", "detail"), []),
    (("predicate", "detail"), {"my notes": "sha256:" + "0" * 64}),
    (("predicate", "detail"), {"notes": "0" * 64}),
    (("predicate", "detail"), {"notes": "sha256:" + "0" * 64, "more": 1}),
]


@pytest.mark.parametrize(("path", "value"), DAMAGE)
def test_a_statement_damaged_in_one_place_is_refused(
    path: tuple[str | int, ...], value: Any
) -> None:
    whole = good()
    statement.parse(canonical.encode(whole))
    inner: Any = whole
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    data = json.dumps(whole, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    with pytest.raises(MalformedStatement) as refusal:
        statement.parse(data)
    assert str(refusal.value).endswith(".")


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-canonical.MAX_INTEGER, canonical.MAX_INTEGER)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text("abc_-", min_size=1), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(
    st.dictionaries(st.sampled_from(["change", "release", "x"]), json_values),
    st.dictionaries(st.sampled_from(["name", "notes", "vtw"]), json_values),
    st.datetimes(datetime(2000, 1, 1), datetime(2199, 12, 31), timezones=st.just(AT.tzinfo)),
)
def test_any_json_survives_sealing(
    predicate: dict[str, Any], details: dict[str, Any], at: datetime
) -> None:
    sealed = statement.seal(Draft("acceptance", (SUBJECT,), predicate, details), HEAD, at)
    read = statement.parse(sealed.statement)
    assert read.predicate == predicate
    assert {one.field: canonical.decode(one.value) for one in sealed.details} == details
    assert b"\n" not in sealed.statement


@given(st.data())
def test_a_changed_byte_is_refused_or_reads_as_something_else(data: st.DataObject) -> None:
    sealed = statement.seal(DRAFT, HEAD, AT).statement
    index = data.draw(st.integers(0, len(sealed) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda b: b != sealed[index]))
    changed = sealed[:index] + bytes([byte]) + sealed[index + 1 :]
    try:
        read = statement.parse(changed)
    except MalformedStatement:
        return
    assert read != statement.parse(sealed)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_never_break_the_reader(data: bytes) -> None:
    with pytest.raises(MalformedStatement):
        statement.parse(data)


@pytest.mark.parametrize("year", [1, 1999, 2200, 9999])
def test_a_year_that_nobody_means_is_refused(year: int) -> None:
    """At the ends of the calendar another zone is another era, and reckoning breaks."""
    with pytest.raises(MalformedStatement, match="years 2000 to 2199"):
        statement.seal(DRAFT, HEAD, AT.replace(year=year))


def test_the_first_and_the_last_year_are_taken() -> None:
    for year in (2000, 2199):
        assert statement.seal(DRAFT, HEAD, AT.replace(year=year))
