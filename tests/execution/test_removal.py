"""Old snapshots are removed from a host, and nothing else ever is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from otapgate.execution.ansible.module_utils.otapgate_state import removal
from otapgate.execution.ansible.module_utils.otapgate_state.removal import remove

RUN, OTHER = "prom-3f9a1c0b2d4e", "rehearsal-00ff00ff00ff"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two runs' snapshots, beside data that they link to."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "kept").write_text("kept")
    for run in (RUN, OTHER):
        folder = tmp_path / "otapgate" / run / "web/agenda"
        folder.mkdir(parents=True)
        (folder / "file").write_text("x")
        (folder / "link").symlink_to(data / "kept")
        (folder / "folder").symlink_to(data)
        os.link(data / "kept", folder / "hard")
        os.mkfifo(folder / "pipe")
        folder.chmod(0o500)
    return tmp_path / "otapgate"


def test_a_run_goes_whole_and_what_it_links_to_stays(root: Path) -> None:
    assert remove(str(root), [RUN, "prom-aaaaaaaaaaaa"]) == []
    assert [path.name for path in root.iterdir()] == [OTHER]
    assert (root.parent / "data/kept").read_text() == "kept"
    assert (root / OTHER / "web/agenda/file").exists()


@pytest.mark.parametrize("name", ["", ".", "..", "../data", "data", f"{RUN}/web", f"{RUN}\n", "/"])
def test_what_is_no_name_of_a_run_is_not_touched(root: Path, name: str) -> None:
    (root / "data").symlink_to(root.parent / "data")
    assert len(remove(str(root), [name])) == 1
    assert (root.parent / "data/kept").exists()
    assert (root / RUN / "web/agenda/file").exists()


def test_a_link_in_the_place_of_a_run_or_of_the_folder_is_not_followed(root: Path) -> None:
    linked = "prom-bbbbbbbbbbbb"
    (root.parent / "real-run").mkdir()
    (root.parent / "real-run/file").write_text("x")
    (root / linked).symlink_to(root.parent / "real-run")
    (said,) = remove(str(root), [linked])
    assert "no folder" in said
    assert (root.parent / "real-run/file").exists()
    (root.parent / "elsewhere").symlink_to(root)
    (said,) = remove(str(root.parent / "elsewhere"), [RUN])
    assert (root / RUN / "web/agenda/file").exists()


def test_what_is_mounted_in_a_snapshot_is_not_entered(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removal, "_mounts", lambda: ["/", f"{root}/{RUN}/web"])
    (said,) = remove(str(root), [RUN])
    assert "mounted" in said
    assert (root / RUN / "web/agenda/file").exists()


def test_mounts_are_known_by_their_real_names() -> None:
    assert {"/", "/proc"} <= set(removal._mounts())


def test_no_folder_of_snapshots_is_nothing_to_do(tmp_path: Path) -> None:
    assert remove(str(tmp_path / "none"), [RUN]) == []
