"""Which paths a release or a test plan may hold, so that every file lands where it says.

Pure. Used when a release is built, and again when it is unpacked: a manifest from the
store may have been written by somebody else's program.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from otapgate.i18n import _

MAX_PATH = 1024
MAX_NAME = 255


def fault(path: str) -> str | None:
    """What is wrong with a relative path, as a sentence's end; None when nothing is."""
    try:
        size = len(path.encode("utf-8"))
    except UnicodeEncodeError:
        return _("its name is not UTF-8")
    if not path or path.startswith("/"):
        return _("it is not a relative path")
    if "\\" in path:
        return _("its name holds a backslash")
    if any(unicodedata.category(character) in ("Cc", "Zl", "Zp") for character in path):
        return _("its name holds a control character")
    parts = path.split("/")
    if any(part in ("", ".", "..") for part in parts):
        return _("it holds an empty part, . or ..")
    if size > MAX_PATH or any(len(part.encode("utf-8")) > MAX_NAME for part in parts):
        return _("its name is too long")
    return None


def collisions(paths: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs that can't stand side by side in every file system: the same path twice,
    paths that differ only in case or in the way accents are written, and a file where
    another path needs a folder."""
    folded = [(_fold(path), path) for path in sorted(paths)]
    clashes: list[tuple[str, str]] = []
    files: dict[str, str] = {}
    for key, path in folded:
        if key in files:
            clashes.append((files[key], path))
        else:
            files[key] = path
    folders: dict[str, str] = {}
    for key, path in folded:
        names, written = key.split("/"), path.split("/")
        for depth in range(1, len(names)):
            above = "/".join(names[:depth])
            if above in files:
                clashes.append((files[above], path))
                break
            spelled = "/".join(written[:depth])
            if folders.setdefault(above, spelled) != spelled:
                clashes.append((folders[above], spelled))
                break
    return list(dict.fromkeys(clashes))


def _fold(path: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())
