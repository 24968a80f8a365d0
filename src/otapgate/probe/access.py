"""Who can get into an environment's hosts, against its access rules: CH04-05, CH06-05. Pure.

What is on a host and in no rule is stray; what a rule names and isn't there is missing.
Keys of people are known by the ledger: a key that logs in must be of somebody whose role
may use that account, be named in the rules, or be the one that otapgate itself comes with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from otapgate.i18n import _
from otapgate.landscape.model import Environment, Role
from otapgate.probe.answers import Account, Host, Outcome, plain


class Holder(msgspec.Struct, frozen=True):
    """Who a key belongs to, and what they may be on this street."""

    name: str
    roles: frozenset[Role]


class Deviation(msgspec.Struct, frozen=True, order=True):
    """Something that isn't as the rules say, on one host for one account."""

    host: str
    account: str
    what: str
    """`account`, `password`, `key`, `root` or `builder-key`."""
    detail: str = ""
    who: str = ""
    """Name of the person whose key it is, where that is known: for the entry's details,
    not for what is kept as evidence."""


class Access(msgspec.Struct, frozen=True):
    """What the probe of one environment found."""

    outcome: Outcome
    stray: tuple[Deviation, ...]
    missing: tuple[Deviation, ...]
    unknown: tuple[str, ...]
    builders: int
    """Keys of builders that log in to production (F16)."""


def access(
    environment: Environment, hosts: Sequence[Host], holders: Mapping[str, Holder]
) -> Access:
    """Compare every host's accounts with the rules; `holders` are enrolled keys by
    fingerprint."""
    stray: set[Deviation] = set()
    missing: set[Deviation] = set()
    unknown = [sentence for host in hosts for sentence in host.unknown]
    for host in hosts:
        accounts = host.seen.accounts if host.seen is not None else None
        if accounts is None:
            if not host.unknown:
                unknown.append(_("{host} didn't say who can log in").format(host=host.way.host))
            continue
        for account in accounts:
            stray.update(_stray(environment, host, account, holders))
        missing.update(_missing(environment, host, accounts))
    outcome: Outcome = "proven"
    if stray or missing:
        outcome = "violated"
    elif unknown or not hosts:
        outcome = "unknown"
    builders = sum(1 for one in stray if one.what == "builder-key")
    return Access(outcome, tuple(sorted(stray)), tuple(sorted(missing)), tuple(unknown), builders)


def _stray(
    environment: Environment, host: Host, account: Account, holders: Mapping[str, Holder]
) -> list[Deviation]:
    name, at = plain(account.name), host.way.host
    found = []
    known = account.name in environment.access
    if account.login and not known:
        found.append(Deviation(at, name, "account", _with_what(account)))
    for key in account.keys:
        holder = holders.get(key)
        if holder is not None and environment.stage == "P" and "builder" in holder.roles:
            found.append(Deviation(at, name, "builder-key", plain(key), holder.name))
        elif known and not _may_enter(environment, host, account.name, key, holder):
            owner = holder.name if holder is not None else ""
            found.append(Deviation(at, name, "key", plain(key), owner))
    if account.root and account.name not in environment.sudo and account.name != "root":
        found.append(Deviation(at, name, "root", plain(account.root)))
    return found


def _with_what(account: Account) -> str:
    """How it can be logged in to."""
    ways = [plain(key) for key in account.keys[:5]]
    return ", ".join([*ways, *(["password"] if account.password else [])])


def _may_enter(
    environment: Environment, host: Host, account: str, key: str, holder: Holder | None
) -> bool:
    if key in environment.access_keys.get(account, ()):
        return True
    if key == host.key and account == host.way.user:
        return True
    return holder is not None and bool(holder.roles & set(environment.access[account]))


def _missing(environment: Environment, host: Host, accounts: Sequence[Account]) -> list[Deviation]:
    at = host.way.host
    there = {account.name: account for account in accounts}
    found = [
        Deviation(at, name, "account")
        for name in environment.access
        if name not in there or not there[name].login
    ]
    found += [
        Deviation(at, name, "root")
        for name in environment.sudo
        if name in there and not there[name].root
    ]
    return found
