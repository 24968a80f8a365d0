"""The main job: promote, resume, roll back, rehearse, adopt.

The order is that of `docs/architecture.md`: lock, verify, decide, guard, started-entry,
run, finished-entry. Norms CH05-07, CH06-02, CH06-06, CH06-09; RBK-1.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from otapgate import errors
from otapgate.acts import gatekeeping
from otapgate.acts.releases import manifest as manifest_of
from otapgate.acts.workspace import Workspace, draft, new_id
from otapgate.i18n import _
from otapgate.landscape.model import Environment
from otapgate.ledger import predicates as p
from otapgate.ledger.state import Release, State, Unfinished
from otapgate.ledger.statement import Draft

if TYPE_CHECKING:
    from otapgate.execution.events import Progress as Event
    from otapgate.execution.plan import Plan
    from otapgate.execution.promotion import PromotionResult, RunState
    from otapgate.gate.finding import Decision, Seen

Progress = Callable[[str], None]


@dataclass
class Promoted:
    """What came of asking for a promotion."""

    decision: dict[str, Any]
    allowed: bool
    promotion: dict[str, Any] | None = None
    outcome: str | None = None
    message: str = ""


def _fresh(workspace: Workspace, name: str, street: str | None = None) -> Environment:
    """The environment as its file says now, not as the cache does."""
    known = workspace.environment(name, street=street)
    environment = workspace.landscape.environment(known.name)
    assert environment is not None, "names come from the same files"
    return environment


def _unfinished(state: State, environment: Environment) -> Unfinished | None:
    return state.environment(environment.name).unfinished


def busy(workspace: Workspace, found: Unfinished) -> errors.Busy:
    """The error for an environment that something unfinished occupies."""
    release = workspace.state.releases.get(found.release)
    name = release.name if release else found.release
    remedies = [f"otapgate rollback {found.environment}"]
    if found.kind == "promotion":
        remedies.insert(
            0,
            f"otapgate promote {name} --to {found.environment} --change {found.change} --resume",
        )
    return errors.Busy(
        "promotion-unfinished",
        _("{environment} has an unfinished {kind} of {release}, begun by {by} on {at}.").format(
            environment=found.environment,
            kind=_(found.kind),
            release=name,
            by=workspace.name(found.by),
            at=found.at,
        ),
        remedy=_(" or ").join(remedies),
    )


@contextmanager
def _plan(
    workspace: Workspace,
    environment: Environment,
    release: Release,
    previous: str | None,
    run_id: str,
    progress: Progress,
) -> Iterator[Plan]:
    """Everything a run needs, releases unpacked from the store and verified."""
    from otapgate.execution.plan import Plan
    from otapgate.release.manifest import Manifest
    from otapgate.release.unpack import remove, unpack

    folder = workspace.hidden / "runs" / run_id
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    trees: list[Path] = []

    def unpacked(digest: str, name: str) -> tuple[Manifest, Path]:
        found = manifest_of(workspace, digest)
        tree = folder / name
        if tree.exists():
            remove(tree)
        trees.append(tree)
        unpack(found, workspace.store, tree)
        return found, tree

    try:
        manifest, tree = unpacked(release.digest, "release")
        before = unpacked(previous, "previous") if previous is not None else (None, None)
        yield Plan(
            promotion_id=run_id,
            manifest=manifest,
            release_tree=tree,
            environment=environment,
            run_dir=folder,
            root=workspace.root,
            put=workspace.store.put,
            previous=before[0],
            previous_tree=before[1],
            on_progress=lambda event: _tell(event, progress),
        )
    finally:
        for made in trees:
            if made.exists():
                remove(made)


def _tell(event: Event, progress: Progress) -> None:
    """One line for each thing that a host did, as it happens."""
    if event.kind == "host" and event.outcome != "skipped":
        progress(f"  {event.host}: {event.name}: {event.outcome}")


def _forget(workspace: Workspace, run_id: str) -> None:
    """Remove the folder of a run that nothing can need any more."""
    shutil.rmtree(workspace.hidden / "runs" / run_id, ignore_errors=True)


def promote(
    workspace: Workspace,
    name: str,
    to: str,
    change: str,
    *,
    dry_run: bool,
    resume: bool,
    progress: Progress,
) -> Promoted:
    """Move a release into an environment, if the gate allows it now.

    Raises Busy (locked or unfinished), Integrity (ledger or store), Identity, BadInput.
    A refusal is recorded and returned, not raised.
    """
    from otapgate.execution.lock import EnvironmentLock

    release = gatekeeping.release(workspace, name)
    environment = _fresh(workspace, to, release.latest.street)
    workspace.require("administrator", "robot", street=environment.street)
    command = f"otapgate promote {release.name} --to {environment.name} --change {change}"
    with EnvironmentLock(workspace.root, environment.name, command):
        state = workspace.verified()
        release = state.releases[release.digest]
        open_ = _unfinished(state, environment)
        if resume:
            return _resume(workspace, environment, release, change, open_, progress)
        if open_ is not None:
            raise busy(workspace, open_)
        _no_open_rehearsal(workspace, environment)
        return _promote(workspace, environment, release, change, dry_run, progress)


def _promote(
    workspace: Workspace,
    environment: Environment,
    release: Release,
    change: str,
    dry_run: bool,
    progress: Progress,
) -> Promoted:
    state = workspace.state
    seen = gatekeeping.see(workspace, release)
    if seen.store_problems:
        answer = _decide(workspace, environment, release, change, seen, dry_run)
        raise _damaged(release, seen.store_problems, answer.decision)
    running = state.environment(environment.name).running
    previous = running.release if running is not None else None
    run_id = new_id("prom")
    promoted: Promoted | None = None
    try:
        with _plan(workspace, environment, release, previous, run_id, progress) as plan:
            promoted = _guarded(workspace, plan, release, change, seen, dry_run)
            return promoted
    finally:
        if promoted is None or promoted.promotion is None:
            # Refused, or stopped before anything began. An open promotion keeps its folder.
            workspace._state = None
            if not _is_open(workspace, environment, run_id):
                _forget(workspace, run_id)


def _is_open(workspace: Workspace, environment: Environment, run_id: str) -> bool:
    try:
        open_ = _unfinished(workspace.state, environment)
    except errors.OtapgateError:
        return True  # when in doubt, keep what could be needed
    return open_ is not None and open_.id == run_id


def _guarded(
    workspace: Workspace, plan: Plan, release: Release, change: str, seen: Seen, dry_run: bool
) -> Promoted:
    """Decide, with Ansible's own view of the inventory asked meanwhile; then run."""
    from otapgate.execution.guard import check_release, start_inventory_check
    from otapgate.execution.promotion import Promotion

    guard = start_inventory_check(plan)
    try:
        promoted = _decide(workspace, plan.environment, release, change, seen, dry_run)
        if dry_run or not promoted.allowed:
            return promoted
        problems = [*check_release(plan), *guard.result()]
    finally:
        guard.cancel()
    if problems:
        raise errors.BadInput(
            "inventory-escapes",
            _(
                "Ansible would reach other hosts than those of {environment}; nothing was done."
            ).format(environment=plan.environment.name),
            problems=tuple(problems),
            where=plan.environment.file,
        )
    started = p.PromotionStarted(
        plan.promotion_id,
        str(promoted.decision["id"]),
        release.digest,
        plan.previous.digest if plan.previous is not None else None,
        plan.environment.name,
        change,
    )
    subjects = [(release.name, release.digest)]
    entries = [workspace.record(draft("promotion-started", started, subjects))]
    result = Promotion(plan).run()
    return _finish(workspace, plan, release, promoted.decision, entries, result)


