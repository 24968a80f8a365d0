"""Fixtures of the tests through the command line: a school at a stage of its story."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from .school import School, remove

collect_ignore = ["app"]
"""The example application holds tests of its own, which its test plan runs."""


@pytest.fixture(scope="session")
def _school(tmp_path_factory: pytest.TempPathFactory) -> Iterator[School]:
    # While writing tests: OTAPGATE_E2E_HOME=DIR keeps the stages from run to run.
    lasting = os.environ.get("OTAPGATE_E2E_HOME")
    school = School(Path(lasting) if lasting else tmp_path_factory.mktemp("school"))
    yield school
    school.stop()
    remove(school.root)
    if not lasting:
        remove(school.kept)


@pytest.fixture
def founded(_school: School) -> School:
    """People, roles and accepted environments; nothing runs."""
    return _school.at("founded")


@pytest.fixture
def running(_school: School) -> Iterator[School]:
    """The old release runs everywhere; the new one is built for a change, no more."""
    yield _school.at("running")
    _school.stop()


@pytest.fixture
def prepared(_school: School) -> Iterator[School]:
    """The change is authorised and in its window, data are anonymised, the plan is
    registered: the new release may go to test."""
    yield _school.at("prepared")
    _school.stop()


@pytest.fixture
def accepted(_school: School) -> Iterator[School]:
    """Everything is there: the new release may go to production."""
    yield _school.at("accepted")
    _school.stop()


@pytest.fixture
def promoted(_school: School) -> Iterator[School]:
    """The new release runs in production."""
    yield _school.at("promoted")
    _school.stop()
