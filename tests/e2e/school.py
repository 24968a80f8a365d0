"""A school board with one application, and five people who work with it by command line.

The landscape is built once in a fixed place, in stages; each stage is kept as a copy, so
that a test begins with it in a fraction of a second. Every command is a real process
(`python -m otapgate`) with a real key; only building a stage calls the same entry point
within this process where nothing but speed differs.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shlex
import shutil
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization as s
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests import ports

from otapgate.cli.app import main as otapgate_main

APP = Path(__file__).parent / "app"
OLD, NEW = "agenda@1.0", "agenda@2.0"
CHANGE = "CHG-0001"
PASSING = (".otapgate/cache", ".otapgate/locks", ".otapgate/ledger.sqlite-")
"""What reading may write: a cache, a lock's file, SQLite's own beside the ledger."""
CRITERIA = ("answers", "closed", "quick", "complete")


@dataclass(frozen=True)
class Person:
    """Somebody who is invented, with the name of their key file."""

    name: str
    key: str
    roles: tuple[str, ...] = ()


ANNA = Person("Anna de Wit", "anna", ("board", "process-owner"))
BRAM = Person("Bram Visser", "bram", ("change-manager",))
CHANTAL = Person("Chantal Mulder", "chantal", ("builder",))
DAAN = Person("Daan Jansen", "daan", ("administrator", "environment-owner"))
ESRA = Person("Esra Yilmaz", "esra", ("test-lead", "tester"))
STRANGER = Person("Somebody Else", "stranger")
PEOPLE = (ANNA, BRAM, CHANTAL, DAAN, ESRA)
BY_NAME = {person.name: person for person in PEOPLE}


def make_key(directory: Path, name: str) -> None:
    """An Ed25519 key pair `name` and `name.pub`."""
    directory.mkdir(mode=0o700, exist_ok=True, parents=True)
    key = Ed25519PrivateKey.generate()
    private = directory / name
    private.write_bytes(
        key.private_bytes(s.Encoding.PEM, s.PrivateFormat.OpenSSH, s.NoEncryption())
    )
    private.chmod(0o600)
    private.with_suffix(".pub").write_bytes(
        key.public_key().public_bytes(s.Encoding.OpenSSH, s.PublicFormat.OpenSSH) + b"\n"
    )


def remove(directory: Path) -> None:
    """Remove a tree, read-only folders of unpacked releases included."""
    for path in directory.rglob("*"):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o700)
    shutil.rmtree(directory, ignore_errors=True)


class School:
    """The landscape in `root`, and what can be done with it and to it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.root = home / "hazelaar"
        self.keys = home / "keys"
        self.kept = home / "kept"
        self.told: dict[str, Any] = {}
        """What commands said while stages were built, for tests to judge: `refused` and
        `rounds` of the mending, `before` and `promoted` of production's promotion."""
        if (home / "told.json").exists():
            self.told = json.loads((home / "told.json").read_text("utf-8"))
            self.ports = self.told.pop("ports")
            return
        self.ports = dict(zip("TAP", ports.free(3), strict=True))
        for person in (*PEOPLE, STRANGER):
            make_key(self.keys, person.key)

    # The command line

    def environment(self, **extra: str) -> dict[str, str]:
        """What a command sees: nothing of the settings of who runs the tests."""
        dropped = ("OTAPGATE_", "ANSIBLE_", "SSH_AUTH_SOCK")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(dropped)}
        return {**kept, "LC_ALL": "C.UTF-8", "PYTHONWARNINGS": "default", **extra}

    def command(self, person: Person | None, *args: str) -> list[str]:
        """The process to start for one command line."""
        found = [sys.executable, "-m", "otapgate", *args, "--json"]
        return found if person is None else [*found, "--key", str(self.keys / person.key)]

    def __call__(
        self, person: Person | None, *args: str, expect: int = 0, **environment: str
    ) -> dict[str, Any]:
        """Run a command as a process, without a terminal; returns its JSON."""
        return self.judged(args, *self.attempt(person, *args, **environment), expect)

    def attempt(
        self, person: Person | None, *args: str, **environment: str
    ) -> tuple[int, str, str]:
        """Run a command as a process; returns exit code, standard output and error."""
        done = subprocess.run(
            self.command(person, *args), cwd=self.root, capture_output=True, text=True,
            check=False, stdin=subprocess.DEVNULL, env=self.environment(**environment),
            timeout=300,
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr

    @staticmethod
    def judged(args: Sequence[str], code: int, out: str, err: str, expect: int) -> dict[str, Any]:
        """The one JSON object on standard output, after checking it and the exit code."""
        said = f"otapgate {' '.join(args)}: {code}, not {expect}\n{out}\n{err}"
        assert "Traceback" not in err, said
        data = json.loads(out) if out else None
        assert isinstance(data, dict), said
        assert code == expect, said
        assert data["ok"] is (code == 0), said
        if "error" in data:
            assert set(data["error"]) == {"code", "message", "remedy", "where"}, said
            assert data["error"]["code"] != "unexpected", said
        return data

    def start(self, person: Person, *args: str) -> subprocess.Popen[str]:
        """A command that runs on while the test does something else."""
        return subprocess.Popen(
            self.command(person, *args), cwd=self.root, text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.environment(),
        )  # fmt: skip

    def ended(self, process: subprocess.Popen[str], expect: int) -> dict[str, Any]:
        """What a started command said in the end."""
        out, err = process.communicate(timeout=120)
        return self.judged(["(started)"], process.returncode, out, err, expect)

    def here(self, person: Person | None, *args: str) -> dict[str, Any]:
        """A command in this process, for building a stage quickly."""
        out, err = io.StringIO(), io.StringIO()
        line = [*args, "--json", "--yes", "--landscape", str(self.root), "--lang", "en"]
        if person is not None:
            line += ["--key", str(self.keys / person.key)]
        with (
            contextlib.chdir(self.root),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            code = otapgate_main(line)
        return self.judged(args, code, out.getvalue(), err.getvalue(), 0)

    # The places

    def stage(self, stage: str) -> Path:
        """An environment's folder."""
        return self.root / "hosts" / stage

    def control(self, verb: str, stage: str, *args: str) -> None:
        """The application's own control program, as an administrator would by hand."""
        program = APP / "playbooks" / "agenda" / "control.py"
        subprocess.run(
            [sys.executable, str(program), verb, str(self.stage(stage)), *args], check=True
        )

    def answers(self, stage: str, path: str = "/version") -> str | None:
        """What the environment's service says over HTTP; None when there is none."""
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self.ports[stage]}{path}", timeout=10
            ) as answer:
                return str(answer.read().decode())
        except (OSError, urllib.error.URLError):
            return None

    def rows(self, stage: str, table: str = "person") -> list[tuple[Any, ...]]:
        """All rows of a table of an environment's database."""
        base = sqlite3.connect(f"file:{self.stage(stage)}/people.sqlite?mode=ro", uri=True)
        try:
            return base.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall()
        finally:
            base.close()

    def picture(self, stage: str) -> dict[str, Any]:
        """What must come back after a rollback: files by content, rows, and the answer."""
        files = {
            str(path.relative_to(self.stage(stage))): path.read_bytes().hex()
            for path in sorted(self.stage(stage).rglob("*"))
            if path.is_file() and not path.name.startswith("people.sqlite")
        }
        return {"files": files, "rows": self.rows(stage), "version": self.answers(stage)}

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace text in a file of the landscape; it must be there."""
        path = self.root / file
        text = path.read_text("utf-8")
        assert old in text, f"{old!r} isn't in {file}"
        path.write_text(text.replace(old, new), "utf-8")

    def digest(self, *without: str) -> dict[str, str]:
        """SHA-256 of every file below the landscape, but for those below `without`."""
        found = {}
        for path in sorted(self.root.rglob("*")):
            name = str(path.relative_to(self.root))
            if path.is_file() and not name.startswith(without):
                found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        return found

    @property
    def ledger(self) -> Path:
        """The ledger's file."""
        return self.root / ".otapgate" / "ledger.sqlite"

    def tamper(self, sql: str, *values: object) -> None:
        """Change the ledger as an attacker would who can write its file, and who leaves
        the triggers as they were."""
        base = sqlite3.connect(self.ledger)
        asked = base.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        triggers = asked.fetchall()
        for name, _sql in triggers:
            base.execute(f'DROP TRIGGER "{name}"')
        assert base.execute(sql, values).rowcount > 0
        for _name, made in triggers:
            base.execute(made)
        base.commit()
        base.close()

    def entries(self, act: str | None = None) -> list[dict[str, Any]]:
        """The ledger's entries, of one act or all."""
        more = ["--act", act] if act else []
        found: list[dict[str, Any]] = self(None, "log", "list", *more)["entries"]
        return found

    # Stages

    def stop(self) -> None:
        """End every service of the school."""
        for stage in "TAP":
            Path(f"{self.stage(stage)}.hold").unlink(missing_ok=True)
            self.control("stop", stage)

    def keep(self, name: str) -> None:
        """Keep the landscape as it is now under a name, and what was told meanwhile."""
        shutil.copytree(self.root, self.kept / name, symlinks=True)
        (self.home / "told.json").write_text(json.dumps({"ports": self.ports, **self.told}))

    def at(self, name: str) -> School:
        """The landscape as it was kept; services run where the stage has them."""
        if not (self.kept / name).exists():
            BUILD[name](self)
            self.keep(name)
        self.stop()
        remove(self.root)
        # An earlier stage is put back, as from a backup: what was seen since is forgotten.
        shutil.rmtree(Path(os.environ["XDG_STATE_HOME"]) / "otapgate", ignore_errors=True)
        shutil.copytree(self.kept / name, self.root, symlinks=True)
        for stage in "TAP":
            if self.stage(stage).is_dir():
                self.control("start", stage, str(self.ports[stage]))
        return self

    def write(self) -> None:
        """The landscape's files with this place and these ports."""
        remove(self.root)
        shutil.copytree(APP, self.root, ignore=shutil.ignore_patterns("__pycache__"))
        file = self.root / "environments" / "agenda.yml"
        text = file.read_text("utf-8").replace("/srv/agenda/", f"{self.root}/hosts/")
        for stage, port in zip("TAP", ("18711", "18712", "18713"), strict=True):
            text = text.replace(port, str(self.ports[stage]))
        file.write_text(text, "utf-8")

    def promote(self, stage: str, expect: int = 0, *more: str) -> dict[str, Any]:
        """Daan promotes the new release."""
        return self(DAAN, "promote", NEW, "--to", stage, "--change", CHANGE, *more, expect=expect)

    def explain(self, expect: int) -> list[dict[str, Any]]:
        """What the gate says of the new release in production; but for that the hosts, being
        one machine, were never probed."""
        said = self(DAAN, "gate", "explain", NEW, "--to", "P", "--change", CHANGE, expect=expect)
        found: list[dict[str, Any]] = said["decision"]["findings"]
        return [finding for finding in found if finding["code"] not in UNPROBED]

    def codes(self, expect: int = 3) -> set[str]:
        """The codes of those findings."""
        return {finding["code"] for finding in self.explain(expect)}