def _decide(
    workspace: Workspace,
    environment: Environment,
    release: Release,
    change: str,
    seen: Seen,
    dry_run: bool,
) -> Promoted:
    """Ask the gate and, but for a dry run, record what it says."""
    decision = gatekeeping.ask(
        workspace,
        release,
        environment,
        change,
        actor=workspace.me,
        landscape=workspace.landscape,
        state=workspace.state,
        seen=seen,
    )
    decided = None if dry_run else _record_decision(workspace, decision, seen, release)
    answer = gatekeeping.as_json(workspace, decision, decided)
    return Promoted(answer, decision.outcome == "allowed")


def _damaged(release: Release, files: tuple[str, ...], answer: dict[str, Any]) -> errors.Integrity:
    error = errors.Integrity(
        "store-damaged",
        _("Files of {release} are missing or damaged in the content store: {files}.").format(
            release=release.name, files=", ".join(files)
        ),
        remedy=_("nothing was deployed; build the release again from sound files:"
                 " otapgate release build FILE"),
    )  # fmt: skip
    error.data = {"decision": answer}
    return error


def _record_decision(workspace: Workspace, decision: Decision, seen: Seen, release: Release) -> str:
    name, act = gatekeeping.to_draft(workspace, decision, workspace.landscape, seen, release)
    workspace.record(act)
    return name


