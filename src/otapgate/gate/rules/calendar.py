"""Rules about the calendar: OG801 to OG899. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from otapgate.gate.facts import Facts
from otapgate.gate.finding import Gap
from otapgate.gate.registry import rule, to_production
from otapgate.i18n import N_


@rule("freeze", code="OG801", norms=["FRZ-1"], applies=to_production)
def freeze(facts: Facts) -> Iterator[Gap]:
    """Nothing goes to production in a test week, exams or another freeze."""
    for period in facts.landscape.freezes:
        if period.streets and facts.street.name not in period.streets:
            continue
        if datetime.fromisoformat(period.start) <= facts.now < datetime.fromisoformat(period.end):
            yield facts.gap(
                N_("{name}: nothing goes to production until {end}."),
                on=facts.environment.name,
                remedy=facts.by_role(
                    f"otapgate change schedule {facts.action.change} --window START/END",
                    "change-manager",
                ),
                name=period.name,
                end=period.end,
            )
