"""Fills an empty Tryton with the invented people of an invented school board.

Run by the release's own interpreter, through Tryton's own models, so that every check
Tryton makes is made. The same seed gives the same people. Nobody here exists: citizen
service numbers are from the test range (99…, with a valid check digit), e-mail addresses
are under .example, and telephone numbers begin with 06-00, which no network hands out.

Free text mentions people by name and number on purpose: that is what school records do,
and what anonymising must find.
"""

# ruff: noqa: SIM905 - words in running text are read and added to more easily than a list

from __future__ import annotations

import argparse
import datetime
import json
import random
import sys
import unicodedata
from dataclasses import dataclass, field
from typing import Any

BOARD = "Stichting Scholengroep De Linde"
SCHOOLS = ("Basisschool De Wilg", "Basisschool Het Kompas", "Basisschool De Zonnewijzer")
GIVEN = (
    "Sem Noah Liam Lucas Daan Finn Levi Luuk Mees James Milan Sam Bram Mohammed Adam Yusuf "
    "Gijs Thijs Jurre Teun Emma Julia Mila Sophie Olivia Yara Saar Nora Tess Noor Milou Sara "
    "Eva Lotte Fenna Zoë Aïsha Fatima Esmée Roos Lieke Maud Jasmijn Femke Loïs Anouk Wout Siem"
).split()
ADULT = (
    "Jeroen Mark Peter Johan Hans Kees Mehmet Ahmed Rachid Bas Erik Marcel Wouter Ruud Dennis "
    "Anja Petra Marieke Sandra Ingrid Esther Monique Linda Fatma Samira Annemarie Wendy Karin "
    "Mirjam Hanneke Joke Ellen Marloes Nynke Tjitske Renée José"
).split()
FAMILY = (
    "de Jong|Jansen|de Vries|van den Berg|van Dijk|Bakker|Janssen|Visser|Smit|Meijer|de Boer|"
    "Mulder|de Groot|Bos|Vos|Peters|Hendriks|van Leeuwen|Dekker|Brouwer|de Wit|Dijkstra|Smits|"
    "de Graaf|van der Meer|Kok|Jacobs|de Haan|Vermeulen|van den Heuvel|van der Veen|Yılmaz|"
    "El Amrani|Bouzid|Kaya|Demir|Nguyen|Özdemir|'t Hart|ter Horst|Schouten|Postma|Hoekstra"
).split("|")
STREETS = (
    "Lindelaan|Wilgenstraat|Kerkweg|Schoolplein|Dorpsstraat|Eikenhof|Molenpad|Kastanjelaan|"
    "Havenkade|Zonnebloemweg|Prinses Margrietlaan|Burgemeester Vosstraat"
).split("|")
PLACES = (("Lindedorp", "12"), ("Wilgenveen", "34"), ("Kompasstad", "56"))
FUNCTIONS = ("leerkracht", "intern begeleider", "conciërge", "onderwijsassistent", "directeur")


@dataclass
class Person:
    """One invented person, before Tryton knows them."""

    name: str
    kind: str
    address: dict[str, Any]
    bsn: str
    email: str
    mobile: str | None = None
    notes: list[str] = field(default_factory=list)


