# SPDX-License-Identifier: GPL-3.0-or-later
# This file imports ansible, which is GPL-3.0-or-later, and so it is itself; see LICENSE.
# mypy: ignore-errors
"""Ends Ansible before anything of a file that nobody has read is used.

What `include_tasks` and `include_vars` took in is known when they are done, and Ansible
tells its callbacks before it gives the host its next task. OTAPGATE_INCLUDES is JSON:
`folders`, in which every file has been read by otapgate's guard; `ready`, a file that is
made once this watches; and `mark`, one that is made, with what happened, before Ansible is
killed. A callback that raises is only warned about, hence the kill.
"""

from __future__ import annotations

import json
import os
import signal

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
    name: otapgate_includes
    type: notification
    short_description: Keeps what is included within the release
    description: Used by otapgate in every run.
"""

SUFFIXES = (".yml", ".yaml", ".json")


class CallbackModule(CallbackBase):
    """Looks at every file of tasks or variables as it is taken in."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "otapgate_includes"

    def __init__(self, display=None, options=None):
        super().__init__(display=display, options=options)
        self._told = json.loads(os.environ["OTAPGATE_INCLUDES"])
        self._folders = [os.path.realpath(folder) for folder in self._told["folders"]]
        with open(self._told["ready"], "x"):
            pass

    def v2_playbook_on_include(self, included_file):
        if not getattr(included_file, "_is_role", False):
            self._look(included_file._task, included_file._filename)

    def v2_runner_on_ok(self, result):
        task = result.task
        if str(task.action).rpartition(".")[2] != "include_vars":
            return
        said = result.result
        for one in said.get("results", [said]) if task.loop else [said]:
            files = one.get("ansible_included_var_files")
            if files is None and not one.get("skipped") and not _is_plain(task.args):
                files = [""]  # kept back by no_log
            for path in files or ():
                self._look(task, path)

    def _look(self, task, path):
        real = os.path.realpath(path) if path else ""
        inside = any(os.path.commonpath([real, one]) == one for one in self._folders if real)
        if inside and real.lower().endswith(SUFFIXES):
            return
        with open(self._told["mark"], "w", encoding="utf-8") as mark:
            json.dump({"task": task.get_name(), "where": task.get_path(), "path": str(path)}, mark)
        os.kill(os.getpid(), signal.SIGKILL)


def _is_plain(args):
    """Whether what is asked for can only be a file below the playbooks: Ansible may or may
    not have filled in the templates by now."""
    names = [args[key] for key in ("file", "_raw_params", "dir") if key in args]
    return bool(names) and all(
        isinstance(name, str)
        and not name.startswith(("/", "~", "$"))
        and not {"..", ""} & set(name.split("/"))
        and "{" not in name
        and ("dir" in args or name.lower().endswith(SUFFIXES))
        for name in names
    )
