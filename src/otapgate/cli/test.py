"""`otapgate test`: test plans and test runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from otapgate import errors
from otapgate.cli.acting import DryRun, open_for_reading, open_workspace, recorded
from otapgate.cli.output import Reply, progress, table
from otapgate.errors import Exit
from otapgate.i18n import _

PlanFile = Annotated[Path, typer.Argument(metavar="FILE", help=_("The plan's file."))]


def plan_init(
    kind: Annotated[
        str,
        typer.Argument(metavar="KIND", help=_("web, database, workplace, network or saas.")),
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help=_("Where to write the plan."))
    ],
    app: Annotated[
        str | None,
        typer.Option("--app", metavar="APP", help=_("The application; otherwise the plan's name.")),
    ] = None,
) -> Reply:
    from otapgate.testing.starters import write

    written = write(kind, output, app)
    lines = [_("Written: {path}").format(path=path) for path in written]
    lines.append(_("Fill in what its remarks name, then: otapgate test plan check {file}").format(
        file=output))  # fmt: skip
    return Reply({"written": [str(path) for path in written]}, "\n".join(lines))


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
    attach: Annotated[
        list[str] | None,
        typer.Option(
            "--attach", metavar="NAME=FILE", help=_("A report (JUnit XML) that the plan reads.")
        ),
    ] = None,
    answers: Annotated[
        Path | None,
        typer.Option("--answers", metavar="FILE", help=_("Answers to the plan's questions.")),
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option(
            "--resume", metavar="RUN", help=_("Go on with the answers of a run broken off.")
        ),
    ] = None,
) -> Reply:
    from otapgate.acts import test_results, testing
    from otapgate.cli.asking import ask, can_ask

    again = f"otapgate test run {release} --env {env} --plan {plan} --resume"

    def tell(run_id: str) -> None:
        progress(_("Broken off, the answers are kept; go on with: {command}").format(
            command=f"{again} {run_id}"))  # fmt: skip

    asking = ask if can_ask() else None
    given = testing.Given(_attached(attach or ()), answers, resume, asking, tell)
    with open_workspace() as workspace:
        try:
            result, draft = testing.run(
                workspace, release, env, plan,
                lambda case, message: progress(f"{case.outcome:8} {case.id}  {message}".rstrip()),
                given,
            )  # fmt: skip
        except testing.AnswersKept as kept:
            progress(_("Your answers so far are kept; go on with: {command}").format(
                command=f"{again} {kept.run_id}"))  # fmt: skip
            raise
        found = test_results.as_json(draft.predicate["run"], draft.predicate["plan"], result)
        passed = result.outcome == "passed"
        entry = workspace.record_late(draft)
        testing.finished(workspace, found["id"])
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


def _attached(words: Sequence[str]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for word in words:
        name, equals, file = word.partition("=")
        if not (name and equals and file):
            raise errors.Usage(
                "attach-malformed",
                _("Write a report as NAME=FILE, not {text}.").format(text=word),
            )
        if name in found:
            raise errors.Usage("attach-twice", _("{name} is handed in twice.").format(name=name))
        found[name] = Path(file)
    return found


def show(
    run: Annotated[str, typer.Argument(metavar="RUN", help=_("The run's id."))],
) -> Reply:
    from otapgate.acts import test_results

    with open_for_reading() as workspace:
        found = test_results.show(workspace, run)
    rows = [[c["id"], c["kind"], c["outcome"], f"{c['seconds']:.1f}", c["message"][:100]]
            for c in found["cases"]]  # fmt: skip
    heads = [_("case"), _("kind"), _("outcome"), _("seconds"), ""]
    lines = [
        _("{release} in {environment}: {outcome}, by {by} on {at}").format(**found),
        table(heads, rows),
    ]
    for case in found["cases"]:
        lines += [f"{case['id']}: {finding}" for finding in case["findings"]]
        lines += [
            _("{case} was {outcome} before, on the same release in the same environment: {run},"
              " {at}").format(case=case["id"], **earlier)
            for earlier in case["otherwise"]
        ]  # fmt: skip
    if found["purged"] is not None:
        lines.append(
            _("Its evidence was deleted on {at}, since its time was over (entry {entry}, by {by}).")
            .format(**found["purged"])
        )  # fmt: skip
    return Reply({"test_run": found}, "\n".join(lines))
