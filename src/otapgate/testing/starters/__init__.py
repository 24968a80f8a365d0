"""First test plans, one for each kind of thing that a school changes.

Each is a folder beside this module with a `plan.yml`, and the files that it needs in
`files`. They hold what such a plan should show (function, security, performance, data,
rollback); remarks that begin with `FILL IN` name what only the school knows.
"""

from __future__ import annotations

import re
from pathlib import Path

from otapgate import errors
from otapgate.i18n import _, why

KINDS = ("web", "database", "workplace", "network", "saas")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


def write(kind: str, output: Path, app: str | None = None) -> list[Path]:
    """Write the plan to `output`, and its files to a folder of the same name beside it;
    what was written. Raises Usage for an unknown kind and for a name that can't be a
    plan's, BadInput where something is there already."""
    if kind not in KINDS:
        raise errors.Usage(
            "kind-unknown", _("There is no first plan of the kind {kind}.").format(kind=kind),
            remedy=_("one of: {known}").format(known=", ".join(KINDS)),
        )  # fmt: skip
    name = output.stem
    for word in (name, app or name):
        if not _NAME.fullmatch(word):
            raise errors.Usage(
                "name-malformed",
                _("'{name}' can't be the name of a plan or an application: small letters, digits,"
                  " dots and hyphens.").format(name=word),
            )  # fmt: skip
    source = Path(__file__).parent / kind
    text = (source / "plan.yml").read_text("utf-8")
    text = text.replace("PLAN_NAME", name).replace("APP_NAME", app or name)
    wanted = {output: text}
    for file in sorted((source / "files").glob("*")):
        if file.is_file():
            wanted[output.parent / name / file.name] = file.read_text("utf-8")
    there = [path for path in wanted if path.exists()]
    if there:
        raise errors.BadInput(
            "file-exists", _("{path} is there already.").format(path=there[0]),
            remedy=_("choose another name with -o"), where=str(there[0]),
        )  # fmt: skip
    try:
        for path, content in wanted.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, "utf-8")
    except OSError as error:
        raise errors.Failed(
            "file-unwritable",
            _("{path} can't be written: {reason}.").format(path=path, reason=why(error)),
            where=str(path),
        ) from error
    return list(wanted)
