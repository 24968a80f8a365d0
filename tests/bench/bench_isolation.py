"""How long it takes to try every path from 50 hosts to 50 of production, over SSH.

As a ratio to what no probe can do without: the same 2,500 connections made by asyncio on
this machine, and a handshake with each host by a bare paramiko. Twice: where every target
answers, and behind a firewall that keeps half of the answers back, as between stages it
should; then every sweep waits as long for them. All hosts are one SSH server, so client and
server share this machine's processors; the budget is 5 s for the sweep of 50 x 50.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests import ports
from tests.probe.sshd import Server, make_key

from otapgate.probe import on_host, remote
from otapgate.probe.connection import Way
from otapgate.probe.isolation import SWEEP_SECONDS

HOSTS = TARGETS = 50
BUDGET_SECONDS = 5.0
RATIO = 1.5
SWEEPS = 12
"""How often every host is logged in to here, handshakes alone included."""
BUDGET_PROCESSOR = 2.0
"""Seconds of this side alone, which a busy machine disturbs less: real hosts do their own
part themselves."""


def listeners(count: int) -> list[socket.socket]:
    """Half of the targets answer, half of them refuse."""
    found = []
    for _number in range(count):
        plain = socket.socket()
        plain.bind(("127.0.0.1", 0))
        plain.listen(4096)
        found.append(plain)
    return found


@contextlib.contextmanager
def silent(count: int) -> Iterator[list[tuple[str, int]]]:
    """Targets that never answer, without a packet leaving this machine: a listener whose
    queue is full lets further attempts wait, as a firewall does that drops them."""
    with contextlib.ExitStack() as opened:
        found = []
        for _number in range(count):
            full = opened.enter_context(socket.socket())
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            for _place in range(4):
                waiting = opened.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(full.getsockname())
            found.append(full.getsockname())
        yield found


async def bare(targets: list[tuple[str, int]]) -> None:
    async def one(address: str, port: int) -> None:
        with contextlib.suppress(OSError):
            async with asyncio.timeout(SWEEP_SECONDS):
                _reader, writer = await asyncio.open_connection(address, port)
                writer.close()

    await asyncio.gather(*(one(*target) for target in targets for _host in range(HOSTS)))


def handshakes(roads: list[Way]) -> None:
    """What paramiko alone needs: connect, compare keys, log in, run `true`."""

    def one(way: Way) -> None:
        import paramiko

        with paramiko.SSHClient() as client:
            client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
            client.connect(way.address, way.port, way.user, key_filename=way.key_file,
                           look_for_keys=False, allow_agent=False)  # fmt: skip
            client.exec_command("true")[1].read()

    with ThreadPoolExecutor(remote.AT_ONCE) as pool:
        list(pool.map(one, roads))


def measured(what: Callable[[], object]) -> float:
    """The best of three, in seconds."""
    times = []
    for _try in range(3):
        begun = time.perf_counter()
        what()
        times.append(time.perf_counter() - begun)
    return min(times)


def main() -> int:
    resource.setrlimit(resource.RLIMIT_NOFILE, (8192, 8192))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        public = make_key(folder / "client")
        place = folder / "host"
        place.mkdir()
        (place / "authorized").write_text(public + "\n")
        (port,) = ports.free(1)
        server = Server(place, port, host_key=make_key(place / "host"))
        server.start()
        base = Way(
            "T", "t", False, address="127.0.0.1", port=port, user=os.environ.get("USER", "root"),
            key_file=str(folder / "client"), keys=(server.host_key,), python=sys.executable,
        )  # fmt: skip
        roads = [msgspec.structs.replace(base, host=f"t{number}") for number in range(HOSTS)]
        open_ = listeners(TARGETS // 2)
        targets = [plain.getsockname() for plain in open_]
        targets += [("127.0.0.1", port) for port in range(1, 1 + TARGETS - len(targets))]
        parts = {"sweep": {"targets": targets, "seconds": SWEEP_SECONDS}}
        try:
            answers = remote.run(roads, lambda _way: on_host.script(parts))
            assert all(a.value is not None for a in answers), [
                a.problem for a in answers if a.problem
            ]
            expected = ["open"] * (TARGETS // 2) + ["closed"] * (TARGETS - TARGETS // 2)
            assert all(a.value and a.value["sweep"] == expected for a in answers)
            begun = time.process_time()
            remote.run(roads, lambda _way: on_host.script(parts))
            processor = time.process_time() - begun
            probe = measured(lambda: remote.run(roads, lambda _way: on_host.script(parts)))
            connects = measured(lambda: asyncio.run(bare(targets)))
            shakes = measured(lambda: handshakes(roads))
            with silent(TARGETS // 2) as dropped:
                walled = [*targets[: TARGETS // 2], *dropped]
                parts = {"sweep": {"targets": walled, "seconds": SWEEP_SECONDS}}
                answers = remote.run(roads, lambda _way: on_host.script(parts))
                expected = ["open"] * (TARGETS // 2) + ["filtered"] * len(dropped)
                assert all(a.value and a.value["sweep"] == expected for a in answers)
                behind = measured(lambda: remote.run(roads, lambda _way: on_host.script(parts)))
                waited = measured(lambda: asyncio.run(bare(walled)))
        finally:
            server.stop()
            used = resource.getrusage(resource.RUSAGE_CHILDREN)
            for plain in open_:
                plain.close()
    hosts = (used.ru_utime + used.ru_stime) / SWEEPS
    print(f"{HOSTS} x {TARGETS} paths over SSH       {probe:6.2f} s")
    print(f"the same connections by asyncio  {connects:6.2f} s   ratio {probe / connects:.1f}")
    print(f"with a firewall between          {behind:6.2f} s")
    print(f"the same connections by asyncio  {waited:6.2f} s   ratio {behind / waited:.1f}"
          f" (wanted {RATIO})")  # fmt: skip
    print(f"SSH handshakes by bare paramiko  {shakes:6.2f} s   ratio {probe / shakes:.2f}")
    print(f"of which processor time here    {processor:6.2f} s")
    ok = processor <= BUDGET_PROCESSOR
    if max(probe, behind) > BUDGET_SECONDS or behind / waited > RATIO:
        print(
            f"more than {BUDGET_SECONDS} s, or {RATIO} times: the hosts' side, {hosts:.1f} s of"
            f" processor time a sweep, shares this machine, whose load is {os.getloadavg()[0]:.1f}"
        )
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
