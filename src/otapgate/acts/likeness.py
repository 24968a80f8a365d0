"""What hosts are, whether that is like production, and whether it is what it was.

The print of an environment, as last recorded, is kept in the store; drift is what differs
from it. Norms CH04-03, CH06-09.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec

from otapgate import errors
from otapgate.acts.probing import Asker, Probe, made
from otapgate.i18n import _
from otapgate.landscape.model import ASPECTS, Environment

if TYPE_CHECKING:
    from otapgate.probe.answers import Host

_SHOWN = 500
"""Differences that an answer lists."""

Prints = dict[str, dict[str, dict[str, str]]]
"""Host → aspect → item → value."""


def _asked(asker: Asker, environment: Environment) -> tuple[Prints, list[str]]:
    """Every host's print, and what could not be told."""
    home = str(environment.variables.get("home", ""))
    homes = {h.name: str(h.variables.get("home", home)) for h in environment.hosts}

    def parts(way: Any) -> dict[str, Any]:
        place = homes.get(way.host, "")
        return {"system": {"home": place if place.startswith("/") else ""}, "accounts": {}}

    hosts: list[Host] = asker.ask([environment], parts)
    prints: Prints = {}
    for host in hosts:
        if host.seen is None or host.seen.system is None:
            continue
        print_ = {aspect: dict(items) for aspect, items in host.seen.system.items()}
        print_["accounts"] = {
            f"account {one.name}": ", ".join([*one.keys, one.root or "-"])
            for one in host.seen.accounts or ()
        }
        prints[host.way.host] = print_
    return prints, [sentence for host in hosts for sentence in host.unknown]


def fingerprint(asker: Asker, environment: Environment) -> Probe:
    """Record what every host is: what drift is measured from."""
    prints, unknown = _asked(asker, environment)
    answer = {
        "outcome": "unknown" if unknown else "proven",
        "hosts": {
            host: {aspect: len(items) for aspect, items in one.items()}
            for host, one in prints.items()
        },
        "unknown": unknown,
    }
    items = sum(len(values) for one in prints.values() for values in one.values())
    counts = {"hosts": len(prints), "items": items, "unknown": len(unknown)}
    return made(asker, environment, "fingerprint", answer, counts, [],
                evidence={"hosts": prints})  # fmt: skip


def representativeness(asker: Asker, environment: Environment) -> Probe:
    """Compare the environment with its street's production. Raises BadInput for production
    itself."""
    from otapgate.probe.resemblance import combined, resemblance

    workspace = asker.workspace
    street = workspace.landscape.street(environment.street)
    assert street is not None, "load() puts every environment in a street"
    production = street.production
    if environment.stage == "P":
        raise errors.BadInput(
            "production-itself",
            _("{environment} is production; others are compared with it.").format(
                environment=environment.name
            ),
            remedy=f"otapgate env probe {street.environments[0].name} representativeness",
        )
    mine, unknown = _asked(asker, environment)
    theirs, more = _asked(asker, production)
    unknown += more
    day = workspace.now().date().isoformat()
    found = resemblance(
        combined(list(mine.values())), combined(list(theirs.values())),
        environment.differences, day=day,
    )  # fmt: skip
    open_ = [one for one in found.differences if not one.declared]
    enough = found.score >= workspace.landscape.policy.representativeness
    answer = {
        "outcome": "unknown" if unknown else "proven" if enough else "violated",
        "score": found.score,
        "aspects": found.aspects,
        "not_compared": [aspect for aspect in ASPECTS if aspect not in found.aspects],
        "differences": [msgspec.to_builtins(one) for one in found.differences[:_SHOWN]],
        "unknown": unknown,
    }
    counts = {
        "score": found.score,
        "undeclared": len(open_),
        "declared": len(found.differences) - len(open_),
        "unknown": len(unknown),
    }
    lines = [f"{one.aspect}: {one.item}: {one.here or '-'} / {one.there or '-'}" for one in open_]
    evidence = {**answer, "differences": [msgspec.to_builtins(one) for one in found.differences]}
    return made(asker, environment, "representativeness", answer, counts, lines,
                {production.name: production.digest}, evidence)  # fmt: skip


def has_print(asker: Asker, environment: Environment) -> bool:
    """Whether a print of the environment was ever recorded."""
    return "fingerprint" in asker.workspace.state.environment(environment.name).probes


def drift(asker: Asker, environment: Environment) -> Probe:
    """Compare the hosts with their print as it was last recorded. Raises BadInput when
    there is none, Integrity when it is damaged."""
    from otapgate.probe.resemblance import drift as compare

    workspace = asker.workspace
    known = workspace.state.environment(environment.name).probes.get("fingerprint")
    if known is None:
        raise errors.BadInput(
            "print-missing",
            _("What the hosts of {environment} are was never recorded.").format(
                environment=environment.name
            ),
            remedy=f"otapgate env probe {environment.name} fingerprint",
        )
    before: Prints = json.loads(workspace.store.get(known.act.evidence))["hosts"]
    now, unknown = _asked(asker, environment)
    different = compare({host: before[host] for host in before if host in now or not unknown}, now)
    answer = {
        "outcome": "violated" if different else "unknown" if unknown else "proven",
        "since": known.at,
        "different": [msgspec.to_builtins(one) for one in different[:_SHOWN]],
        "unknown": unknown,
    }
    counts = {"different": len(different), "unknown": len(unknown)}
    lines = [f"{d.host}: {d.item}: {d.was or '-'} -> {d.now or '-'}" for d in different]
    return made(asker, environment, "drift", answer, counts, lines)
