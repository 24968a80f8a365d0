"""A small application on a lab's hosts, to be promoted and rehearsed over SSH."""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path
from typing import Any

import msgspec
from tests.trees import release_files

from otapgate.execution.plan import Plan
from otapgate.landscape.model import Environment, Host
from otapgate.release.manifest import DatabaseState, Install, Manifest, State

from .labs import Lab

DRIVER = Path(__file__).parent / "far_driver.py"
HOME = "/srv/agenda"
BASE = f"{HOME}/data.sqlite"
MIGRATE = """
import sqlite3
base = sqlite3.connect("/srv/agenda/data.sqlite")
if "room" not in [row[1] for row in base.execute("PRAGMA table_info(lesson)")]:
    base.execute("ALTER TABLE lesson ADD COLUMN room TEXT")
base.commit()
"""
PLAY = "- hosts: all\n  gather_facts: false\n  tasks:\n"
TASKS = {
    "Announce": "copy: {content: x, dest: /srv/agenda/announced}",
    "Application": (
        "copy: {src: '{{ otapgate_artifacts }}/artifacts/app/', dest: /srv/agenda/app/,"
        " mode: preserve}"
    ),
    "Settings": "copy: {content: 'mode=new', dest: /srv/agenda/settings, mode: '0640'}",
    "Migration": "script: {cmd: '{{ otapgate_artifacts }}/artifacts/migrate.py',"
    " executable: /usr/bin/python3}",
    "Job": "copy: {content: '5 4 * * * root /srv/agenda/tidy', dest: /etc/cron.d/agenda}",
    "Lock": "copy: {content: x, dest: /srv/agenda/locked}",
    "Unlock": "file: {path: /srv/agenda/locked, state: absent}",
    "Done": "file: {path: /srv/agenda/announced, state: absent}",
}
SNAPSHOT = PLAY + (
    "    - file: {path: '{{ otapgate_snapshot }}', state: directory, mode: '0700'}\n"
    "    - command: cp -aT /srv/agenda {{ otapgate_snapshot }}/agenda\n"
)
ROLLBACK = PLAY + (
    "    - name: Everything back\n      shell: |\n"
    "        set -e\n"
    "        rm -rf /srv/agenda/app /srv/agenda/announced /srv/agenda/locked\n"
    "        cp -a {{ otapgate_snapshot }}/agenda/app /srv/agenda/app\n"
    "        cp -a {{ otapgate_snapshot }}/agenda/settings /srv/agenda/settings\n"
    "        cp -a {{ otapgate_snapshot }}/agenda/data.sqlite /srv/agenda/data.sqlite\n"
    "        rm -f /etc/cron.d/agenda\n"
)
VERIFY = PLAY + (
    "    - name: Version\n"
    "      command: grep -q {{ otapgate_release.version }} /srv/agenda/app/version\n"
)


def deploy(more: str = "") -> str:
    """The deployment, each task under its name."""
    return PLAY + "".join(f"    - name: {name}\n      {do}\n" for name, do in TASKS.items()) + more


def breaking_at(host: str) -> str:
    """deploy.yml that goes host by host, and fails at one."""
    serial = deploy().replace("- hosts: all\n", "- hosts: all\n  serial: 1\n")
    return serial.replace(
        "    - name: Job\n",
        f"    - name: Break\n      command: test {{{{ inventory_hostname }}}} != {host}\n"
        "    - name: Job\n",
    )


