"""Making signatures: key files, the SSH agent, FIDO keys through ssh-keygen.

Everything that can be wrong with a key is an `errors.Identity` that says what to do.
Nothing secret is in a message, a log or an argument list. Every signature is checked
before it is handed out: an agent or token that answers nonsense is found out here, not
when it is in the log for good. paramiko and cryptography are imported when needed.
"""

from __future__ import annotations

import base64
import contextlib
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from otapgate import errors
from otapgate.i18n import _, why
from otapgate.ledger import sshsig, wire
from otapgate.ledger.sshsig import BadSignature, PublicKey

if TYPE_CHECKING:
    import paramiko

MAX_FILE = 64 * 1024
_OPENSSH = b"-----BEGIN OPENSSH PRIVATE KEY-----"
_MAGIC = b"openssh-key-v1\0"


class Signer(Protocol):
    """A key that somebody holds."""

    @property
    def public(self) -> PublicKey:
        """Its public half."""

    def sign(self, message: bytes, namespace: str) -> str:
        """Armoured SSHSIG over `message`; raises Identity when it can't be made."""


def from_file(path: Path, ask_passphrase: Callable[[str], str] | None) -> Signer:
    """The signer behind a file: a private key, a FIDO key's handle (asks for a touch), or
    a public key whose private half is in the agent. `ask_passphrase` gets a prompt and is
    called once for an encrypted key; None means nobody can be asked."""
    data = _read(path)
    if not data.startswith(b"-----BEGIN "):
        return _in_agent(path, data)
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise errors.Identity(
            "key-permissions",
            _("Others on this machine can read the private key {path}.").format(path=path),
            remedy=f"chmod 600 {path}",
            where=str(path),
        )
    public = _openssh_public(data)
    if public is not None and public.type.startswith("sk-"):
        return _SecurityKey(path, public)
    return _KeyFile(path, _load(path, data, ask_passphrase))


def agent_keys() -> list[Signer]:
    """The agent's keys that are of an accepted type; Identity where no agent answers."""
    return [_AgentKey(public) for _key, public in _listed()]


def from_agent(enrolled: Collection[str] | None = None) -> Signer:
    """The only accepted key in the agent or, given fingerprints, the only one of those.
    Raises Identity where there is none or a choice."""
    signers = agent_keys()
    found = [one for one in signers if enrolled is None or one.public.fingerprint in enrolled]
    if len(found) == 1:
        return found[0]
    if found:
        raise errors.Identity(
            "key-ambiguous",
            _("The SSH agent holds several keys that could sign: {keys}.").format(
                keys=", ".join(one.public.fingerprint for one in found)
            ),
            remedy=_("say which with --key FILE.pub"),
        )
    if signers:
        raise errors.Identity(
            "key-unknown",
            _("None of the keys in the SSH agent is enrolled here."),
            remedy=_("ssh-add YOUR_KEY, or give --key FILE"),
        )
    raise errors.Identity(
        "agent-empty",
        _("The SSH agent holds no key that can sign."),
        remedy=_("ssh-add YOUR_KEY, or give --key FILE"),
    )


def only_enrolled(fingerprints: Collection[str]) -> Signer:
    """The one key in the agent whose fingerprint is among these; Identity otherwise."""
    return from_agent(fingerprints)


def ask_passphrase(prompt: str) -> str:
    """Ask on the terminal, without echo; Identity where there is no terminal."""
    if not sys.stdin.isatty():
        raise _nobody_to_ask()
    import getpass

    return getpass.getpass(prompt)


