"""Attempts to leave the environment, each refused: in playbooks and in variables."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from tests.execution.conftest import PLAYBOOKS, Stage

from otapgate.execution.guard import check_release, start_inventory_check
from otapgate.execution.redirects import scan_playbooks, scan_variables

HOSTS = ("web", "db")
PLAY = "- hosts: all\n  gather_facts: false\n"


def scan(folder: Path, text: str, name: str = "deploy.yml") -> list[tuple[str | None, int | None]]:
    path = folder / "playbooks" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return [(one.file, one.line) for one in scan_playbooks(folder / "playbooks", HOSTS, "demo-A")]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (PLAY + "  tasks:\n    - add_host: {name: p}\n", 4),
        (PLAY + "  tasks:\n    - ansible.builtin.add_host: {name: p}\n", 4),
        (PLAY + "  tasks:\n    - group_by: {key: p}\n", 4),
        (PLAY + "  tasks:\n    - meta: refresh_inventory\n", 4),
        (PLAY + "  tasks:\n    - command: id\n      delegate_to: prod\n", 5),
        (PLAY + "  tasks:\n    - command: id\n      delegate_to: '{{ other }}'\n", 5),
        (PLAY + "  tasks:\n    - command: id\n      delegate_to: web\n", 5),
        (PLAY + "  tasks:\n    - block:\n        - command: id\n      delegate_to: prod\n", 6),
        (PLAY + "  handlers:\n    - command: id\n      delegate_to: prod\n", 5),
        (PLAY + "  connection: local\n", 3),
        (PLAY + "  remote_user: root\n", 3),
        (PLAY + "  port: 22\n", 3),
        (PLAY + "  tasks:\n    - command: id\n      connection: local\n", 5),
        (PLAY + "  tasks:\n    - include_tasks: {file: x, apply: {remote_user: y}}\n", 4),
        (PLAY + "  roles:\n    - {role: x, remote_user: y}\n", 4),
        ("- hosts: prod\n", 1),
        ("- hosts: all,prod\n", 1),
        ("- hosts: all:prod\n", 1),
        ("- hosts: [web, prod]\n", 1),
        ("- hosts: '{{ target }}'\n", 1),
        ("- hosts: localhost\n", 1),
        ("- hosts: '!web:prod'\n", 1),
        (PLAY + "  vars:\n    ansible_host: prod\n", 4),
        (PLAY + "  vars: {ansible_connection: local}\n", 3),
        (PLAY + "  vars: {ansible_ssh_common_args: '-J p'}\n", 3),
        (PLAY + "  vars: {ansible_https_proxy: p}\n", 3),
        (PLAY + "  vars: {otapgate_previous: p}\n", 3),
        (PLAY + "  tasks:\n    - set_fact: {ansible_host: prod}\n", 4),
        (PLAY + "  tasks:\n    - set_fact: ansible_host=prod\n", 4),
        (PLAY + "  tasks:\n    - set_fact: {'{{ name }}': prod}\n", 4),
        (PLAY + "  tasks: &t\n    - add_host: {name: p}\n    - block: *t\n", 4),
    ],
)
def test_an_attempt_to_leave_is_refused_by_file_and_line(
    tmp_path: Path, text: str, line: int
) -> None:
    assert ("playbooks/deploy.yml", line) in scan(tmp_path, text)


@pytest.mark.parametrize(
    "name",
    [
        "group_vars/all.yml",
        "group_vars/all",
        "host_vars/web.yml",
        "vars/main.yml",
        "roles/app/defaults/main.yml",
        "more.json",
    ],
)
def test_variables_that_redirect_are_refused_wherever_they_lie(tmp_path: Path, name: str) -> None:
    assert scan(tmp_path, '{"mitogen_via": "prod"}\n', name) == [(f"playbooks/{name}", 1)]
    assert scan(tmp_path, '{"ansible_host": "prod"}\n', name) == [(f"playbooks/{name}", 1)]


@pytest.mark.parametrize(
    "text",
    [
        PLAY + "  tasks:\n    - command: id\n      delegate_to: localhost\n",
        PLAY + "  tasks:\n    - command: id\n      delegate_to: '{{ inventory_hostname }}'\n",
        PLAY + "  tasks:\n    - wait_for: {host: 127.0.0.1, port: 80}\n",
        PLAY + "  tasks:\n    - x.y.db: {name: a, port: 5432, hosts: [prod]}\n",
        PLAY + "  tasks:\n    - debug: {msg: x}\n      loop: [{name: a, port: 1}]\n",
        "- hosts: all:!web\n",
        "- hosts: demo-A:&db\n",
        "- hosts: [web, db]\n",
        PLAY
        + "  vars: {ansible_managed: x, ansible_become_user: y, otapgate_snapshot_root: /srv}\n",
    ],
)
def test_what_stays_inside_passes(tmp_path: Path, text: str) -> None:
    assert scan(tmp_path, text) == []


def test_the_ordinary_playbooks_pass(tmp_path: Path) -> None:
    for name, text in PLAYBOOKS.items():
        assert scan(tmp_path, text, name) == []


def test_links_plugins_and_settings_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "playbooks"
    (folder / "connection_plugins").mkdir(parents=True)
    (folder / "ansible.cfg").write_text("[defaults]\n")
    (folder / "tasks.yml").symlink_to("/etc/hostname")
    found = {one.file for one in scan_playbooks(folder, HOSTS, "demo-A")}
    assert found == {
        "playbooks/connection_plugins",
        "playbooks/ansible.cfg",
        "playbooks/tasks.yml",
    }


def test_broken_yaml_is_told_by_line(tmp_path: Path) -> None:
    assert scan(tmp_path, "- hosts: all\n  tasks:\n    - a: b\n     c: d\n") == [
        ("playbooks/deploy.yml", 4)
    ]


def test_an_encrypted_file_is_refused(tmp_path: Path) -> None:
    assert scan(tmp_path, "$ANSIBLE_VAULT;1.1;AES256\n6162\n") == [("playbooks/deploy.yml", 1)]


def test_at_build_time_any_plain_name_passes_but_not_otapgates_own_machine(
    tmp_path: Path,
) -> None:
    (tmp_path / "playbooks").mkdir()
    (tmp_path / "playbooks/a.yml").write_text("- hosts: web\n- hosts: localhost\n")
    found = scan_playbooks(tmp_path / "playbooks")
    assert [(one.file, one.line) for one in found] == [("playbooks/a.yml", 2)]


def test_release_variables_may_not_redirect() -> None:
    found = scan_variables({"port": 80, "ansible_host": "prod"}, "release.yml")
    assert len(found) == 1
    assert "ansible_host" in found[0].message


def test_ansible_itself_sees_exactly_the_environment(stage: Stage) -> None:
    plan = stage.plan(stage.release("2.0"))
    assert check_release(plan) == []
    assert start_inventory_check(plan).result() == []
    assert not list((plan.run_dir / "ansible").iterdir())


def test_the_users_own_ansible_settings_count_for_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = stage.folder / "other.yml"
    other.write_text("all: {hosts: {prod: {}}}\n")
    config = stage.folder / "other.cfg"
    config.write_text(f"[defaults]\ninventory = {other}\n")
    monkeypatch.setenv("ANSIBLE_INVENTORY", str(other))
    monkeypatch.setenv("ANSIBLE_CONFIG", str(config))
    monkeypatch.setenv("ANSIBLE_REMOTE_USER", "root")
    assert start_inventory_check(stage.plan(stage.release("2.0"))).result() == []


@pytest.mark.parametrize(
    ("name", "text", "variable"),
    [
        ("host_vars/web.yml", "ansible_connection: ssh\n", "ansible_connection"),
        ("group_vars/all.yml", "ansible_become_user: root\n", "ansible_become_user"),
        ("host_vars/web.yml", "ansible_host: prod\n", "ansible_host"),
        ("group_vars/demo-A.yml", "ansible_ssh_common_args: -J p\n", "ansible_ssh_common_args"),
        ("host_vars/web.yml", "otapgate_snapshot: /etc\n", "otapgate_snapshot"),
        ("group_vars/all.yml", "mitogen_via: prod\n", "mitogen_via"),
    ],
)
def test_a_variable_file_that_redirects_is_seen_by_asking_ansible(
    stage: Stage, name: str, text: str, variable: str
) -> None:
    manifest, tree = stage.release("2.0")
    path = tree / "playbooks" / name
    path.parent.mkdir()
    path.write_text(text)
    found = start_inventory_check(stage.plan((manifest, tree))).result()
    assert len(found) == 1
    assert variable in found[0].message


def test_a_group_file_cant_undo_how_the_environment_says_a_host_is_reached(stage: Stage) -> None:
    manifest, tree = stage.release("2.0")
    (tree / "playbooks/group_vars").mkdir()
    (tree / "playbooks/group_vars/all.yml").write_text("ansible_connection: ssh\n")
    plan = stage.plan((manifest, tree))
    assert start_inventory_check(plan).result() == []  # the host's own variable is stronger
    assert [one.file for one in check_release(plan)] == ["playbooks/group_vars/all.yml"]


def test_release_variables_are_seen_by_asking_ansible_too(stage: Stage) -> None:
    manifest, tree = stage.release("2.0")
    manifest = msgspec.structs.replace(manifest, variables={"ansible_user": "root"})
    found = start_inventory_check(stage.plan((manifest, tree))).result()
    assert len(found) == 1
    assert "ansible_user" in found[0].message


@pytest.mark.parametrize(
    ("task", "program"),
    [
        ("command: ansible-playbook -i p, site.yml", "ansible-playbook"),
        ("shell: 'true; /usr/bin/ssh p reboot'", "ssh"),
        ("command: {argv: [sshpass, -e, ssh, p]}", "sshpass"),
        ("ansible.builtin.raw: scp x p:/x", "scp"),
        ("command: chdir=/tmp rsync -e x p:/x", "rsync"),
    ],
)
@pytest.mark.parametrize("how", ["delegate_to", "block", "local_action"])
def test_programs_that_connect_are_refused_on_otapgates_own_machine(
    tmp_path: Path, task: str, program: str, how: str
) -> None:
    if how == "local_action":
        module, _colon, given = task.partition(": ")
        if given.startswith("{"):
            text = f"    - local_action: {{module: {module}, {given[1:]}\n"
        else:
            text = f"    - local_action: {module} {given.strip(chr(39))}\n"
    elif how == "block":
        text = f"    - block:\n        - {task}\n      delegate_to: localhost\n"
    else:
        text = f"    - {task}\n      delegate_to: localhost\n"
    (tmp_path / "playbooks").mkdir()
    (tmp_path / "playbooks/deploy.yml").write_text(PLAY + "  tasks:\n" + text)
    found = scan_playbooks(tmp_path / "playbooks", HOSTS, "demo-A")
    assert any(one.message.startswith(f"{program}, started on") for one in found), found
    assert {one.line for one in found} == {5 if how == "block" else 4}


@pytest.mark.parametrize(
    "task",
    [
        "command: systemctl restart ssh",
        "command: cat /etc/ssh/sshd_config ~/.ssh/config x.ssh\n      delegate_to: localhost",
        "command: echo ansible_managed my-ssh\n      delegate_to: localhost",
        "copy: {content: ssh p, dest: /x}\n      delegate_to: localhost",
    ],
)
def test_words_that_only_look_like_them_pass(tmp_path: Path, task: str) -> None:
    assert scan(tmp_path, PLAY + f"  tasks:\n    - {task}\n") == []
