"""Where a ledger lives: a copied landscape must not grow a second history.

The place is the landscape's real path on this machine; it is noted beside the ledger
and checked before every write. Reading a copy is fine; writing in one is refused until
a role administrator says that the ledger has moved.
"""

from __future__ import annotations

import json
from pathlib import Path

from otapgate import canonical, errors
from otapgate.i18n import _

_FILE = "place.json"


def identify(root: Path) -> dict[str, str]:
    """What identifies a place: the machine and the path."""
    return {"machine": _machine(), "path": str(root.resolve())}


def digest(root: Path) -> str:
    """The place as the ledger names it, so that no path or machine id stands in it."""
    found = identify(root)
    return canonical.digest_of({"machine": found["machine"], "path": found["path"]})


def settle(hidden: Path, root: Path) -> None:
    """Note that the ledger lives here."""
    hidden.mkdir(parents=True, exist_ok=True, mode=0o700)
    (hidden / _FILE).write_text(json.dumps(identify(root)) + "\n", encoding="utf-8")


def check(hidden: Path, root: Path) -> None:
    """Raise Integrity unless the ledger lives where it is opened."""
    here = identify(root)
    try:
        noted = json.loads((hidden / _FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        noted = None
    if noted == here:
        return
    was = noted.get("path", "?") if isinstance(noted, dict) else "?"
    raise errors.Integrity(
        "landscape-copied",
        _("This landscape is a copy: its ledger lives in {was}. Two histories of one"
          " ledger could never be told apart, so nothing is written here.").format(was=was),
        remedy=_("work in {was}; or, if it moved here for good: otapgate log move"
                 " --because TEXT").format(was=was),
        where=str(root),
    )  # fmt: skip


def _machine() -> str:
    for candidate in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        try:
            found = Path(candidate).read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            continue
        if found:
            # The id itself is meant to stay on the machine.
            return canonical.digest_of({"otapgate-machine": found})
    return "-"
