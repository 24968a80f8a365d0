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

    id: Name
    kind: TestKind
    text: Text


class HttpForm(Form):
    """An address that must answer as said."""

    url: Text = Field(description="A template over the environment's variables.")
    method: Literal["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"] = "GET"
    headers: dict[str, str] = {}
    body: str = ""
    status: Annotated[int, Field(ge=100, le=599)] = 200
    contains: Text | None = None
    json_: dict[str, Any] | None = Field(
        None, alias="json", description="Path in the answer (result.0.name) to its value."
    )
    budget_ms: Annotated[int, Field(ge=1)] | None = Field(
        None, description="The percentile of the answers takes at most this long."
    )
    repeat: Annotated[int, Field(ge=1, le=10_000)] = 1
    percentile: Annotated[int, Field(ge=1, le=100)] = 95
    timeout_seconds: Seconds = 10
    host: str = Field("", description="Whose variables the templates see besides.")


class CommandForm(Form):
    """A program that must end as said; arguments are a list, there is no shell."""

    argv: Annotated[list[Text], Field(min_length=1)]
    exit: Annotated[int, Field(ge=0, le=255)] = 0
    contains: Text | None = None
    timeout_seconds: Seconds = 60
    host: str = ""


class PytestForm(Form):
    """Tests that must all pass."""

    path: Text = Field(description="File or folder, relative to the plan's file.")
    select: str = Field("", description="As pytest's -k.")
    timeout_seconds: Seconds = 600


class StepForm(Form):
    """One thing to do: exactly one of these."""

    http: HttpForm | None = None
    command: CommandForm | None = None
    pytest: PytestForm | None = None
    playbook: Text | None = Field(None, description="A playbook, relative to the plan's file.")

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

    id: Name
    criterion: Name
    title: str = ""
    steps: Annotated[list[StepForm], Field(min_length=1)]


class PlanFileModel(Form):
    """A test plan: what must be so, and how that is shown (CH05-03)."""

    plan: Name
    app: Name
    criteria: Annotated[list[CriterionForm], Field(min_length=1)]
    cases: Annotated[list[CaseForm], Field(min_length=1)]
    files: tuple[Text, ...] = Field(
        (), description="Other files and folders that the steps need, relative to this file."
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
