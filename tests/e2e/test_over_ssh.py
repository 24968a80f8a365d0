"""Promotions over SSH as different users, with passwords that are seen nowhere."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.lab.labs import Lab, make_lab
from tests.probe.sshd import make_key
from tests.witness import watching

from .far import NEXT, PLAY, PLAYBOOKS, RELEASE, Far
from .school import CHANGE, School

__all__ = ["make_lab"]
pytestmark = pytest.mark.slow

LAB = """\
hosts:
  t1:
    stage: T
    accounts:
      deploy: {sudo: true}
      clerk: {password: true, key: false}
      robot: {key: false, keys: [%s]}
    files:
      /etc/sudoers.d/clerk: |
        clerk ALL=(ALL:ALL) ALL
      /etc/sudoers.d/robot: |
        robot ALL=(ALL:ALL) NOPASSWD: ALL
"""
LOUD = PLAYBOOKS["deploy.yml"] + (
    "    - debug: {msg: 'it is {{ %s }}'}\n"
    "    - name: Fail with it\n      command: {argv: [sh, -c, 'read x; echo $x; exit 7'],"
    " stdin: '{{ %s }}'}\n      become: false\n"
)


@dataclass
class Seen:
    """What was in arguments and environments of processes while something ran."""

    secret: str
    arguments: list[str] = field(default_factory=list)
    environments: list[str] = field(default_factory=list)
    others: set[str] = field(default_factory=set)
    """Programs that were seen at all, for the witness to be believed."""


@contextmanager
def watched(secret: str) -> Iterator[Seen]:
    """Looks at every process of the machine, the lab's hosts among them, all the time."""
    seen = Seen(secret)
    forms = (secret.encode(), base64.b64encode(secret.encode()))

    def look(process: Path) -> None:
        line = (process / "cmdline").read_bytes()
        around = (process / "environ").read_bytes()
        words = line.replace(b"\0", b" ").decode("utf-8", "replace")
        seen.others.update(re.findall(r"ssh|sudo|ansible-playbook|askpass", words))
        if any(form in line for form in forms):
            seen.arguments.append(words)
        if any(form in around for form in forms):
            seen.environments.append(words)

    with watching(look, 0.01):
        yield seen


def holding(secret: str, *folders: Path) -> list[str]:
    """The files below the folders that hold the secret, as it is or in base64."""
    forms = (secret.encode(), base64.b64encode(secret.encode()))
    found = []
    for folder in folders:
        for path in folder.rglob("*"):
            try:
                if path.is_file() and not path.is_symlink():
                    data = path.read_bytes()
                    found += [str(path)] if any(form in data for form in forms) else []
            except OSError:
                continue  # another test's, gone meanwhile
    return found


@pytest.fixture
def far(prepared: School, make_lab: Callable[..., Lab], tmp_path: Path) -> Far:
    public = make_key(tmp_path / "robot")
    return Far(prepared, make_lab(LAB % json.dumps(public)), tmp_path / "secrets")


def nowhere(far: Far, seen: Seen, told: str) -> None:
    """The secret was in no process and is in nothing that was said, kept or left."""
    assert {"ssh", "ansible-playbook"} <= seen.others, "nothing was watched"
    assert (seen.arguments, seen.environments) == ([], [])
    assert seen.secret not in told
    assert holding(seen.secret, far.school.root, Path("/dev/shm")) == []
    scratch = Path(tempfile.gettempdir())
    assert holding(seen.secret, *scratch.glob("otapgate-*"), *scratch.glob("ansible*")) == []
    assert holding(seen.secret, Path("~/.ansible").expanduser()) == []
    assert holding(seen.secret, *(far.on_host(x) for x in ("tmp", "var", "srv", "home"))) == []
    ledger = far.school(None, "log", "list")
    assert any(entry["act"] == "promotion-finished" for entry in ledger["entries"])


