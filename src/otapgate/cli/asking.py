"""Asks a person the questions of a test plan, on the terminal."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from otapgate import errors
from otapgate.cli.options import options
from otapgate.cli.output import progress
from otapgate.i18n import _

if TYPE_CHECKING:
    from otapgate.release.store import Store
    from otapgate.testing.answers import Answer, Attachment
    from otapgate.testing.plan import ManualStep


def can_ask() -> bool:
    """Whether somebody is there: a terminal, and not `--yes`, which answers nothing."""
    return sys.stdin.isatty() and sys.stderr.isatty() and not options().yes


def ask(question: ManualStep, store: Store) -> Answer:
    """Ask until the answer is whole; attachments go to the store. Raises KeyboardInterrupt
    on Ctrl-C and where the terminal ends."""
    from otapgate.testing.answers import Answer, wanting

    progress("")
    progress(f"[{question.id}] {question.question}")
    for line in question.instructions.strip().splitlines():
        progress(f"   {line}")
    while True:
        passed = _passed()
        note = _line(_("Note (what you saw): ")).strip()
        kept = _attachments(question, store)
        answer = Answer("passed" if passed else "failed", note, kept)
        lacking = wanting(question, answer)
        if not lacking:
            return answer
        progress(lacking)


def _passed() -> bool:
    while True:
        word = _line(_("Is it so? (p)assed or (f)ailed: ")).strip().casefold()
        if word in ("p", "passed", "g", "geslaagd"):
            return True
        if word in ("f", "failed", "m", "mislukt"):
            return False


def _attachments(question: ManualStep, store: Store) -> tuple[Attachment, ...]:
    """Files that come with the answer, until an empty line."""
    from otapgate.testing.answers import attach

    kept: list[Attachment] = []
    while True:
        text = _line(_("Attachment (path; empty for no more, {n} asked for): ").format(
            n=question.attachments)).strip()  # fmt: skip
        if not text:
            return tuple(kept)
        try:
            kept.append(attach(Path(text).expanduser(), store))
        except errors.OtapgateError as error:
            progress(error.message)


def _line(prompt: str) -> str:
    sys.stderr.write(prompt)
    sys.stderr.flush()
    line = sys.stdin.readline()
    if not line:
        raise KeyboardInterrupt
    return line
