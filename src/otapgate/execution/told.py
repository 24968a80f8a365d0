"""What one Ansible process is told in files: extra variables, and how to look at hosts.

Extra variables are the strongest, and Ansible takes every one of them up again for each
task on each host. So what only the fingerprint needs goes to its action plugin in a file of
its own. That is no weaker: no variable of a release, a fact or a registered result is
looked at on that way, and its passwords are named by templates that extra variables, the
environment's secrets, fill in.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from otapgate.execution import inventory as inventories
from otapgate.private_file import write_private

_LOOK = {
    "otapgate_fingerprint_spec": "spec",
    "otapgate_fingerprint_passwords": "passwords",
    "otapgate_unseen": "unseen",
}
"""The plan's name → the plugin's."""


def write(
    scratch: Path,
    unset: Mapping[str, None],
    variables: Mapping[str, Any],
    secrets: Mapping[str, str],
) -> Path:
    """Write both files below `scratch` (0600); the one with extra variables."""
    look = {argument: variables[name] for name, argument in _LOOK.items() if name in variables}
    rest = {name: value for name, value in variables.items() if name not in _LOOK}
    write_private(scratch / inventories.FINGERPRINT_FILE, json.dumps(look).encode())
    extra = scratch / "extra-vars.json"
    write_private(extra, json.dumps({**unset, **rest, **secrets}).encode())
    return extra