@pytest.mark.parametrize("loud", [False, True], ids=["silent", "loud"])
def test_a_password_logs_in_and_becomes_root_and_is_seen_nowhere(far: Far, loud: bool) -> None:
    secret = far.lab.password("t1", "clerk")
    far.describe(
        {"ansible_user": "clerk", "ansible_become": True},
        {"ansible_password": secret, "ansible_become_password": secret},
    )
    name = "ansible_become_password"
    far.build(**({"deploy": LOUD % (name, name)} if loud else {}))
    with watched(secret) as seen:
        code, out, err = far.attempt("promote", RELEASE, "--to", "T", "--change", CHANGE)
    assert code == (1 if loud else 0), out + err
    assert "sudo" in seen.others
    nowhere(far, seen, out + err)
    version = far.on_host("/srv/agenda/version")
    if loud:
        assert "Fail with it" in out
        assert not version.exists(), "it went back"
    else:
        assert version.read_text() == "3.0"
        assert version.stat().st_uid == far.on_host("/etc/shadow").stat().st_uid
        with watched(secret) as seen:
            code, out, err = far.attempt("rollback", "T", "--yes")
        assert code == 0, out + err
        nowhere(far, seen, out + err)
        assert not version.exists()


def test_a_secret_of_another_name_is_the_password_of_one_host(far: Far) -> None:
    secret = far.lab.password("t1", "clerk")
    far.describe(
        {
            "ansible_user": "clerk", "ansible_become": True,
            "ansible_password": "{{ clerk_password }}",
            "ansible_become_password": "{{ clerk_password }}",
        },
        {"clerk_password": secret},
    )  # fmt: skip
    far.build()
    with watched(secret) as seen:
        code, out, err = far.attempt("promote", RELEASE, "--to", "T", "--change", CHANGE)
    assert code == 0, out + err
    nowhere(far, seen, out + err)


@pytest.mark.parametrize("which", ["ansible_password", "ansible_become_password"])
def test_a_wrong_password_changes_nothing_and_says_so(far: Far, which: str) -> None:
    right, wrong = far.lab.password("t1", "clerk"), "Fout-wachtwoord-9c1"
    passwords = {"ansible_password": right, "ansible_become_password": right, which: wrong}
    far.describe({"ansible_user": "clerk", "ansible_become": True}, passwords)
    far.build()
    with watched(wrong) as seen:
        code, out, err = far.attempt("promote", RELEASE, "--to", "T", "--change", CHANGE)
    assert code == 1, out + err
    said = json.loads(out)
    assert said["promotion"]["outcome"] == "rolled-back", out
    assert "assword" in out or "denied" in out
    nowhere(far, seen, out + err)
    assert not far.on_host("/srv/agenda").exists()


def test_another_user_logs_in_with_a_key_of_its_own(far: Far, tmp_path: Path) -> None:
    key = tmp_path / "robot"
    key.chmod(0o600)
    far.describe(
        {
            "ansible_user": "robot", "ansible_become": True,
            "ansible_ssh_private_key_file": str(key),
            "ansible_ssh_common_args": "-o IdentitiesOnly=yes",
        },
        {},
    )  # fmt: skip
    who = "    - {command: 'touch /srv/agenda/mine', become: true, become_user: robot}\n"
    far.build(deploy=PLAYBOOKS["deploy.yml"].replace(
        "state: directory}", "state: directory, owner: robot}") + who)  # fmt: skip
    assert far.promote()["promotion"]["hosts"] == {"t1": "ok"}
    passwd = far.on_host("/etc/passwd").read_text()
    number = int(re.search(r"^robot:[^:]*:(\d+):", passwd, re.MULTILINE)[1])  # type: ignore[index]
    assert far.on_host("/srv/agenda/mine").stat().st_uid == number


def test_the_witness_sees_a_secret_in_arguments_and_environments() -> None:
    secret = "Gezien-7d2f"
    with watched(secret) as seen:
        subprocess.run(["sleep", "0.5"], env={**os.environ, "X": secret}, check=True)
        subprocess.run(["sh", "-c", "sleep 0.5; true", secret], check=True)
    assert seen.environments
    assert seen.arguments


