# Runs on hosts by whatever Python from 3.8 they have: old forms on purpose.
# mypy: ignore-errors
"""What deployments leave behind without having said so: scheduled jobs, units, accounts.

What can't be read without more rights is left out and named in `unread`. The passwords of
accounts are never looked at, and of a scheduled job only the program is told, since its
arguments may hold a secret.
"""

import hashlib
import io
import os
import re
import socket
import struct
import sys

from .paths import text, tree

USER_CRONTABS = ("/var/spool/cron/crontabs", "/var/spool/cron")
SYSTEM_CRONTABS = ("/etc/crontab", "/etc/cron.d")
FILES = {
    "cron": ("/etc/cron.hourly", "/etc/cron.daily", "/etc/cron.weekly", "/etc/cron.monthly",
             "/etc/cron.allow", "/etc/cron.deny", "/etc/anacrontab"),
    "units": ("/etc/systemd/system",),
    "sudo": ("/etc/sudoers", "/etc/sudoers.d"),
    "sources": ("/etc/apt/sources.list", "/etc/apt/sources.list.d", "/etc/apt/trusted.gpg",
                "/etc/apt/trusted.gpg.d", "/etc/apt/keyrings", "/etc/apt/preferences",
                "/etc/apt/preferences.d", "/etc/yum.repos.d"),
}  # fmt: skip
SETTING = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\s*=")
ASSIGNED = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=\S*\Z")
FORWARDED = range(6010, 6100)
"""Ports that sshd opens on loopback for X11 while somebody is logged in."""


def short(data):
    return hashlib.sha256(data).hexdigest()[:16]


def surroundings(root="/"):
    """All but the listening ports. `root` is for the tests of this module."""
    unread = []
    said = {"jobs": jobs(root, unread)}
    for part, places in FILES.items():
        said[part] = {}
        for place in places:
            full = os.path.join(root, place.lstrip("/"))
            said[part].update(files(full, place, unread))
    said["accounts"] = named(root, "/etc/passwd", (2, 3, 5, 6), unread)
    said["groups"] = named(root, "/etc/group", (2, 3), unread)
    said["unread"] = sorted(unread)
    return said


def files(full, place, unread):
    """Path → what it is, shortly, for a file or all below a folder."""
    found = {}
    for relative, one in tree(full, (), ()).items():
        path = place if relative == "." else place + "/" + relative
        if one["type"] == "unreadable":
            unread.append(path)
        elif one["type"] not in ("absent", "folder"):
            kept = ("type", "mode", "owner", "group", "sha256", "target")
            found[path] = " ".join(str(one[key]) for key in kept if key in one)[:200]
    return found


def lines(path, unread, place):
    """Lines of a text file that is there and may be read."""
    try:
        with io.open(path, encoding="utf-8", errors="backslashreplace") as handle:
            return handle.read(1 << 22).splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError:
        unread.append(place)
        return []


def listed(root, place, unread):
    """Names and full paths of the plain files in a folder, or of one file."""
    full = os.path.join(root, place.lstrip("/"))
    if os.path.isfile(full):
        return [(place, full)]
    try:
        names = sorted(os.listdir(full))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError:
        unread.append(place)
        return []
    inside = [(place + "/" + text(name), os.path.join(full, name)) for name in names]
    return [one for one in inside if os.path.isfile(one[1])]


def jobs(root, unread):
    """What is told of a scheduled job, with a digest that tells it from others → times it
    occurs."""
    found = {}
    for place in USER_CRONTABS:
        for path, full in listed(root, place, unread):
            for line in lines(full, unread, path):
                keep(found, job(line, path.rpartition("/")[2]), path, line)
    for place in SYSTEM_CRONTABS:
        for path, full in listed(root, place, unread):
            for line in lines(full, unread, path):
                keep(found, job(line, None), path, line)
    return found


def keep(found, told, path, line):
    if told:
        key = "%s [%s %s]" % (told, path, short(line.encode("utf-8", "replace"))[:8])
        found[key] = found.get(key, 0) + 1


def job(line, user):
    """ "of root: 0 3 * * * /usr/bin/clean", or "" for what is no job. A setting (PATH=…) is
    told by its name. `user` None: the line names it."""
    bare = line.strip()
    if not bare or bare.startswith("#"):
        return ""
    setting = SETTING.match(bare)
    if setting:
        return "setting %s" % setting.group(0).rstrip("= \t")
    words = bare.split()
    times = 1 if bare.startswith("@") else 5
    when, rest = words[:times], words[times:]
    if user is None:
        user, rest = (rest[0] if rest else "?"), rest[1:]
    program = next((word for word in rest if not ASSIGNED.match(word)), "?")
    return "of %s: %s %s" % (user, " ".join(when), program[:100])


def named(root, place, columns, unread):
    """First field → some of the others; never the second, which may be a password."""
    found = {}
    for line in lines(os.path.join(root, place.lstrip("/")), unread, place):
        parts = line.split(":")
        if parts[0] and not parts[0].startswith("#"):
            found[parts[0]] = ":".join(parts[number] for number in columns if number < len(parts))
    return found


def listening(proc="/proc/net"):
    """Addresses on which something listens, without ports that are given at random and
    those that last as long as somebody is logged in."""
    low, high = ephemeral()
    found = set()
    for name in ("tcp", "tcp6"):
        for line in lines(os.path.join(proc, name), [], "")[1:]:
            parts = line.split()
            if len(parts) < 4 or parts[3] != "0A":
                continue
            address, port = where(parts[1])
            loopback = address in ("127.0.0.1", "::1")
            if not low <= port <= high and not (loopback and port in FORWARDED):
                found.add("%s %d" % (address, port))
    return sorted(found)


def ephemeral():
    try:
        with io.open("/proc/sys/net/ipv4/ip_local_port_range") as handle:
            low, high = handle.read().split()
        return int(low), int(high)
    except (OSError, ValueError):
        return 32768, 60999


def where(field):
    """Address and port of the kernel's own notation."""
    packed, _colon, port = field.partition(":")
    order = "<" if sys.byteorder == "little" else ">"
    words = [int(packed[at : at + 8], 16) for at in range(0, len(packed), 8)]
    raw = struct.pack(order + "%dI" % len(words), *words)
    family = socket.AF_INET if len(raw) == 4 else socket.AF_INET6
    return socket.inet_ntop(family, raw), int(port, 16)
