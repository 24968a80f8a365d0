# SPDX-License-Identifier: GPL-3.0-or-later
# This file imports ansible, which is GPL-3.0-or-later, and so it is itself; see LICENSE.
# mypy: ignore-errors
"""Cuts a rehearsed deployment short where one of its tasks begins.

OTAPGATE_FAULT is JSON: `playbook` (absolute path), `index` (of the task, from 1, in the
order in which Ansible starts them), `fault` (kill, fail or unreachable), and `mark`, a file
that is made when it happens. What ran before the task stays done; the task itself doesn't
begin. Killed means so: Ansible cleans nothing up.

Other playbooks may have come before in the same run. What they set on hosts is forgotten
when that playbook begins, since it wouldn't be there where it runs alone.
"""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
    name: otapgate_fault
    type: notification
    short_description: Cuts a rehearsed deployment short
    description: Used by otapgate when it rehearses a rollback.
"""


class CallbackModule(CallbackBase):
    """Counts the tasks of one playbook."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "otapgate_fault"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, display=None, options=None):
        super().__init__(display=display, options=options)
        self._wanted = json.loads(os.environ["OTAPGATE_FAULT"])
        self._here = self._fresh = False
        self._count = 0

    def v2_playbook_on_start(self, playbook):
        self._here = os.path.abspath(playbook._file_name) == self._wanted["playbook"]
        self._fresh = self._here

    def v2_playbook_on_play_start(self, play):
        if not self._fresh:
            return
        self._fresh = False
        try:
            variables = play.get_variable_manager()
            for cache in (variables._nonpersistent_fact_cache, variables._vars_cache):
                cache.clear()
            for host in variables._inventory.get_hosts():
                variables.clear_facts(host.name)
        except Exception:
            # Ansible would only warn. What can't be forgotten would make the case another
            # one; without the mark it counts as one that wasn't cut.
            os.kill(os.getpid(), signal.SIGKILL)

    def v2_playbook_on_task_start(self, task, is_conditional):  # noqa: ARG002
        self._begins(task)

    def v2_playbook_on_handler_task_start(self, task):
        self._begins(task)

    def _begins(self, task):
        if not self._here:
            return
        self._count += 1
        if self._count != self._wanted["index"]:
            return
        fault = self._wanted["fault"]
        if fault == "kill":
            Path(self._wanted["mark"]).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        # The task is given to the workers after this; otapgate_fault does the rest.
        task.action = "otapgate_fault"
        task.args = {"kind": fault, "mark": self._wanted["mark"]}
