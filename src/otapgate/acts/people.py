"""People and roles: enrol, revoke, grant, confirm. Norms CH01-04, CH06-04, CH06-05."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from otapgate import canonical, errors
from otapgate.acts import names
from otapgate.acts.drafts import draft, new_id
from otapgate.acts.workspace import Workspace
from otapgate.canonical import JSON
from otapgate.i18n import _, why
from otapgate.landscape.load import folded
from otapgate.landscape.model import ROLES, Role
from otapgate.ledger import predicates as p
from otapgate.ledger.directory import Pending
from otapgate.ledger.statement import Draft, Subject


def read_public_key(path: Path) -> str:
    """The one public key line in a file, without its comment; raises BadInput."""
    from otapgate.ledger import sshsig

    try:
        text = path.expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise errors.BadInput(
            "key-unreadable",
            _("The public key {path} can't be read: {error}.").format(path=path, error=why(error)),
            remedy=_("make a key pair with: ssh-keygen -t ed25519 -f FILE"),
            where=str(path),
        ) from error
    lines = [x for x in text.splitlines() if x.strip() and not x.startswith("#")]
    if "PRIVATE KEY" in text:
        raise errors.BadInput(
            "key-private",
            _("{path} is a private key; give the .pub file beside it.").format(path=path),
            remedy=f"{path}.pub",
            where=str(path),
        )
    if len(lines) != 1:
        raise errors.BadInput(
            "key-malformed",
            _("{path} must hold one public key, on one line.").format(path=path),
            where=str(path),
        )
    try:
        return sshsig.parse_public_key(lines[0]).line
    except ValueError as error:
        raise errors.BadInput(
            "key-malformed",
            _("{path} holds no public key that can be used: {error}.").format(
                path=path, error=error
            ),
            remedy=_("make a key pair with: ssh-keygen -t ed25519 -f FILE"),
            where=f"{path}:1",
        ) from error


def enrol(workspace: Workspace, name: str, key: Path) -> Draft:
    """Somebody new with a key, or another key for somebody who is enrolled."""
    called = names.check(name)
    line = read_public_key(key)
    everybody = workspace.everybody
    taken = called in everybody or folded(called) in map(folded, everybody.values())
    person = names.find(everybody, called) if taken else new_id("p")
    owner = workspace.state.directory.owners.get(_fingerprint(line))
    if owner is not None:
        raise errors.BadInput(
            "key-taken",
            _("The key in {path} already stands for {name}.").format(
                path=key, name=workspace.name(owner)
            ),
            remedy=_("every person has a key of their own: ssh-keygen -t ed25519 -f FILE"),
            where=str(key),
        )
    act = draft(
        "person-enrolled",
        p.PersonEnrolled(person, (line,)),
        [(person, canonical.digest(line.encode()))],
    )
    # Another key for somebody is no occasion to rename them.
    details: dict[str, JSON] = {} if person in workspace.names else {f"name-{person}": called}
    return Draft(act.act, act.subjects, act.predicate, details)


def further_key(workspace: Workspace, person: str) -> str:
    """What to know when a key is given to somebody who is enrolled already; "" when they
    aren't."""
    people = workspace.state.directory
    if person not in people.people:
        return ""
    roles = sorted(people.roles(person, workspace.now().date().isoformat()))
    return _("{who} ({roles}) gets a FURTHER key; for somebody else, give another name").format(
        who=workspace.name(person), roles=", ".join(roles) or _("no role")
    )


def _fingerprint(line: str) -> str:
    from otapgate.ledger import sshsig

    return sshsig.parse_public_key(line).fingerprint


def _subject(person: str) -> tuple[Subject, ...]:
    return (Subject(person, canonical.digest(person.encode())),)


def revoke(workspace: Workspace, name: str, key: str | None) -> Draft:
    """A person, or one of their keys by fingerprint, signs nothing more from here on."""
    person = workspace.person(name)
    predicate = p.PersonRevoked(person, key)
    return Draft("person-revoked", _subject(person), p.to_predicate(predicate))


def check_role(role: str) -> Role:
    """A role by name; raises BadInput with the nearest ones."""
    if role in ROLES:
        return role
    import difflib

    near = difflib.get_close_matches(role, ROLES, 2)
    raise errors.BadInput(
        "role-unknown",
        _("There is no role {role}.").format(role=role),
        remedy=_("one of: {known}").format(known=", ".join(near or ROLES)),
    )


