"""Starting a landscape and its ledger; moving it."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from otapgate import errors
from otapgate.acts import memory, names, place, policy
from otapgate.acts.drafts import draft, new_id
from otapgate.acts.workspace import Workspace
from otapgate.i18n import _
from otapgate.landscape.load import folded
from otapgate.landscape.model import Stage
from otapgate.ledger import predicates as p
from otapgate.ledger.statement import Draft, namespace, seal

if TYPE_CHECKING:
    from otapgate.ledger.keys import Signer


def found(
    directory: Path,
    *,
    stages: Sequence[Stage],
    admins: Mapping[str, str],
    signer: Signer,
    name: str,
    street: str,
    language: str,
    write_files: bool = True,
    again: bool = False,
) -> Workspace:
    """Make a landscape with a ledger whose first entry names its role administrators.

    `admins` maps names to public key lines; one of the keys must be the signer's. With
    one administrator the ledger works and says so until there are two. With
    `write_files` False the landscape's files are already there; with `again`, what a lost
    ledger left beside it is set aside, and the new one gets another origin. Nothing
    half-made is left behind. Raises Identity when the signer isn't among the
    administrators.
    """
    from otapgate.ledger import sshsig

    keys = {names.check(w): sshsig.parse_public_key(line) for w, line in admins.items()}
    if len({folded(who) for who in keys}) != len(admins):
        raise errors.BadInput("name-twice", _("Two role administrators can't share a name."))
    if len({k.fingerprint for k in keys.values()}) != len(keys):
        raise errors.BadInput(
            "key-twice", _("Two role administrators can't share a key: one key, one person.")
        )
    mine = [w for w, k in keys.items() if k.fingerprint == signer.public.fingerprint]
    if not mine:
        raise errors.Identity(
            "not-a-role-admin",
            _("The key you sign with is not the key of a role administrator named here."),
            remedy=_("give --key the private key that belongs to one of the --role-admin keys"),
        )
    fresh = not directory.exists()
    aside = _set_aside(directory) if again else None
    file = directory / "otapgate.yml"
    before = file.read_bytes() if again else b""
    try:
        if again:
            _rename(file)
        if write_files:
            from otapgate.landscape.scaffold import create

            create(directory, stages=stages, name=name, street=street, owner=mine[0],
                   language=language)  # fmt: skip
        ordered = [*mine, *(w for w in keys if w not in mine)]
        workspace = _begin(directory, {w: keys[w].line for w in ordered}, signer)
    except BaseException:
        if fresh:
            shutil.rmtree(directory, ignore_errors=True)
        else:
            shutil.rmtree(directory / ".otapgate", ignore_errors=True)
            if again:
                file.write_bytes(before)
            if aside is not None:
                aside.rename(directory / ".otapgate")
        raise
    if aside is not None:
        hidden = directory / ".otapgate"
        if (aside / "schema").is_dir():  # the editor's, not the ledger's
            (aside / "schema").rename(hidden / "schema")
        aside.rename(hidden / f"{_LOST}{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
    return workspace


def _rename(file: Path) -> None:
    """Give the new ledger a name of its own in `otapgate.yml`: what was signed for the lost
    one, checkpoints of it above all, must not be taken for this one's. Raises BadInput."""
    from otapgate.landscape import yaml_positions

    document = yaml_positions.load(file, file.name)
    line = document.line(("origin",))
    known = document.data.get("origin") if isinstance(document.data, dict) else None
    lines = file.read_text(encoding="utf-8").split("\n")
    if not isinstance(known, str) or line is None or lines[line - 1].count(known) != 1:
        raise errors.BadInput(
            "origin-unclear",
            _("The new ledger needs a name of its own, and where {file} gives the old one's is"
              " not clear.").format(file=file.name),
            where=str(file),
            remedy=_("write it on one line, as origin: NAME"),
        )  # fmt: skip
    base = known.partition("~")[0]
    mark = f"~{datetime.now(UTC):%Y%m%d}-{secrets.token_hex(2)}"
    new = f"{base}{mark}" if "/" in base else f"{base}/ledger{mark}"
    lines[line - 1] = lines[line - 1].replace(known, new)
    file.write_text("\n".join(lines), encoding="utf-8")


