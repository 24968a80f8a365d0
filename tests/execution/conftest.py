"""A tiny real application to promote: files, a service that answers, a SQLite database.

Everything lies in a temporary folder and listens on a free loopback port. The service is
started detached, as a real one is, and every service that a test started is stopped by
its own pid file.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import sqlite3
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests import ports
from tests.probe.sshd import Server, servers
from tests.trees import release_files

from otapgate.execution.plan import Plan
from otapgate.landscape.model import Environment, Host
from otapgate.release.manifest import (
    DatabaseState,
    HttpState,
    Install,
    Manifest,
    State,
)

SERVICE = """
import http.server, os, sqlite3, sys
folder, port = sys.argv[1], int(sys.argv[2])
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        base = sqlite3.connect(os.path.join(folder, "..", "data.sqlite"))
        count = base.execute("SELECT count(*) FROM pupil").fetchone()[0]
        base.close()
        body = b"%s %d" % (open(os.path.join(folder, "version"), "rb").read(), count)
        self.send_response(200); self.end_headers(); self.wfile.write(body)
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""

START = """
- name: Stop the service
  ansible.builtin.shell: |
    if [ -f {{ home }}/pid ]; then kill $(cat {{ home }}/pid) 2>/dev/null || true; fi
    rm -f {{ home }}/pid
    for i in $(seq 100); do
      (exec 3<>/dev/tcp/127.0.0.1/{{ port }}) 2>/dev/null || exit 0
      sleep 0.05
    done
    exit 1
  args: {executable: /bin/bash}
- name: Start the service
  ansible.builtin.shell: |
    setsid python3 {{ home }}/app/service.py {{ home }}/app {{ port }} >/dev/null 2>&1 </dev/null &
    echo $! > {{ home }}/pid
- name: Wait for the service
  ansible.builtin.wait_for: {host: 127.0.0.1, port: "{{ port }}", timeout: 20}
"""

DEPLOY = """
- name: Deploy
  hosts: all
  gather_facts: false
  tasks:
    - name: Copy the application
      ansible.builtin.copy:
        src: "{{ otapgate_artifacts }}/artifacts/app/"
        dest: "{{ home }}/app/"
        mode: preserve
    - name: Give pupils a class
      ansible.builtin.script:
        cmd: "{{ otapgate_artifacts }}/artifacts/migrate.py {{ home }}/data.sqlite"
        executable: "{{ ansible_python_interpreter }}"
    - ansible.builtin.import_tasks: service.yml
"""

VERIFY = """
- name: Verify
  hosts: all
  gather_facts: false
  tasks:
    - name: Ask for the version
      ansible.builtin.uri:
        url: "http://127.0.0.1:{{ port }}/"
        return_content: true
      register: answer
      failed_when: otapgate_release.version not in answer.content
"""

SNAPSHOT = """
- name: Snapshot
  hosts: all
  gather_facts: false
  tasks:
    - name: Keep application and data
      ansible.builtin.command: cp -a {{ home }}/app {{ home }}/data.sqlite {{ otapgate_snapshot }}/
"""

ROLLBACK = """
- name: Roll back
  hosts: all
  gather_facts: false
  tasks:
    - name: Put application and data back
      ansible.builtin.shell: |
        set -e
        rm -rf {{ home }}/app
        cp -a {{ otapgate_snapshot }}/app {{ home }}/app
        cp -a {{ otapgate_snapshot }}/data.sqlite {{ home }}/data.sqlite
    - ansible.builtin.import_tasks: service.yml
"""

MIGRATE = """
import sqlite3, sys
base = sqlite3.connect(sys.argv[1])
if "class" not in [row[1] for row in base.execute("PRAGMA table_info(pupil)")]:
    base.execute("ALTER TABLE pupil ADD COLUMN class TEXT")
base.execute("UPDATE pupil SET class = '1a'")
base.commit()
"""

PLAYBOOKS = {
    "deploy.yml": DEPLOY,
    "verify.yml": VERIFY,
    "snapshot.yml": SNAPSHOT,
    "rollback.yml": ROLLBACK,
    "service.yml": START,
}


