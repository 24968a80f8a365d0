"""Does every host hold exactly what the release says? (CH06-09)

Pure but for `expected_installs`, which reads the release's own wheels. Missing, different
and extra items are named by host, in words that don't depend on the user's language.
"""

from __future__ import annotations

import fnmatch
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from otapgate.execution.fingerprints import Told
from otapgate.execution.wheels import SITE, Wheel, normalised, read_wheels
from otapgate.ledger.predicates import Completeness
from otapgate.release.manifest import Install, Manifest

_SITE = re.compile(r"(lib/python\d+\.\d+/site-packages)/")
_OWN = (
    "pyvenv.cfg",
    "bin/python*",
    "bin/activate*",
    "bin/Activate.ps1",
    "bin/deactivate.bat",
    "bin/pydoc.bat",
    "lib64",
    ".gitignore",
    "CACHEDIR.TAG",
    ".lock",
)
"""What a virtual environment has of itself."""
FEW = 3


class Expected(msgspec.Struct, frozen=True):
    """What an install must hold."""

    install: Install
    files: dict[str, str] = {}
    """`files`: path below the root → SHA-256."""
    executable: tuple[str, ...] = ()
    wheels: tuple[Wheel, ...] = ()
    app: str = ""
    version: str = ""
    """Of the release that says so."""


class _Found:
    """What was found, over all hosts."""

    def __init__(self) -> None:
        self.missing, self.different, self.extra = Told(), Told(), Told()


class _At:
    """Where what is found of one host is noted."""

    def __init__(self, host: str, found: _Found) -> None:
        self._host, self._found = host, found

    def missing(self, what: str) -> None:
        self._found.missing.add(self._host, what)

    def different(self, what: str) -> None:
        self._found.different.add(self._host, what)

    def surplus(self, what: str) -> None:
        self._found.extra.add(self._host, what)


def expected_installs(manifest: Manifest, release_tree: Path) -> tuple[Expected, ...]:
    """What each of the manifest's installs must hold, from the release itself. Raises
    BadInput (`wheel-invalid`)."""
    return tuple(
        Expected(
            install,
            wheels=read_wheels(release_tree / install.source),
            app=manifest.app,
            version=manifest.version,
        )
        if install.kind == "wheels"
        else _expected_files(manifest, install)
        for install in manifest.installs
    )


def installed_files(manifest: Manifest) -> tuple[Expected, ...]:
    """Those of the manifest's installs that are plain files; nothing is read."""
    return tuple(
        _expected_files(manifest, install)
        for install in manifest.installs
        if install.kind == "files"
    )


def _expected_files(manifest: Manifest, install: Install) -> Expected:
    prefix = install.source.rstrip("/") + "/"
    below = [file for file in manifest.files if file.path.startswith(prefix)]
    return Expected(
        install,
        files={file.path[len(prefix) :]: file.digest.removeprefix("sha256:") for file in below},
        executable=tuple(file.path[len(prefix) :] for file in below if file.executable),
        app=manifest.app,
        version=manifest.version,
    )


def completeness(
    expected: Sequence[Expected],
    observed: Mapping[str, Mapping[str, Any]],
    hosts: Sequence[str],
    previous: Sequence[Expected] = (),
) -> Completeness:
    """What every host holds against what it should. `unknown` when a host couldn't be
    looked at or the release says nothing about what it installs.

    A host that holds exactly what `previous` installs in that place is said to be at that
    version, instead of by every file that differs. `observed` is asked host by host, once
    for each, so it may unpack them as it goes.
    """
    found = _Found()
    unseen = Told()
    for host in hosts:
        installs = observed.get(host, {}).get("installs")
        if not isinstance(installs, list) or len(installs) != len(expected):
            unseen.add(host, "not looked at")
            continue
        at = _At(host, found)
        for wanted, seen in zip(expected, installs, strict=True):
            if wanted.install.kind == "wheels":
                _wheels(at, wanted, seen)
            elif not _at_older(at, wanted, seen, previous):
                _files(at, wanted, seen)
    outcome: Literal["complete", "incomplete", "unknown"] = "complete"
    if found.missing or found.different or found.extra:
        outcome = "incomplete"
    elif unseen or not expected or not hosts:
        outcome = "unknown"
    return Completeness(
        outcome=outcome,
        missing=(*unseen.lines(), *found.missing.lines()),
        different=found.different.lines(),
        extra=found.extra.lines(),
    )


