"""Whether an environment is wholly apart from production: CH04-04. Pure.

Every path from each of its hosts to production is tried, and what the hosts have is
compared. It is proven only when every path was seen closed or filtered, nothing is shared,
and nothing stayed unknown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

import msgspec

from otapgate.i18n import _
from otapgate.landscape import host_keys
from otapgate.landscape.database_urls import SCHEMES
from otapgate.landscape.model import Environment
from otapgate.probe.answers import Host, Item, Outcome, Reached, plain

SWEEP_SECONDS = 2.5
"""How long a host waits for an answer: a first and two more tries of the kernel's."""
_EPHEMERAL = 32768
_COMPARED = ("machine-id", "host-key", "disk", "mount", "private-key", "opens", "database",
             "password", "authorised-key")  # fmt: skip


class Target(msgspec.Struct, frozen=True):
    """Something of production that nobody outside it may reach."""

    name: str
    """What it is called in the landscape: a host, a name, a relay, a database."""
    address: str
    port: int


class Path(msgspec.Struct, frozen=True):
    """One host outside production, one target, and what came of it."""

    source: str
    to: str
    address: str
    port: int
    outcome: Reached


class Shared(msgspec.Struct, frozen=True, order=True):
    """Something that is on both sides, by the name that it has on each."""

    kind: str
    source: str
    to: str
    what: str
    there: str


class Isolation(msgspec.Struct, frozen=True):
    """What the probe of one environment found."""

    outcome: Outcome
    paths: tuple[Path, ...]
    shared: tuple[Shared, ...]
    unknown: tuple[str, ...]
    one_kernel: tuple[tuple[str, str], ...]
    """Pairs of hosts that run on one kernel: containers, or one machine."""


def targets(productions: Sequence[Environment]) -> tuple[Target, ...]:
    """Every address and port of production, each once."""
    found: dict[tuple[str, int], Target] = {}

    def add(name: str, address: str, port: int) -> None:
        found.setdefault((address, port), Target(name, address, port))

    for environment in productions:
        ports = {*environment.ports}
        for host in environment.hosts:
            if host_keys.is_over_ssh(environment, host):
                ssh = host_keys.port(environment, host)
                ports.add(ssh)
                for port in sorted({*environment.ports, ssh} - {0}):
                    add(host.name, host_keys.address(environment, host), port)
        for name in environment.names:
            for port in sorted(ports - {0}):
                add(name, name, port)
        for relay in environment.relays:
            host_name, _colon, port_text = relay.rpartition(":")
            add(relay, host_name.strip("[]"), int(port_text))
        for database in environment.databases:
            url = urlsplit(database)
            port = url.port or SCHEMES.get(url.scheme.partition("+")[0], 0)
            if url.hostname and port:
                add(database, url.hostname, port)
    return tuple(found.values())


def isolation(
    environment: Environment,
    productions: Sequence[Environment],
    hosts: Sequence[Host],
    theirs: Sequence[Host],
    *,
    secrets: Mapping[str, str],
    their_secrets: Mapping[str, str],
    admitted: frozenset[str] = frozenset(),
    tried: Sequence[Target] | None = None,
) -> Isolation:
    """Compare what the environment's `hosts` answered with production's, `theirs`.
    `admitted`: fingerprints of keys that the access rules allow on both sides; `tried`:
    what was swept, where that is more than `targets`."""
    tried = targets(productions) if tried is None else tried
    paths: list[Path] = []
    unknown = [sentence for host in (*hosts, *theirs) for sentence in host.unknown]
    for host in hosts:
        outcomes = host.seen.sweep if host.seen is not None else []
        if len(outcomes) != len(tried):
            outcomes = ["unknown"] * len(tried)
        paths += [
            Path(host.way.host, target.name, target.address, target.port, _weighed(target, outcome))
            for target, outcome in zip(tried, outcomes, strict=True)
        ]
    stuck = [path for path in paths if path.outcome == "unknown"]
    unknown += [
        _("{host}: whether {to} port {port} can be reached is unknown").format(
            host=path.source, to=path.to, port=path.port
        )
        for path in stuck[:20]
    ]
    unknown += [
        _("{host} is production, and has no address that could be tried").format(host=host.name)
        for production in productions
        for host in production.hosts
        if not host_keys.is_over_ssh(production, host)
    ]
    shared = {
        *_described(environment, productions),
        *_same_secrets(environment, productions, secrets, their_secrets),
    }
    addresses = {target.address: target.name for target in tried}
    pairs = []
    for host in hosts:
        shared.update(_connected(host, addresses))
        for other in theirs:
            shared.update(_compared(host, other, admitted))
            if _on_one_kernel(host, other):
                pairs.append((host.way.host, other.way.host))
    is_open = any(path.outcome == "open" for path in paths)
    outcome: Outcome = "proven"
    if is_open or shared:
        outcome = "violated"
    elif unknown or not hosts or not theirs or not paths:
        outcome = "unknown"
    return Isolation(outcome, tuple(paths), tuple(sorted(shared)), tuple(unknown), tuple(pairs))


