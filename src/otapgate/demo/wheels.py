"""The wheels of a release, fetched once by pip and kept.

A requirements file with a version and hashes for everything is turned into a folder of
wheels for one interpreter. What came in is kept in the user's cache, by the digest of
the requirements and the kind of interpreter, so a second run needs no network. Building
a release from the folder happens elsewhere.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from otapgate.errors import BadInput, Failed
from otapgate.i18n import _

_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==", re.MULTILINE)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_LIST = "wheels.json"
_KIND = (
    "import platform, sys, sysconfig;"
    "print(sys.implementation.cache_tag, sysconfig.get_platform(), platform.libc_ver()[0])"
)
"""Asks an interpreter for what decides which wheels fit it."""


def fetch(requirements: Path, target: Path, python: str = sys.executable) -> list[Path]:
    """Put the wheels that `requirements` pins into `target`, for the interpreter `python`.

    Every requirement must have a version and a hash. The network is used only when the
    cache (`$XDG_CACHE_HOME/otapgate/wheels`) doesn't hold them unharmed. Returns the
    wheels in `target`, sorted; other wheels there are removed, other files left alone.

    Raises BadInput (`requirements-unreadable`) for a file that can't be read or pins
    nothing, and Failed (`wheels-not-fetched`, `pip-missing`, `python-unusable`).
    """
    try:
        text = requirements.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(
            "requirements-unreadable",
            _("{file} can't be read: {why}.").format(file=requirements, why=error),
            where=str(requirements),
        ) from error
    if not _PIN.search(text) or not _HASH.search(text):
        raise BadInput(
            "requirements-unreadable",
            _("{file} pins no version with its hash.").format(file=requirements),
            remedy=_("Make it with `uv pip compile --generate-hashes`."),
            where=str(requirements),
        )
    kept = _cache() / hashlib.sha256(f"{text}\0{_kind(python)}".encode()).hexdigest()
    allowed = frozenset(_HASH.findall(text))
    if not _unharmed(kept, allowed):
        _download(requirements, kept, allowed, python)
    return _copy(kept, target)


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME", "")
    # A relative one is to be ignored, says the XDG base directory specification.
    base = Path(home) if Path(home).is_absolute() else Path.home() / ".cache"
    return base / "otapgate" / "wheels"


def _kind(python: str) -> str:
    """What decides which wheels fit: implementation, version, platform, C library."""
    try:
        done = subprocess.run(
            [python, "-I", "-c", _KIND], capture_output=True, text=True, check=True, timeout=60
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise Failed(
            "python-unusable",
            _("{python} doesn't run: {why}.").format(python=python, why=error),
            remedy=_("Name a Python interpreter of version 3.11 or later."),
        ) from error
    return done.stdout.strip()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unharmed(kept: Path, allowed: frozenset[str]) -> bool:
    """Whether the cache folder holds exactly what was put there, every byte of it."""
    try:
        listed = json.loads((kept / _LIST).read_bytes())
        found = {path.name: _digest(path) for path in kept.glob("*.whl")}
    except (OSError, ValueError):
        return False
    return bool(found) and found == listed and allowed.issuperset(found.values())


def _download(requirements: Path, kept: Path, allowed: frozenset[str], python: str) -> None:
    """Fetch into a folder aside and rename it, so that a cut leaves no half cache."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent, prefix=".fetching-") as aside:
        folder = Path(aside) / "wheels"
        with _pip(python) as pip:
            _run_pip(pip, requirements, folder)
        wheels = {path.name: _digest(path) for path in folder.glob("*.whl")}
        strange = sorted(name for name, digest in wheels.items() if digest not in allowed)
        if strange or not wheels:
            raise Failed(
                "wheels-not-fetched",
                _("pip brought no wheels, or others than asked for: {names}.").format(
                    names=", ".join(strange) or "-"
                ),
            )
        (folder / _LIST).write_text(json.dumps(wheels, sort_keys=True), "utf-8")
        shutil.rmtree(kept, ignore_errors=True)  # damaged, or there would be no download
        try:
            folder.rename(kept)
        except OSError:
            if not _unharmed(kept, allowed):  # else another process was first
                raise


def _run_pip(pip: list[str], requirements: Path, folder: Path) -> None:
    command = [*pip, "download", "--quiet", "--no-input", "--disable-pip-version-check"]
    command += ["--require-hashes", "--only-binary", ":all:", "--no-deps"]
    command += ["--dest", str(folder), "--requirement", str(requirements)]
    settings = os.environ | {"PIP_REQUIRE_VIRTUALENV": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env=settings, timeout=900
        )
        failed, said = done.returncode != 0, done.stderr
    except subprocess.TimeoutExpired:
        failed, said = True, _("no answer within 15 minutes")
    if failed:
        errors = [line for line in said.splitlines() if line.startswith("ERROR")]
        raise Failed(
            "wheels-not-fetched",
            _("The wheels in {file} could not be fetched: {why}").format(
                file=requirements, why=(errors or said.strip().splitlines() or ["?"])[-1]
            ),
            remedy=_(
                "Connect to a package index once and run this again, or let pip find the "
                "wheels without one: PIP_NO_INDEX=1 PIP_FIND_LINKS=FOLDER."
            ),
            where=str(requirements),
        )


@contextmanager
def _pip(python: str) -> Iterator[list[str]]:
    """A command that runs pip for the interpreter `python`, which may have none itself."""
    # A virtual environment may lack pip where the interpreter it was made from has one.
    # Any pip can work for another interpreter since 22.3.
    for near in ([python, "-m", "pip"], [_base(python), "-m", "pip", "--python", python]):
        if _works(near):
            yield near
            return
    with tempfile.TemporaryDirectory(prefix="otapgate-pip-") as folder:
        # ensurepip brings pip from the interpreter's own files, without the network.
        made = subprocess.run(
            [python, "-m", "venv", folder], capture_output=True, check=False, timeout=300
        )
        own = [str(Path(folder) / "bin" / "python"), "-m", "pip"]
        if made.returncode == 0 and _works(own):
            yield own
            return
    # Debian takes ensurepip out.
    for name in ("pip3", "pip"):
        other = shutil.which(name)
        if other and _works([other, "--python", python]):
            yield [other, "--python", python]
            return
    raise Failed(
        "pip-missing",
        _("No pip was found that works for {python}.").format(python=python),
        remedy=_("Install pip (on Debian: apt-get install python3-pip python3-venv)."),
    )


def _base(python: str) -> str:
    """The interpreter that a virtual environment was made from."""
    done = subprocess.run(
        [python, "-I", "-c", "import sys; print(sys._base_executable)"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.stdout.strip() or python


def _works(pip: list[str]) -> bool:
    try:
        done = subprocess.run([*pip, "--version"], capture_output=True, check=False, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0


def _copy(kept: Path, target: Path) -> list[Path]:
    target.mkdir(parents=True, exist_ok=True)
    names = {path.name for path in kept.glob("*.whl")}
    for path in target.glob("*.whl"):
        if path.name not in names:
            path.unlink()
    for name in names:
        shutil.copyfile(kept / name, target / name)
    return sorted(target / name for name in names)


def main() -> None:
    """`python -m otapgate.demo.wheels PYTHON REQUIREMENTS…`: keep them, for later without a
    network."""
    python, *files = sys.argv[1:]
    for file in files:
        with tempfile.TemporaryDirectory(prefix="otapgate-wheels-") as folder:
            fetch(Path(file), Path(folder), python)


if __name__ == "__main__":
    main()
