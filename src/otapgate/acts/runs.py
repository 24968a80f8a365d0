"""What promotions, rollbacks, rehearsals and adoptions share: one environment held, the
folder and plan of a run, and what is still open there.

What each of them does with it is in `promotion`, `rollback`, `rehearsal` and
`environments`; running playbooks is `execution`'s.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from otapgate import errors
from otapgate.acts import secret_values
from otapgate.acts.releases import manifest as manifest_of
from otapgate.acts.workspace import Workspace
from otapgate.i18n import _
from otapgate.landscape.model import Environment
from otapgate.ledger.records import ADOPTED, EnvironmentHistory
from otapgate.ledger.state import Release, State, Unfinished
from otapgate.ledger.statement import Draft

if TYPE_CHECKING:
    from otapgate.execution.events import Progress as Event
    from otapgate.execution.plan import Plan
    from otapgate.execution.run_state import RunState

Progress = Callable[[str], None]


def environment_now(workspace: Workspace, name: str, street: str | None = None) -> Environment:
    """The environment as its file says now, not as the cache does. Raises BadInput."""
    known = workspace.environment(name, street=street)
    environment = workspace.landscape.environment(known.name)
    assert environment is not None, "names come from the same files"
    return environment


@contextmanager
def held(workspace: Workspace, environment: Environment, command: str) -> Iterator[State]:
    """The environment locked for `command`, the ledger verified from its first entry, and
    what killed commands left there removed. Raises Busy (locked), Integrity."""
    from otapgate.execution.lock import EnvironmentLock

    with EnvironmentLock(workspace.root, environment.name, command, workspace.now().tzinfo):
        state = workspace.verified()
        _sweep(workspace, environment)
        yield state


def accepted(workspace: Workspace, environment: Environment) -> None:
    """Raises BadInput unless the environment's owner accepted it as its file says now: what
    the gate asks of a promotion, asked of whatever else runs playbooks there."""
    known = workspace.state.environment(environment.name).accepted
    if known is None or known.act.description != environment.digest:
        raise errors.BadInput(
            "environment-unaccepted",
            _("{environment} isn't accepted by its owner as it is described now.").format(
                environment=environment.name
            ),
            remedy=f"otapgate env accept {environment.name}",
            where=environment.file,
        )


def guard(plan: Plan, *, with_previous: bool = False) -> None:
    """Raises BadInput (`inventory-escapes`) when Ansible, by its own account or by what the
    playbooks say, would reach anything but the environment's hosts. `with_previous` where
    playbooks of the release before run too. Raises BadInput (`host-unseen`) when they would
    rest on what can't be seen there, and Failed and Busy when the environment has a worker that
    can't do it now."""
    from otapgate.execution import far, sight
    from otapgate.execution.guard import check_release, start_inventory_check

    compares = bool(plan.playbook("compare.yml", optional=True))
    sight.require(plan.environment, plan.manifest, compares)
    listed = start_inventory_check(plan)
    try:
        problems = check_release(plan)
        if with_previous and plan.previous is not None:
            problems += check_release(plan.for_previous())
        problems += listed.result()
    finally:
        listed.cancel()
    if problems:
        raise errors.BadInput(
            "inventory-escapes",
            _(
                "Ansible would reach other hosts than those of {environment}; nothing was done."
            ).format(environment=plan.environment.name),
            problems=tuple(problems),
            where=plan.environment.file,
        )
    far.require(plan.environment)


def nothing_open(workspace: Workspace, environment: Environment) -> None:
    """Raises Busy when a promotion, rollback or rehearsal there must be ended first."""
    open_ = workspace.state.environment(environment.name).unfinished
    if open_ is not None:
        raise busy(workspace, open_)
    found = open_rehearsal(workspace, environment.name)
    if found is not None:
        said = (
            _("A rehearsal in {environment} was cut off; what runs there is uncertain.")
            if not found.failed
            else _("A rehearsal in {environment} could not bring back what ran there.")
        )
        raise errors.Busy(
            "rehearsal-unfinished",
            said.format(environment=environment.name),
            remedy="\n".join(rehearsal_ways_out(workspace, found)),
        )


