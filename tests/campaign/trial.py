"""One point of the campaign: struck there, followed up as `status` says, and judged."""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import shutil
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e.school import CHANGE, DAAN, NEW, OLD, School, remove

from otapgate.acts.workspace import Workspace
from otapgate.execution.lock import lock_path, tether_path

from . import scenes, strike
from .disk import FILLER, Disk
from .scenes import Scene

MOST_COMMANDS = 4
PATIENCE = 60.0
"""Seconds in which Ansible must have ended after its otapgate was killed."""
LONGEST = 180.0
"""Seconds after which a command counts as hanging."""


@dataclass(frozen=True)
class Point:
    """Where and how a scene is struck."""

    scene: str
    point: str
    """As in `strike`, or `moment:1.25`: so many seconds after the lock was taken."""
    when: str
    do: str
    way: str
    """`on` or `back`: which of what `status` offers is followed."""

    @property
    def title(self) -> str:
        return f"{self.scene}: {self.do} {self.when} {self.point}, then {self.way}"


@dataclass
class Outcome:
    """What came of a point."""

    point: Point
    struck: bool = False
    end: str = ""
    """`old` or `new`; "" when undecided."""
    commands: list[str] = field(default_factory=list)
    """What was followed of `status`, each with its exit code."""
    acts: list[str] = field(default_factory=list)
    """What the ledger says of it, in order."""
    problems: list[str] = field(default_factory=list)
    """Why it isn't as it should be."""
    seconds: float = 0.0

    def as_json(self) -> str:
        return json.dumps(asdict(self))


