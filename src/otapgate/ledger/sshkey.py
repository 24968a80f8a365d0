"""SSH public keys, and what each kind of key does to check a signature. Pure.

Which keys are accepted is decided here: `_KEYS` reads a key's blob, `ALGORITHMS` has one
row a signature algorithm: the key types that may use it and a function that reads the
algorithm's part of a signature and checks it. A passkey's
`webauthn-sk-ecdsa-sha2-nistp256@openssh.com` is another row, for the key type
`sk-ecdsa-sha2-nistp256@openssh.com`, with its own parse of the client data. The envelope
around a signature (namespace, armour) is in `sshsig`.

`cryptography` is imported when a key is loaded and not before: telling whose key a line
or signature names is part of the warm path.
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec

from otapgate.i18n import _
from otapgate.ledger import wire

RSA_BITS = (2048, 16384)
_PRESENT, _VERIFIED = 0x01, 0x04


class BadSignature(ValueError):
    """A key or signature that is malformed, of a kind not accepted, or wrong; the message
    is a sentence."""


class PublicKey(msgspec.Struct, frozen=True):
    """A public key in OpenSSH's form."""

    type: str
    blob: bytes
    """Wire encoding (RFC 4253 section 6.6)."""

    @property
    def fingerprint(self) -> str:
        """`SHA256:` and unpadded base64, as ssh-keygen -l prints it."""
        return fingerprint_of(self.blob)

    @property
    def line(self) -> str:
        """`type base64`, as in an authorized_keys file, without comment."""
        return f"{self.type} {base64.b64encode(self.blob).decode()}"


class Authenticator(msgspec.Struct, frozen=True):
    """What a FIDO authenticator said of the touch."""

    present: bool
    verified: bool
    """By PIN or biometrics."""
    counter: int
    flags: int


Key: TypeAlias = Any  # a public key of cryptography; naming the types would import it
Check: TypeAlias = Callable[[Key, bytes, bytes, wire.Reader], Authenticator | None]
"""From key, application (FIDO), the bytes that were signed, and the algorithm's part of the
signature; raises InvalidSignature, BadWire or BadSignature."""


def parse_public_key(line: str) -> PublicKey:
    """The key in a line of a .pub file: type, base64, and perhaps a comment.

    Raises BadSignature unless it is a whole, valid key of a type that is accepted, alone
    in one line (options as in authorized_keys are not)."""
    text = line.removesuffix("\n").removesuffix("\r")
    fields = text.split(" ", 2)
    if len(fields) < 2 or any(char in text for char in "\r\n\0"):
        raise BadSignature(_("This isn't one line with an OpenSSH public key."))
    if fields[0] not in _KEYS:
        raise _unaccepted(fields[0])
    key = from_blob(decode_base64(fields[1]))
    if key.type != fields[0]:
        raise BadSignature(_("The public key is of another type than its line says."))
    return key


def from_blob(blob: bytes) -> PublicKey:
    """The key in a wire encoding; BadSignature unless whole, valid and accepted."""
    load(blob)
    return PublicKey(type_of(blob), blob)


def fingerprint_of_line(line: str) -> str:
    """Fingerprint of the key in a line, without looking into the key; BadSignature where
    there is no base64."""
    return fingerprint_of(decode_base64([*line.split(), "", ""][1]))


def decode_base64(text: str) -> bytes:
    """The bytes of base64 in its one canonical form; BadSignature otherwise."""
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (ValueError, binascii.Error) as error:
        raise BadSignature(_("The base64 is damaged.")) from error
    if not data or base64.b64encode(data).decode() != text:
        raise BadSignature(_("The base64 is damaged."))
    return data


def fingerprint_of(blob: bytes) -> str:
    """`SHA256:` and unpadded base64."""
    digest = base64.b64encode(hashlib.sha256(blob).digest())
    return "SHA256:" + digest.decode().rstrip("=")


def type_of(blob: bytes) -> str:
    """The key type that a blob begins with; raises BadWire."""
    return wire.Reader(blob).text()


# Key types: the rest of the blob after its type, as a key and (FIDO) its application.


@functools.lru_cache(maxsize=1024)
def load(blob: bytes) -> tuple[Key, bytes]:
    """The key in a blob and its FIDO application; BadSignature unless whole, valid and
    of an accepted type."""
    try:
        reader = wire.Reader(blob)
        name = reader.text()
        if name not in _KEYS:
            raise _unaccepted(name)
        key = _KEYS[name](name, reader)
        application = reader.string() if name.startswith("sk-") else b""
        reader.end()
    except BadSignature:
        raise
    except wire.BadWire as error:
        raise BadSignature(str(error)) from error
    except ValueError as error:  # cryptography: not a point on the curve, an even exponent
        raise BadSignature(_("The public key isn't valid.")) from error
    return key, application


def _unaccepted(name: str) -> BadSignature:
    return BadSignature(
        _("Keys of type {type} aren't accepted; use one of {types}.").format(
            type=ascii(name), types=", ".join(_KEYS)
        )
    )


def _ed25519_key(_name: str, reader: wire.Reader) -> Key:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    return Ed25519PublicKey.from_public_bytes(reader.string())


