"""The Tryton service of one environment: start, stop, and whether it does its work.

It runs in a session of its own, so it outlives Ansible and the terminal. There is no
supervisor; a host with systemd would have a unit instead.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import signal
import sqlite3
import subprocess
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from place import Place, Wrong, quiet_environment

START_SECONDS = 60.0
STOP_SECONDS = 10.0
_TAIL = 15


def processes(place: Place) -> list[int]:
    """Process ids of this environment's service: by what runs, since a pid file may be
    missing after a kill, or name a process that came later."""
    releases = f"{place.releases}/"
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            arguments = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            state = (entry / "stat").read_text("utf-8", errors="replace").rpartition(")")[2]
        except OSError:
            continue
        ours = arguments[0].startswith(releases)
        if ours and any(a.endswith("/venv/bin/trytond") for a in arguments) and "Z" not in state:
            found.append(int(entry.name))
    return found


def stop(place: Place) -> bool:
    """End the service, politely first; False when it didn't run.

    Afterwards the database is one file: what was in its write-ahead log is folded in, so
    that whoever copies or loads the file has everything.
    """
    pids = processes(place)
    for pid in pids:
        _signal(pid, signal.SIGTERM)
    until = time.monotonic() + STOP_SECONDS
    while (left := processes(place)) and time.monotonic() < until:
        time.sleep(0.02)
    for pid in left:
        _signal(pid, signal.SIGKILL)
    while processes(place):
        if time.monotonic() > until + STOP_SECONDS:
            raise Wrong(f"The service in {place.home} could not be stopped.")
        time.sleep(0.02)
    place.pid_file.unlink(missing_ok=True)
    if place.database.with_name(place.database.name + "-wal").exists():
        # A damaged database must not keep the service from being stopped and restored.
        with (
            suppress(sqlite3.DatabaseError),
            closing(sqlite3.connect(place.database, timeout=30)) as database,
        ):
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return bool(pids)


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
    except PermissionError as error:
        raise Wrong(f"Process {pid} serves this environment, but is another user's.") from error


def start(place: Place, lock: int) -> bool:
    """Start the release in use and wait until it answers; False when it already does.

    The service may be reached with this environment's own administrator password only:
    where data came from elsewhere with another one, it is set anew.
    """
    name = place.in_use()
    if name is None:
        raise Wrong(f"No release is in use in {place.home}. Run deploy.yml first.")
    if answers(place):
        return False
    stop(place)
    previous = place.log.with_suffix(".log.1")
    if place.log.exists():
        place.log.replace(previous)
    command = [*place.program(name, "trytond"), "--config", str(place.settings(name))]
    command += ["--database", place.database.stem, "--pidfile", str(place.pid_file)]
    descriptor = os.open(place.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        started = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            cwd=place.home,
            env=quiet_environment(),
            start_new_session=True,
        )
    finally:
        os.close(descriptor)
    until = time.monotonic() + START_SECONDS
    while not answers(place):
        ended = started.poll() is not None
        if ended or time.monotonic() > until:
            stop(place)
            why = "ended at once" if ended else f"gave no answer in {START_SECONDS:.0f} s"
            raise Wrong(f"The service {why}. The end of {place.log}:\n{_tail(place.log)}")
        time.sleep(0.03)
    if _login(place) is None:
        set_password(place, name, lock)
    return True


def set_password(place: Place, name: str, lock: int) -> None:
    """Give the administrator the password that this environment's file holds."""
    command = [*place.program(name, "trytond-admin"), "--config", str(place.settings(name))]
    run(place, [*command, "--database", place.database.stem, "--password"], lock)


def run(place: Place, command: list[str], lock: int) -> str:
    """What a program of the release says that changes data; it keeps the lock while it
    lives. Raises Wrong with the end of its messages when it fails."""
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        cwd=place.home,
        env=quiet_environment(TRYTONPASSFILE=str(place.password)),
        pass_fds=(lock,),
    )
    if done.returncode != 0:
        said = "\n".join(done.stderr.splitlines()[-_TAIL:])
        raise Wrong(f"{Path(command[4]).name} ended with code {done.returncode}:\n{said}")
    return done.stdout


