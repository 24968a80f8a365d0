"""The decision: policy, state, action and time in; allowed or every gap out. Pure.

No clock, no disk, no network: so a decision can be tried, explained, and made again
years later from an export. Norm: CH01-03.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias

import msgspec

from otapgate import __version__, canonical
from otapgate.gate.facts import Facts
from otapgate.gate.finding import Action, Decision, Finding, Gap, Seen
from otapgate.gate.registry import RULE_SET, Rule, rules
from otapgate.gate.waivers import standing
from otapgate.i18n import N_
from otapgate.landscape.model import Landscape
from otapgate.ledger.state import State

Outcome: TypeAlias = Literal["passed", "warned", "blocked", "off", "not-applicable"]


class Undecidable(LookupError):
    """The action names a release or an environment that doesn't exist."""


def facts_of(
    landscape: Landscape,
    state: State,
    seen: Seen,
    action: Action,
    now: datetime,
    asked: tuple[Rule, ...],
) -> Facts:
    """The view that rules get. Raises Undecidable when the release was never built or
    the environment isn't in the landscape."""
    release = state.releases.get(action.release)
    environment = landscape.environment(action.environment)
    if release is None or environment is None:
        raise Undecidable(action.release if release is None else action.environment)
    street = landscape.street(environment.street)
    if street is None:
        raise Undecidable(environment.street)
    return Facts(landscape, state, seen, action, now, street, environment, release, asked)


def decide(
    landscape: Landscape,
    state: State,
    seen: Seen,
    action: Action,
    now: datetime,
    using: tuple[Rule, ...] | None = None,
) -> Decision:
    """Whether the release may enter the environment now, with every gap if not.

    `landscape` has owners as person ids; `now` carries a zone; `using` defaults to all
    registered rules. Raises Undecidable.
    """
    asked = rules() if using is None else using
    facts = facts_of(landscape, state, seen, action, now, asked)
    outcomes: dict[str, Outcome] = {}
    findings: list[Finding] = []
    for rule in asked:
        outcome, found = _apply(rule, facts)
        outcomes[rule.code] = outcome
        findings.extend(found)
    refused = any(f.severity == "block" for f in findings)
    return Decision(
        action,
        "refused" if refused else "allowed",
        now.isoformat(timespec="seconds"),
        canonical.digest_of(msgspec.to_builtins(landscape, str_keys=True)),
        landscape.policy.digest,
        state.size,
        state.root,
        __version__,
        outcomes,
        tuple(findings),
        RULE_SET,
    )


def _apply(rule: Rule, facts: Facts) -> tuple[Outcome, list[Finding]]:
    try:
        if not rule.applies(facts):
            return "not-applicable", []
        severity = rule.severity_under(facts.policy, facts.day)
        if severity == "off":
            return "off", []
        gaps = list(rule.check(facts))
    except Exception as error:
        return "blocked", [_broken(rule, facts, error)]
    if not gaps:
        return "passed", []
    waiver = standing(facts, rule, gaps) if severity == "block" else None
    if waiver is not None:
        severity = "warn"
    found = [Finding(rule.code, rule.slug, severity, rule.norms, gap, waiver) for gap in gaps]
    return ("blocked" if severity == "block" else "warned"), found


def _broken(rule: Rule, facts: Facts, error: Exception) -> Finding:
    gap = Gap(
        facts.release.name,
        N_("The rule itself failed ({error}), so it can't be said to be met."),
        {"error": type(error).__name__},
    )
    return Finding(rule.code, rule.slug, "block", rule.norms, gap)