def _finish(
    workspace: Workspace,
    plan: Plan,
    release: Release,
    answer: dict[str, Any],
    entries: list[int],
    result: PromotionResult,
) -> Promoted:
    if result.outcome != "unfinished":
        finished = p.PromotionFinished(
            plan.promotion_id,
            plan.environment.name,
            release.digest,
            result.outcome,
            result.completeness,
            result.hosts,
            result.milliseconds,
            result.evidence,
        )
        act = draft("promotion-finished", finished, [(release.name, release.digest)])
        open_ = _unfinished(workspace.state, plan.environment)
        change = open_.change if open_ is not None else "CHANGE"
        command = f"otapgate promote {release.name} --to {plan.environment.name}"
        command += f" --change {change} --resume"
        entries.append(_ended(workspace, plan, act, result.outcome, command))
    return Promoted(
        answer,
        True,
        {
            "id": plan.promotion_id,
            "outcome": result.outcome,
            "entries": entries,
            "hosts": dict(result.hosts),
            "completeness": msgspec.to_builtins(
                {
                    "outcome": result.completeness.outcome,
                    "missing": result.completeness.missing,
                    "different": result.completeness.different,
                    "extra": result.completeness.extra,
                }
            ),
            "left": list(result.left),
            "seconds": {
                "total": result.milliseconds / 1000,
                "ansible": result.milliseconds_ansible / 1000,
            },
            "evidence": result.evidence,
            "message": result.message,
        },
        result.outcome,
        result.message,
    )


def _ended(workspace: Workspace, plan: Plan, act: Draft, outcome: str, command: str) -> int:
    """Record how something ended. When that can't be done, say how it ended all the same:
    the hosts are so, only the ledger doesn't know it yet. Raises Integrity."""
    try:
        return workspace.record(act)
    except errors.OtapgateError as error:
        raise errors.Integrity(
            "end-unrecorded",
            _("What was begun in {environment} has ended ({outcome}), but that could not be"
              " recorded: {why}").format(
                environment=plan.environment.name, outcome=outcome, why=error.message),
            remedy=_("mend that, then end it: {command}").format(command=command),
            where=error.where,
        ) from error  # fmt: skip


def _resume(
    workspace: Workspace,
    environment: Environment,
    release: Release,
    change: str,
    open_: Unfinished | None,
    progress: Progress,
) -> Promoted:
    from otapgate.execution.promotion import Promotion

    if open_ is None or open_.kind != "promotion":
        raise errors.BadInput(
            "nothing-unfinished",
            _("{environment} has no unfinished promotion to go on with.").format(
                environment=environment.name
            ),
            remedy="otapgate status",
        )
    if open_.release != release.digest or open_.change != change:
        raise busy(workspace, open_)
    answer = _decision_of(workspace, open_.id)
    with _plan(workspace, environment, release, open_.previous, open_.id, progress) as plan:
        return _finish(workspace, plan, release, answer, [], Promotion(plan).resume())


