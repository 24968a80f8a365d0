"""Findings and decisions: what the gate says, without saying it in any language.

A finding carries a message template (English, marked for translation) and parameters;
`sentence` renders it in the language in force. Decisions keep code, subject and
parameters only, so that they replay the same in any language. Pure.
"""

from __future__ import annotations

import re
from typing import Any, Literal

from otapgate.i18n import _
from otapgate.landscape.model import Role, Value
from otapgate.ledger import predicates as p


class Remedy(Value, frozen=True):
    """The command that mends it and who may run it."""

    command: str
    role: Role | None = None
    who: tuple[str, ...] = ()
    """Person ids of those who hold the role and aren't barred from using it here."""


class Gap(Value, frozen=True):
    """What a rule found missing, before severity is settled."""

    subject: str
    message: str
    params: dict[str, Any] = {}  # noqa: RUF012 - msgspec gives each its own
    remedy: Remedy | None = None


class Waiver(Value, frozen=True):
    """Who said that a rule doesn't hold a release back, and until when."""

    by: str
    """Person id."""
    until: str
    """ISO date; on that day it has lapsed."""
    entry: int
    """Where in the ledger it stands; the reason is a detail of that entry."""


class Finding(Value, frozen=True):
    """A gap with its rule: what a user reads."""

    code: str
    slug: str
    severity: Literal["block", "warn"]
    norms: tuple[str, ...]
    gap: Gap
    waiver: Waiver | None = None
    """What made it a warning, if a waiver did."""

    @property
    def recorded(self) -> p.RecordedFinding:
        entry = self.waiver.entry if self.waiver is not None else None
        return p.RecordedFinding(self.code, self.severity, self.gap.subject, self.gap.params, entry)

    def sentence(self) -> str:
        """The message in the language in force."""
        return fill(_(self.gap.message), self.gap.params)


def fill(template: str, params: dict[str, Any]) -> str:
    """Put parameters in a template; lists are joined with commas. A parameter's own
    braces, attributes or format codes have no meaning, and what isn't printable becomes
    a replacement character: parameters can be hostile, and end up on a terminal."""

    def value(match: re.Match[str]) -> str:
        found = params.get(match[1], match[0])
        text = ", ".join(map(str, found)) if isinstance(found, list | tuple) else str(found)
        return "".join(c if c.isprintable() else "\ufffd" for c in text)

    return re.sub(r"\{(\w+)\}", value, template)


class Action(Value, frozen=True):
    """What is asked of the gate."""

    release: str
    """Digest."""
    environment: str
    change: str
    actor: str
    """Person id of who would promote; "" when only explaining without a key."""
    action: Literal["promote", "resume"] = "promote"
    """`resume`: go on with the promotion of this release that was cut off there."""


class Seen(Value, frozen=True):
    """What was observed outside the ledger, so that a decision can be replayed."""

    store_problems: tuple[str, ...] = ()
    """Files of the release that are missing or damaged in the content store."""
    ledger_problems: tuple[str, ...] = ()
    drift: tuple[str, ...] = ()
    """Source files in the working directory that differ from the built release."""
    plan_files: dict[str, str] = {}  # noqa: RUF012 - msgspec gives each its own
    """Plan name → digest of the plan as it is in the working directory now."""
    differences: dict[str, tuple[str, ...]] = {}  # noqa: RUF012 - msgspec gives each its own
    """Digest of another release of the application → files that differ from this one."""
    policy_changes: tuple[str, ...] = ()
    """Files that no longer say what was approved as the policy, where that can be told."""


class Decision(Value, frozen=True):
    """The gate's answer: allowed, or refused with every gap at once."""

    action: Action
    outcome: Literal["allowed", "refused"]
    now: str
    landscape: str
    policy: str
    size: int
    root: str
    tool: str
    rules: dict[str, Literal["passed", "warned", "blocked", "off", "not-applicable"]]
    findings: tuple[Finding, ...]
    rule_set: int
    """Number of the set that otapgate's own rules were."""

    @property
    def blocking(self) -> tuple[Finding, ...]:
        return tuple(f for f in self.findings if f.severity == "block")
