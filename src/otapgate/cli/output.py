"""What a command answers, and how it gets onto the screen.

Answers go to stdout, everything else (progress, notes, questions) to stderr. Text from
files and other people is made harmless before a terminal sees it. How failures look is in
`failure.py`.
"""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TextIO

from otapgate.cli.options import options
from otapgate.errors import Exit, Failed, Usage
from otapgate.i18n import _

Tone = Literal["good", "bad", "warn", "strong", "dim"]

_CODES: dict[Tone, str] = {"good": "32", "bad": "31", "warn": "33", "strong": "1", "dim": "2"}
_STYLE = re.compile(r"\x1b\[(?:0|1|2|31|32|33)m")
# Everything that moves a cursor, hides text or turns its direction around. Line feed and
# tab stay.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


@dataclass(slots=True)
class Reply:
    """What a command came to."""

    data: Mapping[str, Any]
    """The JSON object, without "ok"; keys, codes and values never translated."""
    text: str | Callable[[], str]
    """What a person reads; a function when it is work that `--json` doesn't need."""
    ok: bool = True
    exit: Exit = Exit.OK


def styled(text: str, tone: Tone) -> str:
    """`text` in a tone; shown only where the output is a terminal that wants colour."""
    return f"\x1b[{_CODES[tone]}m{text}\x1b[0m"


def width(text: str) -> int:
    """Columns that `text` takes on a terminal."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in _STYLE.sub("", text)
    )


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Aligned columns under their heads; a sentence instead when there are no rows.

    A line feed in a cell becomes a space, so that a row stays a row.
    """
    if not rows:
        return _("None.")
    cells = [[" ".join(cell.splitlines()) for cell in row] for row in (heads, *rows)]
    widths = [max(map(width, column)) for column in zip(*cells, strict=True)]
    lines = [
        "  ".join(cell + " " * (w - width(cell)) for cell, w in zip(row, widths, strict=True))
        for row in cells
    ]
    first, *rest = (line.rstrip() for line in lines)
    return "\n".join([styled(first, "dim"), *rest])


def harmless(text: str, *, colour: bool) -> str:
    """`text` with control and direction characters spelled out, and with our own tones
    only when `colour`."""
    kept: list[str] = []
    at = 0
    for tone in _STYLE.finditer(text):
        kept.append(_UNSAFE.sub(_spelled, text[at : tone.start()]))
        if colour:
            kept.append(tone[0])
        at = tone.end()
    kept.append(_UNSAFE.sub(_spelled, text[at:]))
    return "".join(kept)


def _spelled(match: re.Match[str]) -> str:
    return f"\\x{ord(match[0]):02x}" if ord(match[0]) < 256 else f"\\u{ord(match[0]):04x}"  # noqa: PLR2004


def as_json(data: Mapping[str, Any], *, ok: bool) -> str:
    """One JSON object, "ok" first."""
    import json

    import msgspec

    def plain(value: Any) -> Any:
        if isinstance(value, Path):
            return str(value)
        raise TypeError(f"{type(value).__name__} in an answer")

    built = msgspec.to_builtins({"ok": ok, **data}, enc_hook=plain, str_keys=True)
    return json.dumps(built, ensure_ascii=False, indent=2)


def say(text: str, stream: TextIO | None = None) -> None:
    """Print `text` and a line feed to stdout (or `stream`); a reader that went away is no
    reason to fail."""
    out = sys.stdout if stream is None else stream
    _write(out, harmless(text, colour=_wants_colour(out)) + "\n")


def say_json(text: str) -> None:
    """Print JSON to stdout; lone surrogates escaped, control characters are already."""
    _write(sys.stdout, text.encode("utf-8", "backslashreplace").decode() + "\n")


def note(text: str) -> None:
    """Tell something on stderr that isn't the answer."""
    _end_progress()
    say(text, sys.stderr)


_progress_shown = False


def progress(text: str) -> None:
    """How far it is, on stderr: one line that renews itself on a terminal, lines elsewhere."""
    global _progress_shown  # noqa: PLW0603 - there is one terminal
    if _is_terminal(sys.stderr):
        room = _columns() - 1
        line = harmless(" ".join(text.splitlines()), colour=False)[:room]
        _write(sys.stderr, f"\r{line}\x1b[K")
        _progress_shown = True
    else:
        say(text, sys.stderr)


def confirm(question: str) -> None:
    """Return when the user agrees, or has with `--yes`.

    Raises Usage `confirmation-needed` where nobody can be asked, and Failed `declined`
    when the answer isn't yes.
    """
    if options().yes:
        return
    if not (_is_terminal(sys.stdin) and _is_terminal(sys.stderr)):
        raise Usage(
            "confirmation-needed",
            _("This needs a yes, and there is no terminal to ask it on."),
            remedy=_("Add --yes when you are sure."),
        )
    _end_progress()
    _write(sys.stderr, harmless(question, colour=_wants_colour(sys.stderr)) + _(" [y/N] "))
    answer = sys.stdin.readline().strip().casefold()
    if answer not in ("y", "yes", "j", "ja"):
        raise Failed("declined", _("You didn't say yes, so nothing was done."))


def render(reply: Reply) -> Exit:
    """Print a reply as the options ask for, and return the exit code it stands for."""
    _end_progress()
    ok = reply.ok and reply.exit is Exit.OK
    if options().json:
        say_json(as_json(reply.data, ok=ok))
    else:
        text = reply.text if isinstance(reply.text, str) else reply.text()
        if text:
            say(text)
    if reply.exit is Exit.OK and not reply.ok:
        return Exit.FAILED
    return reply.exit


def _end_progress() -> None:
    global _progress_shown  # noqa: PLW0603
    if _progress_shown:
        _write(sys.stderr, "\r\x1b[K")
        _progress_shown = False


def _write(stream: TextIO, text: str) -> None:
    try:
        encoding = stream.encoding or "utf-8"
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        stream.flush()
    except BrokenPipeError:
        # Whoever read this (`| head`) has left. What was done is done: the exit code still
        # says how it went. The interpreter flushes once more at its end; give it a sink.
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, stream.fileno())
        os.close(sink)


def _is_terminal(stream: TextIO) -> bool:
    return stream.isatty()


def _wants_colour(stream: TextIO) -> bool:
    return (
        _is_terminal(stream)
        and not os.environ.get("NO_COLOR")
        and os.environ.get("TERM") != "dumb"
    )


def _columns() -> int:
    import shutil

    return shutil.get_terminal_size().columns
