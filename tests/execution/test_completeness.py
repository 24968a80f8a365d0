"""Wheels installed in a real virtual environment, whole and tampered with."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from base64 import urlsafe_b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from otapgate.errors import BadInput
from otapgate.execution.ansible.module_utils.otapgate_state.look import fingerprint
from otapgate.execution.completeness import Expected, completeness
from otapgate.execution.wheels import read_wheel, read_wheels
from otapgate.release.manifest import Install


def wheel(folder: Path, name: str, version: str) -> Path:
    """A small real wheel: a package, a console script, a data file."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}/__init__.py": f"version = {version!r}\ndef main(): print(version)\n",
        f"{name}-{version}.data/data/share/{name}/note.txt": "note\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\n"
        "Tag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[console_scripts]\n{name} = {name}:main\n",
    }
    record = "".join(
        f"{path},sha256={urlsafe_b64encode(sha256(text.encode()).digest()).rstrip(b'=').decode()},"
        f"{len(text.encode())}\n"
        for path, text in files.items()
    )
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for member, text in files.items():
            archive.writestr(member, text)
        archive.writestr(f"{info}/RECORD", f"{record}{info}/RECORD,,\n")
    return path


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with two wheels, installed by pip."""
    folder = tmp_path_factory.mktemp("wheels")
    (folder / "wheels").mkdir()
    for name in ("party", "country"):
        wheel(folder / "wheels", name, "8.0")
    # pip stays outside: a strange distribution in the environment would be one too many
    subprocess.run([sys.executable, "-m", "venv", str(folder / "tool")], check=True)
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")], check=True
    )
    install(folder, folder / "wheels/party-8.0-py3-none-any.whl")
    install(folder, folder / "wheels/country-8.0-py3-none-any.whl")
    return folder


def install(folder: Path, path: Path) -> None:
    command = [str(folder / "tool/bin/pip"), "--python", str(folder / "venv/bin/python")]
    command += ["install", "--quiet", "--no-index", "--no-deps", str(path)]
    subprocess.run(command, check=True, env={"PATH": "/usr/bin:/bin"})


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    subprocess.run(
        ["cp", "-a", f"{original}/venv", f"{original}/wheels", str(tmp_path)], check=True
    )
    return tmp_path


def check(folder: Path, ignore: tuple[str, ...] = ()) -> Any:
    place = Install(str(folder / "venv"), "wheels", "artifacts/wheels", ignore)
    expected = [Expected(place, wheels=read_wheels(folder / "wheels"))]
    spec = {"installs": [{"root": place.root, "kind": "wheels", "ignore": list(ignore)}]}
    return completeness(expected, {"web": fingerprint(spec)}, ["web"])


def site(folder: Path) -> Path:
    return next((folder / "venv/lib").glob("python*/site-packages"))


def test_exactly_the_wheels_is_complete(folder: Path) -> None:
    said = check(folder)
    assert (said.outcome, said.missing, said.different, said.extra) == ("complete", (), (), ())


def test_a_changed_file_is_named(folder: Path) -> None:
    (site(folder) / "party/__init__.py").write_text("version = 'x'\n")
    said = check(folder)
    assert said.outcome == "incomplete"
    assert said.different == (f"web: {site(folder)}/party/__init__.py",)


def test_a_missing_file_is_named(folder: Path) -> None:
    (site(folder) / "party/__init__.py").unlink()
    assert f"web: {site(folder)}/party/__init__.py" in check(folder).missing


def test_an_extra_file_in_a_package_is_named(folder: Path) -> None:
    (site(folder) / "party/more.py").touch()
    assert check(folder).extra == (f"web: {site(folder)}/party/more.py",)


def test_a_file_that_python_runs_at_start_is_named(folder: Path) -> None:
    (site(folder) / "evil.pth").write_text("import os\n")
    assert check(folder).extra == (f"web: {site(folder)}/evil.pth",)


def test_a_changed_script_is_named(folder: Path) -> None:
    with (folder / "venv/bin/party").open("a") as file:
        file.write("# more\n")
    assert check(folder).different == (f"web: {folder}/venv/bin/party",)


def test_another_version_is_named(folder: Path) -> None:
    next((folder / "wheels").glob("party*")).unlink()
    wheel(folder / "wheels", "party", "8.1")
    said = check(folder)
    assert said.different == (f"web: {folder}/venv: party 8.0 where 8.1 was accepted",)


def test_a_distribution_too_many_is_named_and_one_too_few(folder: Path) -> None:
    next((folder / "wheels").glob("party*")).unlink()
    wheel(folder / "wheels", "company", "8.0")
    said = check(folder)
    assert said.missing == (f"web: {folder}/venv: company 8.0",)
    assert f"web: {folder}/venv: party 8.0" in said.extra


def test_what_is_ignored_isnt_named(folder: Path) -> None:
    (site(folder) / "evil.pth").touch()
    (folder / "venv/var").mkdir()
    (folder / "venv/var/log").touch()
    assert check(folder, ("*.pth", "var")).outcome == "complete"


def test_an_environment_that_isnt_there_misses_everything(folder: Path) -> None:
    subprocess.run(["rm", "-r", str(folder / "venv")], check=True)
    said = check(folder)
    assert said.missing == (f"web: {folder}/venv: country 8.0", f"web: {folder}/venv: party 8.0")


def test_a_host_that_wasnt_looked_at_makes_it_unknown(folder: Path) -> None:
    place = Install(str(folder / "venv"), "wheels", "artifacts/wheels")
    said = completeness([Expected(place)], {}, ["web"])
    assert (said.outcome, said.missing) == ("unknown", ("web: not looked at",))


def test_a_release_that_installs_nothing_known_is_unknown() -> None:
    assert completeness([], {"web": {"installs": []}}, ["web"]).outcome == "unknown"


def test_a_file_that_is_no_wheel_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x-1-py3-none-any.whl").write_text("no")
    with pytest.raises(BadInput) as caught:
        read_wheel(tmp_path / "x-1-py3-none-any.whl")
    assert caught.value.code == "wheel-invalid"


def test_files_are_compared_with_modes_that_matter(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("#!/bin/sh\n")
    digest = sha256(b"#!/bin/sh\n").hexdigest()
    place = Install(str(tmp_path), "files", "artifacts/x")
    expected = [Expected(place, files={"run": digest}, executable=("run",))]
    spec = {"installs": [{"root": str(tmp_path), "kind": "files"}]}
    said = completeness(expected, {"web": fingerprint(spec)}, ["web"])
    assert said.different == (f"web: {tmp_path}/run (not executable)",)
    (tmp_path / "run").chmod(0o755)
    said = completeness(expected, {"web": fingerprint(spec)}, ["web"])
    assert said.outcome == "complete"
