from __future__ import annotations

import os
from pathlib import Path

import pytest

from otapgate.landscape import scaffold

from .conftest import Run


def outcomes(answer) -> dict[str, str]:
    return {c["name"]: c["outcome"] for c in answer.json["checks"]}


def test_a_machine_that_has_it_all_is_exit_0(run: Run):
    beside = str(Path(os.sys.executable).parent)
    found = run("--json", "doctor", PATH=f"{beside}:{os.environ['PATH']}")
    assert found.code == 0
    assert found.json["ok"] is True
    assert not [n for n, o in outcomes(found).items() if o == "missing"]


def test_what_is_missing_is_named_with_the_command_that_mends_it(run: Run, tmp_path: Path):
    found = run("--json", "doctor", PATH=str(tmp_path))
    assert found.code == 1
    assert found.json["ok"] is False
    checks = {c["name"]: c for c in found.json["checks"]}
    assert checks["ssh"]["outcome"] == checks["ssh-keygen"]["outcome"] == "missing"
    assert checks["ssh"]["remedy"] == "sudo apt install openssh-client"


@pytest.mark.parametrize("asked", [False, True])
def test_mitogen_of_a_version_that_was_not_tried_is_named(run: Run, tmp_path: Path, asked: bool):
    """A landscape that asks for it can't promote; for others it is no more than a warning."""
    fake = tmp_path / "site" / "mitogen-0.1.dist-info"
    fake.mkdir(parents=True)
    (fake / "METADATA").write_text("Metadata-Version: 2.1\nName: mitogen\nVersion: 0.1\n")
    root = tmp_path / "linde"
    scaffold.create(root, stages=("T", "P"), name="De Linde", street="agenda", owner="Daan Jansen")
    if asked:
        with (root / "otapgate.yml").open("a") as file:
            file.write("execution: {strategy: mitogen}\n")
    found = run("--json", "doctor", cwd=root, PYTHONPATH=str(fake.parent))
    (check,) = [c for c in found.json["checks"] if c["name"] == "mitogen"]
    assert check["outcome"] == ("missing" if asked else "warn")
    assert "0.1" in check["found"]
    assert "mitogen==" in check["remedy"]


def test_another_encoding_is_missing_because_ansible_refuses_it(run: Run):
    found = run("--json", "doctor", LC_ALL="POSIX", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert outcomes(found)["locale"] == "missing"


@pytest.mark.permissions
def test_a_landscape_that_can_not_be_written_is_missing(run: Run, tmp_path: Path):
    (tmp_path / "otapgate.yml").write_text("name: x\n")
    tmp_path.chmod(0o500)
    assert outcomes(run("--json", "doctor"))["landscape-writable"] == "missing"


def test_an_agent_without_a_key_is_only_a_warning(run: Run):
    assert outcomes(run("--json", "doctor", SSH_AUTH_SOCK="/nowhere"))["ssh-agent"] == "warn"
