"""The ledger on disk: appends, reading, erasing, and what it refuses."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from otapgate import errors
from otapgate.ledger import merkle, peek, sqlite, statement
from otapgate.ledger.sshsig import BadSignature
from otapgate.ledger.statement import Draft, Entry, Head, MalformedStatement, Sealed, Subject
from otapgate.ledger.storage import PAGE, Ledger

from .conftest import AT, ORIGIN, MemorySigner, write

URL = "sqlite:///{}"


def roots_by_hand(ledger: Ledger) -> str:
    leaves = [statement.leaf_hash(one.statement, one.signature) for one in ledger.entries()]
    return merkle.root(leaves).hex()


def raw(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None)


# Creating and opening


def test_a_new_ledger_is_empty_private_and_in_wal_mode(ledger: Ledger, path: Path) -> None:
    assert ledger.head() == Head(ORIGIN, 0, merkle.EMPTY_ROOT.hex())
    assert list(ledger.entries()) == []
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert raw(path).execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert [one.name for one in path.parent.iterdir() if "." in one.name[:1]] == []


def test_the_log_files_beside_it_are_private_too(
    ledger: Ledger, path: Path, signer: MemorySigner
) -> None:
    write(ledger, signer)
    for one in path.parent.iterdir():
        assert stat.S_IMODE(one.stat().st_mode) == 0o600, one


def test_every_connection_syncs_fully(ledger: Ledger) -> None:
    with ledger._engine.connect() as connection:  # the promise of durability hangs on this
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
        assert connection.exec_driver_sql("PRAGMA secure_delete").scalar() == 1


def test_a_ledger_is_never_made_over_something_else(ledger: Ledger, path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(errors.Integrity) as caught:
        Ledger.create(URL.format(path), "other.example")
    assert caught.value.code == "ledger-exists"
    assert path.read_bytes() == before
    assert [one.name for one in path.parent.iterdir() if one.name.startswith(".")] == []


def test_a_ledger_is_not_made_in_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(errors.Integrity) as caught:
        Ledger.create(URL.format(tmp_path / "no" / "ledger.db"), ORIGIN)
    assert caught.value.code == "ledger-unwritable"


@pytest.mark.parametrize("origin", ["", "two words", "a+b", "x" * 256])
def test_an_origin_that_can_not_name_a_log_is_refused(tmp_path: Path, origin: str) -> None:
    with pytest.raises(errors.BadInput) as caught:
        Ledger.create(URL.format(tmp_path / "ledger.db"), origin)
    assert caught.value.code == "ledger-origin"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "url", ["", "ledger.db", "sqlite://", "sqlite:///:memory:", "postgresql://localhost/x", "::"]
)
def test_only_a_file_of_sqlite_can_be_a_ledger(url: str) -> None:
    for way in (Ledger.open, lambda url: Ledger.create(url, ORIGIN)):
        with pytest.raises(errors.BadInput) as caught:
            way(url)
        assert caught.value.code == "ledger-url"


def test_a_path_with_odd_characters_is_taken_as_it_is(tmp_path: Path, signer: MemorySigner) -> None:
    path = tmp_path / "log % 100#boek.db"
    with Ledger.create(URL.format(path), ORIGIN) as ledger:
        write(ledger, signer)
    assert path.exists()
    assert peek.peek(path).size == 1


def _absent(path: Path) -> None:
    path.unlink()


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _going_round(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


def _emptied(path: Path) -> None:
    path.write_bytes(b"")


def _garbage(path: Path) -> None:
    path.write_bytes(os.urandom(8192))


def _half_garbage(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\0" + os.urandom(8192))


def _torn(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:100] + bytes(len(data) - 100))


def _foreign(path: Path) -> None:
    path.unlink()
    raw(path).execute("CREATE TABLE pupil (name TEXT)")


def _newer(path: Path) -> None:
    raw(path).execute("UPDATE meta SET value = '2' WHERE key = 'format'")


def _unversioned(path: Path) -> None:
    raw(path).execute("DELETE FROM meta WHERE key = 'format'")


def _nameless(path: Path) -> None:
    raw(path).execute("DELETE FROM meta WHERE key = 'origin'")


def _without_tables(path: Path) -> None:
    raw(path).execute("DROP TABLE meta")


@pytest.mark.parametrize(
    ("replace", "code"),
    [
        (_absent, "ledger-missing"),
        (_folder, "ledger-unreadable"),
        (_emptied, "ledger-not-a-database"),
        (_garbage, "ledger-not-a-database"),
        (_pipe, "ledger-unreadable"),
        (_going_round, "ledger-unreadable"),
        (_half_garbage, "ledger-not-a-database"),
        (_torn, "ledger-damaged"),
        (_foreign, "ledger-foreign"),
        (_newer, "ledger-newer"),
        (_unversioned, "ledger-damaged"),
        (_nameless, "ledger-damaged"),
        (_without_tables, "ledger-damaged"),
    ],
)
def test_a_file_that_is_no_ledger_says_what_it_is(
    path: Path, replace: Callable[[Path], None], code: str
) -> None:
    Ledger.create(URL.format(path), ORIGIN).close()
    replace(path)
    ways: list[Callable[[], Any]] = [
        lambda: Ledger.open(URL.format(path)),
        lambda: peek.peek(path),
        lambda: peek.since(path, 0),
    ]
    for way in ways:
        with pytest.raises(errors.Integrity) as caught:
            way()
        assert caught.value.code == code
        assert caught.value.where == str(path)
        assert str(path) in caught.value.message


def test_a_file_that_is_withheld_says_so(
    ledger: Ledger, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_asked: False)  # root may read everything
    with pytest.raises(errors.Integrity, match="Permission denied") as caught:
        sqlite.check_file(path)
    assert caught.value.code == "ledger-unreadable"


# Appending and reading


def test_what_was_appended_is_read_back_to_the_byte(ledger: Ledger, signer: MemorySigner) -> None:
    position, sealed, signature = write(ledger, signer, notes="Fine", name={"a": [1, None]})
    assert position == 0
    found = ledger.entry(0)
    assert (found.position, found.statement, found.signature) == (0, sealed.statement, signature)
    assert found.leaf == statement.leaf_hash(sealed.statement, signature)
    assert list(ledger.entries()) == [found]
    assert ledger.details(0) == {"notes": "Fine", "name": {"a": [1, None]}}


def test_root_and_reading_agree_with_a_tree_made_by_hand(
    ledger: Ledger, path: Path, signer: MemorySigner
) -> None:
    heads = [ledger.head()]
    for n in range(33):
        assert write(ledger, signer)[0] == n
        heads.append(ledger.head())
        assert heads[-1].size == n + 1
        assert heads[-1].root == roots_by_hand(ledger)
    for head in heads:
        assert ledger.head(head.size) == head
        assert peek.peek(path, head.size) == head
    assert peek.peek(path) == heads[-1]


def test_a_ledger_that_was_closed_opens_as_it_was(
    ledger: Ledger, path: Path, signer: MemorySigner
) -> None:
    write(ledger, signer, notes="x")
    head, entries, details = ledger.head(), list(ledger.entries()), ledger.all_details()
    ledger.close()
    with Ledger.open(URL.format(path)) as again:
        assert again.origin == ORIGIN
        assert (again.head(), list(again.entries()), again.all_details()) == (
            head,
            entries,
            details,
        )


def test_entries_come_in_any_part_and_over_pages(
    ledger: Ledger, path: Path, signer: MemorySigner
) -> None:
    for _n in range(7):
        write(ledger, signer)
    raw_rows = [(one.position, one.statement, one.signature) for one in ledger.entries()]
    for start, stop in ((0, None), (3, None), (2, 5), (5, 5), (6, 100), (7, None), (9, 12)):
        part = [one.position for one in ledger.entries(start, stop)]
        assert part == list(range(7))[start:stop]
        assert peek.since(path, start, stop) == raw_rows[start:stop]
    assert PAGE > 7


def test_reading_goes_on_over_the_end_of_a_page(
    ledger: Ledger, signer: MemorySigner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("otapgate.ledger.storage.PAGE", 2)
    for _n in range(5):
        write(ledger, signer)
    assert [one.position for one in ledger.entries()] == [0, 1, 2, 3, 4]


def test_sizes_and_positions_that_are_not_there_are_refused(
    ledger: Ledger, path: Path, signer: MemorySigner
) -> None:
    write(ledger, signer)
    for size in (2, -1):
        for way in (ledger.head, lambda size: peek.peek(path, size)):
            with pytest.raises(errors.Integrity) as caught:
                way(size)
            assert caught.value.code == "ledger-too-short"
    with pytest.raises(errors.BadInput) as unknown:
        ledger.entry(1)
    assert unknown.value.code == "entry-unknown"
    assert ledger.details(1) == {}


def test_an_act_signed_on_an_older_head_sees_what_arrived(
    ledger: Ledger, signer: MemorySigner
) -> None:
    write(ledger, signer)
    head = ledger.head()
    write(ledger, signer)
    write(ledger, signer)
    seen: list[Sequence[Entry]] = []
    sealed, signature = signed(signer, head)
    assert ledger.append(sealed, signature, seen.append) == 3
    assert seen == [list(ledger.entries(1, 3))]
    sealed, signature = signed(signer, ledger.head())
    ledger.append(sealed, signature, seen.append)
    assert seen[1] == []


def test_what_the_caller_raises_refuses_the_entry(ledger: Ledger, signer: MemorySigner) -> None:
    write(ledger, signer)
    head = ledger.head()

    def refuse(_arrived: Sequence[Entry]) -> None:
        raise errors.BadInput("no", "No.")

    with pytest.raises(errors.BadInput, match="No"):
        ledger.append(*signed(signer, head, notes="x"), refuse)
    assert ledger.head() == head
    assert ledger.all_details() == {}
    assert write(ledger, signer)[0] == 1


@pytest.mark.parametrize(
    "change",
    [
        {"origin": "other.example"},
        {"size": 3},
        {"size": 2**53 - 1},
        {"size": 1},
        {"size": 0},
        {"root": "0" * 64},
    ],
)
def test_an_act_signed_on_a_head_that_never_was_is_refused(
    ledger: Ledger, signer: MemorySigner, change: dict[str, Any]
) -> None:
    for _n in range(2):
        write(ledger, signer)
    now = ledger.head()
    false = Head(**{"origin": now.origin, "size": now.size, "root": now.root, **change})
    with pytest.raises(errors.Integrity) as caught:
        write(ledger, signer, head=false)
    assert caught.value.code == "ledger-diverged"
    assert ledger.head() == now


def test_a_signature_that_does_not_verify_never_enters(
    ledger: Ledger, signer: MemorySigner
) -> None:
    sealed, signature = signed(signer, ledger.head())
    other, _signature = signed(signer, ledger.head(), act="signoff")
    elsewhere = signer.sign(sealed.statement, "signoff@otapgate")
    for attempt in ((other, signature), (sealed, elsewhere), (sealed, "")):
        with pytest.raises(BadSignature):
            ledger.append(*attempt)
    with pytest.raises(MalformedStatement):
        ledger.append(Sealed(b"{}"), signature)
    assert ledger.head().size == 0


def test_details_must_be_those_that_were_committed_to(ledger: Ledger, signer: MemorySigner) -> None:
    sealed, signature = signed(signer, ledger.head(), notes="x")
    (detail,) = sealed.details
    without = Sealed(sealed.statement, ())
    other = Sealed(
        sealed.statement,
        (statement.SealedDetail(detail.field, detail.commitment, detail.salt, b'"y"'),),
    )
    for attempt in (without, other):
        with pytest.raises(MalformedStatement, match="details"):
            ledger.append(attempt, signature)
    assert ledger.append(sealed, signature) == 0


def test_a_detail_that_could_not_be_read_is_refused(ledger: Ledger, signer: MemorySigner) -> None:
    sealed, _signature = signed(signer, ledger.head(), notes="x")
    salt, value = sealed.details[0].salt, b"[1, 2]"
    digest = statement.commitment(salt, value)
    data = sealed.statement.replace(sealed.details[0].commitment.encode(), digest.encode())
    odd = Sealed(data, (statement.SealedDetail("notes", digest, salt, value),))
    with pytest.raises(MalformedStatement, match="notes"):
        ledger.append(odd, signer.sign(data, "acceptance@otapgate"))
    assert ledger.head().size == 0


def signed(
    signer: MemorySigner, head: Head, act: str = "acceptance", **details: Any
) -> tuple[Sealed, str]:
    draft = Draft(act, (Subject("agenda@1.0.0", "sha256:" + "0" * 64),), {}, details)
    sealed = statement.seal(draft, head, AT)
    return sealed, signer.sign(sealed.statement, statement.namespace(act))


def test_writers_at_the_same_time_get_a_place_each(path: Path, signer: MemorySigner) -> None:
    Ledger.create(URL.format(path), ORIGIN).close()
    positions: list[int] = []

    def work() -> None:
        with Ledger.open(URL.format(path)) as mine:
            empty = mine.head(0)
            positions.extend(write(mine, signer, head=empty)[0] for _n in range(10))

    threads = [threading.Thread(target=work) for _n in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted(positions) == list(range(40))
    with Ledger.open(URL.format(path)) as ledger:
        assert ledger.head().root == roots_by_hand(ledger)


# Details


def test_a_detail_is_erased_to_the_last_byte_and_the_log_stays(
    ledger: Ledger, path: Path, signer: MemorySigner
) -> None:
    _position, sealed, _signature = write(ledger, signer, name="Sanne de Vries", notes="kept")
    head = ledger.head()
    name = next(one for one in sealed.details if one.field == "name")
    ledger.erase_detail(name.commitment)
    assert ledger.details(0) == {"notes": "kept"} == peek.details_at(path, 0)
    assert ledger.head() == head
    assert ledger.entry(0).statement == sealed.statement
    on_disk = b"".join(one.read_bytes() for one in path.parent.iterdir())
    assert b"Sanne" not in on_disk
    assert name.salt not in on_disk
    assert b"kept" in on_disk
    row = raw(path).execute("SELECT position, field, salt, value FROM detail WHERE field = 'name'")
    assert row.fetchall() == [(0, "name", None, None)]
    ledger.erase_detail(name.commitment)


def test_erasing_what_is_not_there_says_so(ledger: Ledger) -> None:
    with pytest.raises(errors.BadInput) as caught:
        ledger.erase_detail("sha256:" + "0" * 64)
    assert caught.value.code == "detail-unknown"


def test_erasing_says_when_a_reader_keeps_the_old_bytes(path: Path, signer: MemorySigner) -> None:
    Ledger.create(URL.format(path), ORIGIN).close()
    with Ledger.open(URL.format(path), wait=0.05) as ledger:
        _position, sealed, _signature = write(ledger, signer, name="Sanne de Vries")
        reader = raw(path)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM entry").fetchall()
        with pytest.raises(errors.Busy) as caught:
            ledger.erase_detail(sealed.details[0].commitment)
        assert caught.value.code == "ledger-busy"
        reader.execute("COMMIT")
        ledger.erase_detail(sealed.details[0].commitment)
        assert b"Sanne" not in b"".join(one.read_bytes() for one in path.parent.iterdir())


def test_details_by_prefix_come_with_their_entry(
    ledger: Ledger, path: Path, signer: MemorySigner
) -> None:
    write(ledger, signer, **{"name-p1": "Sanne", "notes": "x"})
    write(ledger, signer, **{"name-p2": "Ömer"})
    write(ledger, signer, **{"name-p1": "Sanne de Vries"})
    assert peek.details(path, "name-") == {
        0: {"name-p1": "Sanne"},
        1: {"name-p2": "Ömer"},
        2: {"name-p1": "Sanne de Vries"},
    }
    assert peek.details(path, "name_") == {}
    assert ledger.all_details() == {
        0: {"name-p1": "Sanne", "notes": "x"},
        1: {"name-p2": "Ömer"},
        2: {"name-p1": "Sanne de Vries"},
    }


def tampered(path: Path, *changes: str) -> None:
    """What somebody does who can write the file, and leaves the triggers as they were."""
    connection = raw(path)
    names = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
    triggers = connection.execute(names).fetchall()
    for name, _sql in triggers:
        connection.execute(f"DROP TRIGGER {name}")
    connection.execute("PRAGMA ignore_check_constraints = ON")
    for change in changes:
        connection.execute(change)
    for _name, sql in triggers:
        connection.execute(sql)
    connection.close()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE detail SET value = '\"Ömer\"'",
        "UPDATE detail SET value = CAST('\"Ömer\"' AS BLOB)",
        "UPDATE detail SET value = CAST('broken' AS BLOB)",
        "UPDATE detail SET salt = zeroblob(32)",
        "UPDATE detail SET salt = NULL",
        "UPDATE detail SET value = NULL",
        "UPDATE detail SET field = 'notes'",
        "UPDATE detail SET position = 1",
        "UPDATE detail SET commitment = 'sha256:00'",
    ],
)
def test_a_detail_that_was_tampered_with_is_never_shown(
    ledger: Ledger, path: Path, signer: MemorySigner, change: str
) -> None:
    write(ledger, signer, name="Sanne")
    write(ledger, signer)
    tampered(path, change)
    ways: list[Callable[[], Any]] = [
        ledger.all_details,
        lambda: [ledger.details(n) for n in (0, 1)],
        lambda: [peek.details_at(path, n) for n in (0, 1)],
        lambda: peek.details(path, ""),
    ]
    for way in ways:
        with pytest.raises(errors.Integrity) as caught:
            way()
        assert caught.value.code in {"detail-altered", "ledger-damaged"}


# Append-only, in the database too


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE entry SET statement = x'00'",
        "UPDATE entry SET position = 9 WHERE position = 0",
        "DELETE FROM entry",
        "INSERT OR REPLACE INTO entry SELECT 0, x'00', '', leaf FROM entry WHERE position = 1",
        "INSERT INTO entry SELECT 7, statement, signature, leaf FROM entry WHERE position = 1",
        "INSERT INTO entry SELECT -1, statement, signature, leaf FROM entry WHERE position = 1",
        "UPDATE node SET hash = zeroblob(32)",
        "DELETE FROM node",
        "INSERT OR REPLACE INTO node SELECT level, idx, zeroblob(32) FROM node",
        "DELETE FROM detail",
        "UPDATE detail SET value = x'00'",
        "UPDATE detail SET salt = NULL, value = NULL, field = 'other'",
        "INSERT OR REPLACE INTO detail SELECT commitment, 0, 'x', salt, value FROM detail",
    ],
)
def test_the_database_itself_refuses_changes(
    ledger: Ledger, path: Path, signer: MemorySigner, change: str
) -> None:
    for n in range(3):
        write(ledger, signer, notes=str(n))
    before = list(ledger.entries()), ledger.head(), ledger.all_details()
    with pytest.raises(sqlite3.IntegrityError):
        raw(path).execute(change)
    assert before == (list(ledger.entries()), ledger.head(), ledger.all_details())


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM node WHERE level = 1",
        "UPDATE entry SET leaf = 'text' WHERE position = 2",
        "UPDATE node SET hash = 'text'",
    ],
)
def test_a_tree_that_was_tampered_with_is_not_built_upon(
    ledger: Ledger, path: Path, signer: MemorySigner, change: str
) -> None:
    for _n in range(3):
        write(ledger, signer)
    sealed, signature = signed(signer, ledger.head())
    tampered(path, change)
    for way in (
        ledger.head,
        lambda: peek.peek(path),
        lambda: ledger.append(sealed, signature),
    ):
        with pytest.raises(errors.Integrity) as caught:
            way()
        assert caught.value.code == "ledger-damaged"
    assert raw(path).execute("SELECT count(*) FROM entry").fetchone() == (3,)


def test_an_entry_cut_off_by_hand_is_not_built_upon(
    ledger: Ledger, path: Path, signer: MemorySigner
) -> None:
    for _n in range(2):
        write(ledger, signer)
    sealed, signature = signed(signer, ledger.head(1))
    tampered(path, "DELETE FROM entry WHERE position = 1")
    with pytest.raises(errors.Integrity) as caught:
        ledger.append(sealed, signature)
    assert caught.value.code == "ledger-damaged"


@pytest.mark.parametrize("position", [-5, 1 << 53, 9223372036854775807])
def test_an_entry_where_none_can_be_stops_readers(
    ledger: Ledger, path: Path, signer: MemorySigner, position: int
) -> None:
    write(ledger, signer)
    tampered(path, f"UPDATE entry SET position = {position}")
    for way in (ledger.head, lambda: peek.peek(path), lambda: list(ledger.entries())):
        with pytest.raises(errors.Integrity, match=f"entry at position {position}"):
            way()


def test_an_entry_taken_out_of_the_middle_is_noticed(
    ledger: Ledger, path: Path, signer: MemorySigner
) -> None:
    for _n in range(4):
        write(ledger, signer)
    tampered(path, "DELETE FROM entry WHERE position = 1")
    for start in (0, 1):
        with pytest.raises(errors.Integrity, match="entry 1 is missing"):
            peek.since(path, start)
    assert [one.position for one in ledger.entries()] == [0, 2, 3]


def test_values_of_the_wrong_type_are_noticed(
    ledger: Ledger, path: Path, signer: MemorySigner
) -> None:
    write(ledger, signer)
    tampered(path, "UPDATE entry SET signature = CAST(signature AS BLOB)")
    for way in (lambda: list(ledger.entries()), lambda: peek.since(path, 0)):
        with pytest.raises(errors.Integrity) as caught:
            way()
        assert caught.value.code == "ledger-damaged"


# When it can't be written


def test_a_full_database_refuses_and_keeps_what_was(
    ledger: Ledger, path: Path, signer: MemorySigner
) -> None:
    write(ledger, signer)
    head = ledger.head()
    with ledger._engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(errors.Integrity) as caught:
        write(ledger, signer, notes="x" * 100_000)
    assert caught.value.code == "ledger-unwritable"
    assert "full" in caught.value.message
    assert caught.value.remedy
    assert ledger.head() == head
    assert ledger.all_details() == {}


def test_a_lock_of_another_program_refuses_after_the_wait(path: Path, signer: MemorySigner) -> None:
    Ledger.create(URL.format(path), ORIGIN).close()
    with Ledger.open(URL.format(path), wait=0.1) as ledger:
        other = raw(path)
        other.execute("BEGIN IMMEDIATE")
        assert ledger.head().size == 0
        with pytest.raises(errors.Integrity) as caught:
            write(ledger, signer)
        assert caught.value.code == "ledger-unwritable"
        assert "locked" in caught.value.message
        other.execute("ROLLBACK")
        assert write(ledger, signer)[0] == 0


CHILD = """
import os, resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
sys.path.insert(0, str(Path(sys.argv[1]).parents[1]))
from conftest import MemorySigner, write
from otapgate import errors
from otapgate.ledger import peek
from otapgate.ledger.storage import Ledger

