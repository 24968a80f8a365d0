"""SSH signatures (SSHSIG, OpenSSH's PROTOCOL.sshsig): read, check, put together. Pure.

A signature names its own public key and namespace; checking it proves that the holder of
that key signed these bytes for this purpose. Whether the key belongs to anybody, and what
they may do, is for `directory` and `state`. Making signatures is in `keys`.

Stricter than `ssh-keygen -Y verify`: the armour must be exactly what ssh-keygen writes,
`reserved` must be empty (OpenSSH ignores it, so that anybody could fill it afterwards),
RSA needs 2048 bits and SHA-2, and a FIDO key must have seen a touch. Stock ssh-keygen
accepts all that is accepted here.

Keys and algorithms are in `sshkey`, whose public names can be had from here too.
"""

from __future__ import annotations

import base64
import hashlib

import msgspec

from otapgate.i18n import _
from otapgate.ledger import wire
from otapgate.ledger.sshkey import (
    ALGORITHMS,
    Authenticator,
    BadSignature,
    PublicKey,
    decode_base64,
    fingerprint_of_line,
    from_blob,
    load,
    parse_public_key,
    type_of,
)

__all__ = [
    "Authenticator",
    "BadSignature",
    "PublicKey",
    "Signature",
    "armor",
    "assemble",
    "check",
    "dearmor",
    "decode_base64",
    "fingerprint_of_line",
    "from_blob",
    "parse",
    "parse_public_key",
    "signer_fingerprint",
    "to_be_signed",
    "verify",
]

MAGIC = b"SSHSIG"
VERSION = 1
HASH = "sha512"
"""What signatures made here hash the message with; sha256 is accepted too."""

MAX_ARMOR = 16 * 1024

_BEGIN = "-----BEGIN SSH SIGNATURE-----\n"
_END = "-----END SSH SIGNATURE-----\n"
_WIDTH = 70  # columns of base64, as ssh-keygen writes them
_HASHES = {"sha256": hashlib.sha256, "sha512": hashlib.sha512}


class Signature(msgspec.Struct, frozen=True):
    """An SSHSIG taken apart; nothing is proven by its existence."""

    public: PublicKey
    namespace: str
    hash: str
    algorithm: str
    body: bytes
    """What follows the algorithm's name in the signature field."""


def signer_fingerprint(armored: str) -> str:
    """Fingerprint of the key that a signature names, unchecked."""
    return parse(armored).public.fingerprint


def to_be_signed(namespace: str, message: bytes, hash_name: str = HASH) -> bytes:
    """The bytes that the key itself signs: magic, namespace, empty reserved, name of the
    hash, and the hash of the message."""
    digest = _HASHES[hash_name](message).digest()
    return MAGIC + b"".join(map(wire.string, (namespace.encode(), b"", hash_name.encode(), digest)))


def assemble(public: PublicKey, namespace: str, signature: bytes) -> str:
    """The armoured SSHSIG around a raw signature (`string algorithm, …`) that the key made
    over `to_be_signed(namespace, message)`."""
    fields = (public.blob, namespace.encode(), b"", HASH.encode(), signature)
    return armor(MAGIC + wire.uint32(VERSION) + b"".join(map(wire.string, fields)))


def armor(blob: bytes) -> str:
    """The text form, as ssh-keygen writes it: 70 columns, newline at the end."""
    text = base64.b64encode(blob).decode()
    lines = [text[i : i + _WIDTH] + "\n" for i in range(0, len(text), _WIDTH)]
    return _BEGIN + "".join(lines) + _END


def dearmor(armored: str) -> bytes:
    """The bytes inside; BadSignature for any text that `armor` wouldn't give."""
    if len(armored) > MAX_ARMOR:
        raise BadSignature(_("The signature is too long."))
    if not armored.startswith(_BEGIN) or not armored.endswith(_END):
        raise BadSignature(_("This isn't an armoured SSH signature."))
    inner = armored[len(_BEGIN) : -len(_END)]
    blob = decode_base64(inner.replace("\n", ""))
    if armor(blob) != armored:
        raise BadSignature(_("The signature's armour isn't in the form that ssh-keygen gives."))
    return blob


def parse(armored: str) -> Signature:
    """An armoured signature taken apart, with nothing checked but its form."""
    try:
        reader = wire.Reader(dearmor(armored))
        if reader.take(len(MAGIC)) != MAGIC:
            raise BadSignature(_("This isn't an SSH signature."))
        version = reader.uint32()
        if version != VERSION:
            raise BadSignature(
                _("SSH signatures of version {version} aren't known.").format(version=version)
            )
        blob, namespace, reserved = reader.string(), reader.text(), reader.string()
        hash_name, signature = reader.text(), wire.Reader(reader.string())
        reader.end()
        algorithm = signature.text()
        public = PublicKey(type_of(blob), blob)
    except wire.BadWire as error:
        raise BadSignature(str(error)) from error
    if reserved:
        raise BadSignature(_("The signature has a reserved field that isn't empty."))
    if hash_name not in _HASHES:
        raise BadSignature(
            _("The signature hashes with {hash}, which isn't accepted.").format(hash=hash_name)
        )
    if public.type not in ALGORITHMS.get(algorithm, ((), None))[0]:
        raise BadSignature(
            _("Signatures of the kind {algorithm} by a key of type {type} aren't accepted.").format(
                algorithm=algorithm, type=public.type
            )
        )
    return Signature(public, namespace, hash_name, algorithm, signature.rest())


def verify(armored: str, message: bytes, namespace: str) -> PublicKey:
    """The key that signed `message` for `namespace`; BadSignature if none did."""
    signature = parse(armored)
    check(signature, message, namespace)
    return signature.public


def check(signature: Signature, message: bytes, namespace: str) -> Authenticator | None:
    """As `verify`, and what a FIDO authenticator said, None for other keys."""
    from cryptography.exceptions import InvalidSignature

    if signature.namespace != namespace:
        raise BadSignature(
            _("The signature was made for {other}, not for {namespace}.").format(
                other=signature.namespace, namespace=namespace
            )
        )
    key, application = load(signature.public.blob)
    data = to_be_signed(namespace, message, signature.hash)
    try:
        return ALGORITHMS[signature.algorithm][1](
            key, application, data, wire.Reader(signature.body)
        )
    except wire.BadWire as error:
        raise BadSignature(str(error)) from error
    except InvalidSignature as error:
        raise BadSignature(_("The signature doesn't match what was signed.")) from error