def ways_out(workspace: Workspace, open_: Unfinished) -> list[str]:
    """The commands that end something unfinished."""
    if open_.failed:
        return _after_failing(workspace, open_.environment, open_.previous)
    found = [f"otapgate rollback {open_.environment}"]
    if open_.kind == "promotion":
        release = workspace.state.releases.get(open_.release)
        name = release.name if release else open_.release
        promote = f"otapgate promote {name} --to {open_.environment} --change {open_.change}"
        found.insert(0, f"{promote} --resume")
    return found


def rehearsal_ways_out(workspace: Workspace, found: RunState) -> list[str]:
    """The commands that end a rehearsal which left its environment uncertain."""
    if not found.failed:
        return [f"otapgate rollback {found.environment}"]
    return _after_failing(workspace, found.environment, found.previous)


def _after_failing(workspace: Workspace, environment: str, previous: str | None) -> list[str]:
    """Going back failed. Once somebody has mended what was left, `rollback` compares and
    ends it; where it may stay, adopting the release before settles it."""
    found = [f"otapgate rollback {environment}"]
    before = workspace.state.releases.get(previous or "")
    if before is not None:
        found.append(f"otapgate env adopt {environment} {before.name} --because TEXT")
    return found


def busy(workspace: Workspace, open_: Unfinished) -> errors.Busy:
    """The error for an environment that something unfinished occupies."""
    release = workspace.state.releases.get(open_.release)
    return errors.Busy(
        "promotion-unfinished",
        _("{environment} has an unfinished {kind} of {release}, begun by {by} on {at}.").format(
            environment=open_.environment,
            kind=_(open_.kind),
            release=release.name if release else open_.release,
            by=workspace.name(open_.by),
            at=open_.at,
        ),
        remedy="\n".join(ways_out(workspace, open_)),
    )


def open_rehearsal(workspace: Workspace, environment: str) -> RunState | None:
    """A rehearsal that left the environment in an uncertain state: cut off, or ended with
    something that didn't come back. Its folder is still there."""
    folder = workspace.hidden / "runs"
    if not folder.is_dir():
        return None
    for found in sorted(folder.glob("rehearsal-*")):
        from otapgate.execution.run_state import run_state

        state = run_state(found)
        if state is not None and state.environment == environment:
            return state
    return None


@contextmanager
def planned(
    workspace: Workspace,
    environment: Environment,
    release: Release,
    previous: str | None,
    run_id: str,
    progress: Progress,
) -> Iterator[Plan]:
    """Everything a run needs, releases unpacked from the store and verified; `previous`
    is the digest of the release to go back to. Raises Integrity."""
    from otapgate.execution.plan import Plan
    from otapgate.execution.steps import stopped_by
    from otapgate.execution.vault import hidden_values
    from otapgate.release.manifest import Manifest
    from otapgate.release.unpack import remove, unpack

    folder = run_folder(workspace, run_id)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (folder / _WHERE).open("w", encoding="utf-8") as where:
            where.write(environment.name)
            where.flush()
            os.fsync(where.fileno())  # after a power cut too, it is known whose this is
    except OSError as error:
        raise stopped_by(error, folder) from error
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
        secrets = secret_values.read(workspace.root, environment)
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
            secrets=secrets,
            hidden=hidden_values([tree / "playbooks" for tree in trees], secrets),
            on_progress=lambda event: _tell(event, progress),
            strategy=workspace.landscape.strategy,
        )
    finally:
        for made in trees:
            with suppress(OSError):  # what stays costs room, nothing else
                if made.exists():
                    remove(made)


def _tell(event: Event, progress: Progress) -> None:
    """One line for each thing that a host did, as it happens."""
    if event.kind == "note":
        progress(event.name)
    elif event.kind == "host" and event.outcome != "skipped":
        progress(f"  {event.host}: {event.name}: {event.outcome}")


def run_folder(workspace: Workspace, run_id: str) -> Path:
    """Where the journal, the output and the local snapshots of a run are."""
    return workspace.hidden / "runs" / run_id


