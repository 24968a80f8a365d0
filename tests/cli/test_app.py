"""What the frame promises of every command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from otapgate import errors
from otapgate.cli import app
from otapgate.cli.commands import COMMANDS, Command, Group
from otapgate.cli.options import split

from .conftest import Run


def every(known: dict[str, Command | Group] = COMMANDS, *before: str):
    for name, found in known.items():
        if isinstance(found, Group):
            yield from every(found.commands, *before, name)
        else:
            yield (*before, name), found


LEAVES = list(every())


@pytest.mark.parametrize(("words", "command"), LEAVES, ids=[" ".join(w) for w, _ in LEAVES])
def test_every_command_exists_and_its_help_shows_its_example(words, command, capsys):
    assert app.main([*words, "--help"]) == 0
    page = " ".join(capsys.readouterr().out.split())
    assert " ".join(command.example.split()) in page
    assert command.example.startswith(" ".join(["otapgate", *words]))
    assert "--landscape DIR" in page


@pytest.mark.parametrize(("words", "command"), LEAVES, ids=[" ".join(w) for w, _ in LEAVES])
def test_every_example_is_a_call_that_the_parser_takes(words, command):
    import shlex

    _options, rest = app.split(shlex.split(command.example)[1:])
    context = app.root().make_context("otapgate", rest)
    group = context.command
    while isinstance(group, app.LazyGroup):
        name, inner, rest = group.resolve_command(
            context, [*context._protected_args, *context.args]
        )
        context = inner.make_context(name, rest, parent=context)
        group = inner
    assert context.command.name == words[-1]


def test_options_count_before_and_after_the_command(run: Run, tmp_path: Path):
    before = run("--json", "--landscape", str(tmp_path), "status")
    after = run("status", "--json", f"--landscape={tmp_path}")
    assert before == after
    assert before.code == 4
    assert before.json["ok"] is False
    assert before.json["error"]["code"] == "landscape-not-found"
    assert before.err == ""


def test_a_landscape_from_the_environment_gives_way_to_the_option(run: Run, tmp_path: Path):
    there, elsewhere = tmp_path / "there", tmp_path / "elsewhere"
    by_variable = run("--json", "status", OTAPGATE_LANDSCAPE=str(there))
    by_option = run(
        "--json", "status", "--landscape", str(elsewhere), OTAPGATE_LANDSCAPE=str(there)
    )
    assert by_variable.json["error"]["where"] == str(there)
    assert by_option.json["error"]["where"] == str(elsewhere)


def test_a_landscape_that_was_named_is_never_another_one_above_it(run: Run, tmp_path: Path):
    (tmp_path / "otapgate.yml").write_text("name: above\n")
    below = tmp_path / "below"
    below.mkdir()
    assert run("--json", "check", "--landscape", str(below)).json["error"]["code"] == (
        "landscape-not-found"
    )


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["nosuch"], "command-unknown", "nosuch"),
        (["status", "--nosuch"], "usage", "--nosuch"),
        (["people", "enrol", "Anna"], "usage", "KEY.pub"),
        (["schema", "a", "b"], "usage", "b"),
        (["gate", "explain", "x@1", "--change", "C"], "usage", "--to"),
        (["--landscape"], "option-empty", "--landscape"),
        (["--lang", "xx", "status"], "language-unknown", "xx"),
    ],
)
def test_wrong_usage_is_exit_2_as_text_and_as_json(run: Run, words, code, said):
    text, as_json = run(*words), run("--json", *words)
    assert (text.code, as_json.code) == (2, 2)
    assert said in text.err
    assert text.out == ""
    assert as_json.json["error"]["code"] == code
    assert said in as_json.json["error"]["message"]
    assert as_json.err == ""


def test_a_misspelt_command_is_answered_with_the_nearest(run: Run):
    assert "status" in run("stauts").err
    assert "build" in run("release", "buidl").err


def test_the_version_may_be_asked_anywhere(run: Run):
    from otapgate import __version__

    assert __version__ in run("--version").out
    assert __version__ in run("status", "--version").out
    assert run("--version", "--json").json == {"ok": True, "version": __version__}


def test_the_top_of_the_help_imports_no_command_and_nothing_heavy():
    code = (
        "import sys\nfrom otapgate.cli.app import main\nmain(['--help'])\n"
        "print(' '.join(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    loaded = set(done.stderr.split())
    heavy = {"sqlalchemy", "paramiko", "ansible_runner", "polars", "pydantic", "yaml", "msgspec",
             "rich", "cryptography", "sqlite3"}  # fmt: skip
    commands = {f"otapgate.cli.{c.target.partition(':')[0]}" for _w, c in LEAVES}
    assert not loaded & heavy
    assert not loaded & commands


def test_an_unforeseen_error_is_one_sentence_and_a_file_only_we_can_read(run: Run, tmp_path: Path):
    script = tmp_path / "boom.py"
    script.write_text(
        "import sys\nfrom otapgate.cli import app, status\n"
        "def status_(street=None): raise ZeroDivisionError('secret')\n"
        "status.status = status_\nsys.exit(app.main(sys.argv[1:]))\n"
    )
    state = tmp_path / "state"
    state.mkdir()
    environment = {**os.environ, "TMPDIR": str(state)}
    done = subprocess.run([sys.executable, str(script), "status"], capture_output=True, text=True,
                          env=environment, check=False, timeout=60)  # fmt: skip
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    (kept,) = state.iterdir()
    assert str(kept) in done.stderr
    assert kept.stat().st_mode & 0o777 == 0o600
    assert "ZeroDivisionError" in kept.read_text()
    words = [sys.executable, str(script), "status", "--debug"]
    shown = subprocess.run(words, text=True, capture_output=True, env=environment, check=False,
                           timeout=60)  # fmt: skip
    assert "Traceback" in shown.stderr


def test_an_error_of_a_command_carries_every_problem_into_text_and_json(capsys, monkeypatch):
    from otapgate.cli import status

    def broken(street: str | None = None) -> None:
        problems = (
            errors.Problem("first thing", "a.yml", 3, "mend it"),
            errors.Problem("second thing", "b.yml"),
        )
        raise errors.BadInput("several", "It is wrong.", remedy="look", problems=problems)

    monkeypatch.setattr(status, "status", broken)
    assert app.main(["status"]) == 4
    text = capsys.readouterr()
    assert text.out == ""
    for said in (
        "It is wrong.",
        "a.yml:3: first thing",
        "→ mend it",
        "b.yml: second thing",
        "→ look",
    ):
        assert said in text.err
    assert app.main(["status", "--json"]) == 4
    import json

    found = json.loads(capsys.readouterr().out)
    assert [p["line"] for p in found["problems"]] == [3, None]


def test_an_interruption_within_a_command_is_told_and_is_exit_130(tmp_path: Path):
    script = tmp_path / "wait.py"
    script.write_text(
        "import sys, time\nfrom otapgate.cli import app, status\n"
        "def status_(street=None):\n    print('ready', file=sys.stderr, flush=True)\n"
        "    time.sleep(30)\n"
        "status.status = status_\nsys.exit(app.main(sys.argv[1:]))\n"
    )
    with subprocess.Popen([sys.executable, str(script), "status"], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as process:  # fmt: skip
        assert process.stderr is not None
        assert process.stderr.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        _out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Interrupted" in err
    assert "Traceback" not in err


def test_a_reader_that_goes_away_changes_neither_the_work_nor_its_exit_code(tmp_path: Path):
    script = tmp_path / "chatty.py"
    script.write_text(
        "import sys, pathlib\nfrom otapgate.cli import app, status\n"
        "from otapgate.cli.output import Reply, progress\nfrom otapgate.errors import Exit\n"
        "def status_(street=None):\n"
        "    for n in range(2000): progress('line ' * 40)\n"
        f"    pathlib.Path({str(tmp_path / 'done')!r}).write_text('done')\n"
        "    return Reply({}, 'x' * 200_000, ok=False, exit=Exit.REFUSED)\n"
        "status.status = status_\nsys.exit(app.main(sys.argv[1:]))\n"
    )
    read, write = os.pipe()
    with subprocess.Popen([sys.executable, str(script), "status"], stdout=write,
                          stderr=write) as process:  # fmt: skip
        os.close(write)
        os.read(read, 10)
        os.close(read)
        assert process.wait(timeout=30) == 3
    assert (tmp_path / "done").read_text() == "done"


def test_the_shell_completes_commands_and_options(run: Run):
    def completed(words: str) -> set[str]:
        done = run(
            _OTAPGATE_COMPLETE="complete_bash",
            COMP_WORDS=words,
            COMP_CWORD=str(len(words.split(" ")) - 1),
        )
        return set(done.out.split())

    assert completed("otapgate pe") == {"people"}
    assert completed("otapgate release b") == {"build"}
    assert "--change" in completed("otapgate release build --ch")
    assert (
        "otapgate"
        in run("--show-completion", SHELL="/bin/bash").out
        + run(_OTAPGATE_COMPLETE="source_bash").out
    )


def test_a_word_that_is_not_utf_8_is_wrong_usage(tmp_path: Path):
    for place in (b"Zo\xeb", b"--key=Zo\xeb"):
        words = [sys.executable.encode(), b"-m", b"otapgate", b"people", b"enrol", place, b"x.pub",
                 b"--json"]  # fmt: skip
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, timeout=60, check=False)
        assert done.returncode == 2
        import json

        said = json.loads(done.stdout)["error"]
        assert said["code"] == "not-utf-8"
        assert "Zo\\xeb" in said["message"]


def test_json_without_a_command_is_one_object(run: Run):
    done = run("--json")
    assert done.code == 2
    assert done.json["error"]["code"] == "usage"
    assert done.json["error"]["remedy"] == "otapgate --help"
    done = run("people", "--json")
    assert (done.code, done.json["ok"]) == (2, False)


def test_help_in_json_is_one_object(run: Run):
    for words in (("--help",), ("status", "--help"), ("people", "--help")):
        done = run(*words, "--json")
        assert done.code == 0
        assert done.json["ok"] is True
        assert "otapgate" in done.json["help"]


@pytest.mark.parametrize(
    ("line", "rest", "as_json"),
    [
        (["log", "clock", "--because", "--json"], ["log", "clock", "--because", "--json"], False),
        (["log", "clock", "--because", "--key", "x"],
         ["log", "clock", "--because", "--key", "x"], False),
        (["log", "clock", "--because", "x", "--json"], ["log", "clock", "--because", "x"], True),
        (["log", "clock", "--because=x", "--json"], ["log", "clock", "--because=x"], True),
        (["--json", "log", "clock", "--because", "-y"], ["log", "clock", "--because", "-y"], True),
        (["promote", "x", "--dry-run", "--json"], ["promote", "x", "--dry-run"], True),
        (["log", "--because", "--json"], ["log", "--because"], True),
        (["nonsense", "--because", "--json"], ["nonsense", "--because"], True),
    ],
)  # fmt: skip
def test_the_value_of_an_option_is_no_option(
    line: list[str], rest: list[str], as_json: bool
) -> None:
    found, left = split(line, app.takes_value)
    assert left == rest
    assert found.json is as_json
