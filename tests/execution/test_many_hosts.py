"""CH06-09 on many hosts: who is behind is named, and what many share is one line."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otapgate.execution import compare
from otapgate.execution.ansible.module_utils.otapgate_state.look import fingerprint
from otapgate.execution.completeness import completeness, expected_installs, installed_files
from otapgate.execution.events import _unpacked
from otapgate.execution.fingerprints import MOST, Packed, Told, named
from otapgate.execution.journal import Journal
from otapgate.execution.promotion import Promotion
from otapgate.landscape.model import Host
from otapgate.release.manifest import Install, Manifest, ReleaseFile, State

from .conftest import Stage

OLD = {"app.py": "version = 1.0\n", "page.html": "old\n"}
NEW = {"app.py": "version = 1.1\n", "page.html": "new\n", "help.html": "help\n"}


def manifest(version: str, files: dict[str, str], root: str = "{{ home }}/demo") -> Manifest:
    """A release of the application `demo` with those files."""
    held = tuple(
        ReleaseFile(f"artifacts/demo/{path}", f"sha256:{hashed(text)}", len(text), False)
        for path, text in sorted(files.items())
    )
    return Manifest(
        "demo", version, "demo", (), {}, State(), (Install(root, "files", "artifacts/demo"),), held
    )


def hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def placed(home: Path, files: dict[str, str]) -> None:
    for path, text in files.items():
        (home / "demo").mkdir(parents=True, exist_ok=True)
        (home / "demo" / path).write_text(text)


def looked(home: Path) -> dict[str, Any]:
    """What the fingerprint module sees there."""
    spec = {"installs": [{"root": str(home / "demo"), "kind": "files", "ignore": []}]}
    seen: dict[str, Any] = fingerprint(spec)
    return seen


@pytest.fixture
def three(tmp_path: Path) -> list[str]:
    """Three servers with roots of their own; the new release is on all of them."""
    hosts = ["web1", "web2", "web3"]
    for host in hosts:
        placed(tmp_path / host, NEW)
    return hosts


def check(tmp_path: Path, hosts: list[str]) -> Any:
    seen = Packed({host: looked(tmp_path / host) for host in hosts})
    wanted = expected_installs(manifest("1.1", NEW), tmp_path)
    return completeness(wanted, seen, hosts, installed_files(manifest("1.0", OLD)))


def test_ch06_09_the_server_that_is_behind_is_named(tmp_path: Path, three: list[str]) -> None:
    assert check(tmp_path, three).outcome == "complete"
    for path in NEW:
        (tmp_path / "web3/demo" / path).unlink()
    placed(tmp_path / "web3", OLD)
    said = check(tmp_path, three)
    assert said.outcome == "incomplete"
    assert said.different == (f"web3: {tmp_path}/web3/demo: demo 1.0 where 1.1 was accepted",)
    assert (said.missing, said.extra) == ((), ())


def test_a_server_between_two_versions_is_told_file_by_file(
    tmp_path: Path, three: list[str]
) -> None:
    (tmp_path / "web2/demo/page.html").write_text(OLD["page.html"])
    (tmp_path / "web1/demo/help.html").unlink()
    (tmp_path / "web3/demo/shell.php").write_text("<?php")
    said = check(tmp_path, three)
    assert said.different == (f"web2: {tmp_path}/web2/demo/page.html",)
    assert said.missing == (f"web1: {tmp_path}/web1/demo/help.html",)
    assert said.extra == (f"web3: {tmp_path}/web3/demo/shell.php",)


def simulated(files: dict[str, str]) -> dict[str, Any]:
    return {"installs": [{"root": "/srv/demo", "files": {p: hashed(t) for p, t in files.items()}}]}


def test_what_a_hundred_hosts_share_is_one_line_with_the_hosts() -> None:
    hosts = [f"web{n}" for n in range(1, 201)]
    changed = {**NEW, "page.html": "edited"}
    seen = Packed(
        {
            host: simulated(changed if n <= 100 else OLD if n in (150, 151, 152, 153, 180) else NEW)
            for n, host in enumerate(hosts, 1)
        }
    )
    wanted = expected_installs(manifest("1.1", NEW, "/srv/demo"), Path("/"))
    older = installed_files(manifest("1.0", OLD, "/srv/demo"))
    said = completeness(wanted, seen, hosts, older)
    assert said.different == (
        "100 hosts (web[1:100]): /srv/demo/page.html",
        "5 hosts (web[150:153], web180): /srv/demo: demo 1.0 where 1.1 was accepted",
    )
    assert (said.missing, said.extra) == ((), ())
    one = completeness(wanted, {}, hosts)
    assert one.outcome == "unknown"
    assert one.missing == ("200 hosts (web[1:200]): not looked at",)


def test_a_state_of_many_hosts_is_compared_in_one_line_too() -> None:
    before = {f"web{n}": {"ports": {"80": "open"}} for n in range(50)}
    after = {**before, **{f"web{n}": {"ports": {"80": "closed"}} for n in range(10)}}
    del after["web49"]
    assert compare.compare_state(before, after) == (
        "10 hosts (web[0:9]): port 80: open → closed",
        "web49: not looked at after",
    )


@given(st.sets(st.from_regex(r"(web|db-)?[0-9]{0,3}(\.example)?", fullmatch=True), min_size=1))
def test_every_host_is_in_its_name_and_no_other(hosts: set[str]) -> None:
    found = set()
    for part in named(hosts).split(", "):
        before, bracket, rest = part.partition("[")
        if not bracket:
            found.add(part)
            continue
        numbers, _bracket, after = rest.partition("]")
        first, last = numbers.split(":")
        width = len(first) if first.startswith("0") else 0
        found |= {f"{before}{n:0{width}}{after}" for n in range(int(first), int(last) + 1)}
    assert found == hosts


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("xyz")), unique=True))
def test_nothing_is_lost_by_gathering(found: list[tuple[str, str]]) -> None:
    told = Told()
    for host, what in found:
        told.add(host, what)
    again = set()
    for line in told.lines():
        hosts, _colon, what = line.partition(": ")
        if "(" in hosts:
            hosts = hosts[hosts.index("(") + 1 : -1]
        again |= {(host, what) for host in hosts.split(", ")}
    assert again == set(found)


def test_no_more_than_can_be_read_is_named_and_the_rest_is_counted() -> None:
    told = Told()
    for n in range(MOST + 50):
        told.add("web1", f"file {n}")
        told.add("web2", f"file {n}")
    lines = told.lines()
    assert len(lines) == MOST + 1
    assert lines[-1] == f"and {MOST + 100} more"


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=5),
        st.dictionaries(st.sampled_from("ab"), st.text(max_size=5) | st.integers(-99, 99)),
    ).filter(lambda found: all(name.isascii() for name in found))
)
def test_fingerprints_come_back_from_the_journal_as_they_were(found: Any) -> None:
    import tempfile

    from otapgate import canonical

    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder))
        digest = journal.keep("x.json", Packed(found))
        data = journal.kept("x.json", digest)
    assert data == canonical.encode(found)
    assert dict(Packed.read(data)) == found


@pytest.mark.parametrize("data", [b"", b"[]", b'{"a":1}', b'{"a":{}', b'{"a":{}}x', b"{,}"])
def test_what_is_no_fingerprints_is_not_read(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        Packed.read(data)


def test_a_fingerprint_without_bottom_is_an_error_and_no_crash() -> None:
    deep: dict[str, Any] = {}
    for _level in range(100_000):
        deep = {"a": deep}
    packed = Packed()
    packed.put("web", deep)
    assert "nested too deeply" in packed["web"]["error"]
    assert json.dumps(_unpacked(None))
    while deep:  # taken apart by hand: the interpreter would do it by recursion
        deep = deep.pop("a")


FORGETFUL = """
- name: Deploy
  hosts: all
  gather_facts: false
  tasks:
    - name: Copy the application
      ansible.builtin.copy:
        src: "{{ otapgate_artifacts }}/artifacts/app/"
        dest: "{{ home }}/app/"
        mode: preserve
      when: inventory_hostname != "web3"
