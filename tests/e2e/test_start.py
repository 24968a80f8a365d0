"""From nothing to a landscape with people: init, confirm, enrol, grant, status, check."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .school import ANNA, BRAM, CHANTAL, DAAN, ESRA, PEOPLE, School, make_key, remove


@pytest.fixture
def empty(founded: School, tmp_path: Path) -> School:
    """A place without a landscape; people have keys."""
    bare = School.__new__(School)
    bare.__dict__ |= founded.__dict__
    bare.root = tmp_path / "board"
    bare.root.mkdir()
    return bare


def init(school: School, *admins: Any, expect: int = 0, by: Any = ANNA) -> dict[str, Any]:
    """`init` in the folder itself, with these role administrators."""
    words = [w for a in admins for w in ("--role-admin", f"{a.name}={school.keys}/{a.key}.pub")]
    return school(
        by, "init", str(school.root), "--stages", "T,A,P", "--name", "De Hazelaar",
        "--street", "agenda", *words, expect=expect,
    )  # fmt: skip


def test_init_makes_a_landscape_that_checks_and_says_what_runs(empty: School) -> None:
    said = init(empty, ANNA, BRAM)
    assert [e["name"] for e in said["environments"]] == ["agenda-T", "agenda-A", "agenda-P"]
    assert Path(said["landscape"]) == empty.root.resolve()
    assert empty(None, "check")["problems"] == []
    (street,) = empty(None, "status")["streets"]
    assert [e["stage"] for e in street["environments"]] == ["T", "A", "P"]
    assert {e["release"] for e in street["environments"]} == {None}
    (entry,) = empty.entries()
    assert (entry["entry"], entry["act"], entry["by"]) == (0, "genesis", ANNA.name)
    assert empty(None, "log", "verify")["entries"] == 1


def test_one_administrator_is_possible_and_is_shown_until_there_are_two(empty: School) -> None:
    init(empty, ANNA)
    (note,) = empty(None, "status")["notes"]
    assert "One person alone" in note
    empty(ANNA, "people", "enrol", BRAM.name, f"{empty.keys}/bram.pub")
    said = empty(ANNA, "role", "grant", BRAM.name, "role-admin")
    assert said["role"]["pending"] is False
    assert empty(None, "status")["notes"] == []


def test_two_administrators_both_sign_the_start(empty: School) -> None:
    init(empty, ANNA, BRAM)
    (note,) = empty(None, "status")["notes"]
    assert "people confirm" in note
    said = empty(BRAM, "people", "confirm", "--yes")
    assert [w["act"] for w in said["confirmed"]] == ["genesis"]
    assert empty(None, "status")["notes"] == []


def test_a_role_counts_only_after_the_second_administrator_confirms(founded: School) -> None:
    make_key(founded.keys, "frits")
    said = founded(ANNA, "people", "enrol", "Frits Bos", f"{founded.keys}/frits.pub")
    assert said["person"] == {"name": "Frits Bos", "pending": True, "further_key": False}
    founded(ANNA, "people", "confirm", "--yes", expect=4)  # not by who asked for it
    listed = {p["name"]: p["status"] for p in founded(None, "people", "list")["people"]}
    assert listed["Frits Bos"] == "unconfirmed"
    founded(BRAM, "people", "confirm", "--yes")
    founded(ANNA, "role", "grant", "Frits Bos", "tester")
    roles = founded(None, "role", "list")["roles"]
    assert [r["status"] for r in roles if r["person"] == "Frits Bos"] == ["unconfirmed"]
    founded(BRAM, "people", "confirm", "--yes")
    roles = founded(None, "role", "list")["roles"]
    assert [r["status"] for r in roles if r["person"] == "Frits Bos"] == ["held"]


def test_a_further_key_for_somebody_is_told_as_such(founded: School) -> None:
    make_key(founded.keys, "second")
    said = founded(ANNA, "people", "enrol", DAAN.name, f"{founded.keys}/second.pub")
    assert said["person"] == {"name": DAAN.name, "pending": True, "further_key": True}
    (waiting,) = founded(BRAM, "people", "confirm", "--dry-run")["confirmed"]
    assert f"{DAAN.name} (administrator, environment-owner) gets a FURTHER key" in waiting["text"]
    assert "for somebody else, give another name" in waiting["text"]


def test_everybody_is_listed_with_keys_and_roles(founded: School) -> None:
    people = {p["name"]: p for p in founded(None, "people", "list")["people"]}
    assert set(people) == {p.name for p in PEOPLE}
    assert people[ESRA.name]["roles"] == ["test-lead", "tester"]
    assert people[ANNA.name]["roles"] == ["board", "process-owner", "role-admin"]
    for person in people.values():
        (key,) = person["keys"]
        assert key["fingerprint"].startswith("SHA256:")
        assert key["revoked"] is False


def test_nobody_gives_themselves_a_role(founded: School) -> None:
    said = founded(ANNA, "role", "grant", ANNA.name, "tester", expect=7)
    assert said["error"]["code"] == "self-grant"


def test_a_key_stands_for_one_person(founded: School) -> None:
    said = founded(ANNA, "people", "enrol", "Gijs Smit", f"{founded.keys}/daan.pub", expect=4)
    assert said["error"]["code"] == "key-taken"
    assert DAAN.name in said["error"]["message"]


def test_a_private_key_is_refused_where_a_public_one_belongs(founded: School) -> None:
    said = founded(ANNA, "people", "enrol", "Gijs Smit", f"{founded.keys}/stranger", expect=4)
    assert said["error"]["code"] == "key-private"


def test_who_was_revoked_signs_nothing_more(founded: School) -> None:
    founded(ANNA, "people", "revoke", CHANTAL.name)
    said = founded(CHANTAL, "release", "build", "releases/agenda-1.0.yml", expect=7)
    assert said["error"]["code"] == "key-revoked"


def test_init_refuses_a_second_ledger_in_the_same_place(empty: School) -> None:
    init(empty, ANNA)
    said = init(empty, ANNA, expect=4)
    assert said["error"]["code"] == "landscape-exists"


def again(school: School, *more: str, expect: int = 0) -> dict[str, Any]:
    """A new ledger for the landscape that is there."""
    return school(ANNA, "init", ".", "--role-admin", f"{ANNA.name}={school.keys}/anna.pub", *more,
                  expect=expect)  # fmt: skip


def test_a_ledger_that_is_gone_is_founded_anew_only_on_purpose(founded: School) -> None:
    (founded.root / ".otapgate" / "store" / "kept").write_text("something of the old ledger")
    for file in founded.ledger.parent.glob("ledger.sqlite*"):
        file.unlink()
    said = founded(None, "status", expect=5)
    assert said["error"]["code"] == "ledger-missing"
    assert "otapgate init . --again --role-admin" in said["error"]["remedy"]
    said = again(founded, expect=4)
    assert said["error"]["code"] == "ledger-lost"
    assert "--again" in said["error"]["remedy"]
    assert not founded.ledger.exists()
    # Who may not found leaves everything as it was.
    founded(DAAN, "init", ".", "--again", "--role-admin", f"A={founded.keys}/anna.pub", expect=7)
    assert (founded.root / ".otapgate" / "store" / "kept").exists()
    assert "origin: otapgate.example/de-hazelaar\n" in (founded.root / "otapgate.yml").read_text()
    said = again(founded, "--again")
    (kept,) = founded.root.glob(".otapgate/lost-*/store/kept")
    assert said["kept"] == str(kept.parent.parent.relative_to(founded.root))
    assert [e["act"] for e in founded.entries()] == ["genesis"]
    assert founded(None, "log", "verify")["problems"] == []
    # Two histories never have one name.
    said = founded(None, "log", "show", "0")["entry"]["statement"]["predicate"]
    assert said["origin"].startswith("otapgate.example/de-hazelaar~")
    assert f"origin: {said['origin']}\n" in (founded.root / "otapgate.yml").read_text()
    # A ledger that is there is never replaced.
    assert again(founded, "--again", expect=4)["error"]["code"] == "landscape-exists"
    assert len(founded.entries()) == 1


def test_a_clone_without_a_ledger_starts_with_one_of_its_own(founded: School) -> None:
    remove(founded.root / ".otapgate")
    founded(None, "status", expect=5)  # which leaves a cache, and no ledger
    again(founded)
    assert [e["act"] for e in founded.entries()] == ["genesis"]
    assert (founded.root / ".otapgate").stat().st_mode & 0o077 == 0


def test_init_by_somebody_who_is_no_administrator_leaves_nothing(empty: School) -> None:
    remove(empty.root)
    place = empty.root
    empty.root = place.parent
    said = empty(DAAN, "init", str(place), "--role-admin", f"Anna={empty.keys}/anna.pub", expect=7)
    assert said["error"]["code"] == "not-a-role-admin"
    assert not place.exists()


@pytest.mark.parametrize("stages", ["P", "T,A", "P,T", "T,X,P", ""])
def test_init_refuses_stages_that_make_no_street(empty: School, stages: str) -> None:
    said = empty(
        ANNA, "init", str(empty.root), "--stages", stages,
        "--role-admin", f"Anna={empty.keys}/anna.pub", expect=2,
    )  # fmt: skip
    assert said["error"]["code"] == "stages-wrong"
    assert list(empty.root.iterdir()) == []


def test_environments_are_accepted_by_their_owner_only(founded: School) -> None:
    said = founded(ESRA, "env", "accept", "T", expect=7)
    assert said["error"]["code"] == "role-missing"
    assert DAAN.name in said["error"]["remedy"]
    said = founded(DAAN, "env", "accept", "T", "--dry-run")
    assert said["dry_run"] is True
    count = len(founded.entries())
    founded(DAAN, "env", "accept", "T")
    assert len(founded.entries()) == count + 1


def test_the_commands_list_what_there_is(founded: School) -> None:
    assert len(founded(None, "env", "list")["environments"]) == 3
    assert founded(None, "release", "list")["releases"] == []
    assert founded(None, "change", "list")["changes"] == []
    assert founded(None, "anonymize", "list")["datasets"] == []
    assert founded(None, "gate", "log")["decisions"] == []
    rules = founded(None, "gate", "rules")["rules"]
    assert {"OG104", "OG203", "OG302", "OG401", "OG501", "OG702"} <= {r["code"] for r in rules}
    for rule in rules:
        assert {"code", "slug", "norms", "severity", "summary"} <= set(rule)
        assert rule["norms"]
    names = founded(None, "schema")["schemas"]
    assert {"landscape", "street", "policy", "calendar", "release", "plan"} <= set(names)
    for name in names:
        assert "properties" in founded(None, "schema", name)["schema"]


def test_the_entry_of_an_act_is_shown_with_who_signed_it(founded: School) -> None:
    last = founded.entries()[-1]
    shown = founded(None, "log", "show", str(last["entry"]))["entry"]
    assert shown["by"] == DAAN.name
    assert shown["act"] == "environment-accepted"
    assert shown["statement"]["predicate"]["environment"] == "agenda-P"
    assert shown["signature"].startswith("-----BEGIN SSH SIGNATURE-----")
    # Names are details: none stands in what is signed and hashed.
    for name in (p.name for p in PEOPLE):
        assert name not in str(shown["statement"])
