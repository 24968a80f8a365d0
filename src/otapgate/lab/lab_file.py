"""The form of lab.yml, and what is checked in it. Also for `otapgate schema lab`."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from otapgate.i18n import _
from otapgate.landscape.files import FileModel, Name, check_unique
from otapgate.landscape.model import Stage
from otapgate.landscape.sentences import Wrong

_HOST = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?\Z")
_ACCOUNT = re.compile(r"[a-z_][a-z0-9_-]{0,30}\Z")
_PATH = re.compile(r"(/[A-Za-z0-9_][A-Za-z0-9._-]*)+\Z")
NETWORK = ipaddress.ip_network("10.77.0.0/16")
"""Where addresses are given out; any other may be asked for."""


def check_host(value: str) -> str:
    """A name that is a host name as well."""
    if not _HOST.match(value) or value == "admin":
        raise Wrong(
            _("'{name}' can't be the name of a host in the lab.").format(name=value),
            remedy=_("Use small letters, digits and '-', at most 32; 'admin' is taken."),
        )
    return value


def check_account(value: str) -> str:
    """A name that useradd would take."""
    if not _ACCOUNT.match(value):
        raise Wrong(
            _("'{name}' can't be an account.").format(name=value),
            remedy=_("Use small letters, digits, '_' and '-', a letter first."),
        )
    return value


def check_path(value: str) -> str:
    """An absolute path on a host, without dots that lead elsewhere."""
    if not _PATH.match(value) or ".." in value.split("/"):
        raise Wrong(
            _("'{path}' can't be a path in the lab.").format(path=value),
            remedy=_("Write an absolute path of letters, digits, '.', '_' and '-'."),
        )
    return value


def check_address(value: str) -> str:
    """An IPv4 address that a host can have."""
    try:
        address = ipaddress.IPv4Address(value)
    except ValueError:
        address = ipaddress.IPv4Address(0)
    if (
        address.is_unspecified
        or address.is_loopback
        or address.is_multicast
        or (address.is_link_local or address.is_reserved)
    ):
        raise Wrong(
            _("'{address}' can't be the address of a host.").format(address=value),
            remedy=_("Write an IPv4 address such as 10.77.4.11."),
        )
    return value


HostName = Annotated[str, AfterValidator(check_host)]
AccountName = Annotated[str, AfterValidator(check_account)]
HostPath = Annotated[str, AfterValidator(check_path)]
Port = Annotated[int, Field(ge=1, le=65535)]


class AccountFile(FileModel):
    """Somebody who can log in on a host of the lab."""

    sudo: bool = Field(default=False, description="May do everything as root, without password.")
    password: bool = Field(
        default=False, description="Logging in by password works too; lab.json has it."
    )
    key: bool = Field(default=True, description="The lab's own key logs in.")
    keys: list[str] = Field(default=[], description="Further lines of authorized_keys.")
    groups: Annotated[list[AccountName], AfterValidator(check_unique)] = Field(
        default=[], description="Groups that it is in besides its own, made where they lack."
    )
    uid: Annotated[int, Field(ge=1000, le=60000)] | None = Field(
        default=None, description="Its number; left out, the next from 1000 on."
    )


class ServiceFile(FileModel):
    """A program that runs on a host from its start."""

    run: Annotated[list[str], Field(min_length=1)] = Field(
        description="The program and its arguments; there is no shell."
    )
    user: AccountName = Field(default="root", description="Who runs it.")
    ports: list[Port] = Field(
        default=[], description="TCP ports that the administrator's side reaches."
    )
    restart: bool = Field(default=False, description="Start it again when it ends.")


class HostFile(FileModel):
    """One host of the lab."""

    stage: Stage = Field(description="O development, T test, A acceptance, P production.")
    address: Annotated[str, AfterValidator(check_address)] | None = Field(
        default=None, description="IPv4 address; left out, the next of 10.77.STAGE.11 and on."
    )
    accounts: dict[AccountName, AccountFile | None] = Field(
        default={"deploy": AccountFile(sudo=True)},
        description="Who can log in; left out: deploy, with sudo.",
    )
    services: dict[Name, ServiceFile] = Field(default={}, description="What runs there.")
    ports: list[Port] = Field(
        default=[], description="Further TCP ports that the administrator's side reaches."
    )
    files: dict[HostPath, str] = Field(
        default={}, description="Files that are there from the start, with their content."
    )
    disk_mib: Annotated[int, Field(ge=8, le=1 << 20)] | None = Field(
        default=None, description="How much can be written there; left out, as memory allows."
    )


class HoleFile(FileModel):
    """A way from one host to another that the firewall lets through."""

    source: HostName = Field(alias="from", description="The host that connects.")
    target: HostName = Field(alias="to", description="The host that answers.")
    port: Port | None = Field(default=None, description="TCP port; left out, everything.")


class ShareFile(FileModel):
    """Something that hosts have in common though they shouldn't."""

    what: Literal["host-key", "machine-id", "folder"] = Field(description="What they share.")
    hosts: Annotated[list[HostName], AfterValidator(check_unique), Field(min_length=2)] = Field(
        description="The hosts; the first one's is what all have."
    )
    path: HostPath | None = Field(default=None, description="Where, for a folder.")

    @model_validator(mode="after")
    def _placed(self) -> ShareFile:
        if (self.what == "folder") != (self.path is not None):
            raise Wrong(
                _("A shared folder has a path, and nothing else has."),
                "path",
                remedy=_("Write the path of the folder on the hosts, or take it out."),
            )
        return self


class LabFile(FileModel):
    """`lab.yml`: hosts on this machine to try things out on."""

    hosts: Annotated[dict[HostName, HostFile], Field(min_length=1, max_length=120)] = Field(
        description="Every host by name."
    )
    reach: list[HoleFile] = Field(
        default=[], description="Holes in the firewall, which lets nothing through between stages."
    )
    shares: list[ShareFile] = Field(default=[], description="What hosts have in common.")
    refuse: Literal["drop", "reject"] = Field(
        default="drop", description="Whether the firewall keeps silent or says no."
    )

    @model_validator(mode="after")
    def _known(self) -> LabFile:
        for index, hole in enumerate(self.reach):
            for key, name in (("from", hole.source), ("to", hole.target)):
                self._there(name, "reach", index, key)
        for index, share in enumerate(self.shares):
            for place, name in enumerate(share.hosts):
                self._there(name, "shares", index, "hosts", place)
        taken: dict[str, str] = {}
        for name, host in self.hosts.items():
            if host.address is not None and taken.setdefault(host.address, name) != name:
                raise Wrong(
                    _("{one} and {other} have the same address.").format(
                        one=taken[host.address], other=name
                    ),
                    "hosts", name, "address",
                    remedy=_("Give one of them another."),
                )  # fmt: skip
        return self

    def _there(self, name: str, *at: str | int) -> None:
        if name not in self.hosts:
            raise Wrong(
                _("There is no host {name} in the lab.").format(name=name),
                *at,
                remedy=_("One of: {names}.").format(names=", ".join(self.hosts)),
            )


DEFAULT = """\
# yaml-language-server: $schema=.otapgate/schema/lab.json
hosts:
  t1: {stage: T}
  a1: {stage: A}
  p1: {stage: P}
  p2: {stage: P}
  p3: {stage: P}
"""
"""One host a stage, and three in production, so that some of them can fail."""
