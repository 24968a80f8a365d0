"""How each step of a test plan is written in its file.

Pydantic models only, as in `plan_file`, which holds the rest of the form; the values that
come of them are in `step_values`.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from otapgate.i18n import _
from otapgate.landscape.sentences import Wrong

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
Text = Annotated[str, Field(min_length=1)]
Seconds = Annotated[int, Field(ge=1, le=24 * 3600)]
Millis = Annotated[int, Field(ge=1, le=3_600_000)]


class Form(BaseModel):
    """Base: unknown keys are errors, values don't change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class LoadForm(Form):
    """Many requests, and how long they may take."""

    requests: Annotated[int, Field(ge=1, le=100_000)] = Field(
        description="How many requests are measured."
    )
    concurrency: Annotated[int, Field(ge=1, le=200)] = Field(
        default=1, description="How many are under way at once."
    )
    warm_up: Annotated[int, Field(ge=0, le=10_000)] = Field(
        default=0, description="Requests beforehand that count for nothing."
    )
    p50_ms: Millis | None = Field(default=None, description="Half of them take at most this.")
    p95_ms: Millis | None = Field(default=None, description="95 in 100 take at most this.")
    p99_ms: Millis | None = Field(default=None, description="99 in 100 take at most this.")
    max_ms: Millis | None = Field(default=None, description="None takes longer than this.")
    errors_percent: Annotated[int, Field(ge=0, le=99)] = Field(
        default=0, description="How many in 100 may fail: no answer, or another than asked for."
    )

    @model_validator(mode="after")
    def _limited(self) -> LoadForm:
        if not self.limits():
            raise Wrong(
                _("A load without a limit proves nothing."),
                remedy=_("Say at least one of p50_ms, p95_ms, p99_ms and max_ms."),
            )
        return self

    def limits(self) -> dict[str, int]:
        """Name of the percentile → milliseconds."""
        found = {"p50": self.p50_ms, "p95": self.p95_ms, "p99": self.p99_ms, "max": self.max_ms}
        return {name: limit for name, limit in found.items() if limit is not None}


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
    load: LoadForm | None = Field(
        default=None, description="A latency budget with percentiles, over many requests."
    )

    @model_validator(mode="after")
    def _one_budget(self) -> HttpForm:
        if self.load is not None and (self.budget_ms is not None or self.repeat != 1):
            raise Wrong(
                _("'load' has limits of its own; it doesn't go with budget_ms and repeat."),
                "load",
                remedy=_("Leave budget_ms and repeat out."),
            )
        return self


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
    testinfra: bool = Field(
        default=False,
        description="The tests look at the environment's hosts by the fixture 'host' (testinfra).",
    )


class JunitForm(Form):
    """A report of another program (JUnit XML), in which every test must have passed."""

    file: str = Field(
        default="",
        description="Its name in the folder OTAPGATE_RESULTS, where a command of this case"
        " writes it.",
    )
    attach: Name | None = Field(
        default=None, description="Its name, when it is handed in with --attach NAME=FILE."
    )
    min_tests: Annotated[int, Field(ge=1)] = Field(
        default=1, description="How many tests must be in it at least."
    )
    skipped: Literal["fail", "allow"] = Field(
        default="fail", description="What becomes of it when tests were passed over."
    )

    @model_validator(mode="after")
    def _one(self) -> JunitForm:
        if bool(self.file) == (self.attach is not None):
            raise Wrong(
                _("A report is either written by the case or handed in."),
                remedy=_("Say one of file and attach."),
            )
        if self.file and (self.file.startswith("/") or ".." in self.file.split("/")):
            raise Wrong(
                _("'{path}' isn't below the folder for results.").format(path=self.file),
                "file",
                remedy=_("Write its name only; the command finds the folder in OTAPGATE_RESULTS."),
            )
        return self


class ManualForm(Form):
    """A question that a person answers: passed or failed, with a note."""

    id: Name = Field(description="Unique in the plan; answers are given by it.")
    question: Text = Field(description="What must be so, as a question.")
    instructions: str = Field(default="", description="What to do to find out.")
    attachments: Annotated[int, Field(ge=0, le=20)] = Field(
        default=0, description="How many files (photos, prints) must come with a pass."
    )


