# SPDX-License-Identifier: GPL-3.0-or-later
# This file imports ansible, which is GPL-3.0-or-later, and so it is itself; see LICENSE.
# mypy: ignore-errors
"""Takes the place of a task in a rehearsal: it fails, or its host can't be reached.

What the release makes of that (`rescue`, `ignore_errors`, handlers) happens as it would.
"""

from __future__ import annotations

from pathlib import Path

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """`kind`: fail or unreachable; `mark`: a file that is made when it happens."""

    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        Path(self._task.args["mark"]).touch()
        if self._task.args["kind"] == "unreachable":
            raise AnsibleConnectionFailure("rehearsed: the host can't be reached")
        raise AnsibleActionFail("rehearsed: this task fails")