def _at_older(
    at: _At, wanted: Expected, seen: Mapping[str, Any], previous: Sequence[Expected]
) -> bool:
    """Whether the host holds wholly, and nothing but, what an earlier release put there."""
    files = seen.get("files", {})
    for older in previous:
        same_place = (older.install.root, older.install.kind) == (
            wanted.install.root, wanted.install.kind,
        )  # fmt: skip
        if same_place and files and files == older.files != wanted.files:
            root = str(seen.get("root", wanted.install.root))
            at.different(f"{root}: {older.app} {older.version} where {wanted.version} was accepted")
            return True
    return False


def _files(at: _At, wanted: Expected, seen: Mapping[str, Any]) -> None:
    root = str(seen.get("root", wanted.install.root))
    files: dict[str, str] = seen.get("files", {})
    if "." in files:  # the root itself is no folder
        at.different(root)
        return
    executable = set(seen.get("executable", ()))
    for path, digest in sorted(wanted.files.items()):
        if path not in files:
            if not _is_ignored(path, wanted.install.ignore):
                at.missing(f"{root}/{path}")
        elif files[path] != digest:
            at.different(f"{root}/{path}")
        elif path in wanted.executable and path not in executable:
            at.different(f"{root}/{path} (not executable)")
    for path in sorted(files.keys() - wanted.files.keys()):
        at.surplus(f"{root}/{path}")


def _is_ignored(path: str, patterns: Sequence[str]) -> bool:
    parts = path.split("/")
    above = ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]
    return any(fnmatch.fnmatchcase(item, one) for item in [*above, *parts] for one in patterns)


def _wheels(at: _At, wanted: Expected, seen: Mapping[str, Any]) -> None:
    root = str(seen.get("root", wanted.install.root))
    files: dict[str, str] = seen.get("files", {})
    sites = sorted({match[1] for path in files if (match := _SITE.match(path))})
    site = sites[0] if len(sites) == 1 else "lib/python/site-packages"
    installed = {
        normalised(str(said.get("name", ""))): str(said.get("version", ""))
        for said in seen.get("distributions", {}).values()
    }
    allowed: set[str] = set()
    for wheel in wanted.wheels:
        places = {
            path.replace(SITE, site, 1) if path.startswith(SITE) else path: digest
            for path, digest in wheel.files.items()
        }
        allowed |= places.keys()
        version = installed.pop(wheel.name, None)
        if version is None:
            at.missing(f"{root}: {wheel.name} {wheel.version}")
        elif version != wheel.version:
            at.different(f"{root}: {wheel.name} {version} where {wheel.version} was accepted")
        else:
            _placed(root, places, files, seen.get("records", {}), at)
    for name, version in installed.items():
        at.surplus(f"{root}: {name} {version}")
    _extra(root, files, allowed, site, at)


def _placed(
    prefix: str,
    places: Mapping[str, str | None],
    files: Mapping[str, str],
    records: Mapping[str, str],
    at: _At,
) -> None:
    for path, digest in sorted(places.items()):
        # what the installer writes itself is checked against what it says it wrote
        wanted = digest or records.get(path)
        if path not in files:
            if digest is not None or path.startswith("bin/"):
                at.missing(f"{prefix}/{path}")
        elif wanted is not None and files[path] != wanted:
            at.different(f"{prefix}/{path}")


def _extra(prefix: str, files: Mapping[str, str], allowed: set[str], site: str, at: _At) -> None:
    tops = {path[len(site) + 1 :].split("/")[0] for path in allowed if path.startswith(site)}
    strangers: dict[str, list[str]] = defaultdict(list)
    for path in sorted(files.keys() - allowed):
        if any(fnmatch.fnmatchcase(path, own) for own in _OWN) or _is_cache(path, allowed):
            continue
        top = path[len(site) + 1 :].split("/")[0] if path.startswith(site + "/") else ""
        inside = top and top not in tops and path.count("/") > site.count("/") + 1
        strangers[f"{site}/{top}" if inside else path].append(path)
    for place, paths in strangers.items():
        if len(paths) > FEW:
            at.surplus(f"{prefix}/{place} ({len(paths)} files)")
        else:
            for path in paths:
                at.surplus(f"{prefix}/{path}")


def _is_cache(path: str, allowed: set[str]) -> bool:
    """Whether it is the compiled form of a file that belongs there."""
    folder, _slash, name = path.rpartition("/")
    if not folder.endswith("/__pycache__") or not name.endswith(".pyc"):
        return False
    return f"{folder.removesuffix('__pycache__')}{name.split('.')[0]}.py" in allowed
