"""What an entry says: the in-toto Statement v1 around every act. Pure.

A statement is made canonical once, by `seal`, and from then on is bytes: it is signed,
stored, hashed and read as those bytes, never made again. `parse` takes nothing but the
form that `seal` gives. What each act's predicate holds is in `predicates`; signatures are
in `sshsig`; who may sign what is decided elsewhere.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import msgspec

from otapgate import canonical
from otapgate.canonical import JSON
from otapgate.i18n import _
from otapgate.ledger import merkle

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
_PREFIX = "https://otapgate.example/predicate/"
VERSION = 1
"""Version of the predicates that are written; readers see the one that was."""

MAX_STATEMENT = 1 << 20
"""Bytes. Evidence that is larger belongs in the content store, with its digest here."""
SALT_SIZE = 32

_ACT = r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*"
_PREDICATE_TYPE = re.compile(re.escape(_PREFIX) + f"({_ACT})" + r"/v([1-9][0-9]{0,3})")
_FIELD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./:@-]{0,127}")
_HEX = re.compile(r"[0-9a-f]{64}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_COMMON = frozenset({"at", "log", "detail"})


class MalformedStatement(ValueError):
    """Bytes or a draft that is no statement of ours; the message is a sentence."""


class Head(msgspec.Struct, frozen=True):
    """State of a log at one size."""

    origin: str
    """Name of the log; see `check_origin`."""
    size: int
    """Number of entries."""
    root: str
    """Lowercase hexadecimal RFC 6962 root over those entries."""


class Subject(msgspec.Struct, frozen=True):
    """A thing an act is about, bound to its bytes."""

    name: str
    digest: str
    """`sha256:` and 64 hexadecimal digits."""


class Draft(msgspec.Struct, frozen=True):
    """An act not yet signed."""

    act: str
    """Lowercase words with hyphens; also names the signature's namespace."""
    subjects: tuple[Subject, ...]
    predicate: dict[str, Any]
    """JSON without `at`, `log` and `detail`, which `seal` puts there."""
    details: dict[str, Any] = {}
    """Personal values (JSON): they stay outside the statement, which commits to them."""


class SealedDetail(msgspec.Struct, frozen=True):
    """A personal value with what its commitment is made of."""

    field: str
    commitment: str
    salt: bytes
    value: bytes
    """Canonical JSON."""


class Sealed(msgspec.Struct, frozen=True):
    """A statement ready to be signed, and the values that it commits to."""

    statement: bytes
    details: tuple[SealedDetail, ...] = ()


class Statement(msgspec.Struct, frozen=True):
    """A statement as read."""

    act: str
    version: int
    subjects: tuple[Subject, ...]
    at: str
    """ISO 8601 with zone offset, to the second: the signer's clock, not proof of time."""
    head: Head
    """The log as the signer saw it."""
    detail: dict[str, str]
    """Field to commitment (`sha256:…`)."""
    predicate: dict[str, Any]
    """The act's own fields; `at`, `log` and `detail` are taken off."""


class Entry(msgspec.Struct, frozen=True):
    """A signed statement at its place in the log."""

    position: int
    """From 0."""
    statement: bytes
    signature: str
    """Armoured SSHSIG."""
    leaf: bytes
    """Leaf hash as stored; whether it is that of the other two is for verification."""


def namespace(act: str) -> str:
    """SSHSIG namespace of an act, so that its signature serves no other act."""
    return f"{act}@otapgate"


def predicate_type(act: str) -> str:
    """The URI that names the act's predicate; `parse` reads it back."""
    return f"{_PREFIX}{act}/v{VERSION}"


def check_origin(origin: str) -> None:
    """ValueError unless `origin` can name a log (and a signer of checkpoints): 1 to 255
    printable characters, no white space and no `+` (C2SP signed-note key names)."""
    if not 0 < len(origin) <= 255 or "+" in origin or not origin.isprintable() or " " in origin:
        raise ValueError(
            _("{origin} can't name a log: 1 to 255 characters, no white space, no +.").format(
                origin=ascii(origin)
            )
        )


