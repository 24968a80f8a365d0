"""The database of one Tryton environment: made, brought to a version, copied, put back.

SQLite. A new or migrated database is made aside and then takes the place of the old one
in a single rename, so that at any moment the file is one version or the other, whole.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import service
from place import Place, Wrong, digest, read_json, sync, write, write_json

MODULES = ("party", "country", "company")
ADMIN_EMAIL = "beheer@school.example"
_FORMAT = 1


def prepare(place: Place, name: str, lock: int) -> bool:
    """Make the database, or bring it to the version of release `name`."""
    if service.processes(place):
        raise Wrong("The service is still running; stop it before its database changes.")
    if not place.password.exists():
        write(place.password, secrets.token_urlsafe(24) + "\n")
    place.database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    aside = place.var / "database"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(mode=0o700)
    work = aside / place.database.name
    (aside / "aside.conf").write_text(f"[database]\npath = {aside}\n", "utf-8")
    command = [*place.program(name, "trytond-admin")]
    command += ["--config", str(place.settings(name)), str(aside / "aside.conf")]
    command += ["--database", place.database.stem, "--activate-dependencies"]
    if _has_tables(place.database):
        _copy(place.database, work)
        service.run(place, [*command, "--all"], lock)
        missing = _not_activated(work)
        if missing:  # in the migration itself Tryton can't take these along
            service.run(place, [*command, "--update", *missing], lock)
    else:
        work.touch(mode=0o600)  # Tryton wants the file to be there
        service.run(place, [*command, "--email", ADMIN_EMAIL, "--update", *MODULES], lock)
    _put(work, place.database)
    shutil.rmtree(aside)
    return True


def _not_activated(database: Path) -> list[str]:
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute("SELECT name FROM ir_module WHERE state = 'activated'")
        active = {name for (name,) in rows}
    return [name for name in MODULES if name not in active]


def _has_tables(database: Path) -> bool:
    if not database.exists():
        return False
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        return connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is not None


def _copy(source: Path, target: Path) -> None:
    """A consistent copy, also of a database in use, by SQLite's own backup."""
    target.unlink(missing_ok=True)
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    with (
        closing(sqlite3.connect(f"{source.as_uri()}?mode=rw", uri=True, timeout=30)) as old,
        closing(sqlite3.connect(target)) as new,
    ):
        old.backup(new)


def _put(new: Path, database: Path) -> None:
    """Let a whole database take the place of what is there."""
    with closing(sqlite3.connect(new)) as connection:
        (check,) = connection.execute("PRAGMA quick_check").fetchone()
    if check != "ok":
        raise Wrong(f"The new database is damaged: {check}.")
    if new.with_name(new.name + "-wal").exists():  # closing it should have folded that in
        raise Wrong(f"Something still has {new} open.")
    with new.open("rb") as file:
        os.fsync(file.fileno())
    _remove_journals(database)
    new.replace(database)
    sync(database.parent)


def _remove_journals(database: Path) -> None:
    # A journal of the old file would be rolled into the new one when that is opened.
    for suffix in ("-journal", "-wal", "-shm"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)


def snapshot(place: Place, folder: Path) -> bool:
    """Keep in `folder` whatever `restore` needs; False when a snapshot from before an
    unfinished deployment is there, which must not be lost."""
    if place.deploying.exists():
        if read_json(folder / "snapshot.json"):
            return False
        raise Wrong(
            f"A deployment in {place.home} was begun and has not ended, so there is nothing "
            "to take a snapshot of. Roll it back, or deploy again."
        )
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / "snapshot.json").unlink(missing_ok=True)
    (folder / "database.sqlite").unlink(missing_ok=True)
    kept: dict[str, Any] = {"format": _FORMAT, "home": str(place.home), "database": None}
    if place.database.exists():
        _copy(place.database, folder / "database.sqlite")
        mode = place.database.stat().st_mode & 0o7777
        kept["database"] = {"sha256": digest(folder / "database.sqlite"), "mode": mode}
    current = place.in_use()
    settings = place.settings(current) if current else None
    kept["current"] = current
    kept["settings"] = settings.read_text("utf-8") if settings and settings.exists() else None
    kept["releases"] = sorted(p.name for p in place.releases.glob("*"))
    kept["existed"] = [str(path) for path in _own(place) if os.path.lexists(path)]
    kept["running"] = service.answers(place)
    write_json(folder / "snapshot.json", kept)
    return True


def _own(place: Place) -> list[Path]:
    """What a first deployment makes, the innermost first."""
    between = [p for p in place.database.parents if place.home in p.parents]
    return [
        *(place.database, *between, place.current, place.releases, place.password, place.var),
        place.home,
    ]


def load(place: Place, folder: Path) -> dict[str, Any]:
    """The snapshot in `folder`, or {} when there is none; raises Wrong when it isn't of
    this environment or was damaged."""
    kept = read_json(folder / "snapshot.json")
    if not kept:
        return {}
    if kept.get("format") != _FORMAT or kept.get("home") != str(place.home):
        raise Wrong(f"The snapshot in {folder} is of {kept.get('home')}, not of {place.home}.")
    copy = folder / "database.sqlite"
    if kept["database"] and (not copy.exists() or digest(copy) != kept["database"]["sha256"]):
        raise Wrong(f"The snapshot's database {copy} was damaged or changed; nothing is put back.")
    return kept


def restore(place: Place, folder: Path) -> bool:
    """Put back the state that `folder` holds, from wherever a deployment was cut.

    The service must have been stopped. What the snapshot didn't have is removed. Raises
    Wrong, having changed nothing, when the snapshot can't be trusted.
    """
    kept = load(place, folder)
    if not kept:
        raise Wrong(f"There is no whole snapshot in {folder}; nothing was put back.")
    if service.processes(place):
        raise Wrong("The service is still running; stop it before its state is put back.")
    if kept["database"]:
        work = place.database.with_name(f".{place.database.name}.restoring")
        shutil.copyfile(folder / "database.sqlite", work)
        work.chmod(kept["database"]["mode"])
        _put(work, place.database)
    else:
        _remove_journals(place.database)
    if kept["current"]:
        if not (place.release(kept["current"]) / "venv").is_dir():
            raise Wrong(
                f"Release {kept['current']} is gone from {place.releases}; run rollback.yml "
                "with otapgate_previous, which brings it back."
            )
        if kept["settings"] is not None:
            write(place.settings(kept["current"]), kept["settings"])
        link = place.home / ".current.new"
        link.unlink(missing_ok=True)
        link.symlink_to(f"releases/{kept['current']}")
        link.replace(place.current)
    _remove_new(place, kept)
    return True


def _remove_new(place: Place, kept: dict[str, Any]) -> None:
    for release in place.releases.glob("*"):
        if release.name not in kept["releases"]:
            shutil.rmtree(release)
            bytecode = place.var / "bytecode" / str(release).lstrip("/")
            shutil.rmtree(bytecode, ignore_errors=True)
    shutil.rmtree(place.var / "database", ignore_errors=True)
    for path in _own(place):
        if str(path) in kept["existed"] or not os.path.lexists(path):
            continue
        if path in (place.var, place.releases):
            shutil.rmtree(path)
        elif path.is_symlink() or not path.is_dir():
            path.unlink()
        elif not any(path.iterdir()):  # something of somebody else's is left alone
            path.rmdir()
