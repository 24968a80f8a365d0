"""Reaching hosts over a real SSH server: keys, passwords of sudo, what goes wrong."""

from __future__ import annotations

import ast
import os
import sys
import time
from pathlib import Path

import msgspec
import pytest
from tests.probe.conftest import Hosts

from otapgate.errors import BadInput
from otapgate.probe import on_host, remote
from otapgate.probe.connection import Become, Way, ways

PARTS = {"sweep": {"targets": [], "seconds": 1.0}}


def ask(road: list[Way], script: str = "", seconds: float = 20) -> list[remote.Answer]:
    return remote.run(road, lambda _way: script or on_host.script(PARTS), seconds=seconds)


def here(**fields: object) -> Way:
    return Way("T", "t1", True, python=sys.executable, **fields)  # type: ignore[arg-type]


def test_every_host_answers_by_its_pinned_key(hosts: Hosts) -> None:
    found = ask(ways(hosts.environment("T", 0, 1), {}))
    assert [answer.value for answer in found] == [{"sweep": [], "unknown": []}] * 2
    assert all(answer.key.startswith("SHA256:") for answer in found)


def test_another_host_key_gets_nothing_and_is_named(hosts: Hosts) -> None:
    described = hosts.environment("T", 0, 1)
    hosts.servers[1].renew()
    good, bad = ask(ways(described, {}))
    assert (good.changed, bad.changed, bad.value) == (False, True, None)
    assert bad.problem.startswith("t1 shows another SSH host key")
    assert "Accepted" not in (hosts.servers[1].folder / "log").read_text()


def test_a_host_without_a_pinned_key_isnt_reached(hosts: Hosts) -> None:
    described = hosts.environment("T", 0, 1, host_keys={"t0": (hosts.servers[0].host_key,)})
    with pytest.raises(BadInput) as caught:
        ways(described, {})
    assert caught.value.code == "host-keys-missing"
    assert caught.value.remedy == "otapgate env pin agenda-T"
    assert "t1" in caught.value.message


def test_a_host_of_which_only_another_kind_of_key_is_pinned_is_another(hosts: Hosts) -> None:
    other = (
        "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBGFhYWFhYWFhYWFh"
    )
    (answer,) = ask(ways(hosts.environment("T", 0, host_keys={"t0": (other,)}), {}))
    assert answer.changed


def test_a_closed_port_a_wrong_key_and_a_jump_host_are_unknown(
    hosts: Hosts, tmp_path: Path
) -> None:
    from tests.probe.sshd import make_key

    make_key(tmp_path / "wrong")
    described = hosts.environment(
        "T", 0, variables={"ansible_ssh_common_args": "-J deploy@jump.example"}
    )
    (jump,) = ask(ways(described, {}))
    assert (jump.value, "ansible_ssh_common_args" in jump.problem) == (None, True)
    (road,) = ways(hosts.environment("T", 0), {})
    wrong = msgspec.structs.replace(road, key_file=str(tmp_path / "wrong"))
    closed = msgspec.structs.replace(road, port=1)
    found = ask([wrong, closed])
    assert [answer.value for answer in found] == [None, None]
    assert "doesn't let otapgate in" in found[0].problem
    assert "can't be reached" in found[1].problem


def test_a_host_that_doesnt_end_is_unknown_in_time(hosts: Hosts) -> None:
    begun = time.monotonic()
    slow, local = ask(
        [*ways(hosts.environment("T", 0), {}), here()], "import time; time.sleep(60)", seconds=1
    )
    assert time.monotonic() - begun < 20
    assert "in time" in slow.problem
    assert "in time" in local.problem


@pytest.mark.parametrize(
    "script",
    ["print('no JSON')", "print('[1]')", "raise SystemExit(3)", "import os; os.abort()",
     "print('{\"a\": ' * 9999)"],
)  # fmt: skip
def test_an_answer_that_is_none_is_unknown(hosts: Hosts, script: str) -> None:
    for answer in ask([*ways(hosts.environment("T", 0), {}), here()], script):
        assert answer.value is None
        assert answer.problem


def test_an_endless_answer_is_cut_off() -> None:
    (answer,) = ask([here()], "import sys\nwhile True: sys.stdout.write('x' * 65536)")
    assert (answer.value, answer.problem) == (None, "t1 answers more than it should.")


def fake_sudo(folder: Path, body: str) -> None:
    """A `sudo` that asks as the real one does; the real one would need a system account."""
    path = folder / "sudo"
    path.write_text(f"#!{sys.executable}\nimport os, sys\n{body}")
    path.chmod(0o755)


ASKING = """
words = sys.argv[1:]
prompt = words[words.index("-p") + 1]
given = b""
sys.stderr.write(prompt); sys.stderr.flush()
while not given.endswith(b"\\n"):
    given += os.read(0, 1)
if given != b"correct horse\\n":
    sys.stderr.write("Sorry, try again.\\n" + prompt); sys.stderr.flush()
    os.read(0, 1)
    sys.exit(1)
command = words[words.index("--") + 1:]
os.execv(command[0], command)
"""


def test_sudo_gets_its_password_when_it_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    fake_sudo(tmp_path, ASKING)
    monkeypatch.setattr(os, "defpath", f"{tmp_path}:{os.defpath}")
    (good,) = ask([here(become=Become("root", "correct horse"))])
    assert good.value is not None, good.problem
    (wrong,) = ask([here(become=Become("root", "battery staple"))])
    (none,) = ask([here(become=Become("root"))])
    assert (wrong.value, none.value) == (None, None)
    assert "password" in wrong.problem
    assert "battery staple" not in wrong.problem


def test_a_sudo_that_asks_nothing_gets_no_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    fake_sudo(tmp_path, 'c = sys.argv[sys.argv.index("--") + 1:]\nos.execv(c[0], c)\n')
    monkeypatch.setattr(os, "defpath", f"{tmp_path}:{os.defpath}")
    script = "import json, sys; print(json.dumps({'rest': sys.stdin.read()}))"
    (answer,) = ask([here(become=Become("root", "correct horse"))], script)
    assert answer.value == {"rest": ""}


def test_neither_script_nor_password_stands_among_the_arguments() -> None:
    road = here(become=Become("root", "correct horse"))
    words = remote.command(road, "mark", "prompt:")
    assert "correct horse" not in " ".join(words)
    assert len(" ".join(words)) < 300


@pytest.mark.parametrize("name", ["reading", "sweep", "possessions", "accounts", "system"])
def test_what_is_sent_is_python_3_8_and_its_library(name: str) -> None:
    tree = ast.parse(on_host._text(name), feature_version=(3, 8))
    roots = {
        (node.module or "").split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
    } | {a.name.split(".")[0] for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    assert roots <= set(sys.stdlib_module_names)


def test_the_keys_that_hosts_show_are_fetched(hosts: Hosts) -> None:
    roads = ways(hosts.environment("T", 0, 1), {})
    found = remote.fetch_host_keys(roads, ("ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa"))
    assert found == {f"t{n}": [hosts.servers[n].host_key] for n in (0, 1)}
    hosts.servers[0].stop()
    gone = remote.fetch_host_keys(roads, ("ssh-ed25519",))["t0"]
    assert isinstance(gone, str)
    assert "can't be reached" in gone
