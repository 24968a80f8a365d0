"""A small application to release: a site, two wheels' worth of bytes, playbooks."""

from __future__ import annotations

from pathlib import Path

import pytest

RELEASE = """\
app: agenda
version: "3.5.4"
street: administration
artifacts:
  - wheels/*.whl
  - {path: ../build/site, as: site}
playbooks: ../playbooks/agenda
variables:
  port: 8000
  words: [één, twee]
plans: [agenda]
state:
  paths: ["{{ root }}/data"]
  databases:
    - {url: "sqlite:///{{ root }}/db.sqlite", ignore: [session]}
  http:
    - {url: "http://127.0.0.1:{{ port }}/", compare: body}
  ports: [8000]
installs:
  - {root: "{{ root }}/site", kind: files, source: artifacts/site}
  - {root: "{{ root }}/venv", kind: wheels, source: artifacts/wheels, ignore: ["*.pyc"]}
"""


def write(path: Path, data: str | bytes = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def application(root: Path, order: int = 1) -> Path:
    """Write the application below `root`, files in one order or the other; returns the
    release file."""
    files = {
        "releases/wheels/agenda-3.5.4-py3-none-any.whl": b"wheel",
        "releases/wheels/extra-1.0-py3-none-any.whl": b"other wheel",
        "build/site/index.html": b"<h1>Agenda</h1>",
        "build/site/css/a.css": b"h1 {}",
        "build/site/run.sh": b"#!/bin/sh\n",
        "playbooks/agenda/deploy.yml": b"- hosts: all\n",
        "playbooks/agenda/verify.yml": b"- hosts: all\n",
        "playbooks/agenda/rollback.yml": b"- hosts: all\n",
        "playbooks/agenda/roles/x/tasks/main.yml": b"[]\n",
    }
    for name in list(files)[::order]:
        write(root / name, files[name])
    (root / "build/site/run.sh").chmod(0o755)
    return write(root / "releases/agenda.yml", RELEASE)


@pytest.fixture
def release_file(tmp_path: Path) -> Path:
    return application(tmp_path)
