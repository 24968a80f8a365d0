"""Answers to the questions of a test plan: from a file, and kept between two sittings.

Attachments go to the content store at once, so that an answer names bytes and no paths.
Asking somebody on a terminal is the command line's.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from otapgate.errors import BadInput, OtapgateError, Problem
from otapgate.i18n import _
from otapgate.landscape.model import Value
from otapgate.release.store import Store
from otapgate.testing.plan import ManualStep

MAX_ATTACHMENT = 64 * 1024 * 1024
"""Bytes of one attachment."""


class Attachment(Value, frozen=True):
    """A file that came with an answer, kept in the store."""

    name: str
    digest: str
    bytes: int


class Answer(Value, frozen=True):
    """What a person found."""

    outcome: Literal["passed", "failed"]
    note: str = ""
    attachments: tuple[Attachment, ...] = ()


def attach(path: Path, store: Store) -> Attachment:
    """Keep a file; raises BadInput when it can't be read or is too large."""
    try:
        size = path.stat().st_size
    except OSError:
        size = 0  # the store says why it can't be read
    if size > MAX_ATTACHMENT:
        raise BadInput(
            "attachment-large",
            _("{path} is larger than {n} MB.").format(path=path, n=MAX_ATTACHMENT >> 20),
            where=str(path),
        )
    digest, size = store.put_file(path)
    return Attachment(path.name, digest, size)


def read(file: Path, questions: Iterable[ManualStep], store: Store) -> dict[str, Answer]:
    """The answers in a file, by the id of their question. Raises BadInput with everything
    that is wrong: questions that the plan doesn't have, files that aren't there."""
    from otapgate.landscape import yaml_positions
    from otapgate.testing.answers_file import AnswersFile

    asked = {question.id: question for question in questions}
    document = yaml_positions.load(file, str(file))
    form, problems = yaml_positions.validate(document, AnswersFile)
    found: dict[str, Answer] = {}
    for name, given in (form.answers if form is not None else {}).items():
        if name not in asked:
            problems.append(
                document.problem(
                    _("The plan asks no '{name}'.").format(name=name),
                    ("answers", name),
                    _("Choose one of: {names}.").format(names=", ".join(asked) or "-"),
                )
            )
            continue
        kept = []
        for index, text in enumerate(given.attachments):
            try:
                kept.append(attach(file.parent / text, store))
            except OtapgateError as error:
                where = ("answers", name, "attachments", index)
                problems.append(document.problem(error.message, where, error.remedy))
        answer = Answer(given.outcome, given.note, tuple(kept))
        lacking = wanting(asked[name], answer)
        if lacking and len(kept) == len(given.attachments):
            problems.append(document.problem(lacking, ("answers", name)))
        found[name] = answer
    if problems:
        raise BadInput(
            "answers-invalid", _("{file} is not in order.").format(file=file),
            problems=tuple(problems), where=str(file),
        )  # fmt: skip
    return found


def wanting(question: ManualStep, answer: Answer) -> str:
    """What an answer lacks, in a sentence; "" for nothing."""
    if answer.outcome == "failed" and not answer.note.strip():
        return _("'{name}' failed, and no note says how.").format(name=question.id)
    if answer.outcome == "passed" and len(answer.attachments) < question.attachments:
        return _("'{name}' asks for {n} attachments.").format(
            name=question.id, n=question.attachments
        )
    return ""


class Kept(Value, frozen=True):
    """The answers of a sitting that was broken off, and what they are about."""

    release: str
    environment: str
    description: str
    plan: str
    """Digest."""
    by: str
    """Person id."""
    answers: dict[str, Answer] = {}  # noqa: RUF012 - msgspec gives each its own


def keep(file: Path, kept: Kept) -> None:
    """Write answers down, whole or not at all, readable by their owner only."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = file.with_suffix(".new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(msgspec.json.encode(kept))
        opened.flush()
        os.fsync(descriptor)
    new.replace(file)


def recall(file: Path, about: Kept) -> Mapping[str, Answer]:
    """The answers that were kept. Raises BadInput when there are none, or when they are
    about something else than what is tested now, or somebody else's."""
    try:
        kept = msgspec.json.decode(file.read_bytes(), type=Kept)
    except (OSError, msgspec.MsgspecError, ValueError) as error:
        raise BadInput(
            "run-unknown",
            _("No answers were kept of {run}.").format(run=file.stem),
            remedy=_("run it without --resume"),
        ) from error
    said = {
        "release": _("the release"),
        "environment": _("the environment"),
        "description": _("the environment's description"),
        "plan": _("the test plan"),
        "by": _("the person"),
    }
    other = [name for field, name in said.items() if getattr(kept, field) != getattr(about, field)]
    if other:
        raise BadInput(
            "run-other",
            _("The answers that were kept of {run} aren't about this: different is {what}.").format(
                run=file.stem, what=", ".join(other)
            ),
            remedy=_("run it without --resume"),
        )
    return kept.answers


def as_json(answer: Answer) -> dict[str, Any]:
    """As evidence has it."""
    found: dict[str, Any] = json.loads(msgspec.json.encode(answer))
    return found


def unanswered(questions: Iterable[ManualStep], known: Mapping[str, Answer]) -> tuple[Problem, ...]:
    """Which questions wait, each as a problem that quotes it."""
    return tuple(Problem(f"{q.id}: {q.question}") for q in questions if q.id not in known)
