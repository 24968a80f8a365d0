"""How the machine is reached that works for otapgate near an environment's hosts: the form
of that part of the environment's file."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from otapgate.i18n import _
from otapgate.landscape.model import Receptor, Worker
from otapgate.landscape.sentences import Wrong
from otapgate.landscape.yaml_positions import shown

_NODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}\Z")
_PASSWORD = re.compile(r"(passw|passphrase|secret|token)[\w-]*=", re.IGNORECASE)


def check_command(value: list[str]) -> list[str]:
    """A program and its arguments: no line for a shell, and no password among them."""
    for index, word in enumerate(value):
        if not word or not word.isprintable():
            raise Wrong(
                _("This can't be a word of a command."),
                index,
                remedy=_("Take out what is empty, line breaks and odd characters."),
            )
        if _PASSWORD.search(word) or word.rpartition("/")[2] == "sshpass":
            raise Wrong(
                _("A password in a command can be seen by everybody on the machine."),
                index,
                remedy=_("Log in with a key, from an agent or a file."),
            )
    if " " in value[0]:
        raise Wrong(
            _("'{text}' is a line for a shell, and none is used.").format(text=shown(value[0])),
            0,
            remedy=_("Write a list: [ssh, -T, worker@school.example, otapgate, worker]."),
        )
    return value


def check_node(value: str) -> str:
    """The id of a node, or the name of a type of work."""
    if not _NODE.match(value):
        raise Wrong(
            _("'{name}' can't be a name in Receptor.").format(name=shown(value)),
            remedy=_("Write it as Receptor's own configuration has it."),
        )
    return value


def check_socket(value: str) -> str:
    """The path of a socket on otapgate's machine."""
    if not value.startswith("/") or not value.isprintable():
        raise Wrong(
            _("'{text}' is not the path of a socket.").format(text=shown(value)),
            remedy=_("Write the filename of the control-service: /run/receptor/otapgate.sock."),
        )
    return value


Node = Annotated[str, AfterValidator(check_node)]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ReceptorFile(_File):
    """A node of a Receptor mesh."""

    socket: Annotated[str, AfterValidator(check_socket)] = Field(
        description="Control socket of the Receptor on otapgate's own machine."
    )
    node: Node = Field(description="Id of the node near the hosts.")
    work_type: Node = Field(
        default="otapgate", description="What that node calls its work-command `otapgate worker`."
    )


class WorkerFile(_File):
    """The machine near the hosts on which Ansible runs: `command` or `receptor`."""

    command: (
        Annotated[list[str], Field(min_length=1, max_length=50), AfterValidator(check_command)]
        | None
    ) = Field(
        default=None,
        description="Program and arguments that start `otapgate worker` there, such as "
        "[ssh, -T, worker@school.example, otapgate, worker]. No shell reads it here.",
    )
    receptor: ReceptorFile | None = Field(
        default=None, description="A node of a Receptor mesh, instead of a command."
    )

    @model_validator(mode="after")
    def _one(self) -> WorkerFile:
        if (self.command is None) == (self.receptor is None):
            raise Wrong(
                _("A worker is reached by a command or by Receptor: exactly one of them."),
                remedy=_("Write a list: [ssh, -T, worker@school.example, otapgate, worker]."),
            )
        return self

    def value(self) -> Worker:
        """The same as a value of the landscape."""
        mesh = self.receptor
        return Worker(
            command=tuple(self.command or ()),
            receptor=None if mesh is None else Receptor(mesh.socket, mesh.node, mesh.work_type),
        )
