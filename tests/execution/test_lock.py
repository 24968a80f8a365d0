"""Who holds an environment, asked without getting in anybody's way."""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from otapgate.errors import Busy
from otapgate.execution.lock import EnvironmentLock, busy, lock_path, tether_path

ZONE = ZoneInfo("Europe/Amsterdam")


def test_nobody_holds_what_was_never_locked(tmp_path: Path):
    assert busy(tmp_path, "agenda-T", ZONE) is None
    assert not (tmp_path / ".otapgate").exists(), "asking writes nothing"


def test_who_holds_it_is_told_with_since_when_and_what_for(tmp_path: Path):
    with EnvironmentLock(tmp_path, "agenda-T", "otapgate promote"):
        found = busy(tmp_path, "agenda-T", ZONE)
    assert found is not None
    assert (found["pid"], found["command"]) == (os.getpid(), "otapgate promote")
    since = datetime.fromisoformat(found["since"])
    assert since.utcoffset() == datetime.now(ZONE).utcoffset()
    assert abs((datetime.now(ZONE) - since).total_seconds()) < 60
    assert busy(tmp_path, "agenda-T", ZONE) is None


def test_what_somebody_who_was_killed_left_in_the_file_is_not_believed(tmp_path: Path):
    path = lock_path(tmp_path, "agenda-T")
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"pid": os.getpid(), "since": "noon", "command": "x"}))
    assert busy(tmp_path, "agenda-T", ZONE) is None


def test_ansible_that_is_still_ending_is_busy_too(tmp_path: Path):
    import fcntl

    path = tether_path(tmp_path, "agenda-T")
    path.parent.mkdir(parents=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        json.dump({"pid": os.getpid(), "since": "noon", "command": "ansible-playbook"}, file)
        file.flush()
        found = busy(tmp_path, "agenda-T", ZONE)
    assert found == {"pid": os.getpid(), "since": "noon", "command": "ansible-playbook"}


def test_where_the_kernel_tells_of_no_locks_a_living_process_is_taken_for_the_holder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("otapgate.execution.lock.KERNEL", tmp_path / "none")
    path = lock_path(tmp_path, "agenda-T")
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"pid": os.getpid(), "since": "noon", "command": "x"}))
    assert busy(tmp_path, "agenda-T", ZONE) is not None
    path.write_text(json.dumps({"pid": 2**22 + 1, "since": "noon", "command": "x"}))
    assert busy(tmp_path, "agenda-T", ZONE) is None


def test_the_refusal_gives_a_time_with_its_offset(tmp_path: Path):
    with (
        EnvironmentLock(tmp_path, "agenda-T", "otapgate promote", ZONE),
        pytest.raises(Busy) as caught,
    ):
        EnvironmentLock(tmp_path, "agenda-T", "otapgate rollback", ZONE).__enter__()
    assert "Z." not in caught.value.message
    assert datetime.now(ZONE).isoformat()[-6:] in caught.value.message
