"""The ledger as people read it: list, show, verify, checkpoint. Norm CH01-08."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from otapgate import canonical, errors
from otapgate.acts import memory
from otapgate.acts.drafts import draft
from otapgate.acts.gatekeeping import replay
from otapgate.acts.workspace import Workspace
from otapgate.i18n import _
from otapgate.ledger import predicates as p
from otapgate.ledger.statement import Draft, Head, Statement


def entry_json(
    workspace: Workspace, position: int, statement: Statement, by: str
) -> dict[str, Any]:
    """An entry as lists give it."""
    return {
        "entry": position,
        "act": statement.act,
        "at": statement.at,
        "by": workspace.name(by) if by else None,
        "subjects": [{"name": s.name, "digest": s.digest} for s in statement.subjects],
    }


def listing(workspace: Workspace, act: str | None, last: int | None) -> list[dict[str, Any]]:
    """Every entry, oldest first; only those of an act, or the last so many, if asked."""
    found = [entry_json(workspace, *entry) for entry in workspace.statements(act)]
    return found if last is None else found[-last:]


def show(workspace: Workspace, position: int) -> dict[str, Any]:
    """One entry, whole, with its details where they weren't erased."""
    from otapgate.ledger import peek
    from otapgate.ledger.sshsig import signer_fingerprint

    statement = workspace.statement(position)
    row = next(iter(peek.since(workspace.ledger_path, position, position + 1)))
    fingerprint = signer_fingerprint(row[2])
    by = workspace.state.directory.owners.get(fingerprint, "")
    return {
        **entry_json(workspace, position, statement, by),
        "key": fingerprint,
        "statement": json.loads(row[1]),
        "signature": row[2],
        "details": peek.details_at(workspace.ledger_path, position),
    }


def read_pin(path: Path, workspace: Workspace) -> Head:
    """A checkpoint from a file, its signature checked against the people enrolled here."""
    from otapgate.ledger import checkpoint, sshsig

    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise errors.BadInput(
            "pin-unreadable",
            _("The pin {path} can't be read: {error}.").format(path=path, error=error),
            where=str(path),
        ) from error
    for person in workspace.state.directory.people.values():
        for key in person.keys:
            try:
                return checkpoint.verify(text, sshsig.parse_public_key(key.line))
            except ValueError:
                continue
    raise errors.Integrity(
        "pin-unsigned",
        _("The pin {path} is no checkpoint signed by anybody enrolled here.").format(path=path),
        where=str(path),
    )


def verify(workspace: Workspace, pin_file: Path | None) -> dict[str, Any]:
    """Everything that can be checked, and what can't be excluded, in plain words."""
    from otapgate.ledger.verify import verify as check

    pins = [] if pin_file is None else [read_pin(pin_file, workspace)]
    found = check(workspace.ledger, pins)
    problems = [{"entry": x.entry, "what": x.what} for x in found.problems]
    known = None
    try:
        known = memory.check(workspace.root, workspace.ledger_path)
    except errors.Integrity as error:
        what = f"{error.message} {error.remedy or ''}".strip()
        problems.append({"entry": None, "what": what})
    if found.state.directory.origin and found.state.directory.origin != workspace.outline.origin:
        problems.append(
            {"entry": 0, "what": _("the ledger is of {origin}, the landscape says {other}").format(
                origin=found.state.directory.origin, other=workspace.outline.origin)}
        )  # fmt: skip
    replayed: dict[str, Any] = (
        {"replayed": 0, "same": 0, "different": []} if problems else replay(workspace)
    )
    problems += [
        {"entry": None, "what": _("the decision {id} doesn't come out the same").format(
            id=d["decision"])}
        for d in replayed["different"]
    ]  # fmt: skip
    excluded = [
        _("edited, reordered, inserted or dropped entries"),
        _("entries signed by somebody who wasn't entitled to them at that moment"),
        _("signatures of one act used for another"),
        _("decisions that the rules and the evidence don't bear out"),
    ]
    not_excluded = [
        _(
            "a history written anew, with new keys under the same names, by whoever can write"
            " the file"
        ),
        _("acts by whoever had somebody's key in hand"),
    ]
    if pins:
        excluded.append(
            _("anything cut off or rewritten before entry {size}").format(size=pins[0].size)
        )
        not_excluded[0] = _(
            "truncation or a rewritten history after entry {size} (the pin)"
        ).format(size=pins[0].size)
    elif known is not None:
        excluded.append(
            _("anything cut off or rewritten before entry {size}, as you last saw it here").format(
                size=known.size
            )
        )
        not_excluded[0] = _(
            "truncation or a rewritten history after entry {size}, as you last saw it here"
        ).format(size=known.size)
    else:
        not_excluded.insert(
            0,
            _("truncation: you see it here for the first time, with no pin. Keep"
              " `otapgate log checkpoint` elsewhere and verify with --pin"),
        )  # fmt: skip
    if not problems and not memory.keep(workspace.root, workspace.ledger_path):
        not_excluded.append(
            _("anything that happens from here on: what you saw could not be noted in {file}"
              ).format(file=memory.file())
        )  # fmt: skip
    return {
        "entries": found.entries,
        "signatures": found.signatures,
        "root": found.root,
        "decisions": replayed["replayed"],
        "excluded": excluded if not problems else [],
        "not_excluded": not_excluded,
        "problems": problems,
    }


def dismiss(workspace: Workspace, entries: Sequence[int], because: str) -> Draft:
    """Entries that came to nothing were looked into: they block no promotion any more.

    They stay where they are and stay without effect. For role administrators. Raises
    BadInput when one of the entries is in nobody's way.
    """
    workspace.require("role-admin")
    void = workspace.state.void
    unknown = [str(n) for n in entries if n not in void]
    if unknown:
        raise errors.BadInput(
            "entry-not-void",
            _("In nobody's way: {entries}.").format(entries=", ".join(unknown)),
            remedy=_("waiting to be looked into: {entries}").format(
                entries=", ".join(map(str, void)) or "-"
            ),
        )
    predicate = p.EntriesDismissed(tuple(dict.fromkeys(entries)))
    return draft("entries-dismissed", predicate, _about_ledger(workspace), because=because)


def correct_clock(workspace: Workspace, because: str) -> Draft:
    """An entry was dated in the future, so that nobody could write any more: from here on
    the time is now. For role administrators."""
    workspace.require("role-admin")
    return draft("clock-corrected", p.ClockCorrected(), _about_ledger(workspace), because=because)


def _about_ledger(workspace: Workspace) -> list[tuple[str, str]]:
    origin = workspace.landscape.origin
    return [(origin, canonical.digest(origin.encode()))]


def checkpoint_text(workspace: Workspace) -> str:
    """The log's head as a signed note, to be kept elsewhere (C2SP tlog-checkpoint)."""
    from otapgate.ledger import checkpoint

    workspace.me  # noqa: B018 - only somebody who is enrolled pins
    head = Head(workspace.ledger.origin, workspace.verified().size, workspace.state.root)
    return checkpoint.make(head, head.origin, workspace.signer)
