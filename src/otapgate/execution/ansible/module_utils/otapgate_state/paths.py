# Runs on hosts by whatever Python from 3.8 they have: old forms on purpose.
# mypy: ignore-errors
"""What lies at a path, and below it: never through a link. No other part of the look."""

import fnmatch
import grp
import hashlib
import os
import pwd
import stat

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
