"""A promotion with a real secret: the playbook has it, and nobody else ever does."""

from __future__ import annotations

import base64
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.witness import watching

from .school import CHANGE, CHANTAL, DAAN, NEW, School

SECRET = 'Zomer&"vakantie"/2026-7f3a'
USE = """
    - name: Give the application its password
      ansible.builtin.copy:
        content: "{{ mail_password }}"
        dest: "{{ home }}/mail-password"
        mode: "0600"
"""
PRINT = """
    - name: Say it aloud
      ansible.builtin.debug:
        msg: "the password is {{ mail_password }}, in base64 {{ mail_password | b64encode }}"
    - name: Fail with it
      ansible.builtin.command:
        argv: [/bin/sh, -c, 'cat "$1"; cat "$1" >&2; exit 7', sh, "{{ home }}/mail-password"]
"""
FORMS = (SECRET.encode(), base64.b64encode(SECRET.encode()), SECRET.replace('"', '\\"').encode())


@pytest.fixture
def guarded(prepared: School, tmp_path: Path) -> School:
    """The new release needs a secret in test."""
    prepared.edit(
        "environments/agenda.yml", "network: loopback\n  - stage: A",
        "network: loopback\n    secrets: [mail_password]\n  - stage: A",
    )  # fmt: skip
    prepared.here(DAAN, "env", "accept", "agenda-T")
    place = tmp_path / "secrets" / "agenda-T"
    place.mkdir(parents=True, mode=0o700)
    (place / "mail_password").touch(mode=0o600)
    (place / "mail_password").write_text(SECRET + "\n")
    return prepared


def built(school: School, tasks: str) -> None:
    """The release with further tasks."""
    file = school.root / "playbooks/agenda/deploy.yml"
    file.write_text(file.read_text("utf-8").rstrip("\n") + "\n" + tasks.lstrip("\n"), "utf-8")
    school.here(CHANTAL, "release", "build", "releases/agenda-2.0.yml", "--change", CHANGE)


@contextmanager
def watched() -> Iterator[list[bytes]]:
    """The arguments and environments of every process, looked at all the time."""
    seen: list[bytes] = []

    def look(process: Path) -> None:
        words = (process / "cmdline").read_bytes()
        if any(form in words for form in FORMS) or b"ansible" in words:
            seen.append(words)

    with watching(look, 0.005):
        yield seen


def promote(school: School, tmp_path: Path, expect: int) -> bytes:
    """What the promotion to test says, after looking that the secret was in no arguments."""
    args = ("promote", NEW, "--to", "T", "--change", CHANGE)
    with watched() as seen:
        code, out, err = school.attempt(DAAN, *args, OTAPGATE_SECRETS=str(tmp_path / "secrets"))
    assert code == expect, out + err
    assert any(b"ansible" in words for words in seen), "nothing was watched"
    assert not [words for words in seen if any(form in words for form in FORMS)]
    return (out + err).encode()


def holding(folder: Path) -> list[str]:
    """The files below that hold the secret in any of its forms."""
    return [
        str(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
        and any(form in path.read_bytes() for form in FORMS)
    ]  # fmt: skip


def nowhere(school: School, told: bytes) -> None:
    """It is in nothing that was said, kept or left behind, other than where it belongs."""
    assert not any(form in told for form in FORMS)
    assert {Path(x).name for x in holding(school.root)} <= {"mail-password"}
    scratch = Path(tempfile.gettempdir())
    assert not [x for path in scratch.glob("otapgate-*") for x in holding(path)]
    assert not holding(Path("~/.ansible").expanduser())


def test_the_playbook_gets_the_secret_and_nothing_keeps_it(guarded: School, tmp_path: Path) -> None:
    built(guarded, USE)
    told = promote(guarded, tmp_path, expect=0)
    assert (guarded.stage("T") / "mail-password").read_text() == SECRET
    nowhere(guarded, told)
    shown = subprocess.run(
        guarded.command(None, "log", "list"), cwd=guarded.root, env=guarded.environment(),
        capture_output=True, check=True,
    )  # fmt: skip
    assert b"promotion-finished" in shown.stdout


def test_a_task_that_fails_with_the_secret_in_its_mouth_says_stars(
    guarded: School, tmp_path: Path
) -> None:
    built(guarded, USE + PRINT)
    told = promote(guarded, tmp_path, expect=1)
    assert b"********" in told + b"".join(
        path.read_bytes() for path in (guarded.root / ".otapgate").rglob("*") if path.is_file()
    )
    assert b"Fail with it" in told
    nowhere(guarded, told)
    assert guarded.answers("T") == "1.0", "it went back"
