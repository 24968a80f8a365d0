"""Reads the JUnit XML that test programs write. Hostile: no document types, no entities.

defusedxml parses, piece by piece, so that a file of any shape costs no more than its tests.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

from otapgate.i18n import _
from otapgate.landscape.yaml_positions import shown

MAX_BYTES = 32 * 1024 * 1024
MAX_TESTS = 100_000
MAX_DEPTH = 32


class Malformed(ValueError):
    """The file isn't JUnit XML that can be trusted to say what happened."""


@dataclass(slots=True)
class Reported:
    """One test as reported."""

    name: str
    outcome: Literal["passed", "failed", "skipped"]
    message: str = ""


def read_bytes(path: Path) -> bytes:
    """A report's bytes: of a regular file, no link, of a bounded size. Raises Malformed and
    OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise Malformed("no regular file")
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise Malformed("too large")
    return data


def read(path: Path) -> list[Reported]:
    """The tests of a report file. Raises Malformed and OSError."""
    return parse(read_bytes(path))


def parse(data: bytes) -> list[Reported]:
    """The tests of a report, in its order. Raises Malformed."""
    from defusedxml import ElementTree

    if len(data) > MAX_BYTES:
        raise Malformed("too large")
    tests: list[Reported] = []
    report = False
    current: Reported | None = None
    depth = 0
    try:
        events = ElementTree.iterparse(BytesIO(data), events=("start", "end"), forbid_dtd=True)
        for event, element in _bounded(events):
            name = element.tag.rpartition("}")[2]
            if event == "start":
                depth += 1
                if depth > MAX_DEPTH:
                    raise Malformed("nested too deeply")
                if name in ("testsuites", "testsuite"):
                    report = True
                elif name == "testcase":
                    where, what = element.get("classname", ""), element.get("name", "")
                    current = Reported(f"{where}::{what}" if where else what, "passed")
                    tests.append(current)
                elif current is not None and name in ("failure", "error", "skipped"):
                    _take(current, name, element.get("message", ""))
                continue
            depth -= 1
            if name == "testcase":
                current = None
            element.clear()  # what has been read needs no memory any more
    except Malformed:
        raise
    except Exception as error:  # XML errors, unknown encodings, forbidden constructs
        raise Malformed(f"{type(error).__name__}: {error}") from error
    if not report:
        raise Malformed("no testsuite")
    return tests


def _bounded(events: Any) -> Iterator[tuple[str, Any]]:
    tests = 0
    for event, element in events:
        tests += event == "start" and element.tag.endswith("testcase")
        if tests > MAX_TESTS:
            raise Malformed("too many tests")
        yield event, element


def _take(test: Reported, name: str, message: str) -> None:
    # A test that failed and whose clean-up was skipped has failed.
    if name != "skipped":
        test.outcome = "failed"
    elif test.outcome == "passed":
        test.outcome = "skipped"
    test.message = test.message or message


def of(tests: list[Reported], outcome: str) -> list[Reported]:
    """Those with that outcome."""
    return [test for test in tests if test.outcome == outcome]


def counted(tests: list[Reported]) -> dict[str, int]:
    """How many there are, and how many of each outcome."""
    return {"tests": len(tests)} | {x: len(of(tests, x)) for x in ("passed", "failed", "skipped")}


def wrong(tests: list[Reported], *, allow_skipped: bool = False) -> str:
    """Why these prove nothing, in a sentence; "" when they do."""
    bad, skipped = of(tests, "failed"), of(tests, "skipped")
    if bad:
        return _("{n} of {total} tests failed: {names}").format(
            n=len(bad), total=len(tests), names="; ".join(_names(bad))
        )
    if skipped and not allow_skipped:
        return _("{n} of {total} tests were not carried out: {names}").format(
            n=len(skipped), total=len(tests), names="; ".join(_names(skipped))
        )
    return ""


def named(tests: list[Reported]) -> list[str]:
    """Each that didn't pass, by its name and the first line of its message."""
    return _names([test for test in tests if test.outcome != "passed"], 500)


def _names(tests: list[Reported], most: int = 20) -> list[str]:
    found = []
    for test in tests[:most]:
        first = test.message.strip().splitlines()[0] if test.message.strip() else ""
        found.append(shown(test.name, 200) + (f" ({shown(first, 200)})" if first else ""))
    return [*found, *(["…"] if len(tests) > most else [])]
