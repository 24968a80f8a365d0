"""The reference plan on a real Tryton: it must start, log in and work after anonymising.

Installs the reference application's wheels, fetched once and kept, in a virtual environment.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from otapgate.anonymize import run
from otapgate.anonymize.plan import load_plan
from otapgate.demo.wheels import fetch

from . import leak_hunter
from .conftest import bsn, query

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.slow

PEOPLE = """
import datetime, sys
from trytond.config import config
config.update_etc(sys.argv[1])
from trytond.pool import Pool
from trytond.transaction import Transaction
Pool.start()
pool = Pool("school")
pool.init()
first = ["Fatima", "Daan", "Lotte", "Joris", "Sanne", "Willemijn", "Thijs", "Noor"]
last = ["van Dijkhuizen", "Oosterbaan", "El Amrani", "Kloosterziel", "Zandvliet"]
with Transaction().start("school", 1, context={}) as transaction:
    names = [f"{first[i % 8]} {last[i % 5]}" for i in range(40)]
    made = pool.get("party.party").create([{
        "name": name,
        "addresses": [("create", [{"street_name": "Kromme Elleboogsteeg",
                                   "postal_code": f"{2000 + i} AB",
                                   "city": "Oudewaterveen"}])],
        "contact_mechanisms": [("create", [
            {"type": "email", "value": f"{name.replace(' ', '').lower()}{i}@voorbeeld.nl"},
            {"type": "mobile", "value": f"06-{12000000 + i}", "comment": f"Moeder: {name}"}])],
        "identifiers": [("create", [{"type": "nl_bsn", "code": code}])],
    } for i, (name, code) in enumerate(zip(names, sys.argv[2:]))])
    pool.get("res.user").create([{"name": "Noor Zandvliet", "login": "nzandvliet",
                                  "password": "Xk39-lange-zin"}])
    pool.get("ir.note").create([{"resource": str(made[0]), "message": "Fatima is vaak ziek"}])
    transaction.commit()
"""

USE = """
import sys
from trytond.config import config
config.update_etc(sys.argv[1])
from trytond.pool import Pool
from trytond.security import login
from trytond.transaction import Transaction
Pool.start()
pool = Pool("copy")
pool.init()
user, *_ = login("copy", "admin", {"password": sys.argv[2]})
with Transaction().start("copy", user, context={}):
    Party = pool.get("party.party")
    found = Party.search([])
    for party in found:
        party.rec_name, [a.full_address for a in party.addresses]
        Party.validate([party])
        for identifier in party.identifiers:
            identifier.check_code()
    new, = Party.create([{"name": "Nieuw"}])
    print(len(found), new.code)
"""

SENSITIVE = [
    "party_party.name", "party_address.street_name", "party_address.city",
    "party_address.postal_code", "party_contact_mechanism.value",
    "party_contact_mechanism.comment", "party_identifier.code", "ir_note.message",
]  # fmt: skip


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """The folder with the programs of an installed Tryton 7.6."""
    wheels = fetch(ROOT / "playbooks/tryton/requirements-7.6.txt", tmp_path / "wheels")
    home = tmp_path / "venv"
    install = ["-m", "pip", "--python", str(home), "install", "-q", "--no-index", "--no-deps"]
    for command in (["-m", "venv", "--without-pip", str(home)], [*install, *map(str, wheels)]):
        subprocess.run([sys.executable, *command], check=True, capture_output=True, timeout=300)
    return home / "bin"


def test_an_anonymised_tryton_starts_logs_in_and_lists_parties(
    tmp_path: Path, programs: Path
) -> None:
    config = tmp_path / "trytond.conf"
    config.write_text(f"[database]\nuri = sqlite://\npath = {tmp_path}\n")
    password = tmp_path / "password"
    password.write_text("t-Wachtwoord-9x")

    def tryton(program: str, *arguments: str) -> str:
        ended = subprocess.run(
            [programs / program, *arguments],
            env={**os.environ, "TRYTONPASSFILE": str(password)},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    source, target = tmp_path / "school.sqlite", tmp_path / "copy.sqlite"
    source.touch()
    admin = ("-c", str(config), "-d", "school", "--email", "admin@school.example")
    tryton("trytond-admin", *admin, "--all")
    tryton("trytond-admin", *admin, "-u", "party", "country", "company", "--activate-dependencies")
    tryton("python", "-c", PEOPLE, str(config), *(bsn(i) for i in range(40)))

    plan = load_plan(ROOT / "anonymizers" / "tryton.yml")
    result = run.anonymize(plan, plan.digest, source, target)
    assert result.label == "anonymised"
    assert leak_hunter.hunt(source, target, SENSITIVE) == []
    assert query(target, "SELECT login, password_hash FROM res_user WHERE id < 2") == [
        ("root", None),
        ("admin", None),
    ]

    tryton("trytond-admin", "-c", str(config), "-d", "copy", "--password")
    assert tryton("python", "-c", USE, str(config), "t-Wachtwoord-9x").split() == ["40", "41"]
