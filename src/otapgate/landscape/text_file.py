"""Bytes of a file that somebody put there, as text: bounded, UTF-8, nothing invisible.

What the text means is not here; `yaml_positions` reads it.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from otapgate.errors import Problem
from otapgate.i18n import _, why

MAX_BYTES = 1024 * 1024


def read_bytes(path: Path, file: str, limit: int = MAX_BYTES) -> bytes | Problem:
    """The bytes of a regular file of at most `limit` bytes, or why not."""
    try:
        # Opened without waiting: a named pipe put in place of a file must not hang us.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        reason = why(error)
        return Problem(
            _("The file can't be read: {reason}.").format(reason=reason),
            file,
            remedy=_("Check that it exists and that you may read it."),
        )
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        return Problem(
            _("This is not an ordinary file."), file, remedy=_("Put a text file in its place.")
        )
    with os.fdopen(handle, "rb") as stream:
        try:
            data = stream.read(limit + 1)
        except OSError as error:
            return Problem(_("The file can't be read: {reason}.").format(reason=error), file)
    return _too_big(file, limit) if len(data) > limit else data


def shown(value: str, limit: int = 60) -> str:
    """`value` safe to print on a terminal: no control characters, not too long."""
    text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in value[: limit + 1])
    return text if len(value) <= limit else text[: limit - 1] + "…"


def _too_big(file: str, limit: int = MAX_BYTES) -> Problem:
    return Problem(
        _("The file is larger than {limit} KiB.").format(limit=limit // 1024),
        file,
        remedy=_("Split it, or check whether this is the right file."),
    )


def decoded(source: str | bytes, file: str) -> str | Problem:
    """Decoded text without a byte order mark or characters that YAML doesn't know."""
    if isinstance(source, str):
        source = source.encode("utf-8", "surrogatepass")
    if len(source) > MAX_BYTES:
        return _too_big(file)
    if source.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        return Problem(
            _("The file begins with a byte order mark."),
            file,
            1,
            _("Save it as UTF-8 without BOM."),
        )
    try:
        text = source.decode("utf-8")
    except UnicodeDecodeError as error:
        return Problem(
            _("The file is not UTF-8: byte 0x{byte} stands at position {position}.").format(
                byte=f"{source[error.start]:02x}", position=error.start
            ),
            file,
            source.count(b"\n", 0, error.start) + 1,
            _("Save it as UTF-8."),
        )
    odd = re.search(
        "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]", text
    )
    if odd:
        return Problem(
            _("The file holds the invisible character U+{code}.").format(
                code=f"{ord(odd.group()):04X}"
            ),
            file,
            text.count("\n", 0, odd.start()) + 1,
            _("Delete that character."),
        )
    return text
