# Runs on hosts by whatever Python from 3.8 they have: old forms on purpose.
# mypy: ignore-errors
"""Schema and rows of a SQLite database, as one transaction sees them."""

import fnmatch
import hashlib
import os
import sqlite3
import urllib.parse

from .paths import ignored
from .rows import Rows


def row_digest(row):
    """SHA-256 of one row's values, types told apart."""
    digest = hashlib.sha256()
    for value in row:
        if value is None:
            data = b"n"
        elif isinstance(value, bytes):
            data = b"b" + value
        elif isinstance(value, str):
            data = b"t" + value.encode("utf-8", "surrogateescape")
        elif isinstance(value, int):
            data = b"i%d" % value
        else:
            data = b"f" + repr(value).encode()
        digest.update(b"%d:" % len(data))
        digest.update(data)
    return digest.digest()


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def squeezed(sql):
    return " ".join((sql or "").split())


def sqlite(path, patterns, budget=None):
    """Schema and rows of a SQLite database as one transaction sees them."""
    if not os.path.exists(path):
        return {"absent": True}
    uri = "file:" + urllib.parse.quote(path) + "?mode=ro"
    base = sqlite3.connect(uri, uri=True, timeout=30, isolation_level=None)
    try:
        base.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
        base.execute("BEGIN")
        master = base.execute(
            "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name"
        ).fetchall()
        tables, objects = {}, {}
        for kind, name, table, sql in master:
            if name.startswith("sqlite_stat"):
                continue
            if any(fnmatch.fnmatchcase(item, one) for item in (name, table) for one in patterns):
                continue
            if kind == "table":
                tables[name] = sqlite_table(base, name, sql, patterns, budget)
            else:
                objects["%s %s" % (kind, name)] = squeezed(sql)
        base.execute("ROLLBACK")
    finally:
        base.close()
    return {"tables": tables, "objects": objects}


def sqlite_table(base, name, sql, patterns=(), budget=None):
    """Columns, definition and rows of one table."""
    columns = {
        row[1]: dict(zip(("type", "not null", "default", "key"), map(str, row[2:6])))
        for row in base.execute("PRAGMA table_info(%s)" % quoted(name))
    }
    said = {"columns": columns, "sql": squeezed(sql)}
    if (sql or "").upper().startswith("CREATE VIRTUAL"):
        return said  # its content lies in tables of its own
    rows = Rows(budget)
    select = "SELECT %s FROM %s" % (", ".join(quoted(one) for one in sorted(columns)), quoted(name))
    found = base.execute(select)
    while True:
        some = found.fetchmany(1000)
        if not some:
            break
        if name == "sqlite_sequence":
            # the counters of tables that may differ may differ too
            some = [row for row in some if not ignored(row[0], patterns)]
        rows.add([row_digest(row) for row in some])
    said.update(rows.said())
    return said


def sqlite_path(url):
    """Path of a SQLite URL, None for others."""
    if not url.startswith("sqlite:///"):
        return None
    path = url[len("sqlite:///") :].split("?", 1)[0]
    return os.path.normpath(path) if path.startswith("/") else None
