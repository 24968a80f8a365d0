"""A thousand hosts of two thousand files each: completeness and comparison, time and memory.

Run as `python tests/bench/bench_hosts.py [HOSTS [FILES]]`. The hosts are simulated: each
fingerprint is held packed, as a promotion holds it. Printed are seconds, and by how much
the process had to grow.
"""

from __future__ import annotations

import gc
import hashlib
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from otapgate.execution.compare import compare_state
from otapgate.execution.completeness import completeness, expected_installs, installed_files
from otapgate.execution.fingerprints import Packed
from otapgate.release.manifest import Install, Manifest, ReleaseFile, State

ROOT = "/srv/demo"


def digest(*words: object) -> str:
    return hashlib.sha256(" ".join(map(str, words)).encode()).hexdigest()


def release(version: str, files: int) -> Manifest:
    held = tuple(
        ReleaseFile(f"artifacts/demo/{n:05}.py", f"sha256:{digest(version, n)}", 9, False)
        for n in range(files)
    )
    installs = (Install(ROOT, "files", "artifacts/demo"),)
    return Manifest("demo", version, "demo", (), {}, State(), installs, held)


def fingerprint(version: str, files: int, odd: str = "") -> dict[str, Any]:
    """What a host with that version says; `odd` makes every file its own."""
    held = {f"{n:05}.py": digest(version, n, odd) if odd else digest(version, n)
            for n in range(files)}  # fmt: skip
    paths = {
        path: {"type": "file", "mode": "0644", "owner": "www", "group": "www", "size": 9,
               "sha256": hashed}
        for path, hashed in held.items()
    }  # fmt: skip
    return {"installs": [{"root": ROOT, "files": held}], "paths": {ROOT: paths}}


def measured(name: str, work: Callable[[], object]) -> None:
    """Seconds of processor time, which a busy machine disturbs less than the wall's, and by
    how much the process had to grow for it."""
    gc.collect()
    before, begin = _most(), time.process_time()
    work()
    seconds = time.process_time() - begin
    print(f"{name:52} {seconds:8.1f} s {_most() - before:8.0f} MB more", flush=True)


def _most() -> float:
    """The most that the process held so far (MB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def main(hosts: int = 1000, files: int = 2000) -> None:
    names = [f"web{n}" for n in range(1, hosts + 1)]
    wanted = expected_installs(release("1.1", files), Path("/"))
    older = installed_files(release("1.0", files))
    good, behind = fingerprint("1.1", files), fingerprint("1.0", files)
    begin = time.perf_counter()
    same, third, every = Packed(), Packed(), Packed()
    for n, host in enumerate(names):
        same.put(host, good)
        third.put(host, behind if n % 3 == 2 else good)
    packed = time.perf_counter() - begin
    held = sum(len(x) for x in same._packed.values()) / 1e6
    print(f"{hosts} hosts, {files} files each; packed in {packed / 2:.1f} s, {held:.0f} MB held")
    measured("completeness, all as accepted", lambda: completeness(wanted, same, names, older))
    measured("completeness, a third on the old version",
             lambda: completeness(wanted, third, names, older))  # fmt: skip
    print("   ", completeness(wanted, third, names, older).different[0][:100], "…")
    measured("comparison, nothing changed", lambda: compare_state(same, same))
    measured("comparison, a third changed in every file", lambda: compare_state(same, third))
    for host in names:
        every.put(host, fingerprint("1.1", files, host))
    measured("completeness, every file of every host wrong",
             lambda: completeness(wanted, every, names, older))  # fmt: skip
    print(f"the process held {_most():.0f} MB at most")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
