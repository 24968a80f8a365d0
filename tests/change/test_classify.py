"""Priority and who authorises follow from the policy alone."""

from __future__ import annotations

import pytest

from otapgate.change.classify import priority, required_authorisers
from otapgate.landscape.model import Level, Policy, Priority, Role

POLICY = Policy(
    matrix={
        "high": {"high": "P1", "medium": "P2", "low": "P3"},
        "medium": {"high": "P2", "medium": "P3", "low": "P4"},
        "low": {"high": "P3", "medium": "P4", "low": "P4"},
    },
    authorisation={
        "P1": {"change-manager": 1, "cab-member": 2, "board": 1},
        "P2": {"cab-member": 2},
        "P3": {"change-manager": 1, "ibp-officer": 2},
        "P4": {},
    },
)


@pytest.mark.parametrize(
    ("impact", "urgency", "expected"),
    [("high", "high", "P1"), ("high", "low", "P3"), ("low", "high", "P3"), ("low", "low", "P4"),
     ("medium", "low", "P4")],
)  # fmt: skip
def test_the_matrix_makes_the_priority(impact: Level, urgency: Level, expected: Priority) -> None:
    assert priority(POLICY, impact, urgency) == expected


@pytest.mark.parametrize(
    ("level", "sensitive", "expected"),
    [
        ("P1", False, {"change-manager": 1, "cab-member": 2, "board": 1}),
        ("P2", True, {"cab-member": 2, "ibp-officer": 1}),
        ("P3", True, {"change-manager": 1, "ibp-officer": 2}),
        ("P3", False, {"change-manager": 1, "ibp-officer": 2}),
    ],
)
def test_a_sensitive_change_needs_the_ibp_officer_too(
    level: Priority, sensitive: bool, expected: dict[Role, int]
) -> None:
    assert required_authorisers(POLICY, level, sensitive) == expected


def test_asking_changes_nothing_in_the_policy() -> None:
    required_authorisers(POLICY, "P2", True)["board"] = 9
    assert POLICY.authorisation["P2"] == {"cab-member": 2}


@pytest.mark.parametrize("sensitive", [True, False])
def test_a_priority_nobody_authorises_is_an_error_not_a_free_pass(sensitive: bool) -> None:
    with pytest.raises(KeyError):
        required_authorisers(POLICY, "P4", sensitive)
