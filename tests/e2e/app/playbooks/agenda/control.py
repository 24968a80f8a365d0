"""Installs, starts, stops, keeps and brings back the agenda of one environment.

Run as `python control.py VERB HOME …`. Standard library only.
"""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from contextlib import closing, suppress
from pathlib import Path


def processes(home):
    """Ids of this home's service, by what runs: a pid file could name another process."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            state = (entry / "stat").read_text(errors="replace").rpartition(")")[2]
        except OSError:
            continue
        if words[1:3] == [f"{home}/app/serve.py", str(home)] and "Z" not in state:
            found.append(int(entry.name))
    return found


def stop(home):
    for pid in processes(home):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    until = time.monotonic() + 10
    while processes(home):
        if time.monotonic() > until:
            sys.exit(f"the agenda in {home} could not be stopped")
        time.sleep(0.02)


def restore(home, port, folder):
    """The database as it was kept, and the agenda on it."""
    copy(Path(folder) / "people.sqlite", home / "people.sqlite")
    start(home, port)


def start(home, port):
    if not (home / "app" / "serve.py").is_file():
        return
    stop(home)
    migrate(home)
    subprocess.Popen(
        [sys.executable, f"{home}/app/serve.py", str(home), port],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        cwd="/", start_new_session=True,
    )  # fmt: skip
    until = time.monotonic() + 15
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/version", timeout=5):
                return
        except OSError:
            if time.monotonic() > until:
                sys.exit(f"the agenda in {home} doesn't answer")
            time.sleep(0.03)


def copy(source, target):
    """Replace `target` by a copy of `source`, or remove it where there is none."""
    if target.is_dir():
        shutil.rmtree(target)
    elif target.exists():
        target.unlink()
    if source.is_dir():
        shutil.copytree(source, target, copy_function=shutil.copyfile)
        for path in [target, *target.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)
    elif source.exists():
        shutil.copyfile(source, target)
        target.chmod(0o644)


def install(home, artifacts):
    stop(home)
    home.mkdir(parents=True, exist_ok=True)
    copy(Path(artifacts) / "artifacts" / "app", home / "app")


def migrate(home):
    version = (home / "app" / "version.txt").read_text("utf-8").strip()
    with closing(sqlite3.connect(home / "people.sqlite")) as base:
        base.execute("PRAGMA journal_mode = DELETE")
        if base.execute("PRAGMA user_version").fetchone()[0] < int(float(version)):
            base.executescript((home / "app" / "schema.sql").read_text("utf-8"))
            base.execute(f"PRAGMA user_version = {int(float(version))}")
            base.commit()


def keep(home, folder):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("app", "settings.ini"):
        copy(home / name, folder / name)
    if (home / "people.sqlite").exists():
        with (
            closing(sqlite3.connect(home / "people.sqlite")) as source,
            closing(sqlite3.connect(folder / "people.sqlite")) as target,
        ):
            source.backup(target)


def back(home, folder, *names):
    stop(home)
    for name in names:
        copy(Path(folder) / name, home / name)


def hold(home):
    """Wait here for as long as there is a file `HOME.hold`, and say so in `HOME.held`."""
    marker, said = Path(f"{home}.hold"), Path(f"{home}.held")
    if marker.exists():
        said.touch()
    until = time.monotonic() + 120
    while marker.exists() and time.monotonic() < until:
        time.sleep(0.02)
    said.unlink(missing_ok=True)


VERBS = {
    "back": back, "hold": hold, "install": install, "keep": keep, "migrate": migrate,
    "restore": restore, "start": start, "stop": stop,
}  # fmt: skip
if __name__ == "__main__":
    VERBS[sys.argv[1]](Path(sys.argv[2]), *sys.argv[3:])
