"""Who may say what somebody is called: only an enrolment that took effect."""

from __future__ import annotations

import pytest
from tests.memory_signer import MemorySigner

from otapgate import errors
from otapgate.acts import people
from otapgate.acts.environments import accept
from otapgate.acts.workspace import Workspace
from otapgate.ledger import predicates as p

from .conftest import Office

Z = "sha256:" + "0" * 64
ANNA, BRAM, CHANTAL, DAAN = "Anna de Wit", "Bram Visser", "Chantal Mulder", "Daan Jansen"


def owned_by(office: Office, name: str) -> None:
    file = office.root / "environments/agenda.yml"
    file.write_text(file.read_text().replace(ANNA, name))


def test_a_detail_of_any_other_act_names_nobody(office: Office):
    chantal, daan = office.enrol(CHANTAL, "builder"), office.enrol(DAAN)
    before = office.open().names
    assert before[chantal] == CHANTAL
    office.forge(
        CHANTAL, "change-submitted",
        p.ChangeSubmitted("CHG-1", "regular", "agenda", None, Z), ("CHG-1", Z),
        {f"name-{chantal}": DAAN, f"name-{daan}": CHANTAL},
    )  # fmt: skip
    assert not office.open().state.problems, "as an act, it counts"
    assert office.open().names == before
    assert office.open().person(DAAN) == daan


def test_an_enrolment_names_only_whom_it_enrols_and_only_once_it_counts(office: Office):
    chantal, daan = office.enrol(CHANTAL, "builder"), office.enrol(DAAN)
    mine = p.PersonEnrolled(chantal, (MemorySigner().public.line,))
    waits = office.forge(ANNA, "person-enrolled", mine, (chantal, Z),
                         {f"name-{chantal}": "Esra Yilmaz", f"name-{daan}": CHANTAL})  # fmt: skip
    office.forge(CHANTAL, "person-enrolled", mine, (chantal, Z), {f"name-{chantal}": BRAM})
    assert office.open().name(chantal) == CHANTAL
    with office.open(BRAM) as workspace:
        (found,) = people.confirmable(workspace)
        for word in (chantal, CHANTAL, "Esra Yilmaz"):
            assert word in found["text"], "a change of name is shown with id, old and new"
    office.act(BRAM, people.confirm([waits]))
    assert office.open().name(chantal) == "Esra Yilmaz"
    assert office.open().name(daan) == DAAN


def test_one_name_for_two_people_stands_for_neither(office: Office):
    daan, chantal = office.enrol(DAAN, "environment-owner"), office.enrol(CHANTAL)
    owned_by(office, DAAN)
    assert accept(office.open(DAAN), "agenda-T")
    twin = office.forge(
        ANNA, "person-enrolled",
        p.PersonEnrolled(chantal, (MemorySigner().public.line,)), (chantal, Z),
        {f"name-{chantal}": DAAN},
    )  # fmt: skip
    office.act(BRAM, people.confirm([twin]))
    workspace = office.open(DAAN)
    assert {e.owner for e in workspace.with_people(workspace.landscape).environments()} == {""}
    with pytest.raises(errors.Identity) as refused:
        accept(workspace, "agenda-T")
    assert refused.value.code == "not-the-owner"
    with pytest.raises(errors.BadInput) as caught:
        workspace.person(DAAN)
    assert caught.value.code == "person-ambiguous"
    assert daan in str(caught.value.remedy)
    assert chantal in str(caught.value.remedy)
    assert workspace.person(chantal) == chantal
    key = office.root / "key.pub"
    with pytest.raises(errors.BadInput, match="More than one"):
        people.enrol(workspace, DAAN, key)


@pytest.mark.parametrize("name", ["Anna\u202e tiW", "Anna\nde Wit", "An\x1b[8mna", "", "x" * 200])
def test_a_name_that_hides_something_is_not_enrolled(office: Office, name: str):
    key = office.root / "key.pub"
    key.write_text(MemorySigner().public.line)
    with pytest.raises(errors.BadInput) as refused:
        people.enrol(office.open(ANNA), name, key)
    assert refused.value.code in ("name-empty", "name-malformed")
    assert refused.value.message.isprintable()


def test_a_name_that_another_tool_wrote_is_shown_harmlessly(office: Office):
    person = p.PersonEnrolled("p-1", (MemorySigner().public.line,))
    name = {"name-p-1": "\x1b[2JAnna\u202e\n    7  nothing"}
    entry = office.forge(ANNA, "person-enrolled", person, ("p-1", Z), name)
    with office.open(BRAM) as workspace:
        (found,) = people.confirmable(workspace)
        assert found["text"].isprintable()
    office.act(BRAM, people.confirm([entry]))
    assert office.open().name("p-1").isprintable()


def test_another_key_is_no_other_name_nor_another_person(office: Office):
    daan = office.enrol(DAAN)
    key = office.root / "more.pub"
    for typed in ("DAAN jansen", daan):
        key.write_text(MemorySigner().public.line)
        with office.open(ANNA) as workspace:
            workspace.record(people.enrol(workspace, typed, key))
        office.confirm(BRAM)
    assert office.open().names[daan] == DAAN
    assert len(office.open().state.directory.people[daan].keys) == 3
    assert list(office.open().everybody.values()).count(DAAN) == 1


def test_founders_have_two_names(tmp_path):
    with pytest.raises(errors.BadInput) as refused:
        Office(tmp_path / "twins", ANNA, ANNA.upper())
    assert refused.value.code == "name-twice"
    assert not (tmp_path / "twins").exists()


def test_who_waits_can_be_named_and_owns_nothing(office: Office):
    owned_by(office, "Esra Yilmaz")
    key = office.root / "key.pub"
    key.write_text(MemorySigner().public.line)
    with office.open(ANNA) as workspace:
        workspace.record(people.enrol(workspace, "Esra Yilmaz", key))
        esra = workspace.person("Esra Yilmaz")
        assert people.grant(workspace, "Esra Yilmaz", "tester", None, None)
    fresh: Workspace = office.open()
    assert fresh.name(esra) == "Esra Yilmaz"
    assert {e.owner for e in fresh.with_people(fresh.landscape).environments()} == {""}