def _decision_of(workspace: Workspace, promotion: str) -> dict[str, Any]:
    """The decision that an unfinished promotion rests on, as it was recorded."""
    wanted = ""
    for _position, statement, _by in workspace.statements("promotion-started"):
        if statement.predicate["promotion"] == promotion:
            wanted = statement.predicate["decision"]
    return next((d for d in gatekeeping.recorded(workspace) if d["id"] == wanted), {})


def rollback(
    workspace: Workspace,
    env: str,
    *,
    dry_run: bool,
    progress: Progress,
    confirm: Callable[[str], None],
) -> dict[str, Any]:
    """End an unfinished promotion by going back, or undo the last one that succeeded."""
    from otapgate.execution.lock import EnvironmentLock

    environment = _fresh(workspace, env)
    workspace.require("administrator", "robot", street=environment.street)
    with EnvironmentLock(workspace.root, environment.name, f"otapgate rollback {environment.name}"):
        state = workspace.verified()
        open_ = _unfinished(state, environment)
        if open_ is not None:
            return _end(workspace, environment, open_, dry_run, progress)
        rehearsal = open_rehearsal(workspace, environment.name)
        if rehearsal is not None:
            return _end_rehearsal(workspace, environment, rehearsal, dry_run, progress)
        return _undo(workspace, environment, state, dry_run, progress, confirm)


def _end(
    workspace: Workspace,
    environment: Environment,
    open_: Unfinished,
    dry_run: bool,
    progress: Progress,
) -> dict[str, Any]:
    from otapgate.execution.promotion import Promotion

    release = workspace.state.releases[open_.release]
    target = workspace.state.releases.get(open_.previous or "")
    answer = {
        "id": open_.id,
        "environment": environment.name,
        "from": release.name,
        "to": target.name if target else None,
    }
    if dry_run:
        return {**answer, "outcome": None, "dry_run": True}
    run_id = open_.id
    if open_.kind == "rollback":
        # The state before is kept in the run of the promotion that is being undone.
        run_id = _undone_by(workspace, open_.id)
    with _plan(workspace, environment, release, open_.previous, run_id, progress) as plan:
        result = Promotion(plan).go_back()
        if result.outcome == "unfinished":
            return {**answer, "outcome": "unfinished", "message": result.message, "left": []}
        if open_.kind == "rollback":
            return _finish_rollback(workspace, plan, open_.id, release, open_.previous, answer,
                                    result)  # fmt: skip
        promoted = _finish(workspace, plan, release, {}, [], result)
    assert promoted.promotion is not None, "a finished promotion has one"
    return {
        **answer,
        "outcome": "restored" if result.outcome == "rolled-back" else "failed",
        "left": list(result.left),
        "message": result.message,
        "entries": promoted.promotion["entries"],
    }


def _undone_by(workspace: Workspace, rollback_id: str) -> str:
    for _position, statement, _by in workspace.statements("rollback-started"):
        if statement.predicate["rollback"] == rollback_id:
            return str(statement.predicate["promotion"])
    raise AssertionError(rollback_id)  # pragma: no cover - the state came from that entry


def _undo(
    workspace: Workspace,
    environment: Environment,
    state: State,
    dry_run: bool,
    progress: Progress,
    confirm: Callable[[str], None],
) -> dict[str, Any]:
    from otapgate.execution.promotion import Promotion

    history = state.environment(environment.name).history
    if not history or history[-1].by_act == "adopted":
        raise errors.BadInput(
            "nothing-to-undo",
            _("No promotion to {environment} is on record that could be undone.").format(
                environment=environment.name
            ),
            remedy="otapgate status",
        )
    now = history[-1]
    release = state.releases[now.release]
    previous = history[-2].release if len(history) > 1 else None
    target = state.releases[previous].name if previous else _("nothing")
    rollback_id = new_id("back")
    answer = {
        "id": rollback_id,
        "environment": environment.name,
        "from": release.name,
        "to": state.releases[previous].name if previous else None,
    }
    if dry_run:
        return {**answer, "outcome": None, "dry_run": True}
    confirm(
        _("{environment} goes back from {release} to {target}, with its data as it was on"
          " {since}: what was entered since is lost. Go back?").format(
            environment=environment.name, release=release.name, target=target, since=now.since)
    )  # fmt: skip
    with _plan(workspace, environment, release, previous, now.by_act, progress) as plan:
        started = p.RollbackStarted(
            rollback_id, now.by_act, environment.name, release.digest, previous
        )
        workspace.record(draft("rollback-started", started, [(release.name, release.digest)]))
        result = Promotion(plan).go_back()
        if result.outcome == "unfinished":
            return {**answer, "outcome": "unfinished", "message": result.message, "left": []}
        return _finish_rollback(workspace, plan, rollback_id, release, previous, answer, result)


