"""Whatever bytes stand in an entry: a sentence, and never an exception that isn't ours.

One entry that makes every command fall over would be there for good.
"""

from __future__ import annotations

import copy
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otapgate import canonical
from otapgate.ledger import merkle, sqlite, statement
from otapgate.ledger import predicates as p
from otapgate.ledger.state import State, fold
from otapgate.ledger.statement import Head, MalformedStatement
from otapgate.ledger.verify import verify

from .book import FORM, NEW, ORIGIN, school
from .conftest import MemorySigner

EDGES = [
    "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00", "1999-12-31T23:59:59+00:00",
    "2200-01-01T00:00:00+00:00", "2026-11-24T09:00:00+23:59", "2026-11-24", "9999-12-31",
    "0001-01-01", "", "x", "\u2028", "ssh-ed25519 AAAA", "sha256:", 0, -1, 2**53 - 1, 1 - 2**53,
    True, None, [], {}, [[]], [{}], {"a": None},
]  # fmt: skip
SCHOOL = school()
assert SCHOOL.build() is None
FORMED = p.ChangeSubmitted("CHG-0001", "regular", "x", "agenda", FORM)
assert SCHOOL.do("eva", "change-submitted", FORMED, about=[("CHG-0001", FORM)]) is None
SIGNER = MemorySigner()
WHEN = "2026-11-24T12:00:00+01:00"


def first_of(kind: Any) -> Any:
    """A value of a type that a predicate's field may have."""
    made: dict[Any, Any] = {
        msgspec.inspect.StrType: "x", msgspec.inspect.IntType: 1, msgspec.inspect.BoolType: True,
        msgspec.inspect.NoneType: None,
    }  # fmt: skip
    match kind:
        case msgspec.inspect.Metadata(type=inner):
            return first_of(inner)
        case msgspec.inspect.LiteralType(values=values):
            return values[0]
        case msgspec.inspect.UnionType(types=types):
            return first_of(types[0])
        case msgspec.inspect.StructType(fields=fields):
            return {f.encode_name: first_of(f.type) for f in fields}
        case (
            msgspec.inspect.VarTupleType(item_type=item) | msgspec.inspect.ListType(item_type=item)
        ):
            return [first_of(item)]
        case msgspec.inspect.DictType():
            return {}
        case _:
            return made[type(kind)]


def sensible(act: str) -> dict[str, Any]:
    """A predicate of this act; times where times belong, so that reading gets far."""
    made: dict[str, Any] = first_of(msgspec.inspect.type_info(p.ACTS[act].predicate))
    known = {
        "release": NEW, "change": "CHG-0001", "environment": "agenda-T", "person": "daan",
        "start": WHEN, "end": WHEN, "expires": WHEN, "until": "2027-01-01", "now": WHEN,
        "keys": [SIGNER.public.line], "entries": [1], "app": "agenda", "version": "2.0",
        "vtw": FORM, "actor": "daan", "threshold": 1, "origin": ORIGIN,
    }  # fmt: skip
    return {key: known.get(key, value) for key, value in made.items()}


