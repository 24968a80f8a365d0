"""The form of a comparison plan's file, for validation and for `otapgate schema parallel`.

Pydantic models only; what a plan is once it is read is in `plan.py`. Not imported at
start, because pydantic takes its time to load.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from otapgate.i18n import _
from otapgate.landscape.sentences import Wrong

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
Text = Annotated[str, Field(min_length=1)]
Seconds = Annotated[int, Field(ge=1, le=3600)]


def _decimal(value: str) -> str:
    if not re.fullmatch(r"(0|[1-9][0-9]{0,11})(\.[0-9]{1,12})?", value):
        raise Wrong(
            _("'{text}' is not a number of 0 or more.").format(text=value),
            remedy=_('Write it in quotes: "0.01".'),
        )
    return value


def _share(value: str) -> str:
    if not re.fullmatch(r"0(\.[0-9]{1,6})?", value):
        raise Wrong(
            _("'{text}' is not a share below 1.").format(text=value),
            remedy=_('Write one in a hundred as "0.01".'),
        )
    return value


def _pattern(value: str) -> str:
    try:
        empty = re.compile(value).match("") is not None
    except (re.error, OverflowError, RecursionError) as error:
        raise Wrong(_("This pattern can't be read: {reason}.").format(reason=error)) from None
    if empty:
        raise Wrong(
            _("This pattern fits nothing at all, so it would fit everywhere."),
            remedy=_("Let it ask for at least one character."),
        )
    return value


Amount = Annotated[str, AfterValidator(_decimal)]


class Form(BaseModel):
    """Base: unknown keys are errors, values don't change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PeriodForm(Form):
    """How long old and new run side by side at least: days, comparisons or both."""

    days: Annotated[int, Field(ge=0, le=366)] = Field(
        default=0, description="From the start to the last comparison, at least so many days."
    )
    comparisons: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=1, description="At least so many comparisons."
    )


class SideForm(Form):
    """One of the two systems."""

    environment: Text = Field(description="The environment that it runs in.")
    host: str = Field(default="", description="Whose variables the templates see besides.")
    variables: dict[str, str | int] = Field(
        default={}, description="Variables of this side: where its address or folder differs."
    )


class MaskForm(Form):
    """Something that always differs and says nothing: a moment, a session's number."""

    name: Name = Field(description="What stands in its place.")
    pattern: Annotated[Text, AfterValidator(_pattern)] = Field(
        description="A regular expression (Python's), tried on each line, cell or text."
    )


class ToleranceForm(Form):
    """How far two numbers may lie apart; the wider of the two holds."""

    absolute: Amount = Field(default="0", description='So much, as text: "0.01".')
    relative: Amount = Field(
        default="0", description='Such a part of the larger of the two, as text: "0.001".'
    )


class CompareForm(Form):
    """How an output is compared."""

    as_: Literal["text", "csv", "json", "bytes"] = Field(
        default="text", alias="as", description="What it is. A database's table is always csv."
    )
    key: tuple[Text, ...] = Field(
        default=(), description="csv: the columns that say which row is which; order is no matter."
    )
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = Field(
        default=",", description="csv: what stands between two cells."
    )
    decimal_comma: bool = Field(default=False, description="csv: numbers are written as 1.234,50.")
    ignore: tuple[Text, ...] = Field(
        default=(), description="Columns, or paths in JSON (items.*.id), that aren't compared."
    )
    unordered: tuple[str, ...] = Field(
        default=(),
        description="json: paths of lists of which the order is no matter ('' is the whole).",
    )
    ordered_lines: bool = Field(default=True, description="text: whether lines have an order.")
    tolerances: dict[str, ToleranceForm] = Field(
        default={}, description="By column, or by path in JSON: how far numbers may lie apart."
    )
    masks: tuple[MaskForm, ...] = Field(default=(), description="Masks of this output only.")

    @model_validator(mode="after")
    def _fitting(self) -> CompareForm:
        fits = {
            "key": ("csv",), "delimiter": ("csv",), "decimal_comma": ("csv",),
            "ignore": ("csv", "json"), "tolerances": ("csv", "json"), "unordered": ("json",),
            "ordered_lines": ("text",), "masks": ("text", "csv", "json"),
        }  # fmt: skip
        for name, kinds in fits.items():
            if name in self.model_fields_set and self.as_ not in kinds:
                raise Wrong(
                    _("'{name}' means nothing where the output is compared as {kind}.").format(
                        name=name, kind=self.as_
                    ),
                    name,
                    remedy=_("Choose 'as' from: {names}.").format(names=", ".join(kinds)),
                )
        if self.as_ == "csv" and self.tolerances and not self.key:
            raise Wrong(
                _("Tolerances need a key: which row is to be compared with which?"),
                "tolerances",
                remedy=_("Name under 'key' the columns that say which row is which."),
            )
        both = {*self.key} & {*self.ignore, *self.tolerances}
        if both:
            raise Wrong(
                _("'{name}' can't be a key and be ignored or tolerated too.").format(
                    name=sorted(both)[0]
                ),
                "key",
            )
        return self


