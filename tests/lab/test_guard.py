"""A play that is meant for A never touches P: every way out that we know of, tried.

Each attempt is a release that is promoted to A in a lab. The hosts of P count every packet
that reaches them, from outside what is tried; none may come.
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from .application import PLAY, Application, deploy
from .labs import ADMIN, Lab

pytestmark = pytest.mark.slow
P = "10.77.4.11"
TASKS = deploy()
"""The deployment as it should be; what it begins with is on lines 1 to 3."""
ROLE = {"deploy": PLAY + "    - import_role: {name: x}\n"}


class Try(NamedTuple):
    """A release's files besides the usual ones, by path below `playbooks/`."""

    files: dict[str, str]
    at: str
    """`file:line` that the guard must name, below `playbooks/`."""


def play(tasks: str) -> dict[str, str]:
    """A deployment that begins with other tasks; they are on line 4 and on."""
    return {"deploy.yml": PLAY + tasks}


D = "    - command: touch /srv/agenda/was-here\n"
REFUSED = {
    # hosts that aren't in the inventory
    "add_host": Try(play(f"    - add_host: {{name: p1, ansible_host: {P}}}\n"), "deploy.yml:4"),
    "add_host by action": Try(play("    - action: add_host name=p1\n"), "deploy.yml:4"),
    "group_by": Try(play("    - group_by: {key: p1}\n"), "deploy.yml:4"),
    "refresh_inventory": Try(play("    - meta: refresh_inventory\n"), "deploy.yml:4"),
    "inventory beside it": Try(
        {"inventory/hosts.yml": f"all:\n  hosts:\n    p1:\n      ansible_host: {P}\n"},
        "inventory/hosts.yml:4",
    ),
    "inventory plugin": Try({"inventory_plugins/p.py": "x = 1\n"}, "inventory_plugins"),
    # tasks that go elsewhere
    "delegate_to": Try(play(D + "      delegate_to: p1\n"), "deploy.yml:5"),
    "delegate_to address": Try(play(D + f"      delegate_to: {P}\n"), "deploy.yml:5"),
    "delegate_to templated": Try(play(D + "      delegate_to: '{{ to }}'\n"), "deploy.yml:5"),
    "delegate_to in a loop": Try(
        play(D + "      loop: [p1]\n      delegate_to: '{{ item }}'\n"), "deploy.yml:6"
    ),
    "delegate_to in a role": Try(
        {**{f"{k}.yml": v for k, v in ROLE.items()},
         "roles/x/tasks/main.yml": "- command: id\n  delegate_to: p1\n"},
        "roles/x/tasks/main.yml:2",
    ),
    "delegate_to in an included file": Try(
        {**play("    - include_tasks: more/x.yml\n"),
         "more/x.yml": "- command: id\n  delegate_to: p1\n"},
        "more/x.yml:2",
    ),
    "delegate_to in a handler": Try(
        {"deploy.yml": TASKS + "  handlers:\n    - name: h\n      command: id\n"
         "      delegate_to: p1\n"}, f"deploy.yml:{TASKS.count(chr(10)) + 4}",
    ),
    "delegate_to by include's apply": Try(
        {**play("    - include_tasks: {file: x.yml, apply: {delegate_to: p1}}\n"),
         "x.yml": "- command: id\n"}, "deploy.yml:4",
    ),
    # plays for others
    "hosts by name": Try({"deploy.yml": "- hosts: p1\n  tasks: []\n"}, "deploy.yml:1"),
    "hosts by address": Try({"deploy.yml": f"- hosts: all,{P}\n  tasks: []\n"}, "deploy.yml:1"),
    "hosts by pattern": Try({"deploy.yml": "- hosts: ~p.*\n  tasks: []\n"}, "deploy.yml:1"),
    "hosts by template": Try(
        {"deploy.yml": "- hosts: '{{ groups.all | first }}'\n  tasks: []\n"}, "deploy.yml:1"
    ),
    "hosts in an imported playbook": Try(
        {"deploy.yml": TASKS + "- import_playbook: second.yml\n",
         "second.yml": "- hosts: p1\n  tasks: []\n"}, "second.yml:1",
    ),
    "import_playbook from outside": Try(
        {"deploy.yml": "- import_playbook: ../../elsewhere.yml\n"}, "deploy.yml:1"
    ),
    # the same host, reached otherwise
    "connection": Try({"deploy.yml": PLAY.replace("  tasks", "  connection: local\n  tasks") + D},
                      "deploy.yml:3"),
    "connection by set_fact": Try(
        play("    - set_fact: {ansible_connection: local}\n"), "deploy.yml:4"
    ),
    "connection by vars": Try(play(D + "      vars: {ansible_connection: local}\n"),
                              "deploy.yml:5"),
    "connection by host_vars": Try({"host_vars/a1.yml": "x: y\nansible_connection: local\n"},
                                   "host_vars/a1.yml:2"),
    "address by set_fact": Try(play(f"    - set_fact: {{ansible_host: {P}}}\n"), "deploy.yml:4"),
    "address by register": Try(play(D + "      register: ansible_host\n"), "deploy.yml:5"),
    "address by group_vars": Try({"group_vars/all": f"ansible_host: {P}\n"}, "group_vars/all:1"),
    "address by include_vars": Try(
        {**play("    - include_vars: x.json\n"), "x.json": f'{{"ansible_host": "{P}"}}'},
        "x.json:1",
    ),
    "through P": Try(play(D + "      vars: {ansible_ssh_common_args: -J p1}\n"), "deploy.yml:5"),
    "extra arguments": Try(
        {"group_vars/all.yml": "ansible_ssh_extra_args: -o ProxyJump=p1\n"}, "group_vars/all.yml:1"
    ),
    "another ssh": Try(
        {"group_vars/all.yml": "ansible_ssh_executable: /tmp/ssh\n"}, "group_vars/all.yml:1"
    ),
    # what runs on otapgate's own machine
    "lookup pipe": Try(
        play(f"    - debug: {{msg: \"{{{{ lookup('pipe', 'ssh {P}') }}}}\"}}\n"), "deploy.yml:4"
    ),
    "lookup url": Try(
        play(f"    - debug: {{msg: \"{{{{ query('url', 'http://{P}') }}}}\"}}\n"), "deploy.yml:4"
    ),
    "lookup in a condition": Try(play(D + "      when: lookup('pipe', 'id')\n"), "deploy.yml:5"),
    "include by lookup": Try(
        play(f"    - include_tasks: \"{{{{ lookup('url', 'http://{P}') }}}}\"\n"), "deploy.yml:4"
    ),
    "lookup in a template": Try({"templates/x.j2": "{{ lookup('pipe', 'id') }}"},
                                "templates/x.j2"),
    "ansible-playbook": Try(
        play(f"    - command: ansible-playbook -i {P}, x.yml\n      delegate_to: localhost\n"),
        "deploy.yml:4",
    ),
    "ansible, locally": Try(
        play(f"    - local_action: ansible.builtin.shell ansible -i {P}, all -m ping\n"),
        "deploy.yml:4",
    ),
    "ssh in a delegated block": Try(
        play(f"    - block:\n        - command: {{argv: [ssh, {P}, id]}}\n"
             "      delegate_to: 127.0.0.1\n"), "deploy.yml:5",
    ),
    "collection's plugin": Try(
        {"collections/ansible_collections/a/b/plugins/connection/c.py": "x = 1\n"},
        "collections/ansible_collections/a/b/plugins/connection",
    ),
    "role's plugin": Try(
        {"roles/x/action_plugins/command.py": "x = 1\n"}, "roles/x/action_plugins"
    ),
    "callback plugin": Try({"callback_plugins/c.py": "x = 1\n"}, "callback_plugins"),
    "ansible.cfg": Try({"ansible.cfg": "[defaults]\ninventory = /etc/p\n"}, "ansible.cfg"),
}  # fmt: skip


