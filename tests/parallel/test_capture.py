"""Capturing: nothing is changed, nothing endless is waited for, nothing is passed over."""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from otapgate.landscape.model import DataRule, Environment, Host
from otapgate.parallel import capture as capturing
from otapgate.parallel.capture import Captured, Post, Unavailable, capture
from otapgate.parallel.plan import (
    Allow,
    Compare,
    Files,
    Http,
    Output,
    Period,
    Plan,
    Report,
    Side,
    Table,
)
from otapgate.parallel.run import compare


def post(tmp_path: Path, role: str = "old", **fields: Any) -> Post:
    local = {"ansible_connection": "local", "home": str(tmp_path / role)}
    (tmp_path / role).mkdir(exist_ok=True)
    (tmp_path / "scratch").mkdir(exist_ok=True)
    given: dict[str, Any] = {
        "name": "agenda-T", "stage": "T", "street": "agenda", "owner": "x",
        "hosts": (Host("t", local),), "data": DataRule("synthetic"),
    }  # fmt: skip
    environment = Environment(**{**given, **fields})
    return Post(Side("agenda-T", "", {}), environment, tmp_path / "scratch", {}, role)


def plan(*outputs: Output) -> Plan:
    side = Side("agenda-T", "", {})
    return Plan("p", "agenda", Period(0, 1), side, side, (), outputs)


def output(source: Any, **asked: Any) -> Output:
    empty = dict.fromkeys(("files", "http", "table", "report", "allow"))
    named = {**empty, type(source).__name__.lower(): source}
    return Output("x", Compare(**asked), **named)


def test_files_match_within_a_folder_and_through_folders(tmp_path: Path) -> None:
    here = post(tmp_path)
    for name in ("a.csv", "b.txt", "deep/c.csv", "deep/er/d.csv"):
        path = tmp_path / "old" / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(name)

    def found(*match: str) -> set[str]:
        return set(capture(Files("{{ home }}", match), here).parts)

    assert found("*.csv") == {"a.csv"}
    assert found("**/*.csv") == {"a.csv", "deep/c.csv", "deep/er/d.csv"}
    assert found("deep/*.csv", "b.*") == {"deep/c.csv", "b.txt"}
    assert found("*/er/*") == {"deep/er/d.csv"}


def test_what_is_no_ordinary_file_is_not_read(tmp_path: Path) -> None:
    here = post(tmp_path)
    (tmp_path / "secret").write_text("s")
    (tmp_path / "old/a.csv").symlink_to(tmp_path / "secret")
    with pytest.raises(Unavailable):
        capture(Files("{{ home }}", ("*.csv",)), here)
    (tmp_path / "old/a.csv").unlink()
    with pytest.raises(Unavailable, match="No file"):
        capture(Files("{{ home }}", ("*.csv",)), here)
    with pytest.raises(Unavailable, match="full path"):
        capture(Files("old", ("*.csv",)), here)


def test_what_is_larger_than_can_be_held_is_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = post(tmp_path)
    monkeypatch.setattr(capturing, "LARGEST", 10)
    (tmp_path / "old/a").write_bytes(b"123456")
    assert capture(Files("{{ home }}", ("*",)), here).parts == {"a": b"123456"}
    (tmp_path / "old/b").write_bytes(b"123456")
    with pytest.raises(Unavailable, match="larger"):
        capture(Files("{{ home }}", ("*",)), here)


def test_files_of_another_machine_are_not_looked_for_on_this_one(tmp_path: Path) -> None:
    away = post(tmp_path, hosts=(Host("t", {"ansible_host": "192.0.2.1"}),))
    for source in (Files("/tmp", ("*",)), Table("/tmp/x", "SELECT 1", 1)):
        with pytest.raises(Unavailable, match="isn't on this machine"):
            capture(source, away)


def test_only_hosts_of_the_environment_are_asked(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="no host of this environment"):
        capture(Http("http://192.0.2.1/", "GET", {}, "", 1), post(tmp_path))


