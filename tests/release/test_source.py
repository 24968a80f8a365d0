"""What git knows of where a release came from; with real repositories."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from otapgate.release.source import git_source

from .conftest import write


def git(folder: Path, *arguments: str) -> str:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    environment |= {"HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(
        ["git", "-c", "user.name=Robin", "-c", "user.email=robin@example.org", *arguments],
        cwd=folder, check=True, capture_output=True, text=True, env=environment,
    )  # fmt: skip
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    write(tmp_path / "release.yml", "app: agenda\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "Begin")
    return tmp_path


def test_a_clean_work_tree_gives_its_commit(repository: Path) -> None:
    source = git_source(repository / "release.yml")
    assert source is not None
    assert source.commit == git(repository, "rev-parse", "HEAD")
    assert source.clean


@pytest.mark.parametrize("name", ["release.yml", "new"])
def test_an_edit_or_an_untracked_file_makes_it_unclean(repository: Path, name: str) -> None:
    write(repository / name, "app: other\n")
    source = git_source(repository / "release.yml")
    assert source is not None
    assert not source.clean


def test_the_ledger_and_store_do_not_make_it_unclean(repository: Path) -> None:
    write(repository / "deep/.otapgate/ledger.sqlite")
    write(repository / ".otapgate/store/x")
    source = git_source(repository / "release.yml")
    assert source is not None
    assert source.clean


def test_outside_a_work_tree_there_is_nothing_to_tell(tmp_path: Path) -> None:
    notes: list[str] = []
    assert git_source(tmp_path / "release.yml", notes) is None
    assert notes == []


def test_a_repository_without_commit_is_told(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    notes: list[str] = []
    assert git_source(tmp_path / "release.yml", notes) is None
    assert "no commit" in notes[0]


def test_without_git_it_is_told(
    repository: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    notes: list[str] = []
    assert git_source(repository / "release.yml", notes) is None
    assert "not installed" in notes[0]


def test_the_environment_can_not_point_git_elsewhere(
    repository: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path_factory.mktemp("other")
    git(other, "init", "-q")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    source = git_source(repository / "release.yml")
    assert source is not None
    assert source.commit == git(repository, "rev-parse", "HEAD")


def test_the_repository_can_not_make_git_run_a_program(repository: Path) -> None:
    trap = write(repository / ".git/trap", f"#!/bin/sh\ntouch {repository}/caught\n")
    trap.chmod(0o755)
    git(repository, "config", "core.fsmonitor", str(trap))
    assert git_source(repository / "release.yml") is not None
    assert not (repository / "caught").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_somebody_else_is_not_trusted_and_told(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(repository / "nobody"))
    os.chown(repository / ".git", 12345, 12345)
    os.chown(repository, 12345, 12345)
    notes: list[str] = []
    assert git_source(repository / "release.yml", notes) is None
    assert "safe.directory" in notes[0]
