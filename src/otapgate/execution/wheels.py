"""What an installation of wheels should hold, by the wheels' own RECORD.

Reads the wheels of a release, which are verified content, and knows how an installer
spreads a wheel over a virtual environment. Comparing with what a host holds is
`compare`'s.
"""

from __future__ import annotations

import base64
import configparser
import csv
import io
import re
import zipfile
from pathlib import Path

import msgspec

from otapgate.errors import BadInput
from otapgate.i18n import _

SITE = "{site}"
"""Stands for `lib/pythonX.Y/site-packages`, which differs from host to host."""
BY_INSTALLER = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json")
"""What installers add to a wheel's dist-info."""


class Wheel(msgspec.Struct, frozen=True):
    """One distribution as it should be installed."""

    name: str
    """Normalised as packaging does: lower case, hyphens."""
    version: str
    files: dict[str, str | None]
    """Path below the environment's root, `{site}` at the start where it applies →
    SHA-256 in hexadecimal, or None where the installer writes the content itself."""


def normalised(name: str) -> str:
    """The one spelling of a distribution's name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_wheels(folder: Path) -> tuple[Wheel, ...]:
    """Every wheel below `folder`, by name. Raises BadInput (`wheel-invalid`)."""
    return tuple(
        sorted(
            (read_wheel(path) for path in folder.rglob("*.whl")),
            key=lambda wheel: (wheel.name, wheel.version),
        )
    )


def read_wheel(path: Path) -> Wheel:
    """What one wheel installs. Raises BadInput (`wheel-invalid`)."""
    try:
        with zipfile.ZipFile(path) as archive:
            return _read(archive)
    except (OSError, zipfile.BadZipFile, KeyError, ValueError, StopIteration) as error:
        raise BadInput(
            "wheel-invalid",
            _("{name} isn't a wheel: {why}").format(name=path.name, why=error),
            where=str(path),
        ) from error


def _read(archive: zipfile.ZipFile) -> Wheel:
    info = next(
        name.split("/")[0]
        for name in archive.namelist()
        if name.count("/") == 1 and name.endswith(".dist-info/RECORD")
    )
    stem = info.removesuffix(".dist-info")
    name, _dash, version = stem.partition("-")
    for line in archive.read(f"{info}/METADATA").decode("utf-8", "replace").splitlines():
        key, _colon, value = line.partition(":")
        if not line:
            break
        name = value.strip() if key.lower() == "name" else name
        version = value.strip() if key.lower() == "version" else version
    files: dict[str, str | None] = {f"{SITE}/{info}/{own}": None for own in BY_INSTALLER}
    record = archive.read(f"{info}/RECORD").decode("utf-8")
    for row in csv.reader(io.StringIO(record)):
        if len(row) >= 2 and row[0] != f"{info}/RECORD":
            place, exact = _place(row[0], stem)
            files[place] = _hexadecimal(row[1]) if exact else None
    if f"{info}/entry_points.txt" in archive.namelist():
        for script in _scripts(archive.read(f"{info}/entry_points.txt").decode("utf-8")):
            files[f"bin/{script}"] = None
    return Wheel(normalised(name), version, files)


def _place(path: str, stem: str) -> tuple[str, bool]:
    """Where an installer puts a member, and whether it leaves the content as it is."""
    data = f"{stem}.data/"
    if not path.startswith(data):
        return f"{SITE}/{path}", True
    scheme, _slash, rest = path[len(data) :].partition("/")
    if scheme in ("purelib", "platlib"):
        return f"{SITE}/{rest}", True
    if scheme == "scripts":
        return f"bin/{rest}", False  # its first line is rewritten
    if scheme == "headers":
        return f"include/{rest}", False
    return rest, True


def _hexadecimal(recorded: str) -> str | None:
    kind, _equals, value = recorded.partition("=")
    if kind != "sha256":
        return None
    return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)).hex()


def _scripts(text: str) -> list[str]:
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None, strict=False)
    # as Python documents it for names whose case counts; its stubs call that a method
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read_string(text)
    except configparser.Error as error:
        raise ValueError(str(error)) from error
    return [
        name
        for section in ("console_scripts", "gui_scripts")
        if parser.has_section(section)
        for name in parser[section]
    ]
