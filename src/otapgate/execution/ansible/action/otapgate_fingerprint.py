# SPDX-License-Identifier: GPL-3.0-or-later
# This file imports ansible, which is GPL-3.0-or-later, and so it is itself; see LICENSE.
# mypy: ignore-errors
"""Sends the module of this name to a host, or says that the host can't be looked at.

Over `network_cli` and its like a module runs on Ansible's own machine, and would tell of
that as if it were the host.
"""

from __future__ import annotations

import base64
import json
import zlib

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """`unseen`: the connection over which nothing can be seen, or ""."""

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        unseen = arguments.pop("unseen", "")
        if unseen:
            said = json.dumps({"unseen": unseen}).encode()
            result["fingerprint"] = base64.b64encode(zlib.compress(said)).decode()
            result["changed"] = False
            return result
        result.update(self._execute_module(module_args=arguments, task_vars=task_vars))
        return result
