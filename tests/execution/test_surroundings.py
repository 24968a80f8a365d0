"""What nobody declared, and what a deployment leaves behind all the same."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests import ports

from otapgate.execution import compare
from otapgate.execution.ansible.module_utils.otapgate_state.look import fingerprint
from otapgate.execution.ansible.module_utils.otapgate_state.surroundings import (
    listening,
    surroundings,
)


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """The parts of a host's file system that matter."""
    files = {
        "var/spool/cron/crontabs/root": "PATH=/bin\n# nightly\n0 3 * * * /usr/bin/clean --all\n",
        "etc/crontab": "17 * * * * root run-parts /etc/cron.hourly\n",
        "etc/cron.daily/rotate": "#!/bin/sh\n",
        "etc/systemd/system/app.service": "[Service]\n",
        "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
        "etc/group": "root:x:0:\n",
        "etc/sudoers": "root ALL=(ALL) ALL\n",
        "etc/apt/sources.list": "deb http://deb.example/ stable main\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def look(host: Path) -> dict[str, Any]:
    return {"web": {"surroundings": surroundings(str(host))}}


CHANGES = [
    ("var/spool/cron/crontabs/root", "* * * * * KEY=hidden /opt/app/poll --token hidden\n",
     "cron job of root: * * * * * /opt/app/poll was added (/var/spool/cron/crontabs/root)"),
    ("var/spool/cron/crontabs/noor", "@daily /bin/x\n",
     "cron job of noor: @daily /bin/x was added (/var/spool/cron/crontabs/noor)"),
    ("etc/cron.d/app", "5 4 * * * app /opt/app/mail\n",
     "cron job of app: 5 4 * * * /opt/app/mail was added (/etc/cron.d/app)"),
    ("etc/cron.daily/app", "#!/bin/sh\n", "scheduled job /etc/cron.daily/app: was added"),
    ("etc/systemd/system/app.timer", "[Timer]\n",
     "unit of systemd /etc/systemd/system/app.timer: was added"),
    ("etc/systemd/system/app.service", "User=root\n",
     "unit of systemd /etc/systemd/system/app.service: differs"),
    ("etc/passwd", "app:$1$hidden:1001:1001::/home/app:/bin/sh\n", "account app: was added"),
    ("etc/group", "app:x:1001:noor\n", "group app: was added"),
    ("etc/sudoers", "app ALL=(ALL) NOPASSWD: ALL\n", "sudo rules /etc/sudoers: differs"),
    ("etc/sudoers.d/app", "app ALL=(ALL) ALL\n", "sudo rules /etc/sudoers.d/app: was added"),
    ("etc/apt/sources.list.d/app.list", "deb x\n",
     "package source /etc/apt/sources.list.d/app.list: was added"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "added", "named"), CHANGES)
def test_what_is_left_behind_is_named(host: Path, name: str, added: str, named: str) -> None:
    before = look(host)
    path = host / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text((path.read_text() if path.exists() else "") + added)
    after = look(host)
    assert compare.compare_state(before, after) == (f"web: {named}",)
    assert "hidden" not in str(after)


def test_what_is_gone_is_named_too(host: Path) -> None:
    before = look(host)
    (host / "etc/crontab").write_text("")
    (host / "etc/passwd").write_text("")
    assert compare.compare_state(before, look(host)) == (
        "web: cron job of root: 17 * * * * run-parts is gone (/etc/crontab)",
        "web: account root: is gone",
    )


@pytest.mark.permissions
def test_what_may_not_be_read_is_left_out_both_times(host: Path) -> None:
    (host / "etc/sudoers").chmod(0)
    (host / "var/spool/cron/crontabs").chmod(0)
    before = look(host)
    assert before["web"]["surroundings"]["unread"] == ["/etc/sudoers", "/var/spool/cron/crontabs"]
    assert compare.compare_state(before, look(host)) == ()
    (host / "etc/passwd").chmod(0)
    left = compare.compare_state(before, look(host))
    assert left == ("web: path /etc/passwd: can't be read",)


def test_this_machine_equals_itself_while_ports_come_and_go() -> None:
    """Outgoing connections, and services at ports that are given at random, mean nothing."""
    with socket.socket() as server, socket.socket() as caller:
        before = surroundings()
        heard = set(listening())
        server.bind(("127.0.0.1", 0))
        server.listen()
        caller.connect(server.getsockname())
        assert f"127.0.0.1 {server.getsockname()[1]}" not in set(listening()) - heard
    left = compare.compare_state(
        {"web": {"surroundings": before}}, {"web": {"surroundings": surroundings()}}
    )
    assert left == ()


def test_a_port_that_is_listened_on_is_named() -> None:
    port = ports.free(1)[0]
    with socket.socket() as server:
        server.bind(("127.0.0.1", port))
        server.listen()
        assert f"127.0.0.1 {port}" in listening()
    before, after = {"listening": []}, {"listening": [f"127.0.0.1 {port}"]}
    assert compare.compare_state(
        {"web": {"surroundings": before}}, {"web": {"surroundings": after}}
    ) == (f"web: port {port}: is listened on now (127.0.0.1 {port})",)


def test_packages_that_come_and_change_are_named() -> None:
    seen = {"web": fingerprint({"packages": ["libc*", "dpkg"]})}
    assert compare.unreadable(seen) == ()
    found = seen["web"]["packages"]["found"]
    assert "dpkg" in found
    assert "bash" not in found
    assert compare.compare_state(seen, {"web": fingerprint({"packages": ["libc*", "dpkg"]})}) == ()
    other = {**found, "dpkg": "0.1 installed", "app": "2 installed"}
    assert compare.compare_state(seen, {"web": {"packages": {"found": other}}}) == (
        "web: package app: was added",
        f"web: package dpkg: {found['dpkg']} → 0.1 installed",
    )


def test_a_service_that_cant_be_looked_at_is_never_called_equal() -> None:
    seen = {"web": fingerprint({"services": ["app.service"]})}
    if Path("/run/systemd/system").is_dir():
        assert compare.compare_state(seen, seen) == ()
    else:
        assert compare.unreadable(seen) == (
            "web: service app.service: systemd doesn't run on this host",
        )
        assert compare.compare_state(seen, seen)


def test_a_services_state_and_files_are_compared() -> None:
    old = {"services": {"app": {"active": "active", "files": {"/etc/app.service": "a"}}}}
    new = {"services": {"app": {"active": "failed", "files": {"/etc/app.service": "b"}}}}
    assert compare.compare_state({"web": old}, {"web": new}) == (
        "web: service app: active active → failed",
        "web: service app: /etc/app.service differs",
    )


def test_the_parts_are_written_for_python_3_8() -> None:
    """Hosts may have an older Python than otapgate's own."""
    folder = Path(sys.modules[surroundings.__module__].__file__ or "").parent
    check = (
        "import ast,sys\nfor f in sys.argv[1:]: ast.parse(open(f).read(), feature_version=(3, 8))"
    )
    files = [str(path) for path in folder.glob("*.py")]
    assert len(files) > 8
    subprocess.run([sys.executable, "-c", check, *files], check=True)
