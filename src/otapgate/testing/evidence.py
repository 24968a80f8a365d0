"""What a test run leaves behind: readable and bounded in size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from otapgate.i18n import _

LONGEST = 16 * 1024
"""Characters of a step's output that are kept: half from its beginning, half its end."""
LONGEST_MESSAGE = 2000
MOST_FINDINGS = 500


@dataclass(slots=True)
class Attempt:
    """What became of one step."""

    kind: str
    ok: bool
    message: str
    output: str = ""
    milliseconds: int = 0
    findings: list[str] = field(default_factory=list)
    """What was wrong, one by one, where there can be more than one thing."""
    detail: dict[str, Any] = field(default_factory=dict)
    """Measurements, counts and answers, as canonical JSON has them."""
    objects: list[str] = field(default_factory=list)
    """Digests of what was kept besides: samples, reports, attachments."""
    repetition: int = 1

    def clean(self, mask: Callable[[str], str]) -> None:
        """Mask secrets and bound the size of everything that is text."""
        self.message = shorten(mask(self.message), LONGEST_MESSAGE)
        self.output = shorten(mask(self.output))
        self.findings = [shorten(mask(x), LONGEST_MESSAGE) for x in self.findings[:MOST_FINDINGS]]
        self.detail = _masked(self.detail, mask)

    def as_json(self) -> dict[str, Any]:
        """As evidence has it; what says nothing is left out."""
        more = {"findings": self.findings, "detail": self.detail, "objects": self.objects}
        return {
            "kind": self.kind,
            "ok": self.ok,
            "message": self.message,
            "milliseconds": self.milliseconds,
            "output": self.output,
            **{name: value for name, value in more.items() if value},
            **({"repetition": self.repetition} if self.repetition > 1 else {}),
        }


def _masked(value: Any, mask: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return shorten(mask(value))
    if isinstance(value, list):
        return [_masked(item, mask) for item in value]
    if isinstance(value, dict):
        return {key: _masked(item, mask) for key, item in value.items()}
    return value


def listed(findings: list[str], most: int = 20) -> str:
    """Findings as one line."""
    return "; ".join([*findings[:most], *(["…"] if len(findings) > most else [])])


def shorten(text: str, limit: int = LONGEST) -> str:
    """At most about `limit` characters of a text, and a line that says what is left out.
    Also makes it storable: lone surrogates become question marks."""
    text = text.encode("utf-8", "replace").decode("utf-8")
    if len(text) <= limit:
        return text
    half = limit // 2
    gap = _("[… {n} characters left out …]").format(n=len(text) - 2 * half)
    return f"{text[:half]}\n{gap}\n{text[-half:]}"
