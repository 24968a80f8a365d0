"""The form of a request for change (VTW), for validation and for `otapgate schema change`.

What every request must say; which fields follow from other answers is in `vtw.py`.
Imported only when a form is read, because pydantic takes its time to load.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from otapgate.i18n import _
from otapgate.landscape.files import Date, FileModel, Name, Text
from otapgate.landscape.model import Level
from otapgate.landscape.security import check_unique
from otapgate.landscape.sentences import Wrong
from otapgate.landscape.yaml_positions import shown

_UNANSWERED = re.compile(
    r"[\W_]*|tbd|todo|xxx+|onbekend|unknown|later|volgt|nader te bepalen|to be determined",
    re.IGNORECASE,
)


def check_answer(value: str) -> str:
    """An answer that says something: not empty, not a placeholder."""
    if _UNANSWERED.fullmatch(value.strip()):
        raise Wrong(
            _('"{text}" is no answer.').format(text=shown(value.strip())),
            remedy=_("Say it in a sentence; write 'none, because …' where nothing applies."),
        )
    return value.strip()


Answer = Annotated[str, Field(max_length=20_000), AfterValidator(check_answer)]
Names = Annotated[list[Text], AfterValidator(check_unique)]


class EmergencyForm(FileModel):
    """Why a change can't wait for the ordinary path."""

    reason: Answer = Field(description="Why the ordinary path takes too long.")
    threat: Answer = Field(description="What goes wrong, for whom and when, if nothing is done.")


class VtwFileModel(FileModel):
    """A request for change (VTW): one form for every change (CH01-05)."""

    title: Text = Field(description="What the change is, in one line.")
    requester: Text = Field(description="Who asks for it, full name.")
    department: Text = Field(description="School or department.")
    date: Date = Field(description="When it is asked, such as 2026-01-31.")
    kind: Literal["regular", "standard", "emergency"] = Field(
        description="Standard changes follow a template; emergencies are reviewed afterwards."
    )
    object: Literal[
        "application",
        "procedure",
        "process",
        "system",
        "service",
        "platform",
        "infrastructure",
    ] = Field(description="What kind of thing is changed (CH01-02).")
    street: Name | None = Field(
        default=None,
        description="The street it moves through; compulsory unless a procedure or process.",
    )
    template: Name | None = Field(
        default=None, description="The standard change it follows; compulsory for those."
    )
    emergency: EmergencyForm | None = Field(
        default=None, description="Compulsory for an emergency."
    )
    what: Answer = Field(description="What changes.")
    why: Answer = Field(description="Why: what it is good for.")
    objects: Names = Field(min_length=1, description="Everything it touches.")
    process_owners: Names = Field(
        min_length=1, description="Owners of the processes it touches, full names (CH02-04)."
    )
    stakeholders: Names = Field(default=[], description="Who else has an interest.")
    wanted: Date = Field(description="The date on which it is wanted.")
    latest: Date = Field(description="The date on which it must be there at the latest.")
    without: Answer = Field(description="What happens if it is not done.")
    impact: Level = Field(description="As the requester sees it: low, medium or high.")
    urgency: Level = Field(description="As the requester sees it: low, medium or high.")
    security: bool = Field(description="Has it consequences for security?")
    security_consequences: Answer | None = Field(
        default=None, description="Which; compulsory when security is true."
    )
    privacy: bool = Field(description="Has it consequences for privacy; are there personal data?")
    privacy_consequences: Answer | None = Field(
        default=None, description="Which personal data, of whom; compulsory when privacy is true."
    )
    dpia: Literal["done", "planned", "not-needed"] | None = Field(
        default=None, description="Data protection assessment; compulsory when privacy is true."
    )
    dpia_because: Answer | None = Field(
        default=None, description="Why no DPIA is needed; compulsory when dpia is not-needed."
    )
    legal: Answer = Field(description="Consequences for law and regulation, and for contracts.")
    cost: Answer = Field(description="What it costs, in money and hours.")
    by_supplier: bool = Field(description="Does a supplier do any of it?")
    supplier: Text | None = Field(
        default=None, description="Which; compulsory when by_supplier is true."
    )
    test_approach: Answer = Field(description="How it will be tested.")
    rollback_approach: Answer = Field(description="How it is undone if it goes wrong.")
    rollback_minutes: Annotated[int, Field(ge=1, le=7 * 24 * 60)] | None = Field(
        default=None,
        description="How many minutes a rollback may take; compulsory where street is.",
    )
    communication: Answer = Field(description="Who is told what, when and by whom.")
    parallel_run: bool = Field(description="Must old and new run side by side for a time?")
    attachments: Names = Field(default=[], description="Documents that belong to it.")
