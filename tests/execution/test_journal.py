"""The run's journal survives what a kill leaves behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from otapgate.errors import Failed, Integrity
from otapgate.execution.journal import Journal
from otapgate.execution.promotion import run_state
from otapgate.secrets_filter import MASK, SecretsFilter


def test_records_come_back_in_order_and_private(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "run")
    journal.append("deploy", "begun")
    journal.append("deploy", "done", milliseconds=5)
    assert [(one.step, one.event) for one in journal.records()] == [
        ("deploy", "begun"),
        ("deploy", "done"),
    ]
    last = journal.last("deploy")
    assert last is not None
    assert last.data == {"milliseconds": 5}
    assert journal.path.stat().st_mode & 0o777 == 0o600


def test_a_line_cut_short_is_left_out_and_the_next_is_whole(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append("deploy", "begun")
    with journal.path.open("ab") as file:
        file.write(b'{"step": "deploy", "eve')
    assert len(journal.records()) == 1
    journal.append("rollback", "begun")
    assert [one.step for one in journal.records()] == ["deploy", "rollback"]


@pytest.mark.parametrize("left", [b"", b'{"data": {"id"', b"\0" * 90])
def test_a_first_line_cut_short_is_no_beginning(tmp_path: Path, left: bytes) -> None:
    journal = Journal(tmp_path)
    journal.path.write_bytes(left)
    assert not journal.exists()
    assert run_state(tmp_path) is None
    journal.append("plan", "noted")
    # nothing of it is left that a second kill, at this record, could make look like more
    assert journal.path.read_bytes().count(b"\n") == 1
    assert [one.step for one in journal.records()] == ["plan"]
    assert journal.exists()


def test_what_is_kept_is_verified(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    digest = journal.keep("seen.json", {"a": 1})
    assert journal.kept("seen.json", digest) == b'{"a":1}'
    (tmp_path / "seen.json").write_text('{"a":2}')
    with pytest.raises(Integrity):
        journal.kept("seen.json", digest)


def test_a_journal_that_cant_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("in the way")
    with pytest.raises(Failed) as caught:
        Journal(tmp_path / "run").append("deploy", "begun")
    assert caught.value.code == "journal-unwritable"


def test_a_run_without_a_journal_never_began(tmp_path: Path) -> None:
    assert run_state(tmp_path) is None


def test_a_journal_without_a_beginning_is_damaged(tmp_path: Path) -> None:
    Journal(tmp_path).append("deploy", "begun")
    with pytest.raises(Integrity):
        run_state(tmp_path)


def test_secrets_are_masked_in_every_form() -> None:
    mask = SecretsFilter(['a"b c/d', "x"])
    assert mask('pass=a"b c/d') == f"pass={MASK}"
    assert mask(r'{"p": "a\"b c/d"}') == f'{{"p": "{MASK}"}}'
    assert mask("?p=a%22b+c%2Fd") == f"?p={MASK}"
    assert mask("YSJiIGMvZA==") == MASK
    assert mask("x marks the spot") == "x marks the spot"  # too short to look for