def version(place: Place) -> str | None:
    """Version of trytond that the release in use holds."""
    name = place.in_use()
    found = list(place.release(name).glob("venv/lib/python3.*/site-packages/trytond-*.dist-info"))
    return found[0].name.removeprefix("trytond-").removesuffix(".dist-info") if found else None


def series(version: str) -> str:
    """`8.0` of `8.0.12`: what Tryton calls a series, and what it answers over HTTP."""
    return ".".join(version.split(".")[:2])


def answers(place: Place) -> bool:
    """Whether the service that answers is this environment's, of the version in use."""
    wanted = version(place) if place.in_use() else None
    if wanted is None or not processes(place):
        return False
    try:
        return _call(place, "", "common.server.version", []) == series(wanted)
    except (OSError, http.client.HTTPException, ValueError, Wrong):
        return False


def _call(place: Place, database: str, method: str, params: list[Any], session: str = "") -> Any:
    """One JSON-RPC call, as Tryton's own clients make it; from series 8.0 on below /rpc/."""
    old = tuple(int(n) for n in series(version(place) or "0.0").split(".")) < (8, 0)
    path = "/" + (f"{database}/" if database else "") + ("" if old else "rpc/")
    headers = {"Content-Type": "application/json"}
    if session:
        headers["Authorization"] = f"Session {session}"
    body = json.dumps({"id": 1, "method": method, "params": params})
    with closing(http.client.HTTPConnection("127.0.0.1", place.port, timeout=10)) as connection:
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
    if answer.status != http.HTTPStatus.OK:
        raise Wrong(f"{method} was answered with HTTP {answer.status}.")
    value = json.loads(content)
    if isinstance(value, dict) and "error" in value:
        raise Wrong(f"{method} was answered with an error: {value['error']}.")
    return value["result"] if isinstance(value, dict) else value


def _login(place: Place) -> str | None:
    """A session of the administrator, encoded for the header; None when refused."""
    password = place.password.read_text("utf-8").strip()
    try:
        who = _call(
            place, place.database.stem, "common.db.login", ["admin", {"password": password}]
        )
    except Wrong:
        return None
    return base64.b64encode(f"admin:{who[0]}:{who[1]}".encode()).decode()


def verify(place: Place, name: str, wanted: str) -> dict[str, Any]:
    """Prove that release `name`, of version `wanted`, does its work here.

    Returns what was seen: version over HTTP and installed, number of parties over the
    API and in the database. Raises Wrong with the first thing that isn't right.
    """
    if place.in_use() != name:
        raise Wrong(f"{place.in_use() or 'No release'} is in use instead of {name}.")
    if place.deploying.exists():
        raise Wrong("A deployment was begun and has not ended.")
    installed = version(place) or "nothing"
    if series(installed) != series(wanted):
        raise Wrong(f"Tryton {installed} is installed, but the release says {wanted}.")
    over_http = _call(place, "", "common.server.version", [])
    if over_http != series(wanted):
        raise Wrong(f"The service answers as {over_http}, but the release says {wanted}.")
    session = _login(place)
    if session is None:
        raise Wrong("The administrator can't log in with this environment's password.")
    base = place.database.stem
    counted = _call(place, base, "model.party.party.search_count", [[], {}], session)
    _call(place, base, "common.db.logout", [], session)
    with closing(sqlite3.connect(f"{place.database.as_uri()}?mode=ro", uri=True)) as database:
        (check,) = database.execute("PRAGMA quick_check").fetchone()
        (rows,) = database.execute("SELECT count(*) FROM party_party WHERE active").fetchone()
    if check != "ok":
        raise Wrong(f"The database is damaged: {check}.")
    if counted != rows:
        raise Wrong(f"The service sees {counted} parties, the database holds {rows}.")
    if "Traceback" in place.log.read_text("utf-8", errors="replace"):
        raise Wrong(f"There are errors in {place.log}:\n{_tail(place.log)}")
    return {"version": over_http, "trytond": installed, "parties": rows}


def _tail(log: Path) -> str:
    try:
        return "\n".join(log.read_text("utf-8", errors="replace").splitlines()[-_TAIL:])
    except OSError:
        return ""
