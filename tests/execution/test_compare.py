"""The pure comparison, and the fingerprint module that feeds it."""

from __future__ import annotations

import copy
import os
import socket
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otapgate.execution import compare
from otapgate.execution.ansible.module_utils.otapgate_state import rows
from otapgate.execution.ansible.module_utils.otapgate_state.look import fingerprint
from otapgate.execution.ansible.module_utils.otapgate_state.sqlite_database import sqlite_table
from otapgate.execution.fingerprints import MOST


def look(**spec: Any) -> dict[str, dict[str, Any]]:
    seen: dict[str, Any] = fingerprint(spec)
    return {"web": seen}


def differences(before: Any, after: Any) -> tuple[str, ...]:
    return compare.compare_state(before, after)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "app"
    (root / "etc").mkdir(parents=True)
    (root / "etc/app.conf").write_text("a = 1\n")
    (root / "etc/app.conf").chmod(0o644)
    (root / "link").symlink_to("etc/app.conf")
    return root


def test_nothing_changed_is_nothing_left(tree: Path) -> None:
    assert differences(look(paths=[str(tree)]), look(paths=[str(tree)])) == ()


def test_every_kind_of_change_to_a_path_is_named(tree: Path) -> None:
    before = look(paths=[str(tree)])
    (tree / "etc/app.conf").write_text("a = 12\n")
    (tree / "etc/app.conf").chmod(0o600)
    (tree / "link").unlink()
    (tree / "link").symlink_to("/etc/shadow")
    (tree / "new").mkdir()
    os.mkfifo(tree / "pipe")
    assert differences(before, look(paths=[str(tree)])) == (
        f"web: path {tree}/etc/app.conf: mode 0644 → 0600",
        f"web: path {tree}/etc/app.conf: content differs (6 → 7 bytes)",
        f"web: path {tree}/link: target etc/app.conf → /etc/shadow",
        f"web: path {tree}/new: folder was added",
        f"web: path {tree}/pipe: pipe was added",
    )


def test_a_link_is_never_followed_out(tree: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("x")
    (tree / "out").symlink_to(outside)
    before = look(paths=[str(tree)])
    (outside / "secret").write_text("y")
    assert differences(before, look(paths=[str(tree)])) == ()


def test_what_is_excluded_may_differ(tree: Path) -> None:
    before = look(paths=[str(tree)], exclude=["*.log", "cache"])
    (tree / "a.log").touch()
    (tree / "cache").mkdir()
    (tree / "cache/x").touch()
    assert differences(before, look(paths=[str(tree)], exclude=["*.log", "cache"])) == ()


def test_a_path_that_goes_is_named(tree: Path) -> None:
    before = look(paths=[str(tree)])
    (tree / "link").unlink()
    assert differences(before, look(paths=[str(tree)])) == (f"web: path {tree}/link: link is gone",)


def test_a_relative_path_cant_be_looked_at() -> None:
    assert compare.unreadable(look(paths=["etc"])) == ("web: etc: not an absolute path",)


def database(path: Path, *statements: str) -> str:
    base = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        base.execute(statement)
    base.close()
    return f"sqlite:///{path}"


PARTY = "CREATE TABLE party_party (id INTEGER PRIMARY KEY, name TEXT, code BLOB)"


def test_the_physical_order_of_rows_means_nothing(tmp_path: Path) -> None:
    one = database(
        tmp_path / "a.sqlite",
        "CREATE TABLE t (a, b)",
        "INSERT INTO t VALUES (1, 'x'), (2, 'y'), (2, 'y')",
    )
    other = database(
        tmp_path / "b.sqlite",
        "CREATE  TABLE t (a,\n b)",
        "INSERT INTO t VALUES (2, 'y'), (1, 'x'), (3, 'z'), (2, 'y')",
        "DELETE FROM t WHERE a = 3",
        "VACUUM",
    )
    before = look(databases=[{"url": one}])["web"]["databases"][one]
    after = look(databases=[{"url": other}])["web"]["databases"][other]
    assert before["tables"]["t"]["digest"] == after["tables"]["t"]["digest"]
    # a row that occurs twice counts twice
    third = database(
        tmp_path / "c.sqlite", "CREATE TABLE t (a, b)", "INSERT INTO t VALUES (1,'x'),(2,'y')"
    )
    seen = look(databases=[{"url": third}])["web"]["databases"][third]
    assert seen["tables"]["t"]["digest"] != before["tables"]["t"]["digest"]


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("UPDATE party_party SET name = name || '!'", "table party_party: 3 rows differ"),
        ("DELETE FROM party_party WHERE id = 1", "table party_party: 1 row differs"),
        ("UPDATE party_party SET code = '1' WHERE id = 1", "table party_party: 1 row differs"),
        ("ALTER TABLE party_party ADD COLUMN x", "column x of table party_party: was added"),
        ("CREATE TABLE other (a)", "table other: was added"),
        ("CREATE INDEX i ON party_party (name)", "index i: was added"),
        ("CREATE VIEW v AS SELECT 1", "view v: was added"),
        ("DROP TABLE party_party", "table party_party: is gone"),
    ],
)
def test_a_database_is_compared_by_what_it_says(tmp_path: Path, statement: str, named: str) -> None:
    url = database(
        tmp_path / "d.sqlite",
        PARTY,
        "INSERT INTO party_party (name, code) VALUES ('Sem', x'31'), ('Noor', NULL), ('Bo', 1)",
    )
    before = look(databases=[{"url": url}], paths=[str(tmp_path)])
    database(tmp_path / "d.sqlite", statement)
    left = differences(before, look(databases=[{"url": url}], paths=[str(tmp_path)]))
    assert any(one.startswith(f"web: {named}") for one in left)
    assert not any("path" in one for one in left)


