"""Cases side by side, in order, again and again, and within their time: with real programs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
import yaml

from otapgate.landscape.model import Environment
from otapgate.ledger.predicates import CaseOutcome
from otapgate.release.manifest import Manifest
from otapgate.release.store import Store
from otapgate.testing.plan import bundle, check_file, load_bundle

from .conftest import Carried, living


def slept(seconds: float, name: str, log: Path, code: int = 0) -> dict[str, object]:
    """A step that says when it began and ended."""
    text = (
        f"import time\nf=open({str(log)!r},'a',buffering=1)\nf.write('+{name}\\n')\n"
        f"time.sleep({seconds})\nf.write('-{name}\\n')\nraise SystemExit({code})"
    )
    return {"command": {"argv": [sys.executable, "-c", text]}}


def most_at_once(log: Path) -> int:
    at_once, most = 0, 0
    for line in log.read_text().splitlines():
        at_once += 1 if line[0] == "+" else -1
        most = max(most, at_once)
    return most


def test_cases_run_side_by_side_and_are_told_in_the_order_of_the_plan(
    carried: Carried, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    told: list[CaseOutcome] = []
    cases = [{"id": f"c{n}", "steps": [slept(1.2 - 0.3 * n, f"c{n}", log)]} for n in range(4)]
    begin = time.monotonic()
    result = carried(cases, parallel=4, on_case=lambda case, _message: told.append(case))
    assert time.monotonic() - begin < 3.0
    assert most_at_once(log) >= 3
    assert [line for line in log.read_text().split() if line[0] == "-"] != [
        "-c0",
        "-c1",
        "-c2",
        "-c3",
    ]
    assert [case.id for case in result.cases] == ["c0", "c1", "c2", "c3"]
    assert [case.id for case in told] == ["c0", "c1", "c2", "c3"]
    assert result.outcome == "passed", result.messages


def test_no_more_at_once_than_said_and_one_that_is_alone_is(
    carried: Carried, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    cases = [
        {"id": f"c{n}", "alone": n == 2, "steps": [slept(0.2, f"c{n}", log)]} for n in range(5)
    ]
    assert carried(cases, parallel=2).outcome == "passed"
    assert most_at_once(log) == 2
    lines = log.read_text().split()
    assert lines[lines.index("+c2") + 1] == "-c2"


def test_what_comes_after_a_case_that_failed_is_named_as_not_carried_out(
    carried: Carried, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    cases = [
        {"id": "a", "steps": [slept(0, "a", log, code=1)]},
        {"id": "b", "after": ["a"], "steps": [slept(0, "b", log)]},
        {"id": "c", "steps": [slept(0, "c", log)]},
    ]
    result = carried(cases, parallel=3)
    assert [case.outcome for case in result.cases] == ["failed", "skipped", "passed"]
    assert "comes after a" in result.messages["b"]
    assert "+b" not in log.read_text()
    assert result.outcome == "failed"


@pytest.mark.parametrize(
    ("first", "second", "hint"),
    [(["b"], ["a"], "wait for each other"), (["a"], [], "wait for each other"),
     (["bb"], [], "Did you mean 'b'")],
)  # fmt: skip
def test_a_case_that_would_wait_for_ever_is_told_at_its_line(
    tmp_path: Path, first: list[str], second: list[str], hint: str
) -> None:
    file = tmp_path / "agenda.yml"
    file.write_text(
        "plan: agenda\napp: agenda\ncriteria: [{id: r, kind: function, text: x}]\ncases:\n"
        f"- {{id: a, criterion: r, after: {first}, steps: [{{command: {{argv: ['true']}}}}]}}\n"
        f"- {{id: b, criterion: r, after: {second}, steps: [{{command: {{argv: ['true']}}}}]}}\n"
    )
    problems = check_file(file, tmp_path)
    assert problems[0].line == 5
    assert hint in f"{problems[0].message} {problems[0].remedy}"


FLAKY = (
    "import os, pathlib, sys\np = pathlib.Path(sys.argv[1])\n"
    "n = int(p.read_text()) + 1 if p.exists() else 1\np.write_text(str(n))\n"
    "sys.exit(0 if n != 2 else 7)\n"
)


def test_repetitions_that_come_out_differently_are_flaky_and_so_failed(
    carried: Carried, tmp_path: Path, store: Store
) -> None:
    count = tmp_path / "count"
    step = {"command": {"argv": [sys.executable, "-c", FLAKY, str(count)]}}
    result = carried([{"id": "c", "repeat": 4, "steps": [step]}])
    (case,) = result.cases
    assert (case.outcome, case.reason) == ("failed", "flaky")
    assert "3 of 4" in result.messages["c"]
    assert "ended with 7" in result.messages["c"]
    assert count.read_text() == "4", "it goes on after the one that failed"
    kept = json.loads(store.get(result.evidence))["cases"][0]
    assert (kept["reason"], kept["repetitions"]) == ("flaky", 4)
    assert [(s.get("repetition", 1), s["ok"]) for s in kept["steps"]] == [
        (1, True), (2, False), (3, True), (4, True),
    ]  # fmt: skip


def test_repetitions_that_agree_are_what_they_are(carried: Carried) -> None:
    good = {"id": "good", "repeat": 3, "steps": [{"command": {"argv": ["true"]}}]}
    bad = {"id": "bad", "repeat": 3, "steps": [{"command": {"argv": ["false"]}}]}
    result = carried([good, bad])
    assert [(c.outcome, c.reason) for c in result.cases] == [("passed", ""), ("failed", "")]


TREE = (
    "import subprocess, sys, time, os\n"
    "if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n"
    "        subprocess.Popen(['sleep', 'MARK'])\n        time.sleep(9999)\n    os._exit(0)\n"
    "subprocess.Popen(['sleep', 'MARK'], start_new_session=True)\ntime.sleep(9999)\n"
)
"""A program with a daemon of its own, and children in other sessions."""

DAEMON = (
    "import os, subprocess\nif os.fork() == 0:\n    os.setsid()\n"
    "    subprocess.Popen(['sleep', 'MARK'], stdout=subprocess.DEVNULL)\n    os._exit(0)\n"
)


@pytest.fixture
def mark() -> str:
    """What the sleepers of a test are known by: for how long they sleep."""
    return f"98765.{os.getpid()}{time.monotonic_ns() % 10**6}"


def tree(mark: str, text: str = TREE) -> dict[str, object]:
    """A step that runs that program."""
    return {"argv": [sys.executable, "-c", text.replace("MARK", mark)]}


@pytest.mark.parametrize(
    ("whose", "words"),
    [
        ("step", "within 1 s"),
        ("case", "the case's time of 1 s was over"),
        ("plan", "the plan's time of 1 s was over"),
    ],
)
def test_what_takes_too_long_is_stopped_with_all_that_came_of_it(
    carried: Carried, mark: str, whose: str, words: str
) -> None:
    limit = {"timeout_seconds": 1}
    step = tree(mark) | (limit if whose == "step" else {})
    fields = {"steps": [{"command": step}]} | (limit if whose == "case" else {})
    plan = limit if whose == "plan" else {}
    begin = time.monotonic()
    later = {"id": "later", "after": ["c"], "steps": [{"command": {"argv": ["true"]}}]}
    result = carried([{"id": "c", **fields}, later], **plan)
    assert time.monotonic() - begin < 8
    assert words in result.messages["c"]
    assert [case.outcome for case in result.cases] == ["failed", "skipped"]
    assert living(mark) == []


def test_the_time_of_a_case_is_for_its_repetitions_together(carried: Carried) -> None:
    step = {"command": {"argv": ["sleep", "0.6"]}}
    result = carried([{"id": "c", "repeat": 50, "timeout_seconds": 1, "steps": [step]}])
    assert result.cases[0].outcome == "failed"
    assert "the case's time of 1 s was over" in result.messages["c"]


def test_a_daemon_of_a_test_that_passed_does_not_outlive_it(carried: Carried, mark: str) -> None:
    result = carried([{"id": "c", "steps": [{"command": tree(mark, DAEMON)}]}])
    assert result.outcome == "passed", result.messages
    assert living(mark) == []


def test_what_later_fields_are_left_out_of_changes_no_digest(tmp_path: Path, store: Store) -> None:
    file = tmp_path / "agenda.yml"
    text = (
        "plan: agenda\napp: agenda\ncriteria: [{id: r, kind: function, text: x}]\ncases:\n"
        "- {id: a, criterion: r, steps: [http: {url: 'http://127.0.0.1/'}, pytest: {path: t.py}]}\n"
    )
    (tmp_path / "t.py").write_text("")
    file.write_text(text)
    plain = json.loads(store.get(bundle(file, tmp_path, store).digest))
    assert plain.keys() == {"plan", "app", "criteria", "cases", "files", "format"}
    assert plain["cases"][0].keys() == {"id", "criterion", "title", "steps"}
    assert "load" not in plain["cases"][0]["steps"][0]
    assert "testinfra" not in plain["cases"][0]["steps"][1]
    file.write_text(text.replace("{id: a, criterion", "{id: a, repeat: 2, criterion"))
    again = bundle(file, tmp_path, store)
    assert load_bundle(store, again.digest).plan.cases[0].repeat == 2


DRIVER = """
import sys
from pathlib import Path
import msgspec
from otapgate.landscape.model import Environment
from otapgate.release.manifest import decode
from otapgate.release.store import Store
from otapgate.testing.plan import load_bundle
from otapgate.testing.run import Interrupted, run
store = Store(Path(sys.argv[1]))
environment = msgspec.json.decode(sys.argv[4].encode(), type=Environment)
try:
    result = run(load_bundle(store, sys.argv[2]), manifest=decode(store.get(sys.argv[3])),
                 environment=environment, workdir=Path(sys.argv[5]), store=store)
