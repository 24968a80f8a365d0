"""docs/how-to/deploy-over-ssh.md, carried out on two hosts of a lab."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.lab.labs import Lab, make_lab
from tests.probe.sshd import make_key

from .far import PLAY, Far
from .school import DAAN, School

__all__ = ["make_lab"]
pytestmark = pytest.mark.slow
PAGE = Path(__file__).parents[2] / "docs/how-to/deploy-over-ssh.md"
LAB = """\
hosts:
  agenda-1: {stage: T, accounts: {deploy: {keys: [%(key)s]}}, files: %(sudo)s}
  agenda-2: {stage: T, accounts: {deploy: {keys: [%(key)s]}}, files: %(sudo)s}
"""
SUDO = {"/etc/sudoers.d/deploy": "deploy ALL=(ALL:ALL) NOPASSWD: ALL\n"}


class Page(Far):
    """What the page says, with the lab's addresses in the place of its own."""

    def __init__(self, school: School, lab: Lab, folder: Path) -> None:
        super().__init__(school, lab, folder / "secrets")
        self.text = PAGE.read_text()
        self.description = re.findall(r"```yaml\n(.*?)```", self.text, re.DOTALL)[0]
        for number in (1, 2):
            address = lab.hosts[f"agenda-{number}"]["address"]
            self.description = self.description.replace(f"192.0.2.1{number}", address)
        self.description = self.description.replace("~/.ssh/agenda-T", str(folder / "agenda-T"))

    def commands(self, heading: str) -> list[list[str]]:
        """The otapgate commands below a heading."""
        _before, _heading, rest = self.text.partition(f"## {heading}\n")
        assert rest, heading
        found = re.findall(r"^ *\$ (otapgate .*)$", rest.partition("\n## ")[0], re.MULTILINE)
        return [shlex.split(line)[1:] for line in found]

    def do(self, heading: str, number: int = 0, expect: int = 0) -> dict[str, Any]:
        """Carry out one of them as Daan; what it says."""
        words = self.commands(heading)[number]
        if "--key" in words:
            at = words.index("--key")
            words[at:] = words[at + 2 :]
        return self(*words, *(["--yes"] if words[0] == "rollback" else []), expect=expect)

    def put(self, keys: dict[str, list[str]]) -> None:
        """The description, with host keys, in the place of test's."""
        file = self.school.root / "environments/agenda.yml"
        text = file.read_text("utf-8")
        begin, end = text.index("  - stage: T"), text.index("  - stage: A")
        pins = f"    host_keys: {json.dumps(keys)}\n" if keys else ""
        lines = self.description.partition("environments:\n")[2] or self.description
        file.write_text(f"{text[:begin]}{lines}{pins}{text[end:]}", "utf-8")


@pytest.fixture
def page(prepared: School, make_lab: Callable[..., Lab], tmp_path: Path) -> Page:
    public = make_key(tmp_path / "agenda-T")
    text = LAB % {"key": json.dumps(public), "sudo": json.dumps(SUDO)}
    return Page(prepared, make_lab(text), tmp_path)


def test_the_page_leads_to_a_promotion_and_out_of_trouble(page: Page) -> None:
    page.put({})
    shown = page.do("3. Pin their keys")["pin"]["hosts"]
    assert {host["status"] for host in shown.values()} == {"new"}
    page.put({name: host["keys"] for name, host in shown.items()})
    page.do("3. Pin their keys", 1)
    page.do("3. Pin their keys", 2)
    serial = re.findall(r"```yaml\n(.*?)```", page.text, re.DOTALL)[2]
    page.build(
        deploy=serial + "    - copy: {content: '3.0', dest: /srv/agenda/version}\n"
        "    - command: test ! -e /srv/agenda/break\n",
        rollback=PLAY + "    - command: rm -rf /srv/agenda/app /srv/agenda/version\n"
        "    - {command: rmdir /srv/agenda, failed_when: false}\n",
    )  # fmt: skip
    promotion = "6. Promote"

    # a host that is gone before anything was deployed
    page.lab.stop("agenda-2")
    said = page.do(promotion, 1, expect=1)
    assert said["promotion"]["hosts"]["agenda-2"] == "unreachable"
    assert "agenda-2 can't be reached" in said["promotion"]["message"]
    page.lab.start("agenda-2")
    assert page.do(promotion, 0)["decision"]["outcome"] == "allowed"
    # one after another: the second fails, and the first comes back
    (page.lab.root("agenda-2") / "srv/agenda").mkdir(parents=True)
    (page.lab.root("agenda-2") / "srv/agenda/break").touch()
    said = page.do(promotion, 1, expect=1)
    assert said["promotion"]["outcome"] == "rolled-back", said
    assert not (page.lab.root("agenda-1") / "srv/agenda/version").exists()
    (page.lab.root("agenda-2") / "srv/agenda/break").unlink()
    (page.lab.root("agenda-2") / "srv/agenda").rmdir()
    said = page.do(promotion, 1)
    assert said["promotion"]["hosts"] == {"agenda-1": "ok", "agenda-2": "ok"}
    assert page.do(promotion, 2)["streets"]

    # another key, right afterwards
    key = " ".join(page.lab.change_host_key("agenda-2").split()[:2])
    said = page("rollback", "T", "--yes", expect=1)
    assert "agenda-2 shows another SSH host key" in said["rollback"]["message"], said
    shown = page.do("When a host shows another key")["pin"]["hosts"]
    assert shown["agenda-2"]["status"] == "changed"
    assert shown["agenda-1"]["status"] == "pinned"
    assert key in shown["agenda-2"]["keys"]
    page.put({name: host["keys"] for name, host in shown.items()})
    page.school.here(DAAN, "env", "accept", "agenda-T")
    assert page.do("When a host can't be reached")["rollback"]["outcome"] == "restored"
    assert not (page.lab.root("agenda-2") / "srv/agenda/version").exists()


def test_the_pages_other_commands_make_what_they_say(tmp_path: Path) -> None:
    text = PAGE.read_text()
    blocks = [block for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL)
              if "otapgate " not in block.replace("-C otapgate", "")]  # fmt: skip
    assert len(blocks) == 2
    for block in blocks:
        for line in re.findall(r"^\$ (.*)$", block, re.MULTILINE):
            (tmp_path / ".ssh").mkdir(exist_ok=True)
            subprocess.run(
                ["sh", "-ec", line], input=b"a password\n", check=True,
                env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}, capture_output=True,
            )  # fmt: skip
    assert (tmp_path / ".ssh/agenda-T").stat().st_mode & 0o777 == 0o600
    for name in ("ansible_password", "ansible_become_password"):
        made = tmp_path / "secrets/agenda-T" / name
        assert made.read_text() == "a password\n"
        assert made.stat().st_mode & 0o777 == 0o600
