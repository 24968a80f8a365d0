#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# It imports ansible-core's code, and so is under ansible-core's licence; the part that does
# the removing doesn't, and isn't.
# mypy: ignore-errors
"""Removes snapshots of runs from a host: the Ansible side of it.

The answer is `left`: what could not be removed, and why.
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.otapgate_state.removal import remove


def main():
    """`root` is the folder of snapshots, `runs` the names of those to remove."""
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "str", "required": True},
            "runs": {"type": "list", "elements": "str", "required": True},
        }
    )
    left = remove(module.params["root"], module.params["runs"])
    if left:
        module.fail_json(msg="; ".join(left[:5]), left=left)
    module.exit_json(changed=True, left=[])


if __name__ == "__main__":
    main()
