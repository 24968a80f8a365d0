"""The manual step: a person says whether something is so."""

from __future__ import annotations

import msgspec

from otapgate.i18n import _
from otapgate.testing.answers import as_json, wanting
from otapgate.testing.bench import Room
from otapgate.testing.evidence import Attempt
from otapgate.testing.plan import ManualStep
from otapgate.testing.template import render


def check(step: ManualStep, room: Room) -> Attempt:
    """Ask, or take the answer that is known; passes when the person says so."""
    variables = room.seen_by("")
    asked = msgspec.structs.replace(
        step,
        question=render(step.question, variables),
        instructions=render(step.instructions, variables),
    )
    answer = room.bench.hands.answers.get(step.id) or room.bench.ask(asked)
    if answer is None:
        return Attempt(
            "manual", False, _("'{name}' was not answered.").format(name=step.id),
            detail={"id": step.id, "question": asked.question},
        )  # fmt: skip
    lacking = wanting(step, answer)
    said = answer.note.strip() or (_("Seen.") if answer.outcome == "passed" else "")
    return Attempt(
        "manual",
        answer.outcome == "passed" and not lacking,
        lacking or said,
        detail={"id": step.id, "question": asked.question, **as_json(answer)},
        objects=[attachment.digest for attachment in answer.attachments],
    )