def _weighed(target: Target, outcome: Reached) -> Reached:
    """A loopback address is another machine on each host: that it is closed says nothing."""
    address = target.address
    local = address.startswith("127.") or address in ("::1", "localhost")
    return "unknown" if local and outcome != "open" else outcome


def _on_one_kernel(host: Host, other: Host) -> bool:
    mine = host.seen and host.seen.possessions
    their = other.seen and other.seen.possessions
    return bool(mine and their and mine.kernel and mine.kernel == their.kernel)


def _compared(host: Host, other: Host, admitted: frozenset[str]) -> list[Shared]:
    """What both hosts have; disks of one kernel are seen by all that run on it."""
    if host.seen is None or other.seen is None:
        return []
    mine, their = host.seen.possessions, other.seen.possessions
    if mine is None or their is None:
        return []
    entering = {host.key, other.key, *admitted} - {""}
    by_hash: dict[tuple[str, str], Item] = {
        ("opens" if item.kind == "door" else item.kind, item.hash): item
        for item in their.items
        if item.kind != "opens"
    }
    found = []
    for item in mine.items:
        twin = by_hash.get((item.kind, item.hash))
        if twin is None or item.kind not in _COMPARED:
            continue
        if item.kind == "disk" and _on_one_kernel(host, other):
            continue
        if item.kind == "authorised-key" and item.name.rpartition(" ")[2] in entering:
            continue
        found.append(
            Shared(item.kind, host.way.host, other.way.host, plain(item.name), plain(twin.name))
        )
    return found


def _connected(host: Host, addresses: Mapping[str, str]) -> list[Shared]:
    """Connections that stand now, from this host to production."""
    possessions = host.seen.possessions if host.seen is not None else None
    found = []
    for address, port in possessions.connections if possessions is not None else ():
        name = addresses.get(address)
        if name is not None and port < _EPHEMERAL and not address.startswith("127."):
            found.append(Shared("connection", host.way.host, name, f"{address} {port}", ""))
    return found


def _described(environment: Environment, productions: Sequence[Environment]) -> list[Shared]:
    """What the descriptions themselves say is the same: keys, databases."""
    found = []
    for other in productions:
        for host, keys in environment.host_keys.items():
            found += [
                Shared("host-key", host, there, key.split()[0], key.split()[0])
                for there, theirs in other.host_keys.items()
                for key in keys
                if key in theirs
            ]
        mine, their = _urls(environment), _urls(other)
        found += [
            Shared("database", environment.name, other.name, name, their[url])
            for url, name in mine.items()
            if url in their
        ]
    return found


def _urls(environment: Environment) -> dict[str, str]:
    """URLs of databases in the description, in one form, with where each stands."""
    found = {}
    sources = [("databases", environment.databases), *environment.variables.items()]
    for host in environment.hosts:
        sources += host.variables.items()
    for name, value in sources:
        for text in value if isinstance(value, list | tuple) else (value,):
            if not isinstance(text, str) or "://" not in text or "{{" in text:
                continue
            try:
                url = urlsplit(text)
                scheme = url.scheme.partition("+")[0]
                port = url.port or SCHEMES.get(scheme, 0)
            except ValueError:
                continue
            if scheme in SCHEMES or scheme == "sqlite":
                found[f"{scheme}://{url.hostname or ''}:{port}{url.path}"] = str(name)
    return found


def _same_secrets(
    environment: Environment,
    productions: Sequence[Environment],
    secrets: Mapping[str, str],
    theirs: Mapping[str, str],
) -> list[Shared]:
    """Secrets of equal value: one password for both sides."""
    named = ", ".join(other.name for other in productions)
    return [
        Shared("secret", environment.name, named, name, there)
        for name, value in secrets.items()
        for there, other in theirs.items()
        if value == other
    ]