UNPROBED = {"OG205", "OG206", "OG207"}


def blocking(said: dict[str, Any]) -> list[dict[str, Any]]:
    """The findings of a decision that stand in the way."""
    return [f for f in said["decision"]["findings"] if f["severity"] == "block"]


def _founded(school: School) -> None:
    """Two role administrators, five people with roles, environments accepted."""
    school.write()
    school.here(
        ANNA, "init", str(school.root),
        "--role-admin", f"{ANNA.name}={school.keys}/anna.pub",
        "--role-admin", f"{BRAM.name}={school.keys}/bram.pub",
    )  # fmt: skip
    school.here(BRAM, "people", "confirm")
    for person in (CHANTAL, DAAN, ESRA):
        school.here(ANNA, "people", "enrol", person.name, f"{school.keys}/{person.key}.pub")
    school.here(BRAM, "people", "confirm")
    for person in PEOPLE:
        for role in person.roles:
            school.here(BRAM if person is ANNA else ANNA, "role", "grant", person.name, role)
    school.here(ANNA, "people", "confirm")
    school.here(BRAM, "people", "confirm")
    for stage in "TAP":
        school.here(DAAN, "env", "accept", f"agenda-{stage}")


def _running(school: School) -> None:
    """The old release runs everywhere and was taken in; a new one is built for a change."""
    school.at("founded")
    school.here(CHANTAL, "release", "build", "releases/agenda-1.0.yml")
    release = school.root / "by-hand"
    shutil.copytree(school.root / "releases" / "app-1.0", release / "artifacts" / "app")
    for stage in "TAP":
        school.control("install", stage, str(release))
        school.control("migrate", stage)
        (school.stage(stage) / "settings.ini").write_text("[agenda]\nversion = 1.0\n")
        fill(school.stage(stage) / "people.sqlite", 40 if stage == "P" else 25)
        school.control("start", stage, str(school.ports[stage]))
    remove(release)
    for stage in "TAP":
        school(DAAN, "env", "adopt", f"agenda-{stage}", OLD)
    school.here(ESRA, "change", "new", "--from", "changes/upgrade.yml")
    school.here(CHANTAL, "release", "build", "releases/agenda-2.0.yml", "--change", CHANGE)


