"""Opening a connection to a host over SSH: its key, then who we are.

Host keys are asked for by kind, so that a host can't show another one than is pinned; what
runs over the connection is `remote`'s.
"""

from __future__ import annotations

import base64
import contextlib
import getpass
import socket
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from otapgate.i18n import _
from otapgate.landscape import host_keys
from otapgate.probe.connection import Way

if TYPE_CHECKING:
    import paramiko

CONNECT_SECONDS = 8.0
_ARITHMETIC = threading.BoundedSemaphore(16)
"""Connections that are being set up at the same time: it is arithmetic, and more of it at
once only makes every one later. Waiting for a host that isn't there takes no place."""


class Gone(Exception):
    """The host gave no answer; the message is a sentence."""


class OtherKey(Gone):
    """The host showed another key than the one that is pinned."""


_HOST_ALGORITHMS = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256")}


def open_transport(address: str, port: int, types: Sequence[str], way: Way) -> paramiko.Transport:
    """A connection whose host has shown a key of one of `types`, nothing sent yet. Raises
    Gone."""
    import paramiko

    try:
        plain = socket.create_connection((address, port), timeout=CONNECT_SECONDS)
    except (OSError, UnicodeError) as error:
        raise Gone(unreachable(way, error)) from None
    try:
        transport = paramiko.Transport(plain)
        cheap = sorted(types, key=("ssh-rsa",).count)  # RSA costs a host most
        wanted = [name for kind in cheap for name in _HOST_ALGORITHMS.get(kind, (kind,))]
        options = transport.get_security_options()
        options.key_types = [name for name in dict.fromkeys(wanted) if name in options.key_types]
        transport.banner_timeout = transport.handshake_timeout = CONNECT_SECONDS
        transport.auth_timeout = CONNECT_SECONDS
        with _ARITHMETIC:
            transport.start_client(timeout=CONNECT_SECONDS)
    except paramiko.ssh_exception.IncompatiblePeer as error:
        plain.close()
        if "host key" in str(error):
            raise OtherKey(host_keys.changed(way.host)) from None
        raise Gone(unreachable(way, error)) from None
    except (OSError, EOFError, ValueError, paramiko.SSHException) as error:
        plain.close()
        raise Gone(unreachable(way, error)) from None
    return transport


def unreachable(way: Way, error: BaseException) -> str:
    return _("{host} can't be reached: {message}").format(
        host=way.host, message=str(error) or type(error).__name__
    )


def log_in(transport: paramiko.Transport, way: Way, until: float) -> str:
    """By key file, agent or password, as ssh would; fingerprint of the key that did it."""
    import paramiko

    user = way.user or getpass.getuser()
    last: Exception = paramiko.AuthenticationException(_("there is no key or password to try"))
    for key in _keys(way):
        if time.monotonic() > until:
            break
        try:
            transport.auth_publickey(user, key)
        except paramiko.AuthenticationException as error:
            last = error
        else:
            return fingerprint(key.asbytes())
    if way.password:
        transport.auth_password(user, way.password, fallback=False)
        return ""
    raise last


def _keys(way: Way) -> list[paramiko.PKey]:
    import paramiko

    if way.key_file:
        path = Path(way.key_file).expanduser()
        try:
            return [paramiko.PKey.from_path(path)]
        except (OSError, ValueError, TypeError, paramiko.SSHException) as error:
            public = Path(f"{path}.pub")
            held = _of_agent(public)
            if held:
                return held
            raise paramiko.SSHException(f"{way.key_file}: {error}") from None
    found: list[paramiko.PKey] = []
    with contextlib.suppress(OSError, paramiko.SSHException):
        found += _agent().get_keys()
    for name in ("id_ed25519", "id_ecdsa", "id_rsa"):  # as ssh does where none is named
        with contextlib.suppress(OSError, ValueError, TypeError, paramiko.SSHException):
            found.append(paramiko.PKey.from_path(Path.home() / ".ssh" / name))
    return found


def _of_agent(public: Path) -> list[paramiko.PKey]:
    """A key whose file takes a passphrase, where an agent holds it."""
    try:
        wanted = base64.b64decode(public.read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return []
    return [key for key in _agent().get_keys() if key.asbytes() == wanted]


def _agent() -> paramiko.Agent:
    import paramiko

    return paramiko.Agent()


def fingerprint(blob: bytes) -> str:
    """`SHA256:` and unpadded base64, as ssh-keygen -l prints it."""
    import hashlib

    digest = base64.b64encode(hashlib.sha256(blob).digest())
    return "SHA256:" + digest.decode().rstrip("=")


def fingerprint_of_line(line: str) -> str:
    """Fingerprint of a key in the form `type base64`."""
    return fingerprint(base64.b64decode(line.split()[1]))
