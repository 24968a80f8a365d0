"""What an act of probing takes from the ledger, and what it leaves in it."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from otapgate.acts import probing
from otapgate.acts.people import revoke
from otapgate.errors import BadInput, Usage
from otapgate.landscape.model import Environment

from .conftest import Office


def described(office: Office, **fields: Any) -> Environment:
    (first, *_rest) = office.open().landscape.environments()
    return msgspec.structs.replace(first, **fields)


def test_a_revoked_key_is_its_owners_and_opens_nothing(office: Office) -> None:
    office.enrol("Chris Bos", "builder")
    key = office.keys["Chris Bos"].public.fingerprint
    found = probing._holders(office.open(), "agenda")[key]
    assert (found.name, found.roles) == ("Chris Bos", {"builder"})
    with office.open("Anna de Wit") as workspace:
        workspace.record(revoke(workspace, "Chris Bos", key))
    found = probing._holders(office.open(), "agenda")[key]
    assert (found.name, found.roles) == ("Chris Bos", set())


def test_a_key_is_admitted_that_the_rules_of_both_sides_let_in(office: Office) -> None:
    office.enrol("Daan Jansen", "administrator")
    office.enrol("Esra Yilmaz", "tester")
    daan, esra = (office.keys[n].public.fingerprint for n in ("Daan Jansen", "Esra Yilmaz"))
    robot = "SHA256:" + "r" * 43
    test = described(office, access={"d": ("administrator", "tester")}, access_keys={"d": (robot,)})
    both = described(office, access={"x": ("administrator",)}, access_keys={"y": (robot,)})
    admitted = probing._admitted(office.open(), [test, both])
    assert admitted == {daan, robot}
    assert esra not in admitted


def test_evidence_of_access_names_no_person(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    from otapgate.probe import access

    found = access.Access(
        "violated", (access.Deviation("p1", "deploy", "builder-key", "SHA256:x", "Chris Bos"),),
        (), (), 1,
    )  # fmt: skip
    monkeypatch.setattr(access, "access", lambda *_: found)
    workspace = office.open()
    asker = probing.Asker(workspace)
    monkeypatch.setattr(asker, "ask", lambda *_: [])
    probe = probing._access(asker, described(office))
    kept = workspace.store.get(probe.act.predicate["evidence"])
    assert "Chris" not in kept.decode()
    assert "Chris" not in json.dumps(probe.act.predicate)
    assert "Chris" in json.dumps(probe.act.details)
    assert probe.answer["stray"][0]["who"] == "Chris Bos"


def test_an_unknown_kind_and_an_unaccepted_environment_are_refused(office: Office) -> None:
    office.enrol("Daan Jansen", "administrator")
    with office.open("Daan Jansen") as workspace:
        with pytest.raises(Usage):
            probing.probe(workspace, "T", "speed", lambda _text: None)
        with pytest.raises(BadInput) as caught:
            probing.probe(workspace, "T", "access", lambda _text: None)
        assert caught.value.code == "environment-unaccepted"
