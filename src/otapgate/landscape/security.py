"""How an environment's hosts are known and kept apart: the form of that part of its file.

Host keys, ports, names, mail relays, databases, accounts and declared differences; what
the probes compare the hosts with. Checked here as far as one value can tell.
"""

from __future__ import annotations

import base64
import binascii
import re
import shlex
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from otapgate.i18n import _
from otapgate.landscape.database_urls import SCHEMES
from otapgate.landscape.model import ASPECTS, Aspect, Role
from otapgate.landscape.sentences import Wrong
from otapgate.landscape.worker_file import WorkerFile
from otapgate.landscape.yaml_positions import shown

KEY_TYPES = (
    "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa",
)  # fmt: skip
_DNS = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?"
                  r"(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?\Z")  # fmt: skip
_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}\Z")
_WEAKENING = re.compile(
    r"(stricthostkeychecking|userknownhostsfile|globalknownhostsfile|knownhostscommand"
    r"|hostkeyalias|verifyhostkeydns|nohostauthenticationforlocalhost|updatehostkeys)",
    re.IGNORECASE,
)
_ARGUMENTS = ("ansible_ssh_common_args", "ansible_ssh_extra_args", "ansible_sftp_extra_args",
              "ansible_scp_extra_args")  # fmt: skip
_FORBIDDEN = ("ansible_ssh_args", "ansible_host_key_checking", "ansible_ssh_host_key_checking",
              "ansible_paramiko_host_key_checking",
              "ansible_netconf_host_key_checking")  # fmt: skip
_CERTIFICATES = ("ansible_winrm_server_cert_validation", "ansible_psrp_cert_validation",
                 "ansible_httpapi_validate_certs")  # fmt: skip
_UNCHECKED = ("ignore", "false", "no", "off", "0", "none")


def check_host_key(value: str) -> str:
    """A line `type base64` of an SSH host key, comment left out; certificates are no keys."""
    parts = value.split()
    try:
        blob = base64.b64decode(parts[1].encode("ascii"), validate=True)
        size = int.from_bytes(blob[:4], "big")
        named = blob[4 : 4 + size].decode("ascii")
    except (IndexError, ValueError, binascii.Error):
        named = ""
    if not named or parts[0] not in KEY_TYPES or parts[0] != named or len(blob) <= 4 + size:
        raise Wrong(
            _("This is not the public part of an SSH host key."),
            remedy=_("Write type and base64, as 'otapgate env pin' prints them: {types}.").format(
                types=", ".join(KEY_TYPES)
            ),
        )
    return " ".join(parts[:2])


def check_host_name(value: str) -> str:
    """A DNS name or an IP address."""
    if not _DNS.match(value) and not re.fullmatch(r"[0-9A-Fa-f:.]{2,45}", value):
        raise Wrong(
            _("'{name}' is neither a DNS name nor an IP address.").format(name=shown(value)),
            remedy=_("Write it without scheme, port or path: agenda.example."),
        )
    return value


def check_relay(value: str) -> str:
    """`host:port` of a mail relay."""
    host, _colon, port = value.rpartition(":")
    if not host or not port.isdigit() or not 1 <= int(port) <= 65535:
        raise Wrong(
            _("'{text}' is not a mail relay.").format(text=shown(value)),
            remedy=_("Write name and port: smtp.example:587."),
        )
    check_host_name(host.strip("[]"))
    return value


def check_database(value: str) -> str:
    """A database URL without user's password: what is compared, and where it listens."""
    try:
        url = urlsplit(value)
        port, password, host = url.port, url.password, url.hostname
    except ValueError:
        url, port, password, host = None, None, None, None
    if password is not None:
        raise Wrong(
            _("A password stands in the URL of a database."),
            remedy=_("Take it out; the probe needs only where the database is."),
        )
    known = url is not None and (
        (url.scheme == "sqlite" and url.path.startswith("/") and len(url.path) > 1)
        or (host is not None and (url.scheme.partition("+")[0] in SCHEMES or port is not None))
    )
    if not known or not value.isprintable():
        raise Wrong(
            _("'{text}' is not the URL of a database.").format(text=shown(value)),
            remedy=_("Write postgresql://host/name, or sqlite:////path/of/the/file."),
        )
    return value


def check_fingerprint(value: str) -> str:
    """Fingerprint of an SSH key as ssh-keygen -l prints it."""
    if not _FINGERPRINT.match(value):
        raise Wrong(
            _("'{text}' is not the fingerprint of a key.").format(text=shown(value)),
            remedy=_("Write SHA256:… as 'ssh-keygen -lf FILE' prints it."),
        )
    return value


