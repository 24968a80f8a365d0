"""Reading files and programs of a host. Part of every script; see the package."""

from __future__ import annotations

import glob
import os
import pwd
import subprocess

UNKNOWN: list[str] = []
LARGEST = 16 * 1024 * 1024


def unknown(sentence: str) -> None:
    """Something could not be seen: whoever reads the answer must not take it for fine."""
    if sentence not in UNKNOWN and len(UNKNOWN) < 100:
        UNKNOWN.append(sentence)


def read(path: str, needed: bool = False) -> bytes:
    """The bytes of an ordinary file, b"" where there is none."""
    pieces: list[bytes] = []
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            # in small pieces: the kernel's own files refuse a large one
            while len(pieces) < LARGEST // 65536:
                piece = os.read(handle, 65536)
                if not piece:
                    break
                pieces.append(piece)
            else:
                unknown(f"{path} is too large to be read whole")
        finally:
            os.close(handle)
    except (FileNotFoundError, NotADirectoryError):
        return b""
    except OSError as error:
        if needed:
            unknown(f"{path} can't be read: {error.strerror}")
        return b""
    return b"".join(pieces)


def text(path: str, needed: bool = False) -> str:
    return read(path, needed).decode("utf-8", "replace")


def listed(folder: str, needed: bool = False) -> list[str]:
    """Names in a folder, sorted; none where there is no such folder."""
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        if needed:
            unknown(f"{folder} can't be read: {error.strerror}")
        return []


def program(*words: str) -> str | None:
    """What a program writes; None where there is no such program or it doesn't end."""
    for folder in ("/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/bin"):
        path = os.path.join(folder, words[0])
        if os.access(path, os.X_OK):
            break
    else:
        return None
    try:
        done = subprocess.run(
            [path, *words[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=20,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"},
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        unknown(f"{words[0]} gave no answer")
        return None
    return done.stdout[:LARGEST].decode("utf-8", "replace")


def homes() -> list[tuple[str, str]]:
    """Every account with its home, once a home."""
    found: dict[str, str] = {}
    for entry in pwd.getpwall():
        if entry.pw_dir not in ("/", "/nonexistent", "/dev/null") and entry.pw_dir not in found:
            found[entry.pw_dir] = entry.pw_name
    return sorted((name, home) for home, name in found.items() if os.path.isdir(home))


def matching(*patterns: str) -> list[str]:
    return sorted(path for pattern in patterns for path in glob.glob(pattern))
