"""Applications that others made, promoted on a lab's host by the examples' own files."""

from __future__ import annotations

import json
import pickle
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.lab.labs import Lab, Result

from otapgate.execution.guard import check_release
from otapgate.execution.plan import Plan
from otapgate.landscape.model import Environment, Host
from otapgate.release.build import build, read
from otapgate.release.manifest import Manifest
from otapgate.release.store import Store
from otapgate.release.unpack import unpack
from otapgate.testing.plan import bundle

ROOT = Path(__file__).parents[2]
DRIVER = ROOT / "tests" / "execution" / "crash_driver.py"
TESTS = ROOT / "tests" / "lab" / "plan_driver.py"
SECONDS = 1800

Release = tuple[Manifest, Path]


class Street:
    """A landscape with the examples in it, whose test environment is one host of a lab."""

    def __init__(
        self, folder: Path, lab: Lab, variables: dict[str, Any], secrets: dict[str, str]
    ) -> None:
        self.folder, self.lab, self.secrets = folder, lab, secrets
        shutil.copytree(ROOT / "environments" / "applications", folder)
        shutil.copytree(ROOT / "playbooks", folder / "playbooks")
        self.store = Store(folder / "store")
        kind, key = lab.hosts["t1"]["host_key"].split()[:2]
        self.environment = Environment(
            name="applications-T",
            stage="T",
            street="applications",
            owner="Daan Jansen",
            hosts=(Host("t1", lab.connection("t1")),),
            host_keys={"t1": (f"{kind} {key}",)},
            variables={"ansible_become": True, **variables},
            secrets=tuple(secrets),
            digest="sha256:" + "0" * 64,
        )
        self.runs = 0

    def release(self, name: str) -> Release:
        """The release of a release file of the examples, built and unpacked."""
        manifest = build(read(self.folder / "releases" / f"{name}.yml", self.folder), self.store)
        for plan in manifest.plans:
            bundle(self.folder / "plans" / f"{plan}.yml", self.folder, self.store)
        tree = self.folder / "unpacked" / name
        if not tree.exists():
            tree.parent.mkdir(exist_ok=True)
            unpack(manifest, self.store, tree)
        return manifest, tree

    def plan(self, release: Release, previous: Release | None = None) -> Plan:
        """The next promotion of `release` over `previous`; the guard lets it through."""
        self.runs += 1
        name = f"PRO-{self.runs:03}"
        plan = Plan(
            promotion_id=name,
            manifest=release[0],
            release_tree=release[1],
            environment=self.environment,
            run_dir=self.folder / ".otapgate" / "runs" / name,
            root=self.folder,
            put=len,  # type: ignore[arg-type]  # the driver has its own
            previous=previous[0] if previous else None,
            previous_tree=previous[1] if previous else None,
            secrets=self.secrets,
        )
        assert check_release(plan) == []
        return plan

    def do(self, plan: Plan, *what: str) -> dict[str, Any]:
        """Run, go back from or rehearse a plan on the administrator's side of the lab."""
        path = self.folder / "plan.pickle"
        before = plan.previous.encoded() if plan.previous else b""
        path.write_bytes(pickle.dumps((plan, plan.manifest.encoded(), before)))
        done = self.lab.exec([sys.executable, str(DRIVER), str(path), *what], SECONDS, cwd=ROOT)
        assert done.returncode == 0, done.stdout + done.stderr
        said: dict[str, Any] = json.loads(done.stdout)
        return said

    def tested(self, release: Release, name: str) -> dict[str, Any]:
        """What a test plan of the examples says of the release that is deployed."""
        path = self.folder / "tests.pickle"
        bare = self.plan(release)
        path.write_bytes(pickle.dumps((self.folder, name, bare, release[0].encoded())))
        done = self.lab.exec([sys.executable, str(TESTS), str(path)], SECONDS, cwd=ROOT)
        assert done.returncode == 0, done.stdout + done.stderr
        said: dict[str, Any] = json.loads(done.stdout)
        return said

    def on_host(self, command: Sequence[str]) -> Result:
        """As root on the host."""
        return self.lab.ssh("t1", ["sudo", "-n", *command])

    def said(self, command: Sequence[str]) -> str:
        """What a command on the host writes; it must succeed."""
        done = self.on_host(command)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout
