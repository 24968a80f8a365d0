"""The content store: whole, verified, and hard to fool."""

from __future__ import annotations

import hashlib
import os
import resource
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otapgate.errors import BadInput, Failed, Integrity
from otapgate.release.store import STALE_SECONDS, Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def spoil(store: Store, digest: str, data: bytes = b"other") -> None:
    path = store.path(digest)
    path.chmod(0o644)
    path.write_bytes(data)


def test_what_was_put_comes_back_under_its_sha256(store: Store) -> None:
    digest = store.put(b"hello")
    assert digest == "sha256:" + hashlib.sha256(b"hello").hexdigest()
    assert store.get(digest) == b"hello"
    assert store.has(digest)


def test_a_file_larger_than_a_chunk_is_copied_whole(store: Store, tmp_path: Path) -> None:
    data = os.urandom(3 * (1 << 20) + 17)
    (tmp_path / "big").write_bytes(data)
    digest, size = store.put_file(tmp_path / "big")
    assert size == len(data)
    assert store.get(digest) == data
    with store.open(digest) as file:
        assert file.read(10) == data[:10]


def test_objects_are_read_only_and_stored_once(store: Store) -> None:
    digest = store.put(b"x")
    before = store.path(digest).stat()
    assert stat.S_IMODE(before.st_mode) == 0o444
    store.put(b"x")
    assert store.path(digest).stat().st_ino == before.st_ino
    assert list((store.root / "tmp").iterdir()) == []


def test_one_changed_byte_is_found_at_every_way_of_reading(store: Store, tmp_path: Path) -> None:
    digest = store.put(b"hello")
    spoil(store, digest, b"hellO")
    with pytest.raises(Integrity) as error:
        store.get(digest)
    assert error.value.code == "store-damaged"
    assert digest in error.value.message
    with pytest.raises(Integrity):
        store.open(digest)
    with (tmp_path / "out").open("wb") as out, pytest.raises(Integrity):
        store.copy_to(digest, out.fileno())
    assert [digest in problem.message for problem in store.verify_all([digest])] == [True]


def test_putting_the_right_bytes_again_mends_a_damaged_object(store: Store) -> None:
    digest = store.put(b"hello")
    spoil(store, digest)
    assert store.put(b"hello") == digest
    assert store.get(digest) == b"hello"


def test_verify_all_names_every_bad_object_and_no_good_one(store: Store) -> None:
    good, bad, gone = store.put(b"1"), store.put(b"2"), store.put(b"3")
    spoil(store, bad)
    assert store.delete(gone)
    said = [problem.message for problem in store.verify_all([good, bad, gone])]
    assert len(said) == 2
    assert bad in said[0]
    assert gone in said[1]


def test_a_deleted_object_is_missing_and_deleting_twice_is_no_error(store: Store) -> None:
    digest = store.put(b"evidence")
    assert store.delete(digest)
    assert not store.delete(digest)
    assert not store.has(digest)
    with pytest.raises(Integrity) as error:
        store.get(digest)
    assert error.value.code == "store-missing"


@pytest.mark.parametrize("digest", ["", "sha256:", "sha256:../../etc/passwd", "md5:" + "0" * 64])
def test_what_is_no_digest_is_refused(store: Store, digest: str) -> None:
    store.put(b"x")
    with pytest.raises(Integrity) as error:
        store.get(digest)
    assert error.value.code == "digest-malformed"


def test_a_link_in_place_of_an_object_is_not_followed(store: Store, tmp_path: Path) -> None:
    digest = store.put(b"hello")
    (tmp_path / "same").write_bytes(b"hello")
    store.path(digest).unlink()
    store.path(digest).symlink_to(tmp_path / "same")
    with pytest.raises(Integrity):
        store.get(digest)


def test_a_named_pipe_or_folder_in_place_of_an_object_does_not_hang(store: Store) -> None:
    pipe, folder = store.put(b"1"), store.put(b"2")
    store.path(pipe).unlink()
    os.mkfifo(store.path(pipe))
    store.path(folder).unlink()
    store.path(folder).mkdir()
    for digest in (pipe, folder):
        with pytest.raises(Integrity):
            store.get(digest)


def test_nothing_is_written_through_a_linked_folder(store: Store, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    store.root.mkdir()
    (store.root / "sha256").symlink_to(elsewhere)
    with pytest.raises(Failed) as error:
        store.put(b"hello")
    assert error.value.code == "store-unwritable"
    assert list(elsewhere.rglob("*")) == []


def test_a_source_that_is_a_link_or_no_file_is_refused(store: Store, tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"x")
    (tmp_path / "link").symlink_to("real")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe", "absent", "."):
        with pytest.raises(BadInput) as error:
            store.put_file(tmp_path / name)
        assert error.value.code == "file-unreadable"


FULL = """
import resource, sys
from pathlib import Path
from otapgate.errors import Failed
from otapgate.release.store import Store
store = Store(Path(sys.argv[1]))
kept = store.put(b"small")
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    store.put(b"x" * 100_000)
except Failed as error:
    assert error.code == "store-full", error.code
    assert error.remedy
    assert store.get(kept) == b"small"
    print("refused")
"""


def test_a_full_disk_leaves_no_partial_object(tmp_path: Path) -> None:
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] != 0
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path / "store")],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "refused\n", done.stderr
    files = [path for path in (tmp_path / "store").rglob("*") if path.is_file()]
    assert [path.read_bytes() for path in files] == [b"small"]


def test_many_writers_of_the_same_objects_agree(store: Store) -> None:
    data = [bytes([n]) * 50_000 for n in range(8)]
    digests: list[list[str]] = []

    def write() -> None:
        digests.append([store.put(item) for item in data])

    threads = [threading.Thread(target=write) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(digests) == 6
    assert all(found == digests[0] for found in digests)
    assert [store.get(digest) for digest in digests[0]] == data


def test_what_a_killed_writer_left_is_swept_and_a_living_one_is_not(store: Store) -> None:
    store.put(b"x")
    old, new = store.root / "tmp" / "old", store.root / "tmp" / "new"
    for path in (old, new):
        path.write_bytes(b"half")
    then = time.time() - STALE_SECONDS - 60
    os.utime(old, (then, then))
    store.put(b"y")
    assert not old.exists()
    assert new.exists()


@given(data=st.binary(max_size=300))
def test_every_content_comes_back(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    store = Store(tmp_path_factory.getbasetemp() / "any")
    assert store.get(store.put(data)) == data
