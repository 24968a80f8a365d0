"""Where a run stands and how it ended, read from its journal alone.

What a caller needs to know of a promotion or rehearsal without carrying one out: `status`
reads it at every call, so nothing of Ansible is imported here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from otapgate.errors import Integrity
from otapgate.execution.journal import Journal
from otapgate.execution.runner import HostOutcome, TaskFailure
from otapgate.i18n import _
from otapgate.ledger.predicates import Completeness

Outcome: TypeAlias = Literal["succeeded", "rolled-back", "failed", "unfinished"]


class PromotionResult(msgspec.Struct, frozen=True):
    """How a promotion, its resumption or its rollback ended."""

    outcome: Outcome
    """`rolled-back`: the state is as it was before, compared, or nothing was touched.
    `failed`: it isn't, see `left`. `unfinished`: stopped on request, to be ended by
    `resume` or `go_back`."""
    hosts: dict[str, HostOutcome]
    completeness: Completeness
    milliseconds: int
    """In all, by this command."""
    milliseconds_ansible: int
    left: tuple[str, ...]
    """What is not as it was, after going back."""
    evidence: str
    """Digest of the evidence in the store; "" when unfinished."""
    message: str
    code: str = ""
    """Slug of what went wrong first; "" when nothing did."""
    failed_task: TaskFailure | None = None
    touched: bool = True
    """False when nothing that may change a host was begun."""


class RunState(msgspec.Struct, frozen=True):
    """Where a run stands, from its journal alone."""

    kind: Literal["promotion", "rehearsal"]
    id: str
    release: str
    previous: str | None
    environment: str
    step: str
    """The newest step: `snapshot`, `deploy`, `verify`, `rollback` or `finish`."""
    snapshot_done: bool
    deploy_begun: bool
    rolling_back: bool
    result: PromotionResult | None
    """Set when the run ended; it may have been killed before the ledger heard of it."""

    @property
    def ended_back(self) -> bool:
        """Whether going back came to an end, well or not."""
        return self.result is not None and self.result.outcome in ("rolled-back", "failed")

    @property
    def failed(self) -> bool:
        """Whether going back was tried and left something."""
        return self.result is not None and self.result.outcome == "failed"


def run_state(run_dir: Path) -> RunState | None:
    """Where the run in `run_dir` stands; None when it never began. Raises Integrity
    (`run-damaged`) for a journal whose beginning makes no sense."""
    records = Journal(run_dir).records()
    if not records:
        return None
    first, last = records[0], records[-1]
    result = None
    if last.step == "finish":
        try:
            result = msgspec.convert(last.data["result"], PromotionResult)
        except (KeyError, msgspec.ValidationError) as error:
            raise _damaged(run_dir) from error
    try:
        return RunState(
            **{key: first.data[key] for key in ("kind", "id", "release", "previous")},
            environment=first.data["environment"],
            step=last.step,
            snapshot_done=any(one.step == "snapshot" and one.event == "done" for one in records),
            deploy_begun=any(one.step == "deploy" for one in records),
            rolling_back=last.step == "rollback",
            result=result,
        )
    except KeyError as error:
        raise _damaged(run_dir) from error


def _damaged(run_dir: Path) -> Integrity:
    return Integrity(
        "run-damaged",
        _("The journal of the run in {path} is damaged.").format(path=run_dir),
        where=str(run_dir),
    )
