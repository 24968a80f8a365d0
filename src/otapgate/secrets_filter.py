"""Takes secrets out of text by their value, on top of what Ansible's `no_log` hides.

A secret is looked for as written and in the forms that tools put it in: inside JSON, in a
URL, in base64, and one line of several. Used for what Ansible writes and for test results.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

MASK = "********"
SHORTEST = 4
"""Characters. Shorter values aren't looked for: they would blot out ordinary text."""
_LINE = 8
"""A secret of several lines is also looked for line by line, from this length on."""


class SecretsFilter:
    """Replaces every known secret in a text by asterisks."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {form for secret in secrets for form in _forms(secret)}
        # Longest first: a secret that contains another is masked whole.
        self._forms = sorted(forms, key=lambda form: (-len(form), form))

    def __call__(self, text: str) -> str:
        for form in self._forms:
            text = text.replace(form, MASK)
        return text

    @property
    def longest(self) -> int:
        """Bytes of the longest form a secret is looked for in: how much must be thrown
        away where output is cut, so that no half of a secret stays."""
        return max((len(form.encode("utf-8", "replace")) for form in self._forms), default=0)


def _forms(secret: str) -> set[str]:
    if len(secret.strip()) < SHORTEST:
        return set()
    raw = secret.encode("utf-8", "surrogateescape")
    encoded = base64.b64encode(raw).decode()
    return {
        secret,
        secret.strip(),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        quote(raw, safe=""),
        quote_plus(raw),
        encoded,
        encoded.rstrip("="),
        *(line for line in secret.splitlines() if len(line.strip()) >= _LINE),
    }
