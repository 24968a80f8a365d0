"""What is under way: of each application the newest release, and no other."""

from __future__ import annotations

from pathlib import Path

from otapgate.acts.status import _newest
from otapgate.acts.workspace import Workspace
from otapgate.landscape.model import Street
from otapgate.ledger import predicates as p
from otapgate.ledger.records import Release, Signed, State


def release(name: str, street: str, *positions: int) -> Release:
    app, _at, version = name.partition("@")
    built = p.ReleaseBuilt(app, version, street, None, 1, 1, ())
    at = "2026-11-24T09:00:00+01:00"
    return Release(name, f"sha256:{name}", [Signed(n, at, "chris", built) for n in positions])


def test_a_release_that_was_overtaken_is_not_under_way(tmp_path: Path):
    known = (
        release("agenda@1", "agenda", 1),
        release("agenda@2", "agenda", 2),
        release("roster@1", "agenda", 3, 6),
        release("roster@2", "agenda", 4),
        release("portal@1", "agenda", 5),
        release("portal@2", "website", 7),
    )
    workspace = Workspace(tmp_path)
    workspace._state = State(releases={r.digest: r for r in known})
    found = [r.name for r in _newest(workspace, Street("agenda", "Agenda", ()))]
    assert found == ["agenda@2", "roster@1"], "built again is newer; gone elsewhere is gone"
