"""The form of a test plan's file, for validation and for `otapgate schema plan`.

Pydantic models only; what a plan is once it is registered is in `plan.py`. Not imported
at start, because pydantic takes its time to load.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from otapgate.i18n import _
from otapgate.landscape.model import TestKind
from otapgate.landscape.sentences import Wrong
from otapgate.testing.step_forms import Form, Name, Seconds, StepForm, Text


class CriterionForm(Form):
    """Something that must be so before the release is accepted."""

    id: Name = Field(description="The name by which cases refer to it.")
    kind: TestKind = Field(description="What it is about; the policy asks for kinds (CH05-04).")
    text: Text = Field(description="What must be so, in a sentence.")


class CaseForm(Form):
    """A case: steps that show whether a criterion is met."""

    id: Name = Field(description="Unique in the plan.")
    criterion: Name = Field(description="The id of the criterion that it shows.")
    title: str = Field(default="", description="What people call it.")
    steps: Annotated[list[StepForm], Field(min_length=1)] = Field(
        description="What is done, in this order; the first that fails fails the case."
    )
    after: tuple[Name, ...] = Field(
        default=(), description="Cases that must have passed before this one begins."
    )
    alone: bool = Field(default=False, description="No other case runs meanwhile.")
    repeat: Annotated[int, Field(ge=1, le=100)] = Field(
        default=1, description="How many times; where the outcomes differ it is flaky and fails."
    )
    timeout_seconds: Seconds | None = Field(
        default=None, description="How long all its steps and repetitions may take together."
    )

    @model_validator(mode="after")
    def _asked_once(self) -> CaseForm:
        if self.repeat > 1 and any(step.manual is not None for step in self.steps):
            raise Wrong(
                _("A person is asked once: a case with a manual step isn't repeated."),
                "repeat",
                remedy=_("Leave repeat out, or put the manual step in a case of its own."),
            )
        return self


class PlanFileModel(Form):
    """A test plan: what must be so, and how that is shown (CH05-03)."""

    plan: Name = Field(description="The plan's name, unique in the landscape.")
    app: Name = Field(description="The application that it tests.")
    criteria: Annotated[list[CriterionForm], Field(min_length=1)] = Field(
        description="What must be so; each needs a case."
    )
    cases: Annotated[list[CaseForm], Field(min_length=1)] = Field(description="How it is shown.")
    files: tuple[Text, ...] = Field(
        default=(),
        description="Other files and folders that the steps need, relative to this file.",
    )
    parallel: Annotated[int, Field(ge=1, le=32)] = Field(
        default=1, description="How many cases run at once."
    )
    timeout_seconds: Seconds | None = Field(
        default=None, description="How long the whole run may take."
    )

    @model_validator(mode="after")
    def _consistent(self) -> PlanFileModel:
        # pydantic tells one error a validator; the order is that of the file.
        known: set[str] = set()
        for index, criterion in enumerate(self.criteria):
            if criterion.id in known:
                raise _twice(criterion.id, "criteria", index)
            known.add(criterion.id)
        seen: set[str] = set()
        for index, case in enumerate(self.cases):
            if case.id in seen:
                raise _twice(case.id, "cases", index)
            seen.add(case.id)
        asked: set[str] = set()
        for index, case in enumerate(self.cases):
            for place, step in enumerate(case.steps):
                if step.manual is None:
                    continue
                if step.manual.id in asked:
                    raise _twice(step.manual.id, "cases", index, "steps", place, "manual")
                asked.add(step.manual.id)
        return self


def _twice(name: str, *at: str | int) -> Wrong:
    return Wrong(
        _("'{name}' stands here twice.").format(name=name),
        *at,
        "id",
        remedy=_("Give each its own id."),
    )
