"""The reference application, for real: ansible-playbook, Tryton's wheels, a service that
answers. Slow, and needs the wheels once from a package index, later from the cache."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests import ports

from otapgate.demo.wheels import fetch

pytestmark = pytest.mark.slow

PLAYBOOKS = Path(__file__).parents[2] / "playbooks" / "tryton"
ANSIBLE = Path(sys.executable).parent / "ansible-playbook"
PASSING = ("ir_session", "ir_session_wizard", "ir_cache", "res_user_login_attempt")
"""Tables that the service itself fills while it runs."""
CUTTER = """
import os, signal
from ansible.plugins.callback import CallbackBase

class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "cutter"
    CALLBACK_NEEDS_ENABLED = True
    seen = 0

    def v2_playbook_on_task_start(self, task, is_conditional):
        type(self).seen += 1
        if self.seen == int(os.environ["CUT_BEFORE_TASK"]):
            os.kill(os.getpid(), signal.SIGKILL)
"""
DEPLOY_TASKS = (
    "install",
    "settings",
    "stop",
    "prepare",
    "switch",
    "start",
)


@dataclass(frozen=True)
class Release:
    series: str
    version: str
    folder: Path

    @property
    def digest(self) -> str:
        return "sha256:" + self.series.replace(".", "") * 32

    def as_variable(self) -> dict[str, str]:
        return {
            "name": f"tryton@{self.version}",
            "app": "tryton",
            "version": self.version,
            "digest": self.digest,
        }


@dataclass
class School:
    """One environment, and what a test does to it."""

    folder: Path
    name: str
    port: int
    home: Path = field(init=False)
    database: Path = field(init=False)

    def __post_init__(self) -> None:
        self.home = self.folder / "hosts" / self.name
        self.database = self.home / "data" / "school.sqlite"
        self.folder.mkdir(parents=True, exist_ok=True)
        host = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "python": sys.executable,
            "home": str(self.home),
            "http_port": self.port,
            "database": "data/school.sqlite",
        }
        inventory = {"all": {"hosts": {f"school-{self.name}": host}}}
        (self.folder / "inventory.json").write_text(json.dumps(inventory))

    def command(
        self, playbook: str, release: Release, previous: Release | None, snapshot: str
    ) -> tuple[list[str], dict[str, str]]:
        before = previous and {**previous.as_variable(), "artifacts": str(previous.folder)}
        variables = {
            "otapgate_release": release.as_variable(),
            "otapgate_artifacts": str(release.folder),
            "otapgate_environment": {"name": self.name, "stage": "P", "street": "school"},
            "otapgate_previous": before,
            "otapgate_snapshot": str(self.folder / snapshot),
            "seed_pupils": 12,
            "seed_staff": 3,
        }
        command = [str(ANSIBLE), "-i", str(self.folder / "inventory.json")]
        # Going back is both, in one process, as otapgate does it.
        names = [playbook, "restore"] if playbook == "rollback" else [playbook]
        command += [
            *(str(PLAYBOOKS / f"{name}.yml") for name in names),
            "-e",
            json.dumps(variables),
        ]
        return command, {**os.environ, "LC_ALL": "C.UTF-8", "ANSIBLE_HOME": str(self.folder / "a")}

    def play(
        self,
        playbook: str,
        release: Release,
        previous: Release | None = None,
        *,
        snapshot: str = "snapshot",
        expect: int = 0,
        cut_before: int | None = None,
    ) -> str:
        """Run a playbook; its output. `cut_before` kills Ansible before that task."""
        command, environment = self.command(playbook, release, previous, snapshot)
        if cut_before is not None:
            plugins = self.folder / "plugins"
            plugins.mkdir(exist_ok=True)
            (plugins / "cutter.py").write_text(CUTTER)
            environment |= {
                "ANSIBLE_CALLBACK_PLUGINS": str(plugins),
                "ANSIBLE_CALLBACKS_ENABLED": "cutter",
                "CUT_BEFORE_TASK": str(cut_before),
            }
            expect = -signal.SIGKILL
        done = subprocess.run(
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=environment,
            timeout=180,
        )
        assert done.returncode == expect, done.stdout + done.stderr
        return done.stdout

    def begin(self, verb: str, **options: str) -> subprocess.Popen[str]:
        """One step of a playbook, without Ansible."""
        command = [sys.executable, "-B", str(PLAYBOOKS / "control"), verb]
        command += [f"--home={self.home}", f"--port={self.port}", "--database=data/school.sqlite"]
        command += [f"--{name}={value}" for name, value in options.items()]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def control(self, verb: str, **options: str) -> str:
        """Why a step failed; empty when it succeeded."""
        step = self.begin(verb, **options)
        _said, why = step.communicate(timeout=120)
        return why if step.returncode else ""

    def answer(self, path: str) -> Any:
        """What the service says its version is."""
        body = json.dumps({"id": 1, "method": "common.server.version", "params": []}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            body,
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read())["result"]

    def state(self) -> dict[str, Any]:
        """What must come back: schema and rows of every table, files, links and modes."""
        with closing(sqlite3.connect(f"{self.database.as_uri()}?mode=ro", uri=True)) as db:
            schema = dict(db.execute("SELECT name, sql FROM sqlite_master ORDER BY name"))
            rows = {
                name: sorted(map(repr, db.execute(f'SELECT * FROM "{name}"')))
                for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
                if name not in PASSING and not name.startswith("sqlite_")
            }
        files = {}
        for path in sorted(self.home.rglob("*")):
            relative = path.relative_to(self.home)
            if relative.parts[0] in ("var", "data"):
                continue
            what = (
                str(path.readlink()) if path.is_symlink() else path.is_file() and path.read_bytes()
            )
            files[str(relative)] = (path.lstat().st_mode, what)
        return {"schema": schema, "rows": rows, "files": files}

    def names(self) -> list[str]:
        with closing(sqlite3.connect(f"{self.database.as_uri()}?mode=ro", uri=True)) as db:
            return [name for (name,) in db.execute("SELECT name FROM party_party ORDER BY code")]

    def processes(self, program: str = "") -> list[int]:
        """Ids of what runs from this environment's releases."""
        return [pid for pid, line in self.command_lines() if program in line]

    def command_lines(self) -> list[tuple[int, str]]:
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                except OSError:
                    continue
                if line.startswith(f"{self.home}/"):
                    found.append((int(entry.name), line))
        return found


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> tuple[Release, Release]:
    made = []
    for series in ("7.6", "8.0"):
        folder = tmp_path_factory.mktemp(f"release-{series}-")
        requirements = PLAYBOOKS / f"requirements-{series}.txt"
        wheels = fetch(requirements, folder / "artifacts" / "wheels")
        shutil.copy(requirements, folder / "artifacts" / "requirements.txt")
        (trytond,) = (w for w in wheels if w.name.startswith("trytond-"))
        made.append(Release(series, trytond.name.split("-")[1], folder))
    return made[0], made[1]


