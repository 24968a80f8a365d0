"""Apart from production or not: paths and shared things, each named. CH04-04."""

from __future__ import annotations

from typing import Any

import pytest

from otapgate.landscape import model as m
from otapgate.probe.answers import Host, Item, Possessions, Seen
from otapgate.probe.connection import Way
from otapgate.probe.isolation import Isolation, Target, isolation, targets
from otapgate.probe.names import with_addresses

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFh"
PRODUCTION = m.Environment(
    "agenda-P", "P", "agenda", "",
    (m.Host("p1", {"ansible_host": "192.0.2.21"}), m.Host("p2", {"ansible_port": 2222})),
    ports=(443,), names=("agenda.example",), relays=("smtp.example:25", "[2001:db8::1]:587"),
    databases=("postgresql://db.example/agenda", "sqlite:////srv/x.db"),
)  # fmt: skip
TEST = m.Environment("agenda-T", "T", "agenda", "", (m.Host("t1"),))
TRIED = targets([PRODUCTION])


def host(env: m.Environment, name: str, *items: Item, sweep: Any = None, **fields: Any) -> Host:
    possessions = Possessions(list(items), fields.pop("kernel", name), fields.pop("talks", []))
    outcomes = ["filtered"] * len(TRIED) if sweep is None else sweep
    seen = Seen([], sweep=outcomes, possessions=possessions)
    return Host(Way(env.name, name, False), seen, fields.pop("unknown", ()), fields.pop("key", ""))


def compare(mine: Host, theirs: Host, env: m.Environment = TEST, **more: Any) -> Isolation:
    given: dict[str, Any] = {"secrets": {}, "their_secrets": {}, **more}
    return isolation(env, [more.pop("production", PRODUCTION)], [mine], [theirs], **given)


def test_every_address_port_name_relay_and_database_of_production_is_tried() -> None:
    assert {(one.address, one.port) for one in TRIED} == {
        ("192.0.2.21", 22), ("192.0.2.21", 443), ("p2", 2222), ("p2", 443),
        ("agenda.example", 22), ("agenda.example", 443), ("agenda.example", 2222),
        ("smtp.example", 25), ("2001:db8::1", 587), ("db.example", 5432),
    }  # fmt: skip
    local = m.Environment("x", "P", "x", "", (m.Host("h", {"ansible_connection": "local"}),))
    assert targets([local]) == ()


def test_nothing_open_nothing_shared_nothing_unknown_is_proven() -> None:
    found = compare(host(TEST, "t1"), host(PRODUCTION, "p1"))
    assert (found.outcome, found.shared, found.unknown) == ("proven", (), ())
    assert len(found.paths) == len(TRIED)
    closed = compare(host(TEST, "t1", sweep=["closed"] * len(TRIED)), host(PRODUCTION, "p1"))
    assert closed.outcome == "proven"


def test_one_open_path_is_a_violation_and_named() -> None:
    sweep = ["open" if t.port == 5432 else "filtered" for t in TRIED]
    found = compare(host(TEST, "t1", sweep=sweep), host(PRODUCTION, "p1"))
    assert found.outcome == "violated"
    (path,) = [path for path in found.paths if path.outcome == "open"]
    assert (path.source, path.to, path.port) == ("t1", "postgresql://db.example/agenda", 5432)


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        ({"sweep": ["unknown", *["filtered"] * (len(TRIED) - 1)]}, {}),
        ({"sweep": []}, {}),
        ({"sweep": ["filtered"] * (len(TRIED) + 1)}, {}),
        ({"unknown": ("t1: /root can't be read",)}, {}),
        ({}, {"unknown": ("p1 can't be reached",)}),
    ],
)
def test_what_could_not_be_told_is_not_proven(mine: Any, theirs: Any) -> None:
    found = compare(host(TEST, "t1", **mine), host(PRODUCTION, "p1", **theirs))
    assert found.outcome == "unknown"
    assert found.unknown


def test_no_hosts_prove_nothing() -> None:
    found = isolation(TEST, [PRODUCTION], [host(TEST, "t1")], [], secrets={}, their_secrets={})
    assert found.outcome == "unknown"


@pytest.mark.parametrize(
    "kind", ["machine-id", "host-key", "disk", "mount", "private-key", "password", "database"]
)
def test_the_same_thing_on_both_sides_is_named_with_both_hosts(kind: str) -> None:
    found = compare(
        host(TEST, "t1", Item(kind, "here", "h1"), Item(kind, "else", "h2")),
        host(PRODUCTION, "p1", Item(kind, "there", "h1"), Item("mount", "other", "h2")),
    )
    assert found.outcome == "violated"
    (one,) = [s for s in found.shared if s.what == "here"]
    assert (one.kind, one.source, one.to, one.there) == (kind, "t1", "p1", "there")


