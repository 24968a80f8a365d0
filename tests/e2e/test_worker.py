"""Through the command line: an environment whose Ansible runs at a worker."""

from __future__ import annotations

import json
import sys

import pytest

from .school import DAAN, NEW, OLD, School
from .test_faults import held, released, runs_in, unfinished

pytestmark = pytest.mark.slow


def through_a_worker(school: School, *command: str) -> None:
    """Test's environment gets a worker and snapshots of its own, and its owner's word anew."""
    worker = json.dumps({"command": command})
    root = json.dumps(f"{school.root}/snapshots")
    school.edit(
        "environments/agenda.yml",
        "test-lead]}\n    network: loopback\n  - stage: A",
        f"test-lead]}}\n    network: loopback\n    variables: {{otapgate_snapshot_root: {root}}}\n"
        f"    worker: {worker}\n  - stage: A",
    )
    school(DAAN, "env", "accept", "T")


def test_a_promotion_through_a_worker_is_ended_after_a_kill(prepared: School) -> None:
    before = prepared.picture("T")
    through_a_worker(prepared, "false")
    said = prepared.promote("T", expect=1)
    assert said["error"]["code"] == "worker-unreachable"
    assert unfinished(prepared) == []
    state = f"XDG_STATE_HOME={prepared.root}/there"
    prepared.edit(
        "environments/agenda.yml",
        '["false"]',
        json.dumps(["env", state, sys.executable, "-m", "otapgate", "worker"]),
    )
    prepared(DAAN, "env", "accept", "T")
    process = held(prepared)
    process.kill()
    process.communicate()
    (open_,) = unfinished(prepared)
    assert open_["release"] == NEW
    released(prepared)
    said = prepared(DAAN, "rollback", "T", "--yes")["rollback"]
    assert (said["outcome"], said["left"]) == ("restored", [])
    assert runs_in(prepared)["T"] == OLD
    assert prepared.picture("T") == before
