"""The lab itself: hosts apart from each other and from this machine, and gone when ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.lab.labs import ADMIN, OTAPGATE, Lab, up, wait_until

MakeLab = Callable[..., Lab]


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*OTAPGATE, "--json", *map(str, words)], capture_output=True, text=True, check=False,
        timeout=120,
    )  # fmt: skip


def inside(lab: Lab) -> set[int]:
    """Processes in any network of the lab, as the machine numbers them."""
    networks = {Path(f"/proc/{lab.pid}/ns/net").stat().st_ino, lab.state["admin"]["inode"]}
    networks |= {Path(f"/proc/{x['pid']}/ns/net").stat().st_ino for x in lab.hosts.values()}
    return in_networks(networks)


def in_networks(networks: set[int]) -> set[int]:
    found = set()
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "ns/net").stat().st_ino in networks:
                found.add(int(entry.name))
        except OSError:
            continue
    return found


def test_it_is_up_in_seconds_and_says_how_many(make_lab: MakeLab) -> None:
    told = make_lab().told
    print("seconds to come up:", told["seconds"])
    assert told["ok"] is True
    assert set(told["lab"]["hosts"]) == {"t1", "a1", "p1", "p2", "p3"}
    assert told["seconds"] < 60


def test_every_host_is_a_machine_of_its_own(lab: Lab) -> None:
    names, machines = set(), set()
    for host in lab.hosts:
        done = lab.ssh(host, ["sh", "-c", "hostname; cat /etc/machine-id; sudo -n id -u"])
        name, machine, root = done.stdout.split()
        names.add(name)
        machines.add(machine)
        assert root == "0"
    assert names == set(lab.hosts)
    assert len(machines) == len(lab.hosts)
    assert Path("/etc/machine-id").read_text("ascii").strip() not in machines


def test_test_does_not_reach_production_and_the_administrator_does(lab: Lab) -> None:
    assert lab.reaches(ADMIN, "p1", 22)
    assert lab.reaches(ADMIN, "t1", 22)
    assert lab.reaches("p1", "p2", 22)
    assert not lab.reaches("t1", "p1", 22)
    assert not lab.reaches("a1", "p1", 22)
    assert not lab.reaches("t1", "a1", 22)


def test_a_hole_opens_one_port_one_way(make_lab: MakeLab) -> None:
    lab = make_lab(
        """
hosts:
  t1: {stage: T}
  p1:
    stage: P
    services:
      web: {run: [python3, -m, http.server, "8080"], user: deploy, ports: [8080]}
      other: {run: [python3, -m, http.server, "8081"], user: deploy}
reach:
  - {from: t1, to: p1, port: 8080}