def test_a_key_on_test_that_opens_production_is_named_and_not_the_other_way_round() -> None:
    opens, door = Item("opens", "/root/.ssh/id_rsa", "h"), Item("door", "deploy", "h")
    found = compare(host(TEST, "t1", opens), host(PRODUCTION, "p1", door))
    assert [(s.kind, s.what, s.there) for s in found.shared] == [
        ("opens", "/root/.ssh/id_rsa", "deploy")
    ]
    assert compare(host(TEST, "t1", door), host(PRODUCTION, "p1", opens)).outcome == "proven"


def test_an_authorised_key_may_be_on_both_sides_when_the_rules_say_so() -> None:
    own, other = "SHA256:" + "o" * 43, "SHA256:" + "x" * 43
    item = Item("authorised-key", f"deploy {own}", "h")
    entering = compare(host(TEST, "t1", item, key=own), host(PRODUCTION, "p1", item, key=own))
    assert entering.outcome == "proven", "otapgate itself comes on both"
    admitted = compare(host(TEST, "t1", item), host(PRODUCTION, "p1", item),
                       admitted=frozenset({own}))  # fmt: skip
    assert admitted.outcome == "proven"
    stray = compare(host(TEST, "t1", item, key=other), host(PRODUCTION, "p1", item))
    assert [s.kind for s in stray.shared] == ["authorised-key"]


def test_disks_of_one_kernel_are_no_shared_disks_but_the_kernel_is_told() -> None:
    disk = Item("disk", "/dev/sda", "h")
    found = compare(host(TEST, "t1", disk, kernel="k"), host(PRODUCTION, "p1", disk, kernel="k"))
    assert (found.outcome, found.one_kernel) == ("proven", (("t1", "p1"),))


def test_a_closed_loopback_address_says_nothing() -> None:
    there = m.Host("p1", {"ansible_host": "127.0.0.1"})
    forwarded = m.Environment("agenda-P", "P", "agenda", "", (there,))
    for outcome, said in (("closed", "unknown"), ("filtered", "unknown"), ("open", "violated")):
        found = isolation(TEST, [forwarded], [host(TEST, "t1", sweep=[outcome])],
                          [host(forwarded, "p1")], secrets={}, their_secrets={})  # fmt: skip
        assert found.outcome == said


def test_production_without_an_address_is_unknown() -> None:
    local = m.Environment("agenda-P", "P", "agenda", "",
                          (m.Host("p1", {"ansible_connection": "local"}),))  # fmt: skip
    found = isolation(TEST, [local], [host(TEST, "t1", sweep=[])], [host(local, "p1")],
                      secrets={}, their_secrets={})  # fmt: skip
    assert found.outcome == "unknown"
    assert found.unknown == ("p1 is production, and has no address that could be tried",)


def test_names_are_tried_by_their_addresses_too() -> None:
    tried = with_addresses([Target("page", "localhost", 443), Target("p1", "192.0.2.21", 22),
                            Target("gone", "no.such.invalid", 22)])  # fmt: skip
    assert tried[:3] == (
        Target("page", "localhost", 443), Target("p1", "192.0.2.21", 22),
        Target("gone", "no.such.invalid", 22),
    )  # fmt: skip
    assert Target("page", "127.0.0.1", 443) in tried
    assert not [one for one in tried[3:] if one.name != "page"]


def test_a_connection_that_stands_is_a_path_too() -> None:
    talks = [("192.0.2.21", 8080), ("192.0.2.21", 50000), ("198.51.100.1", 443)]
    found = compare(host(TEST, "t1", talks=talks), host(PRODUCTION, "p1"))
    assert [(s.kind, s.to, s.what) for s in found.shared] == [
        ("connection", "p1", "192.0.2.21 8080")
    ]


def test_descriptions_that_name_the_same_are_enough() -> None:
    import msgspec

    pinned = msgspec.structs.replace(TEST, host_keys={"t1": (KEY,)})
    other = msgspec.structs.replace(PRODUCTION, host_keys={"p1": (KEY,)})
    found = isolation(pinned, [other], [host(TEST, "t1")], [host(PRODUCTION, "p1")],
                      secrets={}, their_secrets={})  # fmt: skip
    assert [(s.kind, s.source, s.to) for s in found.shared] == [("host-key", "t1", "p1")]
    url = {"database_url": "postgresql+psycopg://app@DB.example:5432/agenda"}
    same = msgspec.structs.replace(TEST, variables=url)
    found = compare(host(TEST, "t1"), host(PRODUCTION, "p1"), same)
    assert [(s.kind, s.what, s.there) for s in found.shared] == [
        ("database", "database_url", "databases")
    ]


def test_one_password_for_both_sides_is_named_and_not_shown() -> None:
    found = compare(host(TEST, "t1"), host(PRODUCTION, "p1"),
                    secrets={"db_password": "geheim1"},
                    their_secrets={"db_pass": "geheim1"})  # fmt: skip
    (one,) = found.shared
    assert (one.kind, one.what, one.there) == ("secret", "db_password", "db_pass")
    assert "geheim1" not in repr(found)
