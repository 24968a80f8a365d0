"""Parallel runs: start, compare, conclude (CH06-07).

What is captured of either side stays in this process. The content store and the ledger get
counts, marks and excerpts; whoever runs a comparison may have every difference written to a
file of their own, outside the landscape.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from otapgate import canonical, errors
from otapgate.acts import changes, runs, secret_values
from otapgate.acts.drafts import draft, new_id
from otapgate.acts.gatekeeping import release as find_release
from otapgate.acts.workspace import Workspace
from otapgate.i18n import _, why
from otapgate.landscape.model import Environment
from otapgate.ledger import predicates as p
from otapgate.ledger.state import Parallel, Release
from otapgate.ledger.statement import Draft
from otapgate.private_file import write_private

if TYPE_CHECKING:
    from otapgate.parallel.capture import Post
    from otapgate.parallel.plan import Plan, Side
    from otapgate.parallel.run import Found, Result


def plan_path(workspace: Workspace, name: str) -> Path:
    """Where a comparison plan of that name is described; raises BadInput."""
    stem = Path(name).stem if name.endswith((".yml", ".yaml")) else name
    folder = workspace.root / "parallel"
    path = folder / f"{stem}.yml"
    if "/" in stem or not path.is_file():
        known = sorted(f.stem for f in folder.glob("*.yml"))
        raise errors.BadInput(
            "parallel-plan-unknown",
            _("There is no comparison plan parallel/{plan}.yml.").format(plan=stem),
            remedy=_("one of: {known}").format(known=", ".join(known))
            if known
            else "otapgate schema parallel",
        )
    return path


def find(workspace: Workspace, run: str) -> Parallel:
    """A parallel run by the beginning of its id; raises BadInput."""
    hits = [found for name, found in workspace.state.parallels.items() if name.startswith(run)]
    if len(hits) != 1 or not run:
        raise errors.BadInput(
            "parallel-unknown",
            _("There is no parallel run {run}.").format(run=run)
            if not hits
            else _("More than one parallel run begins with {run}.").format(run=run),
            remedy="otapgate parallel list",
        )
    return hits[0]


def start(workspace: Workspace, name: str, plan: str, change: str) -> Draft:
    """Old and new run side by side from now on, compared by the plan as it is now.

    Raises BadInput when the plan isn't sound, when the environments don't run what is to
    be compared, or weren't accepted as they are described.
    """
    from otapgate.parallel.plan import read

    release = find_release(workspace, name)
    asked = changes.get(workspace, change).submitted.act
    workspace.require("administrator", "test-lead", street=release.latest.street)
    found = read(plan_path(workspace, plan), workspace.root)
    if found.app != release.latest.app:
        raise errors.BadInput(
            "parallel-other-app",
            _("The comparison plan {plan} is for {app}, and the release is {release}.").format(
                plan=found.plan, app=found.app, release=release.name
            ),
            where=f"parallel/{found.plan}.yml",
        )
    sides = [_environment(workspace, side, release) for side in (found.old, found.new)]
    previous = _previous(workspace, release, *sides)
    predicate = p.ParallelStarted(
        parallel=new_id("par"),
        plan=found.plan,
        digest=workspace.store.put(found.encoded()),
        release=release.digest,
        previous=previous,
        change=asked.change,
        old=sides[0].name,
        new=sides[1].name,
        old_description=sides[0].digest,
        new_description=sides[1].digest,
        days=found.period.days,
        comparisons=found.period.comparisons,
    )
    subjects = [(release.name, release.digest), (found.plan, predicate.digest)]
    return draft("parallel-started", predicate, subjects)


def _environment(workspace: Workspace, side: Side, release: Release) -> Environment:
    environment = runs.environment_now(workspace, side.environment, release.latest.street)
    if environment.street != release.latest.street:
        raise errors.BadInput(
            "parallel-other-street",
            _("{environment} isn't in the street of {release}.").format(
                environment=environment.name, release=release.name
            ),
        )
    runs.accepted(workspace, environment)
    return environment


def _previous(
    workspace: Workspace, release: Release, old: Environment, new: Environment
) -> str | None:
    """What the new release is compared with, by the ledger. Of two environments the new one
    must run the release; of two systems in one, the ledger knows one at most."""
    history = workspace.state.environment(old.name).history
    if old.name == new.name:
        others = [r.release for r in history if r.release != release.digest]
        return others[-1] if others else None
    for environment in (old, new):
        runs.nothing_open(workspace, environment)
    running = workspace.state.environment(new.name).running
    if running is None or running.release != release.digest:
        raise errors.BadInput(
            "not-running-there",
            _("{environment} doesn't run {release}, so it can't be compared there.").format(
                environment=new.name, release=workspace.state.called(release.digest)
            ),
            remedy=f"otapgate promote {release.name} --to {new.name} --change CHANGE",
        )
    previous = history[-1].release if history else None
    if previous == release.digest:
        raise errors.BadInput(
            "parallel-same",
            _("{old} and {new} run the same release; there is nothing to compare.").format(
                old=old.name, new=new.name
            ),
        )
    return previous


def compare(
    workspace: Workspace,
    run: str,
    *,
    full: Path | None = None,
    on_output: Callable[[Found], None] | None = None,
) -> tuple[Result, Draft]:
    """Capture both sides now and compare them; the draft records the counts.

    `full` is a new file for every difference as it is, which only its owner can read.
    Raises BadInput when the run was concluded, when the plan was edited since it began, or
    when what runs there isn't what it began with; Busy while something moves there.
    """
    from otapgate.parallel.run import compare as side_by_side

    known = find(workspace, run)
    started = known.started.act
    release = workspace.state.releases[started.release]
    workspace.require("administrator", "robot", "test-lead", "tester",
                      street=release.latest.street)  # fmt: skip
    _not_concluded(known)
    plan = plan_of(workspace, started)
    sides = [_environment(workspace, side, release) for side in (plan.old, plan.new)]
    _still(workspace, known, release, sides)
    if full is not None:
        _outside(workspace, full)
    secrets = [secret_values.read(workspace.root, side) for side in sides]
    with _posts(workspace, started.parallel, plan, sides, secrets) as (old, new):
        result = side_by_side(plan, old, new, on_output)
    if full is not None:
        _write(full, result.full)
    evidence: dict[str, Any] = {
        "format": "otapgate-parallel-evidence/1",
        "parallel": started.parallel,
        "plan": {"name": started.plan, "digest": started.digest},
        "at": workspace.now().isoformat(timespec="seconds"),
        "old": {"environment": sides[0].name, "release": started.previous},
        "new": {"environment": sides[1].name, "release": started.release},
        "outputs": [output.as_json() for output in result.outputs],
    }
    predicate = p.ParallelCompared(
        started.parallel,
        started.release,
        started.digest,
        result.total("same"),
        result.total("tolerated"),
        result.total("different"),
        workspace.store.put(canonical.encode(evidence)),
    )
    subjects = [(release.name, release.digest), (started.plan, started.digest)]
    return result, draft("parallel-compared", predicate, subjects)


def plan_of(workspace: Workspace, started: p.ParallelStarted) -> Plan:
    """The plan that a run began with; raises BadInput when its file says otherwise now."""
    from otapgate.parallel.plan import load, read

    path = workspace.root / "parallel" / f"{started.plan}.yml"
    edited = not path.is_file() or read(path, workspace.root).digest != started.digest
    if edited:
        raise errors.BadInput(
            "parallel-plan-edited",
            _("The comparison plan {plan} was edited after the parallel run began.").format(
                plan=started.plan
            ),
            where=f"parallel/{started.plan}.yml",
            remedy=_("put back what it was, or begin anew: {command}").format(
                command=f"otapgate parallel start REL --plan {started.plan}"
                f" --change {started.change}"
            ),
        )
    return load(workspace.store, started.digest)


def _not_concluded(known: Parallel) -> None:
    if known.concluded is not None:
        raise errors.BadInput(
            "parallel-concluded",
            _("The parallel run {run} was concluded: {verdict}.").format(
                run=known.started.act.parallel, verdict=known.concluded.act.verdict
            ),
            remedy=f"otapgate parallel start REL --plan NAME --change {known.started.act.change}",
        )


def _still(
    workspace: Workspace, known: Parallel, release: Release, sides: list[Environment]
) -> None:
    started = known.started.act
    described = (started.old_description, started.new_description)
    for environment, digest in zip(sides, described, strict=True):
        runs.nothing_open(workspace, environment)
        if environment.digest != digest:
            raise errors.BadInput(
                "parallel-environment-changed",
                _("{environment} was changed after the parallel run began.").format(
                    environment=environment.name
                ),
                where=environment.file,
                remedy=f"otapgate parallel start {release.name} --plan {started.plan}"
                f" --change {started.change}",
            )
    if started.old != started.new:
        _previous(workspace, release, *sides)


@contextlib.contextmanager
def _posts(
    workspace: Workspace,
    run: str,
    plan: Plan,
    sides: list[Environment],
    secrets: list[dict[str, str]],
) -> Iterator[tuple[Post, Post]]:
    """Both environments locked, so that nothing is deployed meanwhile, and an empty private
    folder for each side, which is removed."""
    from otapgate.execution.lock import EnvironmentLock
    from otapgate.parallel.capture import Post

    scratch = Path(tempfile.mkdtemp(prefix="otapgate-parallel-"))
    zone = workspace.now().tzinfo
    try:
        with contextlib.ExitStack() as locks:
            for name in sorted({side.name for side in sides}):
                command = f"otapgate parallel compare {run}"
                locks.enter_context(EnvironmentLock(workspace.root, name, command, zone))
            posts = []
            for role, side, environment, values in zip(
                ("old", "new"), (plan.old, plan.new), sides, secrets, strict=True
            ):
                (scratch / role).mkdir(mode=0o700)
                posts.append(Post(side, environment, scratch / role, values, role))
            yield posts[0], posts[1]
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _outside(workspace: Workspace, full: Path) -> None:
    if full.absolute().resolve().is_relative_to(workspace.root.resolve()):
        raise errors.BadInput(
            "parallel-full-inside",
            _("{file} lies in the landscape, which is copied and shared; the differences may"
              " hold personal data.").format(file=full),
            remedy=_("name a file elsewhere, and delete it when you have looked"),
            where=str(full),
        )  # fmt: skip
    if full.exists() or not full.absolute().parent.is_dir():
        raise errors.BadInput(
            "parallel-full-exists",
            _("{file} is there already, or its folder isn't there.").format(file=full),
            remedy=_("name a new file"),
            where=str(full),
        )


def _write(full: Path, lines: tuple[str, ...]) -> None:
    try:
        write_private(full.absolute(), "".join(f"{x}\n" for x in lines).encode(
            "utf-8", "replace"))  # fmt: skip
    except OSError as error:
        raise errors.Failed(
            "parallel-full-unwritable",
            _("{file} can't be written: {reason}.").format(file=full, reason=why(error)),
            where=str(full),
        ) from error


def conclude(workspace: Workspace, run: str, *, agreed: bool, because: str) -> Draft:
    """The process owner's verdict. Agreeing is refused while the period isn't over, or
    while the newest comparison has differences that nothing allows; who built refuses
    themselves."""
    known = find(workspace, run)
    started = known.started.act
    release = workspace.state.releases[started.release]
    me = workspace.require("process-owner", street=release.latest.street)
    if me in release.builders:
        raise errors.Identity(
            "builder",
            _("You built {release}; somebody else does this ({rule}).").format(
                release=release.name, rule="CH06-05"
            ),
        )
    if not because.strip():
        raise errors.Usage("because-missing", _("A conclusion needs a reason: --because TEXT."))
    _not_concluded(known)
    if agreed:
        plan_of(workspace, started)
        _over(known)
    predicate = p.ParallelConcluded(
        started.parallel, started.release, "agreed" if agreed else "rejected"
    )
    subjects = [(release.name, release.digest)]
    return draft("parallel-concluded", predicate, subjects, because=because)


def _over(known: Parallel) -> None:
    started, waits = known.started.act, known.waits_for()
    again = f"otapgate parallel compare {started.parallel}"
    if waits is not None:
        raise errors.BadInput(
            "parallel-period",
            _("The parallel run {run} isn't over: it takes {comparisons} comparisons, the last"
              " of them {days} days after its start ({at}); there are {made}.").format(
                  run=started.parallel, comparisons=started.comparisons, days=started.days,
                  at=known.started.at, made=len(known.compared)),
            remedy=again,
        )  # fmt: skip
    count = known.compared[-1].act.different
    if count:
        raise errors.BadInput(
            "parallel-open",
            _("In the newest comparison of {run}, {count} differences aren't tolerated.").format(
                run=started.parallel, count=count
            ),
            remedy=_("{command}, once they are mended; or conclude with --rejected").format(
                command=again
            ),
        )
