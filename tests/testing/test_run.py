"""Plans carried out for real: a service on loopback, programs, pytest."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from otapgate.errors import BadInput, Integrity
from otapgate.landscape.model import Environment, Host
from otapgate.ledger.predicates import CaseOutcome
from otapgate.release.manifest import Manifest
from otapgate.release.store import Store
from otapgate.testing.plan import bundle
from otapgate.testing.process import carry_out
from otapgate.testing.run import Hands, PlaybookResult, RunResult, run

Carry = Callable[..., RunResult]


@pytest.fixture
def carry(tmp_path: Path, store: Store, manifest: Manifest, environment: Environment) -> Carry:
    """Carries out a plan of one case a list of steps; files are written beside it."""

    def carried(
        *cases: list[str],
        files: dict[str, str] | None = None,
        environment: Environment = environment,
        after: Callable[[Path], object] = lambda folder: None,
        **options: Any,
    ) -> RunResult:
        folder = tmp_path / "plans"
        folder.mkdir(exist_ok=True)
        for name, text in (files or {}).items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        lines = ["plan: agenda", "app: agenda", "criteria:"]
        lines += [f"- {{id: r{n}, kind: function, text: x}}" for n in range(len(cases))]
        lines += ["cases:"]
        for n, steps in enumerate(cases):
            lines += [f"- id: c{n}", f"  criterion: r{n}", "  steps:"]
            lines += [f"  - {step}" for step in steps]
        lines.append(f"files: {json.dumps(sorted(files or {}))}")
        (folder / "agenda.yml").write_text("\n".join(lines) + "\n")
        plan = bundle(folder / "agenda.yml", tmp_path, store)
        after(folder)
        workdir = tmp_path / "work"
        workdir.mkdir(exist_ok=True)
        return run(
            plan, manifest=manifest, environment=environment, workdir=workdir, store=store,
            **options,
        )  # fmt: skip

    return carried


def http(path: str = "/", **more: Any) -> str:
    return "http: " + json.dumps({"url": "{{ base }}" + path, **more})


def command(*argv: str, **more: Any) -> str:
    return "command: " + json.dumps({"argv": argv, **more})


def script(text: str, **more: Any) -> str:
    return command(sys.executable, "-c", text, **more)


def said(result: RunResult) -> str:
    assert len(result.cases) == 1
    return result.messages["c0"]


# Outcomes


def test_a_plan_whose_cases_pass_has_passed_and_keeps_evidence(carry: Carry, store: Store) -> None:
    heard: list[tuple[CaseOutcome, str]] = []
    result = carry(
        [http(contains="Agenda"), command("true")],
        [http("/json", json={"result.0.name": "De {{ tree }}", "result.0.n": "{{ number }}"})],
        on_case=lambda case, message: heard.append((case, message)),
    )
    assert result.outcome == "passed", result
    assert [case.outcome for case in result.cases] == ["passed", "passed"]
    assert [case for case, _message in heard] == list(result.cases)
    kept = json.loads(store.get(result.evidence))
    assert kept["outcome"] == "passed"
    assert [step["kind"] for step in kept["cases"][0]["steps"]] == ["http", "command"]
    assert "Agenda 3.5.4" in kept["cases"][0]["steps"][0]["output"]
    assert kept["environment"]["description"] == "sha256:" + "e" * 64


def test_a_case_ends_at_its_first_failing_step_and_the_next_case_goes_on(
    carry: Carry, store: Store
) -> None:
    result = carry([http("/absent"), command("true")], [http()])
    assert result.outcome == "failed"
    assert [case.outcome for case in result.cases] == ["failed", "passed"]
    assert "404" in result.messages["c0"]
    kept = json.loads(store.get(result.evidence))
    assert [len(case["steps"]) for case in kept["cases"]] == [1, 1]


def test_editing_a_file_after_registration_changes_nothing(carry: Carry) -> None:
    result = carry(
        [command("sh", "look.sh")],
        files={"look.sh": "exit 0\n"},
        after=lambda folder: (folder / "look.sh").write_text("exit 1\n"),
    )
    assert result.outcome == "passed"


def test_a_damaged_bundle_is_not_run(carry: Carry, store: Store, tmp_path: Path) -> None:
    def spoil(_folder: Path) -> None:
        for path in (store.root / "sha256").rglob("*"):
            if path.is_file() and path.read_bytes() == b"exit 0\n":
                path.chmod(0o644)
                path.write_bytes(b"exit 1\n")

    with pytest.raises(Integrity, match="agenda"):
        carry([command("sh", "look.sh")], files={"look.sh": "exit 0\n"}, after=spoil)


def test_a_plan_of_another_application_is_refused(
    carry: Carry, tmp_path: Path, store: Store, manifest: Manifest, environment: Environment
) -> None:
    carry([command("true")])
    plan = bundle(tmp_path / "plans/agenda.yml", tmp_path, store)
    other = msgspec.structs.replace(manifest, app="tryton")
    with pytest.raises(BadInput) as error:
        run(plan, manifest=other, environment=environment, workdir=tmp_path, store=store)
    assert error.value.code == "plan-other-app"


def test_nothing_is_left_in_the_working_folder(carry: Carry, tmp_path: Path) -> None:
    carry([command("sh", "-c", "touch $HOME/x $TMPDIR/y")])
    assert list((tmp_path / "work").iterdir()) == []


# HTTP


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (http("/broken"), "status 500"),
        (http(contains="Calendar"), "Calendar"),
        (http(json={"a": 1}), "not JSON"),
        (http("/json", json={"result.1": 1}), "result.1"),
        (http("/json", json={"result.0.n": True}), "true was expected"),
        (http("/away"), "agenda.example.org"),
        (http("/round"), "without end"),
        (http("/slow", budget_ms=100), "100 ms is the limit"),
        (http("/drip", timeout_seconds=1), "took too long"),
        ('http: {url: "http://agenda.example.org/"}', "no host of this environment"),
        ('http: {url: "http://192.0.2.1/"}', "no host of this environment"),
        ('http: {url: "file:///etc/passwd"}', "not an http address"),
        ('http: {url: "http://a:b@127.0.0.1/"}', "user"),
        ('http: {url: "http://127.0.0.1:{{ prt }}/"}', "prt"),
        ('http: {url: "http://127.0.0.1:1/"}', "no answer"),
        ('http: {url: "http://127.0.0.1:99999/"}', "not an address"),
        ('http: {url: "{{ base }}/", host: t9}', "no host t9"),
        ('http: {url: "{{ base }}/", headers: {"X-A": "a\\r\\nb: c"}}', "no answer"),
    ],
)
def test_an_answer_that_is_not_as_said_fails_with_its_reason(
    carry: Carry, step: str, message: str
) -> None:
    begin = time.monotonic()
    result = carry([step])
    assert result.outcome == "failed"
    assert message in said(result)
    assert time.monotonic() - begin < 5


def test_a_redirect_on_the_same_host_is_followed_unless_it_is_what_was_asked_for(
    carry: Carry,
) -> None:
    result = carry([http("/moved", contains="Agenda")], [http("/away", status=302)])
    assert result.outcome == "passed", result.messages


def test_headers_and_body_are_templates_and_sent(carry: Carry) -> None:
    result = carry([http("/", method="POST", body="{{ title }}", headers={"X-Asked": "{{ token }}"},
                         contains="Geheim-123:Agenda")])  # fmt: skip
    assert result.outcome == "passed", result.messages


def test_the_percentile_of_repeated_answers_is_measured(carry: Carry) -> None:
    result = carry([http(budget_ms=2000, repeat=20, percentile=95)])
    assert result.outcome == "passed", result.messages
    assert "20 answers" in said(result)
    assert "95%" in said(result)


def test_proxies_of_the_user_are_not_used(carry: Carry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert carry([http()]).outcome == "passed"


def test_with_several_hosts_a_step_says_whose_variables_it_means(
    carry: Carry, environment: Environment, port: int
) -> None:
    two = msgspec.structs.replace(
        environment, hosts=(Host("t1", {"port": 1}), Host("t2", {"port": port}))
    )
    result = carry(
        [http()],
        [http(host="t2")],
        ['http: {url: "http://127.0.0.1:{{ hosts.t2.port }}/"}'],
        environment=two,
    )
    assert [case.outcome for case in result.cases] == ["failed", "passed", "passed"]
    assert "port" in result.messages["c0"]


def test_a_host_of_the_environment_may_be_asked_by_its_name(
    carry: Carry, environment: Environment
) -> None:
    named = msgspec.structs.replace(
        environment,
        hosts=(Host("t1.invalid", {"port": 1}),),
        variables={"base": "http://t1.invalid:{{ port }}"},
    )
    assert "no answer" in said(carry([http()], environment=named))


# Commands


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (command("false"), "ended with 1, and 0 was expected"),
        (command("true", exit=2), "ended with 0, and 2 was expected"),
        (command("no-such-program"), "can't be started"),
        (command("./look.sh"), "can't be started"),
        (command("echo", "hello", contains="goodbye"), "goodbye"),
        (command("sleep", "60", timeout_seconds=1), "within 1 s"),
        (command("echo", "{{ nothing }}"), "nothing"),
        (command("sh", "-c", "kill -9 $$"), "-9"),
    ],
)
def test_a_program_that_does_not_end_as_said_fails(carry: Carry, step: str, message: str) -> None:
    assert message in said(carry([step]))


def test_arguments_are_templates_and_no_shell_reads_them(carry: Carry) -> None:
    result = carry([command("echo", "{{ title }}; $(id) > x", contains="Agenda; $(id) > x")])
    assert result.outcome == "passed", result.messages


def test_a_program_sees_a_minimal_environment(
    carry: Carry, monkeypatch: pytest.MonkeyPatch, store: Store
) -> None:
    monkeypatch.setenv("SECRET_OF_MINE", "x")
    monkeypatch.setenv("SSH_AUTH_SOCK", "/run/agent")
    result = carry([command("env")])
    output = json.loads(store.get(result.evidence))["cases"][0]["steps"][0]["output"]
    names = {line.split("=")[0] for line in output.splitlines()}
    assert names == {
        "PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "PYTHONDONTWRITEBYTECODE",
        "OTAPGATE_ENVIRONMENT", "OTAPGATE_RESULTS",
    }  # fmt: skip


def test_what_a_program_started_ends_with_it(carry: Carry, tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    for tail, outcome in (("exit 0", "passed"), ("sleep 60", "failed")):
        step = command("sh", "-c", f"sleep 60 & echo $! > {mark}; {tail}", timeout_seconds=1)
        assert carry([step]).outcome == outcome
        pid = int(mark.read_text())
        for _ in range(100):
            if not Path(f"/proc/{pid}").exists() or ") Z" in Path(f"/proc/{pid}/stat").read_text():
                break
            time.sleep(0.02)
        else:
            os.kill(pid, signal.SIGKILL)
            pytest.fail("it still runs")


def test_endless_output_is_cut_and_does_not_fill_memory_or_store(
    carry: Carry, store: Store
) -> None:
    result = carry([script("for _ in range(3000): print('x' * 1000)\nprint('the end')",
                           contains="the end")])  # fmt: skip
    assert result.outcome == "passed", result.messages
    evidence = store.get(result.evidence)
    assert len(evidence) < 40_000
    assert b"the end" in evidence


# Secrets


def test_secrets_are_in_neither_messages_nor_evidence(carry: Carry, store: Store) -> None:
    result = carry(
        [http("/broken", contains="x")],
        [command("echo", "{{ token }}", exit=1)],
        [command("{{ token }}")],
        [http("/{{ token }}?{{ undefined }}")],
        secrets=["Geheim-123"],
    )
    assert result.outcome == "failed"
    assert "Geheim-123" not in repr(result)
    evidence = store.get(result.evidence)
    assert b"Geheim-123" not in evidence
    assert b"********" in evidence


def test_a_secret_is_not_cut_in_half_where_output_is_left_out(carry: Carry, store: Store) -> None:
    secret = "Zeer-geheim-" + "q" * 3000
    for shift in (0, 1500, 2999):
        result = carry(
            [script(f"print('x' * {256 * 1024 - shift} + {secret!r} + 'y' * 600000)")],
            secrets=[secret],
        )
        assert result.outcome == "passed", result.messages
        assert b"qqqqq" not in store.get(result.evidence)


# pytest

GOOD = """
import json, os, pathlib
def test_environment():
    about = json.loads(pathlib.Path(os.environ["OTAPGATE_ENVIRONMENT"]).read_text())
    assert about["name"] == "agenda-T"
    assert about["release"]["version"] == "3.5.4"
    assert about["hosts"][0]["name"] == "t1"