def forget(workspace: Workspace, run_id: str) -> None:
    """Remove the folder of a run that nothing can need any more."""
    from otapgate.release.unpack import remove

    with suppress(OSError):  # what stays costs room, nothing else
        remove(run_folder(workspace, run_id))


_WHERE = "environment"
"""Name of the file in a run's folder that says of which environment it is."""


def _sweep(workspace: Workspace, environment: Environment) -> None:
    """Remove what killed commands left in folders of runs, while the environment is locked:
    runs that nothing can need any more, with the data in their snapshots, and unpacked
    releases. A rehearsal's folder says that it is open, so that one stays."""
    from otapgate.execution.journal import Journal

    needed = _needed(workspace.state.environment(environment.name))
    folder = workspace.hidden / "runs"
    for run in sorted(folder.iterdir()) if folder.is_dir() else ():
        with suppress(OSError, UnicodeDecodeError):
            if (run / _WHERE).read_text("utf-8") != environment.name:
                continue
            rehearsed = run.name.startswith("rehearsal-") and Journal(run).exists()
            if run.name in needed or rehearsed:
                _clear(run)
            else:
                forget(workspace, run.name)


def _needed(known: EnvironmentHistory) -> set[str]:
    """The runs whose snapshots may still be gone back to: the last promotion, which alone is
    ever undone, and what is open."""
    needed = {one.by_act for one in known.history[-1:]}
    if known.unfinished is not None:
        needed.add(known.unfinished.id)
    return needed


def _clear(run: Path) -> None:
    """Remove what a command needs only while it works."""
    from otapgate.release.unpack import remove

    for name in ("release", "previous", "ansible"):
        remove(run / name)
    for partial in run.glob(".*.partial"):
        remove(partial)


def prune(workspace: Workspace, environment: Environment) -> None:
    """Remove the runs that came before the one that runs there now. Their snapshots hold
    the environment's data."""
    for past in workspace.state.environment(environment.name).history[:-1]:
        if past.by_act != ADOPTED:
            forget(workspace, past.by_act)


def prune_hosts(workspace: Workspace, plan: Plan, *also: str) -> None:
    """Remove the snapshots on hosts that aren't local of every run that has ended, but for
    the last promotion's and for what is still open; of the runs `also` too. Whatever goes
    wrong is told, and no more."""
    from otapgate.execution.events import Progress as Event
    from otapgate.execution.snapshots import left_behind, remove

    if not any(plan.snapshot_root(host) for host in plan.hosts):
        return  # before the ledger is read for it
    try:
        said = remove(plan, _prunable(workspace, plan.environment.name, also))
    except (errors.OtapgateError, OSError) as error:  # it can't be told which are needed
        said = left_behind(str(error))
    if said and plan.on_progress is not None:
        plan.on_progress(Event("note", said))


def _prunable(workspace: Workspace, environment: str, also: tuple[str, ...]) -> list[str]:
    known = workspace.state.environment(environment)
    needed = _needed(known)
    if known.unfinished is not None:
        for _position, statement, _by in workspace.statements("rollback-started"):
            needed.add(str(statement.predicate.get("promotion")))
    open_ = open_rehearsal(workspace, environment)
    if open_ is not None and open_.id not in also:
        needed.add(open_.id)
    ended = set(also)
    for act, name in (("promotion-finished", "promotion"), ("rehearsal", "rehearsal")):
        for _position, statement, _by in workspace.statements(act):
            if statement.predicate.get("environment") == environment:
                ended.add(str(statement.predicate.get(name)))
    return sorted(ended - needed)


def record_end(workspace: Workspace, plan: Plan, act: Draft, outcome: str, command: str) -> int:
    """Record how something ended. When that can't be done, say how it ended all the same:
    the hosts are so, only the ledger doesn't know it yet. Raises Integrity."""
    try:
        return workspace.record_late(act)
    except errors.OtapgateError as error:
        raise errors.Integrity(
            "end-unrecorded",
            _("What was begun in {environment} has ended ({outcome}), but that could not be"
              " recorded: {why}").format(
                environment=plan.environment.name, outcome=outcome, why=error.message),
            remedy=_("mend that, then end it: {command}").format(command=command),
            where=error.where,
        ) from error  # fmt: skip