class Inventor:
    """Invents people; all chance comes from one seed."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)  # noqa: S311 - people, not secrets
        self._numbers = 0
        self._addresses: set[str] = set()

    def bsn(self) -> str:
        """The next number of the test range that passes the eleven test."""
        while True:
            self._numbers += self.chance.randint(1, 40)
            digits = [9, 9, *(int(d) for d in f"{self._numbers:06d}")]
            check = sum(d * (9 - i) for i, d in enumerate(digits)) % 11
            if check < 10:
                return "".join(map(str, digits)) + str(check)

    def email(self, name: str, domain: str) -> str:
        ascii_name = unicodedata.normalize("NFKD", name.replace("ı", "i"))
        base = "".join(
            c if c.isalnum() else "." for c in ascii_name.lower() if c.isascii() and c != "'"
        )
        number, address = 1, f"{base}@{domain}"
        while address in self._addresses:
            number += 1
            address = f"{base}{number}@{domain}"
        self._addresses.add(address)
        return address

    def mobile(self) -> str:
        return f"06-00{self.chance.randint(0, 999_999):06d}"

    def address(self) -> dict[str, Any]:
        city, start = self.chance.choice(PLACES)
        letters = "".join(self.chance.choice("ABCDEGHJKLMNPRTVWXZ") for _ in range(2))
        return {
            "street_name": self.chance.choice(STREETS),
            "building_number": str(self.chance.randint(1, 240)),
            "postal_code": f"{start}{self.chance.randint(10, 99)} {letters}",
            "city": city,
        }

    def family(self, left: int) -> list[Person]:
        """One or two parents and at most `left` children, at one address."""
        surname, address = self.chance.choice(FAMILY), self.address()
        children = [
            self._pupil(surname, address)
            for _ in range(min(left, self.chance.choice((1, 1, 2, 3))))
        ]
        parents = [
            Person(
                name := f"{self.chance.choice(ADULT)} {surname}",
                "Ouder/verzorger",
                address,
                self.bsn(),
                self.email(name, "ouders.example"),
                self.mobile(),
            )
            for _ in range(self.chance.choice((1, 2, 2)))
        ]
        for child in children:
            who = " en ".join(parent.name for parent in parents)
            child.notes.append(f"Ouders/verzorgers van {child.name}: {who}.")
            if self.chance.random() < 0.3:
                talk = self.chance.choice(("verzuim", "de overgang naar groep 8", "dyslexie"))
                child.notes.append(
                    f"Gesprek met {parents[0].name} (tel. {parents[0].mobile}, "
                    f"{parents[0].email}) over {talk} van {child.name}, BSN {child.bsn}."
                )
        return [*children, *parents]

    def _pupil(self, surname: str, address: dict[str, Any]) -> Person:
        name = f"{self.chance.choice(GIVEN)} {surname}"
        group = self.chance.randint(1, 8)
        year = 2026 - 4 - group
        born = datetime.date(year - 1, 10, 1) + datetime.timedelta(self.chance.randint(0, 364))
        school = self.chance.choice(SCHOOLS)
        note = f"{name}, geboren op {born:%d-%m-%Y}, groep {group} van {school}."
        email = self.email(name, "leerling.delinde.example")
        return Person(name, "Leerling", address, self.bsn(), email, notes=[note])

    def employee(self) -> Person:
        name = f"{self.chance.choice(ADULT)} {self.chance.choice(FAMILY)}"
        note = f"{name} is {self.chance.choice(FUNCTIONS)} op {self.chance.choice(SCHOOLS)}."
        email = self.email(name, "delinde.example")
        return Person(name, "Medewerker", self.address(), self.bsn(), email, self.mobile(), [note])


def invent(seed: int, pupils: int, staff: int) -> list[Person]:
    """That many pupils with their parents, and staff; the same for the same seed."""
    inventor, people = Inventor(seed), []
    left = pupils
    while left > 0:
        family = inventor.family(left)
        left -= sum(person.kind == "Leerling" for person in family)
        people += family
    return people + [inventor.employee() for _ in range(staff)]


def fill(pool: Any, people: list[Person]) -> None:
    """Create the board as a company, its categories, and the people with what they have."""
    country = _one(pool, "country.country", {"name": "Nederland", "code": "NL"})
    currency = _one(
        pool, "currency.currency", {"name": "Euro", "code": "EUR", "numeric_code": "978"}
    )
    board = _one(pool, "party.party", {"name": BOARD})
    company = _one(pool, "company.company", {"party": board.id, "currency": currency.id})
    kinds = sorted({person.kind for person in people})
    categories = {kind: _one(pool, "party.category", {"name": kind}).id for kind in kinds}
    parties = pool.get("party.party").create(
        [_values(person, country.id, categories[person.kind]) for person in people]
    )
    pairs = list(zip(people, parties, strict=True))
    pool.get("company.employee").create(
        [
            {"party": party.id, "company": company.id}
            for person, party in pairs
            if person.kind == "Medewerker"
        ]
    )
    pool.get("ir.note").create(
        [
            {"resource": str(party), "message": note}
            for person, party in pairs
            for note in person.notes
        ]
    )


def _one(pool: Any, model: str, values: dict[str, Any]) -> Any:
    return pool.get(model).create([values])[0]


def _values(person: Person, country: int, category: int) -> dict[str, Any]:
    contacts = [{"type": "email", "value": person.email}]
    if person.mobile:
        contacts.append({"type": "mobile", "value": person.mobile})
    return {
        "name": person.name,
        "addresses": [("create", [{**person.address, "country": country}])],
        "contact_mechanisms": [("create", contacts)],
        "identifiers": [("create", [{"type": "nl_bsn", "code": person.bsn}])],
        "categories": [("add", [category])],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--config", required=True, help="the release's trytond.conf")
    parser.add_argument("--database", required=True, help="name of the database")
    parser.add_argument("--pupils", type=int, default=240)
    parser.add_argument("--staff", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()

    from trytond import config

    # Up to series 7.8 the settings are an object in that module, later the module itself.
    getattr(config, "config", config).update_etc(arguments.config)
    from trytond.pool import Pool
    from trytond.transaction import Transaction

    Pool.start()
    pool = Pool(arguments.database)
    pool.init()
    with Transaction().start(arguments.database, 1):
        if pool.get("company.company").search([], count=True):
            sys.stdout.write(json.dumps({"changed": False}) + "\n")
            return 0
        people = invent(arguments.seed, arguments.pupils, arguments.staff)
        fill(pool, people)
    sys.stdout.write(json.dumps({"changed": True, "people": len(people)}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