def _finish_rollback(
    workspace: Workspace,
    plan: Plan,
    rollback_id: str,
    release: Release,
    previous: str | None,
    answer: dict[str, Any],
    result: PromotionResult,
) -> dict[str, Any]:
    restored = result.outcome == "rolled-back"
    finished = p.RollbackFinished(
        rollback_id,
        plan.environment.name,
        previous,
        "restored" if restored else "failed",
        tuple(result.left),
        result.milliseconds,
        result.evidence,
    )
    act = draft("rollback-finished", finished, [(release.name, release.digest)])
    command = f"otapgate rollback {plan.environment.name}"
    entry = _ended(workspace, plan, act, finished.outcome, command)
    return {
        **answer,
        "outcome": finished.outcome,
        "left": list(result.left),
        "message": result.message,
        "entries": [entry],
    }


def open_rehearsal(workspace: Workspace, environment: str) -> RunState | None:
    """A rehearsal that was cut off in the environment: its folder is still there."""
    folder = workspace.hidden / "runs"
    if not folder.is_dir():
        return None
    for found in sorted(folder.glob("rehearsal-*")):
        from otapgate.execution.promotion import run_state

        state = run_state(found)
        if state is not None and state.environment == environment:
            return state
    return None


def _no_open_rehearsal(workspace: Workspace, environment: Environment) -> None:
    found = open_rehearsal(workspace, environment.name)
    if found is not None:
        raise errors.Busy(
            "rehearsal-unfinished",
            _("A rehearsal in {environment} was cut off; what runs there is uncertain.").format(
                environment=environment.name
            ),
            remedy=f"otapgate rollback {environment.name}",
        )


def _end_rehearsal(
    workspace: Workspace,
    environment: Environment,
    found: RunState,
    dry_run: bool,
    progress: Progress,
) -> dict[str, Any]:
    """Bring the environment back to what ran before a rehearsal that was cut off."""
    from otapgate.execution.promotion import Promotion

    release = workspace.state.releases[found.release]
    target = workspace.state.releases.get(found.previous or "")
    answer = {
        "id": found.id,
        "environment": environment.name,
        "from": release.name,
        "to": target.name if target else None,
    }
    if dry_run:
        return {**answer, "outcome": None, "dry_run": True}
    with _plan(workspace, environment, release, found.previous, found.id, progress) as plan:
        result = Promotion(plan, kind="rehearsal").go_back()
    restored = result.outcome == "rolled-back"
    if restored:
        _forget(workspace, found.id)
    outcome = "unfinished" if result.outcome == "unfinished" else "failed"
    return {
        **answer,
        "outcome": "restored" if restored else outcome,
        "left": list(result.left),
        "message": result.message,
        "entries": [],
    }


