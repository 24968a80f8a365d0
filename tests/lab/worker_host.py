"""A host of a lab with otapgate on it, from which alone the other hosts are reached."""

from __future__ import annotations

import io
import shlex
import subprocess
import sys
import sysconfig
import tarfile
from pathlib import Path
from typing import cast

import msgspec

import otapgate
from otapgate.landscape.model import Host, Worker

from .application import Application
from .labs import ADMIN, Lab

LAB = """\
hosts:
  w1: {stage: P}
  p1: {stage: P}
  p2: {stage: P}
"""
HOSTS = ("p1", "p2")
HOME = "/opt/otapgate"
KEY = "/home/deploy/hosts-key"
STATE = "/home/deploy/.local/state/otapgate/worker"
_LEFT_OUT = ("babel", "faker", "hypothesis", "mypy", "pip", "polars", "_polars", "ruff", "stdnum")
SCRIPTS = {
    "otapgate": "from otapgate.cli import main",
    "ansible-playbook": "from ansible.cli.playbook import main",
}


def install(lab: Lab, host: str) -> None:
    """Put this checkout's otapgate and what it needs on a host, as `pip install` in a
    virtual environment does, for the account `deploy`; and a key for the other hosts."""
    said = lab.ssh(host, ["/usr/bin/python3", "-c", "import sys; print(sys.version_info[:2])"])
    assert said.stdout.strip() == str(sys.version_info[:2]), "the packages are of another Python"
    process = subprocess.Popen(
        lab.argv([*lab.ssh_argv(host), "sudo tar -x -C /"]), stdin=subprocess.PIPE
    )
    assert process.stdin is not None
    with process.stdin, tarfile.open(fileobj=process.stdin, mode="w|") as archive:
        _pack(archive)
    assert process.wait(300) == 0
    key = lab.key.read_text()
    done = lab.exec([*lab.ssh_argv(host), f"umask 077; cat > {KEY}"], input=key)
    assert done.returncode == 0, done.stderr


def _pack(archive: tarfile.TarFile) -> None:
    site = Path(sysconfig.get_path("purelib"))
    there = f"{HOME}/lib/python3.{sys.version_info.minor}/site-packages"

    def wanted(item: tarfile.TarInfo) -> tarfile.TarInfo | None:
        return None if item.name.endswith(("__pycache__", ".pyc")) else item

    for path in sorted(site.iterdir()):
        if not path.name.startswith((*_LEFT_OUT, "otapgate", "_otapgate")) and not (
            path.name.endswith(".pth") or "__mypyc" in path.name
        ):
            archive.add(path, f"{there}/{path.name}", filter=wanted)
    source = Path(otapgate.__file__).parent
    archive.add(source, f"{there}/otapgate", filter=wanted)
    texts = {"pyvenv.cfg": "home = /usr/bin\ninclude-system-site-packages = false\n"}
    for name, line in SCRIPTS.items():
        texts[f"bin/{name}"] = (
            f"#!{HOME}/bin/python\nimport sys\n{line}\nif __name__ == '__main__':\n"
            "    sys.exit(main())\n"
        )
    for name, text in texts.items():
        item = tarfile.TarInfo(f"{HOME}/{name}")
        item.size, item.mode = len(text), 0o755
        archive.addfile(item, io.BytesIO(text.encode()))
    link = tarfile.TarInfo(f"{HOME}/bin/python")
    link.type, link.linkname = tarfile.SYMTYPE, "/usr/bin/python3"
    archive.addfile(link)


class FarApplication(Application):
    """The application on hosts that only the worker reaches. They are cut off from the
    administrator's side once it has been put there."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        super().__init__(lab, HOSTS, folder, "P")
        for host in HOSTS:
            lab.rules.cut(ADMIN, host)
        of_worker = {"ansible_ssh_private_key_file": KEY}
        self.environment = msgspec.structs.replace(
            self.environment,
            hosts=tuple(
                Host(host.name, {**host.variables, **of_worker}) for host in self.environment.hosts
            ),
            worker=Worker((*lab.ssh_argv("w1"), f"{HOME}/bin/otapgate", "worker")),
        )

    def picture(self, host: str) -> dict[str, str]:
        near = self.lab
        self.lab = cast(Lab, _ByWorker(near))
        try:
            return super().picture(host)
        finally:
            self.lab = near


class _ByWorker:
    """A lab as it is for whoever reaches its hosts by way of the worker."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab

    def ssh(self, host: str, command: list[str]) -> subprocess.CompletedProcess[str]:
        address = self.lab.hosts[host]["address"]
        there = ["ssh", "-i", KEY, "-o", "StrictHostKeyChecking=no", f"deploy@{address}"]
        return self.lab.ssh("w1", [*there, shlex.join(command)])
