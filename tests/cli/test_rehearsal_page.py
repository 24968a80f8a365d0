"""The page of a rehearsal: every task and fault, nothing in it taken for HTML."""

from __future__ import annotations

import re
from typing import Any

from otapgate.cli.rehearsal_page import page
from otapgate.i18n import use


def case(fault: str, index: int, task: str, *left: str) -> dict[str, Any]:
    return {"fault": fault, "index": index, "task": task, "restored": not left, "left": left}


FOUND = {
    "id": "rehearsal-1",
    "outcome": "not-restored",
    "environment": "site-T",
    "seconds_rollback": 4.25,
    "message": "Cut short 3 times.",
    "evidence": "sha256:00",
    "limits": [{"change": "CHG-0001", "minutes": 10, "kept": True}],
    "cases": [
        case("none", 0, ""),
        case("kill", 1, "Copy"),
        case("fail", 1, "Copy", "web: path /srv/<b>x</b>: file was added"),
        case("kill", 2, "Migrate"),
    ],
}


def test_every_task_is_a_row_and_every_fault_a_column() -> None:
    text = page("site@2.0", FOUND)
    rows = re.findall(r"<tr><th scope=\"row\">(.*?)</th>(.*?)</tr>", text, re.DOTALL)
    assert [name for name, _cells in rows] == ["whole deployment", "1. Copy", "2. Migrate"]
    cells = [re.findall(r"<td(?: class=\"(\w+)\")?>", inner) for _name, inner in rows]
    assert cells == [["good", "", "", ""], ["", "good", "bad", ""], ["", "good", "", ""]]
    assert "4.2 s" in text
    assert "at most 10 min is promised; kept." in text
    assert "NOT restored: 3 of 4 cases came back." in text


def test_colour_and_sight_are_not_needed() -> None:
    text = page("site@2.0", FOUND)
    for marked in re.findall(r"<td class=\"\w+\">(.*?)</td>", text, re.DOTALL):
        assert "restored" in marked, "what the colour says is written too"
    assert text.count('<span class="said">no such case</span>') == 8, "a dash is read out as that"
    assert '<div class="wide" role="region" aria-labelledby="cases" tabindex="0">' in text
    assert text.count('<th scope="col">') == 5
    assert '<ul lang="en">' in text, "what is left is English, whatever the page's language"


def test_a_dutch_page_is_dutch() -> None:
    use("nl")
    try:
        text = page("site@2.0", FOUND)
    finally:
        use("en")
    assert '<html lang="nl">' in text
    assert "4,2 s" in text
    assert "NIET hersteld: 3 van de 4 gevallen kwamen terug." in text


def test_what_a_host_says_is_text() -> None:
    text = page("site@2.0", FOUND)
    assert "/srv/&lt;b&gt;x&lt;/b&gt;" in text
    assert "<b>x" not in text