def test_ignored_tables_may_differ(tmp_path: Path) -> None:
    url = database(tmp_path / "d.sqlite", "CREATE TABLE session (a)")
    spec = {"url": url, "ignore": ["sess*"]}
    before = look(databases=[spec])
    database(tmp_path / "d.sqlite", "INSERT INTO session VALUES (1)")
    assert differences(before, look(databases=[spec])) == ()


def test_a_database_in_use_is_read_as_one_transaction_sees_it(tmp_path: Path) -> None:
    path = tmp_path / "d.sqlite"
    url = database(path, "PRAGMA journal_mode=WAL", "CREATE TABLE t (a)")
    before = look(databases=[{"url": url}])
    writer = sqlite3.connect(path)
    writer.execute("INSERT INTO t VALUES (1)")  # not committed
    try:
        assert differences(before, look(databases=[{"url": url}])) == ()
        writer.commit()
        assert len(differences(before, look(databases=[{"url": url}]))) == 1
    finally:
        writer.close()


def test_large_tables_are_compared_too(tmp_path: Path) -> None:
    many = rows.EACH + 10
    url = database(
        tmp_path / "d.sqlite",
        "CREATE TABLE t (a)",
        f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < {many}) "
        "INSERT INTO t SELECT i FROM n",
    )
    before = look(databases=[{"url": url}])
    database(tmp_path / "d.sqlite", f"UPDATE t SET a = 0 WHERE a = {many}")
    left = differences(before, look(databases=[{"url": url}]))
    assert left in (
        ("web: table t: at least 1 row differs",),
        ("web: table t: at least 2 rows differ",),
    )


def test_a_file_that_is_no_database_is_never_called_restored(tmp_path: Path) -> None:
    (tmp_path / "d.sqlite").write_text("this is no database, whatever its name says" * 50)
    seen = look(databases=[{"url": f"sqlite:///{tmp_path}/d.sqlite"}])
    assert compare.unreadable(seen)
    assert differences(seen, copy.deepcopy(seen))


def test_an_absent_database_may_stay_absent(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/none.sqlite"
    before = look(databases=[{"url": url}])
    assert compare.unreadable(before) == ()
    database(tmp_path / "none.sqlite", "CREATE TABLE t (a)")
    left = differences(before, look(databases=[{"url": url}]))
    assert left == (f"web: database {url}: was added",)


def test_ports_and_silence_are_seen() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        before = look(ports=[str(port)])
    after = look(ports=[str(port)], http=[{"url": f"http://127.0.0.1:{port}/"}])
    assert f"web: port {port}: open → closed" in differences(before, after)
    assert after["web"]["http"][f"GET http://127.0.0.1:{port}/"]["status"] == 0


def test_a_host_that_wasnt_looked_at_is_never_called_restored(tree: Path) -> None:
    seen = look(paths=[str(tree)])
    assert differences(seen, {}) == ("web: not looked at after",)
    assert differences({}, {}) == ("no host was looked at before",)
    assert differences(seen, {"web": {"error": "no answer"}}) == ("web: no answer",)


def test_no_more_differences_than_a_ledger_can_bear(tmp_path: Path) -> None:
    before = look(paths=[str(tmp_path)])
    for number in range(MOST + 50):
        (tmp_path / f"f{number}").touch()
    left = differences(before, look(paths=[str(tmp_path)]))
    assert len(left) == MOST + 1
    assert left[-1] == "and 50 more"


ROWS = st.lists(st.tuples(st.integers(-5, 5), st.sampled_from(["a", "b", b"a", None, 1.5])))


@given(rows=ROWS, seed=st.randoms())
def test_a_tables_digest_is_that_of_its_rows_as_a_multiset(rows: list[Any], seed: Any) -> None:
    def seen(content: list[Any]) -> dict[str, Any]:
        base = sqlite3.connect(":memory:")
        base.execute("CREATE TABLE t (a, b)")
        base.executemany("INSERT INTO t VALUES (?, ?)", content)
        said: dict[str, Any] = sqlite_table(base, "t", "x")
        base.close()
        return said

    shuffled = list(rows)
    seed.shuffle(shuffled)
    assert seen(rows) == seen(shuffled)
    assert seen(rows)["digest"] != seen([*rows, (1, "a")])["digest"]
