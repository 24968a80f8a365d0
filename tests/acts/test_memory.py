"""What a user has seen of a ledger is in it the next time, or they are told."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from otapgate import errors
from otapgate.acts import logbook, memory
from otapgate.acts.people import grant

from .conftest import Office

ANNA, BRAM, CHANTAL = "Anna de Wit", "Bram Visser", "Chantal Mulder"


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "otapgate" / "heads.json"


def ledger(office: Office) -> Path:
    return office.root / ".otapgate" / "ledger.sqlite"


def act(office: Office, role: str) -> int:
    with office.open(ANNA) as workspace:
        return workspace.record(grant(workspace, CHANTAL, role, None, None))


def test_a_whole_new_history_is_not_the_one_that_was_seen(office: Office, tmp_path: Path):
    office.enrol(CHANTAL)
    entries = office.open().state.size
    state = memory.file().read_bytes()
    other = Office(tmp_path / "other", ANNA, BRAM)
    other.enrol(CHANTAL)
    other.enrol("Daan Jansen")
    memory.file().write_bytes(state)
    shutil.copy(ledger(other), ledger(office))
    office.keys = other.keys
    with pytest.raises(errors.Integrity) as refused:
        act(office, "tester")
    assert refused.value.code == "history-rewritten"
    assert "heads.json" in str(refused.value.remedy)
    with office.open() as workspace:
        found = logbook.verify(workspace, None)
    assert any(str(entries) in problem["what"] for problem in found["problems"])
    assert found["excluded"] == []


def test_a_log_cut_short_is_told_and_what_was_seen_stays(office: Office, tmp_path: Path):
    office.enrol(CHANTAL)
    shutil.copy(ledger(office), tmp_path / "before")
    last = act(office, "tester")
    shutil.copy(tmp_path / "before", ledger(office))
    for _again in range(2):
        with pytest.raises(errors.Integrity) as refused:
            act(office, "tester")
        assert refused.value.code == "history-cut"
    assert f'"size":{last + 1}' in memory.file().read_text()


def test_verifying_says_what_having_seen_it_excludes(office: Office, own: Path):
    own.unlink()
    with office.open() as workspace:
        first, again = (logbook.verify(workspace, None) for _twice in range(2))
    assert any("first time" in text for text in first["not_excluded"])
    assert any("as you last saw it" in text for text in again["excluded"])
    assert not any("first time" in text for text in again["not_excluded"])


def test_a_home_that_can_not_be_written_is_told(
    office: Office, own: Path, monkeypatch: pytest.MonkeyPatch
):
    office.enrol(CHANTAL)

    def refuse(*_: object) -> None:
        raise OSError(30, "read-only")

    monkeypatch.setattr(memory, "write_private", refuse)
    with office.open(ANNA) as workspace:
        workspace.record(grant(workspace, CHANTAL, "tester", None, None))
        assert not workspace.remembers
        monkeypatch.setattr(memory, "_read", dict)
        found = logbook.verify(workspace, None)
    assert any("could not be noted" in text for text in found["not_excluded"])


def test_a_memory_that_can_not_be_read_is_no_first_time(office: Office, own: Path):
    own.write_text("{")
    with pytest.raises(errors.Integrity) as refused:
        office.enrol(CHANTAL)
    assert refused.value.code == "memory-unreadable"
    assert not memory.keep(office.root, ledger(office))
