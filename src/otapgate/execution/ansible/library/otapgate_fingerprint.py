#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# It imports ansible-core's code, and so is under ansible-core's licence; the parts that do
# the looking don't, and aren't.
# mypy: ignore-errors
"""Looks at a host and says what is there: the Ansible side of it.

A module in the new style, so that Ansible sends it through an open connection. It changes
nothing. The answer is `fingerprint`: base64 of zlib-compressed JSON, the same form for
every host; otapgate's `execution.compare` says what differs.
"""

import base64
import json
import sys
import zlib

from ansible.module_utils.basic import AnsibleModule

# Each by its name: Mitogen sends what stands here, not what the parts take of each other.
from ansible.module_utils.otapgate_state import (  # noqa: F401
    clients,
    installs,
    mariadb,
    network,
    paths,
    postgresql,
    rows,
    services,
    sqlite_database,
    surroundings,
)
from ansible.module_utils.otapgate_state.look import fingerprint


def main():
    """`passwords`: one for each of the spec's databases, "" for none."""
    module = AnsibleModule(
        argument_spec={
            "spec": {"type": "dict", "required": True},
            "passwords": {"type": "list", "elements": "str", "no_log": True, "default": []},
        },
        supports_check_mode=True,
        no_log=True,  # nothing of it goes to the host's log
    )
    passwords = module.params["passwords"]
    try:
        seen = json.dumps(fingerprint(module.params["spec"], passwords), sort_keys=True)
    except Exception as error:  # whatever it is, Ansible must hear of it as JSON
        kind = type(error).__name__
        why = str(error)
        for password in filter(None, passwords):
            why = why.replace(password, "***")
        module.fail_json(msg="fingerprint: %s: %s" % (kind, why))
    packed = base64.b64encode(zlib.compress(seen.encode(), 6)).decode()
    # exit_json would take a short password out of the middle of the base64, and repeat the
    # arguments; what the parts say has no passwords in it
    sys.stdout.write("\n" + json.dumps({"changed": False, "fingerprint": packed}) + "\n")
    sys.stdout.flush()
    sys.exit(0)


if __name__ == "__main__":
    main()
