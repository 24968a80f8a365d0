"""Does one step of a test plan: HTTP, command, pytest or playbook.

`bench` makes the place where steps work, `attempt` does one. In which order, and what the
outcomes mean together, is in `run.py`.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from otapgate.errors import BadInput, OtapgateError
from otapgate.i18n import _
from otapgate.landscape.model import Environment
from otapgate.landscape.yaml_positions import shown
from otapgate.release.manifest import Manifest
from otapgate.release.store import Store
from otapgate.release.unpack import remove, unpack_files
from otapgate.testing import http_check, junit, process
from otapgate.testing.plan import (
    CommandStep,
    HttpStep,
    PlaybookStep,
    PytestStep,
    RegisteredPlan,
    Step,
)
from otapgate.testing.template import render


class PlaybookOutcome(Protocol):
    """What running a playbook gives back."""

    @property
    def ok(self) -> bool: ...
    @property
    def message(self) -> str: ...
    @property
    def output(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class PlaybookResult:
    """How a playbook went on the environment's hosts."""

    ok: bool
    message: str
    output: bytes = b""


PlaybookRunner: TypeAlias = Callable[[Path], PlaybookOutcome]
"""Runs the playbook at a path on the hosts of the environment that is tested."""


@dataclass(slots=True)
class Attempt:
    """What became of one step."""

    kind: str
    ok: bool
    message: str
    output: str = ""
    milliseconds: int = 0


@dataclass(slots=True)
class Bench:
    """Where and with what steps work."""

    bundle: Path
    scratch: Path
    environment: Environment
    variables: dict[str, Any]
    allowed: frozenset[str]
    processes: dict[str, str]
    """Environment variables of the programs that are run: these and no others."""
    ansible: PlaybookRunner | None = None
    margin: int = 0
    """Bytes to throw away where output is cut, for the sake of secrets."""

    def seen_by(self, host: str) -> dict[str, Any]:
        """The variables that a step's templates see."""
        if not host:
            return self.variables
        for one in self.environment.hosts:
            if one.name == host:
                return {**self.variables, "inventory_hostname": host, **one.variables}
        raise BadInput(
            "host-unknown",
            _("{environment} has no host {host}.").format(
                environment=self.environment.name, host=shown(host)
            ),
        )


@contextlib.contextmanager
def bench(
    plan: RegisteredPlan,
    manifest: Manifest,
    environment: Environment,
    workdir: Path,
    store: Store,
) -> Iterator[Bench]:
    """Unpack the bundle, say what the environment is, and clean up afterwards."""
    bundle, scratch = workdir / "plan", workdir / "scratch"
    try:
        unpack_files(plan.plan.files, store, bundle, name=plan.name)
        for folder in (scratch, scratch / "home", scratch / "tmp"):
            folder.mkdir(mode=0o700)
        described = scratch / "environment.json"
        described.touch(mode=0o600)
        described.write_text(json.dumps(_described(environment, manifest)), encoding="utf-8")
        yield Bench(
            bundle=bundle,
            scratch=scratch,
            environment=environment,
            variables=_variables(environment, manifest),
            allowed=addresses(environment),
            processes={
                "PATH": os.environ.get("PATH", os.defpath),
                "HOME": str(scratch / "home"),
                "TMPDIR": str(scratch / "tmp"),
                "LANG": "C.UTF-8",
                "LC_ALL": "C.UTF-8",
                "PYTHONDONTWRITEBYTECODE": "1",
                "OTAPGATE_ENVIRONMENT": str(described),
            },
        )
    finally:
        remove(bundle)
        remove(scratch)


def _described(environment: Environment, manifest: Manifest) -> dict[str, Any]:
    """What tests get to know of where they run."""
    return {
        "name": environment.name,
        "stage": environment.stage,
        "street": environment.street,
        "variables": environment.variables,
        "hosts": [{"name": h.name, "variables": h.variables} for h in environment.hosts],
        "release": {"name": manifest.name, "version": manifest.version, "digest": manifest.digest},
    }


def _variables(environment: Environment, manifest: Manifest) -> dict[str, Any]:
    """As in the release's playbooks: the environment's go before the release's; those of
    a host only where there is one, or `host:` in the step says which."""
    variables = {
        **manifest.variables,
        **environment.variables,
        "otapgate_environment": environment.name,
        "otapgate_release": {
            "name": manifest.name,
            "app": manifest.app,
            "version": manifest.version,
            "digest": manifest.digest,
        },
        "hosts": {host.name: host.variables for host in environment.hosts},
    }
    if len(environment.hosts) == 1:
        only = environment.hosts[0]
        variables |= {"inventory_hostname": only.name, **only.variables}
    return variables


def addresses(environment: Environment) -> frozenset[str]:
    """What may be asked over HTTP, besides loopback: hosts by name and by address."""
    allowed = set()
    for host in environment.hosts:
        allowed.add(host.name.lower())
        address = host.variables.get("ansible_host")
        if isinstance(address, str):
            with contextlib.suppress(BadInput):
                allowed.add(render(address, {**environment.variables, **host.variables}).lower())
    return frozenset(allowed)


