#!/usr/bin/python3
# Old Python and os.path on purpose: it runs on hosts, by whatever Python they have, and
# paths may be no text. Table names are quoted by the one function that does so.
# ruff: noqa: UP020, UP031, S608, PTH110, PTH112, PTH115, PTH117, PTH118, PTH120, PTH208
# mypy: ignore-errors
"""Looks at a host and says what is there: an Ansible module without Ansible's code.

Runs on the target with any Python from 3.8, standard library only. WANT_JSON: Ansible
gives a file of arguments. It changes nothing and follows no link out of what it was
asked about. The answer is `fingerprint`: base64 of zlib-compressed JSON, the same form
for every host; otapgate's `execution.compare` says what differs.
"""

import base64
import csv
import fnmatch
import grp
import hashlib
import http.client
import io
import json
import os
import pwd
import socket
import sqlite3
import stat
import sys
import time
import urllib.parse
import zlib

TIMEOUT = 10
LARGEST_BODY = 64 << 20
ROWS_KEPT = 20000
KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "folder",
    stat.S_IFLNK: "link",
    stat.S_IFIFO: "pipe",
    stat.S_IFSOCK: "socket",
    stat.S_IFBLK: "block device",
    stat.S_IFCHR: "character device",
}


def ignored(relative, patterns):
    """Whether the path, or a folder above it, or a bare name on the way, matches."""
    parts = relative.split("/")
    for end in range(1, len(parts) + 1):
        above = "/".join(parts[:end])
        for pattern in patterns:
            bare = pattern.rstrip("/")
            if fnmatch.fnmatchcase(above, bare):
                return True
            if "/" not in bare and fnmatch.fnmatchcase(parts[end - 1], bare):
                return True
    return False


def file_digest(path):
    """SHA-256 of a regular file; no link is followed, no pipe blocks."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as handle:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError("no longer a regular file")
        digest = hashlib.sha256()
        for chunk in iter(lambda: handle.read(1 << 20), b""):
            digest.update(chunk)
    return digest.hexdigest()


def text(path):
    """A path as text that JSON can hold, whatever bytes it is made of."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


OWNERS = {}


def owner(number, group):
    """Name of a user or group, or its number where it has none."""
    key = (number, group)
    if key not in OWNERS:
        try:
            OWNERS[key] = grp.getgrgid(number)[0] if group else pwd.getpwuid(number)[0]
        except KeyError:
            OWNERS[key] = str(number)
    return OWNERS[key]


def entry(path):
    """What one path is: never follows it."""
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return {"type": "absent"}
    except OSError as error:
        return {"type": "unreadable", "error": error.strerror}
    said = {
        "type": KINDS.get(stat.S_IFMT(found.st_mode), "unknown"),
        "mode": "%04o" % stat.S_IMODE(found.st_mode),
        "owner": owner(found.st_uid, False),
        "group": owner(found.st_gid, True),
    }
    try:
        if said["type"] == "file":
            said["size"] = found.st_size
            said["sha256"] = file_digest(path)
        elif said["type"] == "link":
            said["target"] = text(os.readlink(path))
            del said["mode"]
    except OSError as error:
        return {"type": "unreadable", "error": error.strerror or str(error)}
    return said


def tree(root, excluded, skipped):
    """Relative path → entry, for `root` ("." itself) and all below it."""
    found = {".": entry(root)}
    if found["."]["type"] != "folder":
        return found
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        try:
            names = sorted(os.listdir(os.path.join(root, folder)))
        except FileNotFoundError:
            continue
        except OSError as error:
            found[text(folder) or "."] = {"type": "unreadable", "error": error.strerror}
            continue
        for name in names:
            relative = os.path.join(folder, name) if folder else name
            full = os.path.join(root, relative)
            if ignored(text(relative), excluded) or full in skipped:
                continue
            said = entry(full)
            if said["type"] == "absent":
                continue
            found[text(relative)] = said
            if said["type"] == "folder":
                waiting.append(relative)
    return found


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


def sqlite(path, patterns):
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
                tables[name] = sqlite_table(base, name, sql, patterns)
            else:
                objects["%s %s" % (kind, name)] = squeezed(sql)
        base.execute("ROLLBACK")
    finally:
        base.close()
    return {"tables": tables, "objects": objects}


def sqlite_table(base, name, sql, patterns=()):
    columns = {
        row[1]: [str(item) for item in row[2:6]]
        for row in base.execute("PRAGMA table_info(%s)" % quoted(name))
    }
    said = {"columns": columns, "sql": squeezed(sql)}
    total, count, kept = 0, 0, []
    if (sql or "").upper().startswith("CREATE VIRTUAL"):
        return said  # its content lies in tables of its own
    select = "SELECT %s FROM %s" % (", ".join(quoted(one) for one in sorted(columns)), quoted(name))
    for row in base.execute(select):
        # the counters of tables that may differ may differ too
        if name == "sqlite_sequence" and ignored(row[0], patterns):
            continue
        digest = row_digest(row)
        total = (total + int.from_bytes(digest, "big")) % (1 << 256)
        count += 1
        if count <= ROWS_KEPT:
            kept.append(digest[:8].hex())
    # a sum doesn't depend on the order of the rows, and counts those that occur twice
    said["rows"] = count
    said["digest"] = "%064x" % total
    if count <= ROWS_KEPT:
        said["each"] = sorted(kept)
    return said


