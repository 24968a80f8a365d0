"""Runs one promotion or rehearsal in a process of its own, for tests that kill it.

Arguments: the stage's pickled plan, what to do, and for `rehearse` where to cut. It holds
the environment's lock, as the command line does. The result's JSON goes to stdout.
"""

from __future__ import annotations

import hashlib
import pickle
import sys
from pathlib import Path

import msgspec

from otapgate.execution.lock import EnvironmentLock
from otapgate.execution.promotion import Promotion
from otapgate.execution.rehearsal import rehearse
from otapgate.release.manifest import decode


def put(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def main() -> None:
    plan, release, previous = pickle.loads(Path(sys.argv[1]).read_bytes())
    # from their bytes, as the command line has them: pickling may change what is default
    plan = msgspec.structs.replace(
        plan, put=put, manifest=decode(release), previous=decode(previous) if previous else None
    )
    with EnvironmentLock(plan.root, plan.environment.name, f"promote {plan.manifest.name}"):
        act, _colon, faults = sys.argv[2].partition(":")
        if act == "rehearse":
            print(msgspec.json.encode(rehearse(plan, faults or "none")).decode())
        else:
            print(msgspec.json.encode(getattr(Promotion(plan), act)()).decode())


if __name__ == "__main__":
    main()
