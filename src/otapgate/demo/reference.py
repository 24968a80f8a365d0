"""Where the reference landscape's files are, in a checkout or in an installed package."""

from __future__ import annotations

from pathlib import Path

from otapgate import errors
from otapgate.i18n import _

_PARTS = ("environments", "playbooks", "anonymizers")


def folder() -> Path:
    """The folder that holds `environments/`, `playbooks/` and `anonymizers/`."""
    package = Path(__file__).resolve().parent.parent
    for candidate in (package / "reference", package.parent.parent):
        if all((candidate / part).is_dir() for part in _PARTS):
            return candidate
    raise errors.Failed(
        "reference-missing",
        _("The example's files are not in this installation of otapgate."),
        remedy=_("install otapgate anew from its wheel or its repository"),
    )
