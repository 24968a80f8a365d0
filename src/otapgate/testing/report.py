"""The junit step: a report that a command of the case wrote, or that was handed in."""

from __future__ import annotations

from otapgate.i18n import _, why
from otapgate.landscape.yaml_positions import shown
from otapgate.testing import junit
from otapgate.testing.bench import Room
from otapgate.testing.evidence import Attempt
from otapgate.testing.plan import JunitStep


def check(step: JunitStep, room: Room) -> Attempt:
    """Count every test of the report; one that failed, or was skipped, fails the step."""
    path = room.results / step.file if step.file else room.bench.hands.attachments.get(step.attach)
    name = shown(step.file or step.attach, 200)
    if path is None:
        said = _("The report {name} wasn't handed in (--attach {name}=FILE).").format(name=name)
        return Attempt("junit", False, said)
    if step.file and not path.resolve().is_relative_to(room.results.resolve()):
        said = _("The report {name} leads out of the folder for results.").format(name=name)
        return Attempt("junit", False, said)
    try:
        data = junit.read_bytes(path)
        tests = junit.parse(data)
    except OSError as error:
        said = _("The report {name} can't be read: {reason}.").format(name=name, reason=why(error))
        return Attempt("junit", False, said)
    except junit.Malformed as error:
        said = _("{name} is no JUnit report that can be trusted: {reason}.").format(
            name=name, reason=shown(str(error), 200)
        )
        return Attempt("junit", False, said)
    wrong = junit.wrong(tests, allow_skipped=step.skipped)
    # What was passed over shows nothing, so it doesn't count towards what must be there.
    carried_out = len(tests) - len(junit.of(tests, "skipped"))
    if not wrong and carried_out < step.min_tests:
        wrong = _("The report {name} holds {n} tests, and at least {wanted} were expected.").format(
            name=name, n=carried_out, wanted=step.min_tests
        )
    done = _("{n} tests passed.").format(n=carried_out)
    return Attempt(
        "junit", not wrong, wrong or done,
        findings=junit.named(tests), detail={"report": name, **junit.counted(tests)},
        objects=[room.bench.keep(data)] if room.bench.harmless(data) else [],
    )  # fmt: skip