def test_rows_keep_nothing_apart_from_empty(tmp_path: Path) -> None:
    here = post(tmp_path)
    base = sqlite3.connect(tmp_path / "old/x.sqlite")
    base.execute("CREATE TABLE t (a, b)")
    base.executemany("INSERT INTO t VALUES (?, ?)", [(None, ""), ("NULL", b"\x01"), ("é\n", 1.5)])
    base.commit()
    base.close()
    found = capture(Table("{{ home }}/x.sqlite", "SELECT a, b FROM t", 5), here)
    assert found.parts[""].decode() == "a,b\r\nNULL,\r\n'NULL',x'01'\r\n\"é\n\",1.5\r\n"
    with pytest.raises(Unavailable, match="no database"):
        capture(Table("{{ home }}/none.sqlite", "SELECT 1", 5), here)


def test_a_report_is_run_without_a_shell_in_an_empty_folder(tmp_path: Path) -> None:
    here = post(tmp_path)
    said = capture(Report((sys.executable, "-c", "import os; print(os.listdir())"), 20), here)
    assert said == Captured({"": b"[]\n"}, "0")
    said = capture(Report(("echo", "$HOME; {{ otapgate_side }}"), 20), here)
    assert said.parts[""] == b"$HOME; old\n"
    assert capture(Report(("false",), 20), here).status == "1"
    with pytest.raises(Unavailable, match="took too long"):
        capture(Report(("sleep", "30"), 1), here)
    with pytest.raises(Unavailable, match="didn't start"):
        capture(Report(("no-such-program",), 1), here)
    with pytest.raises(Unavailable, match="says more"):
        capture(Report(("seq", "200000"), 20), here)


def test_a_secret_stands_in_no_argument_and_in_no_evidence(tmp_path: Path) -> None:
    sides = [
        with_secrets(post(tmp_path, role), {"token": "hunter2-hunter2"}) for role in ("old", "new")
    ]
    with pytest.raises(Unavailable):
        capture(Report(("echo", "{{ token }}"), 5), sides[0])
    told = output(
        Report((sys.executable, "-c", "print('hunter2-' * 2 + '{{ otapgate_side }}')"), 9)
    )
    result = compare(plan(told), *sides)
    assert result.total("different") == 1
    leaked = output(Report((sys.executable, "-c",
                            "print('hunter2-hunter2', '{{ otapgate_side }}')"), 9))  # fmt: skip
    result = compare(plan(leaked), *sides)
    assert result.total("different") == 1
    assert "hunter2-hunter2" not in repr(result)


def with_secrets(one: Post, secrets: dict[str, str]) -> Post:
    return Post(one.side, one.environment, one.scratch, secrets, one.role)


def test_files_that_one_side_lacks_differ(tmp_path: Path) -> None:
    old, new = post(tmp_path), post(tmp_path, "new")
    for name, role in (("a", "old"), ("a", "new"), ("b", "new")):
        (tmp_path / role / name).write_text("same\n")
    result = compare(plan(output(Files("{{ home }}", ("*",)))), old, new)
    (found,) = result.outputs
    assert (found.same, found.different) == (1, 1)
    assert found.differences[0] == {"where": "file", "place": "b", "old": None, "new": "file"}
    assert found.marks["old"] != found.marks["new"]


def test_an_allowed_share_covers_no_side_that_could_not_be_had(tmp_path: Path) -> None:
    old, new = post(tmp_path), post(tmp_path, "new")
    (tmp_path / "old/a").write_text("1\n2\n3\n4\n")
    (tmp_path / "new/a").write_text("1\n2\n3\n5\n")
    source = Files("{{ home }}", ("*",))
    asked = msgspec.structs.replace(output(source), allow=Allow("0.25", "known"))
    (found,) = compare(plan(asked), old, new).outputs
    assert (found.same, found.tolerated, found.different) == (3, 1, 0)
    assert found.allowed == "known"
    strict = msgspec.structs.replace(asked, allow=Allow("0.2", "known"))
    (found,) = compare(plan(strict), old, new).outputs
    assert (found.different, found.allowed) == (1, "")
    (tmp_path / "new/a").unlink()
    wide = msgspec.structs.replace(asked, allow=Allow("0.99", "known"))
    (found,) = compare(plan(wide), old, new).outputs
    assert (found.different, found.allowed) == (1, "")
