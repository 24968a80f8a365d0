"""Test plans and test runs: register before, run from the store, record every case.

Norms CH05-02 to CH05-06.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from otapgate import errors
from otapgate.acts import runs, secret_values
from otapgate.acts.drafts import new_id
from otapgate.acts.gatekeeping import release as find_release
from otapgate.acts.releases import manifest
from otapgate.acts.workspace import Workspace
from otapgate.i18n import _
from otapgate.ledger import predicates as p
from otapgate.ledger.state import Release, Signed
from otapgate.ledger.statement import Draft, Subject
from otapgate.testing.answers import Answer, Kept, keep

if TYPE_CHECKING:
    from otapgate.release.store import Store
    from otapgate.testing.plan import ManualStep, Plan
    from otapgate.testing.run import RunResult


def plan_path(workspace: Workspace, name: str) -> Path:
    """Where a plan of that name is described."""
    return workspace.root / "plans" / f"{name}.yml"


def digest_now(workspace: Workspace, name: str) -> str | None:
    """The digest the plan's files have now; None when they can't be read."""
    from otapgate.testing.plan import digest_of_files

    path = plan_path(workspace, name)
    if not path.is_file():
        return None
    try:
        return digest_of_files(path, workspace.root)
    except errors.OtapgateError:
        return None


def register(workspace: Workspace, file: Path) -> Draft:
    """A plan as it stands now, before the tests (CH05-03)."""
    from otapgate.testing.plan import bundle

    workspace.require("test-lead", "tester")
    found = bundle(file, workspace.root, workspace.store)
    known = workspace.state.plan(found.name, found.app)
    if known is not None and known.act.digest == found.digest:
        raise errors.BadInput(
            "plan-registered",
            _("The test plan {plan} is registered already, exactly so.").format(plan=found.name),
        )
    predicate = p.PlanRegistered(
        found.name, found.digest, found.app, tuple(found.criteria), tuple(found.cases)
    )
    return Draft("plan-registered", (Subject(found.name, found.digest),), p.to_predicate(predicate))


def _registered(workspace: Workspace, name: str, release: Release) -> Signed[p.PlanRegistered]:
    stem = Path(name).stem if name.endswith((".yml", ".yaml")) else name
    known = workspace.state.plan(stem, release.latest.app)
    if known is None and not plan_path(workspace, stem).is_file():
        raise errors.BadInput(
            "plan-unknown",
            _("There is no test plan {plan}.").format(plan=stem),
            remedy=_("one of: {known}").format(known=", ".join(release.latest.plans))
            if release.latest.plans
            else f"otapgate release show {release.name}",
        )
    if known is None:
        raise errors.BadInput(
            "plan-unregistered",
            _("The test plan {plan} is not registered; a plan comes before the test.").format(
                plan=stem
            ),
            remedy=f"otapgate test plan register plans/{stem}.yml",
        )
    now = digest_now(workspace, stem)
    if now is not None and now != known.act.digest:
        raise errors.BadInput(
            "plan-edited",
            _("The test plan {plan} was edited after it was registered.").format(plan=stem),
            remedy=f"otapgate test plan register plans/{stem}.yml",
            where=f"plans/{stem}.yml",
        )
    return known


@dataclass(frozen=True, slots=True)
class Given:
    """What a person hands in with a run."""

    attachments: Mapping[str, Path] = field(default_factory=dict)
    """Name → report (JUnit XML)."""
    answers: Path | None = None
    """A file with answers to manual steps."""
    resume: str | None = None
    """Id of a run that was broken off, whose answers still count."""
    ask: Callable[[ManualStep, Store], Answer] | None = None
    """Asks who runs the tests; None where there is no terminal."""
    tell: Callable[[str], None] | None = None
    """Told the run's id before the first question, so that it can be gone on with."""


