"""Test plans and test runs: register before, run from the store, record every case.

Norms CH05-02 to CH05-06.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
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


def run(
    workspace: Workspace,
    name: str,
    env: str,
    plan: str,
    on_case: Callable[[p.CaseOutcome, str], None] | None = None,
) -> tuple[RunResult, Draft]:
    """Carry out a registered plan on a release where it runs; the draft records every case.

    Raises BadInput when the environment doesn't run that release or the plan isn't
    registered as its files are; Busy while something moves there, or is half-way.
    """
    from otapgate.execution.lock import EnvironmentLock
    from otapgate.execution.testing import playbook_runner
    from otapgate.testing.plan import load_bundle
    from otapgate.testing.run import run as carry_out

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
    values = secret_values.read(workspace.root, environment)
    run_id = new_id("run")
    folder = runs.run_folder(workspace, run_id)
    scratch = folder / "work"
    scratch.mkdir(parents=True, mode=0o700)
    folder.chmod(0o700)
    try:
        command = f"otapgate test run {release.name}"
        zone = workspace.now().tzinfo
        with EnvironmentLock(workspace.root, environment.name, command, zone):
            result = carry_out(
                load_bundle(workspace.store, registered.act.digest),
                manifest=manifest(workspace, release.digest),
                environment=environment,
                workdir=scratch,
                store=workspace.store,
                ansible=playbook_runner(workspace.root, environment, folder, values),
                on_case=on_case,
                secrets=tuple(values.values()),
            )
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


def as_json(run_id: str, plan: str, result: RunResult) -> dict[str, Any]:
    """A run as scripts get it."""
    return {
        "id": run_id,
        "outcome": result.outcome,
        "plan": plan,
        "evidence": result.evidence,
        "cases": [
            {
                "id": c.id,
                "kind": c.kind,
                "criterion": c.criterion,
                "outcome": c.outcome,
                "seconds": c.milliseconds / 1000,
                "message": result.messages.get(c.id, ""),
            }
            for c in result.cases
        ],
    }


def show(workspace: Workspace, run_id: str) -> dict[str, Any]:
    """A run on record, with the messages from its evidence when that is still kept."""
    import json

    for release in workspace.state.releases.values():
        for found in release.runs:
            if not found.act.run.startswith(run_id):
                continue
            try:
                kept = json.loads(workspace.store.get(found.act.evidence))
            except (errors.OtapgateError, ValueError):
                kept = {}
            messages = {c.get("id"): c.get("message", "") for c in kept.get("cases", [])}
            return {
                "id": found.act.run,
                "release": release.name,
                "environment": found.act.environment,
                "outcome": found.act.outcome,
                "plan": found.act.plan,
                "by": workspace.name(found.by),
                "at": found.at,
                "evidence": found.act.evidence,
                "cases": [
                    {"id": c.id, "kind": c.kind, "criterion": c.criterion,
                     "outcome": c.outcome, "seconds": c.milliseconds / 1000,
                     "message": messages.get(c.id, "")}
                    for c in found.act.cases
                ],
            }  # fmt: skip
    raise errors.BadInput(
        "run-unknown", _("There is no test run {run}.").format(run=run_id),
        remedy="otapgate release show REL",
    )  # fmt: skip
