"""What runs on the machine near the hosts: a job from otapgate, carried out by Ansible here.

The job comes as `ansible-runner transmit` sends it and the answer goes as `ansible-runner
worker` gives it; `far` is the other end. What is added is what a promotion rests on, since
ansible-runner's own worker goes on when nobody listens any more, and so does its Ansible
when it is killed: one job an environment at a time, by a lock that Ansible holds too; an end
to Ansible when otapgate, its connection or this process is gone; nothing of the job left
behind, at the latest when the next one begins.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import msgspec
from ansible_runner.streaming import Worker
from ansible_runner.utils.streaming import unstream_dir

from otapgate import __version__
from otapgate.errors import Busy, OtapgateError
from otapgate.execution import inventory, runner
from otapgate.execution.faults import Fault
from otapgate.execution.lock import EnvironmentLock, tether_path
from otapgate.execution.plan import FINGERPRINT
from otapgate.landscape.model import Environment, Strategy
from otapgate.release.unpack import remove

KEY = "otapgate"
"""Of otapgate's own part, in the job and in the answer."""
HEARTBEAT_SECONDS = 5.0
"""How often either side says that it is there."""
LEASE_SECONDS = 30.0
"""How long one side goes without a word of the other before it counts as gone."""
PATIENCE_SECONDS = 5.0
"""How long the job before may take to end."""


class Job(msgspec.Struct, frozen=True):
    """What is asked. Paths are of otapgate's machine: they lie below one of `trees`."""

    versions: dict[str, str]
    """Of otapgate's side, as `versions` says them."""
    environment: Environment
    attached: bool
    """Whether otapgate stays at the other end, and says so now and then."""
    playbooks: tuple[str, ...] = ()
    """None: it is only asked how things are here."""
    trees: tuple[str, ...] = ()
    """What comes along, in folders named by place: `0`, `1`, …"""
    label: str = "job"
    release_variables: dict[str, Any] = {}
    variables: dict[str, Any] = {}
    host_variables: dict[str, dict[str, Any]] = {}
    secrets: dict[str, str] = {}
    collections: tuple[str, ...] = ()
    forks: int = runner.FORKS
    strategy: Strategy = "linear"
    fault: Fault | None = None
    command: str = ""
    """What asks, for whoever is turned away meanwhile."""


def versions() -> dict[str, str]:
    """What must be the same on both sides."""
    return {
        "otapgate": __version__,
        **{name: importlib.metadata.version(name) for name in ("ansible-core", "ansible-runner")},
    }


def ours() -> dict[str, Path]:
    """Playbooks of otapgate itself, which each side has."""
    return {"fingerprint": FINGERPRINT, "go": inventory.GO, "go-on": inventory.GO_ON}


def base() -> Path:
    """The folder for locks and jobs, of this account alone."""
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(state) / "otapgate" / "worker"


def serve(source: IO[bytes], target: IO[bytes]) -> bool:
    """Carry out the one job that `source` has, and write to `target` what happens and how it
    ended, well or not; whether all of that could be said."""
    try:
        _Answering(source, target).run()
    except OSError:  # nobody listens
        return False
    return True


