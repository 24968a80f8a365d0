"""Who is who, and who may do what, at any position of the ledger.

People, keys and roles are entries; this folds them, in order, into a directory. Pure:
it gets acts that are already parsed and whose signature has been attributed to a key.
Norms: CH01-04, CH06-04, CH06-05; segregation F11, F12, F21, F22.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date
from typing import TypeAlias, cast

import msgspec

from otapgate.i18n import _
from otapgate.landscape.model import Role
from otapgate.ledger import predicates as p
from otapgate.ledger.statement import is_near

Fingerprint: TypeAlias = Callable[[str], str]
"""Gives a public key line's fingerprint, `SHA256:…`; raises ValueError for no key."""


class Key(msgspec.Struct):
    """A public key and while it stood for its person."""

    line: str
    fingerprint: str
    since: int
    revoked: int | None = None
    """Position of the entry that revoked it; what it signed before stays valid."""


class Person(msgspec.Struct):
    """Somebody with keys; the name is a detail and isn't kept here."""

    id: str
    keys: list[Key]
    enrolled: list[int] = []
    """Positions of the entries that enrolled them, in the order in which they took effect.
    Only a detail of one of these names the person."""


class Seat(msgspec.Struct):
    """A role held by a person for a time."""

    person: str
    role: Role
    street: str | None
    until: str | None
    """ISO date from which it has lapsed."""
    since: int
    """Position of the entry by which it came to be: the confirmation, where it took one."""
    granted_by: str
    revoked: int | None = None

    def holds(self, day: str, street: str | None = None) -> bool:
        """Whether it is alive on `day` (ISO date) and covers `street` (None: anywhere)."""
        if self.revoked is not None or (self.until is not None and day >= self.until):
            return False
        return street is None or self.street is None or self.street == street

    def held(self, position: int, day: str, street: str) -> bool:
        """Whether it was alive when the entry at `position` was signed, on `day`, and
        covers `street`. What came to be or ended later changes nothing (F22)."""
        return (
            self.since < position
            and (self.revoked is None or self.revoked > position)
            and (self.until is None or day < self.until)
            and self.street in (None, street)
        )


class Pending(msgspec.Struct):
    """A change of people or roles that waits for a second role administrator (F12)."""

    position: int
    by: str
    act: str
    person: str
    keys: tuple[str, ...] = ()
    role: Role | None = None
    street: str | None = None
    until: str | None = None


class Refused(ValueError):
    """An act that its signer wasn't entitled to, in a sentence."""


