"""Names are words that no shell or terminal takes for more, wherever they stand in an act."""

from __future__ import annotations

import msgspec
import pytest
from msgspec import inspect

from otapgate.ledger import naming
from otapgate.ledger import predicates as p
from otapgate.ledger.naming import Name

from .book import DATA, DESCRIBED, NEW, OLD, PLAN

WRONG = ("", "a b", "$(reboot)", "-rf", "a;b", "a\n", "\x1b[2J", "é", "a" * 129)
RIGHT = ("a", "agenda@2.0", "CHG-0001", "A/b:c~d!e+f_g", "a" * 128)


class Everywhere(p.Predicate, frozen=True):
    """A name in every way that an act can hold one."""

    one: Name
    free: str = ""
    maybe: Name | None = None
    many: tuple[Name, ...] = ()
    keyed: dict[Name, str] = {}  # noqa: RUF012 - msgspec gives each its own
    nested: tuple[p.Founder, ...] = ()
    numbers: tuple[int, ...] = ()
    plain: dict[str, str] = {}  # noqa: RUF012 - msgspec gives each its own
    either: str | None = None
    inner: p.Source | None = None


@pytest.mark.parametrize("name", RIGHT)
def test_a_word_is_a_name(name: str):
    naming.check({"one": name, "maybe": name, "many": [name, name]}, Everywhere)


@pytest.mark.parametrize("name", WRONG)
def test_what_is_more_than_a_word_is_no_name_wherever_it_stands(name: str):
    for where in (
        {"one": name},
        {"one": "a", "maybe": name},
        {"one": "a", "many": ["a", name]},
        {"one": "a", "keyed": {"a": "", name: ""}},
        {"one": "a", "nested": [{"person": name, "keys": []}]},
    ):
        msgspec.convert(where, Everywhere)  # of the right shape
        with pytest.raises(msgspec.ValidationError, match="can't be a name") as error:
            naming.check(where, Everywhere)
        assert str(error.value).isprintable()


def test_what_is_no_name_may_be_anything():
    free = {"one": "a", "free": "a b", "maybe": None, "plain": {"a b": "; c"}, "either": "$d",
            "numbers": [1], "inner": {"commit": "e f", "clean": True}}  # fmt: skip
    naming.check(free, Everywhere)
    naming.check({"policy": "a b"}, p.PolicyApproved)


@pytest.mark.parametrize(
    ("act", "predicate"),
    [
        ("genesis", p.Genesis("o", (p.Founder("a b", ()),), 1, PLAN)),
        ("person-revoked", p.PersonRevoked("a b")),
        ("role-granted", p.RoleGranted("a", "tester", street="a b")),
        ("change-submitted", p.ChangeSubmitted("a", "regular", "x", "a b", PLAN)),
        ("change-closed", p.ChangeClosed("a b", "succeeded")),
        ("release-built", p.ReleaseBuilt("a", "1", "a", None, 1, 1, ("a", "a b"))),
        ("plan-registered", p.PlanRegistered("a", PLAN, "a", (p.Criterion("a b", "data"),), ())),
        ("plan-registered", p.PlanRegistered("a", PLAN, "a", (), ("a b",))),
        ("test-run", p.TestRun("a", NEW, "a", DESCRIBED, PLAN, "passed",
                               (p.CaseOutcome("a", "a b", "data", "passed", 1),), DATA)),
        ("acceptance", p.Acceptance(NEW, "a", DESCRIBED, "c", {"a b": PLAN}, {})),
        ("acceptance", p.Acceptance(NEW, "a", DESCRIBED, "c", {}, {"a b": "pass"})),
        ("rollback-started", p.RollbackStarted("a", "a b", "a", NEW, OLD)),
    ],
)  # fmt: skip
def test_an_act_is_read_only_with_names_that_are_names(act: str, predicate: p.Predicate):
    with pytest.raises(msgspec.ValidationError, match="can't be a name"):
        p.from_predicate(act, p.to_predicate(predicate))


def test_no_act_holds_a_name_where_none_is_looked_for():
    for known in p.ACTS.values():
        within(inspect.type_info(known.predicate))


def within(kind: object) -> None:
    """Only in fields, in items of tuples, as keys of objects, or where nothing may be."""
    if "'checked': 'name'" not in str(kind) or isinstance(kind, inspect.Metadata):
        return
    match kind:
        case inspect.StructType(fields=fields):
            for field in fields:
                within(field.type)
        case inspect.VarTupleType(item_type=item):
            within(item)
        case inspect.DictType(key_type=key, value_type=value):
            within(key)
            assert "'checked'" not in str(value)
        case inspect.UnionType(types=(one, inspect.NoneType())):
            within(one)
        case _:
            raise AssertionError(kind)