path, how = Path(sys.argv[2]), sys.argv[3]
signer = MemorySigner()
if how == "limited":
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
if how == "read-only" and os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
with Ledger.open(f"sqlite:///{path}") as ledger:
    try:
        for n in range(1000):
            print(write(ledger, signer, notes="x" * 2000)[0], flush=True)
    except errors.Integrity as error:
        print(error.code, error.message, flush=True)
        assert ledger.head() == peek.peek(path)
        print("size", ledger.head().size, flush=True)
"""


def in_child(path: Path, how: str) -> list[str]:
    command = [sys.executable, "-c", CHILD, str(Path(__file__).parent), str(path), how]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_disk_that_takes_no_more_refuses_and_the_log_is_whole(path: Path) -> None:
    Ledger.create(URL.format(path), ORIGIN).close()
    *positions, refusal, size = in_child(path, "limited")
    assert refusal.startswith("ledger-unwritable")
    assert positions == [str(n) for n in range(len(positions))]
    assert positions, "some appends fit below the limit"
    assert size == f"size {len(positions)}"
    with Ledger.open(URL.format(path)) as ledger:
        assert ledger.head().size == len(positions)
        assert ledger.head().root == roots_by_hand(ledger)
        assert len(ledger.all_details()) == len(positions)


def test_a_ledger_that_is_read_only_refuses_and_still_reads(signer: MemorySigner) -> None:
    # Not below pytest's folder: who runs this may be root, whom modes don't stop, so the
    # child becomes nobody, who must be able to come here.
    folder = Path(tempfile.mkdtemp())
    path = folder / "ledger.db"
    try:
        with Ledger.create(URL.format(path), ORIGIN) as ledger:
            write(ledger, signer)
        path.chmod(0o444)
        folder.chmod(0o555)
        refusal, size = in_child(path, "read-only")
    finally:
        folder.chmod(0o700)
        shutil.rmtree(folder)
    assert refusal.startswith("ledger-unwritable")
    assert size == "size 1"


def test_a_disk_without_space_refuses_and_the_log_is_whole(tmp_path: Path) -> None:
    """A file system of a megabyte, in a mount namespace of its own; no root needed where
    the kernel lets users have namespaces."""
    mounted = tmp_path / "small"
    mounted.mkdir()
    script = 'mount -t tmpfs -o size=1M tmpfs "$1" || exit 77; cd "$1" && shift && exec "$@"'
    inner = (
        "import sys; from pathlib import Path; from otapgate.ledger.storage import Ledger;"
        "Ledger.create(f'sqlite:///{sys.argv[2]}', 'school.example').close();" + CHILD
    )
    command = ["unshare", "-rm", "sh", "-c", script, "sh", str(mounted)]
    command += [sys.executable, "-c", inner, str(Path(__file__).parent)]
    command += [str(mounted / "ledger.db"), "full"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 77 or done.stderr.startswith("unshare:"):
        pytest.skip("no mount namespaces here")
    assert done.returncode == 0, done.stderr
    *positions, refusal, size = done.stdout.splitlines()
    assert refusal.startswith("ledger-unwritable")
    assert "full" in refusal
    assert positions == [str(n) for n in range(len(positions))]
    assert size == f"size {len(positions)}"


def test_faults_are_told_apart(path: Path) -> None:
    def fault(code: int) -> sqlite3.Error:
        error = sqlite3.OperationalError("what sqlite says")
        error.sqlite_errorcode = code
        return error

    unwritable = {"SQLITE_FULL", "SQLITE_IOERR", "SQLITE_READONLY", "SQLITE_CANTOPEN"}
    for name in unwritable | {"SQLITE_BUSY", "SQLITE_IOERR_FSYNC", "SQLITE_READONLY_DBMOVED"}:
        assert sqlite.explain(fault(getattr(sqlite3, name)), path).code == "ledger-unwritable"
    assert sqlite.explain(fault(sqlite3.SQLITE_NOTADB), path).code == "ledger-not-a-database"
    for name in ("SQLITE_CORRUPT", "SQLITE_ERROR"):
        assert sqlite.explain(fault(getattr(sqlite3, name)), path).code == "ledger-damaged"
