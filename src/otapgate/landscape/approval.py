"""What is approved and accepted by its digest: the policy, and each environment.

Approving the policy covers all that decides when something may be promoted.

Besides the policy itself that is the calendar, the order of environments and stages of
every street, the time zone, and Ansible's strategy: leaving out a freeze or a stage softens
the rules as much as editing them. Hosts, owners and data classes aren't in it; owners accept
those. Pure.
"""

from __future__ import annotations

from typing import Any, cast

import msgspec

from otapgate import canonical
from otapgate.landscape.model import Environment, Landscape

_SINCE = ("host_keys", "ports", "names", "relays", "databases", "sudo", "access_keys",
          "differences", "worker")  # fmt: skip
_POLICY_SINCE = {"rehearsal_faults": {}, "probe_max_age_days": 30, "representativeness": 80}
"""Fields that came later. Where they say nothing they aren't part of what is accepted or
approved, so that what was accepted before they existed still is."""


def description(environment: Environment) -> str:
    """`sha256:…` over what an environment's owner accepts: every value, defaults too.

    Not over the digest itself and the name of the file: moving or reformatting a file
    changes nothing. Nor over the owner, whom the gate compares with who accepted.
    """
    plain: dict[str, Any] = msgspec.to_builtins(environment, str_keys=True)
    for field in ("digest", "file", "owner"):
        plain.pop(field)
    for field in _SINCE:
        if not plain[field]:
            plain.pop(field)
    return canonical.digest_of(plain)


def genuine(landscape: Landscape) -> bool:
    """Whether the digests in a landscape that was kept are those of what it says."""
    return landscape.policy.digest == digest(landscape) and all(
        environment.digest == description(environment) for environment in landscape.environments()
    )


def document(landscape: Landscape) -> dict[str, Any]:
    """Everything that is approved, as JSON values. Moving, renaming or reordering files
    changes nothing in it; an absent calendar is an empty one."""
    policy: dict[str, Any] = msgspec.to_builtins(landscape.policy, str_keys=True)
    policy.pop("digest")
    policy.pop("file")
    for field, default in _POLICY_SINCE.items():
        if policy[field] == default:
            policy.pop(field)
    freezes: list[dict[str, Any]] = msgspec.to_builtins(landscape.freezes)
    found: Any = {
        "policy": policy,
        "freezes": sorted(freezes, key=canonical.encode),
        "streets": {
            street.name: [[env.name, env.stage] for env in street.environments]
            for street in landscape.streets
        },
        "timezone": landscape.timezone,
        **_later(landscape),
    }
    return cast("dict[str, Any]", canonical.decode(canonical.encode(found)))  # no tuples


def _later(landscape: Landscape) -> dict[str, Any]:
    """What came later, where it isn't as it was before it existed."""
    return {} if landscape.strategy == "linear" else {"strategy": landscape.strategy}


def content(landscape: Landscape) -> bytes:
    """The bytes that the policy's digest is of."""
    return canonical.encode(document(landscape))


def digest(landscape: Landscape) -> str:
    """`sha256:…` of all that approving the policy covers."""
    return canonical.digest(content(landscape))


def changed(approved: bytes, landscape: Landscape) -> tuple[str, ...]:
    """The files that no longer say what was approved, given the `content` of then; empty
    when that isn't what it should be. A street that is gone is named without its file."""
    now = document(landscape)
    try:
        was: Any = canonical.decode(approved)
    except canonical.NotCanonical:
        return ()
    if not isinstance(was, dict) or not isinstance(was.get("streets"), dict):
        return ()
    found = []
    if was.get("policy") != now["policy"]:
        found.append(landscape.policy.file or "policy.yml")
    if was.get("freezes") != now["freezes"]:
        found.append("calendar.yml")
    if was.get("timezone") != now["timezone"]:
        found.append("otapgate.yml (timezone)")
    if was.get("strategy") != now.get("strategy"):
        found.append("otapgate.yml (strategy)")
    files = {street.name: street.file for street in landscape.streets}
    found += [
        f"{files.get(name) or name} (stages)"
        for name in sorted(was["streets"].keys() | now["streets"].keys())
        if was["streets"].get(name) != now["streets"].get(name)
    ]
    return tuple(found)
