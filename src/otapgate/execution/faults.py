"""Where a rehearsed deployment is cut short, and how Ansible is told to.

A case is a task and a fault: Ansible is killed as the task begins, or the task fails, or
its host can't be reached. The callback plugin `otapgate_fault` makes it happen.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from otapgate.errors import Usage
from otapgate.i18n import _

Kind: TypeAlias = Literal["kill", "fail", "unreachable"]
KINDS: tuple[Kind, ...] = ("kill", "fail", "unreachable")
CALLBACKS = Path(__file__).parent / "ansible" / "callback"
_SAMPLE = re.compile(r"sample:([1-9][0-9]{0,3})\Z")


class Begun(msgspec.Struct, frozen=True):
    """A task that Ansible started."""

    playbook: int
    """Which of the run's playbooks, from 0."""
    name: str
    where: str
    """`file:line`."""


class Fault(msgspec.Struct, frozen=True):
    """One cut: what happens instead of which task of which playbook."""

    playbook: Path
    index: int
    """Of the task, from 1, in the order in which Ansible starts them; handlers count."""
    kind: Kind


def check(faults: str) -> str:
    """`faults` itself. Raises Usage (`faults-unknown`) unless it is none, all or
    sample:N."""
    if faults not in ("none", "all") and not _SAMPLE.match(faults):
        raise Usage(
            "faults-unknown",
            _("'{faults}' doesn't say where the deployment is cut.").format(faults=faults),
            remedy=_("--faults none, --faults all, or --faults sample:5 for five of its tasks"),
        )
    return faults


def chosen(count: int, faults: str) -> list[int]:
    """Indices of the tasks, from 1 to `count`, at which to cut; evenly spread, with the
    first and the last among them, where it is a sample (pure)."""
    if faults == "none":
        return []
    found = _SAMPLE.match(faults)
    wanted = min(int(found[1]), count) if found else count
    if wanted == 1:
        return [count]
    return sorted({1 + round(at * (count - 1) / (wanted - 1)) for at in range(wanted)})


def cases(tasks: Sequence[Begun], playbook: Path, faults: str) -> list[tuple[Fault, Begun]]:
    """Every case to try, in the order of the tasks (pure)."""
    return [
        (Fault(playbook, index, kind), tasks[index - 1])
        for index in chosen(len(tasks), faults)
        for kind in KINDS
    ]


def mark(scratch: Path) -> Path:
    """The file that says that the fault happened."""
    return scratch / "fault-happened"


def variables(fault: Fault | None, scratch: Path) -> dict[str, str]:
    """Environment variables that make Ansible cut itself short."""
    if fault is None:
        return {}
    wanted = {
        "playbook": str(fault.playbook.absolute()),
        "index": fault.index,
        "fault": fault.kind,
        "mark": str(mark(scratch)),
    }
    return {"ANSIBLE_CALLBACKS_ENABLED": "otapgate_fault", "OTAPGATE_FAULT": json.dumps(wanted)}
