"""The form of the files that make up a landscape, as pydantic models.

One model a file: `otapgate.yml`, `policy.yml`, `calendar.yml`, `environments/*.yml`. They
check what one value can tell; what takes several values or files is checked in `read.py`.
Descriptions end up in the JSON Schema that editors use and in the reference.
"""

from __future__ import annotations

import datetime as dt
import difflib
import re
import zoneinfo
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from otapgate.i18n import _
from otapgate.landscape import security
from otapgate.landscape.model import DataClass, Level, Priority, Role, Severity, Stage, TestKind
from otapgate.landscape.security import check_unique as check_unique  # noqa: PLC0414 - for others
from otapgate.landscape.sentences import Wrong
from otapgate.landscape.yaml_positions import shown


class FileModel(BaseModel):
    """Base: what isn't known is an error, and nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}\Z")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}\Z")
_SECRET = re.compile(r"passw|passwd|passphrase|secret|token|private_?key|become_pass|ssh_pass",
                     re.IGNORECASE)  # fmt: skip
_FILE = re.compile(r"_(file|path|dir)\Z")
_REFERENCE = re.compile(r"\{\{ *[A-Za-z_][A-Za-z0-9_]* *\}\}")
PASSWORDS = ("ansible_password", "ansible_become_password")
_ORIGIN = re.compile(r"[a-z0-9][a-z0-9.-]*(/[A-Za-z0-9._~-]+)*\Z")


def check_name(value: str) -> str:
    """A name that is safe as part of a path, an Ansible inventory and a command."""
    if not _NAME.match(value):
        raise Wrong(
            _("'{name}' can't be a name.").format(name=shown(value)),
            remedy=_("Use letters, digits, '.', '_' and '-', at most 63, a letter or digit first."),
        )
    return value


def check_text(value: str) -> str:
    """One line of text, neither empty nor with invisible characters in it."""
    if not value.strip():
        raise Wrong(_("This is empty."), remedy=_("Fill it in."))
    if value != value.strip() or not value.isprintable():
        raise Wrong(
            _("This must be one line of text without spaces around it."),
            remedy=_("Take out line breaks, odd characters and spaces at the ends."),
        )
    return value


def check_timezone(value: str) -> str:
    """A time zone that this machine's IANA database knows."""
    try:
        zoneinfo.ZoneInfo(value)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        known = sorted(zoneinfo.available_timezones())
        close = difflib.get_close_matches(value.title(), known, n=1) or ["Europe/Amsterdam"]
        raise Wrong(
            _("'{zone}' is not a time zone.").format(zone=shown(value)),
            remedy=_("Did you mean '{name}'?").format(name=close[0]),
        ) from None
    return value


def check_origin(value: str) -> str:
    """A ledger's name: a host name that is yours, and a path."""
    if not _ORIGIN.match(value) or len(value) > 200:
        raise Wrong(
            _("'{name}' can't be the ledger's name.").format(name=shown(value)),
            remedy=_("Write a domain name of your own and a path: otapgate.example/de-linde."),
        )
    return value


def check_ledger(value: str) -> str:
    """A path, or a database URL without a password in it."""
    if "://" in value:
        try:
            password = urlsplit(value).password
        except ValueError:
            raise Wrong(
                _("This is not a database URL."), remedy=_("Write postgresql://host/name.")
            ) from None
        if password is not None:
            raise Wrong(
                _("A password stands in the ledger's URL."),
                remedy=_("Take it out, and keep it in a password file (PGPASSFILE)."),
            )
    return check_text(value)


def check_variables(value: dict[str, Any]) -> dict[str, Any]:
    """Names that Ansible takes as variables, and none that otapgate sets itself; and no
    secret written out: the landscape is shared, and each decision keeps a copy of it."""
    for name in value:
        if not _VARIABLE.match(name):
            raise Wrong(
                _("'{name}' can't be the name of a variable.").format(name=shown(name)),
                name,
                remedy=_("Use letters, digits and '_', and don't begin with a digit."),
            )
        if name.startswith("otapgate_") and name != "otapgate_snapshot_root":
            raise Wrong(
                _("'{name}' is set by otapgate itself.").format(name=shown(name)),
                name,
                remedy=_("Give the variable another name."),
            )
    found = _secret(value)
    if found is not None:
        raise Wrong(
            _("'{name}' looks like a secret, and its value stands in the file.").format(
                name=shown(str(found[-1]))
            ),
            *found,
            remedy=_("Take the value out, and put the variable's name below 'secrets:'."),
        )
    return value