_LOST = "lost-"
_NOTHING = {"cache", "locks", "schema"}
"""What may lie in `.otapgate` where there never was a ledger."""


def nothing_there(directory: Path, *, again: bool) -> None:
    """Raises BadInput where the landscape's ledger is, or was and `again` isn't asked."""
    if (directory / Workspace(directory).landscape.ledger).exists():
        raise errors.BadInput(
            "landscape-exists",
            _("{directory} is a landscape with a ledger already.").format(directory=directory),
            remedy=f"otapgate status --landscape {directory}",
            where=str(directory),
        )
    hidden = directory / ".otapgate"
    if not again and hidden.is_dir() and {p.name for p in hidden.iterdir()} - _NOTHING:
        raise errors.BadInput(
            "ledger-lost",
            _("{directory} had a ledger, and it is gone. A new one knows nothing of what was"
              " recorded in it: evidence, people, roles.").format(directory=directory),
            remedy=_("restore it from a backup; only where there is none, begin a new one:")
            + f"\notapgate init {directory} --again --role-admin NAME=KEY.pub --key KEY",
            where=str(directory),
        )  # fmt: skip


def set_aside_in(directory: Path) -> str | None:
    """Where what a lost ledger left was put last; relative to the landscape."""
    found = sorted((directory / ".otapgate").glob(f"{_LOST}*"))
    return str(found[-1].relative_to(directory)) if found else None


def _set_aside(directory: Path) -> Path | None:
    hidden = directory / ".otapgate"
    if not hidden.is_dir():
        return None
    aside = directory / f".otapgate-{_LOST}{secrets.token_hex(4)}"
    hidden.rename(aside)
    return aside


def _begin(directory: Path, admins: Mapping[str, str], signer: Signer) -> Workspace:
    from otapgate.ledger.storage import Ledger

    workspace = Workspace(directory)
    landscape = workspace.landscape
    workspace.hidden.mkdir(exist_ok=True, mode=0o700)
    workspace.hidden.chmod(0o700)  # a cache may have made it, as others may read it
    place.settle(workspace.hidden, directory)
    founders = [(new_id("p"), who, line) for who, line in admins.items()]
    genesis = p.Genesis(
        landscape.origin,
        tuple(p.Founder(person, (line,)) for person, _who, line in founders),
        min(2, len(founders)),
        landscape.policy.digest,
    )
    details = {f"name-{person}": who for person, who, _line in founders}
    act = Draft(
        "genesis",
        draft("genesis", genesis, [(landscape.origin, landscape.policy.digest)]).subjects,
        p.to_predicate(genesis),
        dict(details),
    )
    ledger = Ledger.create(f"sqlite:///{workspace.ledger_path}", landscape.origin)
    try:
        empty = ledger.head()
        sealed = seal(act, empty, workspace.now())
        ledger.append(sealed, signer.sign(sealed.statement, namespace("genesis")))
    finally:
        ledger.close()
    memory.keep(directory, workspace.ledger_path, anew=True)
    policy.keep(workspace)
    workspace._signer = signer
    return workspace


def move(workspace: Workspace, because: str) -> int:
    """Say that the ledger lives here from now on: signed by a role administrator."""
    act = draft(
        "ledger-moved",
        p.LedgerMoved(place.digest(workspace.root)),
        [(workspace.landscape.origin, place.digest(workspace.root))],
        because=because,
    )
    noted = workspace.hidden / "place.json"
    before = noted.read_bytes() if noted.exists() else None
    workspace.require("role-admin")
    place.settle(workspace.hidden, workspace.root)
    try:
        return workspace.record(act)
    except BaseException:
        if before is None:
            noted.unlink(missing_ok=True)
        else:
            noted.write_bytes(before)
        raise
