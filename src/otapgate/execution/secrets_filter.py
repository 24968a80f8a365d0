"""Takes secrets out of text by their value, on top of what Ansible's `no_log` hides.

A secret is looked for as written and in the forms that tools put it in: inside JSON,
in a URL, in base64.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

MASK = "********"
SHORTEST = 4
"""Shorter values aren't looked for: they would blot out ordinary text."""


class SecretsFilter:
    """Replaces every known secret in a text by asterisks."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms: set[str] = set()
        for secret in secrets:
            if len(secret) >= SHORTEST:
                encoded = secret.encode("utf-8", "surrogateescape")
                forms |= {
                    secret,
                    json.dumps(secret)[1:-1],
                    json.dumps(secret, ensure_ascii=False)[1:-1],
                    quote(encoded, safe=""),
                    quote_plus(encoded),
                    base64.b64encode(encoded).decode(),
                    base64.b64encode(encoded).decode().rstrip("="),
                }
        # longest first: a secret that contains another is masked whole
        self._forms = sorted(forms, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        for form in self._forms:
            text = text.replace(form, MASK)
        return text