def rehearse(
    workspace: Workspace, name: str, env: str, faults: str, progress: Progress
) -> tuple[dict[str, Any], Draft]:
    """Deploy, roll back, compare, on an environment outside production (CH05-07).

    The environment must still run the release to go back to. Raises BadInput, Busy,
    Integrity, Identity; what came of it is in the draft, restored or not.
    """
    from otapgate.execution.lock import EnvironmentLock
    from otapgate.execution.rehearsal import rehearse as carry_out

    release = gatekeeping.release(workspace, name)
    environment = _fresh(workspace, env, release.latest.street)
    workspace.require("administrator", "test-lead", "tester", street=environment.street)
    if environment.stage == "P":
        raise errors.BadInput(
            "rehearsal-in-production",
            _("{environment} is production; a rollback is rehearsed before it.").format(
                environment=environment.name
            ),
            remedy=_("name a test or acceptance environment with --env"),
        )
    with EnvironmentLock(workspace.root, environment.name, f"otapgate rehearse {release.name}"):
        state = workspace.verified()
        open_ = _unfinished(state, environment)
        if open_ is not None:
            raise busy(workspace, open_)
        _no_open_rehearsal(workspace, environment)
        running = state.environment(environment.name).running
        if running is not None and running.release == release.digest:
            raise errors.BadInput(
                "rehearsal-too-late",
                _("{environment} runs {release} already, so there is nothing to come back to.")
                .format(environment=environment.name, release=release.name),
                remedy=_("rehearse where the release before still runs, or first:"
                         " otapgate rollback {environment}").format(
                    environment=environment.name),
            )  # fmt: skip
        previous = running.release if running is not None else None
        rehearsal_id = new_id("rehearsal")
        with _plan(workspace, environment, release, previous, rehearsal_id, progress) as plan:
            result = carry_out(plan, faults)
        if result.outcome == "unfinished":
            raise errors.Failed(
                "rehearsal-unfinished",
                _("Interrupted. {environment} may be half-way between two releases.").format(
                    environment=environment.name
                ),
                remedy=f"otapgate rollback {environment.name}",
            )
        if result.outcome == "restored":
            _forget(workspace, rehearsal_id)
    predicate = p.Rehearsal(
        rehearsal_id,
        release.digest,
        previous,
        environment.name,
        environment.digest,
        faults,
        result.outcome,
        result.milliseconds_rollback,
        tuple(result.cases),
        result.evidence,
    )
    answer = {
        "id": rehearsal_id,
        "outcome": result.outcome,
        "environment": environment.name,
        "seconds_rollback": result.milliseconds_rollback / 1000,
        "cases": [
            {
                "fault": c.fault,
                "task": c.task,
                "index": c.index,
                "restored": c.restored,
                "left": list(c.left),
            }
            for c in result.cases
        ],
        "evidence": result.evidence,
        "message": result.message,
    }
    return answer, draft("rehearsal", predicate, [(release.name, release.digest)])


def adopt(workspace: Workspace, env: str, name: str, progress: Progress) -> Draft:
    """An environment that ran before otapgate came: compare every host with a release,
    and take it in as what runs there. Only while it has no history here."""
    from otapgate.execution.lock import EnvironmentLock
    from otapgate.execution.look import look

    release = gatekeeping.release(workspace, name)
    environment = _fresh(workspace, env, release.latest.street)
    workspace.require("administrator", street=environment.street)
    history = workspace.state.environment(environment.name)
    if history.history or history.unfinished is not None:
        raise errors.BadInput(
            "environment-known",
            _("{environment} has a history here; what runs there changes by promotion.").format(
                environment=environment.name
            ),
            remedy=f"otapgate promote {release.name} --to {environment.name} --change CHANGE",
        )
    run_id = new_id("look")
    with (
        EnvironmentLock(workspace.root, environment.name, f"otapgate env adopt {environment.name}"),
        _plan(workspace, environment, release, None, run_id, progress) as plan,
    ):
        found = look(plan)
    _forget(workspace, run_id)
    if found.outcome != "complete":
        items = (*found.missing, *found.different, *found.extra)
        raise errors.Failed(
            "not-that-release",
            _("{environment} doesn't hold {release}, all of it and nothing else.").format(
                environment=environment.name, release=release.name
            ),
            problems=tuple(errors.Problem(item) for item in items[:50]),
            remedy=_("build the release that does run there, or install this one first"),
        )
    predicate = p.EnvironmentAdopted(environment.name, release.digest, found)
    return draft("environment-adopted", predicate, [(release.name, release.digest)])
