"""One step of a playbook on one host: `python -B control VERB --home … --port … …`.

Prints one JSON object: `changed`, and what was seen. Ends with code 1 and a sentence on
stderr when the step failed. The playbooks say which step comes when.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import sys
from pathlib import Path
from typing import Any

import database
import install
import service
from place import Place, Wrong, write


def main() -> int:
    arguments = _parse()
    os.umask(0o077)
    try:
        result = _step(arguments)
    except Wrong as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except (OSError, sqlite3.Error) as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 1
    sys.stdout.write(json.dumps(result, sort_keys=True) + "\n")
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="control", description=__doc__)
    parser.add_argument("verb", choices=sorted(_STEPS))
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--database", type=Path, required=True)
    parser.add_argument("--release", default="", help="digest of the release, sha256:…")
    parser.add_argument("--version", default="", help="version that the release says it has")
    parser.add_argument("--artifacts", type=Path, help="folder with wheels/ of the release")
    parser.add_argument("--snapshot", type=Path, help="folder of the snapshot")
    parser.add_argument("--script", type=Path, help="program that fills the database")
    for count in ("--pupils", "--staff", "--seed"):
        parser.add_argument(count, type=int, default=1)
    return parser.parse_args()


def _step(arguments: argparse.Namespace) -> dict[str, Any]:
    home = arguments.home.resolve()
    place = Place(home, arguments.port, home / arguments.database)
    if place.database.suffix != ".sqlite" or home not in place.database.parents:
        raise Wrong(f"The database must be a .sqlite file below {home}: {place.database}.")
    return _STEPS[arguments.verb](place, arguments)


def _name(arguments: argparse.Namespace) -> str:
    """Folder name of a release: the start of its digest."""
    value: str = arguments.release.removeprefix("sha256:")
    if len(value) != 64 or set(value) - set("0123456789abcdef"):
        raise Wrong(f"This is not a release digest: {arguments.release!r}.")
    return value[:12]


def _install(place: Place, arguments: argparse.Namespace) -> dict[str, Any]:
    name = _name(arguments)
    with place.locked():
        ready = place.in_use() == name and not place.deploying.exists()
        if not ready:
            write(place.deploying, f"{name}\n")
        changed = install.install(place, name, arguments.artifacts)
        in_use = ready and not changed and service.answers(place)
    return {"changed": changed, "in_use": in_use, "name": name}


def _repair(place: Place, arguments: argparse.Namespace) -> dict[str, Any]:
    with place.locked():
        return {"changed": install.install(place, _name(arguments), arguments.artifacts)}


def _stop(place: Place, _arguments: argparse.Namespace) -> dict[str, Any]:
    if not place.var.exists():  # nothing was ever deployed, and nothing is to be left behind
        return {"changed": False}
    with place.locked():
        return {"changed": service.stop(place)}


def _prepare(place: Place, arguments: argparse.Namespace) -> dict[str, Any]:
    with place.locked() as lock:
        return {"changed": database.prepare(place, _name(arguments), lock)}


def _start(place: Place, _arguments: argparse.Namespace) -> dict[str, Any]:
    with place.locked() as lock:
        changed = service.start(place, lock)
        place.deploying.unlink(missing_ok=True)
    return {"changed": changed, "version": service.version(place)}


def _verify(place: Place, arguments: argparse.Namespace) -> dict[str, Any]:
    return {"changed": False, **service.verify(place, _name(arguments), arguments.version)}


def _snapshot(place: Place, arguments: argparse.Namespace) -> dict[str, Any]:
    return {"changed": database.snapshot(place, arguments.snapshot)}


def _restore(place: Place, arguments: argparse.Namespace) -> dict[str, Any]:
    kept = database.load(place, arguments.snapshot)
    if not kept:
        # Cut before the snapshot was whole, so before anything was deployed; or else lost.
        before = _name(arguments) if arguments.release else None
        if place.deploying.exists() or place.in_use() != before:
            raise Wrong(
                f"There is no whole snapshot in {arguments.snapshot}, and {place.home} is not "
                "as it was; nothing was put back."
            )
        return {"changed": False}
    with place.locked() as lock:
        service.stop(place)
        database.restore(place, arguments.snapshot)
        if kept["running"]:
            service.start(place, lock)
        place.deploying.unlink(missing_ok=True)
    return {"changed": True, "running": kept["running"]}


def _seed(place: Place, arguments: argparse.Namespace) -> dict[str, Any]:
    name = place.in_use()
    if name is None:
        raise Wrong(f"No release is in use in {place.home}. Run deploy.yml first.")
    command = [*place.python(name), str(arguments.script)]
    command += ["--config", str(place.settings(name)), "--database", place.database.stem]
    command += [f"--{what}={getattr(arguments, what)}" for what in ("pupils", "staff", "seed")]
    with place.locked() as lock:
        said: dict[str, Any] = json.loads(service.run(place, command, lock))
    return said


_STEPS = {
    "install": _install,
    "repair": _repair,
    "stop": _stop,
    "prepare": _prepare,
    "start": _start,
    "verify": _verify,
    "snapshot": _snapshot,
    "restore": _restore,
    "seed": _seed,
}

if __name__ == "__main__":
    sys.exit(main())
