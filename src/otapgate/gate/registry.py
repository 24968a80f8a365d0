"""The rules: how one is registered, found, and given its severity.

Adding a rule is one function with `@rule(...)`, one test and nothing else; its page in
the reference is its docstring. Others add rules through the entry point group
`otapgate.rules` (a module that registers on import). Pure but for that look-up.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

from otapgate.gate.facts import Facts
from otapgate.gate.finding import Gap
from otapgate.gate.norms import NORMS
from otapgate.landscape.model import Policy, Severity

Check: TypeAlias = Callable[[Facts], Iterable[Gap]]
Applies: TypeAlias = Callable[[Facts], bool]


@dataclass(frozen=True)
class Rule:
    """One thing that the gate asks."""

    code: str
    slug: str
    norms: tuple[str, ...]
    check: Check
    applies: Applies
    severity: Severity
    hard: bool
    """No policy can weaken it: ledger, segregation that is marked hard."""

    @property
    def summary(self) -> str:
        """First line of the docstring, in English."""
        return (self.check.__doc__ or "").strip().splitlines()[0]

    @property
    def explanation(self) -> str:
        """The whole docstring, in English."""
        return (self.check.__doc__ or "").strip()

    def severity_under(self, policy: Policy, day: str) -> Severity:
        """What the policy makes of it on a day (ISO date); a setting that has run out,
        or that tries to weaken a hard rule, counts for nothing."""
        setting = policy.rules.get(self.code) or policy.rules.get(self.slug)
        if setting is None or self.hard or (setting.until and day >= setting.until):
            return self.severity
        return setting.severity


_rules: dict[str, Rule] = {}
_BUILT_IN = (
    "change", "environment", "testing", "rollback", "acceptance", "segregation",
    "completeness", "calendar", "integrity",
)  # fmt: skip


def always(_: Facts) -> bool:
    """Every transition."""
    return True


def to_production(facts: Facts) -> bool:
    """Transitions into P."""
    return facts.stage == "P"


def beyond_first(facts: Facts) -> bool:
    """Transitions that have an environment behind them."""
    return facts.previous is not None


def rule(
    slug: str,
    *,
    code: str,
    norms: Iterable[str],
    applies: Applies = always,
    severity: Severity = "block",
    hard: bool = False,
) -> Callable[[Check], Check]:
    """Register a rule. Codes are `OG` and three digits and are never used again;
    raises ValueError for a code or norm that isn't right."""

    def register(check: Check) -> Check:
        found = tuple(norms)
        unknown = [n for n in found if n not in NORMS]
        known = _rules.get(code)
        if unknown or not check.__doc__ or len(code) != 5 or not code.startswith("OG"):
            raise ValueError(f"rule {code} {slug}: unknown norms {unknown}, or no docstring")
        if known is not None and known.check.__module__ != check.__module__:
            raise ValueError(f"rule code {code} is taken by {known.slug}")
        _rules[code] = Rule(code, slug, found, check, applies, severity, hard)
        return check

    return register


def rules() -> tuple[Rule, ...]:
    """Every rule, by code."""
    if not any(r.check.__module__.startswith("otapgate.gate.rules") for r in _rules.values()):
        for name in _BUILT_IN:
            importlib.import_module(f"otapgate.gate.rules.{name}")
    return tuple(_rules[code] for code in sorted(_rules))


def load_extensions() -> None:
    """Import what others registered under the entry point group `otapgate.rules`; an
    extension that can't be imported raises, since a rule left out is a hole."""
    from importlib.metadata import entry_points

    for entry in entry_points(group="otapgate.rules"):
        entry.load()
