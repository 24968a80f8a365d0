"""From the store to a read-only folder, every byte verified on its way.

The folder appears whole or not at all, so a kill leaves nothing that looks like a
release. What the files are for is said by the manifest; who uses them isn't known here.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from otapgate.errors import Failed, Integrity, Problem
from otapgate.i18n import _
from otapgate.release import paths
from otapgate.release.manifest import Manifest, ReleaseFile
from otapgate.release.store import Store

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def unpack(manifest: Manifest, store: Store, target: Path) -> None:
    """Write the release's files to the new folder `target` (files 0444, or 0555 when
    executable; folders 0555).

    Raises Integrity (`release-damaged`, `release-hostile`) that names every file of the
    release that is wrong, Failed (`unpack-failed`) when the disk doesn't do it or
    `target` exists. `target` isn't there after an error.
    """
    unpack_files(manifest.files, store, target, name=manifest.name)


def unpack_files(
    files: Iterable[ReleaseFile], store: Store, target: Path, *, name: str = ""
) -> None:
    """As `unpack`, for any list of files; `name` says in messages whose they are."""
    files = tuple(files)
    _refuse_hostile(files, name)
    partial = target.with_name(f".{target.name}.{secrets.token_hex(6)}.partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists() or target.is_symlink():
            raise Failed(
                "unpack-failed", _("{path} exists already.").format(path=target), where=str(target)
            )
        partial.mkdir(mode=0o700)
        with _held(partial) as root:
            problems = [problem for file in files for problem in _place(root, file, store)]
            if not problems:
                _close(root)
        if problems:
            raise Integrity(
                "release-damaged",
                _("{name} can't be unpacked: the store no longer holds it whole.").format(
                    name=name or target.name
                ),
                problems=tuple(problems),
                where=problems[0].file,
                remedy=_("Restore the store from a backup, or build the release again."),
            )
        partial.rename(target)
    except OSError as error:
        raise Failed(
            "unpack-failed",
            _("{path} can't be unpacked: {reason}.").format(
                path=target, reason=error.strerror or error
            ),
            where=str(target),
            remedy=_("Free space or mend the permissions there, and try again."),
        ) from error
    finally:
        remove(partial)


def check(manifest: Manifest, store: Store) -> list[Problem]:
    """Read everything that the release consists of; one problem for every file of the
    release whose object is missing or damaged."""
    wrong: dict[str, Problem] = {}
    for file in manifest.files:
        for problem in store.verify_all([file.digest]):
            wrong[file.path] = _of_file(file, problem.message)
    return list(wrong.values())


def remove(target: Path) -> None:
    """Remove an unpacked tree, read-only as it is. No link is followed; nothing happens
    when it isn't there."""
    try:
        parent = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return
    try:
        _remove_at(parent, target.name)
    finally:
        os.close(parent)


def verify_tree(files: Iterable[ReleaseFile], target: Path) -> list[str]:
    """The paths below an unpacked `target` that aren't as listed: changed, missing or
    extra (empty folders aside), sorted."""
    import hashlib

    expected = {file.path: file for file in files}
    wrong = set(expected)
    for folder, names, found in os.walk(target):
        for name in [*found, *(n for n in names if Path(folder, n).is_symlink())]:
            path = Path(folder, name)
            relative = path.relative_to(target).as_posix()
            file = expected.get(relative)
            if file is None or path.is_symlink() or not path.is_file():
                wrong.add(relative)
                continue
            with path.open("rb") as opened:
                digest = "sha256:" + hashlib.file_digest(opened, "sha256").hexdigest()
            if digest == file.digest and bool(path.stat().st_mode & 0o100) == file.executable:
                wrong.discard(relative)
    return sorted(wrong)


def _refuse_hostile(files: tuple[ReleaseFile, ...], name: str) -> None:
    problems = [
        Problem(_("{path} can't be unpacked: {fault}.").format(path=repr(file.path), fault=fault))
        for file in files
        if (fault := paths.fault(file.path)) is not None
    ]
    problems += [
        Problem(_("{one} and {other} can't stand side by side.").format(one=one, other=other))
        for one, other in paths.collisions(file.path for file in files)
    ]
    if problems:
        raise Integrity(
            "release-hostile",
            _("The list of files of {name} is not one that otapgate made.").format(name=name),
            problems=tuple(problems),
            remedy=_("Don't use it; find out where it came from."),
        )


def _place(root: int, file: ReleaseFile, store: Store) -> list[Problem]:
    """Write one file; the problem if its object doesn't verify."""
    *folders, name = file.path.split("/")
    with _descend(root, folders) as folder:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(name, flags, 0o600, dir_fd=folder)
        try:
            size = store.copy_to(file.digest, descriptor)
            os.fchmod(descriptor, 0o555 if file.executable else 0o444)
        except Integrity as error:
            return [_of_file(file, error.message)]
        finally:
            os.close(descriptor)
    if size != file.size:
        return [_of_file(file, _("It has {size} bytes.").format(size=size))]
    return []


def _of_file(file: ReleaseFile, message: str) -> Problem:
    return Problem(
        _("{path} is not what was built: {message}").format(path=file.path, message=message),
        file=file.path,
        remedy=_("Restore the store from a backup, or build the release again."),
    )


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, _FOLDER)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _descend(root: int, names: list[str]) -> Iterator[int]:
    """Descriptor of a folder below `root`, made as needed."""
    descriptor = os.dup(root)
    try:
        for name in names:
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, 0o700, dir_fd=descriptor)
            below = os.open(name, _FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        yield descriptor
    finally:
        os.close(descriptor)


def _close(root: int) -> None:
    """Make every folder read-only, the deepest first."""
    for _folder, _names, _files, descriptor in os.fwalk(".", topdown=False, dir_fd=root):
        os.fchmod(descriptor, 0o555)


def _remove_at(parent: int, name: str) -> None:
    try:
        status = os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(status.st_mode):
        os.unlink(name, dir_fd=parent)
        return
    descriptor = os.open(name, _FOLDER, dir_fd=parent)
    try:
        os.fchmod(descriptor, 0o700)
        for below in os.listdir(descriptor):  # noqa: PTH208 - by descriptor, never by path
            _remove_at(descriptor, below)
    finally:
        os.close(descriptor)
    os.rmdir(name, dir_fd=parent)
