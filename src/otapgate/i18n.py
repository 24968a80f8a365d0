"""Dutch and English: every sentence a user sees goes through here.

Source strings are English; `locale/nl/LC_MESSAGES/otapgate.po` holds the Dutch. Codes,
JSON keys and enum values are never translated. `_` translates when called; `N_` only
marks a string for extraction, for tables that are built before the language is known.
"""

from __future__ import annotations

import errno
import gettext
from pathlib import Path

LANGUAGES = ("en", "nl")
_DIRECTORY = Path(__file__).parent / "locale"
_active: gettext.NullTranslations = gettext.NullTranslations()
_language = "en"


def use(language: str) -> None:
    """Make `language` ("en" or "nl") the one that `_` translates to; others mean en."""
    global _active, _language  # noqa: PLW0603 - one language per process, set at the edge
    _language = language if language in LANGUAGES else "en"
    if _language == "en":
        _active = gettext.NullTranslations()
    else:
        _active = gettext.translation("otapgate", _DIRECTORY, [_language], fallback=True)


def language() -> str:
    """The language in force."""
    return _language


def _(message: str) -> str:
    """`message` in the language in force."""
    return _active.gettext(message) if message else ""


def ngettext(singular: str, plural: str, n: int) -> str:
    """The form that fits `n`, in the language in force."""
    return _active.ngettext(singular, plural, n)


def N_(message: str) -> str:  # noqa: N802 - gettext's customary name
    """Mark `message` for extraction without translating it now."""
    return message


_REASONS = {
    errno.ENOENT: N_("there is no file or folder of that name"),
    errno.EACCES: N_("you may not"),
    errno.EPERM: N_("you may not"),
    errno.EISDIR: N_("it is a folder"),
    errno.ENOTDIR: N_("what should be a folder on the way to it isn't one"),
    errno.EEXIST: N_("there is something of that name already"),
    errno.ENOSPC: N_("the disk is full"),
    errno.EROFS: N_("the disk can only be read"),
    errno.ENAMETOOLONG: N_("the name is too long"),
}


def why(error: Exception) -> str:
    """What the system says of a file, in the language in force; as it says it when that
    isn't among the common ones. Of other errors their own text."""
    if not isinstance(error, OSError):
        return str(error)
    known = _REASONS.get(error.errno or 0)
    return _(known) if known is not None else error.strerror or str(error)
