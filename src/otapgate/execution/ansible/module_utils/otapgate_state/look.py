# Runs on hosts by whatever Python from 3.8 they have: old forms on purpose.
# mypy: ignore-errors
"""All that one host is asked, in one answer. Which part does what is in the parts."""

import os
import sqlite3
import time

from .clients import ClientError
from .installs import install
from .mariadb import mariadb
from .network import answer, port_open, settled
from .paths import tree
from .postgresql import postgresql
from .rows import Budget
from .services import packages, service
from .sqlite_database import sqlite, sqlite_path
from .surroundings import listening, surroundings

KINDS = {"postgresql": postgresql, "postgres": postgresql, "mariadb": mariadb, "mysql": mariadb}


def database(spec, password="", budget=None):
    """Schema and rows of one database, or why they can't be seen. The password isn't in it."""
    url = spec["url"]
    budget = budget or Budget()
    try:
        if url.startswith("sqlite:"):
            path = sqlite_path(url)
            if path is None:
                return {"error": "sqlite:////absolute/path is the form of a SQLite URL"}
            return sqlite(path, spec.get("ignore", []), budget)
        look = KINDS.get(url.partition("://")[0])
        if look is None:
            return {"error": "sqlite, postgresql, mariadb and mysql can be compared"}
        return look(url, password, spec.get("ignore", []), budget)
    except (sqlite3.Error, OSError, ClientError, ValueError) as error:
        said = str(error)
        return {"error": said.replace(password, "***") if password else said}


def fingerprint(spec, passwords=()):
    """What `spec` asks for. `passwords`: one for each database, in their order."""
    expect = spec.get("expect") or {}
    until = time.monotonic() + float(spec.get("patience", 0))
    databases = spec.get("databases", [])
    skipped = set()
    for one in databases:
        path = sqlite_path(one["url"])
        if path:  # compared by what is in it, not by its bytes
            skipped.update(path + end for end in ("", "-wal", "-shm", "-journal"))
    said = {"paths": {}, "databases": {}, "http": {}, "ports": {}, "installs": []}
    for one in spec.get("http", []):
        key = "%s %s" % (one.get("method", "GET"), one["url"])
        wanted = expect.get("http", {}).get(key)
        said["http"][key] = settled(lambda one=one: answer(one), wanted, until)
    for number in spec.get("ports", []):
        wanted = expect.get("ports", {}).get(str(number))
        said["ports"][str(number)] = settled(lambda n=number: port_open(n), wanted, until)
    said["services"] = {}
    for name in spec.get("services", []):
        wanted = expect.get("services", {}).get(name)
        said["services"][name] = settled(lambda n=name: service(n), wanted, until)
    for path in spec.get("paths", []):
        if not os.path.isabs(path):
            said["paths"][path] = {".": {"type": "unreadable", "error": "not an absolute path"}}
            continue
        normal = os.path.normpath(path)
        said["paths"][path] = (
            {} if normal in skipped else tree(normal, spec.get("exclude", []), skipped)
        )
    budget = Budget()
    for number, one in enumerate(databases):
        password = passwords[number] if number < len(passwords) else ""
        said["databases"][one["url"]] = database(one, password, budget)
    if spec.get("packages"):
        said["packages"] = packages(spec["packages"])
    if spec.get("surroundings"):
        said["surroundings"] = surroundings()
        if spec.get("listening", True):
            wanted = expect.get("listening")
            said["surroundings"]["listening"] = settled(listening, wanted, until)
    said["installs"] = [install(one) for one in spec.get("installs", [])]
    return said
