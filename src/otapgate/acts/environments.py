"""Environments: what they are, who owns them, what runs there. Norms CH04-02, CH04-06."""

from __future__ import annotations

from typing import Any

from otapgate import errors
from otapgate.acts import gatekeeping, runs
from otapgate.acts.drafts import draft, new_id
from otapgate.acts.runs import Progress
from otapgate.acts.workspace import Workspace
from otapgate.i18n import _
from otapgate.landscape.model import Environment
from otapgate.ledger import predicates as p
from otapgate.ledger.state import Release
from otapgate.ledger.statement import Draft


def accept(workspace: Workspace, name: str) -> Draft:
    """The owner takes responsibility for the environment as described in its file now."""
    fresh = workspace.landscape.environment(workspace.environment(name).name)
    assert fresh is not None, "names come from the same files"
    me = workspace.require("environment-owner", street=fresh.street)
    owned = workspace.with_people(workspace.landscape).environment(fresh.name)
    if owned is None or owned.owner != me:
        raise errors.Identity(
            "not-the-owner",
            _("{environment} belongs to {owner}; you are {name}.").format(
                environment=fresh.name, owner=fresh.owner, name=workspace.name(me)
            ),
            remedy=_("ask {owner}, or change `owner:` in {file}").format(
                owner=fresh.owner, file=fresh.file
            ),
            where=fresh.file,
        )
    predicate = p.EnvironmentAccepted(fresh.name, fresh.digest)
    return draft("environment-accepted", predicate, [(fresh.name, fresh.digest)])


def adopt(
    workspace: Workspace,
    env: str,
    name: str,
    *,
    because: str,
    dry_run: bool,
    progress: Progress,
) -> dict[str, Any]:
    """Look at every host and, where each holds exactly the release, take that for what runs.

    For an environment that ran before otapgate came; and for one in which going back
    failed, from a promotion or a rehearsal: then the release before is named, with a
    reason (`because`) why what else was left may stay. Recorded, but for a dry run.
    Raises BadInput, Busy, Failed (`not-that-release`), Identity, Integrity.
    """
    from otapgate.execution.look import look

    release = gatekeeping.release(workspace, name)
    environment = runs.environment_now(workspace, env, release.latest.street)
    workspace.require("administrator", street=environment.street)
    command = f"otapgate env adopt {environment.name} {release.name}"
    with runs.held(workspace, environment, command):
        rehearsal = _may_adopt(workspace, environment, release, because)
        run_id = new_id("look")
        try:
            with runs.planned(workspace, environment, release, None, run_id, progress) as plan:
                found = look(plan)
        finally:
            runs.forget(workspace, run_id)
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
        subjects = [(release.name, release.digest)]
        act = draft("environment-adopted", predicate, subjects, because=because)
        entry = None if dry_run else workspace.record(act)
        if entry is not None and rehearsal is not None:
            runs.forget(workspace, rehearsal)
    return {
        "environment": environment.name,
        "release": release.name,
        "completeness": found.outcome,
        "entry": entry,
    }


def _may_adopt(
    workspace: Workspace, environment: Environment, release: Release, because: str
) -> str | None:
    """Whether it may be adopted; the id of the rehearsal that it settles, if any. Raises
    Busy, BadInput (`environment-known`, `not-the-release-before`), Usage."""
    known = workspace.state.environment(environment.name)
    rehearsal = runs.open_rehearsal(workspace, environment.name)
    if known.unfinished is not None:
        if not known.unfinished.failed:
            raise runs.busy(workspace, known.unfinished)
        before, left = known.unfinished.previous, known.unfinished.left
    elif rehearsal is not None:
        if not rehearsal.failed:
            runs.nothing_open(workspace, environment)
        before, left = rehearsal.previous, rehearsal.result.left if rehearsal.result else ()
    elif known.history:
        raise errors.BadInput(
            "environment-known",
            _("{environment} has a history here; what runs there changes by promotion.").format(
                environment=environment.name
            ),
            remedy=f"otapgate promote {release.name} --to {environment.name} --change CHANGE",
        )
    else:
        return None
    if before != release.digest:
        wanted = workspace.state.releases.get(before or "")
        raise errors.BadInput(
            "not-the-release-before",
            _("Going back failed in {environment}; only {release} can be taken for what runs"
              " there.").format(
                environment=environment.name, release=wanted.name if wanted else _("nothing")),
            remedy=f"otapgate rollback {environment.name}",
        )  # fmt: skip
    if not because:
        raise errors.Usage(
            "because-missing",
            _("Going back left something in {environment}: say with --because TEXT why it"
              " may stay.").format(environment=environment.name),
            problems=tuple(errors.Problem(item) for item in left),
        )  # fmt: skip
    return rehearsal.id if rehearsal is not None else None


def probes(workspace: Workspace, environment: Environment) -> dict[str, Any]:
    """The newest probe of each kind, and whether it is of the environment as described now."""
    known = workspace.state.environment(environment.name).probes
    return {
        kind: {
            "outcome": probe.act.outcome,
            "at": probe.at,
            "by": workspace.name(probe.by),
            "counts": probe.act.counts,
            "current": probe.act.description == environment.digest,
            "entry": probe.position,
        }
        for kind, probe in sorted(known.items())
    }


def summary(workspace: Workspace, environment: Environment) -> dict[str, Any]:
    """An environment as lists and `env show` give it."""
    known = workspace.state.environment(environment.name)
    release = known.running and workspace.state.releases.get(known.running.release)
    dataset = known.datasets[-1] if known.datasets else None
    accepted = known.accepted
    if accepted is None:
        status = "unaccepted"
    elif accepted.act.description != environment.digest:
        status = "changed"
    else:
        status = "accepted"
    return {
        "name": environment.name,
        "stage": environment.stage,
        "street": environment.street,
        "owner": environment.owner,
        "status": status,
        "hosts": [h.name for h in environment.hosts],
        "data_class": environment.data.data_class,
        "release": release.name if release else None,
        "digest": release.digest if release else None,
        "called": workspace.state.called(release.digest) if release else None,
        "since": known.running.since if known.running else None,
        "dataset": None
        if dataset is None
        else {"id": dataset.act.dataset, "label": dataset.act.label, "at": dataset.at,
              "expires": dataset.act.expires},
        "unfinished": None if known.unfinished is None else known.unfinished.id,
        "file": environment.file,
    }  # fmt: skip
