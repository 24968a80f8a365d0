"""Starting a landscape and its ledger; moving it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from otapgate import errors
from otapgate.acts import memory, names, place, policy
from otapgate.acts.workspace import Workspace, draft, new_id
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
) -> Workspace:
    """Make a landscape with a ledger whose first entry names its role administrators.

    `admins` maps names to public key lines; one of the keys must be the signer's. With
    one administrator the ledger works and says so until there are two. With
    `write_files` False the landscape's files are already there. Nothing half-made is
    left behind. Raises Identity when the signer isn't among the administrators.
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
    try:
        if write_files:
            from otapgate.landscape.scaffold import create

            create(directory, stages=stages, name=name, street=street, owner=mine[0],
                   language=language)  # fmt: skip
        ordered = [*mine, *(w for w in keys if w not in mine)]
        return _begin(directory, {w: keys[w].line for w in ordered}, signer)
    except BaseException:
        if fresh:
            shutil.rmtree(directory, ignore_errors=True)
        else:
            shutil.rmtree(directory / ".otapgate", ignore_errors=True)
        raise


def _begin(directory: Path, admins: Mapping[str, str], signer: Signer) -> Workspace:
    from otapgate.ledger.storage import Ledger

    workspace = Workspace(directory)
    landscape = workspace.landscape
    workspace.hidden.mkdir(exist_ok=True, mode=0o700)
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