"""
    )
    wait_until(lambda: lab.reaches("p1", "p1", 8081))
    assert lab.reaches("t1", "p1", 8080)
    assert not lab.reaches("t1", "p1", 22)
    assert not lab.reaches("t1", "p1", 8081)
    assert not lab.reaches("p1", "t1", 22)
    assert lab.reaches(ADMIN, "p1", 8080)
    assert not lab.reaches(ADMIN, "p1", 8081)
    lab.rules.close("t1", "p1", 8080)
    assert not lab.reaches("t1", "p1", 8080)
    lab.rules.open("t1", "p1", 8081)
    assert lab.reaches("t1", "p1", 8081)


def test_kill_of_the_supervisor_leaves_no_process_and_no_network(make_lab: MakeLab) -> None:
    lab = make_lab()
    kept = subprocess.Popen(lab.argv(["sleep", "600"]))
    wait_until(lambda: kept.pid in inside(lab))
    networks = {Path(f"/proc/{pid}/ns/net").stat().st_ino for pid in inside(lab)}
    assert len(networks) == len(lab.hosts) + 2
    folder, state = lab.folder, lab.state
    os.kill(lab.pid, signal.SIGKILL)
    wait_until(lambda: in_networks(networks) <= {kept.pid})
    assert not Path(state["admin"]["network"]).exists()
    assert json.loads(run("lab", "down", folder).stdout)["ended"] is True
    assert kept.wait(10) == -signal.SIGKILL
    assert in_networks(networks) == set()
    assert not folder.exists()
    again = up(folder)
    assert again.ssh("t1", ["true"]).returncode == 0
    again.down()


def test_two_labs_have_the_same_addresses_and_nothing_else(make_lab: MakeLab) -> None:
    one, two = make_lab(), make_lab()
    assert one.hosts["t1"]["address"] == two.hosts["t1"]["address"]
    first, second = (x.ssh("t1", ["cat", "/etc/machine-id"]).stdout for x in (one, two))
    assert first
    assert second
    assert first != second
    one.down()
    assert two.ssh("t1", ["true"]).returncode == 0


def test_down_twice_is_no_error_and_up_twice_says_it_runs(make_lab: MakeLab) -> None:
    lab = make_lab()
    again = run("lab", "up", lab.folder)
    assert again.returncode == 6
    assert json.loads(again.stdout)["error"]["code"] == "lab-runs"
    assert lab.ssh("t1", ["true"]).returncode == 0
    assert run("lab", "down", lab.folder).returncode == 0
    last = run("lab", "down", lab.folder)
    assert last.returncode == 0
    assert json.loads(last.stdout)["ended"] is False


def test_a_host_that_is_stopped_comes_back_as_it_was(make_lab: MakeLab) -> None:
    lab = make_lab("hosts: {p1: {stage: P}, p2: {stage: P}}")
    assert lab.ssh("p1", ["sh", "-c", "echo kept > kept; sync"]).returncode == 0
    lab.stop("p1")
    assert lab.hosts["p1"]["pid"] is None
    assert not lab.reaches(ADMIN, "p1", 22)
    assert lab.reaches(ADMIN, "p2", 22)
    lab.start("p1")
    assert lab.ssh("p1", ["cat", "kept"]).stdout == "kept\n"
    assert (lab.root("p1") / "home/deploy/kept").read_text("utf-8") == "kept\n"


def test_a_cut_ends_connections_that_there_are(make_lab: MakeLab) -> None:
    lab = make_lab("hosts: {p1: {stage: P}}")
    lab.rules.cut(ADMIN, "p1")
    assert not lab.reaches(ADMIN, "p1", 22)
    lab.rules.mend(ADMIN, "p1")
    assert lab.reaches(ADMIN, "p1", 22)


def test_connections_break_when_sshd_is_killed_and_it_comes_back(make_lab: MakeLab) -> None:
    lab = make_lab("hosts: {p1: {stage: P}}")
    session = subprocess.Popen(lab.argv([*lab.ssh_argv("p1"), "sleep 600"]))
    wait_until(lambda: bool(lab.sshd_pids("p1")))
    lab.kill_sshd("p1")
    assert session.wait(10) == 255
    wait_until(lambda: lab.ssh("p1", ["true"]).returncode == 0)


def test_a_host_with_another_key_is_not_trusted(make_lab: MakeLab) -> None:
    lab = make_lab("hosts: {p1: {stage: P}}")
    assert lab.ssh("p1", ["true"]).returncode == 0
    key = lab.change_host_key("p1")
    wait_until(lambda: "IDENTIFICATION HAS CHANGED" in lab.ssh("p1", ["true"]).stderr)
    assert lab.hosts["p1"]["host_key"] == key


@pytest.mark.slow
def test_ansible_reaches_every_host(lab: Lab, tmp_path: Path) -> None:
    inventory = {"all": {"hosts": {name: lab.connection(name) for name in lab.hosts}}}
    (tmp_path / "hosts.json").write_text(json.dumps(inventory), "utf-8")
    (tmp_path / "site.yml").write_text(
        "- hosts: all\n  become: true\n  gather_facts: false\n"
        "  tasks: [{ansible.builtin.ping: {}}]\n",
        "utf-8",
    )
    ansible = Path(sys.executable).with_name("ansible-playbook")
    done = lab.exec([ansible, "-i", tmp_path / "hosts.json", tmp_path / "site.yml"])
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("ok=1") == len(lab.hosts)
