"""Wheels are fetched once, checked every time; with real pip and no network."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from otapgate.demo.wheels import fetch
from otapgate.errors import BadInput, Failed


def make_wheel(folder: Path, name: str) -> Path:
    """A wheel with one module, valid in every field that pip looks at."""
    info = f"{name}-1.0.dist-info"
    files = {
        f"{name}.py": b"VALUE = 1\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    for path, content in files.items():
        value = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
        record += f"{path},sha256={value},{len(content)}\n"
    folder.mkdir(exist_ok=True)
    wheel = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)
        archive.writestr(f"{info}/RECORD", record + f"{info}/RECORD,,\n")
    return wheel


def pin(file: Path, *wheels: Path) -> Path:
    lines = [
        f"{wheel.name.split('-')[0]}==1.0 \\\n"
        f"    --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"
        for wheel in wheels
    ]
    file.write_text("".join(lines))
    return file


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all pip may look in; settings of this machine are left out."""
    for name in ("PIP_CONFIG_FILE", "PIP_CONSTRAINT"):
        monkeypatch.setenv(name, "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    make_wheel(tmp_path / "index", "linde")
    make_wheel(tmp_path / "index", "wilg")
    return tmp_path / "index"


@pytest.fixture
def requirements(tmp_path: Path, index: Path) -> Path:
    return pin(tmp_path / "requirements.txt", *sorted(index.iterdir()))


def forget(index: Path) -> None:
    for wheel in index.iterdir():
        wheel.unlink()


def test_what_was_kept_beforehand_needs_no_index_later(
    tmp_path: Path, index: Path, requirements: Path
) -> None:
    command = [sys.executable, "-m", "otapgate.demo.wheels", sys.executable, str(requirements)]
    subprocess.run(command, check=True, timeout=120)
    names = sorted(path.name for path in index.iterdir())
    forget(index)
    assert [path.name for path in fetch(requirements, tmp_path / "one")] == names


def test_the_second_time_nothing_is_fetched(
    tmp_path: Path, index: Path, requirements: Path
) -> None:
    first = fetch(requirements, tmp_path / "one")
    assert [path.name for path in first] == sorted(path.name for path in index.iterdir())
    forget(index)
    second = fetch(requirements, tmp_path / "two")
    assert [path.read_bytes() for path in second] == [path.read_bytes() for path in first]


def test_a_damaged_cache_is_fetched_again(tmp_path: Path, index: Path, requirements: Path) -> None:
    whole = [path.read_bytes() for path in fetch(requirements, tmp_path / "one")]
    (kept,) = tmp_path.glob("cache/otapgate/wheels/*/linde-*.whl")
    kept.write_bytes(b"not a wheel")
    assert [path.read_bytes() for path in fetch(requirements, tmp_path / "two")] == whole
    kept.unlink()
    assert [path.read_bytes() for path in fetch(requirements, tmp_path / "three")] == whole


def test_a_stranger_in_the_cache_is_never_handed_out(
    tmp_path: Path, index: Path, requirements: Path
) -> None:
    fetch(requirements, tmp_path / "one")
    (kept,) = tmp_path.glob("cache/otapgate/wheels/*/linde-*.whl")
    make_wheel(kept.parent, "stranger")
    names = [path.name.split("-")[0] for path in fetch(requirements, tmp_path / "two")]
    assert names == ["linde", "wilg"]


def test_other_requirements_are_another_cache_and_replace_the_wheels(
    tmp_path: Path, index: Path, requirements: Path
) -> None:
    fetch(requirements, tmp_path / "wheels")
    (tmp_path / "wheels" / "requirements.txt").write_text("kept")
    pin(requirements, index / "wilg-1.0-py3-none-any.whl")
    assert [p.name for p in fetch(requirements, tmp_path / "wheels")] == [
        "wilg-1.0-py3-none-any.whl"
    ]
    assert sorted(path.name for path in (tmp_path / "wheels").iterdir()) == [
        "requirements.txt",
        "wilg-1.0-py3-none-any.whl",
    ]


def test_a_failure_says_what_to_do_and_leaves_nothing_behind(
    tmp_path: Path, index: Path, requirements: Path
) -> None:
    forget(index)
    with pytest.raises(Failed) as caught:
        fetch(requirements, tmp_path / "wheels")
    assert caught.value.code == "wheels-not-fetched"
    assert "linde==1.0" in caught.value.message
    assert caught.value.remedy is not None
    assert "PIP_FIND_LINKS" in caught.value.remedy
    assert list(tmp_path.glob("cache/otapgate/wheels/*")) == []
    assert not (tmp_path / "wheels").exists()


def test_a_wheel_with_another_digest_than_pinned_is_refused(
    tmp_path: Path, index: Path, requirements: Path
) -> None:
    wheel = index / "linde-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("extra.py", "")
    with pytest.raises(Failed) as caught:
        fetch(requirements, tmp_path / "wheels")
    assert caught.value.code == "wheels-not-fetched"


def test_requirements_without_hashes_are_refused(tmp_path: Path, index: Path) -> None:
    loose = tmp_path / "loose.txt"
    loose.write_text("linde==1.0\n")
    with pytest.raises(BadInput) as caught:
        fetch(loose, tmp_path / "wheels")
    assert caught.value.code == "requirements-unreadable"


def test_an_interpreter_that_does_not_run_is_named(tmp_path: Path, requirements: Path) -> None:
    with pytest.raises(Failed) as caught:
        fetch(requirements, tmp_path / "wheels", python=str(tmp_path / "python"))
    assert caught.value.code == "python-unusable"


def test_the_interpreter_that_is_asked_for_decides(
    tmp_path: Path, index: Path, requirements: Path
) -> None:
    # A link to the interpreter outside its virtual environment: another path, same kind.
    base = Path(sys.executable).resolve()
    fetch(requirements, tmp_path / "one")
    forget(index)
    assert len(fetch(requirements, tmp_path / "two", python=str(base))) == 2