def module(answer: dict[str, object]) -> str:
    """A module of the release's own, that gives this answer."""
    return f"#!/usr/bin/python3\nprint({json.dumps(answer)!r})\n"


ADDED: dict[str, object] = {
    "changed": True,
    "add_host": {"host_name": "p1", "groups": ["all"], "host_vars": {"ansible_host": P}},
}
NAMED: dict[str, object] = {"changed": True, "ansible_facts": {"inventory_hostname": P}}
FACTS: dict[str, object] = {
    "changed": True,
    "ansible_facts": {
        "ansible_host": P, "ansible_ssh_host": P, "ansible_connection": "local",
        "ansible_ssh_common_args": f"-J {P}", "ansible_control_path": "/tmp/x",
        "ansible_delegated_vars": {"a1": {"ansible_host": P}},
    },
}  # fmt: skip
AGAIN = "- hosts: all\n  gather_facts: false\n  tasks:\n" + D
RUNNING = {
    "a name changed by a fact": {
        "library/grow.py": module(NAMED),
        "deploy.yml": PLAY + "    - grow:\n" + D
        + "      delegate_to: '{{ inventory_hostname }}'\n",
    },
    "tasks written on the way": {
        "deploy.yml": PLAY
        + "    - copy: {dest: '{{ playbook_dir }}/later.yml', content: \"- command: id\\n"
        f"  delegate_to: {P}\\n\"}}\n      delegate_to: localhost\n      become: false\n"
        "    - include_tasks: later.yml\n",
    },
}  # fmt: skip
"""What the guard can't see beforehand: ssh doesn't know the way, and the run goes back."""


