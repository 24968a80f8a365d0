"""Waivers: which of them hold, and which count for nothing (F14). Pure.

A waiver is of one rule for one release, until a day. It holds when who signed it isn't
held back by that rule: didn't build the release, didn't ask for the change, isn't who
promotes now, and acted in a role that isn't the one that has to mend it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from otapgate.gate.finding import Gap, Waiver
from otapgate.ledger import predicates as p
from otapgate.ledger import state as s

if TYPE_CHECKING:
    from otapgate.gate.facts import Facts
    from otapgate.gate.registry import Rule


def unlapsed(facts: Facts) -> list[s.Signed[p.Waived]]:
    """The waivers of this release whose day hasn't come, the newest first."""
    return [w for w in reversed(facts.release.waivers) if facts.day < w.act.until]


def held_back(facts: Facts, person: str) -> bool:
    """Whether somebody is held back by what is missing: a builder of the release, who
    asked for the change, or who would promote."""
    change = facts.change
    asked = change is not None and change.submitted.by == person
    return asked or person == facts.action.actor or person in facts.release.builders


def standing(facts: Facts, rule: Rule, gaps: Iterable[Gap]) -> Waiver | None:
    """The newest waiver that makes these gaps of a rule a warning; None for a hard rule."""
    if rule.hard:
        return None
    menders = {gap.remedy.role for gap in gaps if gap.remedy is not None}
    for waiver in unlapsed(facts):
        if waiver.act.rule != rule.code or held_back(facts, waiver.by):
            continue
        if any(facts.entitled(waiver, role) for role in p.WAIVERS if role not in menders):
            return Waiver(waiver.by, waiver.act.until, waiver.position)
    return None
