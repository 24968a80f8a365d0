"""Runs playbooks through a worker near the hosts, where otapgate can't reach them itself.

A job is what `ansible-runner transmit` makes, carried out by `otapgate worker` (see `worker`)
and read as `ansible-runner process` reads it. There is no file system that both sides see, so
where Ansible would wait in the playbook `GO`, it ends, and what comes after is a job of its
own: it is sent only when what was seen before it is durable here. What the worker answers is
believed as a host's answer is, and can do nothing on this machine.
"""

from __future__ import annotations

import os
import platform
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from otapgate.errors import Busy, Failed
from otapgate.execution import runner
from otapgate.execution.faults import Fault
from otapgate.execution.interruption import Interruption
from otapgate.execution.inventory import WAITS
from otapgate.execution.pace import Pace, Reached
from otapgate.execution.talk import GRACE_SECONDS, Talk, command
from otapgate.i18n import _
from otapgate.landscape import host_keys
from otapgate.landscape.model import Environment, Worker


def require(environment: Environment) -> None:
    """Raises Failed unless the environment's worker, if it has one, is there, is like this
    side, and free: `worker-missing` (no such command here), `worker-unreachable`,
    `worker-differs`; or Busy (`environment-locked`)."""
    if environment.worker is None:
        return
    job = _job(environment)
    talk = Talk(environment, job, None, None)
    talk.hold(lambda _event: False, lambda: None)
    try:
        _answered(environment, talk)
    except Failed as error:
        if error.code != "environment-locked":
            raise
        raise Busy(error.code, error.message, remedy=error.remedy) from None


def run_playbooks(
    settings: runner.Settings,
    playbooks: Sequence[Path],
    *,
    label: str,
    variables: Mapping[str, Any],
    host_variables: Mapping[str, Mapping[str, Any]],
    on_playbook: Callable[[Reached], None] | None,
    fault: Fault | None,
) -> runner.PlaybookResult:
    """As `runner.run_playbooks`, through the environment's worker. Raises Failed besides, with
    what may have been begun left in the middle: as `require` does, and `worker-lost`,
    `worker-failed`, `environment-locked`."""
    environment = settings.environment
    host_keys.require(environment)
    scratch = runner.prepare_scratch(settings, label, host_variables)
    struck = False

    def start(take: runner.Take, check: Callable[[], bool]) -> int:
        nonlocal struck
        for part in _parts(playbooks):
            job = _job(
                environment,
                playbooks=tuple(names.get(path) or str(path.absolute()) for path in part),
                trees=tuple(str(tree) for tree in settings.trees),
                label=label,
                release_variables=dict(settings.release_variables),
                variables=dict(variables),
                host_variables={host: dict(own) for host, own in host_variables.items()},
                secrets=dict(settings.secrets),
                collections=tuple(str(path) for path in settings.collections),
                forks=settings.forks,
                strategy=settings.strategy,
                fault=fault,
            )
            talk = Talk(environment, job, _gathered(settings.trees, scratch), settings.lock)
            hangup.talk = talk
            talk.hold(take, check)
            if talk.answer is None and hangup.stopped:
                return 1
            said = _answered(environment, talk)
            struck = struck or bool(said.get("struck"))
            if said.get("stopped") and not hangup.stopped:
                raise _lost(environment, str(said.get("message")))
            if hangup.stopped or not said.get("ok"):
                return 1
        return 0

    from otapgate.execution.worker import ours

    names = {path: name for name, path in ours().items()}
    try:
        pace = Pace(scratch, playbooks, on_playbook)
        hangup = _Hangup(settings.lock)
        result = runner.follow(settings, label, pace, hangup, start)
        return msgspec.structs.replace(result, struck=struck)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _parts(playbooks: Sequence[Path]) -> list[Sequence[Path]]:
    """What is sent at a time: up to and including a playbook in which Ansible would wait,
    and what comes after it."""
    ends = [number + 1 for number, path in enumerate(playbooks) if path in WAITS]
    cuts = [0, *ends, len(playbooks)]
    return [playbooks[a:b] for a, b in pairwise(cuts) if a < b]