def database(spec):
    url = spec["url"]
    path = sqlite_path(url)
    if path is None:
        return {"error": "only sqlite:////absolute/path can be compared yet"}
    try:
        return sqlite(path, spec.get("ignore", []))
    except (sqlite3.Error, OSError) as error:
        return {"error": str(error)}


def sqlite_path(url):
    """Path of a SQLite URL, None for others."""
    if not url.startswith("sqlite:///"):
        return None
    path = url[len("sqlite:///") :].split("?", 1)[0]
    return os.path.normpath(path) if path.startswith("/") else None


def answer(spec):
    """Status and digest of what a URL answers; redirects aren't followed."""
    parts = urllib.parse.urlsplit(spec["url"])
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return {"error": "not an http address"}
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    try:
        link = kind(parts.hostname, parts.port, timeout=TIMEOUT)
        try:
            path = (parts.path or "/") + ("?" + parts.query if parts.query else "")
            body = spec.get("body") or None
            headers = {"User-Agent": "otapgate"}
            if spec.get("content_type"):
                headers["Content-Type"] = spec["content_type"]
            link.request(
                spec.get("method", "GET"), path, body=body and body.encode(), headers=headers
            )
            reply = link.getresponse()
            said = {"status": reply.status}
            if spec.get("compare", "status") == "body":
                said["sha256"] = hashlib.sha256(reply.read(LARGEST_BODY)).hexdigest()
            return said
        finally:
            link.close()
    except (OSError, http.client.HTTPException, ValueError) as error:
        return {"status": 0, "why": type(error).__name__}


def port_open(number):
    try:
        socket.create_connection(("127.0.0.1", int(number)), timeout=3).close()
    except (OSError, ValueError, OverflowError):
        return "closed"
    return "open"


def settled(look, expected, until):
    """Look again until it is as expected or time is up: services take a moment."""
    while True:
        seen = look()
        if expected is None or time.monotonic() >= until:
            return seen
        keys = set(expected) & {"status", "sha256"} if isinstance(expected, dict) else None
        if keys is None and seen == expected:
            return seen
        if keys is not None and all(seen.get(key) == expected[key] for key in keys):
            return seen
        time.sleep(0.25)


def install(spec):
    """Every file below an install's root; for wheels also the distributions."""
    root = spec["root"]
    said = {"root": root, "kind": spec["kind"], "files": {}, "distributions": {}, "records": {}}
    if not os.path.isdir(root):
        said["absent"] = True
        return said
    said["executable"] = []
    for relative, item in tree(root, spec.get("ignore", []), set()).items():
        if item["type"] == "folder":
            continue
        if item["type"] == "file":
            said["files"][relative] = item["sha256"]
            if int(item["mode"], 8) & 0o100:
                said["executable"].append(relative)
        elif item["type"] == "link":
            said["files"][relative] = "link " + item["target"]
        else:
            said["files"][relative] = item["type"]
    if spec["kind"] == "files":
        return said
    for relative in list(said["files"]):
        folder, slash, name = relative.rpartition("/")
        if slash and folder.endswith(".dist-info") and name == "METADATA":
            said["distributions"][folder.rpartition("/")[2]] = metadata(
                os.path.join(root, relative)
            )
        if slash and folder.endswith(".dist-info") and name == "RECORD":
            said["records"].update(record(root, relative))
    return said


def metadata(path):
    """Name and version of a distribution."""
    said = {"name": "", "version": ""}
    with io.open(path, encoding="utf-8", errors="replace") as handle:
        for line in handle:
            if not line.strip():
                break
            key, _colon, value = line.partition(":")
            if key.lower() in said:
                said[key.lower()] = value.strip()
    return said


def record(root, relative):
    """Path below root → SHA-256, for what the installer wrote outside site-packages."""
    site = os.path.dirname(os.path.dirname(relative))
    said = {}
    with io.open(os.path.join(root, relative), encoding="utf-8", newline="") as handle:
        for row in csv.reader(handle):
            if len(row) >= 2 and row[0].startswith("..") and row[1].startswith("sha256="):
                value = row[1][len("sha256=") :]
                raw = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
                said[os.path.normpath(os.path.join(site, row[0]))] = raw.hex()
    return said


def fingerprint(spec):
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
    for path in spec.get("paths", []):
        if not os.path.isabs(path):
            said["paths"][path] = {".": {"type": "unreadable", "error": "not an absolute path"}}
            continue
        normal = os.path.normpath(path)
        said["paths"][path] = (
            {} if normal in skipped else tree(normal, spec.get("exclude", []), skipped)
        )
    for one in databases:
        said["databases"][one["url"]] = database(one)
    said["installs"] = [install(one) for one in spec.get("installs", [])]
    return said


def main():
    with io.open(sys.argv[1], encoding="utf-8") as handle:  # WANT_JSON
        arguments = json.load(handle)
    try:
        spec = arguments["spec"]
        packed = zlib.compress(json.dumps(fingerprint(spec), sort_keys=True).encode(), 6)
        print(json.dumps({"changed": False, "fingerprint": base64.b64encode(packed).decode()}))
    except Exception as error:  # whatever it is, Ansible must hear of it as JSON
        kind = type(error).__name__
        print(json.dumps({"failed": True, "msg": "fingerprint: %s: %s" % (kind, error)}))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