def commitment(salt: bytes, value: bytes) -> str:
    """`sha256:` and the hexadecimal SHA-256 of the 32 bytes of salt followed by the
    canonical JSON of the value. Without the salt the value can't be guessed from it."""
    return "sha256:" + hashlib.sha256(salt + value).hexdigest()


def new_salt() -> bytes:
    """32 random bytes."""
    return secrets.token_bytes(SALT_SIZE)


def seal(draft: Draft, head: Head, at: datetime, *, salt: Callable[[], bytes] = new_salt) -> Sealed:
    """The statement of `draft` as signed on `head` at `at` (with zone; cut to the second).

    Each detail `k` becomes `predicate["detail"][k] = "sha256:…"`: the SHA-256 over 32
    random bytes of salt (a new one each) followed by the value's canonical JSON. Raises
    MalformedStatement for whatever `parse` would refuse.
    """
    if at.utcoffset() is None:
        raise MalformedStatement(_("The time of an act needs a zone."))
    clash = _COMMON & draft.predicate.keys()
    if clash:
        raise MalformedStatement(
            _("The predicate of {act} may not hold {fields} itself.").format(
                act=draft.act, fields=", ".join(sorted(clash))
            )
        )
    predicate: dict[str, JSON] = {
        **draft.predicate,
        "at": at.isoformat(timespec="seconds"),
        "log": {"origin": head.origin, "size": head.size, "root": head.root},
    }
    try:
        details = tuple(_commit(field, draft.details[field], salt) for field in draft.details)
        if details:
            predicate["detail"] = {one.field: one.commitment for one in details}
        statement = canonical.encode(
            {
                "_type": STATEMENT_TYPE,
                "subject": [_subject(one) for one in draft.subjects],
                "predicateType": predicate_type(draft.act),
                "predicate": predicate,
            }
        )
    except canonical.NotCanonical as error:
        raise MalformedStatement(_no_canonical_form(error)) from error
    # What can't be read back must never be signed: the log keeps it for good.
    parse(statement)
    return Sealed(statement, details)


def parse(statement: bytes) -> Statement:
    """The statement in these bytes. Raises MalformedStatement unless they are canonical
    JSON of at most 1 MiB holding exactly what `seal` writes, well formed throughout."""
    if len(statement) > MAX_STATEMENT:
        raise MalformedStatement(_("The statement is larger than 1 MiB."))
    try:
        value = canonical.decode(statement)
    except ValueError as error:  # NotCanonical, or an integer of thousands of digits
        raise MalformedStatement(_no_canonical_form(error)) from error
    whole = _object(value, "statement", {"_type", "subject", "predicateType", "predicate"})
    if whole["_type"] != STATEMENT_TYPE:
        raise MalformedStatement(_("The statement isn't an in-toto Statement v1."))
    kind = whole["predicateType"]
    matched = _PREDICATE_TYPE.fullmatch(kind) if isinstance(kind, str) else None
    if matched is None:
        raise MalformedStatement(_("The statement's predicateType isn't one of otapgate."))
    predicate = whole["predicate"]
    if not isinstance(predicate, dict) or not {"at", "log"} <= predicate.keys():
        raise MalformedStatement(_("The statement's predicate lacks its time or its log."))
    return Statement(
        act=matched[1],
        version=int(matched[2]),
        subjects=_subjects(whole["subject"]),
        at=_time(predicate["at"]),
        head=_head(predicate["log"]),
        detail=_detail(predicate["detail"]) if "detail" in predicate else {},
        predicate={key: item for key, item in predicate.items() if key not in _COMMON},
    )


def leaf_data(statement: bytes, signature: str) -> bytes:
    """What a leaf of the tree holds: the statement, one newline, the armoured signature.
    Canonical JSON has no raw newline, so the first one parts the two."""
    return statement + b"\n" + signature.encode("utf-8")


def leaf_hash(statement: bytes, signature: str) -> bytes:
    """RFC 6962 leaf hash of an entry (32 bytes)."""
    return merkle.leaf_hash(leaf_data(statement, signature))


