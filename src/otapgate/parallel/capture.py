"""Captures one output of one side: files, an answer, rows of a database, what a program says.

Nothing is changed on either side: files and databases are opened for reading, a query can
only read, a program is run without a shell with what the plan says. What can't be had is
`Unavailable` with a sentence, and counts as a difference.
"""

from __future__ import annotations

import csv
import io
import os
import sqlite3
import stat
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from otapgate.errors import OtapgateError
from otapgate.i18n import _, why
from otapgate.landscape.model import Environment
from otapgate.parallel.plan import Files, Http, Report, Side, Source, Table
from otapgate.testing import http_check, process
from otapgate.testing.bench import addresses
from otapgate.testing.template import render

LARGEST = 64 * 1024 * 1024
"""Bytes of one output."""
MOST_FILES = 1000
MOST_ROWS = 1_000_000


class Unavailable(Exception):
    """An output can't be had: a sentence why."""


@dataclass(frozen=True, slots=True)
class Captured:
    """One output of one side: parts by name (a file's path; "" where there is one)."""

    parts: Mapping[str, bytes]
    status: str = ""
    """How it was answered or ended; compared as it is."""


@dataclass(frozen=True)
class Post:
    """Where a side is looked at from."""

    side: Side
    environment: Environment
    scratch: Path
    """A private folder in which programs run."""
    secrets: Mapping[str, str]
    role: str
    """`old` or `new`."""

    @property
    def variables(self) -> dict[str, Any]:
        """What templates see, secrets left out: they stand in no argument and no path."""
        hosts = self.environment.hosts
        host = next((h for h in hosts if h.name == self.side.host), None)
        host = host or (hosts[0] if len(hosts) == 1 else None)
        own = {} if host is None else {"inventory_hostname": host.name, **host.variables}
        return {
            **self.environment.variables, **own, **self.side.variables,
            "otapgate_environment": self.environment.name, "otapgate_side": self.role,
        }  # fmt: skip

    @property
    def local(self) -> bool:
        """Whether that side's files are on this machine."""
        variables = self.variables
        return variables.get("ansible_connection") == "local"


def capture(source: Source, post: Post) -> Captured:
    """The output as it is now; raises Unavailable."""
    try:
        match source:
            case Files():
                return _files(source, post)
            case Http():
                return _http(source, post)
            case Table():
                return _table(source, post)
            case Report():
                return _report(source, post)
    except OtapgateError as error:  # a template that can't be filled in
        raise Unavailable(error.message) from error


def _here(post: Post) -> None:
    if not post.local:
        raise Unavailable(
            _("{environment} isn't on this machine, so its files can't be read here.").format(
                environment=post.environment.name
            )
        )


def _files(source: Files, post: Post) -> Captured:
    _here(post)
    folder = Path(render(source.folder, post.variables))
    if not folder.is_absolute() or not folder.is_dir():
        raise Unavailable(_("{folder} is no folder with a full path.").format(folder=folder))
    parts: dict[str, bytes] = {}
    room = LARGEST
    for base, folders, names in os.walk(folder):
        folders[:] = sorted(x for x in folders if not (Path(base) / x).is_symlink())
        for name in sorted(names):
            path = Path(base) / name
            relative = path.relative_to(folder).as_posix()
            if not any(_matches(relative, pattern) for pattern in source.match):
                continue
            parts[relative] = data = _read(path, room)
            room -= len(data)
            if len(parts) > MOST_FILES:
                raise Unavailable(_("There are more than {n} files.").format(n=MOST_FILES))
    if not parts:
        raise Unavailable(_("No file there matches."))
    return Captured(parts)


def _matches(relative: str, pattern: str) -> bool:
    """`*` within a folder, `**` through any number of them."""
    if pattern.startswith("**/"):
        rest = pattern[3:]
        parts = relative.split("/")
        return any(_matches("/".join(parts[i:]), rest) for i in range(len(parts)))
    head, slash, rest = pattern.partition("/")
    first, more, below = relative.partition("/")
    if bool(slash) != bool(more):
        return False
    fits = PurePosixPath(first).match(head)
    return fits and (not slash or _matches(below, rest))


def _read(path: Path, room: int) -> bytes:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise Unavailable(_("One of the files is not a regular file."))
            data = file.read(room + 1)
    except OSError as error:
        raise Unavailable(
            _("One of the files can't be read: {reason}.").format(reason=why(error))
        ) from error
    if len(data) > room:
        raise Unavailable(_("It is larger than {n} MiB.").format(n=LARGEST >> 20))
    return data


def _http(source: Http, post: Post) -> Captured:
    seen = {**post.variables, **post.secrets}
    try:
        answer = http_check.ask_once(
            render(source.url, post.variables),
            method=source.method,
            headers={name: render(text, seen) for name, text in source.headers.items()},
            body=render(source.body, seen).encode() if source.body else None,
            allowed=addresses(post.environment),
            seconds=source.timeout_seconds,
        )
    except http_check.NotAsked as error:
        raise Unavailable(str(error)) from error
    return Captured({"": answer.body}, str(answer.status))


_ALLOWED = {
    sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE,
}  # fmt: skip


def _table(source: Table, post: Post) -> Captured:
    _here(post)
    path = Path(render(source.database, post.variables))
    if not path.is_absolute() or not path.is_file():
        raise Unavailable(_("{file} is no database file with a full path.").format(file=path))
    limit = time.monotonic() + source.timeout_seconds
    base = None
    try:
        base = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=5)
        base.execute("PRAGMA query_only = ON")
        base.set_authorizer(
            lambda action, *_rest: sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY
        )
        base.set_progress_handler(lambda: int(time.monotonic() > limit), 10_000)
        return Captured({"": _rows(base.execute(source.query))})
    except (sqlite3.Error, ValueError) as error:
        late = time.monotonic() > limit
        reason = _("it took too long") if late else str(error)
        raise Unavailable(_("The query can't be run: {reason}.").format(reason=reason)) from error
    finally:
        if base is not None:
            base.close()


def _rows(cursor: sqlite3.Cursor) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    if cursor.description is None:
        raise Unavailable(_("The query gives no rows."))
    writer.writerow([column[0] for column in cursor.description])
    for count, row in enumerate(cursor, 1):
        writer.writerow([_cell(value) for value in row])
        if count > MOST_ROWS or out.tell() > LARGEST:
            raise Unavailable(_("The query gives more than can be compared."))
    return out.getvalue().encode("utf-8", "surrogateescape")


def _cell(value: object) -> str:
    # Nothing and an empty text are two things.
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return f"x'{value.hex()}'"
    return f"'{value}'" if value == "NULL" else str(value)


def _report(source: Report, post: Post) -> Captured:
    argv: Sequence[str] = [render(text, post.variables) for text in source.argv]
    ended = process.carry_out(
        argv,
        folder=post.scratch,
        environment={
            "PATH": os.environ.get("PATH", os.defpath), "HOME": str(post.scratch),
            "TMPDIR": str(post.scratch), "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8",
        },
        seconds=source.timeout_seconds,
    )  # fmt: skip
    if ended.exit is None:
        raise Unavailable(_("{program} didn't start: {reason}.").format(
            program=argv[0], reason=ended.reason))  # fmt: skip
    if ended.late or ended.lingering:
        raise Unavailable(_("{program} took too long.").format(program=argv[0]))
    if ended.cut:
        raise Unavailable(
            _("{program} says more than {n} KiB; let it write a file, and compare that.").format(
                program=argv[0], n=2 * process.KEPT >> 10
            )
        )
    return Captured({"": ended.output.encode()}, str(ended.exit))
