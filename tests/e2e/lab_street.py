"""The school's street on a lab: hosts of their own, reached over SSH."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from tests.lab.labs import Lab

from .school import DAAN, School


class Street:
    """The school's street on a lab."""

    def __init__(self, school: School, lab: Lab) -> None:
        self.school, self.lab = school, lab
        lines = ["street: agenda", "title: Agenda", "environments:"]
        for stage in "TAP":
            names = [name for name, host in lab.hosts.items() if host["stage"] == stage]
            lines += [f"  - stage: {stage}", f"    owner: {DAAN.name}", "    hosts:"]
            for name in names:
                lines.append(f"      {name}: {json.dumps(lab.connection(name))}")
            lines.append("    host_keys:")
            for name in names:
                kind, key = lab.hosts[name]["host_key"].split()[:2]
                lines.append(f"      {name}: [{kind} {key}]")
            lines += [
                "    variables: {ansible_become: true}",
                "    access: {deploy: {roles: [administrator], sudo: true}}",
                f"    data: {{class: {'production' if stage == 'P' else 'none'}}}",
                *(["    ports: [8080]"] if stage == "P" else []),
            ]
        file = school.root / "environments/agenda.yml"
        file.write_text("\n".join(lines) + "\n")
        self.accept()

    def accept(self) -> None:
        """Their owner accepts the environments as described now."""
        for stage in "TAP":
            self.school.here(DAAN, "env", "accept", stage)

    def probe(self, stage: str, kind: str, expect: int = 0) -> dict[str, Any]:
        """What a probe from the administrator's side says."""
        found = self("env", "probe", stage, kind, expect=expect)
        return dict(found["probes"][kind]) if "probes" in found else found

    def argv(self, *words: str) -> list[str]:
        """What runs one of Daan's commands on the administrator's side, for Popen."""
        command = self.school.command(DAAN, "--landscape", str(self.school.root), *words)
        return self.lab.argv(command)

    def __call__(self, *words: str, expect: int = 0, timeout: float = 120) -> dict[str, Any]:
        """What such a command says."""
        done = subprocess.run(
            self.argv(*words), capture_output=True, text=True, check=False, timeout=timeout,
            stdin=subprocess.DEVNULL, env=self.school.environment(),
        )  # fmt: skip
        return self.school.judged(words, done.returncode, done.stdout, done.stderr, expect)
