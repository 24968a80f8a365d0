"""Roundabout ways to leave the environment that a reader of the playbook may miss: each is
refused, and what playbooks ordinarily do still passes."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import ansible
import pytest
import yaml
from ansible import constants

from otapgate.execution.redirects import REDIRECTING, scan_playbooks, scan_variables

PLAY = "- hosts: all\n  gather_facts: false\n"
TASKS = PLAY + "  tasks:\n"


def scan(folder: Path, files: dict[str, str], hosts: tuple[str, ...] | None = ("web",)) -> set[str]:
    for name, text in files.items():
        path = folder / "playbooks" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return {one.where or "" for one in scan_playbooks(folder / "playbooks", hosts, "demo-A")}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        # a module named by `action`
        (TASKS + "    - action: add_host name=p\n", 4),
        (TASKS + "    - action: ansible.builtin.add_host name=p\n", 4),
        (TASKS + "    - action: {module: add_host, name: p}\n", 4),
        (TASKS + "    - action: {module: add_host name=p}\n", 4),
        (TASKS + "    - local_action: add_host name=p\n", 4),
        (TASKS + "    - local_action: {module: group_by, key: p}\n", 4),
        (TASKS + "    - action: meta refresh_inventory\n", 4),
        (TASKS + "    - action: '{{ module }} name=p'\n", 4),
        (TASKS + "    - action: {module: '{{ module }}'}\n", 4),
        (TASKS + "    - action: set_fact ansible_host=p\n", 4),
        (TASKS + "    - action: set_fact a=1 ansible_host=p\n", 4),
        (TASKS + "    - action: set_fact \\x61nsible_host=p\n", 4),
        (TASKS + "    - set_fact: '{{ facts }}'\n", 4),
        (TASKS + "    - set_fact:\n      args: '{{ facts }}'\n", 4),
        (TASKS + "    - meta: '{{ what }}'\n", 4),
        (PLAY + "  module_defaults: {set_fact: {ansible_host: p}}\n", 3),
        (PLAY + "  module_defaults: ['{{ defaults }}']\n", 3),
        (PLAY + "  module_defaults: {include_vars: {file: /tmp/x.yml}}\n", 3),
        # a value that becomes the name of a variable
        (TASKS + "    - command: id\n      loop_control: {loop_var: ansible_connection}\n", 5),
        (TASKS + "    - command: id\n      loop_control: {index_var: ansible_port}\n", 5),
        (TASKS + "    - command: id\n      loop_control: {loop_var: '{{ x }}'}\n", 5),
        (TASKS + "    - command: id\n      register: ansible_host\n", 5),
        (TASKS + "    - command: id\n      register: {ansible_host: stdout}\n", 5),
        (PLAY + "  vars_prompt: [{name: ansible_host, default: p}]\n", 3),
        (TASKS + "    - include_vars: {file: x.yml, name: ansible_host}\n", 4),
        (TASKS + "    - include_vars: file=x.yml name=ansible_host\n", 4),
        (TASKS + "    - include_vars: x.yml\n      args: {name: ansible_host}\n", 5),
        # files that aren't read, or not here
        (TASKS + "    - include_tasks: tasks.txt\n", 4),
        (TASKS + "    - import_tasks: tasks\n", 4),
        (TASKS + "    - include_tasks: {file: tasks.txt}\n", 4),
        (TASKS + "    - include_tasks:\n      args: {file: tasks.txt}\n", 4),
        (TASKS + "    - action: include_tasks file=tasks.txt\n", 4),
        (TASKS + "    - action: include_tasks tasks.txt\n", 4),
        (TASKS + "    - include_tasks: '{{ otapgate_artifacts }}/artifacts/x.yml'\n", 4),
        (TASKS + "    - include_tasks: ../artifacts/x.yml\n", 4),
        (TASKS + "    - include_tasks: more/../../x.yml\n", 4),
        (TASKS + "    - include_tasks: ~/x.yml\n", 4),
        (TASKS + "    - include_tasks: $HOME/x.yml\n", 4),
        (TASKS + "    - include_vars: /etc/x.yml\n", 4),
        (TASKS + "    - include_vars: {dir: /etc}\n", 4),
        (TASKS + "    - include_vars: {dir: more, extensions: [txt]}\n", 4),
        (TASKS + "    - include_tasks: '/tmp/{{ x }}.yml'\n", 4),
        (TASKS + "    - include_tasks: '~/{{ x }}.yml'\n", 4),
        (TASKS + "    - include_vars: '{{ x }}/../{{ y }}.yml'\n", 4),
        (TASKS + "    - include_vars: {file: '../{{ x }}.yml'}\n", 4),
        (TASKS + "    - include_vars: '{% if a %}/tmp/{% endif %}x.yml'\n", 4),
        (TASKS + "    - include_vars: '{{ x }}.yml name=ansible_host'\n", 4),
        (TASKS + "    - include_vars: '{{ x }} dir=/etc'\n", 4),
        (TASKS + "    - include_vars: {file: '{{ x }}.yml', name: '{{ y }}'}\n", 4),
        (TASKS + "    - include_vars: {dir: '{{ x }}'}\n", 4),
        (TASKS + "    - include_vars:\n      args: '{{ x }}'\n", 4),
        (TASKS + "    - include_vars: {_variable_params: '{{ x }}'}\n", 4),
        (TASKS + "    - include_vars: \"{{ lookup('pipe', 'id') }}\"\n", 4),
        (TASKS + "    - action: include_vars {{ x }}.yml\n", 4),
        (TASKS + "    - import_tasks: '{{ x }}.yml'\n", 4),
        (TASKS + "    - include: '{{ x }}.yml'\n", 4),
        (TASKS + "    - include_role: {name: x, tasks_from: '{{ x }}.yml'}\n", 4),
        (PLAY + "  vars_files: ['{{ x }}.yml']\n", 3),
        (PLAY + "  module_defaults: {include_vars: {file: '{{ x }}.yml'}}\n", 3),
        ("- import_playbook: /tmp/outside.yml\n", 1),
        ("- import_playbook: '{{ other }}'\n", 1),
        ("- import_playbook: some.collection.play\n", 1),
        (PLAY + "  vars_files: [conn.txt]\n", 3),
        (PLAY + "  vars_files: conn.txt\n", 3),
        (PLAY + "  vars_files: [[a.yml, /etc/x.yml]]\n", 3),
        (PLAY + "  roles: ['{{ role }}']\n", 3),
        (PLAY + "  roles: [/tmp/role]\n", 3),
        (PLAY + "  roles: [{role: ../artifacts/role}]\n", 3),
        (TASKS + "    - include_role: {name: '{{ role }}'}\n", 4),
        (TASKS + "    - import_role: name=/tmp/role\n", 4),
        (TASKS + "    - include_role: {name: x, tasks_from: ../../x.yml}\n", 4),
        (TASKS + "    - include_role: {name: x, vars_from: x.txt}\n", 4),
        # YAML's own ways to hide what is written
        (PLAY + "  vars: {a: &x {hosts: localhost}}\n- <<: *x\n", 3),
        (PLAY + "  vars: {a: &x {connection: local}}\n- hosts: all\n  <<: *x\n", 3),
        (PLAY + "  vars: {a: &x {connection: local}}\n- hosts: all\n  <<: [*x]\n", 3),
        (PLAY + "  vars:\n    a: &x\n      - connection: local\n  tasks: *x\n", 5),
        (TASKS + "    - include_vars:\n        <<: &x {file: /etc/x.yml}\n", 4),
        (TASKS + "    - set_fact: {? !!binary YW5zaWJsZV9ob3N0 : p}\n", 4),
        ("- hosts: !!str {=: localhost}\n", 1),
        ("- hosts: ::1\n", 1),
        # lookups run here
        (TASKS + "    - debug: {msg: \"{{ lookup('pipe', 'id') }}\"}\n", 4),
        (TASKS + "    - debug: {msg: \"{{ query('pipe', 'id') }}\"}\n", 4),
        (TASKS + "    - debug: {msg: \"{{ q('ansible.builtin.pipe', 'id') }}\"}\n", 4),
        (TASKS + "    - debug: {msg: \"{{ lookup('lines', 'id') }}\"}\n", 4),
        (TASKS + "    - debug: {msg: \"{{ lookup('url', 'https://p') }}\"}\n", 4),
        (TASKS + "    - debug: {msg: \"{{ lookup('some.other.thing') }}\"}\n", 4),
        (TASKS + "    - debug: {msg: \"{{ lookup('pi' ~ 'pe', 'id') }}\"}\n", 4),
        (TASKS + "    - debug: {msg: \"{{ lookup(what, 'id') }}\"}\n", 4),
        (TASKS + "    - debug: {msg: \"{% set l = lookup %}{{ l('pipe', 'id') }}\"}\n", 4),
        (TASKS + "    - debug: {msg: \"{{ lookup('file', '/etc/shadow') }}\"}\n", 4),
        (TASKS + "    - debug: {msg: x}\n      when: lookup('pipe', 'id') == ''\n", 5),
        (TASKS + "    - debug: {msg: x}\n      with_pipe: id\n", 5),
        (TASKS + "    - template: {src: a.j2, dest: b, variable_start_string: '[['}\n", 4),
        # connection variables of ansible-core and others
        (PLAY + "  vars: {ansible_control_path: /tmp/x}\n", 3),
        (PLAY + "  vars: {ansible_host_key_checking: false}\n", 3),
        (PLAY + "  vars: {ansible_private_key_file: x}\n", 3),
        (PLAY + "  vars: {ansible_some_new_plugin_host: x}\n", 3),
        (PLAY + "  vars: {\"delegated_vars['ansible_host']\": p}\n", 3),
    ],
)
def test_a_roundabout_way_out_is_refused_by_line(tmp_path: Path, text: str, line: int) -> None:
    assert f"playbooks/deploy.yml:{line}" in scan(tmp_path, {"deploy.yml": text})
    assert f"playbooks/deploy.yml:{line}" in scan(tmp_path, {"deploy.yml": text}, None)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("more.YML", "- {hosts: all, connection: local}\n"),
        ("more.Json", '{"ansible_host": "p"}'),
        ("vars/tasks.yml", "- add_host: {name: p}\n"),
        ("host_vars/web.example.org", "ansible_host: p\n"),
        ("group_vars/all/one", "ansible_host: p\n"),
        ("roles/x/tasks/main", "- add_host: {name: p}\n"),
        ("roles/x/handlers/main.yaml", "- add_host: {name: p}\n"),
        ("roles/x/defaults/main", "ansible_host: p\n"),
        ("roles/x/meta/main.yml", "dependencies: [/tmp/role]\n"),
        ("roles/x/meta/main.yml", "dependencies: [{role: '{{ x }}'}]\n"),
        ("roles/x/meta/main.yml", "dependencies: [{role: y, connection: local}]\n"),
        (
            "collections/ansible_collections/x/y/meta/runtime.yml",
            "plugin_routing: {modules: {nice: {redirect: ansible.builtin.add_host}}}\n",
        ),
    ],
)
def test_every_file_that_ansible_may_take_in_is_read(tmp_path: Path, name: str, text: str) -> None:
    assert scan(tmp_path, {name: text}) == {f"playbooks/{name}:1"}


@pytest.mark.parametrize(
    "name",
    [
        "filter_plugins/p.py",
        "test_plugins/p.py",
        "lookup_plugins/p.py",
        "become_plugins/p.py",
        "some_new_plugins/p.py",
        "roles/x/filter_plugins/p.py",
        "more/callback_plugins/p.py",
    ],
)
def test_a_folder_of_plugins_is_refused_by_its_name(tmp_path: Path, name: str) -> None:
    folder = name.rpartition("/")[0]
    assert scan(tmp_path, {name: "x = 1\n"}) == {f"playbooks/{folder}"}


COLLECTION = "collections/ansible_collections/x/y/"


@pytest.mark.parametrize("kind", ["action", "filter", "lookup", "connection", "vars", "new_kind"])
def test_a_collection_brings_nothing_that_runs_here(tmp_path: Path, kind: str) -> None:
    name = f"{COLLECTION}plugins/{kind}"
    assert scan(tmp_path, {f"{name}/p.py": "x = 1\n"}) == {f"playbooks/{name}"}


@pytest.mark.parametrize(
    "name",
    ["__init__.py", "plugins/__init__.py", "plugins/modules/__init__.py", "roles/r/__init__.py"],
)
def test_a_collections_packages_do_nothing_when_imported(tmp_path: Path, name: str) -> None:
    path = f"{COLLECTION}{name}"
    assert scan(tmp_path, {path: "import os\n"}) == {f"playbooks/{path}"}
    assert scan(tmp_path, {path: '"""Docs."""\nfrom __future__ import annotations\n'}) == set()


@pytest.mark.parametrize(
    "text",
    [
        "a {{ lookup('pipe', 'id') }}\n",
        "{%- for x in query(\n 'pipe', 'id') %}{% endfor %}\n",
        "#jinja2: variable_start_string:'[['\n[[ lookup('pipe', 'id') ]]\n",
    ],
)
@pytest.mark.parametrize("name", ["templates/a.j2", "files/a.txt", "roles/x/templates/a"])
def test_lookups_in_templates_are_looked_at(tmp_path: Path, name: str, text: str) -> None:
    assert {x.partition(":")[0] for x in scan(tmp_path, {name: text})} == {f"playbooks/{name}"}


def test_a_releases_variables_look_nothing_up() -> None:
    variables = {"a": {"b": ["{{ lookup('pipe', 'id') }}"]}, "c": "{{ lookup('vars', 'd') }}"}
    assert len(scan_variables(variables, "release.yml")) == 1


def test_what_playbooks_ordinarily_do_passes(tmp_path: Path) -> None:
    files = {
        "deploy.yml": PLAY
        + """\
  vars_files: [vars/main.yml, [vars/other.json, more.YAML]]
  vars: &shared {a: 1, query: SELECT 1, ansible_become_user: app}
  module_defaults: {ansible.builtin.file: {mode: "0644"}, group/x.y.z: {host: p}}
  roles:
    - app
    - {role: app, tags: [x]}
    - role: some.collection.role
  pre_tasks:
    - import_tasks: other.yml
    - include_tasks: {file: sub/other.yml, apply: {tags: [x], become: true}}
    - ansible.builtin.include_tasks: ./other.yml
    - include_vars: {dir: vars, extensions: [yml], name: more}
    - include_vars: vars/main.yml
    - include_vars: "{{ item }}"
      with_first_found: ["{{ ansible_facts['distribution'] }}.yml", default.yml]
    - include_vars: {file: "{{ role_path }}/vars/{{ system }}.yml"}
    - include_tasks: "{{ ansible_facts['os_family'] | lower }}/install-{{ kind }}.yml"
    - include_role: {name: app, tasks_from: special}
    - import_role: name=app tasks_from=special.yml
    - meta: flush_handlers
    - action: command echo name=x
    - action: {module: command, cmd: echo}
    - local_action: command id
    - set_fact: a=1 b="{{ a }} b" c='x y'
    - set_fact: {a: "{{ lookup('file', 'a.txt') }}", cacheable: true}
    - set_fact: {a: "{{ lookup('template', 'a.j2') }}{{ query('vars', 'b') | first }}"}
    - set_fact: {a: "{{ lookup('file', playbook_dir ~ '/a.txt') }}"}
    - command: mysql -e "{{ query }}" -c 'lookup(1)'
      register: answer
      when: query is defined and query != 'x'
      loop: [1]
      loop_control: {loop_var: one, index_var: number, label: x}
    - debug: {msg: "{{ item }}"}
      with_items: [1]
      vars: {<<: *shared, b: 2}
    - ufw: {action: "{{ allow }}", port: 22, register: false}
    - docker: {cmd: "docker inspect --format '{{ '{{' }}.State}}'"}
    - x.y.z: {meta: a, include: b, roles: [{name: "{{ role }}"}]}