def test_a_vault_is_opened_by_the_environments_password_only(far: Far, tmp_path: Path) -> None:
    password, value = "Kluis-openen-51", "Postzegel-88"
    file = tmp_path / "all.yml"
    file.write_text(f"mail_password: {value}\n")
    (tmp_path / "password").write_text(password)
    subprocess.run(
        [Path(sys.executable).with_name("ansible-vault"), "encrypt", "--vault-password-file",
         tmp_path / "password", file],
        check=True, capture_output=True,
    )  # fmt: skip
    reached = {**far.lab.connection("t1"), "ansible_become": True}
    far.describe(reached, {})
    uses = "    - copy: {content: '{{ mail_password }}', dest: /srv/agenda/mail, mode: '0600'}\n"
    says = "    - debug: {msg: 'it is {{ mail_password }}'}\n"
    far.build(group_vars__all=file.read_text(), deploy=PLAYBOOKS["deploy.yml"] + uses + says)
    said = far.promote(expect=4)
    assert said["error"]["code"] == "inventory-escapes"
    assert {(x["file"], x["line"]) for x in said["problems"]} >= {
        ("playbooks/group_vars/all.yml", 1)
    }
    far.describe(reached, {"ansible_vault_password": "not the one"})
    said = far.promote(expect=4)
    assert said["error"]["code"] == "vault-closed"
    assert [(x["file"], x["line"]) for x in said["problems"]] == [
        ("playbooks/group_vars/all.yml", 1)
    ]
    assert not far.on_host("/srv/agenda").exists()
    far.describe(reached, {"ansible_vault_password": password})
    with watched(password) as opened, watched(value) as seen:
        code, out, err = far.attempt("promote", RELEASE, "--to", "T", "--change", CHANGE)
    assert code == 0, out + err
    nowhere(far, opened, out + err)
    assert far.on_host("/srv/agenda/mail").read_text() == value
    far.on_host("/srv/agenda/mail").unlink()
    nowhere(far, seen, out + err)


KEEPS = {
    "snapshot": PLAY
    + "    - file: {path: '{{ otapgate_snapshot }}', state: directory, mode: '0700'}\n"
    + "    - shell: '[ ! -e /srv/agenda ] || cp -aT /srv/agenda {{ otapgate_snapshot }}/agenda'\n",
    "deploy": PLAY
    + "    - file: {path: /srv/agenda, state: directory}\n"
    + "    - copy: {content: '{{ otapgate_release.version }}', dest: /srv/agenda/version}\n",
    "verify": PLAY + "    - command: grep -q {{ otapgate_release.version }} /srv/agenda/version\n",
    "rollback": PLAY
    + "    - shell: 'rm -rf /srv/agenda; [ ! -e {{ otapgate_snapshot }}/agenda ] ||"
    " cp -aT {{ otapgate_snapshot }}/agenda /srv/agenda'\n",
}


def test_snapshots_on_hosts_go_when_nothing_can_need_them(far: Far) -> None:
    """Those of somebody else stay; one that can't be removed is told, and no more."""
    place = far.on_host("/var/tmp/otapgate")
    far.describe({**far.lab.connection("t1"), "ansible_become": True}, {})
    for version in ("3.0", "3.1"):
        far.build(version, **KEEPS)
    first = far.promote()["promotion"]["id"]
    assert {path.name for path in place.iterdir()} == {first}
    others = {"prom-0000000000aa", "by-hand"}
    for name in others:
        (place / name).mkdir()
    said = far("rehearse", NEXT, "--env", "T")
    assert said["rehearsal"]["outcome"] == "restored", said
    assert {path.name for path in place.iterdir()} == {first, *others}
    second = far.promote(release=NEXT)["promotion"]["id"]
    assert {path.name for path in place.iterdir()} == {second, *others}
    rehearsed = said["rehearsal"]["id"]
    (place / rehearsed).symlink_to("by-hand")  # nobody may be led astray by it
    code, out, err = far.attempt("rollback", "T", "--yes")
    assert code == 0, out + err
    assert far.on_host("/srv/agenda/version").read_text() == "3.0"
    assert {path.name for path in place.iterdir()} == {rehearsed, *others}
    assert "Old snapshots are left on hosts" in err
    assert f"{rehearsed}: it is no folder" in err
