from __future__ import annotations

from pathlib import Path

import pytest

from otapgate import i18n

from .conftest import Run

DUTCH = "Gebruik: "
ENGLISH = "Usage: "


@pytest.mark.parametrize(
    ("words", "environment", "expected"),
    [
        (["--lang", "nl"], {}, DUTCH),
        (["--lang", "en"], {"OTAPGATE_LANG": "nl"}, ENGLISH),
        ([], {"OTAPGATE_LANG": "nl"}, DUTCH),
        ([], {"LC_ALL": "nl_NL.UTF-8"}, DUTCH),
        ([], {"LC_ALL": "de_DE.UTF-8"}, ENGLISH),
    ],
)
def test_the_language_comes_from_option_variable_and_locale(run: Run, words, environment, expected):
    assert run(*words, "--help", **environment).out.startswith(expected)
    assert run("status", *words, "--help", **environment).out.startswith(expected)


@pytest.mark.parametrize("line", ["language: nl", 'language: "nl"  # Dutch', "language: 'nl'"])
def test_the_landscape_comes_before_the_locale(run: Run, tmp_path: Path, line: str):
    (tmp_path / "otapgate.yml").write_text(f"name: linde\n{line}\n")
    below = tmp_path / "below"
    below.mkdir()
    assert run("--help", cwd=below).out.startswith(DUTCH)
    assert run("--help", "--landscape", str(tmp_path), cwd=Path("/")).out.startswith(DUTCH)


def test_a_landscape_that_is_no_text_is_no_reason_to_fail(run: Run, tmp_path: Path):
    (tmp_path / "otapgate.yml").write_bytes(b"\xff\xfe\x00language: xx\n")
    assert run("--help").out.startswith(ENGLISH)


def test_json_is_the_same_in_every_language(run: Run):
    dutch, english = (run("--json", "--lang", x, "doctor").json for x in ("nl", "en"))
    assert [(c["name"], c["outcome"]) for c in dutch["checks"]] == [
        (c["name"], c["outcome"]) for c in english["checks"]
    ]


def test_the_parser_and_the_system_speak_dutch_too(run: Run) -> None:
    def said(*words: str) -> str:
        done = run("--lang", "nl", *words)
        return done.out + done.err

    assert "geheel getal" in said("log", "list", "--last", "x")
    assert "hoogstens 50" in said("anonymize", "check", "x", "--rows", "99")
    assert "ten minste 1" in said("anonymize", "check", "x", "--rows", "0")
    page = said("release", "build", "--help")
    assert "BESTAND" in page
    assert not {"FILE", "[OPTIONS]", "[required]"} & set(page.split())
    assert "[verplicht]" in page


def test_what_the_system_says_of_a_file_is_said_in_dutch() -> None:
    i18n.use("nl")
    try:
        missing = FileNotFoundError(2, "No such file or directory", "x")
        assert i18n.why(missing) == "er is geen bestand of map met die naam"
        assert i18n.why(OSError(9999, "Odd")) == "Odd"
        assert i18n.why(OSError("no number")) == "no number"
    finally:
        i18n.use("en")
    assert i18n.why(missing) == "there is no file or folder of that name"
