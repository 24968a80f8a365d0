"""Runs playbooks of one environment through ansible-runner and says what came of it.

What is here: one call that writes a private folder, starts ansible-playbook through the
tether, follows its events, filters its output, and returns a typed result, also when
Ansible is missing, a playbook can't be parsed, a host can't be reached, or somebody
presses Ctrl-C. Several playbooks go to one process, to save its start-up; it stops at the
first that fails on any host. What they mean, and what happens next, is the promotion's.
"""

from __future__ import annotations

import os
import secrets as random_names
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import msgspec

from otapgate.errors import Failed, OtapgateError, Problem
from otapgate.execution import control, faults, includes, strategy, tether, told, unreachable, vault
from otapgate.execution import inventory as inventories
from otapgate.execution.events import Follower, Progress
from otapgate.execution.faults import Begun, Fault
from otapgate.execution.interruption import Interruption
from otapgate.execution.pace import Pace, Reached
from otapgate.i18n import _
from otapgate.landscape.model import Environment, Strategy
from otapgate.private_file import write_private
from otapgate.secrets_filter import SecretsFilter

HostOutcome: TypeAlias = Literal["ok", "failed", "unreachable"]
Take: TypeAlias = Callable[[dict[str, Any]], bool]
FORKS = 10


class TaskFailure(msgspec.Struct, frozen=True):
    """The task that made a run fail."""

    name: str
    where: str
    """`file:line`, or "" where Ansible didn't say."""
    host: str
    message: str


class PlaybookResult(msgspec.Struct, frozen=True):
    """What came of one ansible-playbook process."""

    ok: bool
    hosts: dict[str, HostOutcome]
    """Every host of the environment; a host that no playbook got to is `failed` unless
    everything went well."""
    failed_task: TaskFailure | None
    fingerprints: Mapping[str, dict[str, Any]]
    """Host → what the fingerprint module saw there."""
    output: Path
    """All that Ansible wrote, secrets masked: the evidence."""
    cancelled: bool
    milliseconds: int
    message: str
    """One sentence for the user; "" when all went well."""
    code: str = ""
    """Slug of what went wrong: `playbook-failed`, `host-unreachable`, `host-outside`, …"""
    reached: int = 0
    """How many of the playbooks were begun."""
    tasks: tuple[Begun, ...] = ()
    """Every task that was started, in order."""
    struck: bool = False
    """Whether the fault that was asked for happened."""


class Settings(msgspec.Struct, frozen=True):
    """What all runs in one environment on behalf of one command have in common."""

    environment: Environment
    run_dir: Path
    """Private folder of the command's run; made (0700) when it isn't there."""
    lock: Path
    """The file that Ansible holds locked while it works (`lock.tether_path`)."""
    release_variables: Mapping[str, Any] = {}
    """Weakest of all variables: what the release brings."""
    secrets: Mapping[str, str] = {}
    """Extra variables whose values must appear nowhere, and what opens Ansible's vaults."""
    hidden: tuple[str, ...] = ()
    """Further values that must appear nowhere."""
    collections: tuple[Path, ...] = ()
    trees: tuple[Path, ...] = ()
    """Folders that playbooks and variables name: what a worker is sent."""
    forks: int = FORKS
    strategy: Strategy = "linear"
    on_progress: Callable[[Progress], None] | None = None
    should_stop: Callable[[], bool] | None = None
    """Asked about once a second; when it says so, Ansible is asked to stop."""
    on_event: Callable[[dict[str, Any]], None] | None = None
    """Given every event as ansible-runner has it, secrets and all."""

    @property
    def mask(self) -> SecretsFilter:
        """Takes out of a text what must appear nowhere."""
        return SecretsFilter([*self.secrets.values(), *self.hidden])


