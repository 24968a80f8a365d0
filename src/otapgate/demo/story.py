"""The main story: a release that is refused, earns its way, and is promoted.

Tells what happens and lets it happen: every step is a command that anybody can type.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from otapgate import errors
from otapgate.cli.acting import findings_text
from otapgate.demo import scene
from otapgate.demo.players import ANNA, BRAM, CHANTAL, DAAN, ESRA, PLAYERS, Theatre, make_keys
from otapgate.i18n import _

STREET = "administration"
OLD_FILE, NEW_FILE = "releases/tryton-7.6.yml", "releases/tryton-8.0.yml"
ENVIRONMENTS = {stage: f"{STREET}-{stage}" for stage in "TAP"}


class Story:
    """The demo, in acts."""

    def __init__(self, directory: Path, *, fast: bool) -> None:
        self.directory = directory
        self.people = 40 if fast else 240
        self.theatre = Theatre(directory)
        self.say = self.theatre.say
        self.act = 0
        self.open: dict[tuple[str, str], dict[str, Any]] = {}
        self.old = self.new = self.change = ""
        self.began = time.monotonic()

    # Telling

    def chapter(self, title: str) -> None:
        """A numbered heading."""
        self.act += 1
        self.say()
        self.say(f"── {self.act}. {title}")

    def still(self) -> None:
        """Ask the gate again and say which findings are gone, and which came."""
        said = self.theatre.run(
            DAAN, "gate", "explain", self.new, "--to", "P", "--change", self.change,
            expect=(0, 3), quiet=True,
        )  # fmt: skip
        findings = said.data["decision"]["findings"]
        now = {(f["code"], f["message"]): f for f in findings if f["severity"] == "block"}
        for key, finding in self.open.items():
            if key not in now:
                self.say(f"    ✔ {finding['code']} {finding['slug']}: {finding['message']}")
        for key, finding in now.items():
            if key not in self.open:
                self.say(f"    ✘ {finding['code']} {finding['slug']}: {finding['message']}")
        self.open = now
        self.say("    " + _("still missing: {n}").format(n=len(now)))

    # The scene

    def prepare(self) -> None:
        """Everything up to the first promotion: the school as it was, and its landscape."""
        self.chapter(_("The scene: a school board with Tryton {old} in production").format(
            old=scene.OLD))  # fmt: skip
        scene.clear(self.directory)
        ports = scene.write(self.directory)
        make_keys(self.directory / "keys")
        for player in PLAYERS:
            self.say(f"    {player.name}, {_(player.what)}: {', '.join(player.roles)}")
        self.say("    " + _("Test, acceptance and production on 127.0.0.1, ports {ports}.").format(
            ports=", ".join(map(str, ports.values()))))  # fmt: skip
        scene.wheels(self.directory)
        self._people()
        self._install()
        self._adopt()

    def _people(self) -> None:
        self.chapter(_("Two role administrators found the ledger and appoint people"))
        run = self.theatre.run
        run(
            ANNA, "init", str(self.directory),
            "--role-admin", f"{ANNA.name}={self.directory}/keys/anna.pub",
            "--role-admin", f"{BRAM.name}={self.directory}/keys/bram.pub",
        )  # fmt: skip
        run(BRAM, "people", "confirm")
        for player in (CHANTAL, DAAN, ESRA):
            run(ANNA, "people", "enrol", player.name, f"keys/{player.key}.pub")
        run(BRAM, "people", "confirm")
        for player in PLAYERS:
            by = BRAM if player is ANNA else ANNA
            for role in player.roles:
                run(by, "role", "grant", player.name, role, quiet=player is not ESRA)
        run(BRAM, "people", "confirm")
        run(ANNA, "people", "confirm")

    def _install(self) -> None:
        self.say("    " + _("Tryton {old} is installed three times, as it was before otapgate.")
                 .format(old=scene.OLD))  # fmt: skip
        self.old = self._build(OLD_FILE, None)
        release = self._show(self.old)
        artifacts = self._unpacked(release)
        try:
            for stage in "PTA":
                scene.play(
                    self.directory, stage, "deploy.yml",
                    artifacts=artifacts,
                    release={"name": self.old, "app": "tryton",
                             "version": self.old.partition("@")[2],
                             "digest": release["digest"]},
                )  # fmt: skip
            scene.seed(self.directory, self.people)
        finally:
            from otapgate.release.unpack import remove

            remove(artifacts)

    def _build(self, file: str, change: str | None) -> str:
        extra = ["--change", change] if change else []
        said = self.theatre.run(CHANTAL, "release", "build", file, *extra)
        return str(said.data["release"]["name"])

    def _show(self, name: str) -> dict[str, Any]:
        said = self.theatre.run(None, "release", "show", name, quiet=True)
        found: dict[str, Any] = said.data["release"]
        return found

    def _unpacked(self, release: dict[str, Any]) -> Path:
        from otapgate.acts.releases import manifest
        from otapgate.acts.workspace import Workspace
        from otapgate.release.unpack import unpack

        target = self.directory / ".otapgate" / "by-hand"
        workspace = Workspace(self.directory)
        unpack(manifest(workspace, release["digest"]), workspace.store, target)
        return target

    def _adopt(self) -> None:
        self.chapter(_("The owner accepts the environments; otapgate looks at what runs there"))
        for name in ENVIRONMENTS.values():
            self.theatre.run(DAAN, "env", "accept", name)
        for name in ENVIRONMENTS.values():
            self.theatre.run(DAAN, "env", "adopt", name, self.old)

    # The story

    def tell(self) -> None:
        """From the request to the evaluation."""
        self._ask()
        self._refused()
        self._authorise()
        self._data()
        self._rehearse()
        self._test()
        self._accept()
        self._promote()
        self._prove()

    def _ask(self) -> None:
        self.chapter(_("A change is asked for, and its release is built"))
        said = self.theatre.run(DAAN, "change", "new", "--from", "changes/upgrade.yml")
        self.change = said.data["change"]["id"]
        self.new = self._build(NEW_FILE, self.change)
        self.say("    " + _("{change}: from {old} to {new}").format(
            change=self.change, old=self.old, new=self.new))  # fmt: skip

    def _refused(self) -> None:
        self.chapter(_("Friday evening: straight to production. The gate says no, and why"))
        said = self.theatre.run(
            DAAN, "promote", self.new, "--to", "P", "--change", self.change, expect=(3,)
        )
        decision = said.data["decision"]
        self.say()
        self.say(findings_text(decision))
        findings = [f for f in decision["findings"] if f["severity"] == "block"]
        self.open = {(f["code"], f["message"]): f for f in findings}
        if len(findings) < 8:
            raise errors.Failed("demo-went-wrong", _("The refusal has fewer than eight findings."))
        self._still_old()

    def _still_old(self) -> None:
        self.say("    " + _("Production still answers with {version}.").format(
            version=self.answers("P")))  # fmt: skip

    def _authorise(self) -> None:
        self.chapter(_("The change is classified, authorised and scheduled"))
        change = self.change
        self.theatre.run(
            BRAM, "change", "classify", change, "--impact", "medium", "--urgency", "medium"
        )
        self.still()
        self.theatre.run(BRAM, "change", "authorise", change, "--role", "change-manager")
        self.theatre.run(ANNA, "change", "authorise", change, "--role", "process-owner")
        self.theatre.run(ESRA, "change", "authorise", change, "--role", "ibp-officer")
        self.still()
        start = datetime.now(ZoneInfo("Europe/Amsterdam")).replace(microsecond=0)
        window = f"{start.isoformat()}/{(start + timedelta(hours=4)).isoformat()}"
        self.theatre.run(BRAM, "change", "schedule", change, "--window", window)
        self.still()

    def _data(self) -> None:
        self.chapter(_("Test and acceptance get production's data, without its people"))
        source = f"sqlite:///{self.directory}/hosts/P/{scene.DATABASE}"
        for stage in "TA":
            said = self.theatre.run(
                DAAN, "anonymize", "run", "anonymizers/tryton.yml", "--from", source,
                "--to", f"sqlite:///{self.directory}/hosts/{stage}/{scene.DATABASE}",
                "--env", ENVIRONMENTS[stage],
            )  # fmt: skip
            found = said.data["dataset"]
            self.say("    " + _("{rows} rows, {label}, {leaks} leaks").format(
                rows=found["rows"], label=found["label"], leaks=len(found["leaks"])))  # fmt: skip
            scene.play(self.directory, stage, "restart.yml")
        self.still()

    def _rehearse(self) -> None:
        self.chapter(_("The rollback is rehearsed in test: up, back, and compared"))
        said = self.theatre.run(DAAN, "rehearse", self.new, "--env", "T")
        found = said.data["rehearsal"]
        self.say("    " + _("{outcome}: back on {old} with its data in {seconds} s; test answers"
                            " with {version}").format(
            outcome=found["outcome"], old=self.old, seconds=f"{found['seconds_rollback']:.1f}",
            version=self.answers("T")))  # fmt: skip
        self.still()

    def _test(self) -> None:
        self.chapter(_("The test plan is registered, the release goes to test and is tested"))
        self.theatre.run(ESRA, "test", "plan", "register", "plans/tryton.yml")
        self.still()
        self._move("T")
        said = self.theatre.run(ESRA, "test", "run", self.new, "--env", "T", "--plan", "tryton")
        for case in said.data["test_run"]["cases"]:
            self.say(f"    {case['outcome']:8} {case['id']} ({case['kind']})")
        self.still()

    def _move(self, stage: str) -> None:
        said = self.theatre.run(DAAN, "promote", self.new, "--to", stage, "--change", self.change)
        found = said.data["promotion"]
        self.say("    " + _("{outcome} in {seconds} s, {completeness}; {environment} answers with"
                            " {version}").format(
            outcome=found["outcome"], seconds=f"{found['seconds']['total']:.1f}",
            completeness=found["completeness"]["outcome"], environment=ENVIRONMENTS[stage],
            version=self.answers(stage)))  # fmt: skip

    def _accept(self) -> None:
        self.chapter(_("Acceptance: the test lead judges every criterion, stakeholders sign off"))
        self._move("A")
        self.still()
        gap = next(f for f in self.open.values() if f["slug"] == "acceptance-missing")
        import shlex

        words = shlex.split(gap["remedy"]["command"])[1:]
        self.theatre.run(ESRA, *words)
        self.still()
        for player, role in ((ANNA, "process-owner"), (BRAM, "change-manager")):
            self.theatre.run(
                player, "sign-off", self.new, "--to", "P", "--change", self.change, "--role", role
            )
            self.still()

    def _promote(self) -> None:
        self.chapter(_("The same promotion, now that it has been earned"))
        self._move("P")

    def _prove(self) -> None:
        self.chapter(_("Afterwards anybody can check all of it"))
        said = self.theatre.run(None, "log", "verify")
        self.say("    " + _("{entries} entries, {signatures} signatures, {decisions} decisions:"
                            " no problems").format(**said.data))  # fmt: skip
        said = self.theatre.run(None, "gate", "replay", "--all")
        self.say("    " + _("{same} of {replayed} decisions come out the same when made again")
                 .format(**said.data))  # fmt: skip
        self.theatre.run(
            BRAM, "change", "close", self.change, "--evaluation",
            _("Goal reached; no faults seen; within its window."),
        )  # fmt: skip
        seconds = int(time.monotonic() - self.began)
        self.say()
        self.say(_("Done in {seconds} seconds. Look around:").format(seconds=seconds))
        self.say(f"  cd {self.directory}")
        self.say("  otapgate status        otapgate gate log        otapgate log list")
        self.say("  " + _("The keys of all five are in keys/; act as one with --key keys/daan."))
        self.say("  " + _("Stop the services: otapgate demo {directory} --stop").format(
            directory=self.directory))  # fmt: skip

    def answers(self, stage: str) -> str:
        """The version that the environment's service says it is, over HTTP."""
        ports = json.loads((self.directory / scene.MARK).read_text("utf-8"))["ports"]
        try:
            return self._asked(ports[stage], "/rpc/")  # from series 8.0 on
        except urllib.error.HTTPError:
            return self._asked(ports[stage], "/")

    def _asked(self, port: int, path: str) -> str:
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}{path}",
            data=json.dumps({"id": 1, "method": "common.server.version", "params": []}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310 - loopback
            said = json.loads(answer.read())
        found = said["result"] if isinstance(said, dict) else said
        return str(found)
