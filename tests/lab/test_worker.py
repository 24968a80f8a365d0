"""Promotions to hosts that otapgate doesn't reach, by a worker that does, over SSH."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from otapgate.execution.plan import Plan
from otapgate.execution.run_state import run_state

from .application import Application, deploy
from .labs import ADMIN, Lab, up, wait_until
from .worker_host import HOSTS, LAB, STATE, FarApplication, install

pytestmark = pytest.mark.slow
OLD = {"version": "1.0", "settings": "mode=old", "columns": "['id', 'name']", "jobs": ""}
NEW = {
    "version": "2.0", "settings": "mode=new", "columns": "['id', 'name', 'room']",
    "jobs": "agenda",
}  # fmt: skip
WAITS = "    - name: Wait\n      shell: 'echo begun >> /tmp/waits; sleep 300'\n"


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Two hosts of production and a worker, for all tests here."""
    lab = up(tmp_path_factory.mktemp("labs") / "worker", LAB)
    install(lab, "w1")
    yield lab
    lab.down()


@pytest.fixture
def far(street: Lab, tmp_path: Path) -> Iterator[FarApplication]:
    (tmp_path / "landscape").mkdir()
    yield FarApplication(street, tmp_path / "landscape")
    for host in HOSTS:
        street.rules.mend(ADMIN, host)


def pictures(application: Application) -> dict[str, dict[str, str]]:
    return {host: application.picture(host) for host in HOSTS}


def of_jobs(far: FarApplication) -> str:
    """What is left of jobs on the worker."""
    return far.lab.ssh("w1", ["sh", "-c", f"find {STATE}/jobs -type f; true"]).stdout


def asks(far: FarApplication) -> dict[str, str]:
    """What `far.require` says, in the network of the administrator's side."""
    code = (
        "import json, pickle, sys\nfrom otapgate.execution import far\n"
        "from otapgate.errors import OtapgateError\n"
        "plan = pickle.loads(open(sys.argv[1], 'rb').read())[0]\n"
        "try:\n far.require(plan.environment)\n print('{}')\n"
        "except OtapgateError as error:\n"
        " print(json.dumps({'code': error.code, 'message': error.message}))\n"
    )
    plan = far.argv(far.plan("asks", far.old), "run")[2]
    done = far.lab.exec([sys.executable, "-c", code, plan])
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    return found


def test_hosts_that_only_the_worker_reaches_are_promoted_and_gone_back_from(
    far: FarApplication,
) -> None:
    for host in HOSTS:
        assert not far.lab.reaches(ADMIN, host, 22)
        assert far.lab.reaches("w1", host, 22)
    assert asks(far) == {}
    plan = far.plan("promotion-1", far.release("2.0"), secrets={"db_password": "Hedera-helix-2026"})
    found = far.do(plan, "run")
    assert (found["outcome"], found["hosts"]) == ("succeeded", dict.fromkeys(HOSTS, "ok")), found
    assert found["completeness"]["outcome"] == "complete"
    assert pictures(far) == dict.fromkeys(HOSTS, NEW)
    assert of_jobs(far) == ""
    found = far.do(plan, "go_back")
    assert (found["outcome"], found["left"]) == ("rolled-back", []), found
    assert pictures(far) == dict.fromkeys(HOSTS, OLD)
    # a deployment that fails there
    broken = deploy("    - name: Break\n      command: test {{ inventory_hostname }} != p2\n")
    found = far.do(far.plan("promotion-2", far.release("3.0", deploy=broken)), "run")
    assert (found["outcome"], found["left"]) == ("rolled-back", []), found
    assert (found["failed_task"]["name"], found["failed_task"]["host"]) == ("Break", "p2")
    assert pictures(far) == dict.fromkeys(HOSTS, OLD)


def test_the_keys_that_the_environment_pins_are_the_only_ones_that_the_worker_believes(
    far: FarApplication,
) -> None:
    keys = far.environment.host_keys
    far.environment = msgspec.structs.replace(
        far.environment, host_keys={"p1": keys["p1"], "p2": keys["p1"]}
    )
    found = far.do(far.plan("promotion-1", far.release("2.0")), "run")
    assert (found["outcome"], found["touched"]) == ("rolled-back", False), found
    assert found["code"] == "host-key-changed"
    assert pictures(far) == dict.fromkeys(HOSTS, OLD)


def test_ch05_07_a_rehearsal_by_the_worker_comes_back_from_cuts(far: FarApplication) -> None:
    found = far.do(far.plan("rehearsal-1", far.release("2.0")), "rehearse:sample:1")
    assert found["outcome"] == "restored", found
    assert [case["fault"] for case in found["cases"]] == ["none", "kill", "fail", "unreachable"]
    assert pictures(far) == dict.fromkeys(HOSTS, OLD)


def begun(far: FarApplication, plan: Plan) -> subprocess.Popen[str]:
    """A promotion in whose deployment the hosts wait; they do so when this returns."""
    waits = far.lab.root("p1") / "tmp/waits"
    waits.unlink(missing_ok=True)
    process = subprocess.Popen(
        far.lab.argv(far.argv(plan, "run")), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    wait_until(lambda: waits.exists() or process.poll() is not None, 180)
    assert process.poll() is None, process.communicate()
    return process


def ansible(far: FarApplication) -> list[int]:
    return [pid for pid, words in far.lab.processes("w1").items() if "ansible-playbook" in words]


def ended(far: FarApplication, plan: Plan) -> None:
    """Ansible has ended, the promotion is unfinished, and can be gone back from."""
    wait_until(lambda: not ansible(far), 90)
    state = run_state(plan.run_dir)
    assert state is not None
    assert (state.step, state.result) == ("deploy", None)
    assert asks(far) == {}
    found = far.do(plan, "go_back")
    assert (found["outcome"], found["left"]) == ("rolled-back", []), found
    assert pictures(far) == dict.fromkeys(HOSTS, OLD)
    assert of_jobs(far) == ""


def test_a_connection_that_breaks_leaves_a_promotion_to_be_ended(far: FarApplication) -> None:
    plan = far.plan("promotion-1", far.release("2.0", deploy=deploy(WAITS)))
    process = begun(far, plan)
    far.lab.rules.cut(ADMIN, "w1")
    output, errors = process.communicate(timeout=180)
    assert process.returncode == 0, errors
    found = json.loads(output)
    assert (found["outcome"], found["code"]) == ("unfinished", "worker-lost"), found
    far.lab.rules.mend(ADMIN, "w1")
    ended(far, plan)


@pytest.mark.parametrize("who", ["otapgate", "worker"])
def test_killed_in_the_middle_a_promotion_is_unfinished(far: FarApplication, who: str) -> None:
    plan = far.plan("promotion-1", far.release("2.0", deploy=deploy(WAITS)))
    process = begun(far, plan)
    [of_worker] = [
        pid for pid, words in far.lab.processes("w1").items()
        if "otapgate worker" in words and "sshd" not in words
        and "bin/python" in words.split(" ")[0]
    ]  # fmt: skip
    mine = json.loads((far.folder / ".otapgate/locks/agenda-P.lock").read_text())["pid"]
    os.kill(of_worker if who == "worker" else mine, signal.SIGKILL)
    output, _errors = process.communicate(timeout=180)
    if who == "worker":
        found = json.loads(output)
        assert (found["outcome"], found["code"]) == ("unfinished", "worker-lost"), found
    ended(far, plan)