def grant(
    workspace: Workspace, name: str, role: str, street: str | None, until: str | None
) -> Draft:
    """A role for somebody, everywhere or on one street, until a day or without end."""
    checked = check_role(role)
    if street is not None and workspace.outline.street(street) is None:
        raise errors.BadInput(
            "street-unknown",
            _("There is no street {street}.").format(street=street),
            remedy=", ".join(s.name for s in workspace.outline.streets),
        )
    if until is not None:
        try:
            day = date.fromisoformat(until)
        except ValueError as error:
            raise errors.BadInput(
                "date-malformed",
                _("{text} is not a date; write it as 2027-07-31.").format(text=until),
            ) from error
        if day <= workspace.now().date():
            raise errors.BadInput("date-past", _("{day} has passed already.").format(day=until))
    person = workspace.person(name)
    if person == workspace.me:
        raise errors.Identity(
            "self-grant",
            _("Nobody grants a role to themselves (F11)."),
            remedy=_("ask another role administrator"),
        )
    predicate = p.RoleGranted(person, checked, street, until)
    return Draft("role-granted", _subject(person), p.to_predicate(predicate))


def withdraw(workspace: Workspace, name: str, role: str, street: str | None) -> Draft:
    """A role withdrawn."""
    person = workspace.person(name)
    predicate = p.RoleRevoked(person, check_role(role), street)
    return Draft("role-revoked", _subject(person), p.to_predicate(predicate))


def confirmable(workspace: Workspace) -> list[dict[str, Any]]:
    """What waits for who acts to confirm it, in words."""
    people = workspace.state.directory
    me = workspace.me
    found: list[dict[str, Any]] = []
    if not people.founded and me in people.founders[1:]:
        found.append({"entry": 0, "act": "genesis", "text": _("the start of the ledger")})
    for position, waiting in sorted(people.pending.items()):
        if waiting.by == me:
            continue
        who = workspace.name(waiting.person)
        if waiting.act == "enrol":
            text = _enrolment(workspace, position, waiting)
        else:
            text = _("{who} gets the role {role}").format(who=who, role=waiting.role)
            text += f" ({waiting.street})" if waiting.street else ""
        found.append({"entry": position, "act": waiting.act, "text": text})
    return found


def _enrolment(workspace: Workspace, position: int, waiting: Pending) -> str:
    """A waiting enrolment in words: for somebody who is enrolled, who that is by id, and
    what they were called where the name would change."""
    key = ", ".join(_fingerprint(k) for k in waiting.keys)
    person, new = waiting.person, workspace.proposed.get(position)
    if person not in workspace.state.directory.people:
        return _("{who} ({id}) is enrolled with the key {key}").format(
            who=new or person, id=person, key=key
        )
    old = workspace.name(person)
    if new is None or new == old:
        return f"{further_key(workspace, person)}: {person}, {key}"
    return _("{id}, called {old} until now, will be called {new}, and gets another key, {key}")\
        .format(id=person, old=old, new=new, key=key)  # fmt: skip


def confirm(entries: Sequence[int]) -> Draft:
    """Agree, as the second role administrator, to entries that wait."""
    if not entries:
        raise errors.BadInput("nothing-to-confirm", _("Nothing waits for your confirmation."))
    digest = canonical.digest(",".join(map(str, entries)).encode())
    return draft("confirmed", p.Confirmed(tuple(entries)), [("entries", digest)])


def listing(workspace: Workspace) -> list[dict[str, Any]]:
    """Everybody, with keys and living roles."""
    people = workspace.state.directory
    day = workspace.now().date().isoformat()
    waiting = {w.person for w in people.pending.values() if w.act == "enrol"}
    found = [
        {
            "id": person.id,
            "name": workspace.name(person.id),
            "keys": [
                {"fingerprint": k.fingerprint, "revoked": k.revoked is not None}
                for k in person.keys
            ],
            "roles": sorted(people.roles(person.id, day)),
            "status": "enrolled" if any(k.revoked is None for k in person.keys) else "revoked",
        }
        for person in people.people.values()
    ]
    found += [
        {"id": w, "name": workspace.name(w), "keys": [], "roles": [], "status": "unconfirmed"}
        for w in sorted(waiting - set(people.people))
    ]
    return found


def seats(workspace: Workspace) -> list[dict[str, Any]]:
    """Every role that was given, living or lapsed, and what waits for confirmation."""
    people = workspace.state.directory
    day = workspace.now().date().isoformat()
    found = [
        {
            "person": workspace.name(s.person),
            "role": s.role,
            "street": s.street,
            "until": s.until,
            "status": "held" if s.holds(day) else ("revoked" if s.revoked is not None
                                                   else "lapsed"),
        }
        for s in people.seats
    ]  # fmt: skip
    found += [
        {
            "person": workspace.name(w.person),
            "role": w.role,
            "street": w.street,
            "until": w.until,
            "status": "unconfirmed",
        }
        for w in people.pending.values()
        if w.act == "grant"
    ]
    return found
