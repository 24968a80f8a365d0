"""Waivers, people's answers, retention and kills, through the command line."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import time
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from otapgate.acts import retention
from otapgate.release.store import Store

from .school import ANNA, BRAM, CHANGE, CHANTAL, DAAN, ESRA, NEW, School

RUN = ("test", "run", NEW, "--env", "T")
SOON = (date.today() + timedelta(days=30)).isoformat()


def plan(school: School, name: str, cases: str, head: str = "") -> None:
    """Write and register a further plan of the application."""
    file = school.root / "plans" / f"{name}.yml"
    file.write_text(
        f"plan: {name}\napp: agenda\n{head}criteria: [{{id: r, kind: function, text: x}}]\n"
        f"cases:\n{cases}"
    )
    school(ESRA, "test", "plan", "register", f"plans/{name}.yml")


def unscheduled(school: School) -> None:
    """The window of the change lies in the future."""
    start = (datetime.now().astimezone() + timedelta(days=3)).replace(microsecond=0)
    window = f"{start.isoformat()}/{(start + timedelta(hours=4)).isoformat()}"
    school(BRAM, "change", "schedule", CHANGE, "--window", window)
    assert school.codes() == {"OG105"}


# CH05-04, F14


def test_a_waiver_lets_one_release_pass_one_rule_and_is_named(accepted: School) -> None:
    unscheduled(accepted)
    waive = ("waive", "og105", NEW, "--because", "the supplier can't wait", "--until", SOON)
    before = len(accepted.entries())
    said = accepted(ANNA, *waive, "--dry-run")
    assert said["entry"] is None
    assert len(accepted.entries()) == before
    said = accepted(ANNA, *waive)
    assert said["waiver"]["rule"] == "OG105"
    (finding,) = accepted.explain(expect=0)
    assert (finding["code"], finding["severity"]) == ("OG105", "warn")
    assert finding["waiver"] == {
        "by": ANNA.name, "until": SOON, "because": "the supplier can't wait",
        "entry": said["entry"],
    }  # fmt: skip
    done = subprocess.run(
        [w for w in accepted.command(DAAN, "gate", "explain", NEW, "--to", "P", "--change", CHANGE)
         if w != "--json"],
        cwd=accepted.root, capture_output=True, text=True, check=True,
        env=accepted.environment(),
    )  # fmt: skip
    assert f"waived by {ANNA.name} until {SOON}: the supplier can't wait" in done.stdout
    (waiver,) = accepted(None, "status")["streets"][0]["waivers"]
    assert (waiver["rule"], waiver["until"], waiver["by"]) == ("OG105", SOON, ANNA.name)
    assert accepted.promote("P")["promotion"]["outcome"] == "succeeded"
    replayed = accepted(None, "gate", "replay", "--all")
    assert replayed["different"] == []
    assert accepted(None, "log", "verify")["problems"] == []


def test_who_is_held_back_waives_nothing(accepted: School) -> None:
    unscheduled(accepted)
    words = ("--because", "quick", "--until", SOON)
    for person, release, expect, code in (
        (CHANTAL, NEW, 7, "role-missing"), (DAAN, NEW, 7, "role-missing"),
    ):  # fmt: skip
        said = accepted(person, "waive", "OG105", release, *words, expect=expect)
        assert said["error"]["code"] == code
    # Who has to mend it: the entry stands, and the gate goes by it in nothing.
    accepted(BRAM, "waive", "OG105", NEW, *words)
    assert accepted.codes() == {"OG105"}
    # A builder with a role that waives.
    for admin in (ANNA, BRAM):
        if admin is ANNA:
            accepted(ANNA, "role", "grant", CHANTAL.name, "board")
        else:
            accepted(BRAM, "people", "confirm", "--yes")
    said = accepted(CHANTAL, "waive", "OG105", NEW, *words, expect=7)
    assert "F14" in said["error"]["message"]


@pytest.mark.parametrize(
    ("rule", "until", "because", "expect", "code"),
    [
        ("OG601", SOON, "x", 4, "rule-hard"),
        ("builder-signs-off", SOON, "x", 4, "rule-hard"),
        ("OG999", SOON, "x", 4, "rule-unknown"),
        ("OG105", "2020-01-01", "x", 2, "day-past"),
        ("OG105", "soon", "x", 2, "day-malformed"),
        ("OG105", SOON, " ", 2, "because-missing"),
    ],
)
def test_what_can_not_be_waived_is_said(
    accepted: School, rule: str, until: str, because: str, expect: int, code: str
) -> None:
    said = accepted(ANNA, "waive", rule, NEW, "--because", because, "--until", until, expect=expect)
    assert said["error"]["code"] == code


# CH05-05


ASKS = """\
- id: looks
  criterion: r
  steps:
  - manual: {id: looks-right, question: "Does {{ otapgate_release.version }} look right?"}
  - manual: {id: prints, question: Does it print?, attachments: 1}