def test_beside():
    from beside import two
    assert two == 2
def test_from_conftest(three):
    assert three == 3
def test_temporary(tmp_path):
    (tmp_path / "x").write_text("x")
"""
CONFTEST = "import pytest\n@pytest.fixture\ndef three():\n    return 3\n"


def pytests(text: str) -> dict[str, str]:
    return {"tests/test_a.py": text}


def test_tests_that_pass_see_the_environment_and_their_own_files(carry: Carry) -> None:
    files = {**pytests(GOOD), "tests/beside.py": "two = 2\n", "tests/conftest.py": CONFTEST}
    result = carry(["pytest: {path: tests/test_a.py}"], files=files)
    assert result.outcome == "passed", result
    assert said(result) == "4 tests passed."


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def test_a(): pass\ndef test_b(): assert 1 == 2, 'no'\n", "1 of 2 tests failed: "),
        ("def test_b(): assert 1 == 2\n", "tests.test_a::test_b"),
        ("import pytest\ndef test_a(): pass\ndef test_b(): pytest.skip('later')\n", "later"),
        ("import pytest\n@pytest.mark.xfail\ndef test_b(): assert 0\n", "not carried out"),
        ("x = 1\n", "No test was found"),
        ("import absent\n", "failed"),
        ("import os\ndef test_a(): os._exit(0)\n", "without a report"),
        ("import time\ndef test_a(): time.sleep(60)\n", "within 2 s"),
    ],
)
def test_tests_that_prove_nothing_fail(carry: Carry, text: str, message: str) -> None:
    result = carry(
        ["pytest: {path: tests/test_a.py, timeout_seconds: 2}"]
        if "sleep" in text
        else ["pytest: {path: tests}"],
        files=pytests(text),
    )
    assert result.outcome == "failed"
    assert message in said(result)


def test_a_selection_that_selects_nothing_fails(carry: Carry) -> None:
    result = carry(["pytest: {path: tests, select: other}"], files=pytests("def test_a(): pass\n"))
    assert "No test was found" in said(result)


def test_settings_outside_of_the_plan_do_not_matter(carry: Carry, tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    (tmp_path / "conftest.py").write_text("raise RuntimeError\n")
    assert carry(["pytest: {path: tests}"], files=pytests("def test_a(): pass\n")).outcome == (
        "passed"
    )


# Playbooks


def test_a_playbook_runs_from_the_bundle_by_the_given_runner(carry: Carry, tmp_path: Path) -> None:
    seen: list[Path] = []

    def ansible(playbook: Path, _stop: object) -> PlaybookResult:
        seen.append(playbook)
        ok = playbook.read_text() == "good\n"
        said = "as it should" if ok else f"It broke ({playbook}:1)"
        return PlaybookResult(ok, said, b"PLAY [all]")

    result = carry(
        ["playbook: good.yml"],
        ["playbook: bad.yml"],
        files={"good.yml": "good\n", "bad.yml": "bad\n"},
        hands=Hands(ansible=ansible),
    )
    assert [case.outcome for case in result.cases] == ["passed", "failed"]
    assert result.messages["c1"] == "It broke (bad.yml:1)"
    assert all(path.is_relative_to(tmp_path / "work") for path in seen)


def test_a_playbook_that_can_not_be_run_is_a_failure(carry: Carry) -> None:
    def breaks(_playbook: Path, _stop: object) -> PlaybookResult:
        raise OSError("no ansible here")

    files = {"good.yml": "good\n"}
    assert "can't be run" in said(carry(["playbook: good.yml"], files=files))
    assert "no ansible here" in said(
        carry(["playbook: good.yml"], files=files, hands=Hands(ansible=breaks))
    )


# Ctrl-C

STOPPED = """
import json, sys
from pathlib import Path
from otapgate.landscape.model import Environment, Host
from otapgate.release.manifest import Manifest, State
from otapgate.release.store import Store
from otapgate.testing.plan import load_bundle
from otapgate.testing.run import Interrupted, run
store, work = Store(Path(sys.argv[1])), Path(sys.argv[2])
manifest = Manifest("agenda", "1", "s", (), {}, State(), (), ())
environment = Environment("agenda-T", "T", "s", "", (Host("t1"),))
try:
    run(load_bundle(store, sys.argv[3]), manifest=manifest, environment=environment,
        workdir=work, store=store, on_case=lambda case, message: print("heard", flush=True))
