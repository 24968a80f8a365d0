"""`otapgate anonymize`: safe test data from production data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from otapgate import errors
from otapgate.cli.acting import open_for_reading, open_workspace
from otapgate.cli.output import Reply, live, progress, table
from otapgate.i18n import _

if TYPE_CHECKING:
    from otapgate.anonymize.run import Progress

Plan = Annotated[Path, typer.Argument(metavar="PLAN", help=_("The anonymisation plan's file."))]


def init(
    url: Annotated[str, typer.Argument(metavar="URL", help=_("The source: sqlite:///path."))],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help=_("Write the proposal to this file."))
    ] = None,
) -> Reply:
    from otapgate.anonymize.introspect import propose

    text = propose(url)
    if output is None:
        return Reply({"plan": text}, text.rstrip("\n"))
    if output.exists():
        raise errors.BadInput("file-exists", _("{file} exists already.").format(file=output),
                              where=str(output))  # fmt: skip
    output.write_text(text, encoding="utf-8")
    return Reply(
        {"plan": text, "file": str(output)},
        _("A first plan is in {file}: answer what it leaves open (transform: decide), then:"
          " otapgate anonymize check {file}").format(file=output),
    )  # fmt: skip


def check(
    plan: Plan,
    source: Annotated[
        str | None,
        typer.Option("--from", metavar="URL", help=_("Also show a sample of this source.")),
    ] = None,
    rows: Annotated[int, typer.Option("--rows", min=1, max=50, help=_("Rows per table."))] = 3,
) -> Reply:
    from otapgate.anonymize.plan import load_plan
    from otapgate.anonymize.sample import compare

    loaded = load_plan(plan)
    if source is None:
        return Reply({"problems": []}, _("{file} is in order.").format(file=plan))
    found = compare(loaded, source, rows=rows)
    lines: list[str] = []
    for sample in found:
        lines.append(sample.table)
        for old, new in zip(sample.before, sample.after, strict=True):
            rows_ = [
                [column, transform, str(before), str(after)]
                for column, transform, before, after in zip(
                    sample.columns, sample.transforms, old, new, strict=True
                )
            ]
            lines += [table([_("column"), _("transform"), _("before"), _("after")], rows_), ""]
    data = {"problems": [], "sample": [msgspec.to_builtins(x) for x in found]}
    return Reply(data, "\n".join(lines).rstrip())


class Shown:
    """Where a run is: a line for each phase, and on a terminal the table and how far."""

    def __init__(self) -> None:
        self._phase = ""

    def __enter__(self) -> Shown:
        return self

    def __exit__(self, *_: object) -> None:
        live("")

    def __call__(self, now: Progress) -> None:
        if now.phase != self._phase:
            self._phase = now.phase
            live("")
            progress(_phase(now.phase).format(rows=now.total))
        if now.total:
            live(f"  {now.table}: {100 * now.rows // now.total}%")


def _phase(name: str) -> str:
    return {
        "survey": _("Reading the source, {rows} rows."),
        "copy": _("Transforming {rows} rows."),
        "check": _("Looking for values of the source in the result."),
        "load": _("Loading the result."),
    }[name]


def run(
    plan: Plan,
    source: Annotated[str, typer.Option("--from", metavar="URL", help=_("Production's data."))],
    target: Annotated[str, typer.Option("--to", metavar="URL", help=_("Where it goes."))],
    env: Annotated[
        str | None, typer.Option("--env", metavar="ENV", help=_("Whose data it becomes."))
    ] = None,
) -> Reply:
    from otapgate.acts import data

    with open_workspace() as workspace:
        with Shown() as shown:
            found, draft = data.run(workspace, plan, source, target, env, shown)
        entry = workspace.record_late(draft)
    text = _("{id}: {rows} rows, {label}; no source value found in the result."
             " Expires {expires}.").format(**found)  # fmt: skip
    return Reply({"dataset": found, "entry": entry}, f"{text}\n" + _("Entry {n}.").format(n=entry))


def dataset_list() -> Reply:
    from otapgate.acts import data

    with open_for_reading() as workspace:
        found = data.listing(workspace)
    rows = [[d["id"], d["environment"] or "-", d["label"], str(d["rows"]), d["at"][:16],
             d["expires"][:10], d["by"]] for d in found]  # fmt: skip
    heads = [_("dataset"), _("environment"), _("label"), _("rows"), _("loaded"), _("expires"),
             _("by")]  # fmt: skip
    return Reply({"datasets": found}, table(heads, rows))
