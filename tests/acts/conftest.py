"""A landscape with two role administrators whose keys are in memory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.memory_signer import MemorySigner

from otapgate.acts.founding import found
from otapgate.acts.people import confirm, confirmable, enrol, grant
from otapgate.acts.workspace import Workspace
from otapgate.ledger import predicates as p
from otapgate.ledger.statement import Draft, Subject, namespace, seal


class Office:
    """A landscape in `root`, and people who act in it without a command line."""

    def __init__(self, root: Path, *admins: str) -> None:
        self.root = root
        self.keys = {name: MemorySigner() for name in admins}
        found(root, stages=("T", "A", "P"), name="De Linde", street="agenda", language="en",
              admins={name: key.public.line for name, key in self.keys.items()},
              signer=self.keys[admins[0]]).close()  # fmt: skip
        if len(admins) > 1:
            self.act(admins[1], confirm([0]))

    def open(self, who: str | None = None) -> Workspace:
        workspace = Workspace(self.root)
        workspace._signer = self.keys[who] if who is not None else None
        return workspace

    def act(self, who: str, draft: Draft) -> int:
        """Record an act as the program does."""
        with self.open(who) as workspace:
            return workspace.record(draft)

    def enrol(self, name: str, *roles: str) -> str:
        """Somebody with a key and roles, confirmed; returns their id."""
        first, second = list(self.keys)[:2]
        self.keys.setdefault(name, MemorySigner())
        file = self.root / "key.pub"
        file.write_text(self.keys[name].public.line)
        with self.open(first) as workspace:
            workspace.record(enrol(workspace, name, file))
            self.confirm(second)
            for role in roles:
                workspace.record(grant(workspace, name, role, None, None))
        if roles:
            self.confirm(second)
        return self.open().person(name)

    def confirm(self, who: str) -> None:
        with self.open(who) as workspace:
            workspace.record(confirm([w["entry"] for w in confirmable(workspace)]))

    def forge(
        self,
        who: str,
        act: str,
        predicate: p.Predicate,
        subject: tuple[str, str],
        details: Mapping[str, Any] | None = None,
    ) -> int:
        """Append an entry with the key alone: none of the program's checks."""
        with self.open(who) as workspace:
            key = self.keys[who]
            draft = Draft(act, (Subject(*subject),), p.to_predicate(predicate),
                          dict(details or {}))  # fmt: skip
            sealed = seal(draft, workspace.ledger.head(), workspace.now())
            return workspace.ledger.append(sealed, key.sign(sealed.statement, namespace(act)))


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path / "linde", "Anna de Wit", "Bram Visser")
