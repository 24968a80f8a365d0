"""What is SQLite's own about a ledger: its file, pragmas and faults.

A ledger on another database gets a module like this one; `storage` has no other place
that knows which database it talks to. SQLAlchemy is imported inside functions, because
`peek` uses this module where SQLAlchemy would cost too much.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import stat
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import quote

import msgspec

from otapgate import errors
from otapgate.i18n import _
from otapgate.ledger import schema
from otapgate.ledger.merkle import HASH_SIZE

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

FORMAT = 1
"""Version of the tables; a program refuses those of a newer one."""
APPLICATION_ID = 0x4F544150  # "OTAP", in the file's header
WAIT = 10.0
"""Seconds to wait for another writer."""

T = TypeVar("T")

WRITE = "otapgate_write"
"""Execution option of a connection whose transactions write."""


class SignedRow(NamedTuple):
    """An entry as `peek` gives it."""

    position: int
    statement: bytes
    signature: str


class EntryRow(NamedTuple):
    """An entry as `storage` gives it."""

    position: int
    statement: bytes
    signature: str
    leaf: bytes


class DetailRow(NamedTuple):
    """A detail as it is kept; salt and value are None once erased."""

    position: int
    field: str
    commitment: str
    salt: bytes | None
    value: bytes | None


MOST = 1 << 53
"""Entries that a log can have: more than a statement's head can tell are none of ours."""


def check_file(path: Path) -> None:
    """Raise Integrity unless there is a file at `path` that may be read.

    Nothing in otapgate opens a ledger's file, its -wal or its -shm, but SQLite itself.
    POSIX drops every lock that a process holds on a file as soon as it closes any
    descriptor of it: another command would then take itself for the last user, remove
    the write-ahead log, and entries that were acknowledged would be gone. Two connections
    of SQLite in a process are safe (`peek` beside `storage`): both go through the one
    libsqlite3, which keeps a descriptor open until the last lock on its file is released.
    """
    where = str(path)
    try:
        status = path.stat()
        reason = None if stat.S_ISREG(status.st_mode) else _("it is no file")
        if reason is None and not os.access(path, os.R_OK):
            reason = os.strerror(errno.EACCES)
    except FileNotFoundError as error:
        raise errors.Integrity(
            "ledger-missing",
            _("There is no ledger at {path}.").format(path=where),
            remedy=_("restore it from a backup; only where there is none, begin a new one:")
            + "\notapgate init . --again --role-admin NAME=KEY.pub --key KEY",
            where=where,
        ) from error
    except OSError as error:
        reason = error.strerror
    if reason is not None:
        raise errors.Integrity(
            "ledger-unreadable",
            _("The ledger {path} can't be read: {reason}.").format(path=where, reason=reason),
            where=where,
        )
    if not status.st_size:  # which SQLite takes for a database that is still empty
        raise _no_database(path)


def _no_database(path: Path) -> errors.Integrity:
    return errors.Integrity(
        "ledger-not-a-database",
        _("The ledger {path} isn't a database.").format(path=path),
        remedy=_("restore the ledger from a backup"),
        where=str(path),
    )


def connect(path: Path, *, mode: str = "ro", wait: float = WAIT) -> sqlite3.Connection:
    """A connection to an existing file; `mode` is SQLite's: ro or rw."""
    # In a folder that can't be written, SQLite can't make the files beside the database
    # that WAL needs even to read. Where there are none, nobody writes either.
    frozen = not os.access(path.parent, os.W_OK) and not Path(f"{path}-wal").exists()
    return sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?mode={mode}" + ("&immutable=1" if frozen else ""),
        uri=True,
        timeout=wait,
        isolation_level=None,
        check_same_thread=False,
    )


def read_origin(raw: sqlite3.Connection, path: Path) -> str:
    """The ledger's name, having checked that this is a ledger of a format known here.
    Raises Integrity, or sqlite3.Error for a file that is damaged."""
    where = str(path)
    (application,) = raw.execute("PRAGMA application_id").fetchone()
    if application != APPLICATION_ID:
        raise errors.Integrity(
            "ledger-foreign",
            _("{path} is a database, but not a ledger of otapgate.").format(path=where),
            remedy=_("restore the ledger from a backup"),
            where=where,
        )
    meta = dict(raw.execute("SELECT key, value FROM meta").fetchall())
    version = str(meta.get("format", ""))
    if not version.isdecimal() or len(version) > 6 or "origin" not in meta:
        raise damaged(path, _("its table meta is incomplete"))
    if int(version) > FORMAT:
        raise errors.Integrity(
            "ledger-newer",
            _("The ledger {path} was written by a newer otapgate (format {version}).").format(
                path=where, version=version
            ),
            remedy=_("upgrade otapgate on this machine"),
            where=where,
        )
    return str(meta["origin"])


def typed(row: Any, kind: type[T], path: Path) -> T:
    """A row with its types checked: SQLite lets anybody put text where bytes belong."""
    try:
        return msgspec.convert(row, kind, builtin_types=(bytes,))
    except msgspec.ValidationError as error:
        raise damaged(path, _("a row holds values of the wrong type")) from error


def hash_of(value: Any, path: Path) -> bytes:
    """A hash as read, with its type and length checked."""
    if not isinstance(value, bytes) or len(value) != HASH_SIZE:
        raise damaged(path, _("its tree holds something that is no hash"))
    return value


def size_of(last: Any, path: Path) -> int:
    """The log's size, given its largest position or None; Integrity where nobody could
    have put an entry there, which would send readers off the end of the numbers."""
    if last is None:
        return 0
    if not isinstance(last, int) or not 0 <= last < MOST:
        raise damaged(path, _("it holds an entry at position {n}").format(n=ascii(last)))
    return last + 1