class _Answering(Worker):
    """ansible-runner's worker, that runs Ansible as otapgate does everywhere."""

    def __init__(self, source: IO[bytes], target: IO[bytes]) -> None:
        super().__init__(source, target, HEARTBEAT_SECONDS, private_data_dir=os.devnull)
        self._job: Job | None = None

    def run(self) -> tuple[str, int | None]:
        """Take in the job, carry it out, answer."""
        self._begin_keepalive()
        try:
            with contextlib.ExitStack() as stack:
                said = self._carry_out(stack)
        except OtapgateError as error:
            said = {"error": {"code": error.code, "message": error.message}}
        except (OSError, ValueError, LookupError, TypeError) as error:
            said = {"error": {"code": "worker-failed", "message": f"{error}"}}
        status = "successful" if said.get("ok") else "failed"
        self.status_handler({"status": status, KEY: {"versions": versions(), **said}}, None)
        self.finished_callback(None)
        return self.status, self.rc

    def _carry_out(self, stack: contextlib.ExitStack) -> dict[str, Any]:
        folder: Path | None = None
        job: Job | None = None
        while True:
            data = json.loads(self._input.readline() or b"null")
            if not isinstance(data, dict):
                raise ValueError("no job came")
            if "kwargs" in data:
                asked = data["kwargs"][KEY]
                if asked["versions"] != versions():  # before more of it is read
                    return {}
                job = msgspec.convert(asked, Job, dec_hook=_path)
                folder = stack.enter_context(_held(job))
            elif "zipfile" in data and folder is not None:
                unstream_dir(self._input, data["zipfile"], str(folder))
            elif "eof" in data:
                break
        if job is None or folder is None:
            raise ValueError("no job came")
        if not job.playbooks:
            return {"ok": True}
        return self._played(job, folder, _Tie(self._input) if job.attached else None)

    def _played(self, job: Job, folder: Path, tie: _Tie | None) -> dict[str, Any]:
        places = _Places(job.trees, folder)
        for number, _tree in enumerate(job.trees):
            _make_read_only(folder / str(number))

        def forward(event: dict[str, Any]) -> None:
            # As otapgate's own machine would have said it. A line that can't be written is
            # noticed by the tie, which hears less and less.
            text = places.back(json.dumps(event)).encode() + b"\n"
            with self._output_lock, contextlib.suppress(OSError):
                self._output.write(text)
                self._output.flush()
                self._output_event.set()

        fault = job.fault
        if fault is not None:
            fault = msgspec.structs.replace(fault, playbook=places.here(str(fault.playbook)))
        result = runner.run_playbooks(
            runner.Settings(
                environment=msgspec.structs.replace(job.environment, worker=None),
                run_dir=folder / "run",
                lock=tether_path(base(), job.environment.name),
                release_variables=job.release_variables,
                secrets=job.secrets,
                collections=tuple(places.here(one) for one in job.collections),
                forks=job.forks,
                strategy=job.strategy,
                should_stop=None if tie is None else tie.is_gone,
                on_event=forward,
            ),
            [ours().get(name) or places.here(name) for name in job.playbooks],
            label=job.label,
            variables={**places.moved(job.variables), "otapgate_worker": True},
            host_variables=job.host_variables,
            fault=fault,
        )
        return {
            "ok": result.ok,
            "code": result.code,
            "message": places.back(result.message),
            # asked to by otapgate, or by somebody here
            "stopped": result.cancelled or (tie is not None and tie.is_gone()),
            "struck": result.struck,
        }


@contextlib.contextmanager
def _held(job: Job) -> Iterator[Path]:
    """The environment, for this job alone, and an empty folder for it. Raises Busy
    (`environment-locked`)."""
    folder = base()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                stack.enter_context(EnvironmentLock(folder, job.environment.name, job.command))
                break
            except Busy:
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)
        jobs = folder / "jobs" / job.environment.name
        with contextlib.suppress(OSError):
            remove(jobs)  # what a killed worker left: there may be secrets in it
        jobs.mkdir(mode=0o700, parents=True)
        try:
            yield jobs
        finally:
            with contextlib.suppress(OSError):
                remove(jobs)


class _Places:
    """Where things are here, and on otapgate's machine."""

    def __init__(self, trees: tuple[str, ...], folder: Path) -> None:
        self._trees = [(tree, str(folder / str(number))) for number, tree in enumerate(trees)]

    def here(self, path: str) -> Path:
        """A path of otapgate's machine, on this one. Raises ValueError."""
        for there, here in self._trees:
            if path == there or path.startswith(there + "/"):
                return Path(here + path[len(there) :])
        raise ValueError(f"{path} didn't come along")

    def moved(self, value: Any) -> Any:
        """The same value, its paths being of this machine."""
        if isinstance(value, Mapping):
            return {name: self.moved(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [self.moved(inner) for inner in value]
        if isinstance(value, str):
            with contextlib.suppress(ValueError):
                return str(self.here(value))
        return value

    def back(self, text: str) -> str:
        """A text in which places of this machine are those of otapgate's again."""
        for there, here in self._trees:
            text = text.replace(json.dumps(here)[1:-1], json.dumps(there)[1:-1])
        return text


class _Tie:
    """Whether otapgate is still there. It sends a line now and then; when it stops doing
    so, or closes its end, it is gone or wants an end to the job."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self._heard = time.monotonic()
        self._closed = False
        threading.Thread(target=self._listen, daemon=True).start()

    def is_gone(self) -> bool:
        return self._closed or time.monotonic() - self._heard > LEASE_SECONDS

    def _listen(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            while self._source.readline():
                self._heard = time.monotonic()
        self._closed = True


def _path(kind: type, value: object) -> Any:
    return kind(value)


def _make_read_only(tree: Path) -> None:
    """As an unpacked release is: its files already are."""
    for folder, _folders, _files in os.walk(tree, topdown=False):
        Path(folder).chmod(0o555)


def main() -> bool:
    """Like `serve`, on standard input and output. Whatever else wants to be printed goes to
    standard error, so that it doesn't come between."""
    with os.fdopen(os.dup(1), "wb") as target:
        os.dup2(2, 1)
        sys.stdout = sys.stderr
        try:
            return serve(sys.stdin.buffer, target)
        finally:
            with contextlib.suppress(OSError):
                target.flush()
