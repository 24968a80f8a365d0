"""Promotes by the guard and then Ansible, as `otapgate promote` does; for `lab exec`.

Arguments: pickled plans. A line of JSON for each goes to stdout: what came of it.
"""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path
from typing import Any

import msgspec

from otapgate.acts.runs import guard
from otapgate.errors import OtapgateError
from otapgate.execution.lock import EnvironmentLock
from otapgate.execution.promotion import Promotion
from otapgate.release.manifest import decode

from .far_driver import put


def promote(path: Path) -> dict[str, Any]:
    plan, release, previous = pickle.loads(path.read_bytes())
    plan = msgspec.structs.replace(
        plan, put=put, manifest=decode(release), previous=decode(previous)
    )
    try:
        with EnvironmentLock(plan.root, plan.environment.name, "promote"):
            guard(plan)
            result = Promotion(plan).run()
    except OtapgateError as error:
        found = [[one.file, one.line] for one in error.problems]
        return {"exit": int(error.exit), "code": error.code, "at": found}
    where = result.failed_task.where if result.failed_task else ""
    said = {"exit": 0 if result.outcome == "succeeded" else 1, "code": result.code, "at": []}
    return {**said, "where": where, "message": result.message}


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(json.dumps(promote(Path(name))), flush=True)
