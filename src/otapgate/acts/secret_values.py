"""The values of an environment's secrets: read from outside the landscape, when needed.

The landscape names them only; it is shared, and each decision keeps a copy of it. The
folder that OTAPGATE_SECRETS names holds a folder for every environment, and in that one
file for every secret, readable by its owner only.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from otapgate import errors
from otapgate.i18n import _
from otapgate.landscape.model import Environment
from otapgate.secrets_filter import SHORTEST

VARIABLE = "OTAPGATE_SECRETS"
LARGEST = 64 * 1024


def read(root: Path, environment: Environment) -> dict[str, str]:
    """The environment's secrets by name; nothing is read where it has none. A line break
    at the end isn't part of one. Raises BadInput when any of them can't be had, or isn't
    kept as a secret."""
    if not environment.secrets:
        return {}
    folder = os.environ.get(VARIABLE, "")
    if not folder:
        raise errors.BadInput(
            "secrets-missing",
            _("{environment} has secrets ({names}), and {variable} doesn't say where they are."
            ).format(environment=environment.name, names=", ".join(environment.secrets),
                     variable=VARIABLE),
            remedy=_("keep them outside the landscape, and set {variable} to that folder").format(
                variable=VARIABLE),
            where=environment.file,
        )  # fmt: skip
    place = Path(folder).expanduser().absolute()
    if place.resolve().is_relative_to(root.resolve()):
        raise errors.BadInput(
            "secrets-exposed",
            _("The folder of {variable} lies in the landscape.").format(variable=VARIABLE),
            remedy=_("move it out: a landscape is copied and shared"),
            where=str(place),
        )
    return {name: _value(place / environment.name / name) for name in environment.secrets}


def _value(path: Path) -> str:
    remedy = _("one value in a file that only you can read: chmod 600 {path}").format(path=path)
    try:
        # Opened once, then looked at: what was checked is what is read.
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            found = os.fstat(handle)
            data = file.read(LARGEST + 1) if stat.S_ISREG(found.st_mode) else b""
        text = data.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except OSError as error:
        raise errors.BadInput(
            "secret-missing",
            _("The secret {path} can't be read: {error}.").format(path=path, error=error.strerror),
            remedy=remedy,
            where=str(path),
        ) from error
    except UnicodeDecodeError:
        text = ""
    if found.st_mode & 0o077 or found.st_uid != os.geteuid():
        raise errors.BadInput(
            "secret-exposed",
            _("The secret {path} can be read by others than you.").format(path=path),
            remedy=remedy,
            where=str(path),
        )
    if not len(text.strip()) >= SHORTEST or len(data) > LARGEST:
        raise errors.BadInput(
            "secret-malformed",
            _("The secret {path} isn't text of {least} characters or more, at most 64 KiB."
            ).format(path=path, least=SHORTEST),
            remedy=_("a shorter one can't be kept out of what is written"),
            where=str(path),
        )  # fmt: skip
    return text
