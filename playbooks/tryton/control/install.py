"""Puts the wheels of a release into a virtual environment of its own, and nothing else.

Built in its final place, since scripts and interpreter name it; `installed.json` is
written last and says that it is whole. `installer`, one of the release's own wheels,
unpacks them, so the environment needs no pip. Which release is in use isn't decided here.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import os
import platform
import re
import shutil
import sys
import sysconfig
import venv
from pathlib import Path

from place import Place, Wrong, digest, read_json, write_json

_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_VENV_OWN = re.compile(r"pyvenv\.cfg|\.gitignore|bin/(python[0-9.]*|[Aa]ctivate[.\w]*)|lib64")
"""What `python -m venv --without-pip` makes itself."""


def install(place: Place, name: str, artifacts: Path) -> bool:
    """Make the release's virtual environment whole; False when it already was."""
    wheels = _wheels(artifacts)
    root = place.release(name)
    wanted = {"python": f"{sys.implementation.cache_tag} {sys.version}", "wheels": wheels}
    if read_json(root / "installed.json") == wanted and not left_over(root / "venv"):
        return False
    (root / "installed.json").unlink(missing_ok=True)
    shutil.rmtree(root / "venv", ignore_errors=True)
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    venv.create(root / "venv", with_pip=False, symlinks=True)
    _unpack(artifacts / "wheels", sorted(wheels), root / "venv")
    problems = left_over(root / "venv")
    if problems:
        raise Wrong(f"The new virtual environment is not what was asked for: {problems[0]}.")
    write_json(root / "installed.json", wanted)
    return True


def _wheels(artifacts: Path) -> dict[str, str]:
    """Every wheel with its digest, once each is known to be pinned and to fit this host."""
    folder = artifacts / "wheels"
    found = {path.name: digest(path) for path in folder.glob("*.whl")}
    if not found:
        raise Wrong(f"There are no wheels in {folder}.")
    pins = [path for path in (folder, artifacts) if (path / "requirements.txt").is_file()]
    if not pins:
        raise Wrong(f"There is no requirements.txt in {folder} or {artifacts}.")
    pinned = set(_HASH.findall((pins[0] / "requirements.txt").read_text("utf-8")))
    for name, value in sorted(found.items()):
        if value not in pinned:
            raise Wrong(f"{name} has a digest that requirements.txt doesn't name.")
        if not _fits(name):
            raise Wrong(
                f"{name} is not for {sys.implementation.cache_tag} on {platform.machine()}. "
                "Build the release with the interpreter that the hosts have."
            )
    return found


def _fits(wheel: str) -> bool:
    """Whether the tags in a wheel's name suit this interpreter (PEP 425, roughly)."""
    python, abi, system = wheel.removesuffix(".whl").split("-")[-3:]
    own = sys.version_info[:2]
    pythons = [re.fullmatch(r"(py|cp)(\d)(\d*)", tag) for tag in python.split(".")]
    versions = [(m[1], (int(m[2]), int(m[3] or 0))) for m in pythons if m]
    if abi in ("none", "abi3"):
        suits = any(version[0] == 3 and version <= own for _kind, version in versions)
    else:
        suits = ("cp", own) in versions
    machine = sysconfig.get_platform().rpartition("-")[2]
    return suits and (system == "any" or any(s.endswith(machine) for s in system.split(".")))


def _unpack(folder: Path, wheels: list[str], root: Path) -> None:
    own = [name for name in wheels if name.startswith("installer-")]
    if not own:
        raise Wrong("The release lacks the `installer` wheel, which unpacks the others.")
    sys.path.insert(0, str(folder / own[0]))  # it works from its wheel
    from installer import install as put
    from installer.destinations import SchemeDictionaryDestination
    from installer.sources import WheelFile

    packages = root / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
    for name in wheels:
        scheme = {
            "purelib": str(packages),
            "platlib": str(packages),
            "scripts": str(root / "bin"),
            "data": str(root),
            "headers": str(root / "include" / name.partition("-")[0]),
        }
        destination = SchemeDictionaryDestination(
            scheme, interpreter=str(root / "bin" / "python"), script_kind="posix"
        )
        with WheelFile.open(folder / name) as source:
            put(source=source, destination=destination, additional_metadata={})


def left_over(root: Path) -> list[str]:
    """What in a virtual environment differs from the RECORDs of what is installed there:
    missing, changed and extra files, as sentences without a full stop."""
    problems: list[str] = []
    recorded: set[str] = set()
    for record in sorted(root.glob("lib/python3.*/site-packages/*.dist-info/RECORD")):
        packages = record.parent.parent
        with record.open(encoding="utf-8", newline="") as lines:
            for path, expected, _size in csv.reader(lines):
                file = Path(os.path.normpath(packages / path))
                relative = file.relative_to(root).as_posix()
                recorded.add(relative)
                if not file.is_file():
                    problems.append(f"{relative} is missing")
                elif expected and _record_hash(file) != expected:
                    problems.append(f"{relative} was changed")
    for folder, _folders, files in os.walk(root):
        for name in files:
            relative = (Path(folder) / name).relative_to(root).as_posix()
            if relative not in recorded and not _VENV_OWN.fullmatch(relative):
                problems.append(f"{relative} belongs to no wheel")
    if not recorded:
        problems.append("nothing is installed")
    return problems


def _record_hash(file: Path) -> str:
    value = hashlib.sha256(file.read_bytes()).digest()
    return "sha256=" + base64.urlsafe_b64encode(value).decode().rstrip("=")