""",
        "other.yml": "- debug: {msg: x}\n",
        "sub/other.yml": "- debug: {msg: x}\n",
        "vars/main.yml": "app_port: 1\n",
        "vars/other.json": '{"port": 1, "hosts": ["p"], "connection": "x"}',
        "more.YAML": "x: {dependencies: {y: /z}}\n",
        "files/cloud.yml": "x: !Ref y\n",
        "files/code.py": 'def query(x):\n    return f"{{{query(x)}}}"\n',
        "files/page.js": "const q = (x) => `{{${x}}}`\n",
        "templates/a.j2": "{% if a %}{{ lookup('vars', 'b') }}{% endif %}\n",
        "library/module.py": "import os\n",
        "module_utils/helper.py": "import os\n",
        "roles/app/tasks/main.yml": "- debug: {msg: x}\n",
        "roles/app/tasks/special.yml": "- template: {src: a.j2, dest: /x}\n",
        "roles/app/handlers/main.yml": "- name: x\n  debug: {msg: x}\n  listen: y\n",
        "roles/app/defaults/main.yml": "port: 1\nconnection: x\n",
        "roles/app/meta/main.yml": "dependencies: [{role: base}, common]\ngalaxy_info: {}\n",
        "roles/app/templates/a.j2": "{{ port }}\n",
        f"{COLLECTION}plugins/modules/nice.py": "import os\n",
        f"{COLLECTION}plugins/module_utils/__init__.py": "import os\n",
        f"{COLLECTION}meta/runtime.yml": "requires_ansible: '>=2.15'\n",
    }
    assert scan(tmp_path, files) == set()


def test_no_connection_variable_of_ansible_is_forgotten() -> None:
    """Whatever ansible-core's plugins and settings read from a variable is refused, but for
    becoming somebody else on the same host."""
    root = Path(ansible.__file__).parent
    names: set[str] = {*constants.COMMON_CONNECTION_VARS}
    for mapped in constants.MAGIC_VARIABLE_MAPPING.values():
        names |= {*mapped}
    names |= _named(yaml.safe_load((root / "config/base.yml").read_text()))
    for kind in ("connection", "shell", "doc_fragments", "become", "strategy", "httpapi"):
        for path in (root / "plugins" / kind).glob("*.py"):
            for text in _documentation(path):
                names |= _named(yaml.safe_load(text))
    assert {"ansible_control_path", "ansible_psrp_proxy", "ansible_pipelining"} < names
    passing = {name for name in names if not REDIRECTING.match(name)}
    assert {n for n in passing if not re.match(r"ansible_become(_|\Z)|_z_test", n)} == set()


def _documentation(path: Path) -> list[str]:
    return [
        node.value.value
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
        and isinstance(node.targets[0], ast.Name)
        and (node.targets[0].id == "DOCUMENTATION" or path.parent.name == "doc_fragments")
        and "\n" in node.value.value
    ]


def _named(value: Any) -> set[str]:
    """Every `vars: [{name: …}]` in it."""
    found: set[str] = set()
    if isinstance(value, list):
        for item in value:
            found |= _named(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key == "vars" and isinstance(item, list):
                found |= {str(one["name"]) for one in item if "name" in one}
            found |= _named(item)
    return found


@pytest.mark.parametrize(
    "name",
    [
        "library/otapgate_fingerprint.py",
        "library/otapgate_fingerprint",
        "library/_otapgate_fingerprint.sh",
        "library/deep/otapgate_fingerprint.py",
        "roles/app/library/otapgate_fingerprint.py",
        "module_utils/otapgate_state/look.py",
        "roles/app/module_utils/otapgate_state.py",
        "module_utils/basic.py",
        "module_utils/common/text/x.py",
        "roles/app/module_utils/_internal/__init__.py",
        "collections/ansible_collections/ansible/builtin/plugins/modules/x.py",
    ],
)
def test_nothing_may_stand_in_for_what_looks_at_the_hosts(tmp_path: Path, name: str) -> None:
    """Ansible would take it before otapgate's own: a release could then say itself that
    its hosts are as they were."""
    path = tmp_path / "playbooks" / name
    path.parent.mkdir(parents=True)
    path.touch()
    found = scan_playbooks(tmp_path / "playbooks")
    assert any("take this for a part of" in one.message for one in found), found


@pytest.mark.parametrize(
    "name",
    ["library/agenda.py", "module_utils/agenda.py", "roles/app/library/agenda.py",
     "collections/ansible_collections/school/agenda/plugins/module_utils/basic.py"],
)  # fmt: skip
def test_a_releases_own_modules_may_be_there(tmp_path: Path, name: str) -> None:
    path = tmp_path / "playbooks" / name
    path.parent.mkdir(parents=True)
    path.touch()
    assert scan_playbooks(tmp_path / "playbooks") == []
