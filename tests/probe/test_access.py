"""Who gets in against the rules: stray and missing, by host, account and what. CH04-05."""

from __future__ import annotations

from typing import Any

import pytest

from otapgate.landscape import model as m
from otapgate.probe.access import Access, Holder, access
from otapgate.probe.answers import Account, Host, Seen
from otapgate.probe.connection import Way

DAAN, CHRIS, ROBOT, OWN = ("SHA256:" + c * 43 for c in "dcro")
HOLDERS = {
    DAAN: Holder("Daan", frozenset({"administrator"})),
    CHRIS: Holder("Chris", frozenset({"builder", "administrator"})),
}


def account(name: str = "deploy", *keys: str, root: str = "", password: bool = False) -> Account:
    return Account(name, [], list(keys), password, bool(keys) or password, root)


def look(stage: m.Stage, *accounts: Account, unknown: tuple[str, ...] = (), **rules: Any) -> Access:
    given: dict[str, Any] = {"access": {"deploy": ("administrator",)}, "sudo": ("deploy",), **rules}
    described = m.Environment("agenda", stage, "agenda", "", (m.Host("h"),), **given)
    way = Way("agenda", "h", False, user="deploy")
    host = Host(way, Seen([], accounts=list(accounts)), unknown, key=OWN)
    return access(described, [host], HOLDERS)


def strays(found: Access) -> list[tuple[str, str, str]]:
    return [(one.host, one.account, one.what) for one in found.stray]


RIGHT = account("deploy", DAAN, root="sudo")


def test_what_the_rules_say_is_proven() -> None:
    found = look("P", RIGHT)
    assert (found.outcome, found.stray, found.missing, found.unknown) == ("proven", (), (), ())


@pytest.mark.parametrize(
    ("accounts", "expected"),
    [
        ([RIGHT, account("guest", ROBOT)], ("h", "guest", "account")),
        ([RIGHT, account("guest", password=True)], ("h", "guest", "account")),
        ([RIGHT, account("root", password=True, root="uid 0")], ("h", "root", "account")),
        ([account("deploy", DAAN, ROBOT, root="sudo")], ("h", "deploy", "key")),
        ([RIGHT, account("backup", root="sudo by group ops")], ("h", "backup", "root")),
        ([RIGHT, Account("toor", [], [], False, False, "uid 0")], ("h", "toor", "root")),
    ],
)
def test_what_no_rule_names_is_stray(
    accounts: list[Account], expected: tuple[str, str, str]
) -> None:
    found = look("T", *accounts)
    assert found.outcome == "violated"
    assert strays(found) == [expected]


def test_rights_to_root_are_named_apart_from_the_account() -> None:
    found = look("T", account("deploy", DAAN, root="group docker"), sudo=())
    assert [(one.what, one.detail) for one in found.stray] == [("root", "group docker")]


def test_what_a_rule_names_and_isnt_there_is_missing() -> None:
    found = look("T")
    assert [(one.account, one.what) for one in found.missing] == [("deploy", "account")]
    found = look("T", account("deploy", DAAN))
    assert [(one.account, one.what) for one in found.missing] == [("deploy", "root")]
    assert found.outcome == "violated"


def test_a_key_may_be_a_robots_that_is_named_or_otapgates_own() -> None:
    named = look("T", account("deploy", ROBOT, root="s"), access_keys={"deploy": (ROBOT,)})
    assert named.outcome == "proven"
    assert look("T", account("deploy", OWN, root="s")).outcome == "proven"
    other = look("T", RIGHT, account("root", OWN, root="uid 0"), access={"root": (), "deploy":
                 ("administrator",)})  # fmt: skip
    assert strays(other) == [("h", "root", "key")], "only in the account that otapgate uses"


def test_a_role_that_may_not_use_the_account_doesnt_open_it() -> None:
    found = look("T", account("deploy", DAAN, root="s"), access={"deploy": ("tester",)})
    assert strays(found) == [("h", "deploy", "key")]
    assert found.stray[0].who == "Daan"


def test_a_builders_key_on_production_is_a_violation_whatever_the_rules_say() -> None:
    """F16."""
    both = account("deploy", CHRIS, root="sudo")
    found = look("P", both)
    assert strays(found) == [("h", "deploy", "builder-key")]
    assert (found.builders, found.outcome) == (1, "violated")
    assert found.stray[0].who == "Chris"
    named = look("P", both, access_keys={"deploy": (CHRIS,)})
    assert named.builders == 1
    assert look("T", both).outcome == "proven"


def test_what_could_not_be_told_is_not_proven() -> None:
    assert look("T", RIGHT, unknown=("h: /etc/shadow can't be read",)).outcome == "unknown"
    way = Way("agenda", "h", False)
    described = m.Environment("agenda", "T", "agenda", "", (m.Host("h"),))
    assert access(described, [Host(way, None, ("gone",))], {}).outcome == "unknown"
    assert access(described, [Host(way, Seen([]), ())], {}).outcome == "unknown"
    assert access(described, [], {}).outcome == "unknown"
