"""The command line: parse, call an act, print. Nothing is decided here.

`main` is the entry point. What lives where: `tree` says which commands there are,
`parsing` turns arguments into a call, `app` makes the call and renders what came of it,
`output` and `failure` print, `options` holds what is accepted everywhere, `language`
chooses it. The other modules are the commands, one module a subject; each is imported
only when its command is called.
"""

from __future__ import annotations

from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code (see `otapgate.errors.Exit`).

    `argv` is without the program's name; None means this process's own.
    """
    from otapgate.cli.app import run

    return run(argv)
