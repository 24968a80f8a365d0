"""What a run has begun and finished, on disk before and after each step.

One JSON object a line in `journal.jsonl` of the run's folder, appended and fsynced, so
that after `kill -9` or a power cut the next command knows what was done, what may be
half done, and how to go on or back. Secrets never come here; large data (fingerprints)
lies beside it in a file that is named by digest. The ledger, not the journal, is the
evidence.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from otapgate import canonical
from otapgate.errors import Failed, Integrity
from otapgate.i18n import _

NAME = "journal.jsonl"


class Record(msgspec.Struct, frozen=True):
    """One line: a step began, ended well, or failed."""

    step: str
    event: str
    """`begun`, `done`, `failed` or `noted`."""
    at: str
    """ISO 8601 in UTC."""
    data: dict[str, Any] = {}


class Journal:
    """The journal of one run; `run_dir` is made (0700) when it isn't there."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self.path = run_dir / NAME

    def exists(self) -> bool:
        """Whether anything was ever written. A first line that never ended is nothing: what
        it would have told of begins only once it is on disk."""
        try:
            return b"\n" in self.path.read_bytes()
        except FileNotFoundError:
            return False

    def append(self, step: str, event: str, **data: Any) -> None:
        """Write one record; returns when it is on disk. Raises Failed
        (`journal-unwritable`)."""
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        record = {"step": step, "event": event, "at": at, "data": data}
        line = json.dumps(record, sort_keys=True, ensure_ascii=False).encode() + b"\n"
        try:
            self.run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            descriptor = os.open(self.path, flags, 0o600)
            try:
                size = os.fstat(descriptor).st_size
                if size and os.pread(descriptor, 1, size - 1) != b"\n":
                    if b"\n" in os.pread(descriptor, size, 0):
                        line = b"\n" + line  # what a killed writer left stays a line of its own
                    else:  # it was writing the first one: begin anew
                        os.ftruncate(descriptor, 0)
                        size = 0
                if os.write(descriptor, line) != len(line):
                    raise OSError("short write")
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            if not size:
                _sync_folder(self.run_dir)
        except OSError as error:
            raise Failed(
                "journal-unwritable",
                _("The run's journal can't be written: {why}").format(why=error.strerror or error),
                where=str(self.path),
                remedy=_("Make room on the disk, then try again."),
            ) from error

    def records(self) -> list[Record]:
        """Everything that was written whole; lines that a kill cut short are left out."""
        try:
            lines = self.path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return []
        found = []
        for line in lines:
            try:
                found.append(msgspec.json.decode(line, type=Record))
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue
        return found

    def last(self, step: str, event: str | None = None) -> Record | None:
        """The newest record of a step, of one kind or any."""
        for record in reversed(self.records()):
            if record.step == step and event in (None, record.event):
                return record
        return None

    def keep(self, name: str, value: Mapping[str, Any]) -> str:
        """Keep canonical JSON beside the journal as `name`, durably; returns its digest.
        The value's parts are asked for, and written, one by one."""
        digest = hashlib.sha256()
        path = self.run_dir / name
        temporary = path.with_name(f".{name}.new")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            for chunk in _chunks(value):
                digest.update(chunk)
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(self.run_dir)
        return f"sha256:{digest.hexdigest()}"

    def sync(self) -> None:
        """Return when all that anybody wrote on the run's disk is durable. Raises OSError."""
        libc = ctypes.CDLL(None, use_errno=True)
        descriptor = os.open(self.run_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            if not hasattr(libc, "syncfs"):  # not Linux
                os.sync()
            elif libc.syncfs(descriptor) != 0:
                error = ctypes.get_errno()
                raise OSError(error, os.strerror(error), str(self.run_dir))
        finally:
            os.close(descriptor)

    def kept(self, name: str, digest: str) -> bytes:
        """What was kept as `name`, as canonical JSON. Raises Integrity (`run-damaged`) when
        it is gone or isn't what was kept."""
        path = self.run_dir / name
        try:
            data = path.read_bytes()
        except OSError:
            data = b""
        if canonical.digest(data) != digest:
            raise Integrity(
                "run-damaged",
                _("{path} isn't what the run's journal says it is.").format(path=path),
                where=str(path),
            )
        return data


def _chunks(value: Mapping[str, Any]) -> Iterator[bytes]:
    """The canonical bytes of an object, member by member."""
    yield b"{"
    for number, name in enumerate(sorted(value)):
        yield (b"," if number else b"") + canonical.encode({name: value[name]})[1:-1]
    yield b"}"


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
