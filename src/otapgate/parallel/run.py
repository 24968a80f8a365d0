"""Captures both sides of every output, compares them, and makes the evidence.

Both sides of an output are captured at about the same moment. What was captured is never
written down: it stays in this process, and what is kept are counts, marks and excerpts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from otapgate.i18n import _
from otapgate.parallel.capture import Captured, Post, Unavailable, capture
from otapgate.parallel.compare import Comparison, Difference, Rules, each, unreadable
from otapgate.parallel.excerpt import Excerpts
from otapgate.parallel.plan import Output, Plan
from otapgate.secrets_filter import SecretsFilter

KINDS_WITHOUT_PEOPLE = ("none", "synthetic")
"""Data classes of environments whose outputs may be shown as they are."""


@dataclass(frozen=True, slots=True)
class Found:
    """What came of one output."""

    id: str
    kind: str
    same: int
    tolerated: int
    different: int
    allowed: str
    """Why what differs is allowed; "" where it isn't, or nothing does."""
    differences: tuple[dict[str, str | None], ...]
    marks: dict[str, str]

    @property
    def agrees(self) -> bool:
        return self.different == 0

    def as_json(self) -> dict[str, Any]:
        """As the evidence and scripts get it."""
        return {
            "id": self.id, "kind": self.kind, "same": self.same, "tolerated": self.tolerated,
            "different": self.different, "allowed": self.allowed or None,
            "differences": list(self.differences), "marks": self.marks,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Result:
    """A comparison of everything that the plan names."""

    outputs: tuple[Found, ...]
    full: tuple[str, ...]
    """Every difference as it is, for whoever may see the outputs; kept nowhere."""

    def total(self, what: str) -> int:
        """`same`, `tolerated` or `different`, over all outputs."""
        return sum(getattr(one, what) for one in self.outputs)


def compare(
    plan: Plan, old: Post, new: Post, on_output: Callable[[Found], None] | None = None
) -> Result:
    """Capture and compare every output of the plan."""
    personal = any(
        post.environment.data.data_class not in KINDS_WITHOUT_PEOPLE for post in (old, new)
    )
    mask = SecretsFilter([*old.secrets.values(), *new.secrets.values()])
    outputs, full = [], []
    with ThreadPoolExecutor(2) as both:
        for output in plan.outputs:
            sides = [both.submit(_captured, output, post) for post in (old, new)]
            one, other = (side.result() for side in sides)
            found, marked = _output(plan, output, one, other, personal=personal, mask=mask)
            outputs.append(marked)
            full += [mask(f"{output.id}: {line}") for line in each(found.differences)]
            if on_output is not None:
                on_output(marked)
    return Result(tuple(outputs), tuple(full))


def _captured(output: Output, post: Post) -> Captured | str:
    try:
        return capture(output.source, post)
    except Unavailable as error:
        return str(error)


def _output(
    plan: Plan,
    output: Output,
    one: Captured | str,
    other: Captured | str,
    *,
    personal: bool,
    mask: SecretsFilter,
) -> tuple[Comparison, Found]:
    excerpts = Excerpts(personal=personal, known=_named(output))
    marks = {}
    if isinstance(one, str) or isinstance(other, str):
        # The sentence says what failed, and holds nothing of an output.
        found = unreadable(
            one if isinstance(one, str) else _("captured"),
            other if isinstance(other, str) else _("captured"),
        )
        told = [{"where": d.where, "place": "", "old": d.old, "new": d.new}
                for d in found.differences]  # fmt: skip
    else:
        found = _compared(Rules(output.compare, plan.masks), one, other)
        for role, side in (("old", one), ("new", other)):
            whole = b"".join(
                len(part).to_bytes(8) + part
                for name, data in sorted(side.parts.items())
                for part in (name.encode("utf-8", "surrogateescape"), data)
            )
            marks[role] = excerpts.digest(whole)
        told = [
            {"where": d.where, "place": "", "old": d.old, "new": d.new}
            if d.where in ("output", "status")
            else excerpts.of(d)
            for d in found.differences
        ]
    told = [{k: v if v is None else mask(v) for k, v in one_.items()} for one_ in told]
    allowed = ""
    if output.allow is not None and found.different:
        limit = Decimal(output.allow.share) * found.total
        if found.different <= limit and not isinstance(one, str) and not isinstance(other, str):
            allowed = output.allow.because
            found.tolerated += found.different
            found.different = 0
    return found, Found(
        output.id, output.kind, found.same, found.tolerated, found.different, allowed,
        tuple(told), marks,
    )  # fmt: skip


def _compared(rules: Rules, one: Captured, other: Captured) -> Comparison:
    found = Comparison()
    if one.status or other.status:
        if one.status == other.status:
            found.same += 1
        else:
            found.note(Difference("status", (), one.status, other.status))
    for name in sorted({*one.parts, *other.parts}):
        place = (name,) if name else ()
        old, new = one.parts.get(name), other.parts.get(name)
        if old is None or new is None:
            found.note(Difference("file", place, "file" if new is None else None,
                                  "file" if old is None else None))  # fmt: skip
        else:
            found.add(rules.bodies(old, new), place)
    return found


def _named(output: Output) -> Iterator[str]:
    """Names that stand in the plan itself, which the ledger's readers know anyhow."""
    asked = output.compare
    for text in (*asked.key, *asked.ignore, *asked.unordered, *asked.tolerances):
        yield text
        yield from text.split(".")
