"""The steps of a promotion, and how one of them stops."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeAlias

from otapgate.errors import Failed
from otapgate.execution.runner import PlaybookResult
from otapgate.i18n import _

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


def stopped_by(error: Failed | OSError, run_dir: Path) -> Failed:
    """The error itself; of one from the system, what a disk comes down to that is full,
    failing or gone in the middle of a run."""
    if isinstance(error, Failed):
        return error
    where = str(error.filename or run_dir)
    return Failed(
        "run-unwritable",
        _("What the run needs can't be kept in {path}: {why}").format(
            path=where, why=error.strerror or error
        ),
        where=where,
        remedy=_("Make room on the disk, then try again."),
    )
