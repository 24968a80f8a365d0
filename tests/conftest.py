"""What holds for every test: Ctrl-C is heard, permissions bind root as well, and nothing is
noted in the home of who runs it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# How long an example takes says more about what else the machine does than about the code.
settings.register_profile("otapgate", deadline=None)
settings.load_profile("otapgate")

OVERRIDES = "-dac_override,-dac_read_search"
"""What lets root read and write whatever the permissions say (capabilities 1 and 2)."""


def overrides_permissions() -> bool:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    effective = re.search(r"^CapEff:\s*([0-9a-f]+)$", status, re.MULTILINE)
    assert effective is not None
    return int(effective[1], 16) & 0b110 != 0


def pytest_configure() -> None:
    """A shell starts what runs in the background with Ctrl-C ignored, which goes on to every
    process begun here; then tests that break something off would wait in vain."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


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


@pytest.fixture(scope="session", autouse=True)
def _memory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    before = os.environ.get("XDG_STATE_HOME")
    os.environ["XDG_STATE_HOME"] = str(tmp_path_factory.mktemp("state"))
    yield
    if before is None:
        del os.environ["XDG_STATE_HOME"]
    else:
        os.environ["XDG_STATE_HOME"] = before
