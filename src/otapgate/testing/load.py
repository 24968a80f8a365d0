"""A latency budget: many requests, some at once, and how long they may take.

Each request is on a new connection and is timed by the monotonic clock, from connecting to
the last byte. Percentiles are over the answers that were as asked for; the others are
errors and have a limit of their own. Every sample is kept.
"""

from __future__ import annotations

import itertools
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from otapgate import canonical
from otapgate.i18n import _
from otapgate.testing.bench import Room
from otapgate.testing.evidence import Attempt, listed
from otapgate.testing.http_check import NotAsked, Question, percentile, prepare
from otapgate.testing.limits import Limit
from otapgate.testing.plan import HttpStep

_PERCENT = {"p50": 50, "p95": 95, "p99": 99, "max": 100}


@dataclass(slots=True)
class _Samples:
    """What came of each request."""

    begin: float = field(default_factory=time.monotonic)
    taken: list[tuple[int, int, int]] = field(default_factory=list)
    """Begun after so many microseconds, took so many, ended with this status (0: none)."""
    good: list[int] = field(default_factory=list)
    """Microseconds of the answers that were as asked for."""
    errors: list[str] = field(default_factory=list)


def check(step: HttpStep, room: Room) -> Attempt:
    """Warm up, ask, and compare every percentile with its limit."""
    wanted = step.load
    assert wanted is not None, "the caller looked"
    question = prepare(step, room)
    _ask(question, wanted.warm_up, wanted.concurrency, room.limit)
    samples = _ask(question, wanted.requests, wanted.concurrency, room.limit)
    if room.limit.over:
        return Attempt(
            "http", False, _("The step was stopped: {reason}.").format(reason=room.limit.why())
        )
    findings = []
    share = 100 * len(samples.errors) / wanted.requests
    if share > wanted.errors_percent or not samples.good:
        findings.append(
            _("{n} of {total} requests failed, and {percent}% may: {first}").format(
                n=len(samples.errors), total=wanted.requests, percent=wanted.errors_percent,
                first=samples.errors[0] if samples.errors else "-",
            )
        )  # fmt: skip
    ordered = sorted(samples.good)
    measured = {name: percentile(ordered, percent) for name, percent in _PERCENT.items()
                if ordered}  # fmt: skip
    findings += [
        _("{name} is {ms} ms, and {limit} ms is the limit").format(
            name=name, ms=-(-measured[name] // 1000), limit=limit
        )
        for name, limit in wanted.limits_ms.items()
        if name in measured and measured[name] > 1000 * limit
    ]
    said = _("answers: {n}").format(n=len(ordered))
    said += "".join(f"; {name} {-(-us // 1000)} ms" for name, us in measured.items())
    if findings:
        said = _("Too slow or too often wrong: {findings} ({measured})").format(
            findings=listed(findings), measured=said
        )
    kept: dict[str, Any] = {
        "format": "otapgate-latency-samples/1",
        "fields": ["begun_us", "took_us", "status"],
        "samples": [list(sample) for sample in sorted(samples.taken)],
    }
    return Attempt(
        "http",
        not findings,
        said + "." * (not findings),
        findings=findings,
        detail={
            "requests": wanted.requests,
            "concurrency": wanted.concurrency,
            "errors": len(samples.errors),
            "microseconds": measured,
        },
        objects=[room.bench.keep(canonical.encode(kept))],
    )


def _ask(question: Question, count: int, concurrency: int, limit: Limit) -> _Samples:
    """Ask so many times, so many at once, until the limit."""
    samples = _Samples()
    numbers = itertools.count()
    together = threading.Lock()

    def work() -> None:
        while not limit.over:
            with together:
                if next(numbers) >= count:
                    return
            _one(question, samples, limit, together)

    threads = [threading.Thread(target=work, daemon=True) for _n in range(min(concurrency, count))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return samples


def _one(question: Question, samples: _Samples, limit: Limit, together: threading.Lock) -> None:
    begin = time.monotonic()
    status, took, wrong = 0, None, ""
    try:
        answer = question.ask(limit)
        status, took = answer.status, answer.microseconds
        wrong = question.wrong(answer)
    except NotAsked as error:
        wrong = str(error)
    except Exception as error:  # whatever a server can make the client raise is an error
        wrong = f"{type(error).__name__}: {error}"
    end = time.monotonic()
    spent = took if took is not None else round((end - begin) * 1_000_000)
    with together:
        samples.taken.append((round((begin - samples.begin) * 1_000_000), spent, status))
        if wrong:
            samples.errors.append(wrong)
        else:
            samples.good.append(spent)
