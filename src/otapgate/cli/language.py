"""Which language to speak, chosen before anything is parsed: help texts depend on it."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from otapgate import i18n

_LINE = re.compile(r"""^language:\s*["']?(?P<language>[a-z]{2})["']?\s*(?:#.*)?$""")
_HEAD = 64 * 1024


def choose(argv: Sequence[str]) -> str:
    """The language for a command line: `--lang`, else `OTAPGATE_LANG`, else what the
    landscape says, else the locale's; always one that otapgate has."""
    wanted = (
        value_of(argv, "--lang")
        or os.environ.get("OTAPGATE_LANG")
        or _of_landscape(argv)
        or _of_locale()
    )
    return wanted if wanted in i18n.LANGUAGES else "en"


def value_of(argv: Sequence[str], option: str) -> str | None:
    """The last value given to `option`, read without knowing the command's own options.

    Good enough for what must be known before parsing; parsing itself has the last word.
    """
    found = None
    for n, word in enumerate(argv):
        if word == "--":
            break
        if word == option and n + 1 < len(argv):
            found = argv[n + 1]
        elif word.startswith(f"{option}="):
            found = word.partition("=")[2]
    return found


def _of_landscape(argv: Sequence[str]) -> str | None:
    """The `language:` line of the landscape, read without a YAML parser: this runs at every
    start, and a wrong guess costs no more than a sentence in the other language."""
    named = value_of(argv, "--landscape") or os.environ.get("OTAPGATE_LANDSCAPE")
    try:
        here = Path(named).expanduser() if named else Path.cwd()
        folders = (here,) if named else (here, *here.parents)
        for folder in folders:
            file = folder / "otapgate.yml"
            if file.is_file():
                with file.open("rb") as opened:
                    head = opened.read(_HEAD).decode("utf-8", "replace")
                found = (_LINE.match(line) for line in head.splitlines())
                return next((match["language"] for match in found if match), None)
    except OSError:
        return None
    return None


def _of_locale() -> str:
    for variable in ("LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(variable)
        if value:
            return value[:2].lower()
    return "en"
