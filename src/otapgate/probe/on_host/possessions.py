"""What a host has that no other should: ids, disks, mounts, keys, passwords.

Whatever is secret, or might be, leaves this host only as a hash with a key that is new
every time and then forgotten: equal things can be found, and nothing can be learnt.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import socket
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from otapgate.probe.on_host.reading import homes, listed, matching, read, text, unknown

_NETWORK = (
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "ceph",
    "fuse.sshfs",
    "fuse.glusterfs",
    "glusterfs",
    "9p",
    "virtiofs",
    "lustre",
    "afs",
    "ocfs2",
    "gfs2",
    "fuse.cephfs",
)
_PASSWORD_FILES = (
    ".pgpass",
    ".my.cnf",
    ".netrc",
    ".git-credentials",
    ".aws/credentials",
    ".config/rclone/rclone.conf",
    ".kube/config",
    ".docker/config.json",
)


if TYPE_CHECKING:
    _Add = Callable[..., None]


def possessions(key: str, databases: list[str]) -> dict[str, Any]:
    """What was found, each `[kind, name, hash]`; `kernel` tells hosts that are one machine
    beneath, `connections` whom it talks to now."""
    secret = bytes.fromhex(key)
    found: list[list[str]] = []

    def add(kind: str, name: str, value: bytes | str, alike: str = "") -> None:
        """`alike`: the kind with which it is compared, where that is another."""
        if value:
            data = value if isinstance(value, bytes) else value.encode("utf-8", "replace")
            what = hmac.new(
                secret, (alike or kind).encode() + b"\0" + data, hashlib.sha256
            ).hexdigest()
            found.append([kind, name, what])

    add("machine-id", "/etc/machine-id", text("/etc/machine-id").strip())
    for path in matching("/etc/ssh/ssh_host_*_key.pub"):
        add("host-key", path, " ".join(text(path).split()[:2]))
    _disks(add)
    _mounts(add)
    _credentials(add)
    _databases(add, databases)
    kernel = text("/proc/sys/kernel/random/boot_id").strip()
    return {
        "items": found[:20000],
        "kernel": hmac.new(secret, kernel.encode(), hashlib.sha256).hexdigest() if kernel else "",
        "connections": _connections(),
    }


def _disks(add: _Add) -> None:
    for device in listed("/sys/block"):
        for name in ("wwid", "device/wwid", "device/serial", "serial", "device/vpd_pg83"):
            value = read(f"/sys/block/{device}/{name}").strip()
            if value:
                add("disk", "/dev/" + device, value)
                break


def _mounts(add: _Add) -> None:
    for line in text("/proc/self/mounts", needed=True).splitlines():
        fields = line.split()
        if len(fields) > 2 and fields[2] in _NETWORK:
            add("mount", fields[0], fields[0])


def _credentials(add: _Add) -> None:
    for name, home in homes():
        for file in listed(home + "/.ssh", needed=True):
            path = f"{home}/.ssh/{file}"
            content = read(path, needed=True)
            if b"PRIVATE KEY-----" in content[:100]:
                add("private-key", path, content.strip())
                add("opens", path, _public(path, content))
            elif file.startswith("authorized_keys"):
                for blob in authorised_blobs(content.decode("utf-8", "replace")):
                    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
                    add("authorised-key", f"{name} SHA256:{digest}", blob)
                    add("door", name, blob, "opens")
        for file in _PASSWORD_FILES:
            content = read(f"{home}/{file}", needed=True)
            for line in map(bytes.strip, content.splitlines()):
                if len(line) > 5 and not line.startswith((b"#", b"[", b"{", b"}")):
                    add("password", f"{home}/{file}", line)


def _public(path: str, content: bytes) -> bytes:
    """The public part of a private key: in OpenSSH's form it stands in the clear."""
    body = re.search(b"OPENSSH PRIVATE KEY-----(.*?)-----END", content, re.DOTALL)
    if body is None:
        fields = read(path + ".pub").split()
        try:
            return base64.b64decode(fields[1]) if len(fields) > 1 else b""
        except ValueError:
            return b""
    try:
        data = base64.b64decode(b"".join(body.group(1).split()))
    except ValueError:
        return b""
    place = len(b"openssh-key-v1\0")
    for _skipped in range(3):  # cipher, key derivation, its options
        place += 4 + int.from_bytes(data[place : place + 4], "big")
    place += 4
    size = int.from_bytes(data[place : place + 4], "big")
    return data[place + 4 : place + 4 + size]


def authorised_blobs(content: str) -> Iterator[bytes]:
    """The keys in a file of authorised keys, as bytes; options before them are skipped."""
    for line in content.splitlines():
        found = re.search(
            r"(?:^|\s)(?:(?:sk-)?(?:ssh|ecdsa)-[a-z0-9@.-]+)\s+(AAAA[A-Za-z0-9+/=]+)", line
        )
        if found and not line.lstrip().startswith("#"):
            try:
                yield base64.b64decode(found.group(1))
            except ValueError:
                unknown("a line of authorised keys can't be read")


def _databases(add: _Add, databases: list[str]) -> None:
    """Files and sockets that are databases: the same one, whatever its name is here."""
    kernel = text("/proc/sys/kernel/random/boot_id").strip()
    sockets = matching("/run/postgresql/.s.PGSQL.*", "/var/run/mysqld/*.sock", "/tmp/.s.PGSQL.*")  # noqa: S108
    for path in [*databases, *(path for path in sockets if not path.endswith(".lock"))]:
        try:
            seen = os.stat(path)
        except OSError:
            continue
        add("database", path, f"{kernel} {seen.st_dev} {seen.st_ino}")
    for folder in matching("/var/lib/postgresql/*/*", "/var/lib/pgsql/*/data"):
        running = read(folder + "/postmaster.pid")
        system = read(folder + "/global/pg_control")[:8] if running else b""
        add("database", folder, system)


def _connections() -> list[list[Any]]:
    """Addresses and ports of others with whom a connection stands."""
    found = set()
    for name, words in (("tcp", 1), ("tcp6", 4)):
        for line in text("/proc/net/" + name).splitlines()[1:]:
            fields = line.split()
            if len(fields) < 4 or fields[3] != "01":
                continue
            host, _colon, port = fields[2].partition(":")
            raw = b"".join(
                int(host[i * 8 : i * 8 + 8], 16).to_bytes(4, "little") for i in range(words)
            )
            if words == 4 and raw[:12] == bytes(10) + b"\xff\xff":
                raw = raw[12:]
            found.add((_address(raw), int(port, 16)))
    return sorted(list(pair) for pair in found)[:5000]


def _address(raw: bytes) -> str:
    return socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, raw)