@pytest.fixture(scope="module")
def production(
    releases: tuple[Release, Release], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[School]:
    """7.6 with a few invented people, running."""
    school = School(tmp_path_factory.mktemp("production"), "P", *ports.free(1))
    try:
        school.play("deploy", releases[0])
        school.play("seed", releases[0])
        school.play("snapshot", releases[1], snapshot="base")
        yield school
    finally:
        assert school.control("stop") == ""
        assert school.processes() == []


@pytest.fixture
def school(production: School) -> Iterator[School]:
    """Production, which a test may leave in any state."""
    yield production
    assert production.control("restore", snapshot=str(production.folder / "base")) == ""
    assert production.answer("/") == "7.6"


def test_an_upgrade_answers_as_the_new_version_and_a_rollback_brings_back_the_old_with_its_data(
    school: School, releases: tuple[Release, Release]
) -> None:
    old, new = releases
    before, people = school.state(), school.names()
    assert len(people) > 15  # twelve pupils, their parents, three of staff, the board
    assert school.answer("/") == "7.6"

    school.play("snapshot", new, old)
    school.play("deploy", new, old)
    school.play("verify", new, old)
    assert school.answer("/rpc/") == "8.0"
    assert school.names() == people
    assert school.state()["schema"] != before["schema"]

    # What is done after the upgrade goes with it.
    with closing(sqlite3.connect(school.database)) as db:
        db.execute("UPDATE party_party SET name = 'Iemand Anders'")
        db.commit()
    school.play("rollback", new, old)
    assert school.answer("/") == "7.6"
    assert school.state() == before
    school.play("verify", old)


def test_deploying_again_changes_nothing_and_does_not_interrupt_the_service(
    school: School, releases: tuple[Release, Release]
) -> None:
    pid = (school.home / "var" / "trytond.pid").read_text()
    said = school.play("deploy", releases[0])
    assert "changed=0" in said
    assert (school.home / "var" / "trytond.pid").read_text() == pid


def test_a_changed_file_in_the_virtual_environment_is_mended_by_deploying_again(
    school: School, releases: tuple[Release, Release]
) -> None:
    (module,) = school.home.glob("current/venv/lib/*/site-packages/trytond/const.py")
    was = module.read_bytes()
    module.write_text("MODEL_CACHE_TRANSACTION = 1\n")
    extra = module.with_name("stowaway.py")
    extra.write_text("")
    school.play("deploy", releases[0])
    assert module.read_bytes() == was
    assert not extra.exists()
    school.play("verify", releases[0])


@pytest.mark.parametrize("task", range(2, len(DEPLOY_TASKS) + 1))
def test_a_deployment_cut_after_any_task_is_rolled_back_whole(
    school: School, releases: tuple[Release, Release], task: int
) -> None:
    old, new = releases
    before = school.state()
    school.play("snapshot", new, old)
    school.play("deploy", new, old, cut_before=task)
    school.play("rollback", new, old)
    assert school.answer("/") == "7.6"
    assert school.state() == before
    assert not (school.home / "var" / "deploying").exists()


def test_a_deployment_killed_while_it_migrates_is_rolled_back_after_the_orphan_has_ended(
    school: School, releases: tuple[Release, Release]
) -> None:
    old, new = releases
    before = school.state()
    school.play("snapshot", new, old)
    command, environment = school.command("deploy", new, old, "snapshot")
    running = subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until = time.monotonic() + 60
    while not (orphans := school.processes("trytond-admin")):
        assert time.monotonic() < until
        time.sleep(0.02)
    (orphan,) = orphans
    os.kill(orphan, signal.SIGSTOP)
    try:
        running.kill()
        running.wait()
        # What rollback.yml does, without the second that Ansible takes to get there.
        restoring = school.begin("restore", snapshot=str(school.folder / "snapshot"))
        with pytest.raises(subprocess.TimeoutExpired):
            restoring.wait(3)
    finally:
        os.kill(orphan, signal.SIGCONT)
    said = restoring.communicate(timeout=60)
    assert restoring.returncode == 0, said
    assert school.processes("trytond-admin") == []
    assert school.state() == before
    assert school.answer("/") == "7.6"


def test_a_cut_deployment_is_completed_by_running_it_again(
    school: School, releases: tuple[Release, Release]
) -> None:
    old, new = releases
    people = school.names()
    school.play("snapshot", new, old)
    school.play("deploy", new, old, cut_before=5)
    kept = (school.folder / "snapshot" / "snapshot.json").read_bytes()
    school.play("snapshot", new, old)  # as a resumed promotion may; it must not be lost
    assert (school.folder / "snapshot" / "snapshot.json").read_bytes() == kept
    school.play("deploy", new, old)
    school.play("verify", new, old)
    assert school.answer("/rpc/") == "8.0"
    assert school.names() == people


def test_a_deployment_without_its_snapshot_is_not_rolled_back_by_guessing(
    school: School, releases: tuple[Release, Release]
) -> None:
    old, new = releases
    school.play("deploy", new, old, cut_before=5)
    said = school.play("rollback", new, old, snapshot="lost", expect=2)
    assert "There is no whole snapshot" in said


def test_a_rollback_before_anything_was_deployed_changes_nothing(
    school: School, releases: tuple[Release, Release]
) -> None:
    before = school.state()
    said = school.play("rollback", releases[1], releases[0], snapshot="never-taken")
    assert "changed=0" in said
    assert school.state() == before


def test_a_damaged_snapshot_is_refused_and_nothing_is_put_back(
    school: School, releases: tuple[Release, Release]
) -> None:
    old, new = releases
    school.play("snapshot", new, old)
    before = school.state()
    copy = school.folder / "snapshot" / "database.sqlite"
    copy.write_bytes(copy.read_bytes()[:-1] + b"!")
    said = school.play("rollback", new, old, expect=2)
    assert "was damaged or changed" in said
    assert school.state() == before
    assert school.answer("/") == "7.6"


def test_a_previous_release_that_was_thrown_away_is_brought_back(
    school: School, releases: tuple[Release, Release]
) -> None:
    old, new = releases
    school.play("snapshot", new, old)
    school.play("deploy", new, old)
    shutil.rmtree(school.home / "releases" / old.digest.removeprefix("sha256:")[:12])
    school.play("rollback", new, old)
    school.play("verify", old)


def test_verifying_another_version_than_what_runs_fails(
    school: School, releases: tuple[Release, Release]
) -> None:
    said = school.play("verify", releases[1], expect=2)
    assert "is in use instead of" in said


def test_no_secret_is_shown_and_the_password_is_for_the_owner_only(
    school: School, releases: tuple[Release, Release]
) -> None:
    secret = (school.home / "admin-password").read_text().strip()
    assert (school.home / "admin-password").stat().st_mode & 0o777 == 0o600
    said = school.play("deploy", releases[0]) + school.play("verify", releases[0])
    assert secret not in said
    assert secret not in (school.home / "var" / "trytond.log").read_text()
    assert not any(secret in line for _pid, line in school.command_lines())


def test_data_from_elsewhere_does_not_bring_its_password_along(
    school: School, releases: tuple[Release, Release]
) -> None:
    school.play("stop", releases[0])
    with closing(sqlite3.connect(school.database)) as db:
        db.execute("UPDATE res_user SET password_hash = NULL WHERE login = 'admin'")
        db.commit()
    school.play("start", releases[0])
    school.play("verify", releases[0])


def test_a_second_environment_runs_beside_it_and_its_first_release_rolls_back_to_nothing(
    school: School, releases: tuple[Release, Release], tmp_path: Path
) -> None:
    new = releases[1]
    test = School(tmp_path, "T", *ports.free(1))
    test.home.mkdir(parents=True)
    (test.home / "theirs.txt").write_text("of somebody else")
    try:
        test.play("snapshot", new)
        test.play("deploy", new)
        test.play("verify", new)
        assert (test.answer("/rpc/"), school.answer("/")) == ("8.0", "7.6")
        foreign = test.control("restore", snapshot=str(school.folder / "base"))
        assert f"not of {test.home}" in foreign
        test.play("rollback", new)
        assert [path.name for path in test.home.iterdir()] == ["theirs.txt"]
        assert test.processes() == []
        assert school.answer("/") == "7.6"
    finally:
        test.control("stop")