class Application:
    """Releases 1 and 2 of it, in a folder; release 1 put on the hosts."""

    def __init__(self, lab: Lab, hosts: tuple[str, ...], folder: Path, stage: str = "T") -> None:
        self.lab, self.folder = lab, folder
        self.environment = Environment(
            name=f"agenda-{stage}",
            stage=stage,  # type: ignore[arg-type]
            street="agenda",
            owner="Fenna",
            hosts=tuple(Host(host, dict(lab.connection(host))) for host in hosts),
            variables={"ansible_become": True},
            host_keys={host: (lab.hosts[host]["host_key"],) for host in hosts},
            digest="sha256:" + "0" * 64,
        )
        self.old = self.release("1.0")
        for host in hosts:
            self.place(host)

    def place(self, host: str) -> None:
        """Release 1.0 on a host, whatever was there."""
        script = (
            "set -e; rm -rf /srv/agenda /etc/cron.d/agenda /var/tmp/otapgate; mkdir -p /etc/cron.d"
            " /srv/agenda/app; cd /srv/agenda; printf 1.0 > app/version;"
            " printf mode=old > settings;"
            ' chmod 640 settings; /usr/bin/python3 -c "import sqlite3; b = sqlite3.connect('
            f"'{BASE}'); b.execute('CREATE TABLE lesson (id INTEGER, name TEXT)');"
            ' b.execute(\\"INSERT INTO lesson VALUES (1, \'Biology\')\\"); b.commit()"'
        )
        done = self.lab.ssh(host, ["sudo", "sh", "-c", script])
        assert done.returncode == 0, done.stderr

    def release(
        self, version: str, databases: tuple[str, ...] = (), **playbooks: str
    ) -> tuple[Manifest, Path]:
        """A release; `databases` are declared besides its own, a keyword replaces a
        playbook."""
        tree = self.folder / f"release-{version}-{len(list(self.folder.iterdir()))}"
        (tree / "artifacts/app").mkdir(parents=True)
        (tree / "artifacts/app/version").write_text(version)
        (tree / "artifacts/migrate.py").write_text(MIGRATE)
        (tree / "playbooks").mkdir()
        usual = {"deploy": deploy(), "verify": VERIFY, "rollback": ROLLBACK, "snapshot": SNAPSHOT}
        for name, text in {**usual, **playbooks}.items():
            (tree / f"playbooks/{name}.yml").write_text(text)
        files = release_files(tree)
        manifest = Manifest(
            app="agenda", version=version, street="agenda", plans=(), variables={},
            state=State(
                paths=(HOME,),
                databases=tuple(map(DatabaseState, (f"sqlite://{'/' + BASE}", *databases))),
            ),
            installs=(Install(f"{HOME}/app", "files", "artifacts/app"),), files=files,
        )  # fmt: skip
        return manifest, tree

    def plan(self, name: str, release: tuple[Manifest, Path], **other: Any) -> Plan:
        return Plan(
            promotion_id=name, manifest=release[0], release_tree=release[1],
            environment=self.environment, run_dir=self.folder / ".otapgate/runs" / name,
            root=self.folder, put=len, previous=self.old[0], previous_tree=self.old[1],
            patience=5, **other,
        )  # fmt: skip

    def argv(self, plan: Plan, act: str) -> list[str]:
        """The command that carries out `act` on the administrator's side."""
        assert plan.previous is not None
        path = self.folder / f"{plan.promotion_id}.pickle"
        path.write_bytes(pickle.dumps((plan, plan.manifest.encoded(), plan.previous.encoded())))
        return [sys.executable, str(DRIVER), str(path), act]

    def do(self, plan: Plan, act: str, timeout: float = 900) -> dict[str, Any]:
        """Carry out `run`, `resume`, `go_back` or `rehearse:FAULTS`; what came of it."""
        done = self.lab.exec(self.argv(plan, act), timeout=timeout)
        assert done.returncode == 0, done.stdout + done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def picture(self, host: str) -> dict[str, str]:
        """What is on a host, seen from outside it."""
        said = self.lab.ssh(
            host,
            ["sudo", "sh", "-c", "cd /srv/agenda && cat app/version && echo && cat settings && echo"
             " && /usr/bin/python3 -c \"import sqlite3; print([r[1] for r in sqlite3.connect("
             "'data.sqlite').execute('PRAGMA table_info(lesson)')])\"; ls /etc/cron.d"],
        )  # fmt: skip
        version, settings, columns, *jobs = said.stdout.splitlines()
        return {
            "version": version,
            "settings": settings,
            "columns": columns,
            "jobs": " ".join(jobs),
        }


def struct(plan: Plan) -> Plan:
    """The plan without what can't be pickled."""
    return msgspec.structs.replace(plan, put=len)
