"""Environments: what they are, who owns them, what runs there. Norms CH04-02, CH04-06."""

from __future__ import annotations

from typing import Any

from otapgate import errors
from otapgate.acts.workspace import Workspace, draft
from otapgate.i18n import _
from otapgate.landscape.model import Environment
from otapgate.ledger import predicates as p
from otapgate.ledger.statement import Draft


def accept(workspace: Workspace, name: str) -> Draft:
    """The owner takes responsibility for the environment as described in its file now."""
    fresh = workspace.landscape.environment(workspace.environment(name).name)
    assert fresh is not None, "names come from the same files"
    me = workspace.require("environment-owner", street=fresh.street)
    if workspace.name(me).casefold() != fresh.owner.casefold():
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
        "since": known.running.since if known.running else None,
        "dataset": None
        if dataset is None
        else {"id": dataset.act.dataset, "label": dataset.act.label, "at": dataset.at,
              "expires": dataset.act.expires},
        "unfinished": None if known.unfinished is None else known.unfinished.id,
        "file": environment.file,
    }  # fmt: skip
