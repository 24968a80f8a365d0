"""From the store to a read-only folder."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import msgspec
import pytest

from otapgate.errors import Failed, Integrity
from otapgate.release.build import build, read
from otapgate.release.manifest import Manifest, ReleaseFile
from otapgate.release.store import Store
from otapgate.release.unpack import check, remove, unpack, verify_tree

from .conftest import write


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def made(release_file: Path, tmp_path: Path, store: Store) -> Manifest:
    return build(read(release_file, tmp_path), store)


def spoil(store: Store, made: Manifest, path: str) -> None:
    digest = next(file.digest for file in made.files if file.path == path)
    store.path(digest).chmod(0o644)
    store.path(digest).write_bytes(b"spoiled")


def test_the_tree_is_the_release_and_read_only(
    made: Manifest, store: Store, tmp_path: Path
) -> None:
    target = tmp_path / "runs" / "release"
    unpack(made, store, target)
    assert (target / "artifacts/site/index.html").read_bytes() == b"<h1>Agenda</h1>"
    modes = {
        path.relative_to(target).as_posix(): stat.S_IMODE(path.stat().st_mode)
        for path in target.rglob("*")
    }
    assert {mode for path, mode in modes.items() if (target / path).is_dir()} == {0o555}
    assert modes["artifacts/site/run.sh"] == 0o555
    assert modes["artifacts/site/index.html"] == 0o444
    assert stat.S_IMODE(target.stat().st_mode) == 0o555
    assert verify_tree(made.files, target) == []
    remove(target)
    assert list((tmp_path / "runs").iterdir()) == []


def test_the_umask_does_not_matter(made: Manifest, store: Store, tmp_path: Path) -> None:
    before = os.umask(0o777 & ~0o700)
    try:
        unpack(made, store, tmp_path / "t")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "t/playbooks").stat().st_mode) == 0o555
    remove(tmp_path / "t")


def test_a_damaged_object_names_the_file_of_the_release(
    made: Manifest, store: Store, tmp_path: Path
) -> None:
    spoil(store, made, "playbooks/deploy.yml")  # the same bytes as the other two
    spoil(store, made, "artifacts/site/index.html")
    with pytest.raises(Integrity) as error:
        unpack(made, store, tmp_path / "t")
    wrong = [
        "artifacts/site/index.html",
        "playbooks/deploy.yml",
        "playbooks/rollback.yml",
        "playbooks/verify.yml",
    ]
    assert error.value.code == "release-damaged"
    assert [problem.file for problem in error.value.problems] == wrong
    assert [problem.file for problem in check(made, store)] == wrong
    assert not list(tmp_path.glob("*t*partial"))
    assert not (tmp_path / "t").exists()


def test_a_size_that_is_not_the_one_signed_is_refused(
    made: Manifest, store: Store, tmp_path: Path
) -> None:
    lied = msgspec.structs.replace(made.files[0], size=1)
    with pytest.raises(Integrity):
        unpack(msgspec.structs.replace(made, files=(lied,)), store, tmp_path / "t")


@pytest.mark.parametrize(
    "names",
    [
        ["../out"], ["/tmp/out"], ["a/../../out"], ["a\\b"], ["a\0b"], ["a/./b"], [""],
        ["a", "a"], ["a", "A"], ["a", "a/b"],
    ],
)  # fmt: skip
def test_a_hostile_list_of_files_writes_nothing(
    made: Manifest, store: Store, tmp_path: Path, names: list[str]
) -> None:
    digest = store.put(b"evil")
    hostile = msgspec.structs.replace(
        made, files=tuple(ReleaseFile(name, digest, 4) for name in names)
    )
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(Integrity) as error:
        unpack(hostile, store, tmp_path / "t")
    assert error.value.code == "release-hostile"
    assert sorted(tmp_path.rglob("*")) == before


def test_an_existing_target_is_left_alone(made: Manifest, store: Store, tmp_path: Path) -> None:
    write(tmp_path / "t/mine", "mine")
    with pytest.raises(Failed) as error:
        unpack(made, store, tmp_path / "t")
    assert error.value.code == "unpack-failed"
    assert [path.name for path in (tmp_path / "t").iterdir()] == ["mine"]


def test_a_place_that_can_not_be_written_is_told(
    made: Manifest, store: Store, tmp_path: Path
) -> None:
    write(tmp_path / "file")
    with pytest.raises(Failed):
        unpack(made, store, tmp_path / "file/t")


def test_what_was_changed_added_or_removed_after_unpacking_is_named(
    made: Manifest, store: Store, tmp_path: Path
) -> None:
    target = tmp_path / "t"
    unpack(made, store, target)
    for path in [target, *target.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else path.stat().st_mode | 0o200)
    write(target / "artifacts/site/index.html", "x")
    (target / "playbooks/verify.yml").unlink()
    write(target / "playbooks/extra.yml")
    (target / "playbooks/link").symlink_to("/")
    (target / "artifacts/site/css/a.css").chmod(0o755)
    assert verify_tree(made.files, target) == [
        "artifacts/site/css/a.css",
        "artifacts/site/index.html",
        "playbooks/extra.yml",
        "playbooks/link",
        "playbooks/verify.yml",
    ]


def test_removing_follows_no_link(tmp_path: Path) -> None:
    write(tmp_path / "keep/me")
    (tmp_path / "t").mkdir()
    (tmp_path / "t/link").symlink_to(tmp_path / "keep")
    remove(tmp_path / "t")
    assert (tmp_path / "keep/me").exists()
    assert not (tmp_path / "t").exists()
    remove(tmp_path / "t")
