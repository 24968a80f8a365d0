"""Probing an environment: apart from production, who gets in, like production.

Norms CH04-02 to CH04-05, CH06-05 (F16), CH06-09. What came of it is recorded whatever it
is: a probe that finds something is evidence as much as one that doesn't.
"""

from __future__ import annotations

import json
import secrets as random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

import msgspec

from otapgate import errors
from otapgate.acts import runs, secret_values
from otapgate.acts.drafts import draft, new_id
from otapgate.acts.workspace import Workspace
from otapgate.i18n import _
from otapgate.landscape.model import Environment, Role
from otapgate.ledger import predicates as p
from otapgate.ledger.statement import Draft

if TYPE_CHECKING:
    from otapgate.probe.access import Holder
    from otapgate.probe.answers import Host
    from otapgate.probe.connection import Way

Kind = Literal["isolation", "access", "fingerprint", "representativeness", "drift"]
KINDS: tuple[Kind, ...] = get_args(Kind)
KEY_TYPES = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa")
_ROLES: tuple[Role, ...] = ("administrator", "test-lead", "tester")


class Probe(msgspec.Struct, frozen=True):
    """One kind of probe of one environment: for `--json`, and as an act."""

    environment: str
    kind: Kind
    answer: dict[str, Any]
    act: Draft