class _KeyFile:
    """A private key in memory."""

    def __init__(self, path: Path, key: Any) -> None:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives import serialization as s

        try:
            line = key.public_key().public_bytes(s.Encoding.OpenSSH, s.PublicFormat.OpenSSH)
            self.public = sshsig.parse_public_key(line.decode())
        except (ValueError, AttributeError, UnsupportedAlgorithm) as error:
            raise errors.Identity(
                "key-type",
                _("The key {path} can't sign here: {reason}").format(path=path, reason=error),
                remedy="ssh-keygen -t ed25519",
                where=str(path),
            ) from error
        self._key = key

    def sign(self, message: bytes, namespace: str) -> str:
        data = sshsig.to_be_signed(namespace, message)
        algorithm, raw = self._raw(data)
        signature = wire.string(algorithm.encode()) + wire.string(raw)
        return _checked(
            sshsig.assemble(self.public, namespace, signature), self, message, namespace
        )

    def _raw(self, data: bytes) -> tuple[str, bytes]:
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec, padding, utils

        if self.public.type == "ssh-ed25519":
            return self.public.type, self._key.sign(data)
        if self.public.type == "ssh-rsa":
            return "rsa-sha2-512", self._key.sign(data, padding.PKCS1v15(), hashes.SHA512())
        by_bits: dict[int, hashes.HashAlgorithm] = {
            256: hashes.SHA256(),
            384: hashes.SHA384(),
            521: hashes.SHA512(),
        }
        der = self._key.sign(data, ec.ECDSA(by_bits[self._key.curve.key_size]))
        r, s = utils.decode_dss_signature(der)
        return self.public.type, wire.mpint(r) + wire.mpint(s)


class _AgentKey:
    """A key that an agent holds; the agent is asked anew for each signature."""

    def __init__(self, public: PublicKey) -> None:
        self.public = public

    def sign(self, message: bytes, namespace: str) -> str:
        data = sshsig.to_be_signed(namespace, message)
        # Asked for nothing in particular, an agent signs with RSA and SHA-1.
        algorithm = "rsa-sha2-512" if self.public.type == "ssh-rsa" else None
        with _agent() as agent:
            for key, public in _accepted(agent):
                if public == self.public:
                    signature = bytes(key.sign_ssh_data(data, algorithm))
                    break
            else:
                raise _not_in_agent(self.public)
        return _checked(
            sshsig.assemble(self.public, namespace, signature), self, message, namespace
        )


class _SecurityKey:
    """A FIDO key whose handle is in a file: ssh-keygen talks to the token."""

    def __init__(self, path: Path, public: PublicKey) -> None:
        self.public = public
        self._path = path

    def sign(self, message: bytes, namespace: str) -> str:
        # Its standard error isn't captured: there it asks for the touch and the PIN.
        command = ["ssh-keygen", "-Y", "sign", "-n", namespace, "-f", str(self._path)]
        try:
            done = subprocess.run(command, input=message, stdout=subprocess.PIPE, check=True)
        except FileNotFoundError as error:
            raise errors.Identity(
                "ssh-keygen-missing",
                _("Signing with a security key needs ssh-keygen, which isn't here."),
                remedy="apt install openssh-client",
            ) from error
        except subprocess.CalledProcessError as error:
            raise _signing_failed(self.public) from error
        return _checked(done.stdout.decode("ascii", "replace"), self, message, namespace)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
    except FileNotFoundError as error:
        raise errors.Identity(
            "key-missing",
            _("There is no key at {path}.").format(path=path),
            remedy=_("give --key the file of your key, or make one: ssh-keygen -t ed25519"),
            where=str(path),
        ) from error
    except OSError as error:
        raise errors.Identity(
            "key-unreadable",
            _("The key {path} can't be read: {reason}.").format(path=path, reason=why(error)),
            where=str(path),
        ) from error
    if len(data) > MAX_FILE:
        raise _not_a_key(path)
    return data


def _in_agent(path: Path, data: bytes) -> Signer:
    try:
        public = sshsig.parse_public_key(data.decode())
    except ValueError as error:
        raise _not_a_key(path) from error
    try:
        held = [known for _key, known in _listed()]
    except errors.Identity as error:
        if error.code == "agent-missing":
            error.message = _("{path} is a public key, and no SSH agent is running here.").format(
                path=path
            )
            private = path.with_suffix("")
            error.remedy = _(
                "give the private key: --key {private}, or load it in an agent"
            ).format(private=private)
        raise
    if public not in held:
        raise _not_in_agent(public)
    return _AgentKey(public)


