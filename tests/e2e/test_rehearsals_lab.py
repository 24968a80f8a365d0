"""CH05-07 through the command line and over SSH: rollbacks that forget something, each
found and named, and one that doesn't."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.lab.application import BASE, HOME, ROLLBACK, TASKS, Application
from tests.lab.labs import Lab, make_lab
from tests.lab.test_rehearsal import FORGETS

from .lab_street import Street
from .school import CHANTAL, School

__all__ = ["make_lab"]
pytestmark = pytest.mark.slow

LAB = "hosts:\n  t1: {stage: T}\n  a1: {stage: A}\n  p1: {stage: P}\n"
RELEASE = f"""\
app: agenda
version: "VERSION"
street: agenda
artifacts:
  - {{path: lab-VERSION/artifacts/app, as: app}}
  - {{path: lab-VERSION/artifacts/migrate.py, as: migrate.py}}
playbooks: lab-VERSION/playbooks
plans: [agenda]
state:
  paths: [{HOME}]
  databases: [{{url: "sqlite:///{BASE}"}}]
installs:
  - {{root: {HOME}/app, kind: files, source: artifacts/app}}
"""


class Rehearsed:
    """The application on the lab's hosts, release 1.0 adopted by the school."""

    def __init__(self, school: School, lab: Lab, folder: Path) -> None:
        self.school, self.street = school, Street(school, lab)
        self.application = Application(lab, ("t1", "a1"), folder)
        self.release("1.0", self.application.old[1])
        for stage in "TA":
            self.street("env", "adopt", stage, "agenda@1.0")

    def release(self, version: str, tree: Path) -> str:
        """Build a release of an unpacked one; its name."""
        place = self.school.root / "releases"
        shutil.copytree(tree, place / f"lab-{version}")
        file = place / f"lab-{version}.yml"
        file.write_text(RELEASE.replace("VERSION", version))
        self.school(CHANTAL, "release", "build", f"releases/{file.name}")
        return f"agenda@{version}"

    def with_rollback(self, version: str, rollback: str) -> str:
        return self.release(version, self.application.release(version, rollback=rollback)[1])

    def rehearse(
        self, release: str, faults: str = "none", stage: str = "T", expect: int = 0
    ) -> dict[str, Any]:
        words = ("rehearse", release, "--env", stage, "--faults", faults)
        said: dict[str, Any] = self.street(*words, expect=expect, timeout=3600)["rehearsal"]
        return said


@pytest.fixture
def rehearsed(founded: School, make_lab: Callable[..., Lab], tmp_path: Path) -> Rehearsed:
    return Rehearsed(founded, make_lab(LAB), tmp_path)


def test_rehearsals_run_at_the_same_time_in_two_environments(rehearsed: Rehearsed) -> None:
    release = rehearsed.with_rollback("2.0", ROLLBACK)
    started = {
        stage: subprocess.Popen(
            rehearsed.street.argv("rehearse", release, "--env", stage, "--faults", "sample:1"),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            stdin=subprocess.DEVNULL, env=rehearsed.school.environment(),
        )
        for stage in "TA"
    }  # fmt: skip
    said = {}
    for stage, process in started.items():
        out, err = process.communicate(timeout=900)
        said[stage] = School.judged(["rehearse"], process.returncode, out, err, 0)
    assert {x["rehearsal"]["outcome"] for x in said.values()} == {"restored"}
    assert said["T"]["entry"] != said["A"]["entry"]
    found = rehearsed.school.entries("rehearsal")
    assert {e["entry"] for e in found} == {x["entry"] for x in said.values()}
    assert rehearsed.school(None, "log", "verify")["problems"] == []


@pytest.mark.exhaustive
def test_ch05_07_each_bad_rollback_is_found_and_the_good_one_is_green(rehearsed: Rehearsed) -> None:
    for number, (wanted, instead, left) in enumerate(FORGETS.values()):
        release = rehearsed.with_rollback(f"2.{number}", ROLLBACK.replace(wanted, instead))
        said = rehearsed.rehearse(release, expect=1)
        assert said["outcome"] == "not-restored"
        (case,) = said["cases"]
        assert len(case["left"]) == 1
        assert left in case["left"][0]
        # it stays closed until somebody has mended it by hand
        rehearsed.street("rehearse", release, "--env", "T", expect=6)
        rehearsed.application.place("t1")
        rehearsed.street("rollback", "T")
    late = rehearsed.with_rollback("2.7", ROLLBACK.replace(f" {HOME}/locked\n", "\n"))
    said = rehearsed.rehearse(late, "all", expect=1)
    bad = [case for case in said["cases"] if not case["restored"]]
    assert [(case["index"], case["task"], case["fault"]) for case in bad] == [
        (7, "Unlock", fault) for fault in ("kill", "fail", "unreachable")
    ]
    assert {tuple(case["left"]) for case in bad} == {
        (f"t1: path {HOME}/locked: file was added",)
    }  # fmt: skip
    said = rehearsed.rehearse(rehearsed.with_rollback("2.8", ROLLBACK), "all")
    assert said["outcome"] == "restored"
    assert len(said["cases"]) == 1 + 3 * len(TASKS)
    assert all(case["restored"] for case in said["cases"])
