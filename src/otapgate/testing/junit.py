"""Reads the JUnit XML that test programs write. Hostile: no document types, no entities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal
from xml.parsers import expat

MAX_BYTES = 32 * 1024 * 1024


class Malformed(ValueError):
    """The file isn't JUnit XML that can be trusted to say what happened."""


@dataclass(slots=True)
class Reported:
    """One test as reported."""

    name: str
    outcome: Literal["passed", "failed", "skipped"]
    message: str = ""


def parse(data: bytes) -> list[Reported]:
    """The tests of a report, in its order. Raises Malformed."""
    if len(data) > MAX_BYTES:
        raise Malformed("too large")
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = reader.doctype
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise Malformed(str(error)) from error
    if not reader.report:
        raise Malformed("no testsuite")
    return reader.tests


class _Reader:
    def __init__(self) -> None:
        self.tests: list[Reported] = []
        self.report = False
        self._current: Reported | None = None

    def doctype(self, *_arguments: Any) -> None:
        raise Malformed("document type declared")

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name in ("testsuites", "testsuite"):
            self.report = True
        elif name == "testcase":
            where, what = attributes.get("classname", ""), attributes.get("name", "")
            self._current = Reported(f"{where}::{what}" if where else what, "passed")
            self.tests.append(self._current)
        elif self._current is not None and name in ("failure", "error", "skipped"):
            # A test that failed and whose clean-up was skipped has failed.
            if name != "skipped":
                self._current.outcome = "failed"
            elif self._current.outcome == "passed":
                self._current.outcome = "skipped"
            self._current.message = self._current.message or attributes.get("message", "")

    def end(self, name: str) -> None:
        if name == "testcase":
            self._current = None