def _job(environment: Environment, **more: Any) -> Any:
    from otapgate.execution.worker import Job, versions

    assert environment.worker is not None, "there is somebody to send it to"
    return Job(
        versions=versions(),
        environment=environment,
        attached=environment.worker.receptor is None,
        command=f"otapgate, {platform.node()}",
        **more,
    )


def _gathered(trees: Sequence[Path], scratch: Path) -> Path:
    """A folder with what comes along: the trees by number, their files hard links where that
    can be."""
    sent = scratch / "sent"
    if sent.exists():
        return sent
    for number, tree in enumerate(trees):
        for folder, _folders, files in os.walk(tree):
            here = sent / str(number) / Path(folder).relative_to(tree)
            here.mkdir(mode=0o700, parents=True)
            for name in files:
                try:
                    os.link(Path(folder) / name, here / name, follow_symlinks=False)
                except OSError:
                    shutil.copy2(Path(folder) / name, here / name, follow_symlinks=False)
    sent.mkdir(mode=0o700, exist_ok=True)
    return sent


class _Hangup(Interruption):
    """Asked to stop, the worker is told by the end of its input, and waited for."""

    def __init__(self, lock: Path) -> None:
        super().__init__(lock)
        self.talk: Talk | None = None
        self._since = 0.0

    @property
    def stopped(self) -> bool:
        """Whether anybody asked to stop, otapgate itself too."""
        return bool(self._since)

    def stop(self) -> None:
        self._since = self._since or time.monotonic()
        if self.talk is not None:
            self.talk.hang_up()

    def check(self) -> bool:
        if self.talk is not None and self._since:
            self.talk.hang_up()
            if time.monotonic() - self._since > GRACE_SECONDS:
                self.talk.kill()
        return False

    def reap(self) -> None:
        """Nothing: the talk has waited for its end."""


def _answered(environment: Environment, talk: Talk) -> dict[str, Any]:
    """What the worker said of the job. Raises Failed."""
    from otapgate.execution.worker import versions

    said: dict[str, Any] | None = talk.answer
    if said is None and not talk.began:
        raise Failed(
            "worker-unreachable",
            _("The worker of {environment} can't be reached: {why}").format(
                environment=environment.name, why=talk.said or "?"
            ),
            where=environment.file or None,
            remedy=_("Try it by hand: {command}").format(
                command=" ".join(command(environment.worker or Worker()))
            ),
        )
    if said is None:
        raise _lost(environment, talk.said or "?")
    here, there = versions(), said.get("versions")
    if there != here:
        theirs = there if isinstance(there, dict) else {}
        wanted = " ".join(f"{name}=={version}" for name, version in here.items())
        raise Failed(
            "worker-differs",
            _("The worker of {environment} isn't like this side: {what}").format(
                environment=environment.name,
                what=", ".join(
                    f"{name} {str(theirs.get(name, '?'))[:40]}, {version}"
                    for name, version in here.items()
                    if theirs.get(name) != version
                ),
            ),
            where=environment.file or None,
            remedy=_("Install there: {command}").format(command=f"pip install {wanted}"),
        )
    error = said.get("error")
    if isinstance(error, dict):
        why = str(error.get("message"))[:1000]
        if error.get("code") == "environment-locked":
            raise Failed(
                "environment-locked",
                _("At the worker: {why}").format(why=why),
                remedy=_("Wait until it has finished, then try again."),
            )
        raise Failed(
            "worker-failed",
            _("The worker of {environment} says: {what}").format(
                environment=environment.name, what=why
            ),
        )
    return said


def _lost(environment: Environment, why: str) -> Failed:
    if environment.worker is not None and environment.worker.receptor is not None:
        then = _("What it was doing may still go on there: see 'receptorctl work list'.")
    else:
        then = _("What it was doing is ended there within a minute.")
    return Failed(
        "worker-lost",
        _("The worker of {environment} broke off: {why}").format(
            environment=environment.name, why=why[:1000]
        )
        + f" {then}",
        remedy=_("Then go on or go back: 'otapgate status' says how."),
    )
