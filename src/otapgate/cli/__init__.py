"""The command line: thin. Parse, call an act, print."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point of `otapgate`."""
    from otapgate.cli.app import main as run

    sys.exit(run())
