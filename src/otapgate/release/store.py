"""The content store: bytes by their digest, on disk, verified on every read.

Everything a deployment uses comes from here, never from the working directory: what was
checked is what runs. Objects are written once, whole or not at all, and made read-only;
whoever changes one by hand is found out at the next read. What an object means
(a release's manifest, a test plan, evidence) is the caller's.

Layout: `sha256/<first two hex digits>/<64 hex digits>` below the store's root, and
`tmp/` for what is being written. All access goes by folder descriptors that refuse
symbolic links, so content placed in the store by somebody else can't lead out of it.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
import stat
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO

from otapgate.errors import BadInput, Failed, Integrity, Problem
from otapgate.i18n import _, why

CHUNK = 1 << 20
STALE_SECONDS = 24 * 3600
"""A temporary file older than this was left by a writer that was killed."""

_DIGEST = re.compile(r"sha256:([0-9a-f]{64})\Z")
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Store:
    """A content store in folder `root`, which is made when first written to.

    Safe for any number of threads and processes at once. Methods that read raise
    Integrity (`store-missing`, `store-damaged`); methods that write raise Failed
    (`store-full`, `store-unwritable`) and leave no partial object behind.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, data: bytes) -> str:
        """Keep `data`; returns its digest."""
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        return digest if self._sound(digest) else self._keep(iter((data,)))[0]

    def put_file(self, path: Path) -> tuple[str, int]:
        """Keep a copy of the regular file at `path`, whatever its size; returns digest
        and size in bytes of what was copied. A symbolic link isn't followed. Raises
        BadInput (`file-unreadable`) when it can't be read."""
        try:
            source = os.open(path, _READ)
        except OSError as error:
            raise _unreadable(path, error) from error
        if not stat.S_ISREG(os.fstat(source).st_mode):
            os.close(source)
            raise BadInput(
                "file-unreadable",
                _("{path} is not a regular file.").format(path=path),
                where=str(path),
            )
        with os.fdopen(source, "rb", buffering=0) as file:
            # Reading twice is cheaper than writing and syncing what is there already.
            digest, size = _digest(_source_chunks(file, path))
            if self._sound(digest):
                return digest, size
            file.seek(0)
            return self._keep(_source_chunks(file, path))

    def get(self, digest: str) -> bytes:
        """The object's bytes, verified. For large objects use `open` or `copy_to`."""
        pieces: list[bytes] = []
        self._read(digest, pieces.append)
        return b"".join(pieces)

    def open(self, digest: str) -> IO[bytes]:
        """The object as a file to read from, verified before the first byte is given.

        It is a private copy: what is verified can't be changed underneath the reader.
        """
        copy = tempfile.SpooledTemporaryFile(max_size=8 * CHUNK)  # noqa: SIM115 - handed out
        try:
            self._read(digest, copy.write)
            copy.seek(0)
        except BaseException:
            copy.close()
            raise
        return copy

    def copy_to(self, digest: str, descriptor: int) -> int:
        """Write the object to an open file descriptor; returns its size.

        The bytes are verified as they pass, so they are on the other side before the
        answer is known: on Integrity the caller throws away what was written.
        """
        size = 0

        def write(chunk: bytes) -> None:
            nonlocal size
            size += len(chunk)
            view = memoryview(chunk)
            while view:
                view = view[os.write(descriptor, view) :]

        self._read(digest, write)
        return size

    def has(self, digest: str) -> bool:
        """Whether an object of that digest is there; doesn't verify it."""
        try:
            with self._opened(digest):
                return True
        except Integrity:
            return False

    def verify_all(self, digests: Iterable[str]) -> list[Problem]:
        """Read every object; one problem for each that is missing or damaged."""
        problems = []
        for digest in dict.fromkeys(digests):
            try:
                self._read(digest, lambda _chunk: None)
            except Integrity as error:
                problems.append(Problem(error.message, file=error.where, remedy=error.remedy))
        return problems

    def delete(self, digest: str) -> bool:
        """Remove an object (evidence with personal data, when its time is over);
        returns whether it was there."""
        name = _name(digest)
        try:
            with self._folder("sha256", name[:2]) as folder:
                os.unlink(name, dir_fd=folder)
                os.fsync(folder)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise self._unwritable(error) from error
        return True

    def _keep(self, chunks: Iterator[bytes]) -> tuple[str, int]:
        """Write to a temporary file, sync, rename: whole or not at all."""
        try:
            with self._folder("tmp", make=True) as temporary:
                _sweep(temporary)
                name = secrets.token_hex(16)
                try:
                    digest, size = _write(temporary, name, chunks)
                    self._settle(temporary, name, digest)
                finally:
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(name, dir_fd=temporary)
                return digest, size
        except OSError as error:
            raise self._unwritable(error) from error

    def _sound(self, digest: str) -> bool:
        """Whether the object is there and verifies."""
        try:
            self._read(digest, lambda _chunk: None)
        except Integrity:
            return False
        return True

    def _settle(self, temporary: int, name: str, digest: str) -> None:
        """Rename to the final place, unless a sound object is there already. A damaged
        one is replaced: writing the right bytes again is how a store is mended."""
        if not self._sound(digest):
            final = _name(digest)
            with self._folder("sha256", final[:2], make=True) as folder:
                os.rename(name, final, src_dir_fd=temporary, dst_dir_fd=folder)
                os.fsync(folder)

    def _read(self, digest: str, write: Callable[[bytes], object]) -> None:
        """Give the object's bytes to `write` chunk by chunk; raises Integrity at the end
        when they aren't what the digest says."""
        running = hashlib.sha256()
        try:
            with self._opened(digest) as file:
                while chunk := file.read(CHUNK):
                    running.update(chunk)
                    write(chunk)
        except _ReadError as error:
            raise self._damaged(digest) from error
        if "sha256:" + running.hexdigest() != digest:
            raise self._damaged(digest)

    @contextlib.contextmanager
    def _opened(self, digest: str) -> Iterator[_Reader]:
        name = _name(digest)
        try:
            with self._folder("sha256", name[:2]) as folder:
                descriptor = os.open(name, _READ, dir_fd=folder)
        except FileNotFoundError as error:
            raise Integrity(
                "store-missing",
                _("The store no longer holds {digest}.").format(digest=digest),
                where=str(self.path(digest)),
                remedy=_("Restore the store from a backup, or build the release again."),
            ) from error
        except OSError as error:  # a link, a folder in its place, no permission
            raise self._damaged(digest) from error
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise self._damaged(digest)
            yield _Reader(descriptor)
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def _folder(self, *names: str, make: bool = False) -> Iterator[int]:
        """Descriptor of a folder below the root, no symbolic link on the way."""
        if make:
            self.root.mkdir(parents=True, exist_ok=True, mode=0o750)
        descriptor = os.open(self.root, _FOLDER)
        try:
            for name in names:
                if make:
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(name, 0o750, dir_fd=descriptor)
                        os.fsync(descriptor)
                below = os.open(name, _FOLDER, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = below
            yield descriptor
        finally:
            os.close(descriptor)

    def path(self, digest: str) -> Path:
        """Where an object lies, for messages; read objects through the store only."""
        name = _name(digest)
        return self.root / "sha256" / name[:2] / name

    def _damaged(self, digest: str) -> Integrity:
        return Integrity(
            "store-damaged",
            _("Object {digest} in the store is damaged: its bytes are not what they were.").format(
                digest=digest
            ),
            where=str(self.path(digest)),
            remedy=_("Restore the store from a backup, or build the release again."),
        )

    def _unwritable(self, error: OSError) -> Failed:
        if error.errno in _FULL:
            return Failed(
                "store-full",
                _("The disk of the content store is full; nothing was stored."),
                where=str(self.root),
                remedy=_("Free space on that disk and try again."),
            )
        return Failed(
            "store-unwritable",
            _("The content store can't be written: {reason}.").format(
                reason=error.strerror or error
            ),
            where=str(self.root),
            remedy=_("Mend the permissions of that folder; it must hold no symbolic links."),
        )


class _ReadError(Exception):
    """The disk failed while an object was read."""


class _Reader:
    """Reads an object, keeping the disk's errors apart from those of who is written to."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def read(self, size: int) -> bytes:
        try:
            return os.read(self._descriptor, size)
        except OSError as error:
            raise _ReadError from error


def _name(digest: str) -> str:
    match = _DIGEST.match(digest)
    if match is None:
        raise Integrity(
            "digest-malformed", _("{digest} is not a digest.").format(digest=repr(digest)[:100])
        )
    return match.group(1)


def _write(folder: int, name: str, chunks: Iterator[bytes]) -> tuple[str, int]:
    running = hashlib.sha256()
    size = 0
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(name, flags, 0o600, dir_fd=folder), "wb", buffering=0) as file:
        for chunk in chunks:
            running.update(chunk)
            size += len(chunk)
            view = memoryview(chunk)
            while view:
                view = view[file.write(view) :]
        os.fchmod(file.fileno(), 0o444)
        os.fsync(file.fileno())
    return "sha256:" + running.hexdigest(), size


def _digest(chunks: Iterator[bytes]) -> tuple[str, int]:
    running = hashlib.sha256()
    size = 0
    for chunk in chunks:
        running.update(chunk)
        size += len(chunk)
    return "sha256:" + running.hexdigest(), size


def _source_chunks(file: IO[bytes], path: Path) -> Iterator[bytes]:
    """The file's bytes; an error in reading them isn't the store's, so it is told apart."""
    while True:
        try:
            chunk = file.read(CHUNK)
        except OSError as error:
            raise _unreadable(path, error) from error
        if not chunk:
            return
        yield chunk


def _unreadable(path: Path, error: OSError) -> BadInput:
    return BadInput(
        "file-unreadable",
        _("{path} can't be read: {reason}.").format(path=path, reason=why(error)),
        where=str(path),
    )


def _sweep(folder: int) -> None:
    """Remove what killed writers left; a living one's file is younger."""
    limit = time.time() - STALE_SECONDS
    with os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                if entry.stat(follow_symlinks=False).st_mtime < limit:
                    os.unlink(entry.name, dir_fd=folder)
