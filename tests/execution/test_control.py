"""ssh's masters and their sockets end with the run that made them, however it ends."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.probe.sshd import Server

from otapgate.execution import control
from otapgate.execution.runner import PlaybookResult, Settings, run_playbooks
from otapgate.landscape.model import Environment, Host

PLAY = "- hosts: all\n  gather_facts: false\n  tasks:\n    - raw: echo reached\n"
FAILS = PLAY + "    - raw: exit 3\n"


@pytest.fixture(autouse=True)
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for temporary files of this test's own, with a short path."""
    with tempfile.TemporaryDirectory(prefix="og", dir="/tmp") as made:
        monkeypatch.setattr(tempfile, "tempdir", made)
        monkeypatch.setenv("TMPDIR", made)
        yield Path(made)


def settings(folder: Path, host: tuple[Path, Server]) -> Settings:
    key, server = host
    environment = Environment(
        name="demo-A",
        stage="A",
        street="demo",
        owner="Fenna",
        hosts=(Host("web", server.variables(key)),),
        host_keys={"web": (server.host_key,)},
    )
    return Settings(environment=environment, run_dir=folder / "run", lock=folder / "lock")


def run(folder: Path, host: tuple[Path, Server], play: str = PLAY) -> PlaybookResult:
    playbook = folder / "deploy.yml"
    playbook.write_text(play)
    return run_playbooks(settings(folder, host), [playbook], label="deploy", variables={})


def masters(place: Path) -> list[str]:
    """Command lines of ssh's masters whose sockets lie below `place`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_text("utf-8", "replace")
            except OSError:
                continue
            if line.startswith("ssh:") and str(place) in line:
                found.append(line)
    return found


def left(place: Path) -> list[Path]:
    return [path for root in place.glob("otapgate-*") for path in root.iterdir()]


def begun(folder: Path, host: tuple[Path, Server], place: Path) -> subprocess.Popen[bytes]:
    """A run in a process of its own, that is connected and waits."""
    key, server = host
    playbook = folder / "wait.yml"
    playbook.write_text(PLAY + "    - raw: sleep 60\n")
    script = folder / "begin.py"
    script.write_text(
        "import sys\nfrom pathlib import Path\n"
        "from tests.execution.test_control import settings\n"
        "from tests.probe.sshd import Server\n"
        "from otapgate.execution.runner import run_playbooks\n"
        f"server = Server(Path({str(server.folder)!r}), {server.port},"
        f" host_key={server.host_key!r})\n"
        f"given = settings(Path({str(folder)!r}), (Path({str(key)!r}), server))\n"
        f"result = run_playbooks(given, [Path({str(playbook)!r})], label='wait', variables={{}})\n"
        "print(result.code)\n"
    )
    process = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    until = time.monotonic() + 30
    while not masters(place):
        assert time.monotonic() < until
        assert process.poll() is None, "it ended before it connected"
        time.sleep(0.05)
    return process


@pytest.mark.parametrize(("play", "code"), [(PLAY, ""), (FAILS, "playbook-failed")])
def test_nothing_is_left_of_a_run_that_ended(
    tmp_path: Path, host: tuple[Path, Server], place: Path, play: str, code: str
) -> None:
    result = run(tmp_path, host, play)
    assert result.code == code, result.message
    # they shared one connection, which is what the folder is for
    assert (host[1].folder / "log").read_text().count("Accepted publickey") == 1
    assert (masters(place), left(place)) == ([], [])


def test_another_host_key_is_seen_by_the_very_next_run(
    tmp_path: Path, host: tuple[Path, Server]
) -> None:
    _key, server = host
    pinned = server.host_key
    assert run(tmp_path, host).ok
    server.renew()  # sessions stay as they are
    server.host_key = pinned
    assert run(tmp_path, host).code == "host-key-changed"


def test_nothing_is_left_after_ctrl_c(
    tmp_path: Path, host: tuple[Path, Server], place: Path
) -> None:
    process = begun(tmp_path, host, place)
    process.send_signal(signal.SIGINT)
    output, _none = process.communicate(timeout=60)
    assert output.strip() == b"cancelled"
    assert (masters(place), left(place)) == ([], [])


def test_what_a_killed_run_left_is_swept_by_the_next_and_never_used(
    tmp_path: Path, host: tuple[Path, Server], place: Path
) -> None:
    process = begun(tmp_path, host, place)
    (used,) = left(place)
    with control.sockets() as beside:  # while it lives, it is left alone
        assert beside not in (None, used)
        assert used.is_dir()
    assert masters(place)
    process.kill()
    process.communicate()
    until = time.monotonic() + 30
    while (tmp_path / "lock").exists() and _is_locked(tmp_path / "lock"):
        assert time.monotonic() < until
        time.sleep(0.05)
    assert used.is_dir()
    with control.sockets() as other:
        assert other not in (None, used)
        assert not used.exists()
    assert (masters(place), left(place)) == ([], [])


def _is_locked(path: Path) -> bool:
    import fcntl

    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@pytest.mark.parametrize("name", ["x" * 90, "per%h", "a space"])
def test_a_folder_that_a_socket_cannot_lie_in_is_passed_over(
    tmp_path: Path,
    host: tuple[Path, Server],
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    unfit, short = place / name, place / "s"
    unfit.mkdir(mode=0o700)
    short.mkdir(mode=0o700)
    monkeypatch.setattr(tempfile, "tempdir", str(unfit))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short))
    with control.sockets() as folder:
        assert folder is not None
        assert folder.parent.parent == short
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert run(tmp_path, host).ok
    assert (host[1].folder / "log").read_text().count("Accepted publickey") == 1


@pytest.mark.parametrize("how", ["open", "link", "file", "writable"])
def test_a_folder_that_somebody_else_could_fill_is_passed_over(
    place: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    theirs, mine = place / "theirs", place / "mine"
    for folder in (theirs, mine):
        folder.mkdir(mode=0o700)
    root = theirs / f"otapgate-{os.getuid()}"
    if how == "open":
        root.mkdir()
        root.chmod(0o755)
    elif how == "link":
        root.symlink_to(mine)
    elif how == "file":
        root.write_text("")
    else:
        theirs.chmod(0o777)
    monkeypatch.setattr(tempfile, "tempdir", str(theirs))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(mine))
    with control.sockets() as folder:
        assert folder is not None
        assert folder.parent == mine / root.name


def test_without_any_place_every_task_connects_anew(
    tmp_path: Path, host: tuple[Path, Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "LONGEST", 10)
    result = run(tmp_path, host, PLAY + "    - raw: echo again\n")
    assert result.ok, result.message
    assert (host[1].folder / "log").read_text().count("Accepted publickey") == 2
