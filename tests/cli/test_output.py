from __future__ import annotations

import os
import pty
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otapgate import errors, i18n
from otapgate.cli.options import Options, use
from otapgate.cli.output import Reply, confirm, print_json, printable, show_error, table


@given(st.text())
def test_no_text_reaches_the_terminal_with_power_over_it(text: str):
    shown = printable(text)
    assert not [c for c in shown if c not in "\n\t" and unicodedata.category(c) in ("Cc", "Cf")]


def test_a_reply_spells_out_what_would_steer_the_terminal(capsys):
    Reply({}, "title\x1b[2Jgone").show()
    assert capsys.readouterr().out == "title\\x1b[2Jgone\n"


def test_a_place_is_said_once(capsys):
    problem = errors.Problem("It is no number.", "a.yml", 3)
    show_error(errors.BadInput("x", "It is wrong.", where="a.yml:3", problems=(problem,)))
    assert capsys.readouterr().err.count("a.yml:3") == 1
    show_error(errors.BadInput("x", "It is wrong.", where="b.yml", problems=(problem,)))
    assert "in b.yml" in capsys.readouterr().err


def test_what_is_to_be_filled_in_is_named_in_the_users_language(capsys):
    i18n.use("nl")
    try:
        way = "otapgate change schedule X --window START/END"
        show_error(errors.Usage("x", "Fout.", remedy=way))
    finally:
        i18n.use("en")
    assert "--window BEGIN/EINDE" in capsys.readouterr().err


def test_every_way_out_has_a_line_that_can_be_pasted(capsys):
    show_error(errors.Busy("x", "It is open.", remedy="otapgate a --resume\notapgate b"))
    assert capsys.readouterr().err.splitlines()[1:] == [
        "   → otapgate a --resume",
        "   → otapgate b",
    ]


cells = st.text(st.characters(exclude_categories=["Cc", "Cf", "Cs", "Zl", "Zp"]), max_size=8)


@given(st.lists(st.tuples(cells, cells), min_size=1, max_size=5))
def test_columns_of_a_table_start_below_each_other(rows):
    from otapgate.cli.output import _width

    marked = [[first, "|" + second] for first, second in rows]
    lines = table(["head", "|second"], marked).split("\n")
    starts = {_width(line[: line.index("|", len(row[0]))]) for line, row in
              zip(lines, [["head", ""], *marked], strict=True)}  # fmt: skip
    assert len(starts) == 1


def test_json_holds_what_was_said_in_any_script(capsys):
    import json

    print_json({"ok": True, "name": "Çelik — 学校 \x1b \ud800"})
    out = capsys.readouterr().out
    assert "Çelik — 学校" in out
    assert json.loads(out)["ok"] is True
    assert "\x1b" not in out


@given(st.text())
def test_no_json_reaches_the_terminal_with_power_over_it(text: str):
    import contextlib
    import io
    import json

    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        print_json({text: [text]})
    shown = out.getvalue()
    assert json.loads(shown) == {text: [text]}
    assert not [c for c in shown if c != "\n" and not c.isprintable()]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x9b31m", "\\u009b31m"),
        ("\x7f", "\\u007f"),
        ("\u202egnp", "\\u202egnp"),
        ("\U000e0041", "\\udb40\\udc41"),
        ("Çelik — 学校 😀", "Çelik — 学校 😀"),
    ],
)
def test_json_spells_out_what_would_steer_the_terminal(capsys, text: str, shown: str):
    print_json({"x": text})
    assert f'"{shown}"' in capsys.readouterr().out


def test_json_stays_json_where_the_encoding_lacks_letters():
    code = "from otapgate.cli.output import print_json; print_json({'x': 'Çelik 😀'})"
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True,
                          check=True)  # fmt: skip
    assert done.stdout == b'{\n  "x": "\\u00c7elik \\ud83d\\ude00"\n}\n'


def test_a_question_without_a_terminal_is_wrong_usage_and_not_a_wait(monkeypatch):
    with Path(os.devnull).open() as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        with pytest.raises(errors.Usage):
            confirm("Sure?")


def test_yes_on_the_command_line_answers_the_question(monkeypatch):
    use(Options(yes=True))
    monkeypatch.setattr(sys, "stdin", None)
    confirm("Sure?")


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("ja", 0), ("n", 2), ("", 2)])
def test_only_a_yes_on_the_terminal_goes_on(answer: str, code: int):
    script = (
        "import sys\nfrom otapgate.cli.output import confirm\nfrom otapgate.errors import Usage\n"
        "try:\n    confirm('Sure?')\nexcept Usage as e:\n    sys.exit(int(e.exit))\n"
    )
    ours, theirs = pty.openpty()
    with subprocess.Popen([sys.executable, "-c", script], stdin=theirs, stderr=theirs) as process:
        os.close(theirs)
        os.read(ours, 1000)
        os.write(ours, f"{answer}\n".encode())
        assert process.wait(timeout=20) == code
    os.close(ours)
