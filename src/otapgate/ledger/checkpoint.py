"""Checkpoints: the log's head as a signed text that can be kept elsewhere. Pure.

The text is a C2SP tlog-checkpoint, which is a C2SP signed note:

    <origin>
    <size, decimal>
    <root, base64>

    — <name> <base64(key ID || signature)>

The three lines with their newlines are the note's text; an empty line and one or more
signature lines follow. A signature is an SSHSIG over the note's text in the namespace
`checkpoint@otapgate`: the bytes between the armour's lines, decoded. C2SP has no type
for those, so it is type 0xff with a longer identifier, and

    key ID = SHA-256(name || 0x0A || 0xff || "otapgate.example/sshsig/v1" || key)[:4]

where `key` is the public key's blob, the wire encoding that the second field of a .pub
file holds in base64. `name` is a C2SP key name: not empty, no white space, no `+`; here
the origin of the log. Extension lines aren't used and are refused.

To check one with stock tools, see docs/explanation/ledger-format.md.
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import TYPE_CHECKING

import msgspec

from otapgate.i18n import _
from otapgate.ledger import sshsig
from otapgate.ledger.sshsig import BadSignature, PublicKey
from otapgate.ledger.statement import Head, check_origin

if TYPE_CHECKING:
    from otapgate.ledger.keys import Signer

NAMESPACE = "checkpoint@otapgate"
MAX_TEXT = 256 * 1024
MAX_SIGNATURES = 16
_TYPE = b"\xff" + b"otapgate.example/sshsig/v1"
_SIZE = re.compile(r"0|[1-9][0-9]{0,15}")


class NoteSignature(msgspec.Struct, frozen=True):
    """One signature line, nothing checked."""

    name: str
    key_id: bytes
    """4 bytes, a hint which key it could be."""
    signature: bytes
    """SSHSIG blob, where the line is one of ours."""


class Checkpoint(msgspec.Struct, frozen=True):
    """A checkpoint taken apart."""

    head: Head
    body: bytes
    """The note's text: what is signed."""
    signatures: tuple[NoteSignature, ...]


def key_id(name: str, public: PublicKey) -> bytes:
    """The 4 bytes that say which key a signature line is by."""
    return hashlib.sha256(name.encode() + b"\n" + _TYPE + public.blob).digest()[:4]


def make(head: Head, name: str, signer: Signer) -> str:
    """A checkpoint of `head` signed under `name`; ValueError for a name that can't be."""
    check_origin(name)
    root = base64.b64encode(bytes.fromhex(head.root)).decode()
    body = f"{head.origin}\n{head.size}\n{root}\n"
    signature = sshsig.dearmor(signer.sign(body.encode(), NAMESPACE))
    line = base64.b64encode(key_id(name, signer.public) + signature).decode()
    return f"{body}\n— {name} {line}\n"


def parse(text: str) -> Checkpoint:
    """A checkpoint taken apart, nothing proven; BadSignature unless well formed."""
    if len(text) > MAX_TEXT:
        raise BadSignature(_("The checkpoint is too long."))
    body, _empty, lines = text.rpartition("\n\n")
    fields = body.split("\n")
    if len(fields) != 3 or not _SIZE.fullmatch(fields[1]):
        raise BadSignature(_("This isn't a checkpoint: origin, size and root are expected."))
    try:
        check_origin(fields[0])
    except ValueError as error:
        raise BadSignature(str(error)) from error
    root = sshsig.decode_base64(fields[2])
    if len(root) != 32:
        raise BadSignature(_("The checkpoint's root isn't 32 bytes long."))
    if not lines.endswith("\n") or lines.count("\n") > MAX_SIGNATURES:
        raise BadSignature(_("The checkpoint has no or too many signature lines."))
    signatures = tuple(_signature(line) for line in lines[:-1].split("\n"))
    head = Head(fields[0], int(fields[1]), root.hex())
    return Checkpoint(head, (body + "\n").encode(), signatures)


def verify(text: str, public: PublicKey) -> Head:
    """The head in a checkpoint that this key signed. Lines of other keys are ignored, as
    C2SP asks; one that is named as this key's must verify. BadSignature otherwise."""
    checkpoint = parse(text)
    mine = [one for one in checkpoint.signatures if one.key_id == key_id(one.name, public)]
    if not mine:
        raise BadSignature(
            _("The checkpoint isn't signed by {key}.").format(key=public.fingerprint)
        )
    for one in mine:
        armored = sshsig.armor(one.signature)
        if sshsig.verify(armored, checkpoint.body, NAMESPACE) != public:
            raise BadSignature(_("The checkpoint is signed by another key than it says."))
    return checkpoint.head


def _signature(line: str) -> NoteSignature:
    dash, name, encoded = [*line.split(" "), "", ""][:3]
    if dash != "—" or line.count(" ") != 2:
        raise BadSignature(_("The checkpoint has a line that is no signature."))
    try:
        check_origin(name)
    except ValueError as error:
        raise BadSignature(str(error)) from error
    data = sshsig.decode_base64(encoded)
    if len(data) <= 4:
        raise BadSignature(_("The checkpoint has a signature that is too short."))
    return NoteSignature(name, data[:4], data[4:])
