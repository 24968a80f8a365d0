"""How anonymising compares with a raw copy and with Faker row by row. Run by hand:

    python tests/bench/bench_anonymize.py [ROWS]

Makes an invented table of ROWS × 13 columns in SQLite and prints seconds and ratios:
a raw copy (fetchmany, executemany), Faker row by row (measured on a part and scaled up),
and otapgate with its parts.
"""

from __future__ import annotations

import random
import resource
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

from faker import Faker

from otapgate.anonymize import run
from otapgate.anonymize import schema as schemas
from otapgate.anonymize.introspect import schema_part
from otapgate.anonymize.plan import load_plan

COLUMNS = (
    "id INTEGER PRIMARY KEY, bsn TEXT UNIQUE, voornaam TEXT, achternaam TEXT, email TEXT,"
    " telefoon TEXT, straat TEXT, huisnummer TEXT, postcode TEXT, plaats TEXT, geboren DATE,"
    " klas INTEGER, notitie TEXT"
)
PLAN = """
name: bench
tables:
  leerling:
    columns:
      id: keep
      bsn: {transform: permute, format: bsn}
      voornaam: {transform: fake, domain: person.first_name}
      achternaam: {transform: fake, domain: person.last_name}
      email: {transform: email, from: [voornaam, achternaam]}
      telefoon: phone
      straat: {transform: fake, domain: street}
      huisnummer: {transform: fake, domain: house_number}
      postcode: {transform: fake, domain: postcode}
      plaats: {transform: fake, domain: city}
      geboren: {transform: generalise, to: month}
      klas: keep
      notitie: free_text
"""
SLOW_ROWS = 2000


def make(path: Path, rows: int) -> None:
    chance, faker = random.Random(1), Faker("nl_NL")
    faker.seed_instance(1)
    first = [faker.first_name() for _ in range(1000)]
    last = [faker.last_name() for _ in range(1000)]
    street = [faker.street_name() for _ in range(1000)]
    city = [faker.city() for _ in range(500)]
    numbers = valid_bsns(rows)
    connection = sqlite3.connect(path)
    connection.execute(f"CREATE TABLE leerling ({COLUMNS})")
    connection.executemany(
        f"INSERT INTO leerling VALUES ({','.join('?' * 13)})",
        (
            (
                i,
                numbers[i],
                chance.choice(first),
                chance.choice(last),
                f"leerling{i}@basisschool-voorbeeld.nl",
                f"06{10_000_000 + i:08d}",
                chance.choice(street),
                str(chance.randint(1, 300)),
                f"{chance.randint(1000, 9999)} {chance.choice('ABCD')}{chance.choice('EFGH')}",
                chance.choice(city),
                f"{chance.randint(2008, 2020)}-{chance.randint(1, 12):02d}-11",
                chance.randint(1, 40),
                f"Notitie {i} over deze leerling.",
            )
            for i in range(rows)
        ),
    )
    connection.commit()
    connection.close()


def valid_bsns(wanted: int) -> list[str]:
    found, stem = [], 90_000_000
    while len(found) < wanted:
        stem += 7
        digits = str(stem)
        check = sum(int(d) * w for d, w in zip(digits, range(9, 1, -1), strict=True)) % 11
        if check < 10:
            found.append(f"{digits}{check}")
    return found


def raw(source: Path, target: Path, each_row: object = None, limit: int = -1) -> float:
    start = time.monotonic()
    reading, writing = sqlite3.connect(source), sqlite3.connect(target)
    writing.execute("PRAGMA synchronous = OFF")
    writing.execute(f"CREATE TABLE leerling ({COLUMNS})")
    cursor = reading.execute("SELECT * FROM leerling LIMIT ?", (limit,))
    while rows := cursor.fetchmany(20_000):
        made = [each_row(row) for row in rows] if callable(each_row) else rows
        writing.executemany(f"INSERT INTO leerling VALUES ({','.join('?' * 13)})", made)
    writing.commit()
    writing.close()
    reading.close()
    return time.monotonic() - start


def main(rows: int) -> None:
    faker = Faker("nl_NL")

    def faked(row: tuple[object, ...]) -> tuple[object, ...]:
        return (
            row[0], faker.unique.numerify("9########"), faker.first_name(), faker.last_name(),
            faker.email(), faker.phone_number(), faker.street_name(), faker.building_number(),
            faker.postcode(), faker.city(), str(faker.date_of_birth()), row[11], faker.sentence(),
        )  # fmt: skip

    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        source = base / "source"
        make(source, rows)
        copy = raw(source, base / "raw")
        part = min(rows, SLOW_ROWS)
        slow = raw(source, base / "faker", faked, part) * rows / part
        connection = schemas.open_source(source)
        part_of_plan = schema_part(schemas.read_schema(connection, "bench"))
        connection.close()
        (base / "plan.yml").write_text(PLAN + part_of_plan)
        plan = load_plan(base / "plan.yml")
        spent = run.anonymize(plan, plan.digest, source, base / "made").milliseconds
    total = spent["total"] / 1000
    check = spent["check"] / 1000
    print(f"{rows} rows × 13 columns, peak {peak()} MB")
    print(f"raw copy             {copy:8.2f} s")
    print(f"Faker row by row     {slow:8.2f} s   {slow / copy:6.1f} × raw (scaled from {part})")
    print(f"otapgate             {total:8.2f} s   {total / copy:6.2f} × raw")
    print(f"  without the checks {total - check:8.2f} s   {(total - check) / copy:6.2f} × raw")
    print(f"  Faker / otapgate   {slow / total:8.1f} ×")
    print("  milliseconds:", spent)


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000)
