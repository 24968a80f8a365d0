"""Which release is meant."""

from __future__ import annotations

import pytest

from otapgate.errors import BadInput
from otapgate.release.resolve import Resolved, resolve

A, B, C = ("sha256:" + "abcdef" + digit * 58 for digit in "123")
D = "sha256:" + "d" * 64
KNOWN = [("agenda@1.0", A), ("agenda@1.1", B), ("tryton@8.0.4", D), ("agenda@1.0", C)]


def test_a_name_means_its_latest_build_and_says_what_came_before() -> None:
    assert resolve("agenda@1.0", KNOWN) == Resolved("agenda@1.0", C, (A,))


def test_building_the_same_again_supersedes_nothing() -> None:
    assert resolve("tryton@8.0.4", [*KNOWN, ("tryton@8.0.4", D)]).superseded == ()


def test_going_back_to_earlier_bytes_makes_them_the_latest() -> None:
    assert resolve("agenda@1.0", [*KNOWN, ("agenda@1.0", A)]) == Resolved("agenda@1.0", A, (C,))


@pytest.mark.parametrize("argument", ["dddddd", "sha256:dddddd", "DDDDDDDD", D])
def test_a_digest_prefix_finds_its_release(argument: str) -> None:
    assert resolve(argument, KNOWN) == Resolved("tryton@8.0.4", D)


def test_an_ambiguous_prefix_lists_the_candidates() -> None:
    with pytest.raises(BadInput) as error:
        resolve("abcdef", KNOWN)
    assert error.value.code == "release-ambiguous"
    said = "\n".join(problem.message for problem in error.value.problems)
    assert all(digest in said for digest in (A, B, C))
    assert D not in said


def test_a_prefix_of_five_digits_is_too_short() -> None:
    with pytest.raises(BadInput, match="too short") as error:
        resolve("ddddd", KNOWN)
    assert "6" in (error.value.remedy or "")


@pytest.mark.parametrize(
    ("argument", "hint"),
    [
        ("agenda@2.0", "agenda@1.0"),
        ("agneda@1.1", "agenda@1.1"),
        ("tryton", "tryton@8.0.4"),
        ("eeeeee", "release list"),
        ("../../x", "release list"),
    ],
)
def test_an_unknown_release_gets_a_hint(argument: str, hint: str) -> None:
    with pytest.raises(BadInput) as error:
        resolve(argument, KNOWN)
    assert error.value.code == "release-unknown"
    assert hint in (error.value.remedy or "")


def test_an_application_whose_name_is_hexadecimal_is_suggested() -> None:
    with pytest.raises(BadInput) as error:
        resolve("cafe", [("cafe@1", D)])
    assert "cafe@1" in (error.value.remedy or "")


def test_without_any_release_the_hint_is_to_build_one() -> None:
    with pytest.raises(BadInput) as error:
        resolve("a@1", [])
    assert "release build" in (error.value.remedy or "")