def open_detail(statement: bytes, detail: SealedDetail) -> JSON:
    """The value of a detail kept beside a statement that `parse` has taken. Raises
    MalformedStatement unless the statement commits to this value under this field."""
    committed = msgspec.json.decode(statement, type=_Committing).predicate.detail
    if (
        committed.get(detail.field) != detail.commitment
        or commitment(detail.salt, detail.value) != detail.commitment
    ):
        raise MalformedStatement(
            _("The detail {field} isn't what was signed.").format(field=ascii(detail.field))
        )
    return canonical.decode(detail.value)


class _CommittingPredicate(msgspec.Struct):
    detail: dict[str, str] = {}


class _Committing(msgspec.Struct):
    """Only the commitments: details are opened by the thousand, in the warm path."""

    predicate: _CommittingPredicate


def _commit(field: str, value: JSON, salt: Callable[[], bytes]) -> SealedDetail:
    data, random = canonical.encode(value), salt()
    return SealedDetail(field, commitment(random, data), random, data)


def _subject(subject: Subject) -> JSON:
    algorithm, _colon, digits = subject.digest.partition(":")
    return {"name": subject.name, "digest": {algorithm: digits}}


def _no_canonical_form(error: ValueError) -> str:
    return _("The statement isn't canonical JSON: {reason}.").format(reason=error)


def _object(value: JSON, what: str, keys: set[str]) -> dict[str, JSON]:
    if not isinstance(value, dict) or value.keys() != keys:
        raise MalformedStatement(
            _("The {what} must be an object with exactly {keys}.").format(
                what=what, keys=", ".join(sorted(keys))
            )
        )
    return value


def _subjects(value: JSON) -> tuple[Subject, ...]:
    if not isinstance(value, list) or not value:
        raise MalformedStatement(_("The statement names no subject."))
    return tuple(_read_subject(item) for item in value)


def _read_subject(value: JSON) -> Subject:
    subject = _object(value, "subject", {"name", "digest"})
    name, digest = subject["name"], _object(subject["digest"], "digest", {"sha256"})["sha256"]
    # Unprintable text in a name could rewrite the terminal of whoever lists it.
    if not isinstance(name, str) or not name or not name.isprintable():
        raise MalformedStatement(_("A subject has no printable name."))
    if not isinstance(digest, str) or not _HEX.fullmatch(digest):
        raise MalformedStatement(_("A subject's digest isn't 64 hexadecimal digits."))
    return Subject(name, f"sha256:{digest}")


def is_near(at: date) -> bool:
    """Whether a time is in a year that somebody can mean, 2000 to 2199: at the ends of the
    calendar reckoning with zones goes wrong, for every reader and for good."""
    return 2000 <= at.year < 2200


def _time(value: JSON) -> str:
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        at = None
    if at is None or at.tzinfo is None or at.isoformat(timespec="seconds") != value:
        raise MalformedStatement(_("The statement's time isn't ISO 8601 to the second with zone."))
    if not is_near(at):
        raise MalformedStatement(_("The statement's time isn't in the years 2000 to 2199."))
    return value


def _head(value: JSON) -> Head:
    log = _object(value, "log", {"origin", "size", "root"})
    origin, size, root = log["origin"], log["size"], log["root"]
    try:
        check_origin(origin if isinstance(origin, str) else "")
    except ValueError as error:
        raise MalformedStatement(str(error)) from error
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise MalformedStatement(_("The size of the log that the signer saw isn't a number."))
    if not isinstance(root, str) or not _HEX.fullmatch(root):
        raise MalformedStatement(_("The root that the signer saw isn't 64 hexadecimal digits."))
    return Head(str(origin), size, root)


def _detail(value: JSON) -> dict[str, str]:
    entries = value if isinstance(value, dict) else {}
    found = {
        field: digest
        for field, digest in entries.items()
        if isinstance(digest, str) and _FIELD.fullmatch(field) and _DIGEST.fullmatch(digest)
    }
    if not found or len(found) != len(entries):
        raise MalformedStatement(_("The statement's details aren't commitments."))
    return found
