"""Which language to speak, found before anything is said: option, environment,
landscape, locale. Reads one line of `otapgate.yml`, so that no YAML parser is loaded."""

from __future__ import annotations

import os
import re
from pathlib import Path

from otapgate.cli.options import Options
from otapgate.i18n import LANGUAGES


def choose(options: Options) -> str:
    """`en` or `nl`."""
    return _known(options.lang) or _of_landscape(options.start) or _of_locale() or "en"


def _known(text: str | None) -> str | None:
    return text if text in LANGUAGES else None


def _of_landscape(start: Path) -> str | None:
    try:
        here = start.resolve()
        for folder in (here, *here.parents):
            file = folder / "otapgate.yml"
            if file.is_file():
                match = re.search(
                    r"^language:\s*[\"']?(\w+)", file.read_text("utf-8", "replace"), re.MULTILINE
                )
                return _known(match[1]) if match else None
    except OSError:
        pass
    return None


def _of_locale() -> str | None:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(name)
        if value:
            return _known(value[:2])
    return None