class Trial:
    """Points of one scene, one after another. `alone` in a process namespace of one's own,
    where whatever still runs is a leftover."""

    def __init__(self, school: School, scene: Scene, work: Path, *, alone: bool = False) -> None:
        self.school = school
        self.scene = scene
        self.work = work
        self.alone = alone
        self.disk = Disk(work)
        self.pictures: dict[str, dict[str, Any]] = {}
        """`old` and `new`: how the environment may be in the end."""
        self.known: set[str] = set()
        """Acts that were open or ended before the scene began."""

    @property
    def home(self) -> Path:
        return self.school.stage(self.scene.stage)

    # The landscape

    def restore(self, do: str = "") -> None:
        """The landscape as it is when the scene begins, on a disk that can be struck."""
        school = self.school
        self.kill_all()
        self.disk.off()
        for child in school.root.iterdir() if school.root.is_dir() else ():
            if child.is_dir() and not child.is_symlink():
                remove(child)
            else:
                child.unlink()
        shutil.rmtree(Path(os.environ["XDG_STATE_HOME"]) / "otapgate", ignore_errors=True)
        shutil.copytree(
            school.kept / self.scene.base, school.root, symlinks=True, dirs_exist_ok=True
        )
        if do in strike.DISKS:
            self.disk.on(do, school.root / ".otapgate")
        if self.scene.runs:
            self.control("start", str(school.ports[self.scene.stage]))

    def control(self, verb: str, *more: str) -> None:
        self.school.control(verb, self.scene.stage, *more)

    def kill_all(self) -> None:
        """End the service, and whatever the trial before left."""
        if self.alone:
            for pid in others():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            reap()
        elif self.home.is_dir():
            self.control("stop")

    def picture(self) -> dict[str, Any]:
        """What runs: every file by content, every row, and the answer over HTTP."""
        base = self.home / "people.sqlite"
        with closing(sqlite3.connect(f"file:{base}?mode=ro", uri=True)) as opened:
            rows = list(opened.iterdump())
        files = {
            str(path.relative_to(self.home)): (path.stat().st_mode, path.read_bytes().hex())
            for path in sorted(self.home.rglob("*"))
            if path.is_file() and not path.name.startswith("people.sqlite")
        }
        return {
            "files": files,
            "rows": rows,
            "answer": self.school.answers(self.scene.stage),
        }

    # A trial

    def clean(self) -> tuple[Outcome, list[dict[str, Any]], float]:
        """The scene with nothing that strikes: its outcome, the points that came by, and
        how long it took after the lock was taken. What it changes becomes `pictures`."""
        self.restore()
        if self.scene.runs:
            self.pictures["old" if self.running() == OLD else "new"] = self.picture()
        self.known = set(self.acts())
        trace = self.work / "trace"
        trace.unlink(missing_ok=True)
        process = scenes.command(self.school, self.scene.words, self.orders(trace=str(trace)))
        until_locked(trace, process)
        began = time.monotonic()
        out, err = process.communicate(timeout=LONGEST)
        seconds = time.monotonic() - began
        assert process.returncode == self.scene.expect, out + err
        self.pictures["old" if self.running() == OLD else "new"] = self.picture()
        point = Point(self.scene.name, "", "", "nothing", self.scene.ways[0])
        outcome = Outcome(point, struck=True)
        self.judge(outcome)
        passed = [json.loads(line) for line in trace.read_text("utf-8").splitlines()]
        return outcome, passed, seconds

    def run(self, point: Point) -> Outcome:
        """Strike at the point, and see how it ends."""
        began = time.monotonic()
        outcome = Outcome(point)
        try:
            self.restore(point.do)
            self.known = set(self.acts())
            self.strike(outcome)
            if outcome.struck:
                self.follow(outcome)
                self.judge(outcome)
            else:
                outcome.problems.append("the point never came")
        except AssertionError as error:
            outcome.problems.append(f"{error}"[:3000] or repr(error))
        except Exception as error:
            outcome.problems.append(f"{type(error).__name__}: {error}"[:3000])
        outcome.seconds = round(time.monotonic() - began, 1)
        return outcome

    def orders(self, **more: str) -> dict[str, str]:
        hidden = self.school.root / ".otapgate"
        return {
            "tether": str(tether_path(self.school.root, self.scene.environment)),
            "filler": str(hidden / FILLER),
            "mount": str(hidden),
            **more,
        }

    def strike(self, outcome: Outcome) -> None:
        """Run the command until it ends, struck; and bring back the disk."""
        point = outcome.point
        trace, mark = self.work / "trace", self.work / "mark"
        for path in (trace, mark):
            path.unlink(missing_ok=True)
        orders = self.orders(
            trace=str(trace), point=point.point, when=point.when, do=point.do, mark=str(mark)
        )
        process = scenes.command(self.school, self.scene.words, orders)
        if point.when == "at":
            self.strike_at(process, trace, mark, point)
        try:
            out, err = process.communicate(timeout=LONGEST)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise AssertionError("the command hangs") from None
        outcome.struck = mark.exists()
        if outcome.struck and point.do in strike.DISKS:
            self.settled()
            self.disk.back(point.do)
        code = process.returncode
        outcome.commands.append(f"({code}) (struck) {brief(out)}")
        killed = point.do in ("otapgate", "both", "power")
        if outcome.struck and killed:
            assert code == -signal.SIGKILL or point.when == "at", f"it lived: {out}{err}"
        if code != -signal.SIGKILL:
            said = sensible(out, err, outcome.problems)
            if said.get("ok"):  # it may only say so when it is so
                acts = self.since()
                assert any(name.endswith("-finished") or name == "rehearsal" for name, _ in acts)

    def strike_at(
        self, process: subprocess.Popen[str], trace: Path, mark: Path, point: Point
    ) -> None:
        """At a moment instead of a point."""
        until_locked(trace, process)
        time.sleep(float(point.point.partition(":")[2]))
        ansible = strike.held_by(self.orders()["tether"])
        mark.touch()
        who = {"otapgate": [process.pid], "ansible": [], "both": [process.pid]}[point.do]
        if ansible is not None and point.do in ("ansible", "both"):
            who.append(ansible)
        strike.kill(who)

    def settled(self) -> None:
        """Wait until nothing is at work any more: locks aren't seen on a disk that is gone."""
        until = time.monotonic() + PATIENCE
        while self.working():
            reap()
            assert time.monotonic() < until, "Ansible goes on without its otapgate"
            time.sleep(0.05)

    def working(self) -> list[str]:
        """What runs besides the service."""
        found = [command_line(pid) for pid in others()]
        return [words for words in found if words and "serve.py" not in words]

    def status(self) -> dict[str, Any]:
        """What `status` says is open in the environment, once nobody is at work there."""
        until = time.monotonic() + PATIENCE
        while True:
            said = self.school.here(None, "status")
            (street,) = said["streets"]
            (found,) = [e for e in street["environments"] if e["stage"] == self.scene.stage]
            if found["busy"] is None:
                break
            assert time.monotonic() < until, f"busy for ever: {found['busy']}"
            time.sleep(0.1)
        open_ = [x for x in street["unfinished"] if x["environment"] == self.scene.environment]
        return {"release": found["release"], "unfinished": open_, "notes": said["notes"]}

    def follow(self, outcome: Outcome) -> None:
        """Do what `status` says, as somebody would who reads it, until nothing is open."""
        way, count = outcome.point.way, 0
        while open_ := self.status()["unfinished"]:
            assert count < MOST_COMMANDS, f"still open: {open_}"
            count += 1
            ((item,), offered) = open_, open_[0]["remedies"]
            offered = [remedy for remedy in offered if "TEXT" not in remedy]
            assert offered, item
            chosen = offered[0 if way == "on" else -1]
            words = shlex.split(chosen)
            assert words[0] == "otapgate", chosen
            code, out, err = self.school.attempt(DAAN, *words[1:], "--yes")
            said = sensible(out, err, outcome.problems)
            outcome.commands.append(f"({code}) {chosen} {brief(out)}")
            assert code in (0, 1, 3, 6), f"{chosen}: {code}, {said}"
            if code == 3:
                way = "back"

    # The judgement

    def judge(self, outcome: Outcome) -> None:
        """Everything that must be so in the end; what isn't is a problem."""
        bad = outcome.problems
        said = self.status()
        end = self.end(bad, said)
        acts = self.since()
        outcome.acts = [name for name, _id in acts]
        self.told(bad, acts, end)
        for words in (("log", "verify"), ("gate", "replay", "--all")):
            try:
                answer = self.school.here(None, *words)
            except AssertionError as error:
                bad.append(f"{' '.join(words)}: {error}"[:2000])
                continue
            bad += [f"{words[1]}: {what}" for what in answer.get("problems", [])]
            bad += [f"{words[1]}: {what}" for what in answer.get("different", [])]
        bad += [f"status: {note}" for note in said["notes"]]
        if "promotion-started" not in outcome.acts and "promote" in self.scene.name:
            end = self.once_more(outcome)
        if len(outcome.commands) == 1:  # whatever is done there next tidies up
            self.school.attempt(DAAN, "rollback", self.scene.stage, "--dry-run")
        bad += self.leftovers()
        outcome.end = "" if bad else end

    def end(self, bad: list[str], said: dict[str, Any]) -> str:
        """Which release it is, by what runs and by what `status` says."""
        if said["unfinished"]:
            bad.append(f"unfinished: {said['unfinished']}")
        end = {OLD: "old", NEW: "new"}.get(said["release"], "")
        seen = self.picture()
        wanted = self.pictures.get(end)
        if wanted is None:
            bad.append(f"status says {said['release']}")
        elif seen != wanted:
            unlike = [key for key in seen if seen[key] != wanted[key]]
            bad.append(f"status says {end}, but these aren't so: {unlike}, {seen['answer']}")
        return end

    def told(self, bad: list[str], acts: list[tuple[str, str]], end: str) -> None:
        """The ledger tells of each beginning one end, and of the last end what runs."""
        begun = Counter(i for name, i in acts if name.endswith("-started"))
        # what failed stays open, and has its end in a later entry
        ended = Counter(
            (one.predicate.get("promotion") if "promotion" in one.act else
             one.predicate.get("rollback"))
            for one in self.statements()
            if one.act.endswith("-finished") and one.predicate["outcome"] != "failed"
        )  # fmt: skip
        ended = Counter({i: n for i, n in ended.items() if i in {i for _name, i in acts}})
        if begun - ended or any(n > 1 for n in [*begun.values(), *ended.values()]):
            bad.append(f"the ledger tells {acts}")
        last = ""
        for act in self.statements():
            predicate = act.predicate
            if predicate.get("environment") != self.scene.environment:
                continue
            if act.act == "promotion-finished":
                last = {"succeeded": "new", "rolled-back": "old"}.get(predicate["outcome"], "?")
                last = last if predicate["release"] == self.newest() else "old"
            elif act.act == "rollback-finished":
                last = "old" if predicate["outcome"] == "restored" else "?"
        if last and last != end:
            bad.append(f"the ledger tells that it ended in {last}, it is {end}")

    def newest(self) -> str:
        """The digest of the new release."""
        with self.workspace() as workspace:
            return next(d for d, r in workspace.state.releases.items() if r.name == NEW)

    def once_more(self, outcome: Outcome) -> str:
        """Nothing had begun: then the same command, given again, must do it all."""
        code, out, err = self.school.attempt(DAAN, *self.scene.words)
        outcome.commands.append(f"({code}) otapgate {' '.join(self.scene.words)} {brief(out)}")
        if code != self.scene.expect:
            outcome.problems.append(f"once more: {code}: {out}{err}"[:2000])
        return self.end(outcome.problems, self.status())

    def leftovers(self) -> list[str]:
        """What should be gone: processes, locks, what a run needed."""
        found = []
        root = self.school.root
        for path in (
            lock_path(root, self.scene.environment),
            tether_path(root, self.scene.environment),
        ):
            if path.exists():
                with path.open("r+b") as file:
                    try:
                        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    except BlockingIOError:
                        found.append(f"{path.name} is held")
        reap()
        for pid in others() if self.alone else ():
            words = command_line(pid)
            if words and "serve.py" not in words:
                found.append(f"process {pid} is left: {words}")
        with self.workspace() as workspace:
            needed = {
                one.running.by_act
                for stage in "TAP"
                if (one := workspace.state.environment(f"agenda-{stage}")).running
            }
        runs = root / ".otapgate" / "runs"
        for run in sorted(runs.iterdir()) if runs.is_dir() else ():
            if run.name not in needed and any(run.iterdir()):
                found.append(f"left of a run: {run.name}: {sorted(x.name for x in run.iterdir())}")
            left = [x for x in ("ansible", "release", "previous") if (run / x).is_dir()]
            found += [f"left in {run.name}: {x}" for x in left if any((run / x).iterdir())]
        return found

    # The ledger

    def workspace(self) -> Workspace:
        return Workspace(self.school.root, reading=True)

    def statements(self) -> list[Any]:
        with self.workspace() as workspace:
            return [statement for _n, statement, _by in workspace.statements()]

    def acts(self) -> list[str]:
        return [f"{act}:{i}" for act, i in self._told()]

    def _told(self) -> list[tuple[str, str]]:
        found = []
        for one in self.statements():
            kind = one.act.partition("-")[0]
            found.append((one.act, str(one.predicate.get(kind, one.predicate.get("id", "")))))
        return found

    def since(self) -> list[tuple[str, str]]:
        """What the ledger tells since the scene began."""
        return [one for one in self._told() if f"{one[0]}:{one[1]}" not in self.known]

    def running(self) -> str | None:
        """The release that `status` says runs there."""
        found: str | None = self.status()["release"]
        return found