def places(value: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The ways to everything within a JSON value."""
    found = [way] if way else []
    if isinstance(value, dict | list):
        inner = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in inner:
            found += places(item, (*way, key))
    return found


@st.composite
def statements(draw: st.DrawFn) -> tuple[str, bytes]:
    act = draw(st.sampled_from(sorted(p.ACTS)))
    mutated = whole(act)
    for _n in range(draw(st.integers(0, 3))):
        ways = places(mutated)
        if not ways:
            break
        *way, last = draw(st.sampled_from(ways))
        at: Any = mutated
        for key in way:
            at = at[key]
        if draw(st.booleans()):
            at[last] = copy.deepcopy(draw(st.sampled_from(EDGES) | st.text(max_size=8)))
        elif isinstance(at, dict):
            del at[last]
    try:
        data = canonical.encode(mutated)
    except canonical.NotCanonical:
        data = json.dumps(mutated).encode()
    if draw(st.integers(0, 9)) == 0:
        where = draw(st.integers(0, len(data)))
        data = data[:where] + draw(st.binary(max_size=4)) + data[where + draw(st.integers(0, 3)) :]
    return act, data


def state() -> State:
    return msgspec.json.decode(msgspec.json.encode(SCHOOL.state), type=State)


class One:
    """A log of one entry, of which nothing is certain."""

    origin = ORIGIN

    def __init__(self, data: bytes, signature: str) -> None:
        leaf = statement.leaf_hash(data, signature)
        self.entry = statement.Entry(0, data, signature, leaf)

    def entries(self, start: int = 0, stop: int | None = None) -> list[statement.Entry]:
        return [self.entry]

    def head(self, size: int | None = None) -> Head:
        return Head(ORIGIN, 1, self.entry.leaf.hex())

    def nodes(self, size: int) -> list[tuple[int, int, bytes]]:
        return []

    def kept_details(self, size: int) -> list[sqlite.DetailRow]:
        return []

    def faults(self) -> list[str]:
        return []


@settings(max_examples=300)
@given(statements(), st.sampled_from(["anna", "bram", "chris", "daan", "eva"]))
def test_no_statement_makes_reading_fall_over(made: tuple[str, bytes], by: str) -> None:
    act, data = made
    verify(One(data, SIGNER.sign(data, statement.namespace(act))))
    try:
        read = statement.parse(data)
    except MalformedStatement:
        return
    people = state()
    fold(people, people.size, read, SCHOOL.keys[by].public.fingerprint)
    msgspec.json.encode(people)
    fold(State(), 0, read, SCHOOL.keys[by].public.fingerprint)


def whole(act: str) -> dict[str, Any]:
    """A statement of this act that is in order."""
    return {
        "_type": statement.STATEMENT_TYPE,
        "subject": [
            {"name": "agenda@2.0", "digest": {"sha256": digest.removeprefix("sha256:")}}
            for digest in (NEW, FORM)
        ],
        "predicateType": statement.predicate_type(act),
        "predicate": {
            **sensible(act),
            "at": WHEN,
            "log": {"origin": ORIGIN, "size": 0, "root": merkle.EMPTY_ROOT.hex()},
        },
    }


def entitled(act: str) -> str:
    """Somebody whose act of this kind is looked at for what it says."""
    wanted = p.ACTS[act].roles
    people = SCHOOL.state.directory
    return next(n for n in SCHOOL.keys
                if wanted is None or wanted & people.roles(n, "2026-11-24"))  # fmt: skip


@pytest.mark.parametrize("act", sorted(p.ACTS))
def test_no_odd_value_anywhere_makes_folding_fall_over(act: str) -> None:
    """Every value of a statement that is in order, replaced by every odd one."""
    print_of = SCHOOL.keys[entitled(act)].public.fingerprint
    kept, plain = msgspec.json.encode(SCHOOL.state), canonical.encode(whole(act))
    after = statement.parse(plain)
    for *way, last in places(whole(act)):
        for odd in EDGES:
            made = json.loads(plain)
            at: Any = made
            for key in way:
                at = at[key]
            at[last] = odd
            try:
                read = statement.parse(canonical.encode(made))
            except MalformedStatement:
                continue
            for people in (msgspec.json.decode(kept, type=State), State()):
                fold(people, people.size, read, print_of)
                fold(people, people.size, after, print_of)


@given(st.binary(max_size=200))
def test_no_bytes_make_parsing_fall_over(data: bytes) -> None:
    with pytest.raises(MalformedStatement):
        statement.parse(data)


@given(st.text(max_size=200))
def test_no_signature_makes_verifying_fall_over(text: str) -> None:
    found = verify(One(b"{}", text.encode("utf-8", "replace").decode()))
    assert found.problems


def test_every_act_is_tried_with_something_that_can_be_read() -> None:
    for act in p.ACTS:
        p.from_predicate(act, sensible(act))
