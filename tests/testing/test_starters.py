"""First test plans: each valid, and the ones that can be are carried out for real."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest

from otapgate.errors import BadInput, Usage
from otapgate.landscape.model import TEST_KINDS, Environment, Host
from otapgate.release.manifest import Manifest
from otapgate.release.store import Store
from otapgate.testing.answers import Answer
from otapgate.testing.plan import RegisteredPlan, bundle, check_file
from otapgate.testing.run import Hands, RunResult, run
from otapgate.testing.starters import KINDS, write


@pytest.mark.parametrize("kind", KINDS)
def test_every_first_plan_is_valid_and_covers_what_a_policy_asks(
    tmp_path: Path, store: Store, kind: str
) -> None:
    file = tmp_path / "plans" / "timetable.yml"
    written = write(kind, file)
    assert written[0] == file
    assert check_file(file, tmp_path) == []
    plan = bundle(file, tmp_path, store)
    assert (plan.name, plan.app) == ("timetable", "timetable")
    assert {criterion.kind for criterion in plan.criteria} == set(TEST_KINDS)
    text = file.read_text()
    assert "FILL IN" in text
    assert "_NAME" not in text
    with pytest.raises(BadInput) as error:
        write(kind, file)
    assert error.value.code == "file-exists"


def test_another_application_and_wrong_words(tmp_path: Path) -> None:
    write("saas", tmp_path / "marks.yml", "marks-online")
    assert "app: marks-online" in (tmp_path / "marks.yml").read_text()
    for kind, name, app in (
        ("cloud", "a.yml", None),
        ("web", "A b.yml", None),
        ("web", "a.yml", "B"),
    ):
        with pytest.raises(Usage):
            write(kind, tmp_path / name, app)
    assert [path.name for path in tmp_path.iterdir()] == ["marks.yml"]


class Timetable(BaseHTTPRequestHandler):
    """A web application that is in order, or lists its uploads."""

    sloppy = False

    def do_GET(self) -> None:
        status, body = {
            "/": (200, b"<h1>Timetable</h1>"),
            "/api/pupils": (401, b""),
            "/api/count": (200, b'{"pupils": 840}'),
            "/uploads/": (200, b"<title>Index of /uploads</title>") if self.sloppy else (403, b""),
        }.get(self.path, (404, b""))
        self.send_response(status)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Set-Cookie", "session=1; HttpOnly; SameSite=Lax")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        return


@pytest.fixture
def served() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Timetable)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def carry(
    plan: RegisteredPlan, tmp_path: Path, store: Store, manifest: Manifest, environment: Environment
) -> RunResult:
    """Everything that people are asked is answered with yes."""
    work = tmp_path / "work"
    work.mkdir(exist_ok=True)
    yes = {question.id: Answer("passed", "seen") for question in plan.plan.questions()}
    return run(
        plan, manifest=msgspec.structs.replace(manifest, app=plan.app), environment=environment,
        workdir=work, store=store, hands=Hands(answers=yes),
    )  # fmt: skip


def test_the_web_applications_plan_is_carried_out(
    tmp_path: Path, store: Store, manifest: Manifest, environment: Environment, served: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    file = tmp_path / "timetable.yml"
    write("web", file)
    file.write_text(file.read_text().replace("127.0.0.1:8080", served))
    plan = bundle(file, tmp_path, store)
    result = carry(plan, tmp_path, store, manifest, environment)
    assert result.outcome == "passed", result.messages
    assert {case.kind for case in result.cases} == set(TEST_KINDS)
    monkeypatch.setattr(Timetable, "sloppy", True)
    result = carry(plan, tmp_path, store, manifest, environment)
    assert result.outcome == "failed"
    assert "/uploads/ lists its folder" in result.messages["baseline"]


def test_the_databases_plan_is_carried_out(
    tmp_path: Path, store: Store, manifest: Manifest, environment: Environment
) -> None:
    file = tmp_path / "administration.yml"
    write("database", file)
    base = sqlite3.connect(tmp_path / "school.db")
    base.execute("CREATE TABLE pupil (id INTEGER PRIMARY KEY, name TEXT)")
    base.execute(
        "CREATE TABLE lesson (id INTEGER PRIMARY KEY, pupil INTEGER REFERENCES pupil (id))"
    )
    base.executemany("INSERT INTO pupil (name) VALUES (?)", [(f"p{n}",) for n in range(20)])
    base.execute("INSERT INTO lesson (pupil) VALUES (3)")
    base.commit()
    question = "SELECT count(*) FROM pupil"
    host = Host("t1", {"ansible_connection": "local"})
    there = msgspec.structs.replace(
        environment,
        hosts=(host,),
        variables={
            "database_url": f"sqlite:///{tmp_path}/school.db",
            "database_expected": {
                "tables": {"pupil": 20, "lesson": 1}, "quickest": {question: 2000},
            },
        },
    )  # fmt: skip
    plan = bundle(file, tmp_path, store)
    result = carry(plan, tmp_path, store, manifest, there)
    assert result.outcome == "passed", result.messages
    base.execute("INSERT INTO lesson (pupil) VALUES (999)")
    base.execute("DELETE FROM pupil WHERE id = 20")
    base.commit()
    base.close()
    result = carry(plan, tmp_path, store, manifest, there)
    outcomes = {case.id: case.outcome for case in result.cases}
    assert outcomes["tables"] == "passed"
    assert outcomes["rows"] == "failed"
    findings = json.loads(store.get(result.evidence))["cases"][1]["steps"][0]["findings"]
    assert "pupil: 19 of at least 20" in " ".join(findings)
    assert "lesson → pupil: 1" in " ".join(findings)
    nothing = carry(plan, tmp_path, store, manifest, environment)
    assert "set database_url" in nothing.messages["tables"]
