from __future__ import annotations

import datetime as dt
import json
import os
import sys
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


def with_worker(tmp_path: Path, *command: str) -> Path:
    """A landscape whose test environment has a worker."""
    place = tmp_path / "linde"
    scaffold.create(place, stages=("T", "P"), name="Linde", street="agenda", owner="Daan Jansen",
                    today=dt.date(2026, 2, 1))  # fmt: skip
    file = place / "environments/agenda.yml"
    line = f"    worker: {json.dumps({'command': command})}\n"
    file.write_text(file.read_text().replace("    access:", f"{line}    access:", 1))
    return place


def about_workers(found) -> list[tuple[str, str]]:
    return [(c["name"], c["outcome"]) for c in found.json["checks"] if "worker" in c["name"]]


def test_a_worker_is_spoken_with_only_when_that_is_asked_for(run: Run, tmp_path: Path):
    mark = tmp_path / "mark"
    place = with_worker(tmp_path, "touch", str(mark))
    found = run("--json", "doctor", cwd=place)
    assert about_workers(found) == [("worker agenda-T", "warn")]
    assert not mark.exists()
    found = run("--json", "doctor", "--workers", cwd=place)
    assert mark.exists()
    assert about_workers(found) == [("worker agenda-T", "missing")]
    assert found.code == 1
    assert "can't be reached" in found.out


def test_a_worker_that_is_like_this_side_is_fine(run: Run, tmp_path: Path):
    here = ("env", f"XDG_STATE_HOME={tmp_path}", sys.executable, "-m", "otapgate", "worker")
    place = with_worker(tmp_path, *here)
    assert about_workers(run("--json", "doctor", "--workers", cwd=place)) == [
        ("worker agenda-T", "ok")
    ]


def test_a_worker_whose_command_isnt_there_is_missing(run: Run, tmp_path: Path):
    place = with_worker(tmp_path, "no-such-program", "worker")
    assert about_workers(run("--json", "doctor", cwd=place)) == [("worker agenda-T", "missing")]
