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


class Form(BaseModel):
    """Base: unknown keys are errors, values don't change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ArtifactForm(Form):
    """Files that belong to the release: one file, a folder or a glob."""

    path: Text = Field(description="Relative to the release file; *, ? and ** match names.")
    as_: Text | None = Field(
        None, alias="as", description="Where it lands below artifacts/, instead of at its path."
    )
    sha256: str | None = Field(
        None,
        pattern=r"^(sha256:)?[0-9a-f]{64}$",
        description="What the file must be, for a file that somebody else made.",
    )


def _expand(value: Any) -> Any:
    return {"path": value} if isinstance(value, str) else value


class DatabaseForm(Form):
    """A database that must come back after a rollback."""

    url: Text
    ignore: tuple[Text, ...] = ()


class HttpForm(Form):
    """An address that must answer as before after a rollback."""

    url: Text
    method: Literal["GET", "POST"] = "GET"
    body: str = ""
    content_type: str = ""
    compare: Literal["status", "body"] = "status"


def _as_text(value: Any) -> Any:
    # A port may be written as a number; inside it is a template, so text.
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


class StateForm(Form):
    """What must be as it was after a rollback."""

    paths: tuple[Text, ...] = ()
    exclude: tuple[Text, ...] = ()
    databases: tuple[DatabaseForm, ...] = ()
    http: tuple[HttpForm, ...] = ()
    ports: tuple[Annotated[str, BeforeValidator(_as_text), Field(min_length=1)], ...] = ()


class InstallForm(Form):
    """A place on every host that must hold exactly what the release says."""

    root: Text
    kind: Literal["files", "wheels"]
    source: Text = Field(description="Folder in the release, such as artifacts/wheels.")
    ignore: tuple[Text, ...] = ()


class ReleaseFileModel(Form):
    """A release file: what is built, and what must hold once it is deployed."""

    app: Name
    version: Version = Field(description="In quotes, or 3.10 would be read as a number.")
    street: Name
    artifacts: tuple[Annotated[ArtifactForm, BeforeValidator(_expand)], ...] = ()
    playbooks: Text = Field(description="Folder with deploy.yml, verify.yml and rollback.yml.")
    variables: dict[str, Any] = {}
    plans: tuple[Name, ...] = Field((), description="Names of the test plans that cover it.")
    state: StateForm = StateForm()
    installs: tuple[InstallForm, ...] = ()

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
