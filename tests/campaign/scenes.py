"""The commands that are struck, and the landscape in which each of them begins."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.school import BUILD, CHANGE, CHANTAL, DAAN, NEW, School

from .strike import VARIABLE

REPOSITORY = Path(__file__).parents[2]
PROMOTE = ("promote", NEW, "--change", CHANGE, "--to")


@dataclass(frozen=True)
class Scene:
    """One command."""

    name: str
    base: str
    """The landscape as the school keeps it under this name."""
    stage: str
    words: tuple[str, ...]
    expect: int = 0
    """Its exit code when nothing strikes."""
    runs: bool = True
    """Whether the application runs there when it begins."""
    ways: tuple[str, ...] = ("on", "back")
    """Which of what `status` offers is tried: to go on, to go back. Where there are two, a
    kill of otapgate is tried once with each."""

    @property
    def environment(self) -> str:
        return f"agenda-{self.stage}"


SCENES = (
    Scene("promote", "accepted", "P", (*PROMOTE, "P")),
    Scene("promote-and-fail", "failing", "T", (*PROMOTE, "T"), expect=1),
    Scene("undo", "promoted", "P", ("rollback", "P", "--yes"), ways=("back",)),
    Scene("resume", "cut", "P", (*PROMOTE, "P", "--resume"), runs=False),
    Scene("go-back", "cut", "P", ("rollback", "P", "--yes"), runs=False, ways=("back",)),
    Scene("rehearse", "prepared", "T", ("rehearse", NEW, "--env", "T"), ways=("back",)),
)


def command(school: School, words: Sequence[str], orders: object) -> subprocess.Popen[str]:
    """Start a command that is struck."""
    line = [sys.executable, "-m", "tests.campaign.driver", *words, "--json"]
    return subprocess.Popen(
        [*line, "--key", str(school.keys / DAAN.key)],
        cwd=school.root, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=school.environment(PYTHONPATH=str(REPOSITORY), **{VARIABLE: json.dumps(orders)}),
    )  # fmt: skip


def _failing(school: School) -> None:
    """The new release has a deployment that fails when almost all of it is done."""
    school.at("prepared")
    school.edit(
        "playbooks/agenda/deploy.yml",
        "    - name: Bring the database up to date and start",
        "    - name: Change the data\n      ansible.builtin.command:\n"
        '        argv: ["{{ ansible_python_interpreter }}", "{{ playbook_dir }}/control.py",'
        ' migrate, "{{ home }}"]\n'
        "    - name: Something goes wrong\n      ansible.builtin.fail: {msg: no paper left}\n"
        "    - name: Bring the database up to date and start",
    )
    school(CHANTAL, "release", "build", "releases/agenda-2.0.yml", "--change", CHANGE)


def _cut(school: School) -> None:
    """A promotion to production was killed in the middle of its deployment."""
    school.at("accepted")
    mark = school.home / "cut"
    orders = {
        "point": "task:1-promotion/deploy/Write its settings#1", "when": "before",
        "do": "both", "mark": str(mark),
    }  # fmt: skip
    process = command(school, SCENES[0].words, orders)
    out, err = process.communicate(timeout=120)
    assert mark.exists(), out + err


BUILD.setdefault("failing", _failing)
BUILD.setdefault("cut", _cut)
