"""`otapgate release`: build, list, show, compare."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from otapgate.cli.acting import DryRun, open_for_reading, open_workspace, recorded
from otapgate.cli.output import Reply, table
from otapgate.i18n import _

Rel = Annotated[str, typer.Argument(metavar="REL", help=_("app@version or digest prefix."))]


def init(
    app: Annotated[str, typer.Argument(metavar="APP", help=_("The application's name."))],
    street: Annotated[str | None, typer.Option("--street", help=_("Its street."))] = None,
) -> Reply:
    from otapgate import errors
    from otapgate.landscape.scaffold import release_skeleton

    with open_workspace() as workspace:
        streets = [s.name for s in workspace.outline.streets]
        chosen = street or (streets[0] if len(streets) == 1 else None)
        if chosen is None:
            raise errors.Usage(
                "street-missing", _("Say which street with --street."), remedy=", ".join(streets)
            )
        made = release_skeleton(workspace.root, app, chosen, workspace.outline.language)
        files = [str(f.relative_to(workspace.root)) for f in made]
    lines = [_("Written, to be made yours:"), *(f"  {f}" for f in files),
             _("Then: otapgate test plan register plans/{app}.yml, and"
               " otapgate release build releases/{app}.yml --change ID").format(
                 app=app)]  # fmt: skip
    return Reply({"files": files}, "\n".join(lines))


def build(
    file: Annotated[Path, typer.Argument(metavar="FILE", help=_("The release file."))],
    change: Annotated[
        str | None, typer.Option("--change", metavar="ID", help=_("For which change."))
    ] = None,
    dry_run: DryRun = False,
) -> Reply:
    from otapgate.acts import changes, releases

    with open_workspace() as workspace:
        if change is not None:
            change = changes.named(workspace, change)
        made, draft = releases.build(workspace, file, change)
        warnings = releases.warnings(workspace, made)
        data = {
            "release": {
                "name": made.name,
                "digest": made.digest,
                "street": made.street,
                "change": change,
                "files": len(made.files),
                "bytes": sum(f.size for f in made.files),
            },
            "warnings": warnings,
        }
        text = _("{name}: {files} files, {digest}").format(
            name=made.name, files=len(made.files), digest=made.digest
        )
        text = "\n".join([text, *warnings])
        if change is None:
            text += "\n" + _("It belongs to no change, so it can't go to production (--change ID).")
        return recorded(workspace, draft, data, text, dry_run)


def release_list() -> Reply:
    from otapgate.acts import releases

    with open_for_reading() as workspace:
        found = [releases.summary(workspace, r) for r in workspace.state.releases.values()]
    rows = [[r["name"], r["digest"][:19], r["change"] or "-", r["built"]["by"],
             r["built"]["at"][:16], ", ".join(r["runs_in"]) or "-"] for r in found]  # fmt: skip
    heads = [_("release"), _("digest"), _("change"), _("built by"), _("on"), _("runs in")]
    return Reply({"releases": found}, table(heads, rows))


def show(release: Rel) -> Reply:
    from otapgate.acts import gatekeeping, releases

    with open_for_reading() as workspace:
        known = gatekeeping.release(workspace, release)
        found = releases.summary(workspace, known)
        made = releases.manifest(workspace, known.digest)
        files: list[dict[str, Any]] = [
            {"path": f.path, "digest": f.digest, "size": f.size} for f in made.files
        ]

    def text() -> str:
        lines = [f"{found['name']}  {found['digest']}",
                 _("built by {by} on {at}").format(**found["built"])]  # fmt: skip
        evidence: dict[str, list[dict[str, Any]]] = found["evidence"]
        for kind, items in evidence.items():
            lines += [f"{kind}: " + ", ".join(f"{k} {v}" for k, v in item.items())
                      for item in items]  # fmt: skip
        rows = [[f["path"], str(f["size"]), f["digest"][:19]] for f in files]
        return "\n".join([*lines, "", table([_("file"), _("bytes"), _("digest")], rows)])

    return Reply({"release": {**found, "manifest": files}}, text)


def diff(a: Rel, b: Rel) -> Reply:
    from otapgate.acts import gatekeeping, releases
    from otapgate.release.compare import diff as compare

    with open_for_reading() as workspace:
        first, second = (
            releases.manifest(workspace, gatekeeping.release(workspace, x).digest) for x in (a, b)
        )
    found = compare(first, second)
    data = {
        "a": first.name, "b": second.name,
        "added": list(found.added), "removed": list(found.removed),
        "changed": list(found.changed), "variables": list(found.variables),
        "declared": list(found.declared),
    }  # fmt: skip
    marks = [("+", found.added), ("-", found.removed), ("~", found.changed)]
    lines = [f"{mark} {path}" for mark, paths in marks for path in paths]
    lines += [f"~ variables.{v}" for v in found.variables] + [f"~ {d}" for d in found.declared]
    same = _("{a} and {b} are the same.").format(a=a, b=b)
    return Reply({"difference": data}, "\n".join(lines) or same)