class Directory(msgspec.Struct):
    """The people, their keys and their roles up to some position."""

    origin: str = ""
    threshold: int = 2
    founded: bool = False
    """Whether genesis has all the signatures that it announced."""
    founders: list[str] = []
    people: dict[str, Person] = {}
    owners: dict[str, str] = {}
    """Key fingerprint → person id, for every key ever enrolled: a key never moves from
    one person to another (F21)."""
    seats: list[Seat] = []
    pending: dict[int, Pending] = {}

    def person_of(self, fingerprint: str) -> str | None:
        """Who a living key stands for; None when unknown or revoked."""
        owner = self.owners.get(fingerprint)
        if owner is None:
            return None
        person = self.people[owner]
        living = any(k.fingerprint == fingerprint and k.revoked is None for k in person.keys)
        return owner if living else None

    def since(self, fingerprint: str) -> int:
        """Position of the entry by which a living key came to stand for its person."""
        keys = self.people[self.owners[fingerprint]].keys
        return next(k.since for k in keys if k.fingerprint == fingerprint)

    def roles(self, person: str, day: str, street: str | None = None) -> set[Role]:
        """The living roles of a person on a day, on a street or anywhere."""
        return {s.role for s in self.seats if s.person == person and s.holds(day, street)}

    def holders(self, role: Role, day: str, street: str | None = None) -> tuple[str, ...]:
        """Everybody who can act in a role, in order of appointment, each once."""
        found = [s.person for s in self.seats if s.role == role and s.holds(day, street)]
        return tuple(person for person in dict.fromkeys(found) if self._living(person))

    def held(self, person: str, role: Role, position: int, day: str, street: str) -> bool:
        """Whether the person held the role on a street when they signed an entry."""
        return any(
            s.person == person and s.role == role and s.held(position, day, street)
            for s in self.seats
        )

    def _living(self, person: str) -> bool:
        return any(k.revoked is None for k in self.people[person].keys)

    def apply(self, position: int, by: str, predicate: p.Predicate, fp: Fingerprint) -> None:
        """Take one act about people or roles into account.

        `by` is the signer, already known to hold the role that the act asks for; `fp`
        computes a key line's fingerprint. Raises Refused when the act itself isn't
        allowed; the directory is unchanged then.
        """
        match predicate:
            case p.PersonEnrolled(person=person, keys=keys):
                self._may_enrol(person, keys, fp)
                self._propose(Pending(position, by, "enrol", person, keys), fp)
            case p.RoleGranted(person=person, role=role, street=street, until=until):
                self._may_grant(by, person, until)
                self._propose(Pending(position, by, "grant", person, (), role, street, until), fp)
            case p.PersonRevoked(person=person, key=key):
                self._revoke_person(position, person, key)
            case p.RoleRevoked(person=person, role=role, street=street):
                self._revoke_role(position, person, role, street)
            case p.Confirmed(entries=entries):
                self._confirm(position, by, entries, fp)
            case _:  # pragma: no cover - callers route only the five acts above
                raise TypeError(type(predicate).__name__)

    @classmethod
    def found(cls, genesis: p.Genesis, fp: Fingerprint) -> Directory:
        """The directory that genesis makes: the founders are role administrators at once;
        with more than one, `founded` is False until a second has confirmed. Raises
        Refused."""
        founders = genesis.founders
        # One may begin alone and is told so; where there are two, it takes two (F12).
        if not founders or genesis.threshold != min(2, len(founders)):
            raise Refused(_("genesis names no role administrators or an odd threshold"))
        made = cls(origin=genesis.origin, threshold=genesis.threshold)
        for founder in founders:
            if founder.person in made.people:
                raise Refused(_("genesis names a role administrator twice (F21)"))
            made._may_enrol(founder.person, founder.keys, fp)
            made._enrol(0, 0, founder.person, founder.keys, fp)
            made.founders.append(founder.person)
            made.seats.append(Seat(founder.person, "role-admin", None, None, 0, "genesis"))
        made.founded = len(founders) == 1
        return made

    def _may_enrol(self, person: str, keys: tuple[str, ...], fp: Fingerprint) -> None:
        if not keys:
            raise Refused(_("a person without a key can't be enrolled"))
        wanted = _fingerprints(keys, fp)
        # By fingerprint, not by line: the same key can be written in two ways (F21).
        claimed = {
            f
            for w in self.pending.values()
            if w.person != person
            for f in _fingerprints(w.keys, fp)
        }
        if claimed & wanted or any(self.owners.get(f, person) != person for f in wanted):
            raise Refused(_("the key already stands for somebody else (F21)"))
        keyring = self.people[person].keys if person in self.people else []
        known = {k.fingerprint: k for k in keyring}
        if any(f in known and known[f].revoked is not None for f in wanted):
            raise Refused(_("the key was revoked, and doesn't come back"))
        if wanted <= known.keys():
            raise Refused(_("the key stands for the person already"))

    def _may_grant(self, by: str, person: str, until: str | None) -> None:
        if person == by:
            raise Refused(_("nobody grants a role to themselves (F11)"))
        waiting = {w.person for w in self.pending.values() if w.act == "enrol"}
        if person not in waiting and not (person in self.people and self._living(person)):
            raise Refused(_("the person is not enrolled"))
        if until is not None and not _is_day(until):
            raise Refused(_("{until} is no day on which a role could lapse").format(until=until))

    def _propose(self, pending: Pending, fp: Fingerprint) -> None:
        if self.threshold == 1:
            self._take_effect(pending.position, pending, fp)
        else:
            self.pending[pending.position] = pending

    def _confirm(self, position: int, by: str, entries: tuple[int, ...], fp: Fingerprint) -> None:
        """Everything is checked before anything takes effect."""
        if not entries or len(set(entries)) != len(entries):
            raise Refused(_("a confirmation names each entry once, and at least one"))
        founding = not self.founded and by in self.founders[1:]
        confirmed = {n: self.pending[n] for n in sorted(entries) if n in self.pending}
        for entry in entries:
            if entry not in confirmed and not (entry == 0 and founding):
                raise Refused(_("entry {entry} waits for no confirmation").format(entry=entry))
        if any(waiting.by == by for waiting in confirmed.values()):
            raise Refused(_("a second role administrator confirms, not the same one (F12)"))
        enrolled = {w.person for w in confirmed.values() if w.act == "enrol"}
        if any(
            w.person not in self.people and w.person not in enrolled for w in confirmed.values()
        ):
            raise Refused(_("confirm the person's enrolment together with the role"))
        self.founded = self.founded or 0 in entries
        for entry, waiting in confirmed.items():
            del self.pending[entry]
            self._take_effect(position, waiting, fp)

    def _take_effect(self, since: int, pending: Pending, fp: Fingerprint) -> None:
        if pending.act == "enrol":
            self._enrol(since, pending.position, pending.person, pending.keys, fp)
            return
        self.seats.append(
            Seat(
                pending.person,
                cast(Role, pending.role),
                pending.street,
                pending.until,
                since,
                pending.by,
            )
        )
        # One administrator was allowed for want of a second; from the second on it takes
        # two, and never one again, or revoking the other would be the way to be alone.
        admins = {s.person for s in self.seats if s.role == "role-admin" and s.revoked is None}
        if len(admins) > 1:
            self.threshold = 2

    def _enrol(
        self, since: int, position: int, person: str, keys: tuple[str, ...], fp: Fingerprint
    ) -> None:
        known = self.people.setdefault(person, Person(person, []))
        known.enrolled.append(position)
        for line in keys:
            fingerprint = fp(line)
            if all(k.fingerprint != fingerprint for k in known.keys):
                known.keys.append(Key(line, fingerprint, since))
                self.owners[fingerprint] = person

    def _revoke_person(self, position: int, person: str, key: str | None) -> None:
        known = self.people.get(person)
        if known is None:
            raise Refused(_("the person is not enrolled"))
        hit = [k for k in known.keys if k.revoked is None and key in (None, k.fingerprint)]
        if not hit:
            raise Refused(_("no such key stands for the person"))
        for found in hit:
            found.revoked = position
        if key is None:
            for seat in self.seats:
                if seat.person == person and seat.revoked is None:
                    seat.revoked = position
            # What they proposed, or others for them, rested on who they were.
            self.pending = {n: w for n, w in self.pending.items() if person not in (w.person, w.by)}

    def _revoke_role(self, position: int, person: str, role: Role, street: str | None) -> None:
        hit = [
            s
            for s in self.seats
            if s.person == person
            and s.role == role
            and s.revoked is None
            and (street is None or s.street == street)
        ]
        if not hit:
            raise Refused(_("the person doesn't hold that role there"))
        for seat in hit:
            seat.revoked = position


def _fingerprints(keys: Iterable[str], fp: Fingerprint) -> set[str]:
    try:
        return {fp(line) for line in keys}
    except ValueError as error:
        raise Refused(str(error)) from error


def _is_day(text: str) -> bool:
    try:
        day = date.fromisoformat(text)
        return day.isoformat() == text and is_near(day)
    except ValueError:
        return False
