"""Which files a path in a release file stands for, and where each lands in the release.

Looks at the file system and reads nothing. Everything that can't be told in a release
is a problem: links that lead out, devices, names that aren't portable.
"""

from __future__ import annotations

import fnmatch
import os
import posixpath
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from otapgate.i18n import _
from otapgate.landscape.yaml_positions import shown
from otapgate.release import paths

LITTER = frozenset({"__pycache__", ".git", ".pytest_cache", ".mypy_cache", ".ruff_cache"})
"""Folders that programs leave behind: not part of playbooks and test plans."""

_TRYING = frozenset({"tests", "molecule"})
"""Of a published role or collection: how its makers try it out, on hosts of their own."""


OURS = ".otapgate"
"""Where a landscape's ledger and content store are: no part of any release."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file in the working directory and its place in the release."""

    path: str
    """In the release: `artifacts/…` or `playbooks/…`."""
    file: Path
    """What is read; links have been followed, and stay inside."""
    executable: bool
    sha256: str | None = None
    """The digest that the release file demands."""


class Refused(Exception):
    """Why a path can't be part of a release, and what to do about it."""

    def __init__(self, message: str, remedy: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy


def known_as(path: Path, root: Path) -> str:
    """A path as the user knows it: relative to the landscape where it lies below it."""
    try:
        return path.resolve().relative_to(root.resolve()).as_posix()
    except (OSError, RuntimeError, ValueError):
        return str(path)


def artifact(
    pattern: str, landing: str | None, base: Path, root: Path
) -> tuple[list[Source], list[Refused]]:
    """The files that `pattern` (a file, a folder or a glob, relative to folder `base`)
    stands for, landing below `artifacts/`.

    A path below the landscape `root` must not lead out of it by a link; one that is
    outside by its own words may be used.
    """
    try:
        fixed, glob = _split(pattern)
        where = _landing(fixed, landing, glob, pattern)
        start = _inside(base / fixed, root, pattern)
        if glob is None:
            return _all(start, where, frozenset())
    except Refused as refused:
        return [], [refused]
    if not start.is_dir():
        return [], [_absent(pattern)]
    prefix = where + "/" if where != "artifacts" else "artifacts/"
    sources, refusals = _all(start, prefix.rstrip("/"), frozenset())
    wanted = glob.split("/")
    found = [
        source for source in sources if _matches(source.path[len(prefix) :].split("/"), wanted)
    ]
    refusals = [
        item
        for item in refusals
        if not isinstance(item, _RefusedFile) or _matches(item.parts, wanted)
    ]
    return found, refusals if found or refusals else [_absent(pattern)]


def folder(
    path: str, where: str, base: Path, root: Path, leave: frozenset[str] = LITTER
) -> tuple[list[Source], list[Refused]]:
    """Every file below folder `path`, landing below `where`; folders named in `leave`
    are passed over."""
    try:
        start = _inside(base / path, root, path)
    except Refused as refused:
        return [], [refused]
    if not start.is_dir():
        return [], [
            Refused(
                _("{path} is not a folder.").format(path=shown(path, 200)),
                _("Give the folder that holds deploy.yml, verify.yml and rollback.yml."),
            )
        ]
    return _all(start, where, leave)


def _split(pattern: str) -> tuple[str, str | None]:
    """The part of a pattern without wildcards, and the part from the first on."""
    if "\\" in pattern or not pattern.isprintable():
        raise Refused(
            _("'{path}' is not a path that can be read.").format(path=shown(pattern)),
            _("Use slashes, and no control characters."),
        )
    parts = posixpath.normpath(pattern).split("/")
    for index, part in enumerate(parts):
        if any(sign in part for sign in "*?["):
            return "/".join(parts[:index]) or ("/" if pattern.startswith("/") else "."), "/".join(
                parts[index:]
            )
    return "/".join(parts) or "/", None


def _landing(fixed: str, landing: str | None, glob: str | None, pattern: str) -> str:
    """Where below `artifacts/` it lands: as told, or at its path without leading `..`."""
    if landing is not None:
        wrong = paths.fault(landing.rstrip("/"))
        if wrong is not None:
            raise Refused(
                _("It can't land as '{path}': {fault}.").format(path=shown(landing), fault=wrong),
                _("Give a relative path, such as site."),
            )
        return "artifacts/" + landing.rstrip("/")
    if fixed.startswith("/"):
        raise Refused(
            _("'{path}' is absolute, so it has no place in the release of itself.").format(
                path=shown(pattern, 200)
            ),
            _("Say where it lands: {{path: {path}, as: NAME}}.").format(path=shown(pattern, 200)),
        )
    kept = [part for part in fixed.split("/") if part not in ("..", ".")]
    if not kept and glob is None:
        raise Refused(
            _("'{path}' has no name of itself.").format(path=shown(pattern)),
            _("Say where it lands: {{path: {path}, as: NAME}}.").format(path=shown(pattern)),
        )
    return "/".join(["artifacts", *kept])


def _inside(path: Path, root: Path, label: str) -> Path:
    """`path` with its links followed, unless they lead from inside `root` to outside."""
    written = Path(os.path.normpath(path))
    try:
        real = path.resolve(strict=True)
    except (OSError, RuntimeError, ValueError) as error:
        raise _absent(label) from error
    top = root.resolve()
    under = written.is_relative_to(os.path.normpath(root)) or written.is_relative_to(top)
    if under and not real.is_relative_to(top):
        raise Refused(
            _("{path} leads out of the landscape by a link.").format(path=shown(str(path), 200)),
            _("Put the files themselves there, or name the place they really are."),
        )
    if under and OURS in real.relative_to(top).parts:
        raise _ours(label)
    return real


def _ours(path: str) -> Refused:
    return Refused(
        _("{path} is otapgate's own: the ledger and the content store are there.").format(
            path=shown(path, 200)
        ),
        _("Name the files or folders that belong to the release."),
    )


def _absent(path: str) -> Refused:
    return Refused(
        _("{path} doesn't exist.").format(path=shown(path, 200)),
        _("Make it, or mend the path; paths are relative to the release file."),
    )


class _RefusedFile(Refused):
    """A refusal of one file below a folder, so that a glob can pass over it."""

    def __init__(self, parts: list[str], message: str, remedy: str | None = None) -> None:
        super().__init__(message, remedy)
        self.parts = parts


def _all(start: Path, where: str, leave: frozenset[str]) -> tuple[list[Source], list[Refused]]:
    """The file `start`, or every file below the folder `start`."""
    if not start.is_dir():
        try:
            return [_source(start, start, where, [start.name])], []
        except Refused as refused:
            return [], [refused]
    sources: list[Source] = []
    refusals: list[Refused] = []
    for parts, found in _walk(start, [], leave):
        if isinstance(found, Refused):
            refusals.append(found)
            continue
        try:
            sources.append(_source(found, start, "/".join([where, *parts]), parts))
        except Refused as refused:
            refusals.append(refused)
    if not sources and not refusals:
        refusals.append(
            Refused(
                _("{path} holds no files.").format(path=shown(str(start), 200)),
                _("Build it first, or mend the path."),
            )
        )
    return sources, refusals


def _walk(
    start: Path, parts: list[str], leave: frozenset[str]
) -> Iterator[tuple[list[str], Path | Refused]]:
    """Every entry that isn't a folder, by name, so in the same order everywhere."""
    try:
        with os.scandir(start) as scan:
            entries = sorted(scan, key=lambda entry: os.fsencode(entry.name))
    except OSError as error:
        yield (
            parts,
            Refused(
                _("{path} can't be read: {reason}.").format(
                    path=shown(str(start), 200), reason=error.strerror
                )
            ),
        )
        return
    for entry in entries:
        below = [*parts, entry.name]
        if entry.name == OURS:
            refused = _ours(str(start / OURS))
            yield below, _RefusedFile(below, refused.message, refused.remedy)
        elif entry.is_dir(follow_symlinks=False):
            if entry.name not in leave and not (leave and _tries_out(below, entry)):
                yield from _walk(start / entry.name, below, leave)
        else:
            yield below, start / entry.name


def _tries_out(below: list[str], entry: os.DirEntry[str]) -> bool:
    """Whether the folder lies in a role's or a collection's own and is how that is tried
    out; a folder that is a role itself isn't."""
    if entry.name not in _TRYING or (Path(entry.path) / "tasks").is_dir():
        return False
    return below[-3:-2] == ["roles"] or below[-4:-3] == ["ansible_collections"]


def _source(file: Path, start: Path, where: str, parts: list[str]) -> Source:
    name = shown(str(file), 200)
    wrong = paths.fault(where)
    if wrong is not None:
        raise _RefusedFile(
            parts,
            _("{path} can't be in a release: {fault}.").format(path=name, fault=wrong),
            _("Rename or remove it."),
        )
    try:
        real = file.resolve(strict=True)
        status = real.stat()
    except (OSError, RuntimeError) as error:
        raise _RefusedFile(
            parts,
            _("{path} is a link that leads nowhere.").format(path=name),
            _("Remove it, or put the file itself there."),
        ) from error
    inside = real.is_relative_to(start)
    if file != start and inside and OURS in real.relative_to(start).parts:
        refused = _ours(name)
        raise _RefusedFile(parts, refused.message, refused.remedy)
    if file != start and not inside:
        raise _RefusedFile(
            parts,
            _("{path} is a link that leads out of {folder}.").format(
                path=name, folder=shown(str(start), 200)
            ),
            _("Put the file itself there."),
        )
    if stat.S_ISDIR(status.st_mode):
        raise _RefusedFile(
            parts,
            _("{path} is a link to a folder.").format(path=name),
            _("Put the folder itself there."),
        )
    if not stat.S_ISREG(status.st_mode):
        raise _RefusedFile(
            parts,
            _("{path} is not a regular file.").format(path=name),
            _("Remove it: a release holds files only."),
        )
    if not os.access(real, os.R_OK):
        raise _RefusedFile(
            parts,
            _("{path} may not be read.").format(path=name),
            _("Mend its permissions."),
        )
    return Source(where, real, bool(status.st_mode & stat.S_IXUSR))


def _matches(parts: list[str], wanted: list[str]) -> bool:
    """Whether the file, or a folder above it, matches the pattern: what is matched
    belongs to the release whole."""
    return any(_match(parts[:depth], wanted) for depth in range(1, len(parts) + 1))


def _match(parts: list[str], wanted: list[str]) -> bool:
    if not wanted:
        return not parts
    if wanted[0] == "**":
        return _match(parts, wanted[1:]) or (bool(parts) and _match(parts[1:], wanted))
    if not parts or (parts[0].startswith(".") and not wanted[0].startswith(".")):
        return False
    return fnmatch.fnmatchcase(parts[0], wanted[0]) and _match(parts[1:], wanted[1:])