class Stage:
    """The application's home, its releases, and plans to move between them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        (self.port,) = ports.free(1)
        self.store: dict[str, bytes] = {}
        self.environment = Environment(
            name="demo-A",
            stage="A",
            street="demo",
            owner="Fenna",
            hosts=(Host("web", {"ansible_connection": "local"}),),
            variables={"home": str(self.home), "port": self.port},
            digest="sha256:" + "0" * 64,
        )

    def put(self, data: bytes) -> str:
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        self.store[digest] = data
        return digest

    def release(self, version: str, **playbooks: str) -> tuple[Manifest, Path]:
        """A release on disk; keyword `deploy` replaces deploy.yml, "" leaves one out."""
        tree = self.folder / f"release-{version}-{len(list(self.folder.iterdir()))}"
        (tree / "artifacts" / "app").mkdir(parents=True)
        (tree / "artifacts" / "app" / "service.py").write_text(SERVICE)
        (tree / "artifacts" / "app" / "version").write_text(version)
        (tree / "artifacts" / "migrate.py").write_text(MIGRATE)
        (tree / "playbooks").mkdir()
        for name, text in {**PLAYBOOKS, **{f"{k}.yml": v for k, v in playbooks.items()}}.items():
            if text:
                (tree / "playbooks" / name).write_text(text)
        files = release_files(tree)
        manifest = Manifest(
            app="demo",
            version=version,
            street="demo",
            plans=(),
            variables={},
            state=State(
                paths=("{{ home }}",),
                exclude=("pid",),
                databases=(DatabaseState("sqlite:///{{ home }}/data.sqlite"),),
                http=(HttpState("http://127.0.0.1:{{ port }}/", compare="body"),),
                ports=("{{ port }}",),
            ),
            installs=(Install("{{ home }}/app", "files", "artifacts/app"),),
            files=files,
        )
        return manifest, tree

    def plan(self, release: tuple[Manifest, Path], **other: Any) -> Plan:
        previous, previous_tree = self.old
        name = other.pop("name", "PRO-1")
        return Plan(
            promotion_id=name,
            manifest=release[0],
            release_tree=release[1],
            environment=other.pop("environment", self.environment),
            run_dir=self.folder / ".otapgate" / "runs" / name,
            root=self.folder,
            put=self.put,
            previous=previous,
            previous_tree=previous_tree,
            patience=other.pop("patience", 10),
            **other,
        )

    def install_old(self) -> None:
        """Release 1 runs, with three invented pupils."""
        self.old = self.release("1.0")
        self.home.mkdir()
        shutil.copytree(self.old[1] / "artifacts" / "app", self.home / "app")
        (self.home / "app" / "service.py").chmod(0o640)
        base = sqlite3.connect(self.home / "data.sqlite")
        base.execute("CREATE TABLE pupil (id INTEGER PRIMARY KEY, name TEXT)")
        base.executemany("INSERT INTO pupil (name) VALUES (?)", [("Sem",), ("Noor",), ("Bo",)])
        base.commit()
        base.close()
        self.start()

    def start(self) -> None:
        import subprocess

        process = subprocess.Popen(
            ["python3", str(self.home / "app/service.py"), str(self.home / "app"), str(self.port)],
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        (self.home / "pid").write_text(str(process.pid))
        self.process = process
        for _attempt in range(200):
            with contextlib.suppress(OSError):
                self.answer()
                return
            time.sleep(0.05)
        raise AssertionError("the service didn't start")

    def answer(self) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=5) as reply:
            return reply.read().decode()

    def columns(self) -> list[str]:
        base = sqlite3.connect(self.home / "data.sqlite")
        try:
            return [row[1] for row in base.execute("PRAGMA table_info(pupil)")]
        finally:
            base.close()

    def stop(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            os.kill(int((self.home / "pid").read_text()), signal.SIGKILL)
        self.process.kill()
        self.process.wait()


@pytest.fixture
def host(tmp_path: Path) -> Iterator[tuple[Path, Server]]:
    """A real sshd, and the key that opens it."""
    folder = tmp_path / "servers"
    folder.mkdir()
    key, (server,) = servers(folder, 1)
    yield key, server
    server.stop()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """The application at release 1.0, running."""
    made = Stage(tmp_path)
    made.install_old()
    try:
        yield made
    finally:
        made.stop()
