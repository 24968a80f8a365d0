"""How urgent a change is, and who must therefore authorise it. Pure.

The criteria are the policy's (CH02-01, CH02-05); here they are only applied.
"""

from __future__ import annotations

from otapgate.landscape.model import Level, Policy, Priority, Role


def priority(policy: Policy, impact: Level, urgency: Level) -> Priority:
    """The priority that the policy's matrix gives; a read policy has all nine."""
    return policy.matrix[impact][urgency]


def required_authorisers(policy: Policy, priority: Priority, sensitive: bool) -> dict[Role, int]:
    """How many different people of which role must authorise (CH02-03, CH02-04).

    A `sensitive` change, one that touches security or privacy, also needs one of each of
    the policy's `sensitive_authorisation` (IBP-1). Raises KeyError for a priority that
    the policy doesn't know, so that a gap in it never means that nobody has to agree.
    """
    needed = dict(policy.authorisation[priority])
    if not needed:
        raise KeyError(priority)
    if sensitive:
        for role in policy.sensitive_authorisation:
            needed[role] = max(needed.get(role, 0), 1)
    return needed