"""


def test_questions_wait_for_a_person_or_a_file(accepted: School) -> None:
    plan(accepted, "asks", ASKS)
    said = accepted(ESRA, *RUN, "--plan", "asks", expect=2)
    assert said["error"]["code"] == "answers-waiting"
    assert [p["message"].split(":")[0] for p in said["problems"]] == ["looks-right", "prints"]
    (accepted.root / "print.txt").write_text("page 1")
    answers = accepted.root / "answers.yml"
    answers.write_text("answers:\n  looks-right: {outcome: passed, note: good}\n")
    said = accepted(ESRA, *RUN, "--plan", "asks", "--answers", "answers.yml", expect=2)
    assert [p["message"] for p in said["problems"]] == ["prints: Does it print?"]
    answers.write_text(
        answers.read_text() + "  prints: {outcome: passed, attachments: [print.txt]}\n"
    )
    said = accepted(ESRA, *RUN, "--plan", "asks", "--answers", "answers.yml")
    kept = evidence(accepted, said["test_run"]["evidence"])
    assert len(kept["objects"]) == 1
    assert store(accepted).get(kept["objects"][0]) == b"page 1"


def store(school: School) -> Store:
    return Store(school.root / ".otapgate" / "store")


def evidence(school: School, digest: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(store(school).get(digest))
    return found


class Terminal:
    """A command with somebody at the terminal."""

    def __init__(self, school: School, *args: str) -> None:
        self.side, other = pty.openpty()
        self.process = subprocess.Popen(
            school.command(ESRA, *args), cwd=school.root, stdin=other, stderr=other,
            stdout=subprocess.PIPE, text=True, env=school.environment(), start_new_session=True,
        )  # fmt: skip
        os.close(other)
        self.seen = ""

    def until(self, words: str) -> None:
        """Read until these words are there."""
        end = time.monotonic() + 60
        while words not in self.seen:
            assert time.monotonic() < end, self.seen
            if select.select([self.side], [], [], 0.2)[0]:
                self.seen += os.read(self.side, 65536).decode()

    def says(self, words: str, line: str) -> None:
        """Type a line once these words are there; what was read counts no more."""
        self.until(words)
        self.seen = ""
        os.write(self.side, line.encode() + b"\n")

    def ended(self) -> tuple[int, str]:
        out, _err = self.process.communicate(timeout=60)
        os.close(self.side)
        return self.process.returncode, out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_answers_survive_an_interruption_and_the_run_goes_on(
    accepted: School, number: signal.Signals
) -> None:
    plan(accepted, "asks", ASKS)
    (accepted.root / "print.txt").write_text("page 1")
    first = Terminal(accepted, *RUN, "--plan", "asks")
    first.until("Does 2.0 look right?")
    told = first.seen.partition("Does 2.0 look right?")[0].split()
    announced = told[told.index("--resume") + 1]
    first.says("(p)assed", "p")
    first.says("Note", "crisp")
    first.says("Attachment", "")
    first.until("Does it print?")
    first.until("(p)assed")
    os.kill(first.process.pid, number)
    if number == signal.SIGINT:
        first.until("--resume run-")
        command = first.seen[first.seen.index("otapgate test run") :].split()
    code, _out = first.ended()
    if number == signal.SIGKILL:
        (kept,) = accepted(None, "status")["streets"][0]["broken_off"]
        assert (kept["by"], kept["plan"], kept["answers"]) == (ESRA.name, "asks", 1)
        command = kept["command"].split()
        assert command[-1] == announced
    assert code not in (0, 1)
    assert not [e for e in accepted.entries("test-run") if command[-1] in json.dumps(e)]
    other = accepted(ESRA, *RUN, "--plan", "agenda", "--resume", command[-1], expect=4)
    assert other["error"]["code"] == "run-other"
    again = Terminal(accepted, *command[1:])
    again.until("Does it print?")
    assert "look right" not in again.seen
    again.says("(p)assed", "p")
    again.says("Note", "")
    again.says("Attachment", "print.txt")
    again.says("Attachment", "")
    code, out = again.ended()
    said = json.loads(out)
    assert (code, said["test_run"]["outcome"]) == (0, "passed")
    assert said["test_run"]["id"] == command[-1]
    steps = evidence(accepted, said["test_run"]["evidence"])["cases"][0]["steps"]
    assert [step["detail"]["note"] for step in steps] == ["crisp", ""]
    assert not list((accepted.root / ".otapgate" / "answers").iterdir())
    assert accepted(None, "status")["streets"][0]["broken_off"] == []
    said = accepted(ESRA, *RUN, "--plan", "asks", "--resume", command[-1], expect=4)
    assert said["error"]["code"] == "run-recorded"


def test_a_report_is_handed_in_and_what_is_awaited_is_named(accepted: School) -> None:
    plan(accepted, "supplied", "- {id: c, criterion: r, steps: [junit: {attach: supplier}]}\n")
    said = accepted(ESRA, *RUN, "--plan", "supplied", expect=2)
    assert "supplier" in said["problems"][0]["message"]
    assert said["problems"][0]["remedy"] == "--attach supplier=FILE"
    report = accepted.root / "r.xml"
    report.write_text('<testsuite><testcase name="a"/></testsuite>')
    said = accepted(ESRA, *RUN, "--plan", "supplied", "--attach", "supplier=r.xml")
    assert said["test_run"]["cases"][0]["message"] == "1 tests passed."
    report.write_text('<testsuite><testcase name="a"><failure/></testcase></testsuite>')
    said = accepted(ESRA, *RUN, "--plan", "supplied", "--attach", "supplier=r.xml", expect=1)
    shown = accepted(None, "test", "show", said["test_run"]["id"])["test_run"]
    assert shown["cases"][0]["findings"] == ["a"]
    (earlier,) = shown["cases"][0]["otherwise"]
    assert earlier["outcome"] == "passed"
    accepted(ESRA, *RUN, "--plan", "supplied", "--attach", "supplier", expect=2)
    accepted(ESRA, *RUN, "--plan", "agenda", "--attach", "x=r.xml", expect=2)


def sleeping(mark: str) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if mark.encode() in words:
            found.append(entry.name)
    return found


def test_kill_9_in_a_parallel_run_leaves_nothing_and_the_next_run_goes(accepted: School) -> None:
    mark = f"7654.{os.getpid()}"
    step = f"steps: [command: {{argv: [sh, -c, 'setsid sleep {mark} & sleep {mark}']}}]"
    cases = "".join(f"- {{id: c{n}, criterion: r, {step}}}\n" for n in range(3))
    plan(accepted, "slow", cases, head="parallel: 3\n")
    before = len(accepted.entries())
    process = accepted.start(ESRA, *RUN, "--plan", "slow")
    end = time.monotonic() + 60
    while len(sleeping(mark)) < 6 and time.monotonic() < end:
        time.sleep(0.1)
    assert len(sleeping(mark)) == 6
    process.kill()
    process.communicate()
    end = time.monotonic() + 10
    while sleeping(mark) and time.monotonic() < end:
        time.sleep(0.1)
    assert sleeping(mark) == []
    assert len(accepted.entries()) == before
    assert accepted(ESRA, *RUN, "--plan", "agenda")["test_run"]["outcome"] == "passed"


# CH05-06


def test_evidence_is_deleted_in_time_and_the_ledger_keeps_its_digest(
    accepted: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [accepted(ESRA, *RUN, "--plan", "agenda")["test_run"] for _n in range(3)]
    assert accepted(ESRA, "test", "purge")["purged"] == []
    # From here on everything is older than any environment's retention.
    monkeypatch.setattr(retention, "timedelta", lambda days: -timedelta(days=1))
    entries = len(accepted.entries())
    dry = accepted.here(ESRA, "test", "purge", "--dry-run")
    assert len(accepted.entries()) == entries
    (one,) = dry["purged"]
    assert one["runs"] == [run["id"] for run in runs[:2]], "the newest stays, and what was accepted"
    assert set(one["digests"]) == {run["evidence"] for run in runs[:2]}
    done = accepted.here(ESRA, "test", "purge")
    assert done["purged"] == dry["purged"]
    assert [store(accepted).has(run["evidence"]) for run in runs] == [False, False, True]
    shown = accepted(None, "test", "show", runs[0]["id"])["test_run"]
    assert shown["purged"]["entry"] == done["entries"][0]
    assert shown["purged"]["by"] == ESRA.name
    assert [case["outcome"] for case in shown["cases"]] == ["passed"] * 4
    assert accepted(None, "test", "show", runs[2]["id"])["test_run"]["purged"] is None
    assert accepted(None, "log", "verify")["problems"] == []
    assert accepted(None, "gate", "replay", "--all")["different"] == []
    assert accepted.explain(expect=0) == []
    (tombstone,) = accepted.entries("evidence-purged")
    told = json.dumps(accepted(None, "log", "show", str(tombstone["entry"])))
    assert runs[0]["evidence"] in told
    assert "retention" in told


def test_a_purge_that_was_cut_off_is_finished_by_the_next(
    accepted: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [accepted(ESRA, *RUN, "--plan", "agenda")["test_run"] for _n in range(2)]
    monkeypatch.setattr(retention, "timedelta", lambda days: -timedelta(days=1))
    monkeypatch.setattr(retention, "delete", lambda workspace, digests: 0)
    accepted.here(ESRA, "test", "purge")
    assert store(accepted).has(runs[0]["evidence"])
    monkeypatch.undo()
    said = accepted(ESRA, "test", "purge")
    assert said["entries"] == []
    assert not store(accepted).has(runs[0]["evidence"])
    assert store(accepted).has(runs[1]["evidence"])


def test_nobody_without_a_role_for_it_purges(accepted: School) -> None:
    assert accepted(CHANTAL, "test", "purge", expect=7)["error"]["code"] == "role-missing"