class FilesForm(Form):
    """Files that both sides write, on the machine that otapgate runs on."""

    folder: Text = Field(description="Where they are, a template over the side's variables.")
    match: Annotated[tuple[Text, ...], Field(min_length=1)] = Field(
        description="Patterns of names below it: *.csv, reports/**/*.txt."
    )


class HttpForm(Form):
    """An address that both sides are asked at the same moment."""

    url: Text = Field(description="A template over the side's variables.")
    method: Literal["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"] = Field(
        default="GET", description="How it is asked."
    )
    headers: dict[str, str] = Field(default={}, description="Headers of the request.")
    body: str = Field(default="", description="What is sent along.")
    timeout_seconds: Seconds = Field(default=10, description="How long the answer may take.")


class TableForm(Form):
    """The rows that a query gives, from a SQLite database on this machine."""

    database: Text = Field(description="The file, a template over the side's variables.")
    query: Text = Field(description="A SELECT; it is run without the right to write.")
    timeout_seconds: Seconds = Field(default=60, description="How long it may take.")


class ReportForm(Form):
    """What a program says on either side; arguments are a list, there is no shell."""

    argv: Annotated[tuple[Text, ...], Field(min_length=1)] = Field(
        description="The program and its arguments, templates over the side's variables."
    )
    timeout_seconds: Seconds = Field(default=60, description="How long it may take.")


class AllowForm(Form):
    """Differences that are accepted beforehand."""

    share: Annotated[str, AfterValidator(_share)] = Field(
        description='Such a part of what is compared may differ, as text: "0.01".'
    )
    because: Text = Field(description="Why that is no matter.")


class OutputForm(Form):
    """One output to compare: exactly one of files, http, table and report."""

    id: Name = Field(description="Unique in the plan.")
    files: FilesForm | None = Field(default=None, description="Files.")
    http: HttpForm | None = Field(default=None, description="The answer of an address.")
    table: TableForm | None = Field(default=None, description="Rows of a database.")
    report: ReportForm | None = Field(default=None, description="What a program says.")
    compare: CompareForm = Field(
        default_factory=CompareForm, description="How it is compared; as text if not said."
    )
    allow: AllowForm | None = Field(default=None, description="What may differ, and why.")

    @model_validator(mode="after")
    def _one(self) -> OutputForm:
        given = [n for n in ("files", "http", "table", "report") if getattr(self, n) is not None]
        if len(given) != 1:
            raise Wrong(
                _("An output is exactly one of files, http, table and report; this is {n}.").format(
                    n=len(given)
                ),
                remedy=_("Write each of them as an output of its own, beginning with '- '."),
            )
        if self.table is not None and self.compare.as_ != "csv":
            raise Wrong(
                _("Rows of a database are compared by column."),
                "table",
                remedy=_("Write 'compare: {as: csv}' and the columns of the key."),
            )
        return self


class ParallelFileModel(Form):
    """A comparison plan: how old and new are compared while they run in parallel (CH06-07)."""

    plan: Name = Field(description="The plan's name, that of its file.")
    app: Name = Field(description="The application that it compares.")
    period: PeriodForm = Field(description="How long they run side by side at least.")
    old: SideForm = Field(description="What the new one is measured by.")
    new: SideForm = Field(description="What is to take its place.")
    masks: tuple[MaskForm, ...] = Field(default=(), description="Masks of every output.")
    outputs: Annotated[tuple[OutputForm, ...], Field(min_length=1)] = Field(
        description="What is compared."
    )

    @model_validator(mode="after")
    def _consistent(self) -> ParallelFileModel:
        known: set[str] = set()
        for index, output in enumerate(self.outputs):
            if output.id in known:
                raise Wrong(
                    _("'{name}' stands here twice.").format(name=output.id),
                    "outputs", index, "id",
                    remedy=_("Give each its own id."),
                )  # fmt: skip
            known.add(output.id)
        if self.old == self.new:
            raise Wrong(
                _("Old and new are the same, so they would always agree."),
                "new",
                remedy=_("Name two environments, or variables by which they differ."),
            )
        return self

    def plain(self) -> dict[str, Any]:
        """As JSON, defaults written out."""
        return self.model_dump(mode="json", by_alias=True)
