"""The demo's scene: a school board whose administration ran before otapgate came.

Makes the landscape from the reference files, fetches the application's wheels, installs
the old version in three environments the old way (by hand, so to say: plain Ansible), and
fills production with invented people. Everything below one folder, on loopback.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from otapgate import errors
from otapgate.demo import reference
from otapgate.demo.wheels import fetch
from otapgate.i18n import _, language

MARK = ".otapgate-demo.json"
"""Notes of a demo's folder: its ports. Its presence says that the folder is ours."""

OLD, NEW = "7.6", "8.0"
DATABASE = "data/tryton.sqlite"
"""Below an environment's folder."""
PORTS = {"T": 18611, "A": 18612, "P": 18613}


def free_ports() -> dict[str, int]:
    """The usual port of each stage, or the next one that is free."""
    found: dict[str, int] = {}
    for stage, wanted in PORTS.items():
        port = wanted
        while port in found.values() or not _free(port):
            port += 10
            if port > 65000:
                raise errors.Failed("no-port", _("No free port was found on this machine."))
        found[stage] = port
    return found


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def clear(directory: Path) -> None:
    """Make room: an older demo is stopped and removed; anything else is refused."""
    if not directory.exists() or not any(directory.iterdir()):
        return
    if not (directory / MARK).is_file():
        raise errors.BadInput(
            "directory-not-empty",
            _("{directory} isn't empty, and it is no demo of otapgate.").format(
                directory=directory
            ),
            remedy=_("name another folder: otapgate demo DIR"),
            where=str(directory),
        )
    stop(directory)
    for path in directory.rglob("*"):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o700)  # unpacked releases are read-only
    shutil.rmtree(directory)


def write(directory: Path) -> dict[str, int]:
    """The landscape's files, with this folder and these ports; returns the ports."""
    source = reference.folder()
    directory.mkdir(parents=True, exist_ok=True)
    ports = free_ports()
    (directory / MARK).write_text(json.dumps({"ports": ports}) + "\n", encoding="utf-8")
    shutil.copytree(source / "environments" / "landscape", directory, dirs_exist_ok=True)
    for part in ("playbooks", "anonymizers"):
        shutil.copytree(
            source / part, directory / part, ignore=shutil.ignore_patterns("__pycache__")
        )
    (directory / "environments").mkdir()
    for file in sorted((source / "environments").glob("*.yml")):
        text = file.read_text(encoding="utf-8").replace("/srv/otapgate/", f"{directory}/hosts/")
        text = text.replace("/usr/bin/python3", sys.executable)
        for stage, port in ports.items():
            text = text.replace(str(PORTS[stage]), str(port))
        (directory / "environments" / file.name).write_text(text, encoding="utf-8")
    main = directory / "otapgate.yml"
    main.write_text(
        main.read_text("utf-8").replace("language: en", f"language: {language()}"), "utf-8"
    )
    for stage in ports:
        (directory / "hosts" / stage).mkdir(parents=True, mode=0o700)
    return ports


def wheels(directory: Path) -> None:
    """Both versions' wheels beside their release files, from the cache or the network."""
    for version in (OLD, NEW):
        requirements = directory / "playbooks" / "tryton" / f"requirements-{version}.txt"
        target = directory / "releases" / f"wheels-{version}"
        target.mkdir(parents=True, exist_ok=True)
        fetch(requirements, target)
        shutil.copyfile(requirements, target / "requirements.txt")


def play(
    directory: Path,
    stage: str,
    playbook: str,
    *,
    artifacts: Path | None = None,
    release: dict[str, Any] | None = None,
    **variables: Any,
) -> None:
    """Run one of the reference playbooks by plain ansible-playbook, as before otapgate."""
    from otapgate.execution.runner import ansible_binary

    landscape = _landscape(directory)
    environment = next(e for e in landscape.environments() if e.stage == stage)
    host = environment.hosts[0]
    inventory = {
        "all": {
            "hosts": {
                host.name: {
                    "ansible_python_interpreter": sys.executable,
                    **environment.variables,
                    **host.variables,
                }
            }
        }
    }
    extra = {
        "otapgate_release": release,
        "otapgate_artifacts": str(artifacts) if artifacts else "",
        "otapgate_environment": {"name": environment.name, "stage": stage,
                                 "street": environment.street},
        "otapgate_previous": None,
        "otapgate_snapshot": str(directory / "hosts" / stage / "snapshot"),
        **variables,
    }  # fmt: skip
    work = directory / "hosts" / stage / "by-hand"
    work.mkdir(mode=0o700, exist_ok=True)
    (work / "inventory.json").write_text(json.dumps(inventory), encoding="utf-8")
    (work / "extra.json").write_text(json.dumps(extra), encoding="utf-8")
    from otapgate.demo.players import environment as clean

    done = subprocess.run(
        [
            ansible_binary("ansible-playbook"),
            *("-i", str(work / "inventory.json"), "-e", f"@{work / 'extra.json'}"),
            str(directory / "playbooks" / "tryton" / playbook),
        ],
        capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
        env={**clean(directory), "LC_ALL": "C.UTF-8", "LANG": "C.UTF-8",
             "ANSIBLE_NOCOLOR": "1", "ANSIBLE_RETRY_FILES_ENABLED": "0"},
    )  # fmt: skip
    shutil.rmtree(work)
    if done.returncode != 0:
        raise errors.Failed(
            "demo-playbook-failed",
            _("{playbook} failed in {stage}: {said}").format(
                playbook=playbook, stage=stage, said=(done.stdout + done.stderr)[-1500:]
            ),
        )


def seed(directory: Path, pupils: int) -> None:
    """Fill production with invented pupils, parents and staff."""
    play(directory, "P", "seed.yml", release=None, seed_pupils=pupils)


def _landscape(directory: Path) -> Any:
    from otapgate.landscape.load import load

    return load(directory)


def stop(directory: Path, say: Callable[[str], None] | None = None) -> None:
    """Stop the services of a demo; one that isn't running is passed over."""
    for stage in PORTS:
        if (directory / "hosts" / stage).is_dir() and (directory / "playbooks").is_dir():
            try:
                play(directory, stage, "stop.yml")
            except errors.OtapgateError as error:
                if say is not None:
                    say(error.message)
