"""What can go wrong, said so that the reader can mend it.

Every error that reaches a user is an `OtapgateError`: a stable code, a sentence, where
it is (file and line), and what to do. The command line turns it into text or JSON and
into an exit code; nothing else in the program prints or exits.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any


class Exit(IntEnum):
    """Exit codes of the command line; documented, and relied on by scripts."""

    OK = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3
    BAD_INPUT = 4
    INTEGRITY = 5
    BUSY = 6
    IDENTITY = 7


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in one place of one file."""

    message: str
    file: str | None = None
    """Path as the user knows it, relative to the landscape where it lies below it."""
    line: int | None = None
    """One-based; None where the file has no lines or the whole file is meant."""
    remedy: str | None = None

    @property
    def where(self) -> str | None:
        """`file:line`, as editors and terminals make it clickable."""
        if self.file is None:
            return None
        return self.file if self.line is None else f"{self.file}:{self.line}"


class OtapgateError(Exception):
    """A failure that the user is told about.

    Subclasses fix the exit code. `code` is a stable slug (`landscape-invalid`) that
    scripts may test; `message` and `remedy` are sentences in the user's language. Where
    there are several ways out, `remedy` has a line for each, to be pasted as it is.
    """

    exit: Exit = Exit.FAILED

    def __init__(
        self,
        code: str,
        message: str,
        *,
        remedy: str | None = None,
        where: str | None = None,
        problems: tuple[Problem, ...] = (),
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.remedy = remedy
        self.where = where
        self.problems = problems
        """Every problem at once, where there can be more than one."""
        self.data: dict[str, Any] = {}
        """Further fields for `--json`: what had been found out before it went wrong."""


class Failed(OtapgateError):
    """Tried, and it did not succeed: a playbook, a test, a probe, a leak found."""

    exit = Exit.FAILED


class Usage(OtapgateError):
    """The call's words are off."""

    exit = Exit.USAGE


class BadInput(OtapgateError):
    """A landscape, plan, release or data file is wrong; `problems` lists all errors."""

    exit = Exit.BAD_INPUT


class Integrity(OtapgateError):
    """Ledger or content store does not verify."""

    exit = Exit.INTEGRITY


class Busy(OtapgateError):
    """An environment is locked, or an unfinished promotion must be ended first."""

    exit = Exit.BUSY


class Identity(OtapgateError):
    """No key, an unknown key, or a role that is missing or has lapsed."""

    exit = Exit.IDENTITY
