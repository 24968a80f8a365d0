"""What a test run leaves behind: readable and bounded in size."""

from __future__ import annotations

from otapgate.i18n import _

LONGEST = 16 * 1024
"""Characters of a step's output that are kept: half from its beginning, half its end."""


def shorten(text: str, limit: int = LONGEST) -> str:
    """At most about `limit` characters of a text, and a line that says what is left out.
    Also makes it storable: lone surrogates become question marks."""
    text = text.encode("utf-8", "replace").decode("utf-8")
    if len(text) <= limit:
        return text
    half = limit // 2
    gap = _("[… {n} characters left out …]").format(n=len(text) - 2 * half)
    return f"{text[:half]}\n{gap}\n{text[-half:]}"