except Interrupted as error:
    result = error.result
print([(c.id, c.outcome) for c in result.cases])
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_killed_or_interrupted_in_a_parallel_run_nothing_runs_on(
    tmp_path: Path, store: Store, manifest: Manifest, environment: Environment,
    mark: str, number: signal.Signals,
) -> None:  # fmt: skip
    steps = [{"command": tree(mark)}]
    plan = {
        "plan": "agenda", "app": "agenda", "parallel": 3,
        "criteria": [{"id": "r", "kind": "function", "text": "x"}],
        "cases": [{"id": f"c{n}", "criterion": "r", "steps": steps} for n in range(4)],
    }  # fmt: skip
    (tmp_path / "agenda.yml").write_text(yaml.safe_dump(plan))
    registered = bundle(tmp_path / "agenda.yml", tmp_path, store)
    work = tmp_path / "work"
    work.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(store.root), registered.digest,
         store.put(manifest.encoded()), msgspec.json.encode(environment).decode(), str(work)],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        until = time.monotonic() + 30
        while len(living(mark)) < 6 and time.monotonic() < until:
            time.sleep(0.05)
        assert len(living(mark)) == 6, "three cases, each with two sleepers"
    finally:
        os.kill(process.pid, number)
    out, _err = process.communicate(timeout=30)
    until = time.monotonic() + 10
    while living(mark) and time.monotonic() < until:
        time.sleep(0.05)
    assert living(mark) == []
    if number == signal.SIGINT:
        assert out.strip() == str(
            [("c0", "failed"), ("c1", "failed"), ("c2", "failed"), ("c3", "skipped")]
        )