class TlsForm(Form):
    """What the service's TLS must be."""

    minimum: Literal["1.2", "1.3"] = Field(
        default="1.2", description="Older versions must be refused."
    )
    days_left: Annotated[int, Field(ge=0)] = Field(
        default=30, description="How many days the certificate must still be valid."
    )
    ca: str = Field(
        default="",
        description="File of certificates (PEM) to trust, relative to the plan's; otherwise the"
        " system's.",
    )


class CookiesForm(Form):
    """What every cookie that the service sets must say."""

    secure: bool = Field(default=True, description="Secure: over TLS only.")
    http_only: bool = Field(default=True, description="HttpOnly: not for scripts.")
    same_site: bool = Field(default=True, description="SameSite: Lax or Strict.")


_MODE = re.compile("0[0-7]{3}")
_PORTS = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")


class SecurityForm(Form):
    """A baseline for a service and a host; every departure is a finding."""

    url: str = Field(default="", description="The service's address, a template.")
    tls: TlsForm | None = Field(default=None, description="Version, certificate, expiry.")
    headers: dict[str, str] = Field(
        default={}, description="Header → what must stand in it; empty: that it is there."
    )
    no_headers: tuple[Text, ...] = Field(
        default=(), description="Headers that tell too much: x-powered-by."
    )
    no_pages: tuple[Text, ...] = Field(
        default=(), description="Paths that must not answer with a page: /server-status."
    )
    no_listings: tuple[Text, ...] = Field(
        default=(), description="Paths of folders that must not be listed."
    )
    cookies: CookiesForm | None = Field(default=None, description="Flags of every cookie.")
    host: str = Field(
        default="", description="Whose variables the templates see, and whose ports are tried."
    )
    ports: tuple[Annotated[int, Field(ge=1, le=65535)], ...] | None = Field(
        default=None, description="Exactly these of the scanned ports are open."
    )
    scan: tuple[Annotated[str, Field(pattern=r"^[0-9]{1,5}(-[0-9]{1,5})?$")], ...] = Field(
        default=("1-1024",), description="Ports that are tried besides: '8000-8100'."
    )
    files: dict[str, str] = Field(
        default={}, description="Path on the hosts → its mode: {/etc/app.ini: '0640'}."
    )
    timeout_seconds: Seconds = Field(default=120, description="How long all of it may take.")

    @model_validator(mode="after")
    def _sensible(self) -> SecurityForm:
        pages = self.headers or self.no_headers or self.no_pages or self.no_listings
        web = bool(pages or self.tls is not None or self.cookies is not None)
        if web and not self.url:
            raise Wrong(
                _("Headers, pages, cookies and TLS are of a service, and there is no url."),
                remedy=_("Say its url."),
            )
        if not (web or self.ports is not None or self.files):
            raise Wrong(
                _("This checks nothing."),
                remedy=_("Say at least one of tls, headers, no_pages, cookies, ports and files."),
            )
        for name, mode in self.files.items():
            if not _MODE.fullmatch(mode) or not name.startswith("/") or "{" in name:
                raise Wrong(
                    _("'{path}' and '{mode}' are no path and mode of a file.").format(
                        path=name, mode=mode
                    ),
                    "files",
                    name,
                    remedy=_("Write a whole path and four octal digits in quotes: '0640'."),
                )
        for index, text in enumerate(self.scan):
            found = _PORTS.fullmatch(text)
            low, high = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
            if not 1 <= low <= high <= 65535:
                raise Wrong(
                    _("'{text}' is no range of ports.").format(text=text),
                    "scan",
                    index,
                    remedy=_("Write it as '8000-8100', from 1 to 65535."),
                )
        return self


class StepForm(Form):
    """One thing to do: exactly one of these."""

    http: HttpForm | None = Field(default=None, description="Ask an address.")
    command: CommandForm | None = Field(default=None, description="Run a program.")
    pytest: PytestForm | None = Field(default=None, description="Run tests in Python.")
    playbook: Text | None = Field(
        default=None, description="A playbook, relative to the plan's file."
    )
    junit: JunitForm | None = Field(default=None, description="Read another program's report.")
    manual: ManualForm | None = Field(default=None, description="Ask a person.")
    security: SecurityForm | None = Field(
        default=None, description="Hold a service and a host to a baseline."
    )

    @model_validator(mode="after")
    def _one(self) -> StepForm:
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(given) != 1:
            raise Wrong(
                _(
                    "A step is exactly one of http, command, pytest, playbook, junit, manual and"
                    " security; this is {n}."
                ).format(n=len(given)),
                remedy=_("Write each of them as a step of its own, beginning with '- '."),
            )
        return self
