"""The form of a file of answers to a plan's manual steps, for `test run --answers`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from otapgate.testing.step_forms import Form, Name, Text


class AnswerForm(Form):
    """What a person found."""

    outcome: Literal["passed", "failed"] = Field(description="Whether it is so.")
    note: str = Field(default="", description="What was seen; compulsory when it failed.")
    attachments: tuple[Text, ...] = Field(
        default=(), description="Files, relative to this one: photos, prints."
    )


class AnswersFile(Form):
    """Answers to the manual steps of a test plan."""

    answers: dict[Name, AnswerForm] = Field(description="Id of the question → the answer.")
