"""What holds for every test: permissions bind root too where a test is about them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

OVERRIDES = "-dac_override,-dac_read_search"
"""What lets root read and write whatever the permissions say (capabilities 1 and 2)."""


def overrides_permissions() -> bool:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    effective = re.search(r"^CapEff:\s*([0-9a-f]+)$", status, re.MULTILINE)
    assert effective is not None
    return int(effective[1], 16) & 0b110 != 0


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test that is marked `permissions` once more in a process to which permissions
    apply, when they don't apply to this one: root without the privilege to pass them over."""
    if pyfuncitem.get_closest_marker("permissions") is None or not overrides_permissions():
        return None
    done = subprocess.run(
        ["setpriv", "--bounding-set", OVERRIDES, "--inh-caps", OVERRIDES,
         sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist",
         pyfuncitem.nodeid],
        env={k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")},
        cwd=pyfuncitem.config.rootpath, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return True
