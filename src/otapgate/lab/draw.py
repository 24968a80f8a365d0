"""From lab.yml to a plan: addresses, numbers, keys and passwords are given out here."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path

from otapgate.errors import BadInput, Problem
from otapgate.i18n import _, ngettext
from otapgate.lab import kernel, plan
from otapgate.lab.lab_file import DEFAULT, AccountFile, HostFile, LabFile
from otapgate.lab.programs import Programs

_STAGES = "OTAP"
ADMIN, GATEWAY = "10.77.0.10", "10.77.0.1"


@dataclass
class Drawn:
    """A plan, and what only who made the lab is to know."""

    plan: plan.Plan
    passwords: dict[str, dict[str, str]]
    """By host and account."""


@dataclass(frozen=True)
class Pair:
    """A key pair in OpenSSH's forms."""

    private: str
    public: str


def pair(comment: str) -> Pair:
    """A new Ed25519 key without passphrase."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    return Pair(private.decode(), f"{public.decode()} {comment}\n")


def read(path: Path | None) -> LabFile:
    """The lab that `path` describes, or the usual one. Raises BadInput `lab-invalid`."""
    from otapgate.landscape import yaml_positions

    document = yaml_positions.load(path if path is not None else DEFAULT, str(path or "lab.yml"))
    found, problems = yaml_positions.validate(document, LabFile)
    if found is None:
        raise BadInput(
            "lab-invalid",
            ngettext(
                "The lab has {count} problem.", "The lab has {count} problems.", len(problems)
            ).format(count=len(problems)),
            where=str(path),
            problems=tuple(problems),
        )
    return found


def check_file(path: Path, root: Path) -> list[Problem]:
    """What is wrong with a lab's file in a landscape; for `otapgate check`."""
    from otapgate.landscape import yaml_positions

    document = yaml_positions.load(path, path.relative_to(root).as_posix())
    return yaml_positions.validate(document, LabFile)[1]


def draw(file: LabFile, folder: Path, programs: Programs, key: Pair, mapped: bool) -> Drawn:
    """The plan of a lab in `folder` on whose hosts `key` logs in.

    Raises BadInput `lab-full` when a stage has more hosts than addresses.
    """
    passwords: dict[str, dict[str, str]] = {}
    addresses = _addresses(file)
    hosts = [
        _host(name, host, addresses[name], key, passwords) for name, host in file.hosts.items()
    ]
    by_name = {host.name: host for host in hosts}
    folders = []
    for share in file.shares:
        first = by_name[share.hosts[0]]
        for other in (by_name[name] for name in share.hosts[1:]):
            if share.what == "host-key":
                other.host_key, other.host_key_public = first.host_key, first.host_key_public
            elif share.what == "machine-id":
                other.machine_id = first.machine_id
        if share.path is not None:
            folders.append(plan.Share(path=share.path, hosts=list(share.hosts)))
    return Drawn(
        plan.Plan(
            id=secrets.token_hex(8),
            folder=str(folder),
            admin=ADMIN,
            gateway=GATEWAY,
            hosts=hosts,
            holes=[
                plan.Hole(source=x.source, target=x.target, port=x.port or 0) for x in file.reach
            ],
            shares=folders,
            refuse=file.refuse,
            layers=[str(layer) for layer in programs.layers],
            ip=str(programs.ip),
            nft=str(programs.nft),
            library_path=programs.library_path,
            mapped=mapped,
        ),
        passwords,
    )


def _addresses(file: LabFile) -> dict[str, str]:
    taken = {host.address for host in file.hosts.values()} | {ADMIN, GATEWAY}
    found = {}
    for name, host in file.hosts.items():
        address = host.address
        if address is None:
            stage = _STAGES.index(host.stage) + 1
            free = (f"10.77.{stage}.{n}" for n in range(11, 255))
            address = next((x for x in free if x not in taken), None)
        if address is None or address in (ADMIN, GATEWAY):
            raise BadInput(
                "lab-full",
                _("There is no address for {host}.").format(host=name),
                problems=(Problem(_("{a} and {b} are the lab's own.").format(a=ADMIN, b=GATEWAY)),),
            )
        taken.add(address)
        found[name] = address
    return found


def _host(
    name: str, host: HostFile, address: str, key: Pair, passwords: dict[str, dict[str, str]]
) -> plan.Host:
    own = pair(f"root@{name}")
    accounts: dict[str, plan.Account] = {}
    number = 1000
    given = {x.uid for x in host.accounts.values() if x is not None and x.uid is not None}
    for login, asked in host.accounts.items():
        account = asked or AccountFile()
        while number in given:
            number += 1
        uid = 0 if login == "root" else account.uid or number
        given.add(uid)
        shadow = "*"
        if account.password:
            password = secrets.token_urlsafe(12)
            passwords.setdefault(name, {})[login] = password
            shadow = kernel.hashed(password, secrets.token_hex(8))
        accounts[login] = plan.Account(
            uid=uid,
            sudo=account.sudo,
            groups=list(account.groups),
            keys=[*([key.public.strip()] if account.key else []), *account.keys],
            shadow=shadow,
        )
    services = [
        plan.Service(name=service, run=list(x.run), user=x.user, restart=x.restart)
        for service, x in host.services.items()
    ]
    return plan.Host(
        name=name,
        stage=host.stage,
        address=address,
        machine_id=secrets.token_hex(16),
        host_key=own.private,
        host_key_public=own.public,
        accounts=accounts,
        services=services,
        ports=sorted({*host.ports, *(port for x in host.services.values() for port in x.ports)}),
        files=dict(host.files),
        disk_mib=host.disk_mib or 0,
    )
