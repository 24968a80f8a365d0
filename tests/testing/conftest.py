"""A real service on loopback, and what a run needs around it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from otapgate.landscape.model import Environment, Host
from otapgate.release.manifest import Manifest, State
from otapgate.release.store import Store


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
