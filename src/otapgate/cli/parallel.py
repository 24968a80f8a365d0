"""`otapgate parallel`: old and new side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from otapgate import errors
from otapgate.cli.acting import DryRun, open_for_reading, open_workspace, recorded
from otapgate.cli.output import Reply, progress, table
from otapgate.errors import Exit
from otapgate.i18n import _

if TYPE_CHECKING:
    from otapgate.parallel.run import Found

Run = Annotated[str, typer.Argument(metavar="RUN", help=_("The parallel run's id."))]


def start(
    release: Annotated[str, typer.Argument(metavar="REL", help=_("app@version or digest prefix."))],
    plan: Annotated[
        str, typer.Option("--plan", metavar="NAME", help=_("The plan in parallel/NAME.yml."))
    ],
    change: Annotated[str, typer.Option("--change", metavar="ID", help=_("For which change."))],
    dry_run: DryRun = False,
) -> Reply:
    from otapgate.acts import changes, parallel

    with open_workspace() as workspace:
        change = changes.named(workspace, change)
        draft = parallel.start(workspace, release, plan, change)
        found = draft.predicate
        text = _(
            "The parallel run {run} begins: {old} and {new}, at least {comparisons} comparisons,"
            " the last of them {days} days from now."
        ).format(run=found["parallel"], old=found["old"], new=found["new"],
                 comparisons=found["comparisons"], days=found["days"])  # fmt: skip
        data = {"parallel": {"id": found["parallel"], "plan": found["digest"],
                             "release": found["release"], "previous": found["previous"],
                             "old": found["old"], "new": found["new"]}}  # fmt: skip
        return recorded(workspace, draft, data, text, dry_run)


def compare(
    run: Run,
    full: Annotated[
        Path | None,
        typer.Option("--full", metavar="FILE",
                     help=_("Write every difference as it is to a new file outside the"
                            " landscape; it may hold personal data.")),
    ] = None,
) -> Reply:  # fmt: skip
    from otapgate.acts import parallel

    def told(output: Found) -> None:
        progress(_("{id}: {same} the same, {tolerated} tolerated, {different} different").format(
            id=output.id, same=output.same, tolerated=output.tolerated,
            different=output.different))  # fmt: skip

    with open_workspace() as workspace:
        result, draft = parallel.compare(workspace, run, full=full, on_output=told)
        entry = workspace.record_late(draft)
    found = draft.predicate
    agrees = found["different"] == 0
    outputs = [output.as_json() for output in result.outputs]
    lines = [
        *_outputs(outputs),
        _("Old and new agree.") if agrees else _("Old and new don't agree."),
        _("Entry {n}.").format(n=entry),
    ]
    data = {"comparison": {"parallel": found["parallel"], "same": found["same"],
                           "tolerated": found["tolerated"], "different": found["different"],
                           "evidence": found["evidence"], "outputs": outputs},
            "entry": entry}  # fmt: skip
    return Reply(data, "\n".join(lines), ok=agrees, exit=Exit.OK if agrees else Exit.FAILED)


def _outputs(outputs: list[dict[str, Any]]) -> list[str]:
    heads = [_("output"), _("kind"), _("same"), _("tolerated"), _("different")]
    rows = [[o["id"], o["kind"], str(o["same"]), str(o["tolerated"]), str(o["different"])]
            for o in outputs]  # fmt: skip
    lines = [table(heads, rows)]
    for output in outputs:
        for one in output["differences"][:10]:
            place = f" {one['place']}" if one["place"] else ""
            was, now = one["old"], one["new"]
            lines.append(f"  {output['id']}: {one['where']}{place}: {_side(was)} → {_side(now)}")
        rest = len(output["differences"]) - 10
        if rest > 0:
            lines.append("  " + _("{id}: and {n} more").format(id=output["id"], n=rest))
    return lines


def _side(text: str | None) -> str:
    return "-" if text is None else text


def conclude(
    run: Run,
    agreed: Annotated[bool, typer.Option("--agreed", help=_("The new does as the old."))] = False,
    rejected: Annotated[bool, typer.Option("--rejected", help=_("It doesn't."))] = False,
    because: Annotated[str, typer.Option("--because", help=_("Why."))] = "",
    dry_run: DryRun = False,
) -> Reply:
    from otapgate.acts import parallel

    if agreed == rejected:
        raise errors.Usage("verdict", _("Say one of --agreed and --rejected."))
    with open_workspace() as workspace:
        draft = parallel.conclude(workspace, run, agreed=agreed, because=because)
        found = draft.predicate
        text = (
            _("Recorded: old and new agree ({run}).") if agreed
            else _("Recorded: old and new don't agree ({run}).")
        ).format(run=found["parallel"])  # fmt: skip
        data = {"parallel": {"id": found["parallel"], "verdict": found["verdict"]}}
        return recorded(workspace, draft, data, text, dry_run)


def parallel_list() -> Reply:
    from otapgate.acts import parallel_log

    with open_for_reading() as workspace:
        found = [parallel_log.as_json(workspace, x) for x in workspace.state.parallels.values()]
    heads = [_("run"), _("release"), _("change"), _("old"), _("new"), _("made"), _("status")]
    rows = [[x["id"], x["release"], x["change"], x["old"], x["new"],
             f"{x['made']}/{x['comparisons']}", x["status"]] for x in found]  # fmt: skip
    text = table(heads, rows) if rows else _("There is no parallel run.")
    return Reply({"parallels": found}, text)


def show(run: Run) -> Reply:
    from otapgate.acts import parallel_log

    with open_for_reading() as workspace:
        found = parallel_log.show(workspace, run)
    heads = [_("at"), _("by"), _("same"), _("tolerated"), _("different")]
    rows = [[c["at"], c["by"], str(c["same"]), str(c["tolerated"]), str(c["different"])]
            for c in found["compared"]]  # fmt: skip
    lines = [
        _("{id}: {release} in {new} beside {old}, since {since}: {status}").format(
            id=found["id"], release=found["release"], new=found["new"], old=found["old"],
            since=found["since"], status=found["status"]
        )
    ]  # fmt: skip
    if rows:
        lines.append(table(heads, rows))
    if found["outputs"] is None:
        lines.append(_("The evidence of the newest comparison is no longer kept."))
    elif found["outputs"]:
        lines += _outputs(found["outputs"])
    return Reply({"parallel": found}, "\n".join(lines))
