"""Steps that run a program: a command, or pytest."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
from pathlib import Path

from otapgate.i18n import _
from otapgate.landscape.yaml_positions import shown
from otapgate.testing import junit, process
from otapgate.testing.bench import Room
from otapgate.testing.evidence import Attempt
from otapgate.testing.limits import Limit
from otapgate.testing.plan import CommandStep, PytestStep
from otapgate.testing.template import render


def command(step: CommandStep, room: Room) -> Attempt:
    """Run a program of the plan, or of this machine."""
    variables = room.seen_by(step.host)
    limit = room.limit.within(step.timeout_seconds, "step")
    argv = [render(argument, variables) for argument in step.argv]
    contains = render(step.contains, variables) if step.contains is not None else None
    ended = process.carry_out(
        argv,
        folder=room.bench.bundle,
        environment=room.processes,
        seconds=limit.left,
        margin=room.bench.margin,
        stop=limit.stop,
    )
    wrong = _unsound(ended, argv[0], limit)
    if not wrong and ended.exit != step.exit:
        wrong = _("{program} ended with {code}, and {wanted} was expected.").format(
            program=shown(argv[0], 200), code=ended.exit, wanted=step.exit
        )
    if not wrong and contains is not None and contains not in ended.output:
        wrong = _("The output doesn't hold '{text}'.").format(text=shown(contains, 200))
    done = _("{program} ended with {code}.").format(program=shown(argv[0], 200), code=ended.exit)
    return Attempt("command", not wrong, wrong or done, ended.output)


def _unsound(ended: process.Ended, program: str, limit: Limit) -> str:
    """Why a program's end says nothing; "" when it does."""
    name = shown(program, 200)
    if ended.exit is None:
        return _("{program} can't be started: {reason}.").format(program=name, reason=ended.reason)
    if ended.late:
        if limit.whose == "step" and not limit.stop.asked:
            return _("{program} didn't end within {seconds} s and was stopped.").format(
                program=name, seconds=limit.seconds
            )
        return _("{program} was stopped: {reason}.").format(program=name, reason=limit.why())
    if ended.lingering:
        return _("{program} left something running that could not be stopped.").format(program=name)
    return ""


def pytest(step: PytestStep, room: Room) -> Attempt:
    """Run tests of the plan; they pass when there are any and none failed or was skipped."""
    bench = room.bench
    path = bench.bundle / step.path
    if not path.exists():
        return Attempt("pytest", False, _("{path} is not in the plan.").format(path=step.path))
    report = room.folder / "junit.xml"
    report.unlink(missing_ok=True)
    limit = room.limit.within(step.timeout_seconds, "step")
    with contextlib.ExitStack() as stack:
        reach, processes = [], room.processes
        if step.testinfra:
            if importlib.util.find_spec("testinfra") is None:
                return Attempt(
                    "pytest", False,
                    _("These tests need testinfra: pip install 'otapgate[test]'."),
                )  # fmt: skip
            if bench.hands.hosts is None:
                return Attempt("pytest", False, _("The hosts can't be reached from here."))
            access = stack.enter_context(bench.hands.hosts())
            # By Ansible alone: testinfra's own ssh would read other settings than Ansible.
            reach = [
                "--hosts=ansible://all",
                f"--ansible-inventory={access.inventory}",
                "--force-ansible",
            ]
            beside = f"{Path(sys.executable).parent}{os.pathsep}{processes['PATH']}"
            processes = {**processes, **access.processes, "PATH": beside}
        argv = [
            *(sys.executable, "-P", "-B", "-m", "pytest", "-q", "--color=no", "--tb=short"),
            *("-p", "no:cacheprovider", "-o", "junit_family=xunit2"),
            f"--rootdir={bench.bundle}",
            f"--confcutdir={bench.bundle}",
            f"--basetemp={room.folder / 'tmp' / 'pytest'}",
            f"--junit-xml={report}",
            *("-c", str(_settings(path, room))),
            *reach,
            *(["-k", step.select] if step.select else []),
            str(path),
        ]
        ended = process.carry_out(
            argv,
            folder=bench.bundle,
            environment=processes,
            seconds=limit.left,
            margin=bench.margin,
            stop=limit.stop,
        )
    return _verdict(ended, report, step, limit)


def _settings(path: Path, room: Room) -> Path:
    """The plan's own pytest.ini nearest to the tests, or an empty one: pytest would look
    for settings outside of the plan otherwise."""
    folder = path if path.is_dir() else path.parent
    while folder.is_relative_to(room.bench.bundle):
        if (folder / "pytest.ini").is_file():
            return folder / "pytest.ini"
        folder = folder.parent
    empty = room.folder / "pytest.ini"
    empty.write_text("[pytest]\n")
    return empty


def _verdict(ended: process.Ended, report: Path, step: PytestStep, limit: Limit) -> Attempt:
    """What a pytest run comes to, and whether it proves anything."""
    wrong = _unsound(ended, "pytest", limit)
    if wrong:
        return Attempt("pytest", False, wrong, ended.output)
    try:
        tests = junit.read(report)
    except (OSError, junit.Malformed):
        said = _("pytest ended with {code} and without a report.").format(code=ended.exit)
        return Attempt("pytest", False, said, ended.output)
    wrong = junit.wrong(tests)
    if not wrong and not tests:
        wrong = _("No test was found in {path}.").format(path=step.path)
    if not wrong and ended.exit != 0:
        wrong = _("pytest ended with {code}.").format(code=ended.exit)
    done = _("{n} tests passed.").format(n=len(tests))
    return Attempt(
        "pytest", not wrong, wrong or done, ended.output,
        findings=junit.named(tests), detail=junit.counted(tests),
    )  # fmt: skip