def authorise(school: School) -> None:
    """The change is classified, authorised, and its window is now."""
    school.here(BRAM, "change", "classify", CHANGE, "--impact", "medium", "--urgency", "medium")
    school.here(BRAM, "change", "authorise", CHANGE, "--role", "change-manager")
    school.here(ANNA, "change", "authorise", CHANGE, "--role", "process-owner")
    school.here(BRAM, "change", "schedule", CHANGE, "--window", window())


def load_data(school: School) -> None:
    """Anonymised data in test and acceptance."""
    for stage in "TA":
        school(
            DAAN, "anonymize", "run", "anonymizers/agenda.yml",
            "--from", f"sqlite:///{school.stage('P')}/people.sqlite",
            "--to", f"sqlite:///{school.stage(stage)}/people.sqlite", "--env", stage,
        )  # fmt: skip


def _prepared(school: School) -> None:
    """All that asks no deployment of the new release is done: it may go to test."""
    school.at("running")
    authorise(school)
    load_data(school)
    school.here(ESRA, "test", "plan", "register", "plans/agenda.yml")


def _accepted(school: School) -> None:
    """Refused first; then every finding is mended by the command that it gives, until
    nothing stands between the new release and production."""
    school.at("running")
    Mender(school).earn()


def _promoted(school: School) -> None:
    """The new release runs in production, whatever was edited since it was built."""
    school.at("accepted")
    school.told["before"] = school.picture("P")
    school.edit("releases/app-2.0/pages/index.html", "Agenda 2.0", "Never accepted")
    school.edit("playbooks/agenda/deploy.yml", "hosts: all", "hosts: nobody")
    school.told["promoted"] = school.promote("P")


