"""What is kept of a run: one canonical JSON object that names everything by digest.

The outputs of every Ansible process of the run, those of a killed command too, and the
fingerprints go to the store as they are; secrets were masked before they were written.
"""

from __future__ import annotations

from typing import Any, Literal

from otapgate import canonical
from otapgate.execution.journal import Journal
from otapgate.execution.plan import Plan


def gather(plan: Plan, kind: Literal["promotion", "rehearsal"], result: dict[str, Any]) -> str:
    """Put the run's evidence in the store; returns its digest. Raises what the store's
    `put` raises."""
    outputs = sorted((plan.run_dir / "output").glob("*.txt"))
    kept = {
        name: plan.put((plan.run_dir / name).read_bytes())
        for name in ("fingerprint-before.json", "fingerprint-after.json")
        if (plan.run_dir / name).is_file()
    }
    said: dict[str, Any] = {
        "kind": kind,
        "id": plan.promotion_id,
        "release": plan.manifest.digest,
        "previous": plan.previous.digest if plan.previous else None,
        "environment": plan.environment.name,
        "description": plan.environment.digest,
        "steps": [
            {"step": one.step, "event": one.event, "at": one.at}
            for one in Journal(plan.run_dir).records()
        ],
        "outputs": {path.name: plan.put(path.read_bytes()) for path in outputs},
        "fingerprints": kept,
        "result": {key: value for key, value in result.items() if key != "evidence"},
    }
    return plan.put(canonical.encode(said))
