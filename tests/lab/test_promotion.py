"""Promotions over SSH to three hosts of production, well and badly."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from .application import PLAY, TASKS, Application, breaking_at, deploy
from .labs import Lab

pytestmark = pytest.mark.slow
HOSTS = ("p1", "p2", "p3")
OLD = {"version": "1.0", "settings": "mode=old", "columns": "['id', 'name']", "jobs": ""}
NEW = {
    "version": "2.0", "settings": "mode=new", "columns": "['id', 'name', 'room']",
    "jobs": "agenda",
}  # fmt: skip


@pytest.fixture
def application(lab: Lab, tmp_path: Path) -> Application:
    return Application(lab, HOSTS, tmp_path, "P")


@pytest.fixture
def own(make_lab: Callable[..., Lab], tmp_path: Path) -> Application:
    """In a lab of its own, whose hosts may be broken."""
    (tmp_path / "own").mkdir()
    return Application(make_lab(), HOSTS, tmp_path / "own", "P")


def pictures(application: Application) -> dict[str, dict[str, str]]:
    return {host: application.picture(host) for host in HOSTS}


def test_three_hosts_are_promoted_complete_and_gone_back_from(application: Application) -> None:
    plan = application.plan("promotion-1", application.release("2.0"))
    found = application.do(plan, "run")
    assert (found["outcome"], found["hosts"]) == ("succeeded", dict.fromkeys(HOSTS, "ok"))
    assert found["completeness"]["outcome"] == "complete"
    assert pictures(application) == dict.fromkeys(HOSTS, NEW)
    found = application.do(plan, "go_back")
    assert (found["outcome"], found["left"]) == ("rolled-back", [])
    assert pictures(application) == dict.fromkeys(HOSTS, OLD)


def test_the_second_of_three_fails_and_all_come_back(application: Application) -> None:
    rolling = breaking_at("p2")
    plan = application.plan("promotion-1", application.release("2.0", deploy=rolling))
    found = application.do(plan, "run")
    assert (found["outcome"], found["left"]) == ("rolled-back", [])
    assert found["failed_task"]["name"] == "Break"
    assert found["failed_task"]["host"] == "p2"
    assert found["hosts"]["p2"] == "failed"
    assert pictures(application) == dict.fromkeys(HOSTS, OLD)


def test_ch06_09_the_third_of_three_that_was_passed_over_is_named(
    application: Application,
) -> None:
    forgetful = deploy().replace("      copy: {src:", "      when: inventory_hostname != 'p3'\n"
                                 "      copy: {src:")  # fmt: skip
    verify = PLAY + "    - name: Nothing\n      command: 'true'\n"
    plan = application.plan(
        "promotion-1", application.release("2.0", deploy=forgetful, verify=verify)
    )
    found = application.do(plan, "run")
    assert (found["outcome"], found["code"]) == ("rolled-back", "incomplete")
    said = [item for kind in ("missing", "different", "extra")
            for item in found["completeness"].get(kind, [])]  # fmt: skip
    assert said
    assert all(item.startswith("p3:") for item in said)
    assert pictures(application) == dict.fromkeys(HOSTS, OLD)


def test_a_host_with_another_key_is_refused_and_nothing_is_touched(own: Application) -> None:
    own.lab.change_host_key("p2")
    found = own.do(own.plan("promotion-1", own.release("2.0")), "run")
    assert (found["outcome"], found["touched"]) == ("rolled-back", False)
    assert found["code"] == "host-key-changed"
    assert found["hosts"]["p2"] == "unreachable"
    assert "p2" in found["message"]
    assert own.picture("p1") == own.picture("p3") == OLD


def test_a_host_key_that_changes_right_after_a_promotion_is_seen_by_the_next_command(
    own: Application,
) -> None:
    plan = own.plan("promotion-1", own.release("2.0"))
    found = own.do(plan, "run")
    assert (found["outcome"], found["hosts"]["p2"]) == ("succeeded", "ok")
    own.lab.change_host_key("p2")
    found = own.do(plan, "go_back")
    assert (found["outcome"], found["hosts"]["p2"]) == ("failed", "unreachable")
    assert "p2 shows another SSH host key" in found["message"]


def test_a_host_that_goes_away_in_the_middle_is_brought_back_later(own: Application) -> None:
    hold = own.folder / "hold"
    hold.touch()
    waiting = deploy().replace(
        "    - name: Job\n",
        "    - name: Wait\n      delegate_to: localhost\n      become: false\n"
        "      run_once: true\n"
        f"      shell: 'touch {own.folder}/waits; while [ -e {hold} ]; do sleep 0.1; done'\n"
        "    - name: Job\n",
    )
    assert len(TASKS) == 8
    plan = own.plan("promotion-1", own.release("2.0", deploy=waiting))
    process = subprocess.Popen(
        own.lab.argv(own.argv(plan, "run")), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    until = time.monotonic() + 90
    while not (own.folder / "waits").exists():
        assert time.monotonic() < until, process.communicate()
        time.sleep(0.1)
    own.lab.stop("p2")
    hold.unlink()
    output, errors = process.communicate(timeout=400)
    assert process.returncode == 0, errors
    assert '"outcome":"failed"' in output
    assert '"p2":"unreachable"' in output
    assert own.picture("p1") == own.picture("p3") == OLD
    own.lab.start("p2")
    found = own.do(plan, "go_back")
    assert (found["outcome"], found["left"]) == ("rolled-back", [])
    assert pictures(own) == dict.fromkeys(HOSTS, OLD)
