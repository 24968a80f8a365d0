"""The policy in force: kept, compared with the files, approved. Norms CH01-01, CH02-05."""

from __future__ import annotations

from typing import Any

from otapgate import errors
from otapgate.acts.drafts import draft
from otapgate.acts.workspace import Workspace
from otapgate.i18n import _
from otapgate.landscape import approval
from otapgate.ledger import predicates as p
from otapgate.ledger.statement import Draft


def keep(workspace: Workspace) -> None:
    """Keep what is approved in the store, so that it can be told later what has changed."""
    workspace.store.put(approval.content(workspace.landscape))


def changes(workspace: Workspace) -> tuple[str, ...]:
    """The files that no longer say what was approved; empty when none do, and when what
    was approved is no longer in the store."""
    force = workspace.state.policy
    if workspace.landscape.policy.digest == force:
        return ()
    try:
        approved = workspace.store.get(force)
    except errors.OtapgateError:
        return ()
    return approval.changed(approved, workspace.landscape)


def approve(workspace: Workspace, because: str) -> Draft:
    """The policy as it is in the files now, put in force."""
    digest = workspace.landscape.policy.digest
    if digest == workspace.state.policy:
        raise errors.BadInput(
            "policy-in-force", _("The policy in the landscape is already in force.")
        )
    return draft("policy-approved", p.PolicyApproved(digest), [("policy", digest)], because=because)


def show(workspace: Workspace) -> dict[str, Any]:
    """Whether the policy in the files is in force, what isn't, and all that it covers."""
    digest, force = workspace.landscape.policy.digest, workspace.state.policy
    return {
        "policy": digest,
        "in_force": force,
        "approved": digest == force,
        "changed": list(changes(workspace)),
        "covers": approval.document(workspace.landscape),
    }
