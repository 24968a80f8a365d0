"""From a release file to a release: read it, find its files, keep them in the store.

What the file may say is in `release_file.py`, which files a path stands for in
`collect.py`, what comes out in `manifest.py`. Signing the entry is the ledger's.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from otapgate.errors import BadInput, Problem
from otapgate.i18n import _
from otapgate.release import collect, compare, paths
from otapgate.release.collect import Refused, Source
from otapgate.release.manifest import Install, Manifest, ReleaseFile, State
from otapgate.release.source import git_source
from otapgate.release.store import Store

if TYPE_CHECKING:
    from otapgate.landscape.yaml_positions import Document
    from otapgate.release.release_file import ReleaseFileModel

PLAYBOOKS = ("deploy.yml", "verify.yml", "rollback.yml")
"""What every release must be able to do."""

__all__ = ["ReleaseSpec", "build", "check_file", "git_source", "read", "source_drift"]


@dataclass(frozen=True, slots=True)
class ReleaseSpec:
    """A release file that has been read and found sound, with the files it stands for."""

    file: Path
    app: str
    version: str
    street: str
    plans: tuple[str, ...]
    variables: dict[str, Any]
    state: State
    installs: tuple[Install, ...]
    sources: tuple[Source, ...]
    """Sorted by path in the release."""


def read(path: Path, root: Path) -> ReleaseSpec:
    """Read the release file at `path` in the landscape at `root`.

    Raises BadInput (`release-invalid`) with every problem, each with file and line: what
    the file says wrong, a missing artifact, a digest that isn't the one demanded, links
    that lead out, a playbook that isn't there. Nothing is written.
    """
    spec, problems = _survey(path, root)
    if spec is None or problems:
        raise BadInput(
            "release-invalid",
            _("{file} is not a release that can be built.").format(
                file=collect.known_as(path, root)
            ),
            where=problems[0].where if problems else None,
            problems=tuple(problems),
            remedy=problems[0].remedy if len(problems) == 1 else None,
        )
    return spec


def check_file(path: Path, root: Path) -> list[Problem]:
    """Every problem of the release file at `path`; empty when it can be built."""
    return _survey(path, root)[1]


def build(spec: ReleaseSpec, store: Store) -> Manifest:
    """Keep every file of the release and its manifest in the store.

    The same files and values give the same digest whatever the time, the order in which
    the file system gives them, or the umask. Raises BadInput (`release-changed`) when a
    file is no longer what was checked, and what the store raises.
    """
    files = []
    for source in spec.sources:
        digest, size = store.put_file(source.file)
        if source.sha256 not in (None, digest):
            raise BadInput(
                "release-changed",
                _("{path} changed while the release was built.").format(path=source.file),
                where=str(source.file),
                remedy=_("Build it again when nothing writes there."),
            )
        files.append(ReleaseFile(source.path, digest, size, source.executable))
    manifest = _manifest(spec, tuple(files))
    store.put(manifest.encoded())
    return manifest


def source_drift(manifest: Manifest, release_file: Path, root: Path | None = None) -> list[str]:
    """What differs now between a release and the files that it was built from.

    Paths as in the release (`artifacts/site/index.html`): changed, gone or come since;
    and the name of the release file itself when that says something else, or can't be
    read any more. Empty when building again would give the same release. Never raises
    for what the files may hold. `root` is the landscape's, as for `read`.
    """
    spec, problems = _survey(release_file, root or release_file.absolute().parent)
    if spec is None:
        return [release_file.name]
    files = []
    drifted: set[str] = set()
    for source in spec.sources:
        try:
            with source.file.open("rb") as opened:
                digest = "sha256:" + hashlib.file_digest(opened, "sha256").hexdigest()
            size = source.file.stat().st_size
        except OSError:
            drifted.add(source.path)
            continue
        files.append(ReleaseFile(source.path, digest, size, source.executable))
    difference = compare.diff(manifest, _manifest(spec, tuple(files)))
    drifted.update(difference.files)
    if difference.variables or difference.declared or (problems and not drifted):
        drifted.add(release_file.name)
    return sorted(drifted)


def _manifest(spec: ReleaseSpec, files: tuple[ReleaseFile, ...]) -> Manifest:
    return Manifest(
        app=spec.app,
        version=spec.version,
        street=spec.street,
        plans=spec.plans,
        variables=spec.variables,
        state=spec.state,
        installs=spec.installs,
        files=tuple(sorted(files, key=lambda file: file.path)),
    )


def _survey(path: Path, root: Path) -> tuple[ReleaseSpec | None, list[Problem]]:
    """The release as far as it can be told, and everything that is wrong with it."""
    from otapgate.landscape import yaml_positions
    from otapgate.release.release_file import ReleaseFileModel

    document = yaml_positions.load(path, collect.known_as(path, root))
    form, problems = yaml_positions.validate(document, ReleaseFileModel)
    if form is None:
        return None, problems
    problems = list(problems)
    sources = _artifacts(form, document, path, root, problems)
    sources += _playbooks(form, document, path, root, problems)
    for one, other in paths.collisions(source.path for source in sources):
        problems.append(
            document.problem(
                _("{one} and {other} can't stand side by side in a release.").format(
                    one=one, other=other
                )
                if one != other
                else _("Two artifacts land at {path}.").format(path=one),
                ("artifacts",),
                _("Give one of them another place: {path: …, as: NAME}."),
            )
        )
    _check_installs(form, document, sources, problems)
    plain = form.model_dump(mode="json")
    spec = ReleaseSpec(
        file=path,
        app=form.app,
        version=form.version,
        street=form.street,
        plans=form.plans,
        variables=form.variables,
        state=msgspec.convert(plain["state"], State),
        installs=msgspec.convert(plain["installs"], tuple[Install, ...]),
        sources=tuple(sorted(sources, key=lambda source: source.path)),
    )
    return spec, sorted(problems, key=lambda problem: problem.line or 0)


def _artifacts(
    form: ReleaseFileModel, document: Document, path: Path, root: Path, problems: list[Problem]
) -> list[Source]:
    sources: list[Source] = []
    for index, item in enumerate(form.artifacts):
        loc = ("artifacts", index)
        found, refused = collect.artifact(item.path, item.as_, path.absolute().parent, root)
        problems += _refusals(refused, document, loc)
        if item.sha256 is not None and found:
            found = _demand(item.sha256, found, document, loc, problems)
        sources += found
    return sources


def _demand(
    sha256: str, found: list[Source], document: Document, loc: tuple[str, int], out: list[Problem]
) -> list[Source]:
    """The one file with the digest it must have; a problem when it has another."""
    if len(found) != 1:
        out.append(
            document.problem(
                _("'sha256' is of one file, and this is {n} files.").format(n=len(found)),
                (*loc, "sha256"),
                _("Name each file with its own sha256."),
            )
        )
        return found
    wanted = "sha256:" + sha256.removeprefix("sha256:")
    try:
        with found[0].file.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256")
    except OSError as error:
        out.append(
            document.problem(
                _("{path} can't be read: {reason}.").format(
                    path=found[0].file, reason=error.strerror
                ),
                loc,
            )
        )
        return found
    if "sha256:" + digest.hexdigest() != wanted:
        out.append(
            document.problem(
                _("{path} is not the file that sha256 says: it has {digest}.").format(
                    path=found[0].file.name, digest=digest.hexdigest()
                ),
                (*loc, "sha256"),
                _("Get the right file again; change sha256 only when you know why it differs."),
            )
        )
    source = found[0]
    return [Source(source.path, source.file, source.executable, wanted)]


def _playbooks(
    form: ReleaseFileModel, document: Document, path: Path, root: Path, problems: list[Problem]
) -> list[Source]:
    loc = ("playbooks",)
    found, refused = collect.folder(form.playbooks, "playbooks", path.absolute().parent, root)
    problems += _refusals(refused, document, loc)
    here = {source.path for source in found}
    if not refused:
        problems += [
            document.problem(
                _("{folder} holds no {name}.").format(folder=form.playbooks, name=name),
                loc,
                _("Every release has deploy.yml, verify.yml and rollback.yml."),
            )
            for name in PLAYBOOKS
            if f"playbooks/{name}" not in here
        ]
    return found


def _refusals(
    refused: list[Refused], document: Document, loc: tuple[str | int, ...]
) -> list[Problem]:
    return [document.problem(item.message, loc, item.remedy) for item in refused]


def _check_installs(
    form: ReleaseFileModel, document: Document, sources: list[Source], problems: list[Problem]
) -> None:
    """What must be installed has to be in the release, or completeness means nothing."""
    for index, install in enumerate(form.installs):
        below = [s.path for s in sources if s.path.startswith(install.source.rstrip("/") + "/")]
        if install.kind == "wheels":
            below = [path for path in below if path.endswith(".whl")]
        sound = install.source.startswith("artifacts/") and not install.source.endswith("/")
        if below and sound:
            continue
        what = _("wheels") if install.kind == "wheels" else _("files")
        problems.append(
            document.problem(
                _("'{source}' is no folder with {what} in this release.").format(
                    source=install.source, what=what
                ),
                ("installs", index, "source"),
                _("Name a folder below artifacts/, such as artifacts/wheels."),
            )
        )
