"""A real service on loopback, and what a run needs around it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from otapgate.landscape.model import Environment, Host
from otapgate.release.manifest import Manifest, State
from otapgate.release.store import Store
from otapgate.testing.plan import bundle
from otapgate.testing.run import RunResult, run

Carried = Callable[..., RunResult]


def living(mark: str) -> list[int]:
    """Processes, zombies left out, among whose words is `mark`."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if entry.name.isdecimal() and mark.encode() in words:
            found.append(int(entry.name))
    return found


class Service(BaseHTTPRequestHandler):
    """An application that answers well, badly, slowly, or by sending elsewhere."""

    def do_GET(self) -> None:
        if self.path == "/":
            self.answer(200, b"<h1>Agenda 3.5.4</h1>")
        elif self.path == "/json":
            self.answer(200, json.dumps({"result": [{"name": "De Linde", "n": 1}]}).encode())
        elif self.path == "/broken":
            self.answer(500, b"token=Geheim-123 broke")
        elif self.path == "/slow":
            time.sleep(0.2)
            self.answer(200, b"late")
        elif self.path == "/drip":
            self.wfile.write(b"HTTP/1.0 200 OK\r\n\r\n")
            try:
                for _ in range(100):
                    self.wfile.write(b"x")
                    self.wfile.flush()
                    time.sleep(0.1)
            except OSError:
                return
        elif self.path == "/moved":
            self.answer(302, b"", Location="/")
        elif self.path == "/away":
            self.answer(302, b"", Location="http://agenda.example.org/")
        elif self.path == "/round":
            self.answer(302, b"", Location="/round")
        else:
            self.answer(404, b"nothing here")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(200, self.headers.get("X-Asked", "").encode() + b":" + body)

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        return


@pytest.fixture
def port() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def manifest() -> Manifest:
    return Manifest(
        app="agenda", version="3.5.4", street="administration", plans=("agenda",),
        variables={"title": "Agenda"}, state=State(), installs=(), files=(),
    )  # fmt: skip


@pytest.fixture
def environment(port: int) -> Environment:
    return Environment(
        name="agenda-T", stage="T", street="administration", owner="Noor",
        hosts=(Host("t1", {"ansible_connection": "local", "port": port}),),
        variables={"base": "http://127.0.0.1:{{ port }}", "token": "Geheim-123",
                   "tree": "Linde", "number": 1},
        digest="sha256:" + "e" * 64,
    )  # fmt: skip


@pytest.fixture
def carried(tmp_path: Path, store: Store, manifest: Manifest, environment: Environment) -> Carried:
    """Carries out a plan made of these cases; `parallel` and `timeout_seconds` are the
    plan's, `files` are written beside it, everything else is given to `run`."""

    def carry(
        cases: list[dict[str, Any]],
        *,
        files: dict[str, str] | None = None,
        environment: Environment = environment,
        parallel: int = 1,
        timeout_seconds: int | None = None,
        **options: Any,
    ) -> RunResult:
        folder = tmp_path / "plans"
        for name, text in (files or {}).items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        folder.mkdir(exist_ok=True)
        plan = {
            "plan": "agenda",
            "app": "agenda",
            "criteria": [{"id": "r", "kind": "function", "text": "x"}],
            "cases": [{"criterion": "r", **case} for case in cases],
            "files": sorted(files or {}),
            "parallel": parallel,
            **({"timeout_seconds": timeout_seconds} if timeout_seconds else {}),
        }
        (folder / "agenda.yml").write_text(yaml.safe_dump(plan, sort_keys=False))
        work = tmp_path / "work"
        work.mkdir(exist_ok=True)
        return run(
            bundle(folder / "agenda.yml", tmp_path, store),
            manifest=manifest, environment=environment, workdir=work, store=store, **options,
        )  # fmt: skip

    return carry
