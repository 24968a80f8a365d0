"""The school's test environment on a host of its own, reached over SSH in a lab."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.lab.labs import Lab

from .school import CHANGE, CHANTAL, DAAN, School

RELEASE = "agenda@3.0"
NEXT = "agenda@3.1"
FILE = """\
app: agenda
version: "%s"
street: agenda
artifacts: [{path: app-2.0, as: app}]
playbooks: ../playbooks/far
plans: [agenda]
state: {paths: [/srv/agenda]}
"""
PLAY = "- name: Agenda\n  hosts: all\n  gather_facts: false\n  tasks:\n"
PLAYBOOKS = {
    "deploy.yml": PLAY
    + "    - file: {path: /srv/agenda, state: directory}\n"
    + "    - copy: {content: '3.0', dest: /srv/agenda/version}\n",
    "verify.yml": PLAY + "    - command: grep -q 3.0 /srv/agenda/version\n",
    "rollback.yml": PLAY + "    - file: {path: /srv/agenda, state: absent}\n",
}


class Far:
    """`prepared`, with test on the lab's host t1; secrets lie in `secrets`."""

    def __init__(self, school: School, lab: Lab, secrets: Path) -> None:
        self.school, self.lab, self.secrets = school, lab, secrets

    def describe(self, variables: Mapping[str, Any], secrets: Mapping[str, str]) -> None:
        """How t1 is reached, and with which secrets; accepted by its owner."""
        address, key = self.lab.hosts["t1"]["address"], self.lab.hosts["t1"]["host_key"]
        reached = {
            "ansible_host": address,
            "ansible_python_interpreter": "/usr/bin/python3",
            **variables,
        }
        lines = [
            "  - stage: T",
            "    owner: Daan Jansen",
            f"    hosts: {{t1: {json.dumps(reached)}}}",
            f"    host_keys: {{t1: [{' '.join(key.split()[:2])}]}}",
            "    variables: {home: /srv/agenda, port: 18711}",
            f"    secrets: [{', '.join(secrets)}]",
            "  - stage: A",
        ]
        file = self.school.root / "environments/agenda.yml"
        text = file.read_text("utf-8")
        begin, end = text.index("  - stage: T"), text.index("  - stage: A") + len("  - stage: A")
        file.write_text(text[:begin] + "\n".join(lines) + text[end:], "utf-8")
        self.school.here(DAAN, "env", "accept", "agenda-T")
        place = self.secrets / "agenda-T"
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name, value in secrets.items():
            (place / name).touch(mode=0o600)
            (place / name).write_text(value + "\n", "utf-8")

    def write(self, version: str = "3.0", **playbooks: str) -> list[str]:
        """The release's files, a keyword in the place of a playbook or beside them (`/` is
        written `__`); returns the command that builds it."""
        folder = self.school.root / "playbooks/far"
        given = {f"{name.replace('__', '/')}.yml": text for name, text in playbooks.items()}
        for name, text in {**PLAYBOOKS, **given}.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, "utf-8")
        file = self.school.root / "releases/far.yml"
        file.write_text(FILE % version, "utf-8")
        return ["release", "build", "releases/far.yml", "--change", CHANGE]

    def build(self, version: str = "3.0", **playbooks: str) -> None:
        """The release of `write`, built."""
        self.school.here(CHANTAL, *self.write(version, **playbooks))

    def command(self, *args: str) -> list[str]:
        """A command of the administrator's, to be run in the lab."""
        return self.school.command(DAAN, "--landscape", str(self.school.root), *args)

    @property
    def environment(self) -> dict[str, str]:
        return self.school.environment(OTAPGATE_SECRETS=str(self.secrets))

    def attempt(self, *args: str) -> tuple[int, str, str]:
        """Run one in the lab: exit code, standard output and error."""
        done = self.lab.exec(self.command(*args), env=self.environment, timeout=300)
        return done.returncode, done.stdout, done.stderr

    def __call__(self, *args: str, expect: int = 0) -> dict[str, Any]:
        """Run one in the lab; its JSON."""
        return self.school.judged(args, *self.attempt(*args), expect)

    def promote(self, expect: int = 0, release: str = RELEASE) -> dict[str, Any]:
        return self("promote", release, "--to", "T", "--change", CHANGE, expect=expect)

    def start(self, *args: str) -> subprocess.Popen[str]:
        """One that runs on while the test does something else."""
        return subprocess.Popen(
            self.lab.argv(self.command(*args)), env=self.environment, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def on_host(self, path: str) -> Path:
        """A file of t1, seen from outside."""
        return Path(os.path.join(self.lab.root("t1"), path.lstrip("/")))  # noqa: PTH118
