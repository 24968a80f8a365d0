"""Enumerates the points of every scene from a run that nothing strikes, and tries them.

Each scene has workers of its own in namespaces of mounts, network and processes: the same
landscape in the same place, apart from each other. Where this user can't have those, points
are tried one after another, and what takes a disk counts as not tried.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.e2e.school import School

from . import disk, strike
from .scenes import REPOSITORY, SCENES, Scene
from .trial import Outcome, Point, Trial

MOMENTS = 6
"""Random moments of each scene at which each of `strike.KILLS` comes."""
RECORDS = ("journal:", "ledger:", "commit:", "keep:", "task:")
"""At these the disk is lost; at the others only processes are."""
SEED = 20260101


def points(scene: Scene, passed: Sequence[dict[str, Any]], seconds: float) -> Iterator[Point]:
    """Every point of a scene, given what came by in a clean run and how long it took (pure).

    otapgate is killed at each, once with each way of ending it; Ansible, and both, wherever
    Ansible works; the disk is lost at every record, entry and task."""
    seen = set()
    for number, one in enumerate(passed):
        at = (one["point"], one["when"])
        if at in seen:
            continue
        seen.add(at)
        other = scene.ways[number % len(scene.ways)]
        for way in scene.ways:
            yield Point(scene.name, *at, "otapgate", way)
        if one["when"] == "half":
            continue
        if one["ansible"]:
            yield Point(scene.name, *at, "ansible", other)
            yield Point(scene.name, *at, "both", other)
        if one["point"].startswith(RECORDS) and one["when"] == "before":
            for do in ("full", "gone", "broken"):
                yield Point(scene.name, *at, do, other)
        if one["point"].startswith(RECORDS):
            yield Point(scene.name, *at, "power", other)
    moments = random.Random(f"{SEED} {scene.name}")
    for number in range(MOMENTS):
        for do in strike.KILLS:
            at = (f"moment:{moments.uniform(0, seconds):.2f}", "at")
            yield Point(scene.name, *at, do, scene.ways[number % len(scene.ways)])


def able(point: Point, mounts: bool, loops: bool) -> bool:
    """Whether a point can be tried here."""
    return mounts if point.do in ("full", "gone") else loops or point.do not in strike.DISKS


def work(scene_name: str, home: Path, folder: Path, *, alone: bool) -> None:
    """A worker: a line of JSON for the clean run, then one for each point that standard
    input names."""
    if alone:
        disk.loopback_up()
        disk.run("mount", "-t", "tmpfs", "-o", "size=200m", "none", str(home / "hazelaar"))
    scenes = {scene.name: scene for scene in SCENES}
    scene = scenes[scene_name]
    school = School(home)
    known = Trial(school, scenes["promote"], folder, alone=alone)
    trial = Trial(school, scene, folder, alone=alone)
    if scene.stage == known.scene.stage and scene.name != "promote":
        known.clean()
        trial.pictures = dict(known.pictures)
    outcome, passed, seconds = trial.clean()
    print(json.dumps({"problems": outcome.problems, "passed": passed, "seconds": seconds}),
          flush=True)  # fmt: skip
    try:
        for line in sys.stdin:
            print(trial.run(Point(**json.loads(line))).as_json(), flush=True)
    finally:
        trial.kill_all()
        trial.disk.off()


class Worker:
    """A process that tries points of one scene."""

    def __init__(self, scene: Scene, home: Path, folder: Path, *, alone: bool) -> None:
        (folder / "state").mkdir(parents=True)
        command = [sys.executable, "-m", "tests.campaign", "work", scene.name, str(home),
                   str(folder), "alone" if alone else "here"]  # fmt: skip
        apart = ["unshare", *(() if os.geteuid() == 0 else ("-Ur",)), "-m", "-n", "-p", "--fork",
                 "--mount-proc", "--kill-child"]  # fmt: skip
        self._errors = (folder / "errors").open("w+")
        self._process = subprocess.Popen(
            [*(apart if alone else ()), *command], cwd=REPOSITORY, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
            env={**os.environ, "XDG_STATE_HOME": str(folder / "state")},
        )  # fmt: skip
        self.clean = self._answer()
        assert not self.clean["problems"], (scene.name, self.clean["problems"])

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._errors.seek(0)
            raise AssertionError(f"the worker ended: {self._errors.read()[-3000:]}")
        found: dict[str, Any] = json.loads(line)
        return found

    def run(self, point: Point) -> Outcome:
        """Try one point."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asdict(point)) + "\n")
        self._process.stdin.flush()
        said = self._answer()
        return Outcome(**{**said, "point": Point(**said["point"])})

    def end(self) -> None:
        self._process.communicate()
        self._errors.close()


def can_be_alone() -> bool:
    """Whether there are namespaces for this user."""
    user = () if os.geteuid() == 0 else ("-Ur",)
    done = subprocess.run(
        ["unshare", *user, "-m", "-n", "-p", "--fork", "--mount-proc", "true"],
        capture_output=True, check=False,
    )  # fmt: skip
    return done.returncode == 0


def bases(home: Path, names: Iterable[str]) -> None:
    """Build the landscapes in which the scenes begin."""
    school = School(home)
    for name in names:
        school.at(name)
    school.stop()
    school.root.mkdir(exist_ok=True)


def campaign(
    place: Path, scenes: Sequence[Scene], *, workers: int = 2, only: str = "", every: int = 1
) -> dict[str, Any]:
    """Try every point (or every so manieth, or those whose title holds `only`); returns what
    came of them. Lines of JSON go to `place/outcomes.jsonl` meanwhile."""
    began = time.monotonic()
    alone = can_be_alone()
    loops = alone and os.geteuid() == 0 and disk.can_loop()
    home = place / "school"
    bases(home, dict.fromkeys(["accepted", *(scene.base for scene in scenes)]))
    outcomes: list[Outcome] = []
    skipped: list[Point] = []
    count = 0
    with (place / "outcomes.jsonl").open("w", encoding="utf-8") as log:
        for scene in scenes:
            size = workers if alone else 1
            made = [
                Worker(scene, home, place / f"{scene.name}-{n}", alone=alone) for n in range(size)
            ]
            clean = made[0].clean
            chosen = list(points(scene, clean["passed"], clean["seconds"]))
            count += len(chosen)
            chosen = [point for point in chosen[::every] if only in point.title]
            skipped += [point for point in chosen if not able(point, alone, loops)]
            todo = iter([point for point in chosen if able(point, alone, loops)])

            def tries(worker: Worker, todo: Iterator[Point] = todo) -> None:
                for point in todo:  # a list's iterator: each point goes to one thread
                    outcome = worker.run(point)
                    outcomes.append(outcome)
                    log.write(outcome.as_json() + "\n")
                    log.flush()

            with ThreadPoolExecutor(size) as pool:
                for done in [pool.submit(tries, worker) for worker in made]:
                    done.result()
            for worker in made:
                worker.end()
    shutil.rmtree(home, ignore_errors=True)
    return {
        "points": count,
        "tried": len(outcomes),
        "not_possible_here": len(skipped),
        "undecided": [asdict(one) for one in outcomes if not one.end],
        "ended": dict(Counter(one.end or "undecided" for one in outcomes)),
        "by": {
            f"{scene} {do}": n
            for (scene, do), n in sorted(
                Counter((one.point.scene, one.point.do) for one in outcomes).items()
            )
        },
        "minutes": round((time.monotonic() - began) / 60, 1),
        "workers": workers if alone else 1,
    }
