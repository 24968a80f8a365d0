"""The form of a release file, for validation and for `otapgate schema release`.

Pydantic models only; what they become is in `read.py`. Not imported at start, because
pydantic takes its time to load.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from otapgate.i18n import _
from otapgate.landscape.sentences import Wrong

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
"""A name that can stand in a path and a command: lower case, digits, `.`, `_`, `-`."""
Version = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+!~-]{0,62}$")]
Text = Annotated[str, Field(min_length=1)]

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_RESERVED = ("ansible_", "otapgate_")
DATABASES = ("sqlite", "postgresql", "mariadb", "mysql")
_WITH_PASSWORD = re.compile(r"^[^/@{]*:[^/@]*@|[?&]password=")


class Form(BaseModel):
    """Base: unknown keys are errors, values don't change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ArtifactForm(Form):
    """Files that belong to the release: one file, a folder or a glob."""

    path: Text = Field(description="Relative to the release file; *, ? and ** match names.")
    as_: Text | None = Field(
        default=None,
        alias="as",
        description="Where it lands below artifacts/, instead of at its path.",
    )
    sha256: str | None = Field(
        default=None,
        pattern=r"^(sha256:)?[0-9a-f]{64}$",
        description="What the file must be, for a file that somebody else made.",
    )


def _expand(value: Any) -> Any:
    return {"path": value} if isinstance(value, str) else value


Artifact = Annotated[
    ArtifactForm, BeforeValidator(_expand, json_schema_input_type=Text | ArtifactForm)
]


class DatabaseForm(Form):
    """A database that must come back after a rollback: its schema and all rows."""

    url: Text = Field(
        description="A template, such as sqlite:///{{ database }}, "
        "postgresql://user@host/name or mariadb://user@host/name."
    )
    password: str = Field(
        default="",
        pattern=r"^([A-Za-z_][A-Za-z0-9_]*)?$",
        description="Name of the environment's secret that is the password.",
    )
    ignore: tuple[Text, ...] = Field(
        default=(), description="Tables that may differ (* and ? match): sessions, logs, caches."
    )

    @field_validator("url")
    @classmethod
    def _url(cls, value: str) -> str:
        kind, slashes, rest = value.partition("://")
        if value.startswith("{{"):
            return value
        if kind not in DATABASES or not slashes:
            raise Wrong(
                _("'{url}' is no database that can be compared.").format(url=value),
                remedy=_("Begin with one of: {kinds}.").format(
                    kinds=", ".join(f"{one}://" for one in DATABASES)
                ),
            )
        if _WITH_PASSWORD.search(rest):
            raise Wrong(
                _("A database's URL may hold no password."),
                remedy=_("Take it out, and name the environment's secret as 'password:'."),
            )
        return value


class HttpForm(Form):
    """An address that must answer as before after a rollback."""

    url: Text = Field(description="A template over the environment's variables.")
    method: Literal["GET", "POST"] = Field(default="GET", description="How it is asked.")
    body: str = Field(default="", description="What is sent along.")
    content_type: str = Field(
        default="", description="Of what kind that is, such as application/json."
    )
    compare: Literal["status", "body"] = Field(
        default="status", description="What must be the same: the status, or the body as well."
    )


def _as_text(value: Any) -> Any:
    # A port may be written as a number; inside it is a template, so text.
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Port = Annotated[
    str, BeforeValidator(_as_text, json_schema_input_type=Text | int), Field(min_length=1)
]


class StateForm(Form):
    """What must be as it was after a rollback. Texts are templates over the environment's
    variables."""

    paths: tuple[Text, ...] = Field(
        default=(),
        description="Files, links and folders, compared bit for bit with mode and owner.",
    )
    exclude: tuple[Text, ...] = Field(
        default=(),
        description="Patterns below those paths that may differ: logs, pid files, caches.",
    )
    databases: tuple[DatabaseForm, ...] = Field(
        default=(), description="Databases, compared by content."
    )
    http: tuple[HttpForm, ...] = Field(
        default=(), description="Addresses that must answer as before."
    )
    ports: tuple[Port, ...] = Field(
        default=(), description="TCP ports on the host that must be open, or closed, as they were."
    )
    services: tuple[Text, ...] = Field(
        default=(), description="Units of systemd: their state, and the files that define them."
    )
    packages: tuple[Text, ...] = Field(
        default=(),
        description="The system's packages (* and ? match) that must be there as they were.",
    )
    surroundings: bool = Field(
        default=True,
        description="Compare what nobody declared too: scheduled jobs, units, accounts, sudo "
        "rules, package sources, listening ports.",
    )


class InstallForm(Form):
    """A place on every host that must hold exactly what the release says (CH06-09)."""

    root: Text = Field(description="Folder on the host, a template.")
    kind: Literal["files", "wheels"] = Field(
        description="files: the tree below source, byte for byte. wheels: a virtual environment "
        "that holds exactly the wheels below source."
    )
    source: Text = Field(description="Folder in the release, such as artifacts/wheels.")
    ignore: tuple[Text, ...] = Field(
        default=(), description="Patterns below root that are nobody's business: caches, logs."
    )


class ReleaseFileModel(Form):
    """A release file: what is built, and what must hold once it is deployed."""

    app: Name = Field(description="The application's name.")
    version: Version = Field(description="In quotes, or 3.10 would be read as a number.")
    street: Name = Field(description="The street that it moves through.")
    artifacts: tuple[Artifact, ...] = Field(
        default=(), description="The application's files; a bare text is a path."
    )
    playbooks: Text = Field(description="Folder with deploy.yml, verify.yml and rollback.yml.")
    variables: dict[str, Any] = Field(
        default={},
        description="Values for the playbooks; the environment's go before them. No secrets.",
    )
    plans: tuple[Name, ...] = Field(
        default=(), description="Names of the test plans that cover it."
    )
    state: StateForm = Field(
        default=StateForm(), description="What must be as it was after a rollback."
    )
    installs: tuple[InstallForm, ...] = Field(
        default=(), description="What the hosts must hold: exactly this, nothing else."
    )

    @field_validator("variables")
    @classmethod
    def _variables(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name in value:
            if _VARIABLE.match(name) is None:
                raise Wrong(
                    _("'{name}' can't be the name of a variable.").format(name=name),
                    name,
                    remedy=_("Use letters, digits and '_', and begin with a letter."),
                )
            if name.startswith(_RESERVED):
                raise Wrong(
                    _("'{name}' is not for a release to set.").format(name=name),
                    name,
                    remedy=_(
                        "Variables that begin with ansible_ or otapgate_ belong to the "
                        "environment and to otapgate; choose another name."
                    ),
                )
        return value

    @field_validator("plans")
    @classmethod
    def _plans(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for index, name in enumerate(value):
            if name in value[:index]:
                raise Wrong(
                    _("'{name}' stands here twice.").format(name=name),
                    index,
                    remedy=_("Delete one of the two."),
                )
        return value
