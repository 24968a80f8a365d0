"""The form of a test plan's file, for validation and for `otapgate schema plan`.

Pydantic models only; what a plan is once it is registered is in `plan.py`. Not imported
at start, because pydantic takes its time to load.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from otapgate.i18n import _
from otapgate.landscape.model import TestKind
from otapgate.landscape.sentences import Wrong

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
Text = Annotated[str, Field(min_length=1)]
Seconds = Annotated[int, Field(ge=1, le=24 * 3600)]


class Form(BaseModel):
    """Base: unknown keys are errors, values don't change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class CriterionForm(Form):
    """Something that must be so before the release is accepted."""

    id: Name = Field(description="The name by which cases refer to it.")
    kind: TestKind = Field(description="What it is about; the policy asks for kinds (CH05-04).")
    text: Text = Field(description="What must be so, in a sentence.")


class HttpForm(Form):
    """An address that must answer as said."""

    url: Text = Field(description="A template over the environment's variables.")
    method: Literal["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"] = Field(
        default="GET", description="How it is asked."
    )
    headers: dict[str, str] = Field(default={}, description="Headers of the request.")
    body: str = Field(default="", description="What is sent along.")
    status: Annotated[int, Field(ge=100, le=599)] = Field(
        default=200, description="The status that it must answer with."
    )
    contains: Text | None = Field(
        default=None, description="What must stand somewhere in the answer."
    )
    json_: dict[str, Any] | None = Field(
        default=None,
        alias="json",
        description="Path in the answer (result.0.name) to its value, a template too.",
    )
    budget_ms: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="The percentile of the answers takes at most this long."
    )
    repeat: Annotated[int, Field(ge=1, le=10_000)] = Field(
        default=1, description="How many times it is asked, one after another."
    )
    percentile: Annotated[int, Field(ge=1, le=100)] = Field(
        default=95, description="How many in a hundred answers must be within budget_ms."
    )
    timeout_seconds: Seconds = Field(default=10, description="How long one answer may take.")
    host: str = Field(default="", description="Whose variables the templates see besides.")


class CommandForm(Form):
    """A program that must end as said; arguments are a list, there is no shell."""

    argv: Annotated[list[Text], Field(min_length=1)] = Field(
        description="The program and its arguments, templates."
    )
    exit: Annotated[int, Field(ge=0, le=255)] = Field(
        default=0, description="The exit code that it must end with."
    )
    contains: Text | None = Field(
        default=None, description="What must stand somewhere in its output."
    )
    timeout_seconds: Seconds = Field(default=60, description="How long it may take.")
    host: str = Field(default="", description="Whose variables the templates see besides.")


class PytestForm(Form):
    """Tests that must all pass."""

    path: Text = Field(description="File or folder, relative to the plan's file.")
    select: str = Field(default="", description="As pytest's -k.")
    timeout_seconds: Seconds = Field(default=600, description="How long all of them may take.")


class StepForm(Form):
    """One thing to do: exactly one of these."""

    http: HttpForm | None = Field(default=None, description="Ask an address.")
    command: CommandForm | None = Field(default=None, description="Run a program.")
    pytest: PytestForm | None = Field(default=None, description="Run tests in Python.")
    playbook: Text | None = Field(
        default=None, description="A playbook, relative to the plan's file."
    )

    @model_validator(mode="after")
    def _one(self) -> StepForm:
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(given) != 1:
            raise Wrong(
                _(
                    "A step is exactly one of http, command, pytest and playbook; this is {n}."
                ).format(n=len(given)),
                remedy=_("Write each of them as a step of its own, beginning with '- '."),
            )
        return self


class CaseForm(Form):
    """A case: steps that show whether a criterion is met."""

    id: Name = Field(description="Unique in the plan.")
    criterion: Name = Field(description="The id of the criterion that it shows.")
    title: str = Field(default="", description="What people call it.")
    steps: Annotated[list[StepForm], Field(min_length=1)] = Field(
        description="What is done, in this order; the first that fails fails the case."
    )


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
        return self


def _twice(name: str, *at: str | int) -> Wrong:
    return Wrong(
        _("'{name}' stands here twice.").format(name=name),
        *at,
        "id",
        remedy=_("Give each its own id."),
    )