class Asker:
    """Hosts of one landscape, asked by one command; answers of production are kept."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.key = random.token_hex(32)
        """For the hashes by which things are compared; nobody keeps it."""
        self._secrets: dict[str, dict[str, str]] = {}

    def secrets(self, environment: Environment) -> dict[str, str]:
        if environment.name not in self._secrets:
            found = secret_values.read(self.workspace.root, environment)
            self._secrets[environment.name] = found
        return self._secrets[environment.name]

    def ask(
        self, environments: Sequence[Environment], parts: Callable[[Way], dict[str, Any]]
    ) -> list[Host]:
        """What every host of the environments answers. Only of environments that their
        owner accepted: a description says what runs here for a local host, and to whom
        passwords go."""
        from otapgate.landscape import host_keys as host_keys_of
        from otapgate.probe import answers, on_host, remote
        from otapgate.probe.connection import ways

        for environment in environments:
            host_keys_of.require(environment)
            runs.accepted(self.workspace, environment)
        roads = [way for env in environments for way in ways(env, self.secrets(env))]
        found = remote.run(roads, lambda way: on_host.script(parts(way)))
        changed = [answer for answer in found if answer.changed]
        if changed:
            raise errors.Failed(
                "host-key-changed",
                changed[0].problem,
                remedy=_("find out why; if it is right: otapgate env pin {environment}").format(
                    environment=changed[0].way.environment
                ),
                problems=tuple(errors.Problem(answer.problem) for answer in changed),
            )
        return [answers.taken(answer) for answer in found]


def probe(workspace: Workspace, env: str, kind: str, progress: runs.Progress) -> list[Probe]:
    """Probe an environment, in one of the `KINDS` or `all`; nothing is recorded yet.

    Isolation of production is that of every other environment of its street from it.
    Raises BadInput (no keys pinned, not accepted, a secret missing), Failed (another host
    key), Identity, Usage.
    """
    if kind != "all" and kind not in KINDS:
        raise errors.Usage(
            "probe-unknown",
            _("There is no probe '{kind}'.").format(kind=kind),
            remedy=_("one of: {known}").format(known=", ".join([*KINDS, "all"])),
        )
    environment = runs.environment_now(workspace, env)
    workspace.require(*_ROLES, street=environment.street)
    wanted = [one for one in KINDS if kind in (one, "all")]
    from otapgate.acts import likeness

    asker = Asker(workspace)
    found = []
    for one in wanted:
        progress(_("Probing {environment}: {kind}").format(environment=environment.name, kind=one))
        if one == "isolation":
            found += _isolation(asker, environment)
        elif one == "access":
            found.append(_access(asker, environment))
        elif one == "fingerprint":
            found.append(likeness.fingerprint(asker, environment))
        elif one == "representativeness" and (kind != "all" or environment.stage != "P"):
            found.append(likeness.representativeness(asker, environment))
        elif one == "drift" and (kind != "all" or likeness.has_print(asker, environment)):
            found.append(likeness.drift(asker, environment))
    return found


def _isolation(asker: Asker, environment: Environment) -> list[Probe]:
    from otapgate.probe import isolation as subject
    from otapgate.probe.names import with_addresses

    landscape = asker.workspace.landscape
    street = landscape.street(environment.street)
    assert street is not None, "load() puts every environment in a street"
    outside = [environment]
    if environment.stage == "P":
        outside = [e for e in street.environments if e.stage != "P"]
    productions = [e for e in landscape.environments() if e.stage == "P"]
    targets = with_addresses(subject.targets(productions))
    asked = [[target.address, target.port] for target in targets]

    def parts(way: Way) -> dict[str, Any]:
        own = landscape.environment(way.environment)
        paths = [url[len("sqlite:///") :] for e in (own,) if e for url in e.databases
                 if url.startswith("sqlite:///")]  # fmt: skip
        found: dict[str, Any] = {"possessions": {"key": asker.key, "databases": paths}}
        if own is not None and own.stage != "P":
            found["sweep"] = {"targets": asked, "seconds": subject.SWEEP_SECONDS}
        return found

    hosts = asker.ask([*outside, *productions], parts)
    theirs = [h for h in hosts if h.way.environment in {e.name for e in productions}]
    their_secrets = {k: v for e in productions for k, v in asker.secrets(e).items()}
    found = []
    for one in outside:
        result = subject.isolation(
            one,
            productions,
            [host for host in hosts if host.way.environment == one.name],
            theirs,
            secrets=asker.secrets(one),
            their_secrets=their_secrets,
            admitted=_admitted(asker.workspace, [one, *productions]),
            tried=targets,
        )
        answer = {
            "outcome": result.outcome,
            "paths": [
                {"from": path.source, "to": path.to, "address": path.address, "port": path.port,
                 "outcome": path.outcome}
                for path in result.paths
            ],
            "shared": [
                {"kind": s.kind, "from": s.source, "to": s.to, "what": s.what, "there": s.there}
                for s in result.shared
            ],
            "unknown": list(result.unknown),
            "one_kernel": [list(pair) for pair in result.one_kernel],
        }  # fmt: skip
        counts = {
            "paths": len(result.paths),
            "open": sum(1 for path in result.paths if path.outcome == "open"),
            "shared": len(result.shared),
            "unknown": len(result.unknown),
        }
        lines = [
            f"{path.source} → {path.to} ({path.address}) {path.port}: open"
            for path in result.paths
            if path.outcome == "open"
        ]
        lines += [f"{s.kind}: {s.source} {s.what} = {s.to} {s.there}" for s in result.shared]
        against = {e.name: e.digest for e in productions}
        found.append(made(asker, one, "isolation", answer, counts, lines, against))
    return found


def _access(asker: Asker, environment: Environment) -> Probe:
    from otapgate.probe.access import access

    hosts = asker.ask([environment], lambda _way: {"accounts": {}})
    result = access(environment, hosts, _holders(asker.workspace, environment.street))
    answer = {
        "outcome": result.outcome,
        "stray": [msgspec.to_builtins(one) for one in result.stray],
        "missing": [msgspec.to_builtins(one) for one in result.missing],
        "unknown": list(result.unknown),
    }
    counts = {
        "stray": len(result.stray),
        "missing": len(result.missing),
        "unknown": len(result.unknown),
        "builders": result.builders,
    }
    lines = [f"stray: {s.host}: {s.account}: {s.what} {s.detail} {s.who}" for s in result.stray]
    lines += [f"missing: {m.host}: {m.account}: {m.what}" for m in result.missing]
    # what is kept in the store can't be erased; people's names stand in details only
    nameless = [msgspec.structs.replace(one, who="") for one in result.stray]
    kept = {**answer, "stray": [msgspec.to_builtins(one) for one in nameless]}
    return made(asker, environment, "access", answer, counts, lines, evidence=kept)


def made(
    asker: Asker,
    environment: Environment,
    kind: Kind,
    answer: dict[str, Any],
    counts: dict[str, int],
    lines: Sequence[str],
    against: dict[str, str] | None = None,
    evidence: dict[str, Any] | None = None,
) -> Probe:
    """A probe ready to be recorded. `evidence`: what is kept of it, where that is more than
    the answer."""
    from otapgate.probe.answers import whole

    answer = whole(answer)
    kept = answer if evidence is None else evidence
    digest = asker.workspace.store.put(json.dumps(kept, sort_keys=True).encode())
    predicate = p.Probed(
        probe=new_id("probe"),
        environment=environment.name,
        description=environment.digest,
        kind=kind,
        outcome=answer["outcome"],
        counts=counts,
        evidence=digest,
        against=against or {},
    )
    act = draft("probed", predicate, [(environment.name, environment.digest)],
                findings=whole([*lines[:200], *answer["unknown"][:50]]))  # fmt: skip
    return Probe(environment.name, kind, answer, act)


def _holders(workspace: Workspace, street: str) -> dict[str, Holder]:
    """Enrolled people's keys by fingerprint, with their roles on the street; a revoked key
    is its owner's still, and opens nothing."""
    from otapgate.probe.access import Holder

    people = workspace.state.directory
    day = workspace.now().date().isoformat()
    return {
        key.fingerprint: Holder(
            workspace.name(person.id),
            frozenset(people.roles(person.id, day, street) if key.revoked is None else ()),
        )
        for person in people.people.values()
        for key in person.keys
    }  # fmt: skip


