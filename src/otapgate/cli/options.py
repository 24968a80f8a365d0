"""What is accepted everywhere: which landscape, whose key, how to answer.

The options may stand before or after the command. `options()` is how a command reads
them; which landscape they mean is found by `find_landscape()`.
"""

from __future__ import annotations

import os
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from otapgate.errors import BadInput
from otapgate.i18n import _


@dataclass(frozen=True, slots=True)
class Options:
    """The options of this call, environment variables included."""

    landscape: Path | None = None
    """As given; None means: look upward from the working directory."""
    key: str | None = None
    """Private key file, or the `.pub` of an agent key; None means the agent's own."""
    json: bool = False
    yes: bool = False
    debug: bool = False

    @property
    def start(self) -> Path:
        """Where looking for the landscape starts."""
        return self.landscape if self.landscape is not None else Path.cwd()


_current: ContextVar[Options] = ContextVar("otapgate_options", default=Options())  # noqa: B039 - frozen


def options() -> Options:
    """The options of the call being made."""
    return _current.get()


def use(chosen: Options) -> None:
    """Make `chosen` what `options()` returns; for the start of a call, and for tests."""
    _current.set(chosen)


def from_environment(
    *, landscape: str | None, key: str | None, json: bool, yes: bool, debug: bool
) -> Options:
    """Options as given, with `OTAPGATE_LANDSCAPE`, `OTAPGATE_KEY` and `OTAPGATE_DEBUG`
    where nothing was given. An empty variable counts as none."""
    where = landscape or os.environ.get("OTAPGATE_LANDSCAPE")
    return Options(
        landscape=Path(where).expanduser() if where else None,
        key=key or os.environ.get("OTAPGATE_KEY") or None,
        json=json,
        yes=yes,
        debug=debug or os.environ.get("OTAPGATE_DEBUG", "") not in ("", "0"),
    )


def find_landscape() -> Path:
    """The folder of the landscape that the options mean.

    A landscape that was named must be exactly there: guessing the one above it could
    promote in the wrong landscape. Raises BadInput `landscape-missing`.
    """
    from otapgate.landscape.load import ROOT_FILE, find_root

    named = options().landscape
    if named is None:
        return find_root(Path.cwd())
    if not (named / ROOT_FILE).is_file():
        raise BadInput(
            "landscape-missing",
            _("{directory} is no landscape: it has no {file}.").format(
                directory=named, file=ROOT_FILE
            ),
            remedy=_("Make one with 'otapgate init DIR', or name another with --landscape."),
            where=str(named),
        )
    return named.absolute()