def check_unique(value: list[Any]) -> list[Any]:
    """A list in which nothing stands twice."""
    for index, item in enumerate(value):
        if item in value[:index]:
            raise Wrong(
                _("'{name}' stands in the list twice.").format(name=shown(str(item))),
                index,
                remedy=_("Delete one of the two."),
            )
    return value


def weakened(variables: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Variables with which host keys would be checked less than they are pinned: name,
    sentence and remedy of each."""
    found = []
    for name in variables:
        if name.startswith("mitogen_"):
            found.append((
                name,
                _("'{name}' would have Mitogen go another way to the host.").format(name=name),
                _("Take it out."),
            ))  # fmt: skip
        elif name in _FORBIDDEN:
            found.append((
                name,
                _("'{name}' would take away the check of host keys.").format(name=name),
                _("Take it out; host keys are pinned below 'host_keys:', and ssh's arguments"
                  " belong in ansible_ssh_common_args."),
            ))  # fmt: skip
        elif name == "ansible_connection" and "paramiko" in str(variables[name]):
            found.append((
                name,
                _("'{name}' by paramiko goes by another list of host keys.").format(name=name),
                _("Write ssh, or leave it out."),
            ))  # fmt: skip
        elif name in _CERTIFICATES and str(variables[name]).casefold() in _UNCHECKED:
            found.append((
                name,
                _("'{name}' would let any machine pass for this host.").format(name=name),
                _("Take it out, and have whoever signed the host's certificate trusted on the"
                  " machine that runs Ansible."),
            ))  # fmt: skip
        elif name in _ARGUMENTS and (option := _WEAKENING.search(_words(variables[name]))):
            found.append((
                name,
                _("'{name}' sets {option}, and otapgate sets that itself.").format(
                    name=name, option=option[0]),
                _("Take it out; host keys are pinned below 'host_keys:'."),
            ))  # fmt: skip
    return found


def _words(value: Any) -> str:
    """Arguments without the quoting that could hide a name in them."""
    try:
        return " ".join(shlex.split(str(value)))
    except ValueError:
        return str(value)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _check_until(value: str) -> str:
    from otapgate.landscape.files import check_date

    return check_date(value)


HostKeys = Annotated[list[Annotated[str, AfterValidator(check_host_key)]],
                     Field(min_length=1, max_length=10)]  # fmt: skip
Port = Annotated[int, Field(ge=1, le=65535)]
HostName = Annotated[str, AfterValidator(check_host_name)]
Relay = Annotated[str, AfterValidator(check_relay)]
Database = Annotated[str, AfterValidator(check_database), Field(max_length=500)]
Fingerprint = Annotated[str, AfterValidator(check_fingerprint)]


class AccountFile(_File):
    """An account on the hosts: who may use it, and what it may do (CH04-05)."""

    roles: list[Role] = Field(default=[], description="Roles that may use the account.")
    sudo: bool = Field(
        default=False, description="Whether the account may become root, by sudo or a group."
    )
    keys: list[Fingerprint] = Field(
        default=[],
        description="Fingerprints of SSH keys that may log in besides those of people: of robots.",
    )


class DifferenceFile(_File):
    """A difference with production that is known and accepted for a time (CH04-03)."""

    aspect: Aspect = Field(description="One of: " + ", ".join(ASPECTS) + ".")
    item: Annotated[str, Field(min_length=1, max_length=200)] = Field(
        description="What differs, as the probe names it: memory, package:nginx; * for all."
    )
    because: Annotated[str, Field(min_length=1, max_length=500)] = Field(description="Why.")
    until: Annotated[str, AfterValidator(_check_until)] = Field(
        description="From this day on it counts again."
    )


class SecurityFile(_File):
    """What an environment says of how its hosts are known and kept apart."""

    host_keys: dict[str, HostKeys] = Field(
        default={},
        description="SSH host keys by host, as 'otapgate env pin' prints them; no other is "
        "believed.",
    )
    ports: Annotated[list[Port], AfterValidator(check_unique)] = Field(
        default=[], description="TCP ports that the hosts serve on, besides SSH's (CH04-04)."
    )
    names: Annotated[list[HostName], AfterValidator(check_unique)] = Field(
        default=[], description="DNS names by which it is reached, besides the hosts' addresses."
    )
    relays: Annotated[list[Relay], AfterValidator(check_unique)] = Field(
        default=[], description="Mail servers that send real mail, as name:port."
    )
    databases: Annotated[list[Database], AfterValidator(check_unique)] = Field(
        default=[], description="URLs of its databases, without passwords."
    )
    differences: list[DifferenceFile] = Field(
        default=[], description="Known differences with production, each with an end (CH04-03)."
    )
    worker: WorkerFile | None = Field(
        default=None,
        description="The machine near the hosts on which Ansible runs, where otapgate can't reach "
        "them itself.",
    )
