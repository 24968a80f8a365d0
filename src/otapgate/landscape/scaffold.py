"""A new landscape and a first release, as files to make your own.

The texts are in `skeleton/`: `@NAME@` stands for a value, and a line that begins with
`@en ` or `@nl ` is for that language only. Nothing that exists is ever overwritten, and
an interruption leaves nothing that passes for a landscape.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from otapgate.errors import BadInput, Problem
from otapgate.i18n import _
from otapgate.landscape.load import ROOT_FILE, sources
from otapgate.landscape.model import Stage

SKELETON = Path(__file__).parent / "skeleton"
_APP = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}\Z")
_CLASSES: dict[Stage, str] = {"O": "synthetic", "T": "anonymised", "A": "anonymised",
                              "P": "production"}  # fmt: skip
_TESTS = ("function", "security", "performance", "data", "rollback")
_PLAYBOOKS = ("deploy", "verify", "rollback", "snapshot", "restore")


def create(
    directory: Path,
    *,
    stages: Sequence[Stage],
    name: str,
    street: str,
    owner: str,
    language: str = "en",
    timezone: str = "Europe/Amsterdam",
    origin: str | None = None,
    today: dt.date | None = None,
) -> list[Path]:
    """Write a small, valid landscape with one street, and return its files.

    Every host is this machine, with a `home` below `directory/hosts/`. `owner` owns all
    environments; `today` picks the school year of the examples in the calendar. Raises
    BadInput: `directory-occupied` when there is a landscape or a file in the way,
    `landscape-invalid` when a name given here can't be one.
    """
    place = directory.absolute()
    if os.path.lexists(place / ROOT_FILE):
        raise _occupied(directory, [place / ROOT_FILE])
    values = {
        "NAME": _quoted(name),
        "LANGUAGE": language,
        "TIMEZONE": timezone,
        "ORIGIN": origin or f"otapgate.example/{_slug(name)}",
        "STREET": _quoted(street),
        "OWNER": _quoted(owner),
        **_school_year(today or dt.datetime.now(tz=dt.UTC).date()),
    }
    street_file = _fill("landscape/street.yml", values, language)
    for stage in stages:
        own = {
            "STAGE": stage,
            "HOST": _quoted(f"{street}-{stage}".lower()),
            "HOME": _quoted(str(place / "hosts" / f"{street}-{stage}")),
            "CLASS": _CLASSES[stage],
        }
        street_file += _fill("landscape/environment.yml", {**values, **own}, language)
    texts = {
        f"environments/{_slug(street)}.yml": street_file,
        ".gitignore": _fill("landscape/gitignore", values, language),
        **{
            file: _fill(f"landscape/{file}", values, language)
            for file in ("policy.yml", "calendar.yml", ROOT_FILE)
        },
        **{
            f"{folder}/README.md": _fill(f"landscape/folders/{folder}.md", values, language)
            for folder in ("plans", "releases", "playbooks", "anonymizers", "changes")
        },
        **_schemas(),
    }
    return _place(place, directory, texts, check=True)


def release_skeleton(root: Path, app: str, street: str, language: str = "en") -> list[Path]:
    """Write a release file, playbooks and a test plan for `app`, and return the files.

    They work as they are, for a folder of static files, and pass their checks. Where that
    folder holds files already, those are the application, and no page is made up. Raises
    BadInput: `name-invalid`, or `directory-occupied` when a file is in the way.
    """
    if not _APP.match(app):
        raise BadInput(
            "name-invalid",
            _("'{name}' can't be the name of an application.").format(name=app),
            remedy=_("Use lower-case letters, digits, '.', '_' and '-', a letter first."),
        )
    values = {"APP": app, "STREET": _quoted(street), "LANGUAGE": language}
    texts = {
        f"releases/{app}.yml": _fill("release/release.yml", values, language),
        f"plans/{app}.yml": _fill("release/plans/plan.yml", values, language),
    }
    own = root / "releases" / app
    if not (own.is_dir() and any(own.iterdir())):
        page = _fill("release/index.html", values, language)
        texts[f"releases/{app}/index.html"] = page
    for name in _PLAYBOOKS:
        texts[f"playbooks/{app}/{name}.yml"] = _fill(
            f"release/playbooks/{name}.yml", values, language
        )
    for name in _TESTS:
        texts[f"plans/{app}/{name}.yml"] = _fill(f"release/plans/{name}.yml", values, language)
    return _place(root.absolute(), root, texts, check=False)


def _fill(template: str, values: Mapping[str, str], language: str) -> str:
    lines = []
    for line in (SKELETON / template).read_text(encoding="utf-8").splitlines():
        marked = re.match(r"@(en|nl)( |$)", line)
        if marked is None:
            lines.append(line)
        elif marked[1] == ("nl" if language == "nl" else "en"):
            lines.append(line[len(marked[0]) :])
    text = "\n".join(lines) + "\n"
    return re.sub(r"@([A-Z]+)@", lambda found: values[found[1]], text)


def _quoted(value: str) -> str:
    """A YAML scalar that is read as exactly this text."""
    if re.fullmatch(r"[A-Za-z][A-Za-z-]*( [A-Za-z][A-Za-z-]*)*", value) and value.lower() not in (
        "null", "true", "false", "yes", "no", "on", "off", "y", "n",
    ):  # fmt: skip
        return value
    return json.dumps(value, ensure_ascii=False)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.casefold()).strip("-") or "landscape"


def _school_year(today: dt.date) -> dict[str, str]:
    """The years of the next spring and autumn, for dates that still matter."""
    return {
        "SPRING": str(today.year + (today.month > 5)),
        "AUTUMN": str(today.year + (today.month > 10)),
    }


def _schemas() -> dict[str, str]:
    from otapgate.landscape.schema import schemas

    return {
        f".otapgate/schema/{name}.json": json.dumps(make(), indent=1, ensure_ascii=False) + "\n"
        for name, make in schemas().items()
    }


def _place(place: Path, known_as: Path, texts: Mapping[str, str], *, check: bool) -> list[Path]:
    """Write aside, check there, then move into place; `otapgate.yml` comes last, because
    it makes a folder a landscape."""
    _refuse_collisions(place, known_as, texts)
    fresh = not place.exists()
    temporary: Path | None = None
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        # Beside the place, or within it when it is there, to be on the same file system.
        temporary = Path(
            tempfile.mkdtemp(prefix=".otapgate-init-", dir=place.parent if fresh else place)
        )
        for name, text in texts.items():
            path = temporary / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode("utf-8"))
        if (temporary / ".otapgate").exists():
            (temporary / ".otapgate").chmod(0o700)
        if check:
            _check(temporary)
        if fresh:
            temporary.chmod(0o755)
            temporary.rename(place)
        else:
            _move(temporary, place, sorted(texts, key=lambda name: name == ROOT_FILE))
    except UnicodeEncodeError as error:
        raise BadInput(
            "name-invalid",
            _("The directory's name is not UTF-8, so it can't stand in a file."),
            remedy=_("Choose a directory with another name."),
            where=ascii(str(known_as)),
        ) from error
    except OSError as error:
        raise BadInput(
            "directory-unwritable",
            _("Nothing was made in {directory}: {reason}.").format(
                directory=known_as, reason=error.strerror or error
            ),
            remedy=_("Check that you may write there and that the disk isn't full."),
            where=str(known_as),
        ) from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
    return [known_as / name for name in sorted(texts)]


def _move(temporary: Path, place: Path, names: Sequence[str]) -> None:
    """Move files in one by one; whatever goes wrong, take them and their folders out."""
    moved: list[Path] = []
    made: list[Path] = []
    try:
        for name in names:
            target = place / name
            for folder in reversed(target.relative_to(place).parents):
                if not (place / folder).exists():
                    (place / folder).mkdir(mode=0o700 if folder.name == ".otapgate" else 0o755)
                    made.append(place / folder)
            if os.path.lexists(target):
                continue  # the same bytes: _refuse_collisions has looked
            (temporary / name).rename(target)
            moved.append(target)
    except BaseException:
        for path in moved:
            path.unlink(missing_ok=True)
        for path in reversed(made):
            path.rmdir()
        raise


def _refuse_collisions(place: Path, known_as: Path, texts: Mapping[str, str]) -> None:
    """Files in the way that say something else. The same bytes are no collision: they are
    what is left when writing was killed, and doing it again must then work."""
    if os.path.lexists(place) and not place.is_dir():
        raise _occupied(known_as, [place])
    taken = []
    for name, text in texts.items():
        path = place / name
        if not os.path.lexists(path):
            # A file where a folder must come is in the way as well.
            taken += [p for p in path.parents if p.is_relative_to(place) and p.is_file()]
            continue
        ordinary = path.is_file() and not path.is_symlink()
        if not ordinary or path.read_bytes() != text.encode("utf-8", "replace"):
            taken.append(path)
    if taken:
        raise _occupied(known_as, taken)


def _occupied(directory: Path, taken: Sequence[Path]) -> BadInput:
    base = directory.absolute()
    names = sorted({str(p.relative_to(base)) if p != base else str(directory) for p in taken})
    return BadInput(
        "directory-occupied",
        _("{directory} holds files already that would be in the way: {names}.").format(
            directory=directory, names=", ".join(names)
        ),
        remedy=_("Choose another name or directory, or move those files away."),
        where=str(directory),
        problems=tuple(Problem(_("This file exists already."), name) for name in names),
    )


def _check(root: Path) -> None:
    """Names that were given may be no names: say so before anything is in place."""
    from otapgate.landscape import read
    from otapgate.landscape.load import invalid

    landscape, problems = read.landscape(root, sources(root))
    if landscape is None:
        raise invalid(root, problems)
