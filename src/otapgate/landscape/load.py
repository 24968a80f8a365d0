"""Finding a landscape, loading it, checking all of it, and the cache that `status` uses.

This module starts fast: yaml and pydantic are imported only when files have to be read.
How files become values is in `read.py`; here nothing is decided about their content.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from otapgate import __version__, canonical
from otapgate.errors import BadInput, Problem
from otapgate.i18n import _, ngettext
from otapgate.landscape.model import Landscape, Value
from otapgate.private_file import write_private

ROOT_FILE = "otapgate.yml"
_MAX_CACHED = 16 * 1024 * 1024

CHECKS: tuple[tuple[str, str], ...] = (
    ("plans/*.yml", "otapgate.testing.plan:check_file"),
    ("releases/*.yml", "otapgate.release.build:check_file"),
    ("releases/*/release.yml", "otapgate.release.build:check_file"),
    ("anonymizers/*.yml", "otapgate.anonymize.plan:check_file"),
    ("changes/*.yml", "otapgate.change.vtw:check_file"),
    ("labs/*.yml", "otapgate.lab.draw:check_file"),
    ("parallel/*.yml", "otapgate.parallel.plan:check_file"),
)
"""Which files of a landscape another subject owns, and its checker `module:function`,
called as `check_file(path, root) -> list[Problem]`. Imported when there is such a file."""


def find_root(start: Path) -> Path:
    """The nearest folder at or above `start` that holds `otapgate.yml`.

    Raises BadInput `landscape-missing` when there is none.
    """
    here = start.absolute()
    for folder in (here, *here.parents):
        if (folder / ROOT_FILE).is_file():
            return folder
    raise BadInput(
        "landscape-missing",
        _("There is no landscape in {directory} or above it.").format(directory=start),
        remedy=_("Make one with 'otapgate init DIR', or name it with --landscape."),
        where=str(start),
    )


def sources(root: Path) -> list[str]:
    """Relative paths of the files that `load` reads, sorted. Hidden files don't count;
    names in `.yaml` do, because `load` must say that they aren't read."""
    folder = root / "environments"
    try:
        streets = [
            f"environments/{entry.name}"
            for entry in os.scandir(folder)
            if entry.name.endswith((".yml", ".yaml")) and not entry.name.startswith(".")
        ]
    except OSError:
        streets = []
    top = [ROOT_FILE, "policy.yml"]
    top += [
        name
        for name in ("calendar.yml", "otapgate.yaml", "policy.yaml", "calendar.yaml")
        if os.path.lexists(root / name)
    ]
    return sorted(top + streets)


def load(root: Path) -> Landscape:
    """The landscape whose `otapgate.yml` is in `root`.

    Raises BadInput `landscape-invalid` with every problem of every file.
    """
    from otapgate.landscape import read

    landscape, problems = read.landscape(root, sources(root))
    if landscape is None:
        raise invalid(root, problems)
    return landscape


def invalid(root: Path, problems: list[Problem]) -> BadInput:
    """The error that carries `problems`."""
    count = len(problems)
    return BadInput(
        "landscape-invalid",
        ngettext(
            "The landscape has {count} problem.", "The landscape has {count} problems.", count
        ).format(count=count),
        remedy=_("Mend what is listed, and run 'otapgate check'."),
        where=problems[0].where if problems else str(root),
        problems=tuple(problems),
    )


def check_all(root: Path) -> list[Problem]:
    """Every problem of every file of a landscape: its own and those that other subjects
    check. Raises ImportError when a checker is missing, because silence would pass for
    a clean bill."""
    from otapgate.landscape import read

    _landscape, problems = read.landscape(root, sources(root))
    for pattern, name in CHECKS:
        paths = sorted(path for path in root.glob(pattern) if not path.name.startswith("."))
        if paths:
            check = _checker(name)
            for path in paths:
                problems += check(path, root)
    for folder in sorted({pattern.split("/", 1)[0] for pattern, _name in CHECKS}):
        problems += [
            Problem(
                _("This file is not read, because its name ends in '.yaml'."),
                path.relative_to(root).as_posix(),
                remedy=_("Rename it to '.yml'."),
            )
            for path in sorted((root / folder).glob("*.yaml"))
        ]
    return problems


def _checker(name: str) -> Callable[[Path, Path], list[Problem]]:
    module, function = name.split(":")
    check: Callable[[Path, Path], list[Problem]] = getattr(
        importlib.import_module(module), function
    )
    return check


def with_people(landscape: Landscape, known: Iterable[tuple[str, str]]) -> Landscape:
    """`landscape` with every environment's owner replaced by a person id.

    `known` are enrolled names, each with a person id. Names are compared whole, without regard to
    case or Unicode form; "" stands for an owner whom nobody, or more than one person,
    is enrolled as. Digests stay as they are: owners aren't in them.
    """
    people: dict[str, str] = {}
    for name, person in known:
        key = folded(name)
        people[key] = person if people.get(key, person) == person else ""
    return msgspec.structs.replace(
        landscape,
        streets=tuple(
            msgspec.structs.replace(
                street,
                environments=tuple(
                    msgspec.structs.replace(env, owner=people.get(folded(env.owner), ""))
                    for env in street.environments
                ),
            )
            for street in landscape.streets
        ),
    )


def folded(name: str) -> str:
    """A name in the form in which two names are compared."""
    return unicodedata.normalize("NFC", name).casefold()


class _Cache(Value, frozen=True):
    """What the cache file holds."""

    tool: str
    sources: dict[str, str]
    """Digest of every file that the landscape was made of."""
    landscape: Landscape


def cached(root: Path, cache_dir: Path) -> Landscape:
    """The landscape, from `cache_dir/landscape.json` if no file has changed since.

    For showing, not for deciding: whoever may write the cache could make it say anything.
    Otherwise as `load`, after which the cache is renewed; a cache that can't be read or
    written is passed over.
    """
    digests = _digests(root)
    path = cache_dir / "landscape.json"
    if digests is not None:
        try:
            with path.open("rb") as stream:
                cache = msgspec.json.decode(stream.read(_MAX_CACHED), type=_Cache)
            if cache.tool == __version__ and cache.sources == digests:
                return cache.landscape
        except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass
    landscape = load(root)
    # Only what was the same before and after reading is certain to be what was read.
    if digests is not None and digests == _digests(root):
        with contextlib.suppress(OSError):
            write_private(path, msgspec.json.encode(_Cache(__version__, digests, landscape)))
    return landscape


def _digests(root: Path) -> dict[str, str] | None:
    """The digest of every source; None when one isn't an ordinary file."""
    digests = {}
    for name in sources(root):
        path = root / name
        try:
            if not path.is_file():
                return None
            digests[name] = canonical.digest(path.read_bytes())
        except OSError:
            return None
    return digests
