"""`rehearse --faults all` against the sum of the bare runs it consists of, as ratios.

Run as `python tests/bench/bench_rehearsal.py [TASKS [FAULTS]]` (20 tasks, all; `sample:3`
measures the same in a fraction of the time). Local connection, one host. A bare run is
`ansible-playbook deploy.yml`, cut short at one task by the same callback, and then
`ansible-playbook rollback.yml`; they are run one after the other for every task and fault,
and before them a whole deployment, verified and gone back from. Time on the wall and
processor time; the latter is disturbed less by a busy machine.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from otapgate.execution import faults
from otapgate.execution.inventory import ACTIONS
from otapgate.execution.plan import Plan
from otapgate.execution.rehearsal import rehearse
from otapgate.execution.runner import ansible_binary
from otapgate.landscape.model import Environment, Host
from otapgate.release.manifest import Manifest

sys.path.insert(0, str(Path(__file__).parent))
from bench_promotion import clocks, release, since

WANTED = 1.2


class Bare:
    """The playbooks by themselves."""

    def __init__(self, folder: Path, tree: Path) -> None:
        self.tree, self.folder = tree, folder
        self.snapshot = folder / "snapshot"
        self.snapshot.mkdir()
        self.inventory = folder / "hosts.yml"
        self.inventory.write_text(
            "all: {hosts: {web: {ansible_connection: local, "
            f"ansible_python_interpreter: {sys.executable}, otapgate_snapshot: {self.snapshot}"
            "}}}\n"
        )
        self.environment = {
            "PATH": os.environ["PATH"], "HOME": str(folder), "LC_ALL": "C.UTF-8",
            "ANSIBLE_PIPELINING": "True", "ANSIBLE_ACTION_PLUGINS": str(ACTIONS),
            "ANSIBLE_CALLBACK_PLUGINS": str(faults.CALLBACKS),
        }  # fmt: skip

    def play(self, *names: str, **more: str) -> None:
        subprocess.run(
            [ansible_binary("ansible-playbook"), "-i", str(self.inventory)]
            + [str(self.tree / f"playbooks/{name}.yml") for name in names],
            env={**self.environment, **more}, check=False, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def rehearsal(self, indices: list[int]) -> None:
        """All that a rehearsal has to run."""
        self.play("snapshot", "deploy", "verify")
        self.play("rollback")
        deploy = self.tree / "playbooks/deploy.yml"
        for index in indices:
            for kind in faults.KINDS:
                fault = faults.Fault(deploy, index, kind)
                self.play("deploy", **faults.variables(fault, self.folder))
                self.play("rollback")


def plan(folder: Path, tree: Path, manifest: Manifest) -> Plan:
    return Plan(
        promotion_id="R1",
        manifest=manifest,
        release_tree=tree,
        environment=Environment(
            name="bench-T", stage="T", street="bench", owner="",
            hosts=(Host("web", {"ansible_connection": "local"}),),
        ),
        run_dir=folder / "runs" / "R1",
        root=folder,
        put=lambda data: f"sha256:{len(data):064}",
        on_progress=lambda event: print(f"  {event.name}") if event.kind == "note" else None,
    )  # fmt: skip


def main() -> None:
    tasks = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    wanted = sys.argv[2] if len(sys.argv) > 2 else "all"
    indices = faults.chosen(tasks, wanted)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        home, tree = folder / "home", folder / "release"
        (home / "site").mkdir(parents=True)
        manifest = release(tree, home, tasks + 2)  # two that it counts are in other playbooks
        (tree / "playbooks/rollback.yml").write_text(
            "- hosts: all\n  gather_facts: false\n  tasks:\n"
            f"    - shell: rm -rf {home} && cp -a {{{{ otapgate_snapshot }}}}/home {home}\n"
        )
        started = clocks()
        result = rehearse(plan(folder, tree, manifest), wanted)
        ours = since(started)
        if result.outcome != "restored" or len(result.cases) != 1 + 3 * len(indices):
            raise SystemExit(f"{len(result.cases)} cases: {result.message}")
        started = clocks()
        Bare(folder, tree).rehearsal(indices)
        bare = since(started)
    load = " ".join(f"{one:.1f}" for one in os.getloadavg())
    print(f"{tasks} tasks, {len(result.cases)} cases, load {load}; wanted ≤ {WANTED}")
    for unit, one, other in zip(("wall", "processor"), ours, bare, strict=True):
        print(f"rehearsal / bare runs, {unit}: {one / other:.2f}  ({one:.1f} s / {other:.1f} s)")


if __name__ == "__main__":
    main()
