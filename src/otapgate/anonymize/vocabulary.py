"""Pools of invented names, streets, places and firms to pick from.

Faker supplies most words, drawn once per run and seeded from the run's key. A word that
occurs in the source's own sensitive values never enters a pool, so whatever of the source
is found in the result is a leak and no coincidence; what is then missing is made up from
syllables. Which word a value gets is decided in `transforms`.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from faker import Faker

POOL = 2000
"""Words in a pool; names of firms and streets repeat about as often as real ones do."""
LEAST = 100

_WORD = re.compile(r"[^\W\d_]{2,}")


def _house(faker: Faker) -> str:
    return str(faker.random_int(1, 399))


def _postcode(faker: Faker) -> str:
    # SA, SD and SS are never given out, so the address can't be anybody's.
    return f"{faker.random_int(1000, 9999)} {faker.random_element(('SA', 'SD', 'SS'))}"


DOMAINS: dict[str, tuple[Callable[[Faker], str], str]] = {
    "person.first_name": (lambda f: f.first_name(), "{a}"),
    "person.last_name": (lambda f: f.last_name(), "{a}{b}"),
    "person.full_name": (lambda f: f"{f.first_name()} {f.last_name()}", "{a} {c}{b}"),
    "person.initials": (lambda f: f"{f.random_uppercase_letter()}.", "{i}."),
    "street": (lambda f: f.street_name(), "{a}{b}straat"),
    "house_number": (_house, "{n}"),
    "address": (lambda f: f"{f.street_name()} {_house(f)}", "{a}{b}straat {n}"),
    "postcode": (_postcode, "{n} SS"),
    "city": (lambda f: f.city(), "{a}{b}dam"),
    "company": (lambda f: f.company(), "{a}{b} B.V."),
    "school": (lambda f: f"Basisschool {f.last_name()}", "School {a}{b}"),
    "job": (lambda f: f.job(), "{a}{b}er"),
    "word": (lambda f: f.word(), "{a}"),
}
"""Per domain: a draw from Faker, and the shape of what is made up when words run out."""

_ONSETS = (
    *("b", "br", "d", "dr", "f", "fl", "g", "gr", "h", "j", "k", "kl", "kr", "l", "m", "n"),
    *("p", "pr", "r", "s", "sl", "st", "t", "tr", "v", "vl", "w", "z"),
)
_VOWELS = ("a", "aa", "e", "ee", "i", "ie", "o", "oe", "oo", "u", "ui", "ij", "ei")
_CODAS = (
    *("l", "ld", "lk", "m", "n", "nd", "ng", "nk", "p", "r", "rd", "rf", "rk", "rm", "rn"),
    *("rs", "s", "st", "t", "x"),
)


def pool(domain: str, locale: str, seed: int, forbidden: Collection[str]) -> list[str]:
    """Different words for `domain`, none of which holds a word of `forbidden` (case-folded).

    Equal arguments give equal pools. At least `LEAST` entries, except where the domain is
    small by nature (initials, house numbers).
    """
    from faker import Faker

    draw, shape = DOMAINS[domain]
    faker = Faker(locale)
    faker.seed_instance(seed)
    found: dict[str, None] = {}
    for _attempt in range(POOL * 2):
        word = draw(faker)
        if not forbidden or words(word).isdisjoint(forbidden):
            found[word] = None
        if len(found) >= POOL:
            break
    if len(found) < LEAST and domain not in ("person.initials", "house_number"):
        chance = random.Random(seed)  # noqa: S311 - vocabulary; the key decides who gets what
        attempts = 0
        while len(found) < POOL and attempts < POOL * 20:
            attempts += 1
            word = _invented(shape, chance)
            if words(word).isdisjoint(forbidden):
                found[word] = None
    return list(found)


def words(text: str) -> set[str]:
    """The case-folded words of two letters or more in `text`, linking words left out."""
    return {word.casefold() for word in _WORD.findall(text)} - _COMMON


_COMMON = frozenset(
    (
        *("van", "der", "den", "de", "het", "te", "ter", "ten", "in", "op", "bij", "aan", "en"),
        *("of", "la", "le", "du", "von", "zu", "al", "el", "basisschool", "school", "straat"),
        *("laan", "weg", "plein", "dreef", "ring", "pad", "singel", "groep", "holding"),
        *("stichting", "bv", "nv", "vof", "ltd", "and", "sons", "inc", "the"),
    )
)


def _invented(shape: str, chance: random.Random) -> str:
    def syllable() -> str:
        return chance.choice(_ONSETS) + chance.choice(_VOWELS)

    first = syllable() + syllable() + chance.choice(_CODAS)
    second = syllable() + chance.choice(_CODAS)
    third = syllable() + chance.choice(_ONSETS) + chance.choice(_VOWELS)
    return shape.format(
        a=first.capitalize(),
        b=second,
        c=third.capitalize(),
        i=chance.choice("ABCDEFGHIJKLMNOPRSTVWZ"),
        n=chance.randint(1000, 9999),
    )
