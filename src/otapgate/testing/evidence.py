"""What a test run leaves behind: readable, bounded in size, and without secrets."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

from otapgate.i18n import _

MASK = "********"
LONGEST = 16 * 1024
"""Characters of a step's output that are kept: half from its beginning, half its end."""
_LINE = 8
"""A secret of several lines is also looked for line by line, from this length on."""


def filter_secrets(text: str, secrets: Iterable[str]) -> str:
    """`text` with every secret replaced by asterisks: as written, and in the forms that
    programs put it in (JSON, URL, base64, one line of several). Empty ones are passed
    over; whoever keeps a secret of one letter gets very little output."""
    for form in _forms(secrets):
        text = text.replace(form, MASK)
    return text


def longest_form(secrets: Iterable[str]) -> int:
    """Bytes of the longest form a secret is looked for in: how much must be thrown away
    where output is cut, so that no half of a secret stays."""
    return max((len(form.encode("utf-8", "replace")) for form in _forms(secrets)), default=0)


def shorten(text: str, limit: int = LONGEST) -> str:
    """At most about `limit` characters of a text, and a line that says what is left out.
    Also makes it storable: lone surrogates become question marks."""
    text = text.encode("utf-8", "replace").decode("utf-8")
    if len(text) <= limit:
        return text
    half = limit // 2
    gap = _("[… {n} characters left out …]").format(n=len(text) - 2 * half)
    return f"{text[:half]}\n{gap}\n{text[-half:]}"


def _forms(secrets: Iterable[str]) -> list[str]:
    forms: set[str] = set()
    for secret in secrets:
        if not secret.strip():
            continue
        raw = secret.encode("utf-8", "surrogateescape")
        forms |= {
            secret,
            secret.strip(),
            json.dumps(secret)[1:-1],
            json.dumps(secret, ensure_ascii=False)[1:-1],
            quote(raw, safe=""),
            quote_plus(raw),
        }
        if len(raw) >= 3:
            encoded = base64.b64encode(raw).decode()
            forms |= {encoded, encoded.rstrip("=")}
        forms.update(line for line in secret.splitlines() if len(line.strip()) >= _LINE)
    # Longest first: a secret that contains another is masked whole.
    return sorted(forms, key=lambda form: (-len(form), form))
