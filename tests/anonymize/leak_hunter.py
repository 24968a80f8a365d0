"""A program that hunts for real values in an anonymised database, on its own terms.

    python leak_hunter.py SOURCE TARGET TABLE.COLUMN ...

It shares no code with the leak scan and goes another way: it dumps the target as SQL and
also takes the file's raw bytes (free pages, headers and all), spells every source value in
every way it can think of, and searches plainly. Prints what it found, exits 1 if anything.
"""

from __future__ import annotations

import base64
import re
import sqlite3
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path


def values(source: Path, columns: list[str]) -> dict[str, set[str]]:
    connection = sqlite3.connect(f"file:{source}?mode=ro", uri=True)
    found = {}
    for name in columns:
        table, column = name.rsplit(".", 1)
        rows = connection.execute(f'SELECT DISTINCT "{column}" FROM "{table}"')
        found[name] = {
            v.decode("utf-8", "ignore") if isinstance(v, bytes) else str(v)
            for (v,) in rows
            if v is not None and len(str(v)) >= 4
        }
    connection.close()
    return found


def spellings(value: str) -> Iterator[bytes]:
    plain = unicodedata.normalize("NFD", value)
    bare = "".join(c for c in plain if not unicodedata.combining(c))
    for text in {value, bare, re.sub(r"[\s.\-]", "", value)}:
        for way in {text, text[::-1]}:
            for cased in {way, way.lower(), way.upper(), way.title()}:
                yield cased.encode()
                yield cased.encode("utf-16-le")
                yield cased.encode("utf-16-be")
    if len(value) >= 6:
        yield value.encode().hex().encode()
        for shift in range(3):
            coded = base64.b64encode(b"\0" * shift + value.encode())
            # The first and last signs depend on the neighbours.
            yield coded[(0, 2, 3)[shift] : -4]


def haystacks(target: Path) -> Iterator[tuple[str, bytes]]:
    yield "the file's bytes", target.read_bytes()
    connection = sqlite3.connect(f"file:{target}?mode=ro", uri=True)
    for number, line in enumerate(connection.iterdump()):
        yield f"dump line {number}", line.encode("utf-8", "surrogatepass")
    connection.close()


def stands_alone(haystack: bytes, needle: bytes) -> bool:
    """Whether `needle` is there, and not as a part of a longer word or number."""
    start = haystack.find(needle)
    while start >= 0:
        before = haystack[start - 1 : start]
        after = haystack[start + len(needle) : start + len(needle) + 1]
        if len(needle) > 9 or not (
            (before.isalpha() and needle[:1].isalpha())
            or (after.isalpha() and needle[-1:].isalpha())
            or (before.isdigit() and needle[:1].isdigit())
            or (after.isdigit() and needle[-1:].isdigit())
        ):
            return True
        start = haystack.find(needle, start + 1)
    return False


def hunt(source: Path, target: Path, columns: list[str]) -> list[str]:
    """`place: column` of every find; never the value."""
    places = list(haystacks(target))
    everything = b"\n".join(text for _place, text in places)
    finds = []
    for column, known in values(source, columns).items():
        for value in known:
            for needle in set(spellings(value)):
                if len(needle) >= 4 and needle in everything:
                    finds += [f"{p}: {column}" for p, text in places if stands_alone(text, needle)]
    return sorted(set(finds))


if __name__ == "__main__":
    found = hunt(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
    print("\n".join(found) or "nothing found")
    sys.exit(1 if found else 0)