def _secret(value: Any, secret: bool = False) -> tuple[str | int, ...] | None:
    """Where below `value` a secret is written out: some text or number below a name that
    speaks of one. Naming another variable isn't writing it out, nor is naming a file."""
    if isinstance(value, dict):
        for name, inner in value.items():
            speaks = _SECRET.search(str(name)) and not _FILE.search(str(name))
            found = _secret(inner, secret or bool(speaks))
            if found is not None:
                return (name, *found)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            found = _secret(inner, secret)
            if found is not None:
                return (index, *found)
    elif secret and not isinstance(value, bool) and value not in (None, ""):
        return None if _REFERENCE.fullmatch(str(value)) else ()
    return None


def check_secrets(value: list[str]) -> list[str]:
    """Names of variables, and of Ansible's own only those that are passwords: a secret
    comes before every other variable, so it must not say where a playbook goes."""
    check_variables(dict.fromkeys(value))
    for index, name in enumerate(value):
        if name.startswith("ansible_") and name not in PASSWORDS:
            raise Wrong(
                _("'{name}' can't be a secret.").format(name=shown(name)),
                index,
                remedy=_("Of Ansible's own variables only: {names}.").format(
                    names=", ".join(PASSWORDS)
                ),
            )
    return check_unique(value)


def check_date(value: str) -> str:
    """An ISO 8601 date."""
    try:
        if len(value) != 10:
            raise ValueError
        day = dt.date.fromisoformat(value)
    except ValueError:
        raise Wrong(
            _("'{text}' is not a date.").format(text=shown(value)),
            remedy=_("Write it as 2026-01-31."),
        ) from None
    _near(day.year, value)
    return value


def _near(year: int, value: str) -> None:
    """Years that somebody can mean; a slip of the pen, and the ends of the calendar,
    where reckoning with zones goes wrong, aren't among them."""
    if not 2000 <= year < 2200:
        raise Wrong(
            _("'{text}' is too far away.").format(text=shown(value)), remedy=_("Check the year.")
        )


def check_moment(value: str) -> str:
    """An ISO 8601 date, or a time with a zone."""
    if len(value) <= 10:
        return check_date(value)
    try:
        moment = dt.datetime.fromisoformat(value)
        if moment.utcoffset() is None:
            raise ValueError
    except ValueError:
        raise Wrong(
            _("'{text}' is not a date, nor a time with zone.").format(text=shown(value)),
            remedy=_("Write it as 2026-01-31 or 2026-01-31T18:00:00+01:00."),
        ) from None
    _near(moment.year, value)
    return value


Name = Annotated[str, AfterValidator(check_name)]
Text = Annotated[str, AfterValidator(check_text), Field(max_length=500)]
Variables = Annotated[dict[str, Any], AfterValidator(check_variables)]
Moment = Annotated[str, AfterValidator(check_moment)]
Date = Annotated[str, AfterValidator(check_date)]
Days = Annotated[int, Field(ge=1, le=3660)]
Roles = Annotated[list[Role], AfterValidator(check_unique)]


_FAULTS = re.compile(r"none\Z|all\Z|sample:[1-9][0-9]{0,3}\Z")


def check_faults(value: str) -> str:
    """Where a rehearsal cuts the deployment short."""
    if not _FAULTS.match(value):
        raise Wrong(
            _("'{text}' doesn't say where the deployment is cut.").format(text=shown(value)),
            remedy=_("Write none, all, or sample:5 for five of its tasks."),
        )
    return value


class LandscapeFile(FileModel):
    """`otapgate.yml`: the root of a landscape."""

    version: Literal[1] = Field(description="Version of the file formats: 1.")
    name: Text = Field(description="The organisation or service that this landscape is of.")
    language: Literal["nl", "en"] = Field(
        default="en", description="Language of messages and pages."
    )
    timezone: Annotated[str, AfterValidator(check_timezone)] = Field(
        default="Europe/Amsterdam", description="IANA time zone in which dates and times are shown."
    )
    origin: Annotated[str, AfterValidator(check_origin)] = Field(
        description="The ledger's name, unique in the world: otapgate.example/de-linde."
    )
    ledger: Annotated[str, AfterValidator(check_ledger)] = Field(
        default=".otapgate/ledger.sqlite",
        description="Where the ledger is: a path below the landscape, or a database URL.",
    )


class DataFile(FileModel):
    """What data may live in an environment (CH04-07)."""

    data_class: DataClass | None = Field(
        default=None,
        alias="class",
        description="none, synthetic, anonymised or production. Production has 'production' "
        "and nothing else may; left out it is 'production' for P and 'none' elsewhere.",
    )
    max_age_days: Days = Field(
        default=90,
        description="How many days a loaded dataset may stay before it is renewed or deleted.",
    )


