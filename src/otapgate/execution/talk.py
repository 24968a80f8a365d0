"""One job told to a worker, and its answer: the process by which it is reached, kept going,
listened to and ended. What the job is, and what comes of the answer, is `far`'s."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from otapgate.errors import Failed
from otapgate.execution import tether
from otapgate.i18n import _
from otapgate.landscape.model import Environment, Worker

if TYPE_CHECKING:
    from otapgate.execution.worker import Job

LONGEST_LINE = 1 << 30
"""Bytes; a worker that sends more in one line isn't believed."""
GRACE_SECONDS = 60.0
"""How long the worker may take to stop Ansible, and to end."""
QUEUE_SECONDS = 600.0
"""How long Receptor may take before the worker begins."""
_INHERITED = ("PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "TZ", "SSH_AUTH_SOCK")


def command(worker: Worker) -> list[str]:
    """The command whose input and output are the worker's."""
    mesh = worker.receptor
    if mesh is None:
        return list(worker.command)
    return [
        *("receptorctl", "--socket", mesh.socket, "work", "submit", "--node", mesh.node),
        *("--payload", "-", "--follow", "--rm", mesh.work_type),
    ]


def program(environment: Environment) -> list[str]:
    """The same command, its program found. Raises Failed (`worker-missing`)."""
    worker = environment.worker
    assert worker is not None, "there is somebody to speak to"
    name, *arguments = command(worker)
    found = shutil.which(name)
    if found is None:
        raise Failed(
            "worker-missing",
            _("{program}, by which the worker of {environment} is reached, isn't installed"
              " here.").format(program=name, environment=environment.name),
            where=environment.file or None,
            remedy="pip install receptorctl" if worker.receptor else None,
        )  # fmt: skip
    return [str(Path(found).absolute()), *arguments]


class Talk:
    """One job, told to a worker by its command, and what it answers."""

    def __init__(
        self, environment: Environment, job: Job, sent: Path | None, lock: Path | None
    ) -> None:
        """With `lock` the command ends when otapgate does (see `tether`)."""
        line = program(environment)
        if lock is not None:
            lock.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            launcher = str(Path(tether.__file__))
            line = [sys.executable, "-I", "-S", launcher, str(lock), str(os.getpid()), *line]
        kept = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        self._attached = job.attached
        self._leaving = False
        self._said: deque[bytes] = deque(maxlen=20)
        self.answer: dict[str, Any] | None = None
        self.why = ""
        """What ansible-runner says of an answer that broke off."""
        self.began = False
        """Whether the worker said anything at all."""
        try:
            self._process = subprocess.Popen(
                line,
                env={**kept, "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C is for otapgate, which hangs up in good order
            )
        except OSError as error:  # no program, whatever its mode says
            raise Failed(
                "worker-missing",
                f"{line[0]}: {error.strerror}",
                where=environment.file or None,
            ) from error
        self._threads = [
            threading.Thread(target=self._send, args=(job, sent), daemon=True),
            threading.Thread(target=self._hear, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def hang_up(self) -> None:
        """Let the worker know that its work is to end."""
        self._leaving = True

    def kill(self) -> None:
        """End the command by which the worker is spoken to."""
        self._process.kill()

    @property
    def said(self) -> str:
        """The last that came by standard error, and why nothing more did."""
        text = b"".join(self._said).decode("utf-8", "replace").strip()
        shown = "".join(c if c.isprintable() else " " for c in text)
        return " ".join(shown.split())[-500:] or self.why

    def hold(self, take: Callable[[dict[str, Any]], bool], check: Callable[[], Any]) -> None:
        """Return when the worker has answered, or can't any more. `check` is called about
        once a second."""
        from ansible_runner.streaming import Processor

        from otapgate.execution.worker import KEY

        class Taking(Processor):
            def artifacts_callback(self, _data: Any) -> None:
                raise ValueError("files came, that nobody asked for")

        def status(data: dict[str, Any], runner_config: Any) -> None:  # noqa: ARG001
            said = data.get(KEY)
            if isinstance(said, dict):
                self.answer = said
            self.why = str(data.get("job_explanation") or "")

        assert self._process.stdout is not None, "it is a pipe"
        lines = _Lines(self._process.stdout.fileno(), check, self._patience)
        whole = False
        try:
            with tempfile.TemporaryDirectory() as folder:
                Taking(
                    lines,
                    status_handler=status,
                    event_handler=take,
                    quiet=True,
                    private_data_dir=folder,
                    settings={},
                ).run()
            whole = lines.last == b'{"eof": true}\n'
        except (TypeError, ValueError, AttributeError, KeyError, RecursionError) as error:
            self.why = f"{error}"  # no answer that makes sense
        finally:
            self.began = lines.began
            if not whole:
                self.answer = None
            self._end(check)

    def _patience(self, began: bool) -> float:
        from otapgate.execution.worker import LEASE_SECONDS

        return LEASE_SECONDS if began or self._attached else QUEUE_SECONDS

    def _end(self, check: Callable[[], Any]) -> None:
        self.hang_up()
        until = time.monotonic() + (GRACE_SECONDS if self.answer is not None else 1.0)
        while self._process.poll() is None and time.monotonic() < until:
            time.sleep(0.02)
            check()
        self._process.kill()
        self._process.wait()
        for thread in self._threads:
            thread.join(5)
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def _send(self, job: Job, sent: Path | None) -> None:
        from ansible_runner.streaming import Transmitter

        from otapgate.execution.worker import HEARTBEAT_SECONDS, KEY

        pipe = self._process.stdin
        assert pipe is not None, "it is a pipe"
        with contextlib.suppress(OSError, ValueError):
            Transmitter(
                pipe,
                private_data_dir=str(sent),
                only_transmit_kwargs=sent is None,
                **{KEY: msgspec.to_builtins(job, enc_hook=str)},
            ).run()
            spoke = time.monotonic()
            while self._attached and not self._leaving and self._process.poll() is None:
                time.sleep(0.1)
                if time.monotonic() - spoke > HEARTBEAT_SECONDS:
                    pipe.write(b"\n")
                    pipe.flush()
                    spoke = time.monotonic()
        with contextlib.suppress(OSError):
            pipe.close()

    def _hear(self) -> None:
        pipe = self._process.stderr
        assert pipe is not None, "it is a pipe"
        with contextlib.suppress(OSError, ValueError):
            while text := os.read(pipe.fileno(), 4096):
                self._said.append(text)


class _Lines:
    """What the worker writes, line by line, as ansible-runner's processor wants it."""

    def __init__(
        self, descriptor: int, check: Callable[[], Any], patience: Callable[[bool], float]
    ) -> None:
        self._descriptor = descriptor
        self._check = check
        self._patience = patience
        self._buffer = bytearray()
        self._heard = time.monotonic()
        self.began = False
        self.last = b""

    def readline(self) -> bytes:
        """The next line; b"" at the end. Raises OSError for silence, and for too much."""
        searched = 0
        while True:
            at = self._buffer.find(b"\n", searched) + 1
            if at:
                self.last = bytes(self._buffer[:at])
                del self._buffer[:at]
                return self.last
            searched = len(self._buffer)
            if searched > LONGEST_LINE:
                raise OSError(_("it sent a line without an end"))
            ready, _out, _odd = select.select([self._descriptor], [], [], 1.0)
            self._check()
            if ready:
                data = os.read(self._descriptor, 1 << 16)
                if not data:
                    return b""
                self._buffer += data
                self._heard = time.monotonic()
                self.began = True
            elif time.monotonic() - self._heard > self._patience(self.began):
                raise OSError(_("nothing more was heard of it"))
