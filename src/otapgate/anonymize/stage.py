"""The staged database beside the target, and putting it in the target's place.

Only transformed rows are ever written to the stage. A stage that its run left behind
(power cut, kill -9) is recognised by its lock being free, and removed by the next run.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from otapgate.anonymize.schema import Schema, quoted, sqlite_failed, uri
from otapgate.errors import BadInput, Busy, Failed
from otapgate.i18n import _

_BUSY_SECONDS = 30


class Stage:
    """A new, empty database file that only its owner can read."""

    def __init__(self, path: Path, connection: sqlite3.Connection, handle: int) -> None:
        self.path = path
        self.connection = connection
        self._handle = handle

    def build(self, schema: Schema) -> None:
        """Make the source's tables, empty. Raises Failed when a statement isn't accepted."""
        for table in schema.tables.values():
            self._run(table.sql, _("making table {table}").format(table=table.name))

    def finish(self, schema: Schema, sequences: list[tuple[str, int]]) -> None:
        """Indexes, views and triggers, counters and settings, as the source has them.

        After the rows, so that no trigger touches them. A unique index that the rows
        don't satisfy raises Failed.
        """
        for sql in schema.later:
            self._run(sql, _("making indexes, views and triggers"))
        if sequences:
            self._run("DELETE FROM sqlite_sequence", _("setting counters"))
            self.connection.executemany(
                "INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", sequences
            )
        self._run(f"PRAGMA user_version = {schema.user_version}", _("setting the version"))
        self._run(f"PRAGMA application_id = {schema.application_id}", _("setting the version"))
        self._run("COMMIT", _("writing the stage"))

    def _run(self, sql: str, doing: str) -> None:
        try:
            self.connection.execute(sql)
        except (sqlite3.Error, sqlite3.Warning) as error:
            raise sqlite_failed(error, doing) from error

    def size(self) -> int:
        """Bytes of the file."""
        return self.path.stat().st_size


def same_database(source: Path, target: Path) -> bool:
    """Whether both paths lead to one file, by whatever name or link."""
    if target.exists():
        return source.samefile(target)
    return source.resolve() == target.resolve()


@contextlib.contextmanager
def staged(target: Path, schema: Schema) -> Iterator[Stage]:
    """A stage beside `target`, removed at the end whatever happens.

    Raises BadInput (`target-unusable`) when the folder can't be written to.
    """
    target = target.absolute()
    remove_stale(target)
    path = target.parent / f"{_prefix(target)}{secrets.token_hex(8)}"
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise BadInput(
            "target-unusable",
            _("No file can be made in {folder}: {reason}.").format(
                folder=target.parent, reason=error.strerror
            ),
            where=str(target),
        ) from error
    connection: sqlite3.Connection | None = None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        connection = sqlite3.connect(uri(path, "rw"), uri=True, isolation_level=None)
        for pragma in (
            f"page_size = {_page_size(target, schema)}",
            f"encoding = {quoted(schema.encoding)}",
            f"auto_vacuum = {schema.auto_vacuum}",
            # A stage that a crash damages is thrown away, so it needs no journal; without
            # one there is also no second file that could be left behind.
            "journal_mode = OFF",
            "synchronous = OFF",
            "temp_store = MEMORY",
            "trusted_schema = OFF",
            "foreign_keys = OFF",
        ):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("BEGIN")
        yield Stage(path, connection, handle)
    finally:
        if connection is not None:
            connection.close()
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        os.close(handle)


def remove_stale(target: Path) -> int:
    """Remove stages of `target` whose run is no more; how many."""
    removed = 0
    for path in target.parent.glob("*"):
        if not path.name.startswith(_prefix(target)) or path.is_symlink():
            continue
        try:
            handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
            removed += 1
        except BlockingIOError:
            pass  # its run is alive
        finally:
            os.close(handle)
    return removed


def load(stage: Stage, target: Path) -> None:
    """Make `target` the stage's content in one step: it is the old or the new, never half.

    A target that doesn't exist gets the finished file by one rename; one that does is
    replaced inside one SQLite transaction, so that an application that has it open sees
    either the old or the new. Raises Busy when the application doesn't let go of it.
    """
    target = target.absolute()
    if not target.exists() and not target.is_symlink():
        stage.connection.close()
        _sync(stage.path)
        try:
            os.link(stage.path, target)
        except OSError as error:
            raise Failed(
                "target-unusable",
                _("{target} can't be made: {reason}.").format(target=target, reason=error.strerror),
            ) from error
        _sync(target.parent)
        return
    try:
        connection = sqlite3.connect(
            uri(target, "rw"), uri=True, isolation_level=None, timeout=_BUSY_SECONDS
        )
        try:
            connection.execute("PRAGMA synchronous = FULL")
            # Waits for its turn; the backup itself doesn't wait.
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
            stage.connection.backup(connection, pages=-1)
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            connection.close()
    except sqlite3.OperationalError as error:
        if "locked" in str(error) or "busy" in str(error):
            raise Busy(
                "target-busy",
                _("The database {target} is in use and was left as it was.").format(target=target),
                remedy=_("Stop the application that uses it, and run the command again."),
            ) from error
        raise sqlite_failed(error, _("loading the target")) from error
    except sqlite3.Error as error:
        raise BadInput(
            "target-unusable",
            _("{target} is not a SQLite database: {error}.").format(target=target, error=error),
            remedy=_("Name another target, or remove that file."),
            where=str(target),
        ) from error
    _sync(target)


def _prefix(target: Path) -> str:
    return f".{target.name}.otapgate-stage-"


def _page_size(target: Path, schema: Schema) -> int:
    """The target's page size when it has one: in WAL mode it can't be changed."""
    try:
        with target.open("rb") as file:
            header = file.read(100)
    except OSError:
        header = b""
    if len(header) < 100 or not header.startswith(b"SQLite format 3\0"):
        return schema.page_size
    size = int.from_bytes(header[16:18], "big")
    return 65536 if size == 1 else size


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
