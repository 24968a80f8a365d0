# SPDX-License-Identifier: GPL-3.0-or-later
# This file imports ansible, which is GPL-3.0-or-later, and so it is itself; see LICENSE.
# mypy: ignore-errors
"""Has the module of this name look at a host, as the file OTAPGATE_FINGERPRINT says.

The file and not the task or a variable, so that nothing that a playbook or a host says
decides what is looked at. Its templates are filled in as those of a task are.
"""

from __future__ import annotations

import os

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """`otapgate_fingerprint:` without arguments."""

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        asked = self._loader.load_from_file(
            os.environ["OTAPGATE_FINGERPRINT"], cache="none", json_only=True,
            trusted_as_template=True,
        )  # fmt: skip
        result.update(
            self._execute_module(
                module_name="otapgate_fingerprint",
                module_args=self._templar.template(asked),
                task_vars=task_vars,
            )
        )
        return result
