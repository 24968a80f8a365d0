"""Reports, people, latency budgets: each kind of step carried out for real."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest

from otapgate.errors import BadInput
from otapgate.landscape.model import Environment
from otapgate.release.store import Store
from otapgate.testing import answers as answering
from otapgate.testing.answers import Answer, Attachment, Kept
from otapgate.testing.plan import ManualStep, check_file
from otapgate.testing.run import Hands, RunResult

from .conftest import Carried

REPORT = """<?xml version="1.0"?><testsuites><testsuite name="s">
<testcase classname="a" name="good"/><testcase classname="a" name="better"/>{more}
</testsuite></testsuites>"""
BAD = '<testcase classname="a" name="bad"><failure message="expected 3, got 4"/></testcase>'
SKIPPED = '<testcase classname="a" name="later"><skipped/></testcase>'
BOMB = (
    '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">'
    '<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]><testsuite><testcase name="&c;"/></testsuite>'
)


def one(carried: Carried, *steps: dict[str, Any], **options: Any) -> RunResult:
    return carried([{"id": "c", "steps": list(steps)}], **options)


def evidence(result: RunResult, store: Store) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(store.get(result.evidence))
    return found


# Reports


def writes(content: str | bytes, name: str = "report.xml") -> dict[str, Any]:
    """A command that writes a report where later steps look for it."""
    data = content.encode() if isinstance(content, str) else content
    text = (
        "import os, pathlib, sys\n"
        f"pathlib.Path(os.environ['OTAPGATE_RESULTS'], {name!r}).write_bytes({data!r})"
    )
    return {"command": {"argv": [sys.executable, "-c", text]}}


def test_every_test_of_a_report_that_a_command_wrote_is_counted(
    carried: Carried, store: Store
) -> None:
    result = one(carried, writes(REPORT.format(more="")), {"junit": {"file": "report.xml"}})
    assert result.outcome == "passed", result.messages
    assert "2 tests passed" in result.messages["c"]
    kept = evidence(result, store)
    assert kept["cases"][0]["steps"][1]["detail"] == {
        "report": "report.xml", "tests": 2, "passed": 2, "failed": 0, "skipped": 0,
    }  # fmt: skip
    assert [store.get(digest) for digest in kept["objects"]] == [REPORT.format(more="").encode()]


def test_failures_are_named(carried: Carried, store: Store) -> None:
    result = one(carried, writes(REPORT.format(more=BAD)), {"junit": {"file": "report.xml"}})
    assert result.outcome == "failed"
    assert "1 of 3 tests failed: a::bad (expected 3, got 4)" in result.messages["c"]
    step = evidence(result, store)["cases"][0]["steps"][1]
    assert step["findings"] == ["a::bad (expected 3, got 4)"]


@pytest.mark.parametrize(
    ("more", "fields", "outcome", "words"),
    [
        (SKIPPED, {}, "failed", "a::later"),
        (SKIPPED, {"skipped": "allow"}, "passed", "2 tests passed"),
        (SKIPPED, {"skipped": "allow", "min_tests": 3}, "failed", "at least 3"),
        ("", {"min_tests": 3}, "failed", "holds 2 tests"),
    ],
)
def test_what_was_passed_over_shows_nothing(
    carried: Carried, more: str, fields: dict[str, Any], outcome: str, words: str
) -> None:
    step = {"junit": {"file": "report.xml", **fields}}
    result = one(carried, writes(REPORT.format(more=more)), step)
    assert result.outcome == outcome
    assert words in result.messages["c"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (BOMB, "can be trusted"),
        ("<!DOCTYPE x SYSTEM 'file:///etc/passwd'><testsuite/>", "can be trusted"),
        ("<testsuite><testcase name='a'>", "can be trusted"),
        ("not XML", "can be trusted"),
        (b'<?xml version="1.0" encoding="klingon"?><testsuite/>', "can be trusted"),
        (b'<?xml version="1.0" encoding="utf-8"?><testsuite name="\xff\xfe"/>', "can be trusted"),
        (b"\x00" * 100, "can be trusted"),
        ("<testsuite>" * 60 + "</testsuite>" * 60, "can be trusted"),
        ("<html/>", "can be trusted"),
        (REPORT.format(more="").encode("utf-16"), ""),
    ],
    ids=["bomb", "outside", "cut", "no-xml", "encoding", "bytes", "zeros", "deep", "html",
         "utf-16"],
)  # fmt: skip
def test_a_hostile_report_is_a_failure_with_a_reason_and_costs_nothing(
    carried: Carried, content: str | bytes, words: str
) -> None:
    begin = time.monotonic()
    result = one(carried, writes(content), {"junit": {"file": "report.xml"}})
    assert time.monotonic() - begin < 10
    if words:
        assert result.outcome == "failed"
        assert words in result.messages["c"]
    else:  # a declared encoding would contradict the mark at the beginning; without one it reads
        assert result.outcome == "passed", result.messages


def test_a_report_too_large_for_anybody_is_refused(carried: Carried, tmp_path: Path) -> None:
    huge = tmp_path / "huge.xml"
    with huge.open("wb") as file:
        file.truncate(33 * 1024 * 1024)
    result = one(carried, {"junit": {"attach": "r"}}, hands=Hands(attachments={"r": huge}))
    assert "too large" in result.messages["c"]


def test_a_report_that_is_a_link_or_lies_elsewhere_is_refused(
    carried: Carried, tmp_path: Path
) -> None:
    outside = tmp_path / "outside.xml"
    outside.write_text(REPORT.format(more=""))
    text = f"import os; os.symlink({str(outside)!r}, os.environ['OTAPGATE_RESULTS'] + '/r.xml')"
    link = {"command": {"argv": [sys.executable, "-c", text]}}
    assert one(carried, link, {"junit": {"file": "r.xml"}}).outcome == "failed"
    assert "no file" in one(carried, {"junit": {"file": "absent.xml"}}).messages["c"]


def test_a_report_handed_in_is_read(carried: Carried, tmp_path: Path) -> None:
    file = tmp_path / "theirs.xml"
    file.write_text(REPORT.format(more=""))
    step = {"junit": {"attach": "supplier"}}
    given = Hands(attachments={"supplier": file})
    assert one(carried, step, hands=given).outcome == "passed"
    assert "wasn't handed in" in one(carried, step).messages["c"]


def test_a_report_with_a_secret_is_not_kept_whole(carried: Carried, store: Store) -> None:
    more = BAD.replace("expected 3", "token Geheim-123")
    steps = (writes(REPORT.format(more=more)), {"junit": {"file": "report.xml"}})
    result = one(carried, *steps, secrets=["Geheim-123"])
    kept = evidence(result, store)
    assert kept["objects"] == []
    assert "Geheim-123" not in json.dumps(kept)


# People

ASKED = {"manual": {"id": "looks-right", "question": "Does {{ title }} look right?"}}


def test_a_person_answers_on_the_asking_thread_with_the_question_filled_in(
    carried: Carried, store: Store, tmp_path: Path
) -> None:
    heard: list[tuple[str, bool]] = []
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(b"\xff\xd8 a photo")

    def ask(question: ManualStep) -> Answer:
        main = threading.current_thread() is threading.main_thread()
        heard.append((question.question, main))
        return Answer("passed", "clear", (answering.attach(photo, store),))

    result = one(carried, ASKED, hands=Hands(ask=ask))
    assert result.outcome == "passed", result.messages
    assert heard == [("Does Agenda look right?", True)]
    kept = evidence(result, store)
    (step,) = kept["cases"][0]["steps"]
    assert step["detail"]["note"] == "clear"
    (attached,) = step["detail"]["attachments"]
    assert attached["name"] == "photo.jpg"
    assert store.get(attached["digest"]) == photo.read_bytes()
    assert kept["objects"] == [attached["digest"]]


def test_a_no_fails_with_its_note_and_a_pass_needs_its_attachments(carried: Carried) -> None:
    no = {"looks-right": Answer("failed", "the colour is off")}
    result = one(carried, ASKED, hands=Hands(answers=no))
    assert (result.outcome, result.messages["c"]) == ("failed", "the colour is off")
    wanting = {"manual": {**ASKED["manual"], "attachments": 1}}
    yes = {"looks-right": Answer("passed")}
    result = one(carried, wanting, hands=Hands(answers=yes))
    assert "asks for 1 attachments" in result.messages["c"]


def test_what_nobody_answers_has_failed(carried: Carried) -> None:
    assert "was not answered" in one(carried, ASKED).messages["c"]


def questions() -> list[ManualStep]:
    return [ManualStep("one", "One?"), ManualStep("two", "Two?", attachments=1)]


def test_answers_come_from_a_file_with_their_attachments(tmp_path: Path, store: Store) -> None:
    (tmp_path / "print.txt").write_text("42")
    file = tmp_path / "answers.yml"
    file.write_text(
        "answers:\n  one: {outcome: failed, note: no}\n"
        "  two: {outcome: passed, attachments: [print.txt]}\n"
    )
    found = answering.read(file, questions(), store)
    assert found["one"] == Answer("failed", "no")
    assert found["two"].attachments == (Attachment("print.txt", store.put(b"42"), 2),)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("answers:\n  three: {outcome: passed}\n", 2, "asks no 'three'"),
        ("answers:\n  one: {outcome: maybe}\n", 2, "passed"),
        ("answers:\n  one: {outcome: failed}\n", 2, "no note"),
        ("answers:\n  two: {outcome: passed}\n", 2, "asks for 1 attachments"),
        ("answers:\n  two:\n    outcome: passed\n    attachments: [absent]\n", 4, "absent"),
    ],
)
def test_a_mistake_in_answers_is_told_at_its_line(
    tmp_path: Path, store: Store, text: str, line: int, words: str
) -> None:
    file = tmp_path / "answers.yml"
    file.write_text(text)
    with pytest.raises(BadInput) as error:
        answering.read(file, questions(), store)
    assert [problem.line for problem in error.value.problems] == [line]
    said = f"{error.value.problems[0].message} {error.value.problems[0].remedy}"
    assert words in said


def test_answers_kept_serve_the_same_run_by_the_same_person_only(tmp_path: Path) -> None:
    file = tmp_path / "kept" / "run-1.json"
    about = Kept("sha256:r", "agenda-T", "sha256:d", "sha256:p", "esra")
    known = {"one": Answer("passed", "seen", (Attachment("a", "sha256:a", 1),))}
    answering.keep(file, msgspec.structs.replace(about, answers=known))
    assert file.stat().st_mode & 0o777 == 0o600
    assert answering.recall(file, about) == known
    for field in ("release", "plan", "description", "by", "environment"):
        other = msgspec.structs.replace(about, **{field: "x"})
        with pytest.raises(BadInput) as error:
            answering.recall(file, other)
        assert error.value.code == "run-other"
    file.write_text("{")
    with pytest.raises(BadInput) as error:
        answering.recall(file, about)
    assert error.value.code == "run-unknown"


# Latency


class Paced(BaseHTTPRequestHandler):
    """Answers as slowly, and as badly, as the number of the request says."""

    lock = threading.Lock()
    count = 0
    most = 0
    busy = 0

    def do_GET(self) -> None:
        with Paced.lock:
            Paced.count += 1
            Paced.busy += 1
            Paced.most = max(Paced.most, Paced.busy)
            number = Paced.count
        kind = self.path.strip("/")
        slow = kind == "tail" and number % 10 == 0
        time.sleep(0.4 if slow else 0.02)
        status = 500 if kind == "errors" and number % 10 == 0 else 200
        with Paced.lock:
            Paced.busy -= 1
        self.send_response(status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *args: Any) -> None:
        return


@pytest.fixture
def paced(environment: Environment) -> Iterator[str]:
    Paced.count = Paced.most = Paced.busy = 0
    server = ThreadingHTTPServer(("127.0.0.1", 0), Paced)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def loaded(url: str, **load: Any) -> dict[str, Any]:
    return {"http": {"url": url, "load": load}}


def test_percentiles_are_measured_and_every_sample_is_kept(
    carried: Carried, store: Store, paced: str
) -> None:
    step = loaded(paced + "/", requests=40, concurrency=4, warm_up=5, p50_ms=2000, p99_ms=3000)
    result = one(carried, step)
    assert result.outcome == "passed", result.messages
    assert Paced.count == 45
    assert 1 < Paced.most <= 4
    kept = evidence(result, store)
    (digest,) = kept["objects"]
    samples = json.loads(store.get(digest))["samples"]
    assert len(samples) == 40
    assert all(took >= 20_000 and status == 200 for _begun, took, status in samples)
    detail = kept["cases"][0]["steps"][0]["detail"]
    assert detail["microseconds"]["p50"] == sorted(took for _b, took, _s in samples)[19]
    assert (detail["requests"], detail["errors"]) == (40, 0)


def test_a_slow_tail_breaks_the_limit_that_is_for_it_and_no_other(
    carried: Carried, paced: str
) -> None:
    result = one(carried, loaded(paced + "/tail", requests=40, p50_ms=350, p95_ms=350))
    assert result.outcome == "failed"
    assert "p95 is 4" in result.messages["c"]
    assert "p50 is" not in result.messages["c"]
    assert one(carried, loaded(paced + "/tail", requests=20, p50_ms=350)).outcome == "passed"


def test_errors_have_a_share(carried: Carried, paced: str) -> None:
    many = loaded(paced + "/errors", requests=40, max_ms=3000)
    result = one(carried, many)
    assert result.outcome == "failed"
    assert "4 of 40 requests failed, and 0% may" in result.messages["c"]
    assert "status 500" in result.messages["c"]
    some = loaded(paced + "/errors", requests=40, max_ms=3000, errors_percent=10)
    assert one(carried, some).outcome == "passed"


def test_a_service_that_is_not_there_passes_nothing(carried: Carried) -> None:
    step = loaded("http://127.0.0.1:1/", requests=5, max_ms=1000, errors_percent=99)
    result = one(carried, step)
    assert result.outcome == "failed"
    assert "5 of 5 requests failed" in result.messages["c"]


def test_a_load_is_cut_off_with_its_case(carried: Carried, paced: str) -> None:
    begin = time.monotonic()
    step = loaded(paced + "/", requests=100_000, max_ms=1000)
    result = carried([{"id": "c", "timeout_seconds": 1, "steps": [step]}])
    assert time.monotonic() - begin < 5
    assert "the case's time of 1 s was over" in result.messages["c"]


# Files and lines


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ("http: {url: 'http://a/', load: {requests: 5}}", "without a limit"),
        ("http: {url: 'http://a/', load: {requests: 0, p50_ms: 1}}", "at least 1"),
        ("http: {url: 'http://a/', repeat: 2, load: {requests: 5, p50_ms: 1}}", "budget_ms"),
        ("http: {url: 'http://a/', load: {requests: 5, p90_ms: 1}}", "p90_ms"),
        ("junit: {}", "one of file and attach"),
        ("junit: {file: a.xml, attach: b}", "one of file and attach"),
        ("junit: {file: ../a.xml}", "below the folder"),
        ("manual: {id: x}", "question"),
        ("manual: {id: X y, question: q}", "X y"),
        ("manual: {id: x, question: '{{ broken'}", "{{ name }}"),
        ("security: {}", "checks nothing"),
        ("security: {headers: {a: b}}", "there is no url"),
        ("security: {files: {etc: '0640'}}", "octal"),
        ("security: {files: {/etc/x: '640'}}", "octal"),
        ("security: {ports: [0]}", "at least 1"),
        ("security: {ports: [22], scan: ['9-1']}", "range of ports"),
        ("security: {url: 'https://a/', tls: {minimum: '1.1'}}", "1.2"),
        ("security: {url: 'https://a/', tls: {ca: absent.pem}}", "absent.pem"),
        ("pytest: {path: t.py, testinfra: 1}", "testinfra"),
    ],
)
def test_a_mistake_in_a_step_is_told_at_its_line(tmp_path: Path, step: str, words: str) -> None:
    (tmp_path / "t.py").write_text("")
    file = tmp_path / "agenda.yml"
    file.write_text(
        "plan: agenda\napp: agenda\ncriteria: [{id: r, kind: function, text: x}]\ncases:\n"
        f"- id: c\n  criterion: r\n  steps:\n  - {step}\n"
    )
    (problem,) = check_file(file, tmp_path)
    assert problem.line == 8
    assert words in f"{problem.message} {problem.remedy}"


@pytest.mark.parametrize(
    ("lines", "line", "words"),
    [
        ("  repeat: 2\n  steps: [{manual: {id: x, question: q}}]", 7, "asked once"),
        ("  repeat: 0\n  steps: [{command: {argv: [a]}}]", 7, "at least 1"),
        (
            "  steps:\n  - manual: {id: x, question: q}\n  - manual: {id: x, question: q}",
            9,
            "twice",
        ),
    ],
)
def test_a_mistake_in_a_case_is_told_at_its_line(
    tmp_path: Path, lines: str, line: int, words: str
) -> None:
    file = tmp_path / "agenda.yml"
    file.write_text(
        "plan: agenda\napp: agenda\ncriteria: [{id: r, kind: function, text: x}]\ncases:\n"
        f"- id: c\n  criterion: r\n{lines}\n"
    )
    (problem,) = check_file(file, tmp_path)
    assert problem.line == line
    assert words in f"{problem.message} {problem.remedy}"