class Witness:
    """Every packet that reached a host of P, by the kernel's count in its own network."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.before = self.count()

    def count(self) -> int:
        total = 0
        for host in self.lab.hosts.values():
            if host["stage"] == "P":
                text = Path(f"/proc/{host['pid']}/net/snmp").read_text()
                names, values = re.findall(r"^Ip: (.*)$", text, re.MULTILINE)
                total += int(dict(zip(names.split(), values.split(), strict=True))["InReceives"])
        return total

    @property
    def packets(self) -> int:
        return self.count() - self.before


@pytest.fixture(scope="module")
def application(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Application:
    assert lab.hosts["p1"]["address"] == P
    return Application(lab, ("a1",), tmp_path_factory.mktemp("guard"), "A")


def pickled(application: Application, name: str, files: dict[str, str]) -> str:
    """The plan of a release with those files; where it lies."""
    release = application.release(f"2.0-{len(list(application.folder.iterdir()))}")
    for relative, text in files.items():
        path = release[1] / "playbooks" / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    plan = application.plan(f"promotion-{abs(hash(name))}", release)
    return application.argv(plan, "run")[2]


def promoted(application: Application, paths: list[str], **more: str) -> list[dict[str, object]]:
    argv = [sys.executable, "-m", "tests.lab.guard_driver", *paths]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), **more}
    done = application.lab.exec(argv, timeout=900, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_witness_sees_a_connection_to_p(lab: Lab) -> None:
    witness = Witness(lab)
    assert witness.packets == 0
    assert lab.reaches(ADMIN, "p1", 22)
    assert witness.packets > 0


@pytest.fixture(scope="module")
def refusals(application: Application) -> tuple[dict[str, dict[str, object]], int]:
    """What came of every attempt, and how many packets reached P meanwhile."""
    paths = [pickled(application, name, one.files) for name, one in REFUSED.items()]
    witness = Witness(application.lab)
    found = promoted(application, paths)
    return dict(zip(REFUSED, found, strict=True)), witness.packets


@pytest.mark.parametrize("name", REFUSED)
def test_a_way_out_is_refused_by_file_and_line_and_p_sees_nothing(
    refusals: tuple[dict[str, dict[str, object]], int], name: str
) -> None:
    file, _colon, line = REFUSED[name].at.partition(":")
    found, packets = refusals
    said = found[name]
    assert (said["exit"], said["code"]) == (4, "inventory-escapes"), said
    at = [f"playbooks/{file}", int(line) if line else None]
    assert at in said["at"], said  # type: ignore[operator]
    assert packets == 0


@pytest.mark.parametrize("name", RUNNING)
def test_what_shows_only_while_running_fails_it_and_p_sees_nothing(
    application: Application, name: str
) -> None:
    witness = Witness(application.lab)
    (said,) = promoted(application, [pickled(application, name, RUNNING[name])])
    assert witness.packets == 0
    assert (said["exit"], said["code"]) == (1, "host-outside"), said
    assert re.search(r"playbooks/(deploy|later)\.yml:\d", str(said["message"])), said
    assert application.picture("a1")["version"] == "1.0", "it went back"


def test_what_leads_elsewhere_outside_the_release_is_not_heeded(
    application: Application, tmp_path: Path
) -> None:
    """Ansible's settings in the environment and at home, inventories in the landscape, ssh's
    configuration, facts of a module: the promotion is as it would be without."""
    away = f"all:\n  hosts:\n    p1: {{ansible_host: {P}}}\n    a1: {{ansible_host: {P}}}\n"
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh/config").write_text(f"Host *\n  HostName {P}\n")
    script = application.folder / "inventory.py"
    script.write_text(f"#!/bin/sh\necho '{json.dumps({'all': {'hosts': ['p1']}})}'\n")
    script.chmod(0o755)
    for folder in (home, application.folder):
        (folder / "hosts.yml").write_text(away)
        (folder / "ansible.cfg").write_text(f"[defaults]\ninventory = {script}\n")
        (folder / ".ansible.cfg").write_text(f"[defaults]\ninventory = {script}\n")
        (folder / "group_vars").mkdir()
        (folder / "group_vars/all.yml").write_text(f"ansible_host: {P}\n")
    files = {
        "library/grow.py": module(FACTS), "library/add.py": module(ADDED),
        "deploy.yml": TASKS + "    - grow:\n    - add:\n" + D + AGAIN,
    }  # fmt: skip
    witness = Witness(application.lab)
    (said,) = promoted(
        application, [pickled(application, "unheeded", files)], HOME=str(home),
        ANSIBLE_INVENTORY=str(script), ANSIBLE_CONFIG=str(home / "ansible.cfg"),
        ANSIBLE_SSH_ARGS=f"-J {P}", ANSIBLE_SSH_COMMON_ARGS=f"-J {P}",
        ANSIBLE_REMOTE_PORT="2222", ANSIBLE_INVENTORY_PLUGINS=str(home),
        ANSIBLE_STRATEGY="free", ANSIBLE_TRANSPORT="local",
    )  # fmt: skip
    assert (said["exit"], said["code"]) == (0, ""), said
    assert witness.packets == 0
    assert (application.lab.root("a1") / "srv/agenda/was-here").exists()
