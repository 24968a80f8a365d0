# SPDX-License-Identifier: GPL-3.0-or-later
# This file imports ansible, which is GPL-3.0-or-later, and so it is itself; see LICENSE.
# mypy: ignore-errors
"""Has the module of this name look at a host, as the file OTAPGATE_FINGERPRINT says.

The file and not the task or a variable, so that nothing that a playbook or a host says
decides what is looked at. Its templates are filled in as those of a task are. `unseen` in
it names hosts that can't be looked at, and the connection why: over `network_cli` and its
like a module runs on Ansible's own machine, and would tell of that as if it were the host.
"""

from __future__ import annotations

import base64
import json
import os
import zlib

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """`otapgate_fingerprint:` without arguments."""

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        asked = self._loader.load_from_file(
            os.environ["OTAPGATE_FINGERPRINT"], cache="none", json_only=True,
            trusted_as_template=True,
        )  # fmt: skip
        connection = asked.pop("unseen", {}).get(task_vars["inventory_hostname"])
        if connection:
            said = json.dumps({"unseen": str(connection)}).encode()
            result["fingerprint"] = base64.b64encode(zlib.compress(said)).decode()
            result["changed"] = False
            return result
        result.update(
            self._execute_module(
                module_name="otapgate_fingerprint",
                module_args=self._templar.template(asked),
                task_vars=task_vars,
            )
        )
        return result
