"""Does one step of a test plan, whatever its kind.

`attempt` does it; the kinds have a module each. In which order, and what the outcomes
mean together, is in `run`.
"""

from __future__ import annotations

from collections.abc import Callable

from otapgate.errors import OtapgateError
from otapgate.i18n import _
from otapgate.testing import baseline, http_check, load, manual, programs, report
from otapgate.testing.bench import Room
from otapgate.testing.evidence import Attempt
from otapgate.testing.plan import (
    CommandStep,
    HttpStep,
    JunitStep,
    ManualStep,
    PlaybookStep,
    PytestStep,
    Step,
)


def attempt(step: Step, room: Room) -> Attempt:
    """One step; whatever keeps it from being done is its failure."""
    kind = type(step).__name__.removesuffix("Step").lower()
    if room.limit.over:
        said = _("The step was not carried out: {reason}.").format(reason=room.limit.why())
        return Attempt(kind, False, said)
    try:
        return _doing(step)(room)
    except OtapgateError as error:
        remedy = f" {error.remedy}" if error.remedy else ""
        return Attempt(kind, False, error.message + remedy)
    except Exception as error:  # a step that breaks has failed; the next case goes on
        return Attempt(
            kind,
            False,
            _("The step could not be carried out: {reason}.").format(
                reason=f"{type(error).__name__}: {error}"
            ),
        )


def _doing(step: Step) -> Callable[[Room], Attempt]:
    match step:
        case HttpStep():
            return lambda room: (load if step.load is not None else http_check).check(step, room)
        case CommandStep():
            return lambda room: programs.command(step, room)
        case PytestStep():
            return lambda room: programs.pytest(step, room)
        case PlaybookStep():
            return lambda room: _playbook(step, room)
        case JunitStep():
            return lambda room: report.check(step, room)
        case ManualStep():
            return lambda room: manual.check(step, room)
        case _:
            return lambda room: baseline.check(step, room)


def _playbook(step: PlaybookStep, room: Room) -> Attempt:
    path = room.bench.bundle / step.path
    if not path.is_file():
        return Attempt("playbook", False, _("{path} is not in the plan.").format(path=step.path))
    if room.bench.hands.ansible is None:
        return Attempt("playbook", False, _("Playbooks can't be run here."))
    found = room.bench.play(path, room.limit)
    # as the plan's author knows the file; the copy that ran is gone by then
    said = found.message.replace(f"{room.bench.bundle}/", "")
    return Attempt("playbook", found.ok, said, found.output.decode("utf-8", "replace"))
