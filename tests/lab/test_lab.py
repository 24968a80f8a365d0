"""The lab itself: hosts apart from each other and from this machine, and gone when ended."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.lab.labs import ADMIN, OTAPGATE, Lab, up, wait_until

from otapgate.lab import programs, running

ROOT = Path(__file__).resolve().parents[2]
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


def network_of(pid: int) -> int:
    return running.network_of(Path(f"/proc/{pid}"))


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
    cookies = {network_of(pid) for pid in inside(lab)}
    assert len(cookies) == len(networks) == len(lab.hosts) + 2

    def left() -> set[int]:  # inodes are given out again, cookies aren't
        return {pid for pid in in_networks(networks) if network_of(pid) in cookies}

    assert len(left()) > len(lab.hosts)
    folder, state = lab.folder, lab.state
    os.kill(lab.pid, signal.SIGKILL)
    wait_until(lambda: left() == {kept.pid})
    assert not Path(state["admin"]["network"]).exists()
    assert json.loads(run("lab", "down", folder).stdout)["ended"] is True
    assert kept.wait(10) == -signal.SIGKILL
    assert left() == set()
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
    believed = f"-o UserKnownHostsFile={lab.known_hosts}"
    done = lab.exec(
        [ansible, "-i", tmp_path / "hosts.json", tmp_path / "site.yml"],
        env={**os.environ, "ANSIBLE_SSH_EXTRA_ARGS": believed},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("ok=1") == len(lab.hosts)


def test_the_machine_notices_nothing(make_lab: MakeLab) -> None:
    places = ("/proc/self/mountinfo", "/proc/net/route", "/proc/net/unix")
    devices = {line.split(":")[0] for line in lines("/proc/net/dev")}
    before = [sorted(lines(place)) for place in places[:2]]
    lab = make_lab()
    assert {line.split(":")[0] for line in lines("/proc/net/dev")} == devices
    assert [sorted(lines(place)) for place in places[:2]] == before
    assert list((lab.folder / "disks").iterdir()) == []


def lines(place: str) -> list[str]:
    return Path(place).read_text("utf-8").splitlines()


def test_a_host_sees_nothing_of_who_made_it(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine", "utf-8")
    done = lab.ssh("t1", ["sudo", "ls", "/home", "/root", str(tmp_path), "/etc/sudoers.d"])
    assert "mine" not in done.stdout
    assert f"cannot access '{tmp_path}'" in done.stderr
    assert "/home:\ndeploy\n" in done.stdout
    assert done.stdout.endswith("/root:\n")
    seen = lab.ssh("t1", ["sudo", "sh", "-c", "ps -eo args; ls -l /proc/1/fd; cat /proc/1/environ"])
    assert "sshd" in seen.stdout
    assert str(lab.folder) not in seen.stdout


def test_root_on_a_host_can_not_mount_make_devices_or_set_the_kernel(lab: Lab) -> None:
    for command in (
        ["mount", "-t", "tmpfs", "none", "/mnt"],
        ["mknod", "/tmp/disk", "b", "8", "0"],
        ["sh", "-c", "echo 0 > /proc/sys/kernel/randomize_va_space"],
        ["sh", "-c", "echo h > /proc/sysrq-trigger && test -s /proc/sysrq-trigger"],
        ["date", "-s", "2020-01-01"],
    ):
        assert lab.ssh("t1", ["sudo", *command]).returncode != 0, command


def test_the_unclean_lab_of_the_guide_is_unclean(make_lab: MakeLab) -> None:
    lab = make_lab((ROOT / "docs/how-to/lab.yml").read_text("utf-8"))
    assert lab.hosts["t1"]["host_key"].split()[1] == lab.hosts["p1"]["host_key"].split()[1]
    assert lab.hosts["a1"]["host_key"].split()[1] != lab.hosts["p1"]["host_key"].split()[1]
    assert lab.ssh("p1", ["true"]).returncode == 0
    wait_until(lambda: lab.reaches("t1", "p1", 8080))
    assert not lab.reaches("t1", "p1", 22, seconds=5)  # refused, or this takes long
    assert lab.ssh("p1", ["sh", "-c", "echo both > /srv/shared/file"]).returncode == 0
    assert lab.ssh("a1", ["cat", "/srv/shared/file"]).stdout == "both\n"
    full = lab.ssh("p1", ["dd", "if=/dev/zero", "of=/tmp/full", "bs=1M", "count=600"])
    assert "No space left" in full.stderr
    assert "(ALL : ALL) NOPASSWD" in lab.ssh("t1", ["sudo", "-l"], account="stray").stdout


def test_an_account_with_a_password_logs_in_by_it(make_lab: MakeLab, tmp_path: Path) -> None:
    lab = make_lab("hosts: {t1: {stage: T, accounts: {stray: {password: true, key: false}}}}")
    assert lab.ssh("t1", ["true"], account="stray").returncode == 255
    # ssh asks a program for a password when there is no terminal.
    tell = tmp_path / "tell"
    tell.write_text(f"#!/bin/sh\necho '{lab.password('t1', 'stray')}'\n", "utf-8")
    tell.chmod(0o700)
    login = ["ssh", "-F", "none", "-o", f"UserKnownHostsFile={lab.known_hosts}",
             "-o", "PubkeyAuthentication=no",
             f"stray@{lab.hosts['t1']['address']}", "id -un"]  # fmt: skip
    asks = os.environ | {"SSH_ASKPASS": str(tell), "SSH_ASKPASS_REQUIRE": "force"}
    assert lab.exec(login, env=asks).stdout == "stray\n"
    assert oct((lab.folder / "keys/passwords.json").stat().st_mode)[-3:] == "600"


def test_a_lab_ends_with_its_folder(make_lab: MakeLab) -> None:
    lab = make_lab("hosts: {t1: {stage: T}}")
    supervisor = lab.pid
    shutil.rmtree(lab.folder)
    wait_until(lambda: not Path(f"/proc/{supervisor}").exists())


def test_a_lab_ends_with_the_process_that_it_is_tied_to(tmp_path: Path) -> None:
    tied = subprocess.Popen(["sleep", "600"])
    told = json.loads(run("lab", "up", tmp_path / "lab", "--while", str(tied.pid)).stdout)
    supervisor = told["lab"]["supervisor"]["pid"]
    assert Path(f"/proc/{supervisor}").exists()
    tied.kill()
    tied.wait()
    wait_until(lambda: not Path(f"/proc/{supervisor}").exists())
    run("lab", "down", tmp_path / "lab")


@pytest.mark.parametrize("seconds", [0.0, 0.1, 0.2, 0.4])
def test_interrupted_in_the_middle_of_up_nothing_is_left(tmp_path: Path, seconds: float) -> None:
    coming = subprocess.Popen(
        [*OTAPGATE, "lab", "up", str(tmp_path / "lab")],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    wait_until((tmp_path / "lab").exists)
    time.sleep(seconds)
    coming.send_signal(signal.SIGINT)
    assert coming.stderr is not None
    told = coming.stderr.read()
    if coming.wait(60) == 0:  # it was up before
        assert run("lab", "down", tmp_path / "lab").returncode == 0
    else:
        assert coming.returncode in (130, -signal.SIGINT), told
    assert list(tmp_path.iterdir()) == []
    assert (
        str(tmp_path)
        not in subprocess.run(
            ["ps", "-eo", "args"], capture_output=True, text=True, check=True
        ).stdout
    )


def test_every_error_of_a_file_is_told_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "odd.yml"
    file.write_text(
        "hosts:\n  p1: {stage: X}\n  Admin: {stage: T, address: 127.0.0.1}\nrefuse: no\n", "utf-8"
    )
    done = run("lab", "up", tmp_path / "lab", "--file", file)
    assert done.returncode == 4
    assert {x["line"] for x in json.loads(done.stdout)["problems"]} == {2, 3, 4}
    assert not (tmp_path / "lab").exists()


def test_nothing_is_run_in_a_lab_that_is_not_there(tmp_path: Path) -> None:
    done = run("lab", "exec", tmp_path, "--", "touch", tmp_path / "ran")
    assert done.returncode == 1
    assert json.loads(done.stdout)["error"]["code"] == "lab-down"
    assert not (tmp_path / "ran").exists()


def test_a_command_that_is_not_there_is_told(lab: Lab) -> None:
    done = lab.exec(["no-such-command"])
    assert done.returncode == 1
    assert "no-such-command" in done.stderr


def test_the_street_fits_a_landscape(lab: Lab, tmp_path: Path) -> None:
    for name in ("otapgate.yml", "policy.yml"):
        shutil.copy(ROOT / "environments/landscape" / name, tmp_path)
    (tmp_path / "environments").mkdir()
    shutil.copy(lab.folder / "street.yml", tmp_path / "environments" / "lab.yml")
    done = run("check", "--landscape", tmp_path)
    assert done.returncode == 0, done.stdout


ORDINARY = Path(__file__).with_name("ordinary.py")


def as_ordinary(tmp_path: Path, ranges: str, script: str) -> subprocess.CompletedProcess[str]:
    """What an ordinary user gets to see; made for the occasion where root runs this."""
    folder = tmp_path if os.geteuid() else Path("/mnt/home")
    command = ["/bin/sh", "-c", script, sys.executable, str(folder / "lab")]
    if os.geteuid() == 0:
        command = [sys.executable, str(ORDINARY), ranges, *command]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_an_ordinary_user_has_a_lab_where_the_kernel_lets(tmp_path: Path) -> None:
    lets = as_ordinary(tmp_path, "yes", "unshare --user --map-root-user --net --mount true")
    done = as_ordinary(
        tmp_path,
        "yes",
        """
        "$0" -m otapgate lab up "$1" || exit
        "$0" -m otapgate lab exec "$1" -- ssh -F none -i "$1/keys/lab" \
            -o UserKnownHostsFile="$1/known_hosts" deploy@10.77.4.11 "hostname; sudo id -u"
        "$0" -m otapgate lab down "$1"
        test -e "$1" && echo left || id -u
        """,
    )
    if lets.returncode == 0:
        assert done.returncode == 0, done.stderr
        hostname, root, _gone, user = done.stdout.splitlines()[-4:]
        assert (hostname, root) == ("p1", "0")
        assert int(user) != 0
    else:
        assert done.returncode == 1
        assert "This machine can't have a lab" in done.stderr


def test_an_ordinary_user_without_numbers_of_their_own_is_told_what_lacks(tmp_path: Path) -> None:
    done = as_ordinary(tmp_path, "no", '"$0" -m otapgate lab up "$1"; echo $?; ls "$1"')
    if os.geteuid() != 0 and programs.mapping() is None:
        assert done.stdout.splitlines()[-1] == "0"
        return
    assert done.stdout == "1\n"
    assert "uidmap" in done.stderr or "/etc/subuid" in done.stderr


def test_the_guide_shows_the_file_that_is_tried_here() -> None:
    guide = (ROOT / "docs/how-to/run-a-lab.md").read_text("utf-8")
    shown = guide.split("```yaml\n")[1].split("```")[0]
    assert (ROOT / "docs/how-to/lab.yml").read_text("utf-8").endswith(shown)


def test_dry_run_starts_nothing(tmp_path: Path) -> None:
    done = run("lab", "up", tmp_path / "lab", "--dry-run")
    assert json.loads(done.stdout)["hosts"]["p1"] == "10.77.4.11"
    assert list(tmp_path.iterdir()) == []