class Mender:
    """Mends what the gate finds by running exactly the remedies, as those they name."""

    def __init__(self, school: School) -> None:
        self.school = school
        self.rounds: list[dict[str, Any]] = []

    def earn(self) -> None:
        """Until the gate would let the new release into production."""
        school = self.school
        school.told["refused"] = school.promote("P", expect=3)
        school.told["rounds"] = self.rounds
        findings = blocking(school.told["refused"])
        while findings:
            assert len(self.rounds) < 40, [f["message"] for f in findings]
            # The rehearsal first: once the release has moved there, it can't be undone.
            findings.sort(key=lambda f: f["code"] != "OG401")
            self.rounds.append({"findings": findings, "ran": []})
            self._mend(findings[0])
            code, out, err = school.attempt(
                None, "gate", "explain", NEW, "--to", "P", "--change", CHANGE
            )
            assert code in (0, 3), err
            findings = blocking(json.loads(out))

    def _mend(self, finding: dict[str, Any], depth: int = 0) -> None:
        remedy = finding["remedy"]
        assert remedy is not None, finding
        assert remedy["who"], finding
        self._run(BY_NAME[remedy["who"][0]], remedy["command"], depth)

    def _run(self, person: Person, command: str, depth: int) -> None:
        assert depth < 5, command
        words = self._filled(command)
        for _attempt in range(10):
            self.rounds[-1]["ran"].append([person.name, words])
            code, out, err = self.school.attempt(person, *words)
            said = json.loads(out)
            if code == 0:
                return
            if code == 3:
                self._mend(blocking(said)[0], depth + 1)
            else:
                # A step that must come first; moving a release is the administrator's.
                assert code == 4, (words, out, err)
                assert said["error"]["remedy"].startswith("otapgate promote "), out
                self._run(DAAN, said["error"]["remedy"], depth + 1)
        raise AssertionError(words)

    def _filled(self, command: str) -> list[str]:
        """The command's words, with what it leaves to be filled in."""
        words = shlex.split(command)
        assert words[0] == "otapgate", command
        env = next((words[i + 1] for i, word in enumerate(words) if word == "--env"), "P")
        urls = iter(
            f"sqlite:///{self.school.stage(stage[-1])}/people.sqlite" for stage in ("P", env)
        )
        known = {
            "LEVEL": lambda: "medium",
            "START/END": window,
            "PLAN": lambda: "anonymizers/agenda.yml",
            "URL": lambda: next(urls),
            "CHANGE": lambda: CHANGE,
        }
        return [known[word]() if word in known else word for word in words[1:]]


