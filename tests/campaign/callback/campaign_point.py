# SPDX-License-Identifier: GPL-3.0-or-later
# This file imports ansible, which is GPL-3.0-or-later, and so it is itself; see LICENSE.
# mypy: ignore-errors
"""Passes a point of the crash campaign where a task of Ansible begins."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ansible.plugins.callback import CallbackBase

sys.path.insert(0, str(Path(__file__).parents[1]))
from strike import Orders

DOCUMENTATION = """
    name: campaign_point
    type: notification
    short_description: A point of the crash campaign
    description: Used by the tests of otapgate.
"""


class CallbackModule(CallbackBase):
    """Names tasks by playbook and name; nothing of a task has begun when it is struck."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "campaign_point"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, display=None, options=None):
        super().__init__(display=display, options=options)
        self._orders = Orders.given()
        self._playbook = ""

    def v2_playbook_on_start(self, playbook):
        self._playbook = Path(playbook._file_name).stem

    def v2_playbook_on_task_start(self, task, is_conditional):
        self._begins(task)

    def v2_playbook_on_handler_task_start(self, task):
        self._begins(task)

    def _begins(self, task):
        run = os.environ["CAMPAIGN_RUN"]
        point = self._orders.name(f"task:{run}/{self._playbook}/{task.get_name()}")
        self._orders.passes(point, "before", os.getppid(), os.getpid())
