"""What Ansible Vault sealed is read by the guard as Ansible will read it, or refused."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from otapgate.errors import BadInput, Problem
from otapgate.execution import vault
from otapgate.execution.redirects import scan_playbooks
from otapgate.execution.runner import Settings, run_playbooks
from otapgate.landscape.model import Environment, Host

PASSWORD = "Kluis-openen-51"
SECRETS = {vault.SECRET: PASSWORD}
PLAY = "- hosts: all\n  gather_facts: false\n"


@pytest.fixture(scope="session")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Texts, sealed by Ansible's own program."""
    texts = {
        "harmless": "mail_password: Postzegel-88\nretries: '12'\n",
        "redirects": "# a comment\nansible_host: 192.0.2.9\n",
        "looks up": "page: \"{{ lookup('url', 'https://p.example') }}\"\n",
        "a lookup": "{{ lookup('pipe', 'ssh p') }}",
        "localhost": "localhost",
        "p": "p",
        "tasks": "- command: id\n  delegate_to: p\n",
        "value": "Postzegel-88",
    }
    folder = tmp_path_factory.mktemp("sealed")
    (folder / "password").write_text(PASSWORD)
    for number, text in enumerate(texts.values()):
        (folder / str(number)).write_text(text)
    subprocess.run(
        [
            Path(sys.executable).with_name("ansible-vault"), "encrypt",
            "--vault-password-file", folder / "password",
            *(str(folder / str(number)) for number in range(len(texts))),
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    return {name: (folder / str(n)).read_text() for n, name in enumerate(texts)}


def scan(folder: Path, files: dict[str, str], secrets: dict[str, str]) -> list[Problem]:
    for name, text in files.items():
        path = folder / "playbooks" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return scan_playbooks(folder / "playbooks", ("web",), "demo-A", secrets)


def inline(sealed: str, before: str = "  vars:\n    secret: ") -> str:
    return PLAY + before + "!vault |\n" + textwrap.indent(sealed, " " * 10)


def test_without_the_password_nothing_sealed_passes(tmp_path: Path, sealed: dict[str, str]) -> None:
    found = scan(
        tmp_path,
        {
            "group_vars/all.yml": sealed["harmless"],
            "deploy.yml": inline(sealed["value"]),
            "templates/page.j2": sealed["value"],
        },
        {},
    )
    assert [(x.file, x.line) for x in found] == [
        ("playbooks/deploy.yml", 4), ("playbooks/group_vars/all.yml", 1),
        ("playbooks/templates/page.j2", 1),
    ]  # fmt: skip
    assert {x.remedy for x in found} == {
        "Put ansible_vault_password below the environment's 'secrets:'."
    }


def test_with_the_password_what_is_harmless_passes(tmp_path: Path, sealed: dict[str, str]) -> None:
    files = {
        "group_vars/all.yml": sealed["harmless"],
        "deploy.yml": inline(sealed["value"]),
        "verify.yml": inline(sealed["localhost"], "  tasks:\n    - command: id\n"
                             "      delegate_to: "),
        "templates/page.j2": sealed["value"],
    }  # fmt: skip
    assert scan(tmp_path, files, SECRETS) == []


@pytest.mark.parametrize(
    ("file", "text", "line"),
    [
        ("group_vars/all.yml", "redirects", 2),
        ("host_vars/web", "redirects", 2),
        ("roles/app/vars/main.yml", "looks up", 1),
        ("tasks/more.yml", "tasks", 2),
        ("templates/page.j2", "a lookup", None),
    ],
)
def test_what_a_sealed_file_hides_is_found(
    tmp_path: Path, sealed: dict[str, str], file: str, text: str, line: int | None
) -> None:
    (found,) = scan(tmp_path, {file: sealed[text]}, SECRETS)
    assert (found.file, found.line) == (f"playbooks/{file}", line)


@pytest.mark.parametrize(
    ("text", "before"),
    [
        ("a lookup", "  vars:\n    page: "),
        ("p", "  tasks:\n    - command: id\n      delegate_to: "),
        ("p", "  tasks:\n    - command: id\n      vars: {x: y}\n      connection: "),
        ("value", "  vars:\n    x: y\n    ? "),
    ],
)
def test_what_a_sealed_value_hides_is_found(
    tmp_path: Path, sealed: dict[str, str], text: str, before: str
) -> None:
    assert scan(tmp_path, {"deploy.yml": inline(sealed[text], before)}, SECRETS)


def test_json_cannot_say_vault_in_a_way_that_is_not_read(
    tmp_path: Path, sealed: dict[str, str]
) -> None:
    text = json.dumps({"x": {"__ansible_vault": sealed["value"]}})
    (found,) = scan(tmp_path, {"vars/x.json": text}, SECRETS)
    assert found.line == 1


def test_a_release_is_built_without_anybodys_password(
    tmp_path: Path, sealed: dict[str, str]
) -> None:
    assert scan(tmp_path, {"group_vars/all.yml": sealed["redirects"]}, SECRETS)
    assert scan_playbooks(tmp_path / "playbooks") == []  # each promotion looks again


def test_a_wrong_password_is_said_by_file_and_line(tmp_path: Path, sealed: dict[str, str]) -> None:
    files = {"group_vars/all.yml": sealed["harmless"], "deploy.yml": inline(sealed["value"])}
    wrong = {vault.SECRET: "something else"}
    found = scan(tmp_path, files, wrong)
    with pytest.raises(BadInput) as caught:
        vault.hidden_values([tmp_path / "playbooks"], wrong)
    for problems in (found, caught.value.problems):
        assert [(x.file, x.line) for x in problems] == [
            ("playbooks/deploy.yml", 4), ("playbooks/group_vars/all.yml", 1),
        ]  # fmt: skip
        assert all("doesn't open it" in x.message for x in problems)
    assert caught.value.code == "vault-closed"


def test_what_is_not_what_it_seems_stays_closed(tmp_path: Path) -> None:
    files = {"vars/a.yml": "$ANSIBLE_VAULT;1.1;AES256\nno hex\n", "vars/b.yml": "$ANSIBLE_VAULT"}
    assert len(scan(tmp_path, files, SECRETS)) == 2


def test_values_that_were_sealed_are_hidden_but_ordinary_words(
    tmp_path: Path, sealed: dict[str, str]
) -> None:
    scan(tmp_path, {"group_vars/all.yml": sealed["harmless"],
                    "deploy.yml": inline(sealed["a lookup"])}, SECRETS)  # fmt: skip
    found = vault.hidden_values([tmp_path / "playbooks"], SECRETS)
    assert set(found) == {"Postzegel-88", "{{ lookup('pipe', 'ssh p') }}"}
    assert vault.hidden_values([tmp_path / "playbooks"], {}) == ()


def test_ansible_opens_it_the_playbook_has_no_password_and_nothing_is_left(
    tmp_path: Path, sealed: dict[str, str]
) -> None:
    playbooks = tmp_path / "playbooks"
    (playbooks / "group_vars").mkdir(parents=True)
    (playbooks / "group_vars/all.yml").write_text(sealed["harmless"])
    out = tmp_path / "out"
    (playbooks / "deploy.yml").write_text(
        inline(sealed["value"]) + "  tasks:\n"
        f"    - copy: {{content: '{{{{ mail_password }}}} {{{{ secret }}}}', dest: {out}}}\n"
        "    - debug: {msg: 'it is {{ mail_password }}'}\n"
        "    - fail: {msg: 'the key is {{ ansible_vault_password | default(\"hidden\") }}'}\n"
    )
    hidden = vault.hidden_values([playbooks], SECRETS)
    environment = Environment(
        name="demo-A", stage="A", street="demo", owner="Fenna",
        hosts=(Host("web", {"ansible_connection": "local"}),),
    )  # fmt: skip
    settings = Settings(
        environment=environment, run_dir=tmp_path / "run", lock=tmp_path / "lock",
        secrets=SECRETS, hidden=hidden,
    )  # fmt: skip
    result = run_playbooks(settings, [playbooks / "deploy.yml"], label="deploy", variables={})
    assert out.read_text() == "Postzegel-88 Postzegel-88"
    assert "the key is hidden" in result.message
    written = result.output.read_text()
    assert "it is ********" in written
    assert "Postzegel" not in written
    out.unlink()
    for path in (tmp_path / "run").rglob("*"):
        if path.is_file():
            assert PASSWORD not in path.read_text()
