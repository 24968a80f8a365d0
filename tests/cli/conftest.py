from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from otapgate import i18n
from otapgate.cli.options import Options, use


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.out)


Run = Callable[..., Done]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs `otapgate` as a process of its own: no terminal, an empty working directory."""

    def call(*words: str, cwd: Path = tmp_path, **environment: str) -> Done:
        plain = {k: v for k, v in os.environ.items() if not k.startswith("OTAPGATE_")}
        done = subprocess.run(
            [sys.executable, "-m", "otapgate", *words],
            cwd=cwd,
            env={**plain, "LC_ALL": "C.UTF-8", "TMPDIR": str(tmp_path), **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    return call


@pytest.fixture(autouse=True)
def fresh() -> Any:
    yield
    use(Options())
    i18n.use("en")