BUILD: dict[str, Callable[[School], None]] = {
    "founded": _founded,
    "running": _running,
    "prepared": _prepared,
    "accepted": _accepted,
    "promoted": _promoted,
}


def window(hours: int = 8) -> str:
    """A window that has just begun."""
    start = datetime.now().astimezone().replace(microsecond=0)
    return f"{start.isoformat()}/{(start + timedelta(hours=hours)).isoformat()}"


FIRST = ("Fatima", "Joris", "Sanne", "Thijs", "Noor", "Willemijn", "Lotte")
LAST = ("Oosterbaan", "Kloosterziel", "Zandvliet", "El Amrani", "van Dijkhuizen")


def bsns() -> Iterator[str]:
    """BSNs of the test range 999… that pass the 11-proef."""
    for stem in range(99_990_000, 99_999_999):
        digits = f"{stem}"
        check = sum(int(d) * w for d, w in zip(digits, range(9, 1, -1), strict=True)) % 11
        if check < 10:
            yield f"{digits}{check}"


def fill(database: Path, people: int) -> None:
    """Invented people."""
    numbers = bsns()
    base = sqlite3.connect(database)
    for i in range(people):
        first, last = FIRST[i % len(FIRST)], LAST[i % len(LAST)]
        mail = f"{first}.{last}.{i}@de-hazelaar.example".replace(" ", "").lower()
        base.execute(
            "INSERT INTO person (bsn, first_name, last_name, email) VALUES (?, ?, ?, ?)",
            (next(numbers), first, last, mail),
        )
    base.commit()
    base.close()