def run_playbooks(
    settings: Settings,
    playbooks: Sequence[Path],
    *,
    label: str,
    variables: Mapping[str, Any],
    host_variables: Mapping[str, Mapping[str, Any]] | None = None,
    on_playbook: Callable[[Reached], None] | None = None,
    fault: Fault | None = None,
) -> PlaybookResult:
    """Run `playbooks`, in order, on the hosts of the environment.

    `on_playbook` is called as each begins. Ansible waits for it in `GO` and `GO_ON`, and
    goes on only when it has returned. What it raises stops Ansible, and is raised here.
    `fault` cuts the run short.

    Must be called from the main thread, or from one that lives until it returns: the
    kernel ends Ansible when the thread that started it ends. `variables` become extra ones.
    Raises Failed (`ansible-missing`) when there is no ansible-playbook, and what `far` does
    where a worker is asked; every other failure is in the result.
    """
    if settings.environment.worker is not None:
        from otapgate.execution import far

        return far.run_playbooks(
            settings,
            playbooks,
            label=label,
            variables=variables,
            host_variables=host_variables or {},
            on_playbook=on_playbook,
            fault=fault,
        )
    binary = ansible_binary("ansible-playbook")
    scratch = prepare_scratch(settings, label, host_variables or {})
    try:
        unset = inventories.unset_variables(settings.environment, settings.strategy)
        extra = told.write(scratch, unset, variables, vault.for_playbooks(settings.secrets))
        settings.lock.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        command = [
            *(sys.executable, "-I", "-S", str(Path(tether.__file__))),
            *(str(settings.lock), str(os.getpid()), binary),
            *("-i", str(scratch / "inventory" / "hosts.yml"), "-e", f"@{extra}"),
            *(str(path.absolute()) for path in playbooks),
        ]
        pace = Pace(scratch, playbooks, on_playbook, lambda: includes.require(scratch))
        with control.sockets() as sockets:
            strategy.require_folder(settings.strategy, sockets)
            environment = inventories.process_environment(
                scratch,
                settings.environment,
                forks=settings.forks,
                collections=settings.collections,
                sockets=sockets,
                strategy=settings.strategy,
            )
            environment |= faults.variables(fault, scratch) | includes.variables(playbooks, scratch)
            environment |= vault.password_file(settings.secrets, scratch)
            result = _run(settings, command, environment, scratch, label, pace)
        result = msgspec.structs.replace(result, struck=faults.mark(scratch).exists())
        return includes.judged(result, scratch, settings.mask)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def prepare_scratch(
    settings: Settings, label: str, host_variables: Mapping[str, Mapping[str, Any]]
) -> Path:
    """A new private folder below the run's, holding the inventory; the caller removes
    it. It may hold secrets, so what a killed command left of its own goes first."""
    import yaml

    settings.run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    scratch = settings.run_dir / "ansible" / f"{label}-{random_names.token_hex(4)}"
    (scratch / "inventory").mkdir(mode=0o700, parents=True)
    scratch.chmod(0o700)
    content = inventories.inventory(
        settings.environment, settings.release_variables, host_variables
    )
    text = yaml.safe_dump(content, allow_unicode=True, sort_keys=False)
    write_private(scratch / "inventory" / "hosts.yml", text.encode())
    return scratch


def clear_scratch(run_dir: Path) -> None:
    """Remove what a killed command left below `run_dir`; call it under the lock."""
    shutil.rmtree(run_dir / "ansible", ignore_errors=True)


def ansible_binary(name: str) -> str:
    """Path of an Ansible executable: beside this Python, else on PATH. Raises Failed
    (`ansible-missing`)."""
    beside = str(Path(sys.executable).parent)
    found = shutil.which(name, path=f"{beside}{os.pathsep}{os.environ.get('PATH', '')}")
    if found is None:
        raise Failed(
            "ansible-missing",
            _("{name} isn't installed where otapgate runs.").format(name=name),
            remedy="pip install ansible-core",
        )
    return found


def _run(
    settings: Settings,
    command: list[str],
    environment: dict[str, str],
    scratch: Path,
    label: str,
    pace: Pace,
) -> PlaybookResult:
    from ansible_runner.config.runner import RunnerConfig
    from ansible_runner.display_callback import __file__ as callback_package
    from ansible_runner.runner import Runner

    config = RunnerConfig(
        private_data_dir=str(scratch / "runner"),
        ident="run",
        binary=command[0],
        quiet=True,
        settings={"suppress_output_file": True, "pexpect_timeout": 1},
    )
    config.prepare()
    # ansible-runner starts from our own environment and adds to it; none of that counts
    config.env = {
        **environment,
        "ANSIBLE_CALLBACK_PLUGINS": f"{Path(callback_package).parent / 'callback'}"
        f":{faults.CALLBACKS}",
        "AWX_ISOLATED_DATA_DIR": config.artifact_dir,
    }
    config.command = command
    config.cwd = str(scratch)

    def start(take: Take, check: Callable[[], bool]) -> int | None:
        runner = Runner(config, event_handler=take, cancel_callback=check)
        runner.run()
        code: int | None = runner.rc
        return code

    return follow(settings, label, pace, Interruption(settings.lock), start)