def _openssh_public(data: bytes) -> PublicKey | None:
    """The public half that an OpenSSH private key file shows unencrypted, if it is one."""
    if not data.startswith(_OPENSSH):
        return None
    body = data.removeprefix(_OPENSSH).partition(b"-----END")[0]
    try:
        reader = wire.Reader(base64.b64decode(body))
        if reader.take(len(_MAGIC)) != _MAGIC:
            return None
        _cipher, _kdf, _options, _count = (
            reader.string(),
            reader.string(),
            reader.string(),
            reader.uint32(),
        )
        return sshsig.from_blob(reader.string())
    except ValueError:
        return None  # whatever is wrong with it, loading it says so


def _load(path: Path, data: bytes, ask: Callable[[str], str] | None) -> Any:
    """The private key of cryptography in `data`."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    load: Callable[..., Any] = serialization.load_pem_private_key
    if data.startswith(_OPENSSH):
        load = serialization.load_ssh_private_key
    try:
        try:
            return load(data, password=None)
        except TypeError:  # cryptography's way to say that it is encrypted
            if ask is None:
                raise _nobody_to_ask() from None
            passphrase = ask(_("Passphrase of {path}: ").format(path=path)).encode()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _not_a_key(path) from error
    try:
        return load(data, password=passphrase)
    # An empty passphrase is a TypeError, as if none had been given.
    except (ValueError, TypeError) as error:
        raise errors.Identity(
            "passphrase-wrong",
            _("That isn't the passphrase of {path}.").format(path=path),
            remedy=_("try again, or put the key in the agent: ssh-add {path}").format(path=path),
            where=str(path),
        ) from error


def _listed() -> list[tuple[paramiko.AgentKey, PublicKey]]:
    with _agent() as agent:
        return list(_accepted(agent))


def _accepted(agent: paramiko.Agent) -> Iterator[tuple[paramiko.AgentKey, PublicKey]]:
    for key in agent.get_keys():
        with contextlib.suppress(BadSignature):
            yield key, sshsig.from_blob(key.blob)


@contextlib.contextmanager
def _agent() -> Iterator[paramiko.Agent]:
    """A connection to the agent; Identity where there is none, or it fails or refuses."""
    address = os.environ.get("SSH_AUTH_SOCK")
    # paramiko takes an agent that isn't there for one without keys.
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(address or "")
    except OSError as error:
        raise errors.Identity(
            "agent-missing",
            _("No SSH agent is running here."),
            remedy=_('give --key FILE, or start one: eval "$(ssh-agent)"; ssh-add YOUR_KEY'),
        ) from error
    import paramiko

    try:
        agent = paramiko.Agent()
        try:
            yield agent
        finally:
            agent.close()
    except (paramiko.SSHException, OSError, EOFError) as error:
        raise errors.Identity(
            "agent-failed",
            _("The SSH agent doesn't sign: {reason}.").format(reason=error),
            remedy=_("unlock the agent or confirm when it asks, or give --key FILE"),
        ) from error


def _checked(armored: str, signer: Signer, message: bytes, namespace: str) -> str:
    try:
        if sshsig.verify(armored, message, namespace) == signer.public:
            return armored
    except BadSignature as error:
        raise _signing_failed(signer.public) from error
    raise _signing_failed(signer.public)


def _signing_failed(public: PublicKey) -> errors.Identity:
    return errors.Identity(
        "signing-failed",
        _("The key {key} gave no valid signature.").format(key=public.fingerprint),
        remedy=_("is the token plugged in, and touched when it blinks?"),
    )


def _not_a_key(path: Path) -> errors.Identity:
    return errors.Identity(
        "key-invalid",
        _("{path} isn't a private or public SSH key that can be used here.").format(path=path),
        remedy="ssh-keygen -t ed25519",
        where=str(path),
    )


def _not_in_agent(public: PublicKey) -> errors.Identity:
    return errors.Identity(
        "key-not-in-agent",
        _("The SSH agent doesn't hold the key {key}.").format(key=public.fingerprint),
        remedy=_("ssh-add the private key, or give its file with --key"),
    )


def _nobody_to_ask() -> errors.Identity:
    return errors.Identity(
        "passphrase-needed",
        _("The key is protected by a passphrase, and there is no terminal to ask for it."),
        remedy=_("put the key in the agent first: ssh-add YOUR_KEY, then --key FILE.pub"),
    )
