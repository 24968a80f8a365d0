"""Digesting a PostgreSQL table against a bare COPY of it, as a ratio.

Run as `python tests/bench/bench_state.py [ROWS] [ROUNDS]` (1,000,000 rows, 3 rounds), from
the root of the source. Both through psql and a socket on this machine; time on the wall.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests import servers

from otapgate.execution.ansible.module_utils.otapgate_state.look import database

WANTED = 4.0


def main() -> int:
    """Prints the ratio; 1 when it is above what is wanted."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    with servers.postgresql() as server:
        server.psql(
            "postgres",
            "CREATE TABLE party AS SELECT n AS id, 'pupil ' || n AS name, md5(n::text) AS code,"
            f" date '2010-01-01' + n % 4000 AS born FROM generate_series(1, {rows}) n",
        )
        url = server.postgresql("postgres")
        copy = [server.client, "-XAtq", "-d", url, "-c", "COPY party TO STDOUT"]
        bare, digest = [], []
        for _round in range(rounds):
            start = time.perf_counter()
            subprocess.run(copy, check=True, stdout=subprocess.DEVNULL)
            bare.append(time.perf_counter() - start)
            start = time.perf_counter()
            seen = database({"url": url})
            digest.append(time.perf_counter() - start)
            assert seen["tables"]["public.party"]["rows"] == rows, seen
    ratio = statistics.median(digest) / statistics.median(bare)
    took = f"COPY {statistics.median(bare):.2f} s, digests {statistics.median(digest):.2f} s"
    print(f"{rows} rows: {took}, ratio {ratio:.2f} (wanted {WANTED})")
    return int(ratio > WANTED)


if __name__ == "__main__":
    sys.exit(main())