def follow(
    settings: Settings,
    label: str,
    pace: Pace,
    interrupting: Interruption,
    start: Callable[[Take, Callable[[], bool]], int | None],
) -> PlaybookResult:
    """What came of the run that `start` carries out. It is given what takes ansible-runner's
    events, and what it calls about once a second; it returns Ansible's exit code."""
    names = tuple(host.name for host in settings.environment.hosts)
    output = _output_path(settings.run_dir, label)
    started = time.monotonic()
    with (
        os.fdopen(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file,
        interrupting as interruption,
    ):

        def begun() -> None:
            if not interruption.asked and not pace.begun(follower):
                interruption.stop()

        follower = Follower(
            names,
            settings.mask,
            file,
            settings.on_progress,
            on_outside=interruption.stop,
            on_playbook=begun,
            connections={
                name: inventories.connection_variables(settings.environment, name) for name in names
            },
        )

        def take(event: dict[str, Any]) -> bool:
            if settings.on_event is not None:
                settings.on_event(event)
            return follower.event(event)

        def check() -> bool:
            if settings.should_stop is not None and settings.should_stop():
                interruption.stop()
            return interruption.check()

        code = start(take, check)
        interruption.reap()
        file.flush()
        os.fsync(file.fileno())
    if pace.error is not None:
        raise pace.error
    return _result(
        follower,
        code=code,
        cancelled=interruption.asked,
        output=output,
        milliseconds=round((time.monotonic() - started) * 1000),
    )


def _output_path(run_dir: Path, label: str) -> Path:
    folder = run_dir / "output"
    folder.mkdir(mode=0o700, exist_ok=True)
    number = 1 + sum(1 for _path in folder.iterdir())
    return folder / f"{number:02}-{label}.txt"


def _result(
    follower: Follower, *, code: int | None, cancelled: bool, output: Path, milliseconds: int
) -> PlaybookResult:
    failure: TaskFailure | None = None
    if follower.failure is not None:
        failure = TaskFailure(*follower.failure)
    hosts = follower.hosts()
    ok = code == 0 and not cancelled and not follower.unmatched
    ok = ok and follower.outside is None
    ok = ok and all(outcome == "ok" for outcome in hosts.values())
    slug, message = ("", "") if ok else _why(follower, code, cancelled, failure)
    return PlaybookResult(
        ok=ok,
        hosts=hosts,
        failed_task=failure,
        fingerprints=follower.fingerprints,
        output=output,
        cancelled=cancelled,
        milliseconds=milliseconds,
        message=message,
        code=slug,
        reached=follower.playbooks,
        tasks=tuple(follower.tasks),
    )


def _why(
    follower: Follower, code: int | None, cancelled: bool, failure: TaskFailure | None
) -> tuple[str, str]:
    """Slug and sentence for a run that didn't succeed."""
    if cancelled and follower.outside is None:
        return "cancelled", _("Stopped at your request.")
    if code == tether.LOCK_HELD:
        return "environment-locked", _("Ansible of an earlier command is still at work.")
    if follower.outside is not None:
        return "host-outside", _(
            "{task} ({where}) goes to {host}, which isn't a host of this environment. Ansible"
            " was stopped."
        ).format(
            task=follower.outside.task or "?",
            where=follower.outside.where or "?",
            host=follower.outside.host,
        )
    if failure is not None and failure.host in follower.dark:
        return unreachable.why(failure.host, failure.name, failure.where, failure.message)
    if failure is not None:
        return "playbook-failed", _("{task} ({where}) failed on {host}: {message}").format(
            task=failure.name,
            where=failure.where or "?",
            host=failure.host,
            message=failure.message,
        )
    text = follower.tail()
    if "initialize the preferred locale" in text or "locale encoding to be UTF-8" in text:
        return "locale-missing", _("This machine has no {locale} locale.").format(
            locale=inventories.LOCALE
        )
    if follower.unmatched:
        return "no-host-matched", _("A play in {playbook} matched no host.").format(
            playbook=follower.unmatched
        )
    where = follower.origin()
    if where:
        return "playbook-broken", _("{where}: {message}").format(
            where=where, message=follower.error()
        )
    return "ansible-failed", _("Ansible ended with exit code {code}: {message}").format(
        code=code, message=follower.error() or "?"
    )


def problem(result: PlaybookResult) -> OtapgateError:
    """The error that stands for a result that didn't succeed."""
    where = result.failed_task.where if result.failed_task else None
    return Failed(
        result.code or "ansible-failed",
        result.message,
        where=where or None,
        problems=(Problem(result.message),),
        remedy=_("Read {path}.").format(path=result.output),
    )
