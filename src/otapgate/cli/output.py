"""What commands say: replies as text or JSON, tables, progress, questions."""

from __future__ import annotations

import json
import os
import re
import sys
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

from otapgate import errors
from otapgate.cli.options import options
from otapgate.errors import Exit
from otapgate.i18n import _


@dataclass
class Reply:
    """A command's answer: fields for `--json`, text for people, and the exit code."""

    data: dict[str, Any]
    text: str | Callable[[], str] = ""
    ok: bool = True
    exit: Exit = Exit.OK

    def show(self) -> None:
        """Print it in the form that was asked for."""
        if options().json:
            print_json({"ok": self.ok, **self.data})
            return
        text = self.text() if callable(self.text) else self.text
        if text:
            _put(sys.stdout, printable(text) + "\n")


def print_json(value: dict[str, Any]) -> None:
    """The one JSON object that goes to standard output. Letters of any script stay as they
    are; what could steer the terminal is escaped, as is what its encoding lacks."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    _put(sys.stdout, _escaped(text, sys.stdout.encoding or "utf-8") + "\n")


def _escaped(text: str, encoding: str) -> str:
    """The same JSON, with escapes for what isn't to be shown: it is in its texts only."""
    return "".join(
        c if c == "\n" or (c.isprintable() and _has(encoding, c)) else _escape(c) for c in text
    )


def _has(encoding: str, character: str) -> bool:
    try:
        return character.isascii() or bool(character.encode(encoding))
    except UnicodeEncodeError:
        return False


def _escape(character: str) -> str:
    # json leaves DEL as it is, the one character of ASCII that comes here.
    return "\\u007f" if character == "\x7f" else json.dumps(character)[1:-1]


def progress(text: str) -> None:
    """Something that happens meanwhile: to standard error, so that output stays clean."""
    _put(sys.stderr, printable(text) + "\n")


def live(text: str) -> None:
    """What is so at this moment, in place of what was said so before; on a terminal only."""
    if sys.stderr.isatty():
        _put(sys.stderr, f"\r\x1b[K{printable(text)}")


def _put(stream: TextIO, text: str) -> None:
    """Write at once. What the stream's encoding lacks is spelled out; a reader that went
    away (`| head`) must not break off a promotion, so the stream gets a sink instead."""
    encoding = stream.encoding or "utf-8"
    try:
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        stream.flush()
    except BrokenPipeError:
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, stream.fileno())
        os.close(sink)


def printable(text: str) -> str:
    """The text with control characters made visible: what hosts and files say is hostile
    and must not steer the terminal."""
    return "".join(
        c
        if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf", "Cs")
        else f"\\x{ord(c):02x}"
        for c in text
    )


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Aligned columns under their heads; says so when there is nothing."""
    if not rows:
        return _("(nothing)")
    lines = [[printable(str(cell)) for cell in row] for row in (heads, *rows)]
    widths = [max(_width(line[i]) for line in lines) for i in range(len(heads))]
    return "\n".join(
        "  ".join(cell + " " * (w - _width(cell)) for cell, w in zip(line, widths, strict=True))
        .rstrip()
        for line in lines
    )  # fmt: skip


def _width(text: str) -> int:
    """Columns that the text takes on a terminal."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def confirm(question: str) -> None:
    """Ask a person; goes on only after yes. Raises Usage without a terminal or on no."""
    if options().yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise errors.Usage(
            "unconfirmed",
            _("This asks for a yes, and there is no terminal to ask on."),
            remedy=_("read it with --dry-run, then add --yes"),
        )
    _put(sys.stderr, f"{printable(question)} [y/N] ")
    if sys.stdin.readline().strip().casefold() not in ("y", "yes", "j", "ja"):
        raise errors.Usage("declined", _("Nothing was done."))


def fillable(command: str) -> str:
    """A command in which what is to be filled in is named in the user's language."""
    words = {
        "FILE": _("FILE"), "LEVEL": _("LEVEL"), "START": _("START"), "END": _("END"),
        "NAME": _("NAME"), "TEXT": _("TEXT"), "DIR": _("DIR"), "KEY": _("KEY"),
        "TIME": _("TIME"), "CHANGE": _("CHANGE"), "ENV": _("ENV"), "STREET": _("STREET"),
    }  # fmt: skip
    return re.sub(
        rf"(?<![\w-])({'|'.join(words)})(?![\w-])", lambda found: words[found[1]], command
    )


def show_error(error: errors.OtapgateError, data: dict[str, Any] | None = None) -> None:
    """An error as people or scripts read it."""
    if options().json:
        print_json(
            {
                "ok": False,
                "error": {
                    "code": error.code,
                    "message": error.message,
                    "remedy": error.remedy,
                    "where": error.where,
                },
                "problems": [
                    {"file": x.file, "line": x.line, "message": x.message, "remedy": x.remedy}
                    for x in error.problems
                ],
                **(data or {}),
            }
        )
        return
    lines = [f"otapgate: {error.message}"]
    told = {place for x in error.problems for place in (x.file, x.where)}
    if error.where and error.where not in error.message and error.where not in told:
        lines.append("   " + _("in {place}").format(place=error.where))
    for x in error.problems:
        lines.append(f"   {x.where}: {x.message}" if x.where else f"   {x.message}")
        if x.remedy:
            lines += [f"      → {way}" for way in fillable(x.remedy).splitlines()]
    lines += [f"   → {way}" for way in fillable(error.remedy or "").splitlines()]
    _put(sys.stderr, printable("\n".join(lines)) + "\n")
