"""Rules about what probes saw of the environments: OG205 to OG209. Pure.

They warn, unless the policy says otherwise: a landscape whose hosts are all one machine
can prove none of it. Where hosts are reached over SSH the policy does well to block.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from otapgate.gate.facts import Facts
from otapgate.gate.finding import Gap
from otapgate.gate.registry import always, rule, to_production
from otapgate.i18n import N_
from otapgate.landscape.model import Environment, Role
from otapgate.ledger import predicates as p
from otapgate.ledger import state as s

_ROLES: tuple[Role, ...] = ("administrator", "test-lead", "tester")


def _newest(facts: Facts, environment: Environment, kind: str) -> s.Signed[p.Probed] | None:
    return facts.state.environment(environment.name).probes.get(kind)


def _lapsed(facts: Facts, environment: Environment, probe: s.Signed[p.Probed]) -> str:
    """Why the newest probe says nothing of how things are; "" where it does."""
    described = {e.name: e.digest for e in facts.landscape.environments()}
    if probe.act.description != environment.digest:
        return N_("{environment} was changed after it was probed ({kind}).")
    if any(described.get(name) != digest for name, digest in probe.act.against.items()):
        return N_("What {environment} was compared with was changed since ({kind}).")
    if facts.older_than(probe.at, facts.policy.probe_max_age_days):
        return N_("{environment} was probed ({kind}) on {date}, longer than {days} days ago.")
    if not any(facts.entitled(probe, role) for role in _ROLES):
        return N_("{environment} was probed ({kind}) by somebody without a role here.")
    return ""


def _gap(facts: Facts, environment: Environment, kind: str, message: str, **more: Any) -> Gap:
    probe = _newest(facts, environment, kind)
    params = {"date": facts.date_of(probe.at).isoformat()} if probe is not None else {}
    return facts.gap(
        message,
        on=environment.name,
        remedy=facts.by_role(f"otapgate env probe {environment.name} {kind}", "administrator"),
        environment=environment.name,
        kind=kind,
        days=facts.policy.probe_max_age_days,
        **params,
        **more,
    )


def _is_local(environment: Environment) -> bool:
    """Whether every host is the machine that otapgate runs on."""
    return all(
        environment.variables_of(host).get("ansible_connection") == "local"
        for host in environment.hosts
    )


@rule("isolation-unproven", code="OG205", norms=["CH04-04"], applies=to_production,
      severity="warn", since=2)  # fmt: skip
def isolation_unproven(facts: Facts) -> Iterator[Gap]:
    """Every other environment of the street was shown to be apart from production.

    From each of its hosts every address and port of production was seen closed, and
    nothing was found on both sides, for what both descriptions say now. What could not be
    told is not proven. Hosts that are all one machine can't be apart.
    """
    for environment in facts.tested_in:
        probe = _newest(facts, environment, "isolation")
        if _is_local(environment) and _is_local(facts.environment):
            message = N_(
                "{environment} and production are the same machine, so they can't be apart."
            )
        elif probe is None:
            message = N_("It was never proven that {environment} is apart from production.")
        elif lapsed := _lapsed(facts, environment, probe):
            message = lapsed
        elif facts.environment.name not in probe.act.against:
            message = N_("{environment} was probed, but not against this production.")
        elif probe.act.outcome == "violated":
            message = N_(
                "{environment} is not apart from production: {open} open, {shared} shared."
            )
        elif probe.act.outcome == "unknown":
            message = N_("Whether {environment} is apart from production could not be told.")
        else:
            continue
        counts = probe.act.counts if probe is not None else {}
        yield _gap(facts, environment, "isolation", message,
                   open=counts.get("open", 0), shared=counts.get("shared", 0))  # fmt: skip


@rule("access-unproven", code="OG206", norms=["CH04-05", "CH06-05"], applies=to_production,
      severity="warn", since=2)  # fmt: skip
def access_unproven(facts: Facts) -> Iterator[Gap]:
    """On the hosts of every environment, those can get in that the access rules name.

    Accounts, keys and rights to become root were compared with the description: nothing
    stray, nothing missing, nothing that could not be told.
    """
    for environment in facts.path:
        probe = _newest(facts, environment, "access")
        if probe is None:
            message = N_("Who can get into {environment} was never compared with its rules.")
        elif lapsed := _lapsed(facts, environment, probe):
            message = lapsed
        elif probe.act.outcome == "violated":
            message = N_("Access to {environment} is not as described: {stray} stray, {missing}"
                         " missing.")  # fmt: skip
        elif probe.act.outcome == "unknown":
            message = N_("Who can get into {environment} could not be told wholly.")
        else:
            continue
        counts = probe.act.counts if probe is not None else {}
        yield _gap(facts, environment, "access", message,
                   stray=counts.get("stray", 0), missing=counts.get("missing", 0))  # fmt: skip


@rule("representativeness-low", code="OG207", norms=["CH04-03"], applies=to_production,
      severity="warn", since=2)  # fmt: skip
def representativeness_low(facts: Facts) -> Iterator[Gap]:
    """Test and acceptance are enough like production for their evidence to say something.

    The policy's `representativeness` is the percentage that each has at least. Differences
    that the description declares, with a reason and an end, count as none until then.
    """
    for environment in facts.tested_in:
        if environment.stage not in ("T", "A"):
            continue
        probe = _newest(facts, environment, "representativeness")
        counts = probe.act.counts if probe is not None else {}
        if probe is None:
            message = N_("{environment} was never compared with production.")
        elif lapsed := _lapsed(facts, environment, probe):
            message = lapsed
        elif probe.act.outcome == "unknown":
            message = N_("How much {environment} is like production could not be told.")
        elif counts.get("score", 0) < facts.policy.representativeness:
            message = N_("{environment} is like production for {score} %, less than {needed} %.")
        else:
            continue
        needed = facts.policy.representativeness
        yield _gap(facts, environment, "representativeness", message,
                   score=counts.get("score", 0), needed=needed)  # fmt: skip


@rule("production-drifted", code="OG208", norms=["CH06-09"], applies=to_production,
      severity="warn", since=2)  # fmt: skip
def production_drifted(facts: Facts) -> Iterator[Gap]:
    """Production is what it was when it was last recorded, where that was looked at."""
    probe = _newest(facts, facts.environment, "drift")
    if probe is not None and probe.act.outcome != "proven":
        yield _gap(
            facts,
            facts.environment,
            "drift",
            N_("{environment} differs from what was recorded of it: {different} things."),
            different=probe.act.counts.get("different", 0),
        )


@rule("builder-on-production", code="OG209", norms=["CH06-05"], applies=always, hard=True,
      since=2)  # fmt: skip
def builder_on_production(facts: Facts) -> Iterator[Gap]:
    """No builder has a key that logs in to production (F16), as far as it was probed.

    Once the newest probe of access saw one, nothing is promoted along the street until a
    newer one sees none.
    """
    production = facts.street.production
    probe = _newest(facts, production, "access")
    builders = probe.act.counts.get("builders", 0) if probe is not None else 0
    if builders:
        yield _gap(
            facts,
            production,
            "access",
            N_("{builders} keys of builders can log in to {environment}."),
            builders=builders,
        )