class EnvironmentFile(security.SecurityFile):
    """One environment of a street."""

    stage: Stage = Field(description="O development, T test, A acceptance, P production.")
    name: Name | None = Field(
        default=None,
        description="Unique in the landscape; left out it is STREET-STAGE, such as agenda-T.",
    )
    owner: Text = Field(description="Full name of the owner, as enrolled (CH04-06).")
    hosts: dict[Name, Variables | None] = Field(
        min_length=1,
        description="The machines: host name, and below it the Ansible variables of that host, "
        "such as ansible_host and ansible_connection.",
    )
    data: DataFile = Field(
        default_factory=DataFile, description="What data may live here (CH04-07)."
    )
    variables: Variables = Field(
        default={}, description="Ansible variables of every host of this environment. No secrets."
    )
    secrets: Annotated[list[str], AfterValidator(check_secrets)] = Field(
        default=[],
        description="Names of variables whose values are kept in the folder OTAPGATE_SECRETS.",
    )
    access: dict[Name, Roles | security.AccountFile] = Field(
        default={},
        description="Account on the hosts, and the roles that may use it; or below it roles, "
        "sudo and keys (CH04-05).",
    )
    network: str = Field(
        default="", description="The network it is in, and how that is kept apart."
    )
    retention_days: Days = Field(
        default=365, description="How many days results of tests here are kept (CH05-06)."
    )

    @model_validator(mode="after")
    def _once(self) -> EnvironmentFile:
        given = set(self.variables).union(*(variables or {} for variables in self.hosts.values()))
        for index, name in enumerate(self.secrets):
            if name in given:
                raise Wrong(
                    _("'{name}' is a secret and a variable with a value.").format(name=name),
                    "secrets",
                    index,
                    remedy=_("Delete one of the two."),
                )
        return self


class StreetFile(FileModel):
    """`environments/STREET.yml`: the environments that one application moves through."""

    street: Name = Field(description="The street's name, unique in the landscape.")
    title: Text | None = Field(default=None, description="What people call it.")
    environments: list[EnvironmentFile] = Field(
        min_length=2, description="In order of stage; P is last, at least one stands before it."
    )


class AgesFile(FileModel):
    """How old evidence may be, in days."""

    tests: Days = Field(default=30, description="Test runs.")
    rehearsal: Days = Field(default=30, description="Rehearsals of the rollback.")
    acceptance: Days = Field(default=30, description="Acceptance and sign-offs.")
    probes: Days = Field(default=30, description="Probes of the environments.")


class RuleFile(FileModel):
    """A rule of the gate whose severity the board sets, and who answers for that."""

    severity: Severity = Field(description="block, warn or off.")
    because: Text | None = Field(default=None, description="Why; compulsory for warn and off.")
    owner: Text | None = Field(
        default=None, description="Who answers for it; compulsory for warn and off."
    )
    until: Date | None = Field(
        default=None,
        description="From this day on the rule's own severity holds; compulsory for off.",
    )


class PolicyFile(FileModel):
    """`policy.yml`: what the board chooses within the norms."""

    matrix: dict[Level, dict[Level, Priority]] = Field(
        description="Priority by impact and then urgency, all nine of them (CH02-01, CH02-05)."
    )
    authorisation: dict[Priority, dict[Role, Annotated[int, Field(ge=1, le=50)]]] = Field(
        description="By priority: how many different people of which role must authorise."
    )
    sensitive_authorisation: Roles = Field(
        default=["ibp-officer"],
        description="Roles that authorise too when a change touches security or privacy (IBP-1).",
    )
    sign_off: dict[Stage, Roles] = Field(
        default={}, description="Which roles sign off before a release enters that stage."
    )
    test_kinds: dict[Priority, Annotated[list[TestKind], AfterValidator(check_unique)]] = Field(
        default={}, description="What a test plan covers at least, by priority (CH05-04)."
    )
    rehearsal: dict[Priority, Annotated[str, AfterValidator(check_faults)]] = Field(
        default={},
        description="By priority: at which tasks a rehearsal cuts the deployment short at least: "
        "none, sample:N or all (CH05-07). Left out: none.",
    )
    max_age_days: AgesFile = Field(default_factory=AgesFile, description="How old evidence may be.")
    representativeness: Annotated[int, Field(ge=0, le=100)] = Field(
        default=80,
        description="How much of production's make-up T and A must have, in percent (CH04-03).",
    )
    rules: dict[Name, RuleFile] = Field(
        default={}, description="Rules of the gate, by code (OG301) or name, with another severity."
    )


class FreezeFile(FileModel):
    """A period in which only emergencies go to production (FRZ-1)."""

    name: Text = Field(description="What people call it: exams, test week.")
    start: Moment = Field(description="First day, or time with zone.")
    end: Moment = Field(
        description="Last day (that whole day included), or the time with zone at which it is over."
    )
    streets: Annotated[list[Name], AfterValidator(check_unique)] = Field(
        default=[], description="The streets it holds for; left out: all of them."
    )


class CalendarFile(FileModel):
    """`calendar.yml`: when nothing may change."""

    freezes: list[FreezeFile] = Field(default=[], description="Periods without changes.")
