"""Reports of other programs, hostile ones too."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otapgate.testing.junit import Malformed, Reported, parse

REPORT = b"""<?xml version="1.0"?><testsuites><testsuite>
<testcase classname="tests.test_a" name="test_good"/>
<testcase classname="tests.test_a" name="test_bad"><failure message="no">trace</failure></testcase>
<testcase classname="" name="tests.test_b"><error message="import"/></testcase>
<testcase name="later"><skipped message="later"/></testcase>
<testcase name="both"><skipped message="s"/><error message="e"/></testcase>
</testsuite></testsuites>"""


def test_a_report_says_what_became_of_each_test() -> None:
    assert parse(REPORT) == [
        Reported("tests.test_a::test_good", "passed"),
        Reported("tests.test_a::test_bad", "failed", "no"),
        Reported("tests.test_b", "failed", "import"),
        Reported("later", "skipped", "later"),
        Reported("both", "failed", "s"),
    ]


@pytest.mark.parametrize(
    "data",
    [
        b"", b"x", b"<a/>", REPORT[:-20],
        b"<!DOCTYPE a [<!ENTITY b 'c'>]><testsuite>&b;</testsuite>",
        b"<!DOCTYPE a SYSTEM 'file:///etc/passwd'><testsuite/>",
    ],
)  # fmt: skip
def test_what_is_no_report_is_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        parse(data)


@given(st.binary(max_size=100))
def test_noise_is_refused_and_never_breaks(data: bytes) -> None:
    with pytest.raises(Malformed):
        parse(data)
