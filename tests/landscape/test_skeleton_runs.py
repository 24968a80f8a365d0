"""The first release really deploys, rehearses and rolls back, through the engine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from otapgate.execution.plan import Plan
from otapgate.execution.promotion import Promotion
from otapgate.execution.rehearsal import rehearse
from otapgate.landscape import scaffold
from otapgate.landscape.load import load
from otapgate.release import build
from otapgate.release.manifest import Manifest
from otapgate.release.store import Store
from otapgate.release.unpack import remove, unpack


class Site:
    """A landscape with the skeleton, and two releases of it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        scaffold.create(
            root, stages=("T", "P"), name="De Linde", street="agenda", owner="Daan Jansen"
        )
        scaffold.release_skeleton(root, "portal", "agenda")
        self.store = Store(root / ".otapgate/store")
        self.place = root / "hosts/agenda-T/portal"
        self.trees: list[Path] = []

    def release(self, version: str) -> tuple[Manifest, Path]:
        file = self.root / "releases/portal.yml"
        file.write_text(file.read_text().replace('"1.0.0"', f'"{version}"'))
        (self.root / "releases/portal/index.html").write_text(f"<title>{version}</title>")
        (self.root / "releases/portal/sub").mkdir(exist_ok=True)
        (self.root / f"releases/portal/sub/{version}.txt").write_text(version)
        manifest = build.build(build.read(file, self.root), self.store)
        tree = self.root / ".otapgate/unpacked" / version
        tree.parent.mkdir(exist_ok=True)
        unpack(manifest, self.store, tree)
        self.trees.append(tree)
        return manifest, tree

    def plan(
        self, run: str, new: tuple[Manifest, Path], old: tuple[Manifest, Path] | None = None
    ) -> Plan:
        environment = load(self.root).environment("agenda-T")
        assert environment is not None
        run_dir = self.root / ".otapgate/runs" / run
        run_dir.mkdir(parents=True)
        return Plan(
            run, *new, environment, run_dir, self.root, self.store.put,
            previous=old[0] if old else None, previous_tree=old[1] if old else None,
        )  # fmt: skip


@pytest.mark.slow
def test_the_first_release_deploys_rehearses_and_comes_back_with_its_data(tmp_path: Path) -> None:
    site = Site(tmp_path / "linde")
    try:
        one, two = site.release("1.0.0"), site.release("1.0.1")
        first = Promotion(site.plan("first", one)).run()
        assert (first.outcome, first.completeness.outcome) == ("succeeded", "complete"), first
        (site.place / "data/pupils").write_text("kept")

        rehearsed = rehearse(site.plan("rehearsal", two, one))
        assert rehearsed.outcome == "restored", rehearsed.message
        assert (site.place / "current/site/index.html").read_text() == "<title>1.0.0</title>"

        second = Promotion(site.plan("second", two, one))
        assert second.run().outcome == "succeeded"
        assert (site.place / "current/site/index.html").read_text() == "<title>1.0.1</title>"
        (site.place / "data/pupils").write_text("changed by the new release")
        assert second.go_back().outcome == "rolled-back"
        assert (site.place / "current/site/index.html").read_text() == "<title>1.0.0</title>"
        assert (site.place / "data/pupils").read_text() == "kept"

        for test in sorted((site.root / "plans/portal").glob("*.yml")):
            done = playbook(test, site.root / "hosts/agenda-T")
            assert done.returncode == 0, (test.name, done.stdout)
        (site.place / "data").chmod(0o755)
        open_to_all = playbook(site.root / "plans/portal/security.yml", site.place.parent)
        assert open_to_all.returncode != 0
    finally:
        for tree in site.trees:
            remove(tree)


def playbook(path: Path, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "localhost,", "-c", "local",
         "-e", f"home={home}", "-e", f"ansible_python_interpreter={sys.executable}", str(path)],
        capture_output=True, text=True, env={**os.environ, "LC_ALL": "C.UTF-8"}, check=False,
    )  # fmt: skip