def run(
    workspace: Workspace,
    name: str,
    env: str,
    plan: str,
    on_case: Callable[[p.CaseOutcome, str], None] | None = None,
    given: Given | None = None,
) -> tuple[RunResult, Draft]:
    """Carry out a registered plan on a release where it runs; the draft records every case.

    Raises BadInput when the environment doesn't run that release or the plan isn't
    registered as its files are; Usage when questions or reports wait that nobody can be
    asked for; Busy while something moves there, or is half-way. Broken off, the answers
    given so far are kept, and the KeyboardInterrupt says how to go on.
    """
    from otapgate.execution.lock import EnvironmentLock
    from otapgate.execution.testing import host_access, playbook_runner
    from otapgate.testing.plan import load_bundle
    from otapgate.testing.run import Hands
    from otapgate.testing.run import run as carry_out

    given = given or Given()
    release = find_release(workspace, name)
    known = workspace.environment(env, street=release.latest.street)
    environment = workspace.landscape.environment(known.name)
    assert environment is not None, "names come from the same files"
    workspace.require("tester", "test-lead", street=environment.street)
    if environment.stage == "P":
        raise errors.BadInput(
            "test-in-production", _("Tests run before production, not in it."),
            remedy=_("name a test or acceptance environment with --env"),
        )  # fmt: skip
    runs.nothing_open(workspace, environment)
    history = workspace.state.environment(environment.name)
    if history.running is None or history.running.release != release.digest:
        raise errors.BadInput(
            "not-running-there",
            _("{environment} doesn't run {release}, so it can't be tested there.").format(
                environment=environment.name, release=workspace.state.called(release.digest)
            ),
            remedy=f"otapgate promote {release.name} --to {environment.name} --change CHANGE",
        )
    runs.accepted(workspace, environment)
    registered = _registered(workspace, plan, release)
    known_plan = load_bundle(workspace.store, registered.act.digest)
    about = Kept(
        release.digest, environment.name, environment.digest, registered.act.digest, workspace.me
    )
    run_id = given.resume or new_id("run")
    kept_in = _answers_file(workspace, run_id)
    answers = _answers(workspace, known_plan.plan, given, about, kept_in)
    deployed, values = (
        manifest(workspace, release.digest), secret_values.read(workspace.root, environment)
    )  # fmt: skip
    runs.forget(workspace, run_id)  # what a killed run left, that is resumed now
    folder = runs.run_folder(workspace, run_id)
    scratch = folder / "work"
    scratch.mkdir(parents=True, mode=0o700)
    folder.chmod(0o700)

    def asked(question: ManualStep) -> Answer:
        assert given.ask is not None, "questions without anybody to ask were refused before"
        answer = given.ask(question, workspace.store)
        answers[question.id] = answer
        keep(kept_in, msgspec.structs.replace(about, answers=dict(answers)))
        return answer

    try:
        command = f"otapgate test run {release.name}"
        zone = workspace.now().tzinfo
        with EnvironmentLock(workspace.root, environment.name, command, zone):
            result = carry_out(
                known_plan,
                manifest=deployed,
                environment=environment,
                workdir=scratch,
                store=workspace.store,
                hands=Hands(
                    ansible=playbook_runner(
                        workspace.root, environment, folder, values, deployed.variables
                    ),
                    hosts=host_access(environment, folder, values, deployed.variables),
                    attachments=given.attachments,
                    answers=dict(answers),
                    ask=asked if given.ask is not None else None,
                ),
                on_case=on_case,
                secrets=tuple(values.values()),
            )
    except KeyboardInterrupt as error:
        if kept_in.exists():
            raise AnswersKept(run_id) from error
        raise
    finally:
        runs.forget(workspace, run_id)  # its evidence is in the store
    predicate = p.TestRun(
        run_id,
        release.digest,
        environment.name,
        environment.digest,
        registered.act.digest,
        result.outcome,
        tuple(result.cases),
        result.evidence,
    )
    subjects = (Subject(release.name, release.digest), Subject(plan, registered.act.digest))
    return result, Draft("test-run", subjects, p.to_predicate(predicate))


class AnswersKept(KeyboardInterrupt):
    """Ctrl-C in a run with manual steps: the answers so far are kept under the run's id."""

    def __init__(self, run_id: str) -> None:
        super().__init__()
        self.run_id = run_id


def finished(workspace: Workspace, run_id: str) -> None:
    """Forget the answers that were kept of a run, once it is on record."""
    _answers_file(workspace, run_id).unlink(missing_ok=True)


def _answers_file(workspace: Workspace, run_id: str) -> Path:
    if not re.fullmatch(r"run-[0-9a-f]{12}", run_id):
        raise errors.Usage(
            "run-malformed", _("{text} is not the id of a test run.").format(text=run_id)
        )
    return workspace.hidden / "answers" / f"{run_id}.json"


def _answers(
    workspace: Workspace, plan: Plan, given: Given, about: Kept, kept_in: Path
) -> dict[str, Answer]:
    """The answers that are known before the run: kept ones, and over them those in a file.
    Raises Usage where a question or a report waits for somebody who isn't there."""
    from otapgate.testing.answers import read, recall, unanswered

    found: dict[str, Answer] = {}
    if given.resume is not None:
        recorded = (r.act.run for x in workspace.state.releases.values() for r in x.runs)
        if given.resume in recorded:
            raise errors.BadInput(
                "run-recorded", _("{run} is on record already.").format(run=given.resume),
                remedy=f"otapgate test show {given.resume}",
            )  # fmt: skip
        found.update(recall(kept_in, about))
    if given.answers is not None:
        found.update(read(given.answers, plan.questions(), workspace.store))
    awaited = plan.attached()
    problems = [
        errors.Problem(_("the report {name} isn't handed in").format(name=name),
                       remedy=f"--attach {name}=FILE")
        for name in awaited if name not in given.attachments
    ]  # fmt: skip
    problems += [
        errors.Problem(_("the plan asks for no report {name}").format(name=name))
        for name in given.attachments if name not in awaited
    ]  # fmt: skip
    if problems:
        raise errors.Usage(
            "reports-waiting", _("The reports of the plan and those handed in differ."),
            problems=tuple(problems),
        )  # fmt: skip
    waiting = unanswered(plan.questions(), found)
    if waiting and given.ask is None:
        raise errors.Usage(
            "answers-waiting",
            _("The plan asks people questions, and there is no terminal to ask them on."),
            problems=waiting,
            remedy=_("answer them in a file and hand it in: --answers FILE"),
        )
    if waiting and given.tell is not None:
        given.tell(kept_in.stem)
    return found
