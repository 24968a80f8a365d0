"""The steps of a test plan, as they are kept: what is done and when it has passed.

Values only; how each is written in a file is in `step_forms`, doing them in `steps`.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from otapgate.landscape.model import Value


class Load(Value, frozen=True):
    """Many requests, and how long they may take."""

    requests: int
    concurrency: int = 1
    warm_up: int = 0
    """Requests beforehand, which count for nothing."""
    limits_ms: dict[str, int] = {}  # noqa: RUF012 - msgspec gives each its own
    """`p50`, `p95`, `p99` or `max` → milliseconds."""
    errors_percent: int = 0
    """How many in a hundred may be errors: no answer, or not the one that was asked for."""


class HttpStep(Value, frozen=True, tag="http", tag_field="step"):
    """An address that must answer as said; texts are templates."""

    url: str
    method: str = "GET"
    headers: dict[str, str] = {}  # noqa: RUF012 - msgspec gives each its own
    body: str = ""
    status: int = 200
    contains: str | None = None
    json: dict[str, Any] | None = None
    budget_ms: int | None = None
    repeat: int = 1
    percentile: int = 95
    timeout_seconds: int = 10
    host: str = ""
    load: Load | None = None


class CommandStep(Value, frozen=True, tag="command", tag_field="step"):
    """A program that must end as said; arguments are templates."""

    argv: tuple[str, ...]
    exit: int = 0
    contains: str | None = None
    timeout_seconds: int = 60
    host: str = ""


class PytestStep(Value, frozen=True, tag="pytest", tag_field="step"):
    """Tests of the bundle that must all pass."""

    path: str
    select: str = ""
    timeout_seconds: int = 600
    testinfra: bool = False
    """They look at the environment's hosts with testinfra."""


class PlaybookStep(Value, frozen=True, tag="playbook", tag_field="step"):
    """A playbook of the bundle that must succeed on the environment's hosts."""

    path: str


class JunitStep(Value, frozen=True, tag="junit", tag_field="step"):
    """A report of another program, in which every test must have passed."""

    file: str = ""
    """Below the case's folder for results, written there by a command of the case."""
    attach: str = ""
    """The name under which it is handed in with the run."""
    min_tests: int = 1
    skipped: bool = False
    """Whether tests that were passed over are put up with."""


class ManualStep(Value, frozen=True, tag="manual", tag_field="step"):
    """A question that a person answers."""

    id: str
    question: str
    instructions: str = ""
    attachments: int = 0
    """How many files must come with a `passed`."""


class Tls(Value, frozen=True):
    """What the service's TLS must be."""

    minimum: str = "1.2"
    days_left: int = 30
    """How long the certificate must still be valid."""
    ca: str = ""
    """Certificates (PEM, a file of the plan) to trust instead of the system's."""


class Cookies(Value, frozen=True):
    """What every cookie that the service sets must say."""

    secure: bool = True
    http_only: bool = True
    same_site: bool = True


class SecurityStep(Value, frozen=True, tag="security", tag_field="step"):
    """A baseline for a service and a host; every departure is a finding."""

    url: str = ""
    tls: Tls | None = None
    headers: dict[str, str] = {}  # noqa: RUF012
    """Name → what must stand in it; "" only asks that it is there."""
    no_headers: tuple[str, ...] = ()
    no_pages: tuple[str, ...] = ()
    """Paths that must not answer with a page."""
    no_listings: tuple[str, ...] = ()
    """Paths of folders whose contents must not be listed."""
    cookies: Cookies | None = None
    host: str = ""
    ports: tuple[int, ...] | None = None
    """Exactly these of the scanned ones are open."""
    scan: tuple[str, ...] = ()
    """Ports that are tried: `22`, `1-1024`."""
    files: dict[str, str] = {}  # noqa: RUF012
    """Path on the hosts → its mode in octal digits: `0640`."""
    timeout_seconds: int = 120


Step: TypeAlias = (
    HttpStep | CommandStep | PytestStep | PlaybookStep | JunitStep | ManualStep | SecurityStep
)
