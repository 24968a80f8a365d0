"""The way back: a release's own rollback, and the proof that the state came back.

A rehearsal goes on from there to its next case in the same run, since a start of Ansible takes
longer than most tasks: Ansible waits in `GO_ON` until the state was compared and that was
written down.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from otapgate.execution import compare
from otapgate.execution.faults import Fault
from otapgate.execution.fingerprints import Packed
from otapgate.execution.inventory import GO_ON
from otapgate.execution.pace import Reached
from otapgate.execution.runner import PlaybookResult
from otapgate.execution.steps import StepFailed

if TYPE_CHECKING:
    from otapgate.execution.promotion import Promotion


class Onward(msgspec.Struct, frozen=True):
    """What follows in the same run where the state is back."""

    label: str
    playbook: Path
    fault: Fault
    begins: Callable[[], None]
    """Called once the state was found to be back, before Ansible goes on."""


class Back(msgspec.Struct, frozen=True):
    """What came of going back."""

    left: tuple[str, ...]
    """What isn't as it was."""
    milliseconds: int
    """What `rollback.yml` and `restore.yml` took."""
    result: PlaybookResult | None
    """Of the run, as far as it came."""


def go_back(promotion: Promotion, onward: Onward | None = None) -> Back:
    """`rollback.yml` and `restore.yml`, then compare with the fingerprint before; and where
    nothing is left, `onward`."""
    journal, before = promotion.journal, promotion.before()
    way, look = promotion.plan.way_back()
    journal.append("rollback", "begun")
    began = time.monotonic()
    ended: list[float] = []
    compared: list[tuple[str, ...]] = []

    def on_playbook(reached: Reached) -> None:
        if reached.index == len(way):
            ended.append(time.monotonic())
        if onward is not None and reached.index == len(way) + len(look):
            idle = reached.unmatched
            said = (f"rollback: a play in {idle} matched no host",) if idle else ()
            compared.append((*said, *compare.compare_state(before, reached.fingerprints)))
            if compared[0]:
                raise StepFailed("not-restored", "; ".join(compared[0]))
            journal.append("rollback", "done", left=[])
            onward.begins()

    result: PlaybookResult | None
    try:
        result = promotion.playbooks(
            onward.label if onward else "rollback",
            [*way, *look, *((GO_ON, onward.playbook) if onward else ())],
            before=before,
            on_playbook=on_playbook,
            fault=onward.fault if onward else None,
        )
        if onward is None:
            compared.append(compare.compare_state(before, result.fingerprints))
    except StepFailed as failure:
        result = failure.result
        if not compared:
            looked = bool(ended)
            ended.append(time.monotonic())
            compared.append(_left_behind(promotion, before, failure, looked))
    left = compared[0]
    if left or onward is None:
        journal.append("rollback", "failed" if left else "done", left=list(left))
    return Back(left, round((ended[0] - began) * 1000), result)


def look_again(promotion: Promotion, before: Mapping[str, Any]) -> tuple[str, ...]:
    """What isn't as it was, without going back once more."""
    try:
        seen = promotion.playbooks("compare", promotion.plan.way_back()[1], before=before)
    except StepFailed as failure:
        return _unlike(before, failure)
    return compare.compare_state(before, seen.fingerprints)


def _left_behind(
    promotion: Promotion, before: Packed, failure: StepFailed, looked: bool
) -> tuple[str, ...]:
    """What isn't as it was where going back failed, or (`looked`) the look after it."""
    if looked:
        return _unlike(before, failure)
    return look_again(promotion, before) or (f"rollback: {failure.message}",)


def _unlike(before: Mapping[str, Any], failure: StepFailed) -> tuple[str, ...]:
    """What isn't as it was, where the look itself failed."""
    seen = failure.result.fingerprints if failure.result else Packed()
    return (f"compare: {failure.message}", *compare.compare_state(before, seen))
