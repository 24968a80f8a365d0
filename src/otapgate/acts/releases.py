"""Releases: build, list, show, compare; and what became of their files. Norm CH01-07."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from otapgate import errors
from otapgate.acts import changes
from otapgate.acts.workspace import Workspace
from otapgate.i18n import _
from otapgate.ledger import predicates as p
from otapgate.ledger.state import Release
from otapgate.ledger.statement import Draft, Subject
from otapgate.release import manifest as m


def build(workspace: Workspace, file: Path, change: str | None) -> tuple[m.Manifest, Draft]:
    """A release from its file, its bytes in the content store, and the entry that says so.

    Raises BadInput with every problem of the file and of what it names, playbooks that
    reach beyond their environment among them.
    """
    from otapgate.release.build import build as make
    from otapgate.release.build import git_source, read

    spec = read(file, workspace.root)
    if change is not None and changes.get(workspace, change).closed is not None:
        raise errors.BadInput(
            "change-ended", _("{change} has ended.").format(change=change),
            remedy="otapgate change list",
        )  # fmt: skip
    workspace.require("builder", "supplier")
    made = make(spec, workspace.store)
    if workspace.outline.street(made.street) is None:
        raise errors.BadInput(
            "street-unknown",
            _("There is no street {street}.").format(street=made.street),
            remedy=", ".join(s.name for s in workspace.outline.streets),
            where=str(file),
        )
    _guard(workspace, made, file)
    predicate = p.ReleaseBuilt(
        app=made.app,
        version=made.version,
        street=made.street,
        change=change,
        files=len(made.files),
        bytes=sum(f.size for f in made.files),
        plans=made.plans,
        file=relative(workspace, file),
        source=git_source(file),
    )
    subjects = (Subject(made.name, made.digest),)
    return made, Draft("release-built", subjects, p.to_predicate(predicate))


def warnings(workspace: Workspace, made: m.Manifest) -> list[str]:
    """What will stand in the way of this release later, said when there's still time."""
    found = []
    others = [
        r.digest.removeprefix("sha256:")[:8]
        for r in workspace.state.releases.values()
        if r.name == made.name and r.digest != made.digest
    ]
    if others:
        found.append(
            _("{name} was built before with other files ({digests}). From now on the name stands"
              " for this build, and what was tested, accepted or signed off of the other doesn't"
              " hold for it. Give it another version to keep them apart.").format(
                  name=made.name, digests=", ".join(others))
        )  # fmt: skip
    if not made.installs:
        found.append(
            _("It declares no installs, so nothing can prove that a host holds all of it"
              " (CH06-09): it will come no further than its first environment.")
        )  # fmt: skip
    state = made.state
    if not (state.paths or state.databases or state.http or state.ports):
        found.append(_("It declares no state, so a rollback has nothing to compare (CH05-07)."))
    if not made.plans:
        found.append(_("It names no test plan, so it can't go to production (CH05-03)."))
    return found


def _guard(workspace: Workspace, made: m.Manifest, file: Path) -> None:
    """Playbooks that could reach another environment are refused before they are signed."""
    from otapgate.execution.redirects import scan_playbooks, scan_variables
    from otapgate.release.unpack import remove, unpack

    workspace.hidden.mkdir(exist_ok=True, mode=0o700)
    with tempfile.TemporaryDirectory(dir=workspace.hidden, prefix="scan-") as scratch:
        target = Path(scratch) / "release"
        unpack(made, workspace.store, target)
        try:
            problems = [
                *scan_playbooks(target / "playbooks"),
                *scan_variables(made.variables, file.name),
            ]
        finally:
            remove(target)
    if problems:
        raise errors.BadInput(
            "playbook-escapes",
            _("The playbooks reach, or could reach, hosts outside their environment."),
            problems=tuple(problems),
            where=str(file),
        )


def relative(workspace: Workspace, file: Path) -> str:
    """A file's path as seen from the landscape, or "" when it lies outside."""
    try:
        return file.resolve().relative_to(workspace.root.resolve()).as_posix()
    except ValueError:
        return ""


def manifest(workspace: Workspace, digest: str) -> m.Manifest:
    """A release's manifest from the store; raises Integrity when missing or damaged."""
    return m.decode(workspace.store.get(digest))


def store_problems(workspace: Workspace, digest: str) -> tuple[str, ...]:
    """Files of the release that the store has lost or holds damaged."""
    from otapgate.release.unpack import check

    try:
        found = manifest(workspace, digest)
    except (errors.OtapgateError, ValueError):
        return ("manifest",)
    return tuple(x.file or x.message for x in check(found, workspace.store))


def drift(workspace: Workspace, release: Release) -> tuple[str, ...]:
    """Source files in the working directory that differ from what was built."""
    from otapgate.release.build import source_drift

    if not release.latest.file:
        return ()
    try:
        made = manifest(workspace, release.digest)
    except (errors.OtapgateError, ValueError):
        return ()
    return tuple(source_drift(made, workspace.root / release.latest.file, workspace.root))


def differences(workspace: Workspace, release: Release) -> dict[str, tuple[str, ...]]:
    """For every other release of the application that was accepted or signed off: the
    files in which it differs from this one."""
    from otapgate.release.compare import diff

    found: dict[str, tuple[str, ...]] = {}
    for other in workspace.state.releases.values():
        same = other.digest == release.digest or other.latest.app != release.latest.app
        if same or not (other.acceptances or other.signoffs):
            continue
        try:
            changed = diff(manifest(workspace, other.digest), manifest(workspace, release.digest))
        except (errors.OtapgateError, ValueError):
            continue
        rest = tuple(f"variables.{v}" for v in changed.variables)
        found[other.digest] = (*changed.files, *rest, *changed.declared)[:20]
    return found


def summary(workspace: Workspace, release: Release) -> dict[str, Any]:
    """A release as lists and `release show` give it."""
    where = [
        name
        for name, env in workspace.state.environments.items()
        if env.running is not None and env.running.release == release.digest
    ]
    built = release.built[-1]
    return {
        "name": release.name,
        "digest": release.digest,
        "street": built.act.street,
        "change": built.act.change,
        "built": {"by": workspace.name(built.by), "at": built.at},
        "files": built.act.files,
        "bytes": built.act.bytes,
        "plans": list(built.act.plans),
        "source": None
        if built.act.source is None
        else {"commit": built.act.source.commit, "clean": built.act.source.clean},
        "runs_in": where,
        "evidence": {
            "test_runs": [
                {"id": r.act.run, "environment": r.act.environment, "outcome": r.act.outcome,
                 "by": workspace.name(r.by), "at": r.at}
                for r in release.runs
            ],
            "rehearsals": [
                {"id": r.act.rehearsal, "environment": r.act.environment,
                 "outcome": r.act.outcome, "at": r.at}
                for r in release.rehearsals
            ],
            "acceptances": [
                {"environment": a.act.environment, "change": a.act.change,
                 "criteria": a.act.criteria, "by": workspace.name(a.by), "at": a.at}
                for a in release.acceptances
            ],
            "sign_offs": [
                {"to": x.act.environment, "role": x.act.role, "verdict": x.act.verdict,
                 "by": workspace.name(x.by), "at": x.at}
                for x in release.signoffs
            ],
        },
    }  # fmt: skip
