"""`otapgate test`: test plans and test runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from otapgate import errors
from otapgate.cli.acting import DryRun, open_for_reading, open_workspace, recorded
from otapgate.cli.output import Reply, progress, table
from otapgate.errors import Exit
from otapgate.i18n import _

PlanFile = Annotated[Path, typer.Argument(metavar="FILE", help=_("The plan's file."))]


def plan_check(file: PlanFile) -> Reply:
    from otapgate.cli.options import find_landscape
    from otapgate.testing.plan import check_file

    problems = check_file(file, find_landscape())
    if problems:
        raise errors.BadInput(
            "plan-invalid", _("{file} is not in order.").format(file=file),
            problems=tuple(problems), where=str(file),
        )  # fmt: skip
    return Reply({"problems": []}, _("{file} is in order.").format(file=file))


def plan_register(file: PlanFile, dry_run: DryRun = False) -> Reply:
    from otapgate.acts import testing

    with open_workspace() as workspace:
        draft = testing.register(workspace, file)
        found = draft.predicate
        text = _("The test plan {plan} is registered: {cases} cases, {criteria} criteria.").format(
            plan=found["plan"], cases=len(found["cases"]), criteria=len(found["criteria"])
        )
        data = {"plan": {"name": found["plan"], "digest": found["digest"], "app": found["app"]}}
        return recorded(workspace, draft, data, text, dry_run)


def run(
    release: Annotated[str, typer.Argument(metavar="REL", help=_("app@version or digest prefix."))],
    env: Annotated[str, typer.Option("--env", metavar="ENV", help=_("Where it runs."))],
    plan: Annotated[str, typer.Option("--plan", metavar="PLAN", help=_("The registered plan."))],
) -> Reply:
    from otapgate.acts import testing

    with open_workspace() as workspace:
        result, draft = testing.run(
            workspace, release, env, plan,
            lambda case, message: progress(f"{case.outcome:8} {case.id}  {message}".rstrip()),
        )  # fmt: skip
        found = testing.as_json(draft.predicate["run"], draft.predicate["plan"], result)
        passed = result.outcome == "passed"
        entry = workspace.record(draft)
    rows = [[c["id"], c["kind"], c["outcome"], f"{c['seconds']:.1f}", c["message"][:100]]
            for c in found["cases"]]  # fmt: skip
    heads = [_("case"), _("kind"), _("outcome"), _("seconds"), ""]
    text = "\n".join(
        [
            table(heads, rows),
            (_("All cases passed.") if passed else _("Not all cases passed.")),
            _("Entry {n}.").format(n=entry),
        ]
    )
    return Reply({"test_run": found, "entry": entry}, text, ok=passed,
                 exit=Exit.OK if passed else Exit.FAILED)  # fmt: skip


def show(
    run: Annotated[str, typer.Argument(metavar="RUN", help=_("The run's id."))],
) -> Reply:
    from otapgate.acts import testing

    with open_for_reading() as workspace:
        found = testing.show(workspace, run)
    rows = [[c["id"], c["kind"], c["outcome"], f"{c['seconds']:.1f}", c["message"][:100]]
            for c in found["cases"]]  # fmt: skip
    head = _("{release} in {environment}: {outcome}, by {by} on {at}").format(**found)
    heads = [_("case"), _("kind"), _("outcome"), _("seconds"), ""]
    return Reply({"test_run": found}, head + "\n" + table(heads, rows))
