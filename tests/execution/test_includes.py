"""What is included by a name that is known only then: of the release it passes, and before
anything of another file is used Ansible has been stopped."""

from __future__ import annotations

from pathlib import Path

import pytest

from otapgate.errors import Failed
from otapgate.execution import faults
from otapgate.execution.redirects import scan_playbooks
from otapgate.execution.runner import PlaybookResult, Settings, run_playbooks
from otapgate.landscape.model import Environment, Host

PLAY = "- hosts: all\n  gather_facts: false\n  tasks:\n"
LYING = """#!/usr/bin/python
from ansible.module_utils.basic import AnsibleModule
facts = {'os_family': '../../evil', 'distribution': '../evil-tasks'}
AnsibleModule({}).exit_json(ansible_facts=facts)
"""


class Release:
    """Playbooks, what lies around them, and a run of them that leaves a mark at its end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mark = folder / "mark"
        self.write("playbooks/vars/Debian.yml", "chosen: debian\n")
        self.write("playbooks/Debian.yml", f"- command: touch {self.mark}-included\n")
        self.write("evil.yml", "chosen: evil\nansible_host: p\n")
        self.write("evil-tasks.yml", f"- command: touch {self.mark}-evil\n")

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def run(self, tasks: str, *, checked: bool = True, more: str = "") -> PlaybookResult:
        """Of those tasks, and one after them that touches the mark."""
        text = PLAY + tasks.replace("OUT", str(self.folder))
        text += f"    - command: touch {self.mark}\n" + more.replace("OUT", str(self.folder))
        self.write("playbooks/deploy.yml", text)
        if checked:
            assert scan_playbooks(self.folder / "playbooks") == []
        environment = Environment(
            name="demo-A",
            stage="A",
            street="demo",
            owner="Fenna",
            hosts=tuple(Host(x, {"ansible_connection": "local"}) for x in ("web", "db")),
            variables={"family": "Debian", "out": str(self.folder), "up": "..", "no": False},
        )
        settings = Settings(
            environment=environment,
            run_dir=self.folder / "run",
            lock=self.folder / "lock",
            secrets={"word": "Kastanje"},
        )
        playbook = self.folder / "playbooks" / "deploy.yml"
        return run_playbooks(settings, [playbook], label="deploy", variables={})


@pytest.fixture
def release(tmp_path: Path) -> Release:
    return Release(tmp_path)


@pytest.mark.parametrize(
    "tasks",
    [
        "    - include_vars: '{{ family }}.yml'\n",
        "    - include_vars: {file: '{{ family }}.yml'}\n",
        "    - include_vars: 'vars/{{ family }}.yml'\n",
        "    - include_vars: file={{ family }}.yml\n",
        "    - ansible.builtin.include_vars: '{{ item }}'\n"
        "      with_first_found: ['{{ family }}-12.yml', '{{ family }}.yml', other.yml]\n",
        "    - include_vars: \"{{ lookup('first_found', sought) }}\"\n"
        "      vars: {sought: {files: ['{{ family }}.yml'], paths: [vars]}}\n",
        "    - include_vars: '{{ item }}.yml'\n      loop: ['{{ family }}', '{{ family }}']\n",
        "    - include_vars: vars/Debian.yml\n      no_log: true\n",
        "    - include_vars: 'vars/{{ family }}.yml'\n      no_log: true\n",
        "    - include_vars: {dir: vars}\n",
        "    - {include_vars: '{{ family }}-none.yml', ignore_errors: true}\n"
        "    - {include_vars: '{{ family }}-none.yml', when: no, no_log: true}\n"
        "    - include_vars: 'vars/{{ family }}.yml'\n",
    ],
)
def test_variables_of_the_release_by_a_template_are_taken_in(release: Release, tasks: str) -> None:
    result = release.run(tasks + "    - assert: {that: chosen == 'debian'}\n")
    assert (result.ok, result.message) == (True, "")
    assert release.mark.exists()


@pytest.mark.parametrize(
    "tasks",
    [
        "    - include_tasks: '{{ family }}.yml'\n",
        "    - ansible.builtin.include_tasks: {file: '{{ family }}.yml'}\n",
        "    - {include_tasks: '{{ item }}.yml', loop: ['{{ family }}']}\n",
        "    - include_role: {name: some}\n",
    ],
)
def test_tasks_of_the_release_by_a_template_are_run(release: Release, tasks: str) -> None:
    release.write("playbooks/roles/some/tasks/main.yml", "- include_tasks: '{{ family }}.yml'\n")
    release.write("playbooks/roles/some/tasks/Debian.yml", "- import_tasks: last.yml\n")
    release.write(
        "playbooks/roles/some/tasks/last.yml", f"- command: touch {release.mark}-included\n"
    )
    result = release.run(tasks)
    assert (result.ok, result.message) == (True, "")
    assert Path(f"{release.mark}-included").exists()


@pytest.mark.parametrize(
    "tasks",
    [
        # wherever the way out is written
        "    - include_vars: '{{ evil }}'\n      vars: {evil: OUT/evil.yml}\n",
        "    - include_vars: '{{ out }}/evil.yml'\n",
        "    - include_vars: {file: '{{ up }}/evil.yml'}\n",
        "    - include_vars: 'vars/{{ up }}/{{ up }}/evil.yml'\n",
        "    - include_vars: '{{ playbook_dir }}-evil/evil.yml'\n",
        "    - include_vars: '{{ item }}'\n      with_first_found: ['{{ up }}/evil.yml']\n",
        "    - include_vars: '{{ item }}'\n"
        "      with_first_found: [{files: [evil.yml], paths: [OUT]}]\n",
        "    - include_vars: \"{{ lookup('first_found', sought) }}\"\n"
        "      vars: {sought: {files: ['Debian.yml,OUT/evil.yml'], paths: [nowhere]}}\n",
        "    - include_vars: '{{ item }}'\n      loop: [vars/Debian.yml, OUT/evil.yml]\n",
        "    - include_tasks: '{{ out }}/evil-tasks.yml'\n",
        "    - include_tasks: {file: '{{ up }}/evil-tasks.yml'}\n",
        "    - {include_tasks: '{{ item }}', loop: [Debian.yml, OUT/evil-tasks.yml]}\n",
        # in the release, but read as no tasks or variables
        "    - include_vars: '{{ item }}'\n      loop: [files/evil.txt]\n",
        "    - include_tasks: 'files/evil{{ dot }}txt'\n      vars: {dot: .}\n",
        # whatever is done about what it says
        "    - {include_vars: '{{ out }}/evil.yml', no_log: true}\n",
        "    - {include_vars: {file: 'vars/{{ up }}/{{ up }}/evil.yml'}, no_log: true}\n",
        "    - {include_vars: 'files/{{ x }}', no_log: true, vars: {x: evil.txt}}\n",
        "    - {include_vars: '{{ item }}', loop: [OUT/evil.yml], no_log: true}\n",
        "    - {include_vars: '{{ out }}/evil.yml', ignore_errors: true, failed_when: false}\n",
        "    - {include_vars: '{{ out }}/evil.yml', run_once: true, register: said}\n",
        "    - include_vars: '{{ out }}/evil.yml'\n      delegate_to: localhost\n"
        "      delegate_facts: true\n",
        "    - block: [{include_vars: '{{ out }}/evil.yml'}]\n"
        "      rescue: [{command: touch OUT/mark-evil}]\n"
        "      always: [{command: touch OUT/mark-evil}]\n",
        # a host that lies about itself
        "    - lying:\n    - include_vars: \"{{ ansible_facts['os_family'] }}.yml\"\n",
        "    - lying:\n    - include_tasks: \"{{ ansible_facts['distribution'] }}.yml\"\n",
    ],
)
def test_nothing_of_a_file_elsewhere_is_used(release: Release, tasks: str) -> None:
    release.write("playbooks/library/lying.py", LYING)
    release.write("playbooks-evil/evil.yml", "chosen: evil\n")
    release.write("playbooks/files/evil.txt", f"[{{command: touch {release.mark}-evil}}]\n")
    if "include_vars" in tasks:
        release.write("playbooks/files/evil.txt", "ansible_host: p\n")
    result = release.run(tasks)
    assert (result.ok, result.code, result.cancelled) == (False, "file-outside", False)
    assert "deploy.yml:" in result.message
    assert not list(release.folder.glob("mark*"))


@pytest.mark.parametrize("way", ["handlers", "free", "role"])
def test_it_is_seen_in_every_part_of_a_play(release: Release, way: str) -> None:
    include = "include_vars: '{{ out }}/evil.yml'"
    if way == "handlers":
        tasks = "    - {command: id, notify: first}\n    - meta: flush_handlers\n"
        more = f"  handlers:\n    - name: first\n      {include}\n      listen: first\n"
    elif way == "free":
        tasks, more = f"    - {include}\n", "  strategy: free\n"
    else:
        release.write("playbooks/roles/some/tasks/main.yml", f"- {include}\n")
        tasks, more = "    - include_role: {name: some}\n", ""
    result = release.run(tasks, more=more)
    assert (result.ok, result.code) == (False, "file-outside")
    assert not release.mark.exists()


def test_a_link_that_leads_out_is_followed(release: Release) -> None:
    (release.folder / "playbooks/vars/link.yml").symlink_to(release.folder / "evil.yml")
    result = release.run("    - include_vars: vars/link.yml\n", checked=False)
    assert (result.ok, result.code) == (False, "file-outside")
    assert not release.mark.exists()


def test_a_secret_in_the_name_isnt_told(release: Release) -> None:
    release.write("Kastanje.yml", "a: b\n")
    result = release.run("    - include_vars: '{{ out }}/{{ word }}.yml'\n")
    assert result.code == "file-outside"
    assert "Kastanje" not in result.message


def test_ansible_that_isnt_watched_is_stopped(
    release: Release, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faults, "CALLBACKS", tmp_path / "nothing")
    with pytest.raises(Failed) as raised:
        release.run("    - pause: {seconds: 20}\n")
    assert raised.value.code == "includes-unwatched"
    assert not release.mark.exists()
