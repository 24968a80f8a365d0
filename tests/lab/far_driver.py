"""Carries out one promotion or rehearsal in a process of its own, for `lab exec`.

Arguments: the pickled plan, and `run`, `resume`, `go_back` or `rehearse:FAULTS`. The
result's JSON goes to stdout.
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
    plan = msgspec.structs.replace(
        plan, put=put, manifest=decode(release), previous=decode(previous)
    )
    act, _colon, faults = sys.argv[2].partition(":")
    with EnvironmentLock(plan.root, plan.environment.name, f"promote {plan.manifest.name}"):
        result = rehearse(plan, faults) if act == "rehearse" else getattr(Promotion(plan), act)()
    print(msgspec.json.encode(result).decode())


if __name__ == "__main__":
    main()
