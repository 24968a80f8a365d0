"""An opened landscape: its files, ledger, content store, and who acts.

The imperative shell around the pure parts. Opened for reading it is warm: landscape and
state come from caches, and SQLAlchemy isn't imported. Opened for acting, as it is unless
asked otherwise, it believes no cache: what is resolved and signed comes from the files and
from the ledger's entries. `verified` checks signatures too: it is what a promotion uses.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from otapgate import errors
from otapgate.acts import folding, memory, place
from otapgate.acts import names as naming
from otapgate.i18n import _
from otapgate.landscape.model import Environment, Landscape, Role, Street
from otapgate.ledger import predicates as p
from otapgate.ledger.sshsig import signer_fingerprint
from otapgate.ledger.state import State, fold
from otapgate.ledger.statement import (
    Draft,
    Entry,
    Head,
    Statement,
    namespace,
    parse,
    seal,
)

if TYPE_CHECKING:
    from otapgate.ledger.keys import Signer
    from otapgate.ledger.storage import Ledger
    from otapgate.ledger.verify import Verification
    from otapgate.release.store import Store

DIRECTORY = ".otapgate"


class Workspace:
    """One landscape, opened by somebody, for acting or for reading."""

    def __init__(
        self,
        root: Path,
        *,
        key: str | None = None,
        now: datetime | None = None,
        reading: bool = False,
    ) -> None:
        """`key` is a private key file, or the `.pub` of an agent key; None means the
        only enrolled key in the agent. `now` is for tests and `--as-of` only. `reading`
        is for commands that only show: caches are believed, and nothing can be recorded."""
        self.root = root
        self._reading = reading
        self._key = key
        self._now = now
        self._signer: Signer | None = None
        self._state: State | None = None
        self._stale = False
        self.remembers = True
        """Whether the last act could be noted in the user's memory of the ledger."""
        self._everybody: tuple[int, dict[str, str]] | None = None

    # Files

    @property
    def hidden(self) -> Path:
        """Where otapgate keeps its own things, below the landscape."""
        return self.root / DIRECTORY

    @cached_property
    def landscape(self) -> Landscape:
        """As the files say now, owners by name; raises BadInput with every problem."""
        from otapgate.landscape.load import load

        return load(self.root)

    @cached_property
    def outline(self) -> Landscape:
        """The same, from the cache when opened for reading and no file changed."""
        if not self._reading:
            return self.landscape
        from otapgate.landscape.load import cached

        return cached(self.root, self.hidden / "cache")

    def with_people(self, landscape: Landscape) -> Landscape:
        """Owners as person ids: what the gate gets."""
        from otapgate.landscape.load import with_people

        return with_people(landscape, [(name, i) for i, name in self.names.items()])

    @cached_property
    def store(self) -> Store:
        from otapgate.release.store import Store

        return Store(self.hidden / "store")

    def now(self) -> datetime:
        """The moment, in the landscape's zone, to the second."""
        zone = ZoneInfo(self.outline.timezone)
        return (self._now or datetime.now(zone)).astimezone(zone).replace(microsecond=0)

    # Ledger, reading

    @property
    def ledger_path(self) -> Path:
        return self.root / self.outline.ledger

    @cached_property
    def ledger(self) -> Ledger:
        """Opened for writing; raises Integrity when it can't be."""
        from otapgate.ledger.storage import Ledger

        return Ledger.open(self._url())

    def _url(self) -> str:
        where = self.outline.ledger
        return where if "://" in where else f"sqlite:///{self.root / where}"

    def close(self) -> None:
        if "ledger" in self.__dict__:
            self.ledger.close()
            del self.__dict__["ledger"]

    def __enter__(self) -> Workspace:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def state(self) -> State:
        """What the ledger amounts to now; opened for reading, by the cache and what came
        since. It is a value: an act recorded later makes another."""
        if self._state is None or self._stale:
            kept = self.hidden / "cache" / "state.json"
            known = self._state
            if known is None and self._reading:
                known = folding.cached(kept)
            try:
                now = folding.up_to_date(known, self.ledger_path)
            except errors.Integrity as error:
                if error.code == "ledger-damaged" and not self._reading:
                    self.verified()  # says which entries are wrong
                raise
            self._state, self._stale = now, False
            if self._state is not known:
                folding.keep(kept, self._state)
        return self._state

    def verify(self) -> Verification:
        """Everything checked from the first entry on, signatures too; no cache."""
        from otapgate.ledger.verify import verify

        return verify(self.ledger)

    def verified(self) -> State:
        """The state after full verification; raises Integrity naming what is wrong."""
        found = self.verify()
        if found.problems:
            shown = [
                errors.Problem(
                    _("entry {n}: {what}").format(n=x.entry, what=x.what)
                    if x.entry is not None
                    else x.what
                )
                for x in found.problems[:5]
            ]
            rest = len(found.problems) - len(shown)
            if rest:
                shown.append(errors.Problem(_("and {n} more").format(n=rest)))
            raise errors.Integrity(
                "ledger-damaged",
                _("The ledger doesn't verify; nothing was done."),
                remedy=_(
                    "otapgate log verify tells what is wrong and where; once looked into, a role"
                    " administrator ends what merely has no effect: otapgate log dismiss N"
                    " --because TEXT"
                ),
                problems=tuple(shown),
            )
        self._state, self._stale = found.state, False
        return found.state

    @cached_property
    def _details(self) -> naming.Details:
        from otapgate.ledger import peek

        return peek.details(self.ledger_path, "name-")

    @property
    def names(self) -> dict[str, str]:
        """Person id → name, for everybody enrolled whose name wasn't erased."""
        return naming.of(self.state.directory, self._details)

    @property
    def proposed(self) -> dict[int, str]:
        """Position → name, of enrolments that wait for a second role administrator."""
        return naming.proposed(self.state.directory, self._details)

    @property
    def everybody(self) -> dict[str, str]:
        """Person id → name, whose enrolment waits included. Those own nothing yet."""
        if self._everybody is None or self._everybody[0] != self.state.size:
            people = self.state.directory
            soon = {people.pending[n].person: name for n, name in self.proposed.items()}
            found = {**soon, **dict.fromkeys(people.people, ""), **self.names}
            self._everybody = self.state.size, found
        return self._everybody[1]

    def name(self, person: str) -> str:
        """A person's name, or their id when it was erased."""
        return self.everybody.get(person) or person

    def person(self, name: str) -> str:
        """The id of a person by name or id; raises BadInput for none and for several."""
        return naming.find(self.everybody, name)

    # Who acts

    @property
    def signer(self) -> Signer:
        """The key that signs; raises Identity when there is none to be had."""
        if self._signer is None:
            from otapgate.ledger import keys

            if self._key is not None:
                self._signer = keys.from_file(Path(self._key).expanduser(), keys.ask_passphrase)
            else:
                known = set(self.state.directory.owners)
                self._signer = keys.only_enrolled(known)
        return self._signer

    @property
    def me(self) -> str:
        """The person id of who acts; raises Identity for a key nobody enrolled."""
        fingerprint = self.signer.public.fingerprint
        person = self.state.directory.person_of(fingerprint)
        if person is None:
            revoked = fingerprint in self.state.directory.owners
            raise errors.Identity(
                "key-revoked" if revoked else "key-unknown",
                (_("The key {key} was revoked.") if revoked
                 else _("The key {key} isn't enrolled here.")).format(key=fingerprint),
                remedy=_("a role administrator runs: otapgate people enrol NAME KEY.pub"),
            )  # fmt: skip
        return person

    def require(self, *roles: Role, street: str | None = None) -> str:
        """Who acts, holding one of the roles today; raises Identity."""
        self._acting()
        me = self.me
        day = self.now().date().isoformat()
        held = self.state.directory.roles(me, day, street)
        if not held & set(roles):
            lapsed = {s.role for s in self.state.directory.seats if s.person == me} & set(roles)
            who = sorted(
                {self.name(x) for r in roles
                 for x in self.state.directory.holders(r, day, street)}
            )  # fmt: skip
            raise errors.Identity(
                "role-lapsed" if lapsed else "role-missing",
                (_("{name}'s role for this ({roles}) has lapsed.") if lapsed
                 else _("{name} doesn't have the role for this: {roles}.")).format(
                    name=self.name(me), roles=_(" or ").join(roles)),
                remedy=(
                    _("ask {who}, or: otapgate role grant {name} {role}").format(
                        who=", ".join(who), name=self.name(me), role=roles[0])
                    if who
                    else f"otapgate role grant NAME {roles[0]}"
                ),
            )  # fmt: skip
        return me

    # Ledger, writing

    def _acting(self) -> None:
        """Nothing is signed on the word of a cache: a command that acts opens for acting."""
        if self._reading:
            raise AssertionError("this workspace was opened for reading")

    def record(self, draft: Draft) -> int:
        """Sign and append an act; returns its position once it is durable.

        Raises Identity (no key, role missing), BadInput (the act would have no effect),
        Integrity (the ledger can't be written, this is a copy of it, or it isn't the one
        that this user has seen here).
        """
        self._acting()
        place.check(self.hidden, self.root)
        self.entitle(draft)
        memory.check(self.root, self.ledger_path)
        signer = self.signer
        ledger = self.ledger
        head = Head(ledger.origin, self.state.size, self.state.root)
        sealed = seal(draft, head, self.now())
        self._trial(sealed.statement, ())
        signature = signer.sign(sealed.statement, namespace(draft.act))

        def expect(arrived: Sequence[Entry]) -> None:
            if arrived:
                self._trial(sealed.statement, arrived)

        position = ledger.append(sealed, signature, expect)
        self._stale = True
        self.remembers = memory.keep(self.root, self.ledger_path)
        self.__dict__.pop("_details", None)
        return position

    def record_late(self, draft: Draft) -> int:
        """`record`, by a command that worked long before. Others recorded things meanwhile,
        and so may have who acts, in another environment; whoever signs must have seen what
        they signed before, so it is looked what there is now."""
        while True:
            self._stale = True
            size = self.state.size
            try:
                return self.record(draft)
            except errors.BadInput:
                self._stale = True
                if self.state.size == size:
                    raise  # it isn't because of what came in

    def entitle(self, draft: Draft) -> None:
        """Check that who acts may do this act at all; raises Identity."""
        roles = p.ACTS[draft.act].roles
        if draft.act == "genesis":
            return
        if roles is None:
            _person = self.me
        else:
            self.require(*sorted(roles))

    def _trial(self, statement: bytes, arrived: Iterable[Entry]) -> None:
        """Fold the act into a copy of the state and see whether it would count."""
        trial = folding.copy(self.state)
        for entry in arrived:
            folding.take(trial, entry.position, entry.statement, entry.signature)
        problem = fold(trial, trial.size, parse(statement), self.signer.public.fingerprint)
        if problem is not None:
            raise errors.BadInput(
                "act-without-effect", _("This can't be recorded: {problem}.").format(
                    problem=problem)
            )  # fmt: skip

    def statement(self, position: int) -> Statement:
        """The statement at a position; raises BadInput when there is none."""
        from otapgate.ledger import peek

        if not 0 <= position < self.state.size:
            raise errors.BadInput(
                "entry-unknown",
                _("The ledger has entries 0 to {last}.").format(last=self.state.size - 1),
                remedy="otapgate log list",
            )
        return parse(next(iter(peek.since(self.ledger_path, position, position + 1)))[1])

    def statements(self, act: str | None = None) -> Iterator[tuple[int, Statement, str]]:
        """Every entry in order, of one act if asked: position, statement, signer's id."""
        from otapgate.ledger import peek

        for position, data, signature in peek.since(self.ledger_path, 0):
            parsed = parse(data)
            if act is None or parsed.act == act:
                owner = self.state.directory.owners.get(signer_fingerprint(signature), "")
                yield position, parsed, owner

    # Names on the command line

    def environment(self, name: str, *, street: str | None = None) -> Environment:
        """An environment by its name, or by its stage letter where that is clear."""
        landscape = self.outline
        exact = landscape.environment(name)
        if exact is not None:
            return exact
        streets = [s for s in landscape.streets if street is None or s.name == street]
        hits = [e for s in streets if (e := s.environment(name)) is not None]
        if len(hits) == 1:
            return hits[0]
        known = ", ".join(e.name for e in landscape.environments())
        raise errors.BadInput(
            "environment-ambiguous" if hits else "environment-unknown",
            (_("{name} stands for several environments.") if hits
             else _("There is no environment {name}.")).format(name=name),
            remedy=_("one of: {known}").format(known=known),
        )  # fmt: skip

    def street_of(self, environment: Environment) -> Street:
        street = self.outline.street(environment.street)
        assert street is not None, "load() puts every environment in a street"
        return street
