"""Names of people: which entry may give one, and what a name may be made of.

A name is a detail of an entry, so that it can be erased. Anybody who may sign anything
can write any detail; so a person is called only what an entry says that enrolled them and
took effect. Names reach terminals and are compared by eye: nothing invisible is in them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

from otapgate import errors
from otapgate.i18n import _
from otapgate.landscape.load import folded
from otapgate.ledger.directory import Directory

LONGEST = 120

Details = Mapping[int, Mapping[str, object]]
"""Details by the position of their entry, then by field."""


def check(name: str) -> str:
    """A name as it is enrolled; raises BadInput for one that can't be read as it is."""
    found = unicodedata.normalize("NFC", name).strip()
    if not found:
        raise errors.BadInput("name-empty", _("A person needs a name."))
    if not found.isprintable() or len(found) > LONGEST:
        raise errors.BadInput(
            "name-malformed",
            _("'{name}' can't be a person's name: it is too long, or holds line breaks,"
              " control characters or other invisible ones.").format(name=harmless(found)),
            remedy=_("type the name anew, on one line"),
        )  # fmt: skip
    return found


def harmless(name: str) -> str:
    """A name from the ledger as it may be shown: its writer may have used another tool."""
    found = "".join(c if c.isprintable() else "\ufffd" for c in name[:LONGEST])
    return unicodedata.normalize("NFC", found).strip()


def of(people: Directory, details: Details) -> dict[str, str]:
    """Person id → name of everybody enrolled whose name wasn't erased."""
    found = {}
    for person in people.people.values():
        for position in person.enrolled:
            name = _name(details, position, person.id)
            if name:
                found[person.id] = name
    return found


def proposed(people: Directory, details: Details) -> dict[int, str]:
    """Position → name, of enrolments that wait for a second role administrator."""
    found = {}
    for position, waiting in people.pending.items():
        name = _name(details, position, waiting.person)
        if waiting.act == "enrol" and name:
            found[position] = name
    return found


def _name(details: Details, position: int, person: str) -> str:
    name = details.get(position, {}).get(f"name-{person}")
    return harmless(name) if isinstance(name, str) else ""


def find(names: Mapping[str, str], wanted: str) -> str:
    """The id of one person by name or id; raises BadInput for none and for several."""
    if wanted in names:
        return wanted
    hits = [person for person, name in names.items() if folded(name) == folded(wanted)]
    if len(hits) == 1:
        return hits[0]
    if hits:
        raise errors.BadInput(
            "person-ambiguous",
            _("More than one person is called {name}.").format(name=harmless(wanted)),
            remedy=_("name one of them by id: {known}").format(known=", ".join(sorted(hits))),
        )
    raise errors.BadInput(
        "person-unknown",
        _("Nobody called {name} is enrolled.").format(name=harmless(wanted)),
        remedy="otapgate people list",
    )
