"""Promotions and rehearsals by Mitogen's strategy: the same as by Ansible's own."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from otapgate.execution import strategy
from otapgate.execution.lock import busy

from .application import Application, breaking_at, deploy
from .labs import Lab, wait_until
from .test_promotion import HOSTS, NEW, OLD, pictures

pytestmark = pytest.mark.slow
PROOF = (
    "    - name: By Mitogen\n      shell: tr '\\0' ' ' </proc/$PPID/cmdline | grep -q mitogen\n"
    "    - name: On this machine too\n      delegate_to: localhost\n      become: false\n"
    "      run_once: true\n      command: 'true'\n"
)


@pytest.fixture(autouse=True)
def _tried() -> None:
    """These are the tests that make a pair of versions one that was tried."""
    assert strategy.was_tried(*strategy.installed()), "add the pair to TRIED, and see below"


@pytest.fixture
def application(lab: Lab, tmp_path: Path) -> Application:
    return Application(lab, HOSTS, tmp_path, "P")


def test_three_hosts_are_promoted_complete_and_gone_back_from(application: Application) -> None:
    release = application.release("2.0", deploy=deploy(PROOF))
    plan = application.plan("promotion-1", release, strategy="mitogen")
    found = application.do(plan, "run")
    assert (found["outcome"], found["message"]) == ("succeeded", "The release runs, complete.")
    assert found["hosts"] == dict.fromkeys(HOSTS, "ok")
    assert found["completeness"]["outcome"] == "complete"
    assert pictures(application) == dict.fromkeys(HOSTS, NEW)
    found = application.do(plan, "go_back")
    assert (found["outcome"], found["left"]) == ("rolled-back", [])
    assert pictures(application) == dict.fromkeys(HOSTS, OLD)


def test_the_second_of_three_fails_and_all_come_back(application: Application) -> None:
    rolling = breaking_at("p2")
    release = application.release("2.0", deploy=rolling)
    found = application.do(application.plan("promotion-1", release, strategy="mitogen"), "run")
    assert (found["outcome"], found["left"]) == ("rolled-back", [])
    assert (found["failed_task"]["name"], found["failed_task"]["host"]) == ("Break", "p2")
    assert pictures(application) == dict.fromkeys(HOSTS, OLD)


def test_a_host_with_another_key_is_refused_and_nothing_is_touched(
    make_lab: Callable[..., Lab], tmp_path: Path
) -> None:
    (tmp_path / "own").mkdir()
    own = Application(make_lab(), HOSTS, tmp_path / "own", "P")
    own.lab.change_host_key("p2")
    plan = own.plan("promotion-1", own.release("2.0"), strategy="mitogen")
    found = own.do(plan, "run")
    assert (found["outcome"], found["touched"]) == ("rolled-back", False)
    assert (found["hosts"]["p2"], found["code"]) == ("unreachable", "host-key-changed"), found
    assert own.picture("p1") == own.picture("p3") == OLD


def test_killed_it_leaves_no_environment_busy(application: Application) -> None:
    """Mitogen's own process keeps the lock that it inherits, and the kernel doesn't end it."""
    at = application.folder / "waits"
    waiting = deploy(
        "    - name: Wait\n      delegate_to: localhost\n      become: false\n"
        f"      run_once: true\n      shell: touch {at}; sleep 300\n"
    )
    release = application.release("2.0", deploy=waiting)
    plan = application.plan("promotion-1", release, strategy="mitogen")
    process = subprocess.Popen(
        application.lab.argv(application.argv(plan, "run")), stdout=subprocess.DEVNULL
    )
    wait_until(at.exists, 200)
    held = busy(application.folder, "agenda-P")
    assert held is not None
    os.kill(held["pid"], signal.SIGKILL)
    process.wait(60)
    wait_until(lambda: busy(application.folder, "agenda-P") is None, 60)
    time.sleep(0.5)
    found = application.do(plan, "go_back")
    assert (found["outcome"], found["left"]) == ("rolled-back", [])
    assert pictures(application) == dict.fromkeys(HOSTS, OLD)


def test_ch05_07_a_good_rollback_comes_back_from_cuts(lab: Lab, tmp_path: Path) -> None:
    application = Application(lab, ("t1",), tmp_path)
    before = application.picture("t1")
    plan = application.plan("rehearsal-1", application.release("2.0"), strategy="mitogen")
    found = application.do(plan, "rehearse:sample:1")
    assert found["outcome"] == "restored", found
    assert [case["index"] for case in found["cases"]] == [0, 8, 8, 8]
    assert application.picture("t1") == before