def _ecdsa_key(name: str, reader: wire.Reader) -> Key:
    from cryptography.hazmat.primitives.asymmetric import ec

    curve = name.removesuffix("@openssh.com").rpartition("-")[2]
    if reader.text() != curve:
        raise BadSignature(_("The public key names another curve than its type."))
    point = reader.string()
    if point[:1] != b"\x04":
        raise BadSignature(_("The public key's point isn't in the uncompressed form."))
    curves: dict[str, ec.EllipticCurve] = {
        "nistp256": ec.SECP256R1(),
        "nistp384": ec.SECP384R1(),
        "nistp521": ec.SECP521R1(),
    }
    return ec.EllipticCurvePublicKey.from_encoded_point(curves[curve], point)


def _rsa_key(_name: str, reader: wire.Reader) -> Key:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers

    exponent, modulus = reader.mpint(), reader.mpint()
    least, most = RSA_BITS
    if exponent.bit_length() > 64:  # only makes checking slow
        raise ValueError("exponent")
    if not least <= modulus.bit_length() <= most:
        raise BadSignature(
            _("An RSA key needs {least} to {most} bits; this one has {bits}.").format(
                least=least, most=most, bits=modulus.bit_length()
            )
        )
    return RSAPublicNumbers(exponent, modulus).public_key()


_KEYS: dict[str, Callable[[str, wire.Reader], Key]] = {
    "ssh-ed25519": _ed25519_key,
    "sk-ssh-ed25519@openssh.com": _ed25519_key,
    "ecdsa-sha2-nistp256": _ecdsa_key,
    "ecdsa-sha2-nistp384": _ecdsa_key,
    "ecdsa-sha2-nistp521": _ecdsa_key,
    "sk-ecdsa-sha2-nistp256@openssh.com": _ecdsa_key,
    "ssh-rsa": _rsa_key,
}


# Algorithms: each reads its part of the signature to the end, then checks it.


def _check_ed25519(key: Key, _application: bytes, data: bytes, body: wire.Reader) -> None:
    raw = body.string()
    body.end()
    key.verify(raw, data)


def _check_ecdsa(key: Key, _application: bytes, data: bytes, body: wire.Reader) -> None:
    from cryptography.hazmat.primitives import hashes

    # RFC 5656 section 6.2.1: the hash follows the size of the curve.
    by_bits: dict[int, hashes.HashAlgorithm] = {
        256: hashes.SHA256(),
        384: hashes.SHA384(),
        521: hashes.SHA512(),
    }
    raw = wire.Reader(body.string())
    body.end()
    _verify_ecdsa(key, raw, data, by_bits[key.curve.key_size])


def _verify_ecdsa(key: Key, raw: wire.Reader, data: bytes, algorithm: Any) -> None:
    from cryptography.hazmat.primitives.asymmetric import ec, utils

    r, s = raw.mpint(), raw.mpint()
    raw.end()
    key.verify(utils.encode_dss_signature(r, s), data, ec.ECDSA(algorithm))


def _check_rsa(bits: int) -> Check:
    def check_rsa(key: Key, _application: bytes, data: bytes, body: wire.Reader) -> None:
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import padding

        raw = body.string()
        body.end()
        algorithm = hashes.SHA512() if bits == 512 else hashes.SHA256()
        key.verify(raw, data, padding.PKCS1v15(), algorithm)

    return check_rsa


def _check_sk_ed25519(
    key: Key, application: bytes, data: bytes, body: wire.Reader
) -> Authenticator:
    raw = body.string()
    said, signed = _authenticator(application, data, body)
    key.verify(raw, signed)
    return _touched(said)


def _check_sk_ecdsa(key: Key, application: bytes, data: bytes, body: wire.Reader) -> Authenticator:
    from cryptography.hazmat.primitives import hashes

    raw = wire.Reader(body.string())
    said, signed = _authenticator(application, data, body)
    _verify_ecdsa(key, raw, signed, hashes.SHA256())
    return _touched(said)


def _authenticator(
    application: bytes, data: bytes, body: wire.Reader
) -> tuple[Authenticator, bytes]:
    """Flags and counter, and what the authenticator signed (PROTOCOL.u2f)."""
    flags, counter = body.byte(), body.uint32()
    body.end()
    signed = (
        hashlib.sha256(application).digest()
        + bytes([flags])
        + wire.uint32(counter)
        + hashlib.sha256(data).digest()
    )
    return Authenticator(bool(flags & _PRESENT), bool(flags & _VERIFIED), counter, flags), signed


def _touched(said: Authenticator) -> Authenticator:
    if not said.present:
        raise BadSignature(_("The security key signed without being touched."))
    return said


ALGORITHMS: dict[str, tuple[tuple[str, ...], Check]] = {
    "ssh-ed25519": (("ssh-ed25519",), _check_ed25519),
    "ecdsa-sha2-nistp256": (("ecdsa-sha2-nistp256",), _check_ecdsa),
    "ecdsa-sha2-nistp384": (("ecdsa-sha2-nistp384",), _check_ecdsa),
    "ecdsa-sha2-nistp521": (("ecdsa-sha2-nistp521",), _check_ecdsa),
    "rsa-sha2-256": (("ssh-rsa",), _check_rsa(256)),
    "rsa-sha2-512": (("ssh-rsa",), _check_rsa(512)),
    "sk-ssh-ed25519@openssh.com": (("sk-ssh-ed25519@openssh.com",), _check_sk_ed25519),
    "sk-ecdsa-sha2-nistp256@openssh.com": (
        ("sk-ecdsa-sha2-nistp256@openssh.com",),
        _check_sk_ecdsa,
    ),
}