def _admitted(workspace: Workspace, environments: Sequence[Environment]) -> frozenset[str]:
    """Keys that the rules of each of the environments let in, to whatever account."""
    allowed: list[set[str]] = []
    for environment in environments:
        roles = {role for several in environment.access.values() for role in several}
        named = {key for keys in environment.access_keys.values() for key in keys}
        holders = _holders(workspace, environment.street)
        named |= {key for key, holder in holders.items() if holder.roles & roles}
        allowed.append(named)
    return frozenset(set.intersection(*allowed)) if allowed else frozenset()


def host_keys(workspace: Workspace, env: str) -> dict[str, Any]:
    """The SSH host keys that the environment's hosts show now, compared with what is
    pinned: what a person puts in the description. Raises Failed when no host shows any."""
    import msgspec.structs

    from otapgate.landscape import host_keys as pinned
    from otapgate.probe.connection import ways
    from otapgate.probe.remote import fetch_host_keys
    from otapgate.probe.transport import fingerprint_of_line

    environment = runs.environment_now(workspace, env)
    over_ssh = [host for host in environment.hosts if pinned.is_over_ssh(environment, host)]
    believed = msgspec.structs.replace(
        environment,
        hosts=tuple(over_ssh),
        host_keys={host.name: ("-",) for host in over_ssh},
    )
    shown = fetch_host_keys(ways(believed, {}), KEY_TYPES)
    hosts = {}
    for host in over_ssh:
        now, before = shown[host.name], environment.host_keys.get(host.name, ())
        if isinstance(now, str):
            hosts[host.name] = {"status": "unknown", "keys": [], "message": now}
            continue
        status = "new" if not before else "pinned" if set(before) <= set(now) else "changed"
        hosts[host.name] = {
            "status": status,
            "keys": now,
            "fingerprints": [fingerprint_of_line(line) for line in now],
        }
    return {"environment": environment.name, "file": environment.file, "hosts": hosts}
