# SPDX-License-Identifier: GPL-3.0-or-later
# This file imports ansible, which is GPL-3.0-or-later, and so it is itself; see LICENSE.
# mypy: ignore-errors
"""Opens what Ansible Vault sealed, as Ansible itself will; run as a script.

The first line of standard input is the password, each further one a sealed text, all as
JSON; each is answered by a line: `{"data": base64}`, or `{}` when the password doesn't open it.
"""

from __future__ import annotations

import base64
import json
import sys

from ansible.errors import AnsibleError
from ansible.parsing.vault import VaultLib, VaultSecret


def main():
    password = json.loads(sys.stdin.readline())
    vault = VaultLib([("default", VaultSecret(password.strip().encode()))])
    for line in sys.stdin:
        try:
            data = vault.decrypt(json.loads(line).encode())
            answer = {"data": base64.b64encode(data).decode()}
        except (AnsibleError, ValueError):
            answer = {}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
