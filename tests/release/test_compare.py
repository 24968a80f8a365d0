"""The difference between two releases."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from otapgate.release.compare import Difference, diff
from otapgate.release.manifest import Install, Manifest, ReleaseFile, State


def manifest(**changes: object) -> Manifest:
    base = Manifest(
        app="agenda", version="1.0", street="administration", plans=("agenda",),
        variables={"port": 8000, "debug": True}, state=State(paths=("/x",)),
        installs=(Install("/srv", "files", "artifacts/site"),),
        files=(ReleaseFile("artifacts/a", "sha256:" + "a" * 64, 1),
               ReleaseFile("artifacts/b", "sha256:" + "b" * 64, 1)),
    )  # fmt: skip
    return msgspec.structs.replace(base, **changes)


def test_a_release_does_not_differ_from_itself() -> None:
    assert diff(manifest(), manifest()).same


def test_files_that_came_went_and_changed_are_named() -> None:
    after = manifest(
        files=(
            ReleaseFile("artifacts/b", "sha256:" + "c" * 64, 1),
            ReleaseFile("artifacts/c", "sha256:" + "a" * 64, 1),
        )
    )
    assert diff(manifest(), after) == Difference(
        ("artifacts/c",), ("artifacts/a",), ("artifacts/b",)
    )
    assert diff(manifest(), after).files == ("artifacts/a", "artifacts/b", "artifacts/c")


def test_a_file_that_became_executable_is_changed() -> None:
    files = manifest().files
    after = manifest(files=(msgspec.structs.replace(files[0], executable=True), files[1]))
    assert diff(manifest(), after).changed == ("artifacts/a",)


def test_variables_that_came_went_or_changed_are_named() -> None:
    after = manifest(variables={"port": 8001, "new": None})
    assert diff(manifest(), after).variables == ("debug", "new", "port")


def test_true_is_not_one() -> None:
    after = manifest(variables={"port": 8000, "debug": 1})
    assert diff(manifest(), after).variables == ("debug",)


def test_what_is_declared_otherwise_is_named() -> None:
    after = manifest(version="1.1", state=State(), plans=())
    assert diff(manifest(), after).declared == ("version", "plans", "state")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.text(max_size=2),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner),
    max_leaves=4,
)
VARIABLES = st.dictionaries(st.sampled_from(["x", "y"]), VALUES)


@given(VARIABLES, VARIABLES)
def test_no_difference_means_the_same_digest_and_the_other_way_round(a: dict, b: dict) -> None:
    one, other = manifest(variables=a), manifest(variables=b)
    assert diff(one, other).same == (one.digest == other.digest)