def sensible(out: str, err: str, bad: list[str]) -> dict[str, Any]:
    """The one JSON object of a command that wasn't killed; what is unforeseen is bad, though
    the trial goes on."""
    if "Traceback" in err:
        bad.append(err[-2000:])
    try:
        said = json.loads(out)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        bad.append(f"it said: {out}{err}"[:2000])
        return {}
    error = said.get("error") or {}
    if error.get("code") == "unexpected":
        bad.append(f"unforeseen: {error['message']}")
    return said


def brief(out: str) -> str:
    """A command's answer in a few words."""
    with suppress(ValueError, AttributeError):
        said = json.loads(out)
        for name in ("promotion", "rollback", "rehearsal"):
            if name in said:
                return str(said[name].get("outcome"))
        return str((said.get("error") or {}).get("code", said["ok"]))
    return ""


def until_locked(trace: Path, process: subprocess.Popen[str]) -> None:
    """Wait until the environment's lock was taken."""
    until = time.monotonic() + 60
    while not (trace.exists() and "lock:taken" in trace.read_text("utf-8")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.005)


def others() -> list[int]:
    """The processes of this namespace but for this one; zombies aside."""
    return [
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and int(entry.name) != os.getpid() and command_line(int(entry.name))
    ]


def command_line(pid: int) -> str:
    try:
        text = (Path("/proc") / str(pid) / "cmdline").read_bytes()
    except OSError:
        return ""
    return text.replace(b"\0", b" ").decode(errors="replace").strip()


def reap() -> None:
    """Bury what this process inherited."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


__all__ = ["CHANGE", "Outcome", "Point", "Trial"]
