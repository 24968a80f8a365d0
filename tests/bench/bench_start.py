#!/usr/bin/env python3
"""How long it takes until a command begins, over a Python that does nothing.

Budgets are milliseconds on a machine of two cores from about 2020: `--help` 150,
`status` 250 (on a landscape, when one is named with OTAPGATE_LANDSCAPE or as argument).
Prints ratios; exits 1 when a budget is exceeded.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

ROUNDS = 15
OTAPGATE = [sys.executable, "-m", "otapgate"]


def milliseconds(command: list[str], cwd: Path | None = None) -> float:
    """The best of some rounds: what else the machine does only ever adds."""
    taken = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False,
                              cwd=cwd)  # fmt: skip
        taken.append((time.perf_counter() - start) * 1000)
        if done.returncode != 0:
            sys.exit(f"{' '.join(command)} failed:\n{done.stderr.decode()}")
    return min(taken)


def main() -> int:
    landscape = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("OTAPGATE_LANDSCAPE")
    bare = milliseconds([sys.executable, "-c", "pass"])
    print(f"{'python -c pass':24} {bare:7.0f} ms   1.0")
    cases: list[tuple[str, list[str], float]] = [
        ("otapgate --help", [*OTAPGATE, "--help"], 150),
        ("otapgate status --help", [*OTAPGATE, "status", "--help"], 250),
    ]
    if landscape:
        cases.append(("otapgate status", [*OTAPGATE, "status", "--landscape", landscape], 250))
    over = 0
    for name, command, budget in cases:
        taken = milliseconds(command)
        over += taken > budget
        mark = "" if taken <= budget else f"   over its {budget:.0f} ms"
        print(f"{name:24} {taken:7.0f} ms {taken / bare:5.1f}{mark}")
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
