"""The five people of the demo, their keys, and running the command line as one of them.

All of them are invented. Each command is a real `otapgate` process with that person's
key, as it would be typed; what it says is what it said.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from otapgate import errors
from otapgate.cli.options import options
from otapgate.i18n import N_, _, language


@dataclass(frozen=True)
class Player:
    """Somebody in the story."""

    name: str
    key: str
    """File name of the private key, below `keys/`."""
    roles: tuple[str, ...]
    what: str
    """Their place in the organisation, marked for translation."""


ANNA = Player("Anna de Wit", "anna", ("board", "process-owner"), N_("board member"))
BRAM = Player("Bram Visser", "bram", ("change-manager",), N_("change manager"))
CHANTAL = Player("Chantal Mulder", "chantal", ("builder",), N_("builder at the supplier"))
DAAN = Player(
    "Daan Jansen", "daan", ("administrator", "environment-owner"), N_("ict administrator")
)
ESRA = Player(
    "Esra Yilmaz", "esra", ("test-lead", "tester", "ibp-officer"), N_("test lead and IBP officer")
)
PLAYERS = (ANNA, BRAM, CHANTAL, DAAN, ESRA)


def make_keys(directory: Path) -> None:
    """An Ed25519 key pair for everybody, made now; files 0600, folder 0700."""
    from cryptography.hazmat.primitives import serialization as s
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    directory.mkdir(mode=0o700, exist_ok=True)
    for player in PLAYERS:
        key = Ed25519PrivateKey.generate()
        private = key.private_bytes(s.Encoding.PEM, s.PrivateFormat.OpenSSH, s.NoEncryption())
        public = key.public_key().public_bytes(s.Encoding.OpenSSH, s.PublicFormat.OpenSSH)
        path = directory / player.key
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(private)
        path.with_suffix(".pub").write_bytes(public + b"\n")


@dataclass
class Said:
    """What a command gave back."""

    code: int
    data: dict[str, Any]
    error: str


class Theatre:
    """Runs commands in the demo's landscape and shows them as they would be typed."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def say(self, text: str = "") -> None:
        """A line of the story."""
        # With --json, standard output is for the one object at the end.
        stream = sys.stderr if options().json else sys.stdout
        stream.write(text + "\n")
        stream.flush()

    def show(self, player: Player | None, arguments: Sequence[str]) -> None:
        """The command as somebody would type it."""
        key = [] if player is None else ["--key", f"keys/{player.key}"]
        self.say("  $ " + shlex.join(["otapgate", *arguments, *key]))

    def run(
        self,
        player: Player | None,
        *arguments: str,
        expect: Sequence[int] = (0,),
        quiet: bool = False,
    ) -> Said:
        """Run a command with `--json`; its exit code must be one of `expect`."""
        if not quiet:
            self.show(player, arguments)
        command = [sys.executable, "-m", "otapgate", *arguments, "--json", "--yes"]
        command += ["--lang", language()]
        if player is not None:
            command += ["--key", str(self.directory / "keys" / player.key)]
        done = subprocess.run(
            command, cwd=self.directory, capture_output=True, text=True, check=False,
            stdin=subprocess.DEVNULL, env=environment(self.directory),
        )  # fmt: skip
        try:
            data = json.loads(done.stdout) if done.stdout.strip() else {}
        except ValueError:
            data = {}
        if done.returncode not in expect:
            said = data.get("error", {}).get("message") or done.stderr.strip() or done.stdout
            problems = [str(x.get("message") or x.get("what")) for x in data.get("problems", [])]
            for kind in ("rehearsal", "promotion", "test_run"):
                if kind in data:
                    said = json.dumps(data[kind], ensure_ascii=False, indent=2)
            raise errors.Failed(
                "demo-went-wrong",
                _("The demo's step `otapgate {command}` ended with {code}: {said}").format(
                    command=shlex.join(arguments), code=done.returncode, said=said
                ),
                problems=tuple(errors.Problem(x) for x in problems[:10]),
                remedy=_("look around in {directory}, or start anew: otapgate demo DIR").format(
                    directory=self.directory
                ),
            )
        return Said(done.returncode, data, done.stderr)


def environment(directory: Path) -> dict[str, str]:
    """What a command of the demo sees of the environment: nothing of the user's otapgate
    settings, and the landscape by name."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OTAPGATE_", "ANSIBLE_"))}
    # Its ledgers come and go: what was seen of them is kept with its keys.
    return {
        **kept,
        "OTAPGATE_LANDSCAPE": str(directory),
        "XDG_STATE_HOME": str(directory.absolute() / "keys" / "state"),
    }