CHECK = "PRAGMA integrity_check(5)"
"""SQLite's own look at its pages and indexes: 0.1 s for 10,000 entries (19 MB)."""


def unsound(said: Iterable[Any]) -> list[str]:
    """What `CHECK` found, a clause each."""
    return [
        _("SQLite says that the file is damaged: {what}").format(what=ascii(str(text))[1:-1])
        for text in said
        if text != "ok"
    ]


def altered(path: Path, found: list[str]) -> errors.Integrity:
    """The error for a database with other tables or triggers than it was made with."""
    return errors.Integrity(
        "ledger-altered",
        _("The database {path} isn't as otapgate made it; nothing was written.").format(path=path),
        remedy=_("find out who changed it, and restore the ledger from a backup"),
        where=str(path),
        problems=tuple(errors.Problem(one) for one in found),
    )


def not_kept(path: Path) -> errors.Integrity:
    """The error for a database that doesn't give back what was put into it."""
    return errors.Integrity(
        "ledger-not-kept",
        _("The database {path} didn't keep what was written; nothing was recorded.").format(
            path=path
        ),
        remedy=_("otapgate log verify tells what is wrong and where"),
        where=str(path),
    )


def damaged(path: Path, reason: str) -> errors.Integrity:
    """The error for a ledger whose database contradicts itself."""
    return errors.Integrity(
        "ledger-damaged",
        _("The ledger {path} is damaged: {reason}.").format(path=path, reason=reason),
        remedy=_("restore the ledger from a backup"),
        where=str(path),
    )


def too_short(path: Path, size: int, now: int) -> errors.Integrity:
    """The error for a size that the log hasn't reached, though somebody saw it."""
    return errors.Integrity(
        "ledger-too-short",
        _("The ledger {path} has {now} entries, not {size}.").format(path=path, now=now, size=size),
        remedy=_("the ledger was cut short or is an older copy: restore the newest backup"),
        where=str(path),
    )


def explain(error: sqlite3.Error, path: Path) -> errors.Integrity:
    """The error to show for a fault of the database."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    reasons = {
        sqlite3.SQLITE_FULL: (_("the disk is full"), _("free some space and try again")),
        sqlite3.SQLITE_IOERR: (_("the disk gives an error"), _("check the disk and its quota")),
        sqlite3.SQLITE_READONLY: (
            _("it is read-only for you"),
            _("make the file and its folder writable for who runs otapgate"),
        ),
        sqlite3.SQLITE_CANTOPEN: (
            _("it can't be opened"),
            _("make the file and its folder writable for who runs otapgate"),
        ),
        sqlite3.SQLITE_BUSY: (
            _("another program keeps it locked"),
            _("wait until the other command has ended and try again"),
        ),
    }
    if code == sqlite3.SQLITE_NOTADB:
        return _no_database(path)
    if code not in reasons:
        return damaged(path, str(error))
    reason, remedy = reasons[code]
    return errors.Integrity(
        "ledger-unwritable",
        _("The ledger {path} can't be used: {reason}; nothing was written.").format(
            path=path, reason=reason
        ),
        remedy=remedy,
        where=str(path),
    )


def engine(path: Path, *, wait: float = WAIT) -> Engine:
    """An engine on an existing file whose transactions begin, and are durable, as the
    ledger needs: WAL, every commit synced, a writer's lock taken at the beginning."""
    from sqlalchemy import create_engine, event
    from sqlalchemy.pool import QueuePool

    made = create_engine(
        "sqlite://", creator=lambda: connect(path, mode="rw", wait=wait), poolclass=QueuePool
    )

    @event.listens_for(made, "connect")
    def prepare(raw: Any, _record: object) -> None:
        for pragma in ("synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
            raw.execute(f"PRAGMA {pragma}")

    @event.listens_for(made, "begin")
    def begin(connection: Connection) -> None:
        write = connection.get_execution_options().get(WRITE, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return made


def create(path: Path, fill: Callable[[Connection], None]) -> None:
    """Make the file, readable by its owner only, whole or not at all; `fill` fills
    the tables. Raises Integrity where a file exists or can't be made."""
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(handle)
        try:
            _fill(Path(name), fill)
            os.link(name, path)  # unlike a rename, never replaces what is there
        finally:
            for suffix in ("", "-wal", "-shm", "-journal"):
                Path(name + suffix).unlink(missing_ok=True)
        _sync_directory(path.parent)
    except FileExistsError as error:
        raise errors.Integrity(
            "ledger-exists",
            _("There is a file at {path} already; it was left alone.").format(path=path),
            where=str(path),
        ) from error
    except OSError as error:
        raise errors.Integrity(
            "ledger-unwritable",
            _("The ledger {path} can't be made: {reason}.").format(
                path=path, reason=error.strerror
            ),
            remedy=_("make its folder writable, or free some space"),
            where=str(path),
        ) from error


def _fill(path: Path, fill: Callable[[Connection], None]) -> None:
    with contextlib.closing(connect(path, mode="rw")) as raw:
        raw.execute(f"PRAGMA application_id={APPLICATION_ID}")
        raw.execute("PRAGMA journal_mode=WAL")
    made = engine(path)
    try:
        with made.connect().execution_options(**{WRITE: True}) as connection, connection.begin():
            for sql in schema.STATEMENTS:
                connection.exec_driver_sql(sql)
            fill(connection)
    finally:
        made.dispose()


def _sync_directory(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def forget(connection: Connection) -> bool:
    """Copy the write-ahead log into the file and empty it, so that erased bytes are in
    neither; False where another connection still reads from it."""
    busy, _pages, _moved = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
    return not busy
