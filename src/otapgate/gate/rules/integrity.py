"""Rules about the ledger, the content store and the policy: OG901 to OG999. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from otapgate.gate.facts import Facts
from otapgate.gate.finding import Gap, Remedy
from otapgate.gate.registry import always, rule
from otapgate.i18n import N_
from otapgate.ledger.state import CLOCK_TOLERANCE


@rule("ledger-damaged", code="OG901", norms=["CH01-08"], applies=always, hard=True)
def ledger_damaged(facts: Facts) -> Iterator[Gap]:
    """The ledger is this landscape's, and verifies: structure, hashes, signatures, roles.

    An entry that its signer wasn't entitled to has no effect; it blocks all the same until
    a role administrator has looked into it and said so (`otapgate log dismiss`).
    """
    if facts.state.directory.origin != facts.landscape.origin:
        yield facts.gap(
            N_("The ledger is that of {other}, not of this landscape."),
            on=facts.landscape.origin,
            remedy=Remedy("otapgate log verify"),
            other=facts.state.directory.origin or "-",
        )
    problems = (*facts.seen.ledger_problems, *facts.state.problems)
    if problems:
        yield facts.gap(
            N_("The ledger doesn't verify: {problems}."),
            on=facts.landscape.origin,
            remedy=Remedy("otapgate log verify"),
            problems=problems[:5],
        )


@rule("policy-unapproved", code="OG902", norms=["CH01-01", "CH02-05"], applies=always, hard=True)
def policy_unapproved(facts: Facts) -> Iterator[Gap]:
    """Policy, calendar, stages of the streets and time zone are as they were approved."""
    if facts.policy.digest != facts.state.policy:
        board = facts.holders("board") or facts.holders("change-manager")
        yield facts.gap(
            N_("Changed and not approved since: {files}.")
            if facts.seen.policy_changes
            else N_(
                "The policy, the calendar, the stages of a street or the time zone was changed"
                " and not approved since."
            ),
            on=facts.policy.file or "policy.yml",
            remedy=Remedy(
                "otapgate policy approve",
                "board" if facts.holders("board") else "change-manager",
                board,
            ),
            files=facts.seen.policy_changes,
        )


@rule("rule-weakened", code="OG903", norms=["CH01-01"], applies=always, severity="warn", hard=True)
def rule_weakened(facts: Facts) -> Iterator[Gap]:
    """Rules that carry a norm and are turned down by the policy are shown every time."""
    order = {"off": 0, "warn": 1, "block": 2}
    for known in facts.rules:
        now = known.severity_under(facts.policy, facts.day)
        if known.norms and order[now] < order[known.severity]:
            setting = facts.policy.rules.get(known.code) or facts.policy.rules[known.slug]
            yield facts.gap(
                N_("The policy sets {rule} to {severity}: {because} ({owner}, until {until})."),
                on=known.code,
                rule=known.slug,
                severity=now,
                because=setting.because or "-",
                owner=setting.owner or "-",
                until=setting.until or "-",
            )


@rule("store-damaged", code="OG904", norms=["CH01-07", "CH06-09"], applies=always, hard=True)
def store_damaged(facts: Facts) -> Iterator[Gap]:
    """Every file of the release is in the content store, byte for byte."""
    if facts.seen.store_problems:
        yield facts.gap(
            N_("Files of {release} are missing or damaged in the content store: {files}."),
            remedy=facts.by_role(
                f"otapgate release build FILE --change {facts.action.change}", "builder"
            ),
            release=facts.release.name,
            files=facts.seen.store_problems,
        )


@rule("one-role-administrator", code="OG905", norms=["CH06-05"], applies=always, severity="warn")
def one_role_administrator(facts: Facts) -> Iterator[Gap]:
    """F12: people and roles are changed by two role administrators.

    A start with one is possible; it is shown until a second is appointed and, where
    genesis announced two, until both have signed.
    """
    people = facts.state.directory
    if not people.founded:
        waiting = tuple(f for f in people.founders[1:])
        yield facts.gap(
            N_("The second role administrator has not confirmed the start of the ledger."),
            on=facts.landscape.origin,
            remedy=Remedy("otapgate people confirm", "role-admin", waiting),
        )
    elif people.threshold < 2:
        yield facts.gap(
            N_("One person alone administers people and roles (F12)."),
            on=facts.landscape.origin,
            remedy=facts.by_role("otapgate role grant NAME role-admin", "role-admin"),
        )


@rule("clock-behind", code="OG906", norms=["CH01-08"], applies=always, hard=True)
def clock_behind(facts: Facts) -> Iterator[Gap]:
    """The clock isn't earlier than the ledger's last entry."""
    last = facts.state.last_at
    if last and (datetime.fromisoformat(last) - facts.now).total_seconds() > CLOCK_TOLERANCE:
        yield facts.gap(
            N_("The clock says {now}; the ledger's last entry is of {last}."),
            on=facts.landscape.origin,
            remedy=Remedy("otapgate doctor"),
            now=facts.now.isoformat(timespec="seconds"),
            last=last,
        )