"""
BACK = """
- name: Roll back
  hosts: all
  gather_facts: false
  tasks:
    - name: Put the application back
      ansible.builtin.copy:
        src: "{{ otapgate_previous.artifacts }}/artifacts/app/"
        dest: "{{ home }}/app/"
        mode: preserve
"""
NOTHING = "- hosts: all\n  gather_facts: false\n  tasks: [{ansible.builtin.debug: {msg: ok}}]\n"


@pytest.mark.slow
def test_ch06_09_a_deployment_that_forgets_the_third_server_is_not_complete(stage: Stage) -> None:
    hosts = []
    for name in ("web1", "web2", "web3"):
        home = stage.folder / name
        shutil.copytree(stage.old[1] / "artifacts" / "app", home / "app")
        hosts.append(Host(name, {"ansible_connection": "local", "home": str(home)}))
    environment = msgspec.structs.replace(stage.environment, hosts=tuple(hosts))
    made = stage.release("1.1", deploy=FORGETFUL, verify=NOTHING, snapshot="", rollback=BACK)
    state = State(paths=("{{ home }}/app",))
    release = (msgspec.structs.replace(made[0], state=state), made[1])
    result = Promotion(stage.plan(release, environment=environment)).run()
    assert result.outcome == "rolled-back"
    behind = f"web3: {stage.folder}/web3/app: demo 1.0 where 1.1 was accepted"
    assert behind in result.message
    assert result.completeness.different == (behind,)
