"""What a lab is to be, worked out to the last address: handed to the supervisor as JSON.

Values only, and msgspec's, because the supervisor must start fast.
"""

from __future__ import annotations

import msgspec


class Value(msgspec.Struct, forbid_unknown_fields=True):
    """Base of what stands here."""


class Account(Value, kw_only=True):
    """Somebody who can log in on a host."""

    uid: int
    sudo: bool = False
    groups: list[str] = []
    keys: list[str] = []
    """Lines of ~/.ssh/authorized_keys."""
    shadow: str = "*"
    """The hashed password; * for none, with which logging in by key goes on."""
    shell: str = "/bin/bash"


class Service(Value, kw_only=True):
    """A program that runs on a host from its start."""

    name: str
    run: list[str]
    user: str = "root"
    restart: bool = False


class Host(Value, kw_only=True):
    """One machine of the lab."""

    name: str
    stage: str
    address: str
    machine_id: str
    host_key: str
    """Private, in OpenSSH's form."""
    host_key_public: str
    accounts: dict[str, Account]
    services: list[Service] = []
    ports: list[int] = []
    """TCP ports, besides 22, that the administrator's side reaches."""
    files: dict[str, str] = {}
    """Path on the host to content."""
    disk_mib: int = 0
    """Size of everything that is written on it; 0 means no limit but the machine's memory."""


class Hole(Value, kw_only=True):
    """A way through the firewall, or when cut, no way."""

    source: str
    target: str
    port: int = 0
    """0 means every port and protocol."""


class Share(Value, kw_only=True):
    """A folder that several hosts see the same."""

    path: str
    hosts: list[str]


class Plan(Value, kw_only=True):
    """A whole lab."""

    id: str
    folder: str
    admin: str
    """The administrator's address."""
    gateway: str
    hosts: list[Host]
    holes: list[Hole] = []
    shares: list[Share] = []
    refuse: str = "drop"
    """What the firewall does with what it lets not through: drop or reject."""
    layers: list[str] = []
    """Folders of unpacked packages, the first one over the others."""
    ip: str
    nft: str
    library_path: str
    mapped: bool = False
    """In a user namespace, so that nobody here is root on the machine."""


ADMIN = "admin"
"""The administrator's side among sources and targets of holes."""