except KeyboardInterrupt as error:
    assert isinstance(error, Interrupted)
    print(json.dumps([[c.outcome for c in error.result.cases], error.result.evidence]))
"""


def test_ctrl_c_keeps_honest_evidence_and_stops_what_runs(
    carry: Carry, store: Store, tmp_path: Path
) -> None:
    mark = tmp_path / "pid"
    plan = tmp_path / "plans/agenda.yml"
    carry([command("true")], [command("true")], [command("true")])
    text = plan.read_text().splitlines()
    slow = json.dumps(["sh", "-c", f"echo $$ > {mark}; exec sleep 60"])
    text[text.index("- id: c1") + 3] = f"  - command: {{argv: {slow}}}"
    plan.write_text("\n".join(text) + "\n")
    digest = bundle(plan, tmp_path, store).digest
    process = subprocess.Popen(
        [sys.executable, "-c", STOPPED, str(store.root), str(tmp_path / "work"), digest],
        stdout=subprocess.PIPE,
        text=True,
    )
    for _ in range(500):
        if mark.exists() and mark.read_text().strip():
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=20)
    outcomes, evidence = json.loads(output.splitlines()[-1])
    assert outcomes == ["passed", "failed", "skipped"]
    kept = json.loads(store.get(evidence))
    assert kept["outcome"] == "failed"
    assert [case["message"] for case in kept["cases"][1:]] == [
        "Interrupted.",
        "Not carried out: the run was interrupted.",
    ]
    assert not Path(f"/proc/{mark.read_text().strip()}").exists()
    assert list((tmp_path / "work").iterdir()) == []


def test_ctrl_c_while_a_program_begins_ends_it_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[subprocess.Popen[bytes]] = []

    class Slow(subprocess.Popen):  # type: ignore[type-arg]
        """Ctrl-C comes when the program runs and nobody knows of it yet."""

        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            begun.append(self)
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(subprocess, "Popen", Slow)
    with pytest.raises(KeyboardInterrupt):
        carry_out(["sleep", "60"], folder=tmp_path, environment=os.environ, seconds=60)
    assert begun[0].returncode == 0, "the leash ends by itself, once nothing is left"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
