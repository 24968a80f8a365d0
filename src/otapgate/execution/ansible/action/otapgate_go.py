# SPDX-License-Identifier: GPL-3.0-or-later
# This file imports ansible, which is GPL-3.0-or-later, and so it is itself; see LICENSE.
# mypy: ignore-errors
"""Waits, on otapgate's own machine, until otapgate says that Ansible may go on.

Between two playbooks of one run: what came before is first durably recorded, and what was
kept on a host is on its disks. Without a word, or where this can't be loaded, nothing that
comes after is begun.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from ansible.errors import AnsibleActionFail
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase

MOMENT = 0.01
LONGEST = 600


class ActionModule(ActionBase):
    """`sync`: whether the host's disks are told to write. OTAPGATE_GO names the file that is
    the word, and OTAPGATE_PID whose word it is."""

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        if boolean(self._task.args.get("sync", False)) and not self._unseen(task_vars):
            said = self._low_level_execute_command("sync")
            if said["rc"] != 0:
                raise AnsibleActionFail("sync: %s" % (said["stderr"] or said["stdout"]).strip())
        until = time.monotonic() + LONGEST
        word, otapgate = Path(os.environ["OTAPGATE_GO"]), int(os.environ["OTAPGATE_PID"])
        ansible = os.getppid()
        while not word.exists():
            # Killed, it can't say anything any more. Ansible stops too, but this process of
            # Ansible's, begun at that very moment, would not always be told.
            if os.getppid() != ansible or not _lives(otapgate):
                raise AnsibleActionFail("otapgate is gone")
            if time.monotonic() > until:
                raise AnsibleActionFail("otapgate didn't say that it may go on")
            time.sleep(MOMENT)
        result["changed"] = False
        return result

    def _unseen(self, task_vars):
        """Whether nothing can be asked of the host: see `otapgate_fingerprint`."""
        asked = json.loads(Path(os.environ["OTAPGATE_FINGERPRINT"]).read_bytes())
        return task_vars["inventory_hostname"] in asked.get("unseen", {})


def _lives(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
