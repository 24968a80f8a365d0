"""The steps of a promotion, and how one of them stops."""

from __future__ import annotations

from typing import Literal, TypeAlias

from otapgate.execution.runner import PlaybookResult

Step: TypeAlias = Literal["snapshot", "deploy", "verify"]
STEPS: tuple[Step, ...] = ("snapshot", "deploy", "verify")
BEFORE = "fingerprint-before.json"
AFTER = "fingerprint-after.json"


class Stopped(Exception):
    """Ctrl-C: nothing more is touched."""


class StepFailed(Exception):
    """A step didn't succeed; the state may have to be brought back."""

    def __init__(self, code: str, message: str, result: PlaybookResult | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.result = result
