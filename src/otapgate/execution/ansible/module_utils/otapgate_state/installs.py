# Runs on hosts by whatever Python from 3.8 they have: old forms on purpose.
# mypy: ignore-errors
"""Every file below an install's root, and what its distributions say."""

import base64
import csv
import io
import os

from .paths import tree


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
