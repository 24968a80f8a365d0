"""YAML read with positions: what is taken, and what is refused where."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from otapgate import canonical, i18n
from otapgate.landscape import sentences, yaml_positions
from otapgate.landscape.sentences import Wrong


def only(text: str | bytes) -> tuple[int | None, str, str | None]:
    document = yaml_positions.load(text, "f.yml")
    assert len(document.problems) == 1, document.problems
    problem = document.problems[0]
    assert problem.file == "f.yml"
    return problem.line, problem.message, problem.remedy


@pytest.mark.parametrize(
    "word",
    ["no", "NO", "yes", "on", "off", "010", "0x1F", "0o17", "12:30", "1_000", "+31612345678",
     "2026-01-01", "2026-01-01T10:00:00Z", "1.2.3", "=", "y"],
)  # fmt: skip
def test_words_that_other_readers_turn_into_something_else_stay_text(word: str) -> None:
    document = yaml_positions.load(f"a: {word}\n", "f.yml")
    assert document.data == {"a": word}
    assert document.problems == ()


def test_numbers_booleans_and_null_are_read() -> None:
    document = yaml_positions.load(
        "a: [0, -7, 42, true, False, null, ~, '1', \"true\"]\nb:", "f.yml"
    )
    assert document.data == {"a": [0, -7, 42, True, False, None, None, "1", "true"], "b": None}
    assert document.data["a"][3] is True


@pytest.mark.parametrize("number", ["1.10", "3.", ".5", "1e10", "-1.5e-3", ".inf", ".nan", "12e5"])
def test_a_number_with_a_point_is_refused_with_the_quotes_to_put(number: str) -> None:
    line, message, remedy = only(f"x: 1\nversion: {number}\n")
    assert line == 2
    assert number in message
    assert f'"{number}"' in (remedy or "")


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "'a' stands here twice; the first is on line 1"),
        ("a: b\n\tc: d\n", 2, "A tab stands"),
        ("a:\n\tb: c\n", 2, "A tab stands"),
        ("a:\n  b: 1\n  \t- c\n", 3, "A tab stands"),
        ("a: 1\nb: !vault x\n", 2, "The tag '!vault'"),
        ("a: 1\nb: !!python/object:os.system x\n", 2, "is not read here"),
        ("a: 1\n---\nb: 2\n", 2, "A second document"),
        ("a: 1\n1: x\n", 2, "The key '1' is not text"),
        ("true: x\n", 1, "The key 'true' is not text"),
        ("? [a]\n: b\n", 1, "A key must be text"),
        ("naïef: 1\n", 1, "letters outside ASCII"),
        ("a: &x {b: 1}\nc:\n  <<: *x\n", 3, "merging with '<<'"),
        ("a: &x [*x]\n", 1, "isn't whole yet"),
        ("a: 1\nb: *nowhere\n", 2, "'*nowhere' repeats '&nowhere'"),
        (f"a: 1\nb: {2**53}\n", 2, "too large"),
        ("a: " + "9" * 5000, 1, "too large"),
        ("a: 'x\n", 1, "This is not YAML"),
        ("a: b: c\n", 1, "mapping values are not allowed"),
        ("a: 1\nb: @c\n", 2, "cannot start any token"),
        ("\ufeffa: 1\n", 1, "byte order mark"),
        ("a: 1\nb: \x07\n", 2, "invisible character U+0007"),
        ("a: \ud800", 1, "not UTF-8"),
        (b"a: 1\nb: caf\xe9\n", 2, "not UTF-8: byte 0xe9"),
        (b"\xff\xfea\x00", 1, "byte order mark"),
        ("[" * 100_000, 1, "nested deeper than 40"),
        ("- " * 2_000 + "a", 1, "nested deeper than 40"),
    ],
)
def test_what_is_not_taken_is_named_with_its_line(text: str | bytes, line: int, words: str) -> None:
    found, message, remedy = only(text)
    assert words in message
    assert found == line
    assert remedy


def test_aliases_that_multiply_are_stopped_before_they_fill_memory() -> None:
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    line, message, _remedy = only("\n".join(rows))
    assert "more than 100000 values" in message
    assert line == 5


def test_a_moderate_alias_is_a_copy() -> None:
    document = yaml_positions.load("a: &x [1]\nb: *x\n", "f.yml")
    assert document.data == {"a": [1], "b": [1]}
    assert document.data["a"] is not document.data["b"]
    assert document.line(["b", 0]) == 1


def test_problems_of_one_file_are_told_together() -> None:
    document = yaml_positions.load("a: 1.5\na: 2\nb: !x y\n3: z\n", "f.yml")
    assert [problem.line for problem in document.problems] == [1, 2, 3, 4]


def test_the_line_of_a_value_is_that_of_its_key_and_of_a_missing_one_that_around_it() -> None:
    document = yaml_positions.load("# top\n\na:\n\n  b:\n  - c: 1\n  - d: 2\n", "f.yml")
    assert document.line([]) == 3
    assert document.line(["a"]) == 3
    assert document.line(["a", "b"]) == 5
    assert document.line(["a", "b", 1, "d"]) == 7
    assert document.line(["a", "b", 1, "gone"]) == 7
    assert document.line(["arm", "a", "b"]) == 5
    assert yaml_positions.load("", "f.yml").line(["a"]) is None


def test_a_file_is_read_as_its_text(tmp_path: Path) -> None:
    (tmp_path / "f.yml").write_text("a: één\n", encoding="utf-8")
    assert yaml_positions.load(tmp_path / "f.yml", "f.yml").data == {"a": "één"}


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "f.yml").open("wb") as stream:
        stream.truncate(10**12)
    document = yaml_positions.load(tmp_path / "f.yml", "f.yml")
    assert "larger than 1024 KiB" in document.problems[0].message


@pytest.mark.parametrize("kind", ["missing", "folder", "pipe", "loop"])
def test_what_is_no_ordinary_file_is_a_problem_and_hangs_nothing(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "f.yml"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "loop":
        path.symlink_to(path)
    document = yaml_positions.load(path, "f.yml")
    assert [problem.file for problem in document.problems] == ["f.yml"]


@given(st.binary(max_size=300))
def test_no_bytes_crash_the_reader(data: bytes) -> None:
    document = yaml_positions.load(data, "f.yml")
    yaml_positions.validate(document, Thing)
    if not document.problems:
        canonical.encode(document.data)


@given(st.text(alphabet="ab:-[]{}&*!|>'\"%@`#,?\n\t 01.~<\\eu", max_size=80))
def test_no_text_that_looks_like_yaml_crashes_the_reader(text: str) -> None:
    document = yaml_positions.load(text, "f.yml")
    yaml_positions.validate(document, Thing)
    if not document.problems:
        canonical.encode(document.data)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(max_codepoint=127), max_size=5), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(PLAIN)
def test_what_another_writer_writes_is_read_back_the_same(data: object) -> None:
    text = yaml.safe_dump(data, allow_unicode=False, default_style='"')
    document = yaml_positions.load(text, "f.yml")
    if document.problems:
        # quoted null, true and 1 get tags from this writer
        assert all("tag" in problem.message for problem in document.problems)
    else:
        assert document.data == data


class Step(BaseModel):
    model_config = ConfigDict(extra="forbid")

    kind: Literal["wait"]
    seconds: int = Field(ge=1, le=60)


class Call(BaseModel):
    model_config = ConfigDict(extra="forbid")

    kind: Literal["call"]
    url: str


class Thing(BaseModel):
    model_config = ConfigDict(extra="forbid")

    title: str
    on: bool = False
    password: int = 0
    steps: tuple[Annotated[Step | Call, Field(discriminator="kind")], ...] = ()
    ages: dict[str, Literal["old", "new"]] = {}

    def model_post_init(self, context: object) -> None:
        if self.title == "wrong":
            raise Wrong("The title is wrong.", "title", remedy="Take another.")


def sentence(text: str) -> list[tuple[int | None, str, str | None]]:
    document = yaml_positions.load(text, "f.yml")
    model, problems = yaml_positions.validate(document, Thing)
    assert (model is None) == bool(problems)
    return [(problem.line, problem.message, problem.remedy) for problem in problems]


def test_a_sound_document_becomes_its_model() -> None:
    document = yaml_positions.load("title: x\nsteps: [{kind: wait, seconds: 3}]\n", "f.yml")
    model, problems = yaml_positions.validate(document, Thing)
    assert problems == []
    assert model is not None
    assert model.steps == (Step(kind="wait", seconds=3),)


@pytest.mark.parametrize(
    ("text", "line", "message", "remedy"),
    [
        ("on: true\n", 1, "'title' is missing.", "Add 'title: …'."),
        ("title: x\ntitel: y\n", 2, "'titel' is not known here.", "Did you mean 'title'?"),
        ("title: x\nzzz: y\n", 2, "'zzz' is not known here.",
         "Known here: ages, on, password, steps, title."),
        ("title: 3\n", 1, "'title' is the number 3, but must be a text.",
         "Put quotes around it."),
        ("title: x\non: yes\n", 2, "'on' is the text \"yes\", but must be true or false.",
         "Write true or false."),
        ("title:\n", 1, "'title' is empty, but must be a text.", "Fill it in."),
        ("title: [a]\n", 1, "'title' is a list, but must be a text.", "Change it to a text."),
        ("title: x\nsteps:\n  - {kind: wait, seconds: 0}\n", 3,
         "'steps[1].seconds' is the number 0, but must be at least 1.", "Change it to at least 1."),
        ("title: x\nsteps:\n- kind: wait\n  seconds: '5'\n", 4,
         "'steps[1].seconds' is the text \"5\", but must be a whole number.",
         "Write the number without quotes."),
        ("title: x\nsteps:\n- kind: wait\n", 3, "'seconds' is missing in 'steps[1]'.",
         "Add 'seconds: …'."),
        ("title: x\nsteps:\n- kind: call\n  ur: y\n  url: z\n", 4, "'ur' is not known here.",
         "Did you mean 'url'?"),
        ("title: x\nages:\n  a: old\n  b: nwe\n", 4,
         "'ages.b' is the text \"nwe\", which is not possible.",
         "Did you mean 'new'? Choose one of: old, new."),
        ("title: wrong\n", 1, "The title is wrong.", "Take another."),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_plainly(text: str, line: int, message: str, remedy: str) -> None:
    assert sentence(text) == [(line, message, remedy)]


def test_an_unknown_kind_of_step_lists_those_there_are() -> None:
    [(line, message, remedy)] = sentence("title: x\nsteps:\n- {kind: sleep}\n")
    assert line == 3
    assert "sleep" in message
    assert "wait, call" in (remedy or "")


def test_an_empty_file_says_so() -> None:
    [(line, message, _remedy)] = sentence("# nothing\n")
    assert line is None
    assert message == "The file is empty."


def test_the_content_of_a_secret_is_not_repeated() -> None:
    [(_line, message, _remedy)] = sentence("title: x\npassword: hunter2\n")
    assert "hunter2" not in message


def test_control_characters_do_not_reach_the_terminal() -> None:
    [(_line, message, _remedy)] = sentence('title: x\n"a\\e[31m": 1\n')
    assert "\x1b" not in message
    assert r"\x1b" in message


def test_errors_of_yaml_and_of_content_are_told_together_and_each_once() -> None:
    found = sentence("titel: 1.5\non: maybe\n")
    assert [line for line, _message, _remedy in found] == [1, 1, 1, 2]


def test_a_path_counts_from_one_as_people_do() -> None:
    assert sentences.path(["a", 0, "b"]) == "a[1].b"


@pytest.mark.parametrize(
    "text", ["a: b: c\n", "a: @c\n", "a: 'x\n", "a: [1,\n", "a: {b: 1\nc: 2\n"]
)
def test_what_the_parser_says_is_said_in_dutch(text: str) -> None:
    i18n.use("nl")
    try:
        _line, message, _remedy = only(text)
    finally:
        i18n.use("en")
    assert "Dit is geen YAML" in message
    assert not {"found", "expected", "not", "mapping"} & set(message.split())
