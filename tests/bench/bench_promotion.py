"""Promotion against the bare `ansible-playbook` of the same playbooks, as ratios.

Run as `python tests/bench/bench_promotion.py [TASKS] [ROUNDS]` (30 tasks, 3 rounds).
Local connection, one host, snapshot, deploy and verify playbooks. Two comparisons: with
the three commands that somebody would type, and with one command for all three; each in
time on the wall and in processor time, which a busy machine disturbs less.
"""

from __future__ import annotations

import hashlib
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from otapgate.execution.plan import Plan
from otapgate.execution.promotion import Promotion
from otapgate.execution.runner import ansible_binary
from otapgate.landscape.model import Environment, Host
from otapgate.release.manifest import Install, Manifest, State

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.trees import release_files

WANTED = 1.15


def release(tree: Path, home: Path, tasks: int) -> Manifest:
    """A release of 200 files whose deployment has so many tasks."""
    site = tree / "artifacts/site"
    site.mkdir(parents=True)
    for number in range(200):
        (site / f"page{number}.html").write_text(f"<p>{number}</p>" * 200)
    (tree / "playbooks").mkdir()
    play = "- hosts: all\n  gather_facts: false\n  tasks:\n"
    copy = f"    - command: cp -a {site}/. {home}/site/\n"
    small = "".join(
        f"    - name: Task {number}\n      command: test -d {home}\n" for number in range(tasks - 3)
    )
    playbooks = {
        "snapshot": f"{play}    - command: cp -a {home} {{{{ otapgate_snapshot }}}}/home\n",
        "deploy": f"{play}{copy}{small}",
        "verify": f"{play}    - command: test -f {home}/site/page0.html\n",
    }
    for name, text in playbooks.items():
        (tree / f"playbooks/{name}.yml").write_text(text)
    (tree / "playbooks/rollback.yml").write_text(f"{play}    - command: true\n")
    return Manifest(
        app="bench",
        version="1",
        street="bench",
        plans=(),
        variables={},
        state=State(paths=(str(home),)),
        installs=(Install(str(home / "site"), "files", "artifacts/site"),),
        files=release_files(tree),
    )


def clocks() -> tuple[float, float]:
    """Seconds on the wall, and of processor time by this process and its children."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return time.monotonic(), sum(one.ru_utime + one.ru_stime for one in used)


def since(started: tuple[float, float]) -> tuple[float, float]:
    now = clocks()
    return now[0] - started[0], now[1] - started[1]


def bare(folder: Path, tree: Path, names: list[list[str]]) -> tuple[float, float]:
    """Seconds that the playbooks take by themselves, one process for each list."""
    inventory = folder / "hosts.yml"
    snapshot = Path(tempfile.mkdtemp(dir=folder))
    inventory.write_text(
        "all: {hosts: {web: {ansible_connection: local, "
        f"ansible_python_interpreter: {sys.executable}, otapgate_snapshot: {snapshot}}}}}}}\n"
    )
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "LC_ALL": "C.UTF-8"}
    environment["ANSIBLE_PIPELINING"] = "True"
    started = clocks()
    for together in names:
        subprocess.run(
            [ansible_binary("ansible-playbook"), "-i", str(inventory)]
            + [str(tree / f"playbooks/{name}.yml") for name in together],
            env=environment,
            check=True,
            stdout=subprocess.DEVNULL,
        )
    return since(started)


def promotion(folder: Path, tree: Path, manifest: Manifest, number: int) -> tuple[float, float]:
    """Seconds that otapgate takes for the same."""
    plan = Plan(
        promotion_id=f"P{number}",
        manifest=manifest,
        release_tree=tree,
        environment=Environment(
            name="bench-A",
            stage="A",
            street="bench",
            owner="",
            hosts=(Host("web", {"ansible_connection": "local"}),),
        ),
        run_dir=folder / "runs" / f"P{number}",
        root=folder,
        put=lambda data: "sha256:" + hashlib.sha256(data).hexdigest(),
    )
    started = clocks()
    result = Promotion(plan).run()
    if result.outcome != "succeeded":
        raise SystemExit(result.message)
    return since(started)


def main() -> None:
    tasks = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        home = folder / "home"
        (home / "site").mkdir(parents=True)
        tree = folder / "release"
        manifest = release(tree, home, tasks)
        steps = ["snapshot", "deploy", "verify"]
        import ansible_runner.config.runner
        import ansible_runner.runner  # noqa: F401

        times: dict[str, list[tuple[float, float]]] = {"three": [], "one": [], "otapgate": []}
        for number in range(rounds):  # in turn, so that a busy machine slows all three
            times["three"].append(bare(folder, tree, [[step] for step in steps]))
            times["one"].append(bare(folder, tree, [steps]))
            times["otapgate"].append(promotion(folder, tree, manifest, number))
        print(f"{tasks} tasks, {rounds} rounds, medians; wanted ≤ {WANTED}")
        for clock, unit in enumerate(("wall", "processor")):
            median = {
                key: statistics.median(value[clock] for value in values)
                for key, values in times.items()
            }
            for key, words in (("three", "three commands"), ("one", "one command")):
                ratio = median["otapgate"] / median[key]
                print(
                    f"promotion / bare ansible-playbook, {words}, {unit}: {ratio:.2f}"
                    f"  ({median['otapgate']:.2f} s / {median[key]:.2f} s)"
                )


if __name__ == "__main__":
    main()
