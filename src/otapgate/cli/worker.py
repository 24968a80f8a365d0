"""`otapgate worker`: what an environment's `worker:` starts on the machine near its hosts."""

from __future__ import annotations

import sys

from otapgate import errors
from otapgate.cli.output import Reply
from otapgate.errors import Exit
from otapgate.i18n import _


def worker() -> Reply:
    from otapgate.execution.worker import main

    if sys.stdin is None or sys.stdin.isatty():
        raise errors.Usage(
            "worker-by-hand",
            _("This speaks with another otapgate, not with people."),
            remedy=_("name it below an environment's worker:, and see otapgate doctor"),
        )
    return Reply({}, exit=Exit.OK if main() else Exit.FAILED)
