"""Promotion over SSH against the bare `ansible-playbook` of the same playbooks, as ratios.

Run as `python tests/bench/bench_ssh.py [TASKS] [ROUNDS]` (30 tasks, 3 rounds). Three hosts
of a lab, pipelining and ControlPersist on both sides; snapshot, deploy and verify. Compared
are the three commands that somebody would type, and one command for all three, in time on
the wall (the hosts' part included, which here shares the machine) and in processor time of
this side; then the same promotion by Mitogen's strategy, which saves the hosts' time and
hardly any of this side's. Ends with 1 only when a promotion by Ansible's own strategy uses
more processor time than wanted.
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.lab import application, labs

from otapgate.execution import inventory as inventories
from otapgate.execution.plan import Plan
from otapgate.execution.promotion import Promotion
from otapgate.execution.runner import ansible_binary
from otapgate.release.manifest import decode

HOSTS = ("p1", "p2", "p3")
STEPS = ("snapshot", "deploy", "verify")
WANTED = {"otapgate": 1.05, "Mitogen": 0.25}
"""Against one command."""

Clocks = tuple[float, float]


def clocks() -> Clocks:
    """Seconds on the wall, and of processor time by this process and its children."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return time.monotonic(), sum(one.ru_utime + one.ru_stime for one in used)


def since(started: Clocks) -> Clocks:
    now = clocks()
    return now[0] - started[0], now[1] - started[1]


class Bare:
    """What somebody would type, with everything set as well as can be."""

    def __init__(self, plan: Plan) -> None:
        folder = plan.root / "bare"
        folder.mkdir()
        self._tree = plan.release_tree
        hosts = {
            host.name: {
                **inventories.connection_variables(plan.environment, host.name),
                "otapgate_snapshot": f"/var/tmp/bare/{host.name}",
            }
            for host in plan.environment.hosts
        }
        own = {"hosts": hosts, "vars": dict(plan.environment.variables)}
        self._inventory = folder / "hosts.json"
        self._inventory.write_text(json.dumps({"all": {"children": {"bench": own}}}))
        told = plan.variables()
        names = ("otapgate_release", "otapgate_artifacts", "otapgate_environment")
        self._extra = folder / "extra.json"
        self._extra.write_text(json.dumps({name: told[name] for name in names}))
        self._environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_CONFIG": str(folder / "none.cfg"),
            "ANSIBLE_HOME": str(folder),
            "ANSIBLE_SSH_CONTROL_PATH_DIR": tempfile.mkdtemp(prefix="b"),
            "ANSIBLE_PIPELINING": "True",
            "ANSIBLE_FORKS": str(plan.forks),
            "ANSIBLE_SSH_ARGS": inventories.ssh_arguments(folder, plan.environment),
        }
        (folder / "none.cfg").touch()

    def run(self, *commands: tuple[str, ...]) -> Clocks:
        """One process for each list of playbooks."""
        started = clocks()
        for names in commands:
            books = [str(self._tree / f"playbooks/{name}.yml") for name in names]
            done = subprocess.run(
                [*(ansible_binary("ansible-playbook"), "-i", str(self._inventory)),
                 *("-e", f"@{self._extra}"), *books],
                env=self._environment, check=False, capture_output=True, text=True,
            )  # fmt: skip
            if done.returncode:
                raise SystemExit(done.stdout + done.stderr)
        return since(started)


def promoted(plan: Plan, name: str) -> Clocks:
    """Seconds that otapgate takes for the same."""
    own = msgspec.structs.replace(plan, promotion_id=name, run_dir=plan.root / "runs" / name)
    started = clocks()
    result = Promotion(own).run()
    if result.outcome != "succeeded":
        raise SystemExit(result.message)
    return since(started)


def compared(plan: Plan, rounds: int) -> Mapping[str, list[Clocks]]:
    """Times of each way, in turn, so that a busy machine slows all; the first is let go,
    since it opens the connections that the others find."""
    import ansible_runner.config.runner
    import ansible_runner.runner  # noqa: F401

    bare = Bare(plan)
    number = iter(range(1, 10_000))
    by_mitogen = msgspec.structs.replace(plan, strategy="mitogen")
    ways: dict[str, Callable[[], Clocks]] = {
        "otapgate": lambda: promoted(plan, f"P{next(number)}"),
        "Mitogen": lambda: promoted(by_mitogen, f"M{next(number)}"),
        "three commands": lambda: bare.run(*((step,) for step in STEPS)),
        "one command": lambda: bare.run(STEPS),
    }
    times: dict[str, list[Clocks]] = {name: [] for name in ways}
    for turn in range(rounds + 1):
        for name, way in ways.items():
            taken = way()
            if turn:
                times[name].append(taken)
    return times


def inside(kept: Path, rounds: int) -> int:
    """On the administrator's side of the lab."""
    plan, release, previous = pickle.loads(kept.read_bytes())

    def put(data: bytes) -> str:
        return "sha256:" + hashlib.sha256(data).hexdigest()

    plan = msgspec.structs.replace(
        plan, put=put, manifest=decode(release), previous=decode(previous)
    )
    times = compared(plan, rounds)
    ok = True
    for clock, unit in enumerate(("wall", "processor")):
        median = {
            name: statistics.median(value[clock] for value in values)
            for name, values in times.items()
        }
        for way, wanted in WANTED.items():
            for name in ("three commands", "one command"):
                ratio = median[way] / median[name]
                print(
                    f"promotion ({way}) / bare ansible-playbook, {name}, {unit}: {ratio:.2f}"
                    f"  ({median[way]:.2f} s / {median[name]:.2f} s; wanted ≤ {wanted})"
                )
                if (way, name, unit) == ("otapgate", "one command", "processor"):
                    ok = ratio <= wanted
    print(f"load {os.getloadavg()[0]:.1f}")
    return 0 if ok else 1


def main() -> int:
    if sys.argv[1:2] == ["--inside"]:
        return inside(Path(sys.argv[2]), int(sys.argv[3]))
    tasks = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lab = labs.up(folder / "lab")
        try:
            (folder / "school").mkdir()
            app = application.Application(lab, HOSTS, folder / "school", "P")
            small = "".join(
                f"    - name: Task {number}\n      command: test -d {application.HOME}\n"
                for number in range(tasks - len(application.TASKS))
            )
            plan = app.plan("P0", app.release("2.0", deploy=application.deploy(small)))
            app.argv(plan, "run")  # keeps the plan
            print(f"{tasks} tasks, {len(HOSTS)} hosts, {rounds} rounds, medians", flush=True)
            command = [sys.executable, __file__, "--inside", str(app.folder / "P0.pickle")]
            return subprocess.run(lab.argv([*command, str(rounds)]), check=False).returncode
        finally:
            lab.down()


if __name__ == "__main__":
    sys.exit(main())