def attempt(step: Step, bench: Bench) -> Attempt:
    """One step; whatever keeps it from being done is its failure."""
    kind = type(step).__name__.removesuffix("Step").lower()
    try:
        if isinstance(step, HttpStep):
            checked = http_check.check(step, bench.seen_by(step.host), bench.allowed)
            return Attempt(kind, checked.ok, checked.message, checked.output)
        if isinstance(step, CommandStep):
            return _command(step, bench)
        if isinstance(step, PytestStep):
            return _pytest(step, bench)
        return _playbook(step, bench)
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


def _command(step: CommandStep, bench: Bench) -> Attempt:
    variables = bench.seen_by(step.host)
    argv = [render(argument, variables) for argument in step.argv]
    contains = render(step.contains, variables) if step.contains is not None else None
    ended = process.carry_out(
        argv,
        folder=bench.bundle,
        environment=bench.processes,
        seconds=step.timeout_seconds,
        margin=bench.margin,
    )
    wrong = _unsound(ended, argv[0], step.timeout_seconds)
    if not wrong and ended.exit != step.exit:
        wrong = _("{program} ended with {code}, and {wanted} was expected.").format(
            program=shown(argv[0], 200), code=ended.exit, wanted=step.exit
        )
    if not wrong and contains is not None and contains not in ended.output:
        wrong = _("The output doesn't hold '{text}'.").format(text=shown(contains, 200))
    done = _("{program} ended with {code}.").format(program=shown(argv[0], 200), code=ended.exit)
    return Attempt("command", not wrong, wrong or done, ended.output)


def _unsound(ended: process.Ended, program: str, seconds: int) -> str:
    """Why a program's end says nothing; "" when it does."""
    name = shown(program, 200)
    if ended.exit is None:
        return _("{program} can't be started: {reason}.").format(program=name, reason=ended.reason)
    if ended.late:
        return _("{program} didn't end within {seconds} s and was stopped.").format(
            program=name, seconds=seconds
        )
    if ended.lingering:
        return _("{program} left something running that could not be stopped.").format(program=name)
    return ""


def _pytest(step: PytestStep, bench: Bench) -> Attempt:
    path = bench.bundle / step.path
    if not path.exists():
        return Attempt("pytest", False, _("{path} is not in the plan.").format(path=step.path))
    report = bench.scratch / "junit.xml"
    report.unlink(missing_ok=True)
    argv = [
        *(sys.executable, "-P", "-B", "-m", "pytest", "-q", "--color=no", "--tb=short"),
        *("-p", "no:cacheprovider", "-o", "junit_family=xunit2"),
        f"--rootdir={bench.bundle}",
        f"--confcutdir={bench.bundle}",
        f"--basetemp={bench.scratch / 'tmp' / 'pytest'}",
        f"--junit-xml={report}",
        *("-c", str(_settings(path, bench))),
        *(["-k", step.select] if step.select else []),
        str(path),
    ]
    ended = process.carry_out(
        argv,
        folder=bench.bundle,
        environment=bench.processes,
        seconds=step.timeout_seconds,
        margin=bench.margin,
    )
    message, ok = _verdict(ended, report, step)
    return Attempt("pytest", ok, message, ended.output)


def _settings(path: Path, bench: Bench) -> Path:
    """The plan's own pytest.ini nearest to the tests, or an empty one: pytest would look
    for settings outside of the plan otherwise."""
    folder = path if path.is_dir() else path.parent
    while folder.is_relative_to(bench.bundle):
        if (folder / "pytest.ini").is_file():
            return folder / "pytest.ini"
        folder = folder.parent
    empty = bench.scratch / "pytest.ini"
    empty.write_text("[pytest]\n")
    return empty


def _verdict(ended: process.Ended, report: Path, step: PytestStep) -> tuple[str, bool]:
    """What a pytest run comes to, in a sentence, and whether it proves anything."""
    wrong = _unsound(ended, "pytest", step.timeout_seconds)
    if wrong:
        return wrong, False
    try:
        tests = junit.parse(report.read_bytes())
    except (OSError, junit.Malformed):
        return _("pytest ended with {code} and without a report.").format(code=ended.exit), False
    bad = [test for test in tests if test.outcome == "failed"]
    skipped = [test for test in tests if test.outcome == "skipped"]
    if bad:
        return _("{n} of {total} tests failed: {names}").format(
            n=len(bad), total=len(tests), names=_named(bad)
        ), False
    if skipped:
        return _("{n} of {total} tests were not carried out: {names}").format(
            n=len(skipped), total=len(tests), names=_named(skipped)
        ), False
    if not tests:
        return _("No test was found in {path}.").format(path=step.path), False
    if ended.exit != 0:
        return _("pytest ended with {code}.").format(code=ended.exit), False
    return _("{n} tests passed.").format(n=len(tests)), True


def _named(tests: list[junit.Reported]) -> str:
    named = []
    for test in tests[:20]:
        first = test.message.strip().splitlines()[0] if test.message.strip() else ""
        named.append(shown(test.name, 200) + (f" ({shown(first, 200)})" if first else ""))
    if len(tests) > len(named):
        named.append("…")
    return "; ".join(named)


def _playbook(step: PlaybookStep, bench: Bench) -> Attempt:
    path = bench.bundle / step.path
    if not path.is_file():
        return Attempt("playbook", False, _("{path} is not in the plan.").format(path=step.path))
    if bench.ansible is None:
        return Attempt("playbook", False, _("Playbooks can't be run here."))
    found = bench.ansible(path)
    return Attempt("playbook", found.ok, found.message, found.output.decode("utf-8", "replace"))
