"""The rules: how one is registered, found, and given its severity.

Adding a rule is one function with `@rule(...)`, one test and nothing else; its page in
the reference is its docstring. Others add rules through the entry point group
`otapgate.rules` (a module that registers on import). Pure but for that look-up.
"""

from __future__ import annotations

import importlib
import re
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
    since: int = 1
    """The rule set in which it came, of otapgate's own rules; see `RULE_SET`."""

    @property
    def own(self) -> bool:
        """Whether it is otapgate's; others' rules are numbered by nobody."""
        return self.check.__module__.startswith("otapgate.")

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


RULE_SET = 2
"""Number of the set that otapgate's own rules are now; one more in each version that adds
rules. A decision names its set, so that it is made again by the rules that there were."""

_rules: dict[str, Rule] = {}
_loaded: set[str] = set()
_BUILT_IN = (
    "change", "environment", "testing", "rollback", "acceptance", "segregation",
    "completeness", "calendar", "integrity", "probes", "parallel",
)  # fmt: skip


def always(_: Facts) -> bool:
    """Every transition."""
    return True


def to_production(facts: Facts) -> bool:
    """Transitions into P."""
    return facts.stage == "P"


def before_production(facts: Facts) -> bool:
    """Transitions into anything but P."""
    return facts.stage != "P"


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
    since: int = 1,
) -> Callable[[Check], Check]:
    """Register a rule. Codes are `OG` and three digits and are never used again;
    raises ValueError for a code or norm that isn't right, or a name that is taken."""

    def register(check: Check) -> Check:
        found = tuple(norms)
        unknown = [n for n in found if n not in NORMS]
        if unknown or not (check.__doc__ or "").strip() or not re.fullmatch("OG[0-9]{3}", code):
            raise ValueError(
                f"rule {code} {slug}: code malformed, unknown norms {unknown}, or no docstring"
            )
        # One rule in the place of another would be a rule less; the same read again isn't.
        place = (check.__module__, check.__qualname__)
        for known in _rules.values():
            same = (known.check.__module__, known.check.__qualname__) == place
            if (known.code == code or known.slug == slug) and not same:
                raise ValueError(f"rule {code} {slug}: taken by {known.code} {known.slug}")
        _rules[code] = Rule(code, slug, found, check, applies, severity, hard, since)
        return check

    return register


def rules() -> tuple[Rule, ...]:
    """Every rule, by code. Raises what a module of rules raises that can't be imported,
    each time anew: some of the rules are never taken for all of them."""
    for name in _BUILT_IN:
        if name not in _loaded:
            importlib.import_module(f"otapgate.gate.rules.{name}")
            _loaded.add(name)
    return tuple(_rules[code] for code in sorted(_rules))


def rules_of(rule_set: int, others: Iterable[str]) -> tuple[Rule, ...]:
    """The rules that were asked in a decision: otapgate's own up to that set, whether the
    decision lists them or not, and those of others that are among the codes."""
    known = set(others)
    return tuple(r for r in rules() if (r.since <= rule_set if r.own else r.code in known))


def load_extensions() -> None:
    """Import what others registered under the entry point group `otapgate.rules`; an
    extension that can't be imported raises, since a rule left out is a hole."""
    from importlib.metadata import entry_points

    rules()  # first, so that an extension can't take a code of theirs
    for entry in entry_points(group="otapgate.rules"):
        entry.load()
