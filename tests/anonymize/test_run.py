from __future__ import annotations

import base64
import hashlib
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from stdnum.nl import bsn as bsn_standard

from otapgate import canonical
from otapgate.anonymize import run, schema, stage
from otapgate.anonymize.plan import Plan
from otapgate.errors import BadInput, Busy, Failed

from . import leak_hunter
from .conftest import PLAN, MakePlan, query

SENSITIVE = [
    "leerling.bsn", "leerling.voornaam", "leerling.achternaam", "leerling.email",
    "leerling.telefoon", "leerling.foto", "cijfer.leerling_bsn", "sessie.token",
]  # fmt: skip


def go(plan: Plan, source: Path, target: Path, **options: object) -> run.Result:
    return run.anonymize(plan, plan.digest, source, target, **options)  # type: ignore[arg-type]


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path / "doel"
    folder.mkdir()
    return folder / "school.sqlite"


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def change(path: Path, sql: str, *values: object) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(sql, values)
    connection.close()


def test_a_school_is_anonymised_and_an_independent_hunter_finds_nothing(
    school: Path, make_plan: MakePlan, target: Path
) -> None:
    before = digest(school)
    result = go(make_plan(school), school, target)
    assert result.label == "anonymised"
    assert digest(school) == before
    assert leak_hunter.hunt(school, target, SENSITIVE) == []
    assert leak_hunter.hunt(school, school, SENSITIVE)


def test_the_schema_comes_over_exactly(school: Path, make_plan: MakePlan, target: Path) -> None:
    go(make_plan(school), school, target)
    master = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name"
    assert query(target, master) == query(school, master)
    assert query(target, "PRAGMA user_version") == [(42,)]
    assert query(target, "SELECT * FROM sqlite_sequence ORDER BY name") == [
        ("klas", 3),
        ("leerling", 5000),
    ]


def test_rows_nulls_keys_and_references_are_as_they_were(
    school: Path, make_plan: MakePlan, target: Path
) -> None:
    go(make_plan(school), school, target)
    for sql in (
        "SELECT * FROM land",
        "SELECT * FROM klas",
        "SELECT id, klas, mentor, land, bsn IS NULL, achternaam IS NULL, telefoon IS NULL"
        " FROM leerling",
        "SELECT l.id, c.vak, c.cijfer FROM cijfer c JOIN leerling l ON l.bsn = c.leerling_bsn"
        " ORDER BY 1, 2",
    ):
        assert query(target, sql) == query(school, sql)
    assert query(target, "PRAGMA foreign_key_check") == []
    assert query(target, "SELECT count(*) FROM sessie") == [(0,)]
    assert query(target, "SELECT count(*) FROM leerling WHERE foto IS NOT NULL") == [(0,)]


def plain(name: str) -> str:
    """A name as it stands in an address: small letters without accents."""
    apart = unicodedata.normalize("NFD", name.lower())
    return "".join(c for c in apart if not unicodedata.combining(c))


def test_new_values_are_valid_consistent_and_reach_nobody(
    school: Path, make_plan: MakePlan, target: Path
) -> None:
    go(make_plan(school), school, target)
    rows = query(target, "SELECT bsn, voornaam, email, telefoon, geboren FROM leerling")
    old = query(school, "SELECT bsn, voornaam, email, telefoon, geboren FROM leerling")
    numbers = [row[0] for row in rows if row[0]]
    assert all(bsn_standard.is_valid(str(n)) and str(n).startswith("9") for n in numbers)
    assert len(set(numbers)) == len(numbers)
    names = {(before[1], after[1]) for before, after in zip(old, rows, strict=True)}
    assert len(names) == len({before for before, _after in names})
    for before, (_bsn, first, email, phone, born) in zip(old, rows, strict=True):
        assert str(email).endswith("@example.invalid")
        assert str(email).split(".")[0] in plain(str(first))
        if phone:
            assert str(phone).startswith(("060", "+3160"))
        assert str(born) == f"{str(before[4])[:4]}-01-01"


def test_free_text_keeps_its_sense_and_loses_its_people(
    school: Path, make_plan: MakePlan, target: Path
) -> None:
    go(make_plan(school), school, target)
    assert query(target, "SELECT opmerking FROM leerling WHERE id = 1") == [
        ("Gesproken met de ouders van [verwijderd], bel [verwijderd].",)
    ]


def test_two_runs_share_no_pseudonym_beyond_chance(
    school: Path, make_plan: MakePlan, target: Path
) -> None:
    plan = make_plan(school)
    sql = "SELECT bsn FROM leerling WHERE bsn IS NOT NULL UNION SELECT email FROM leerling"
    go(plan, school, target)
    one = set(query(target, sql))
    go(plan, school, target)
    assert not one & set(query(target, sql))


def test_the_same_key_gives_the_same_result_and_only_pseudonyms(
    school: Path, make_plan: MakePlan, target: Path
) -> None:
    plan = make_plan(school)
    dumps = []
    for name in ("een", "twee"):
        result = go(plan, school, target.with_name(name), key=b"k" * 32)
        assert result.label == "pseudonymised"
        assert result.manifest["key"] == "kept"
        dumps.append(query(target.with_name(name), "SELECT * FROM leerling"))
    assert dumps[0] == dumps[1]


def test_bsns_cannot_be_recovered_by_trying_all_without_the_key(
    school: Path, make_plan: MakePlan, target: Path
) -> None:
    """The argument: the only road from a BSN to its pseudonym is the keyed function and the
    keyed permutation. Trying every BSN of the source along that road with any other key
    finds no pair, where the right key finds all; and 2^256 keys can't be tried."""
    plan = make_plan(school)
    sql = "SELECT id, bsn FROM leerling WHERE bsn IS NOT NULL"
    go(plan, school, target, key=b"r" * 32)
    real = set(query(target, sql))
    guesses = target.with_name("gok")
    go(plan, school, guesses, key=b"r" * 32)
    assert set(query(guesses, sql)) == real
    for guess in (b"\0" * 32, b"q" + b"r" * 31):
        go(plan, school, guesses, key=guess)
        assert not set(query(guesses, sql)) & real


def test_the_manifest_is_canonical_and_holds_no_value(
    school: Path, make_plan: MakePlan, target: Path
) -> None:
    result = go(make_plan(school), school, target)
    text = canonical.encode(result.manifest).decode()
    assert canonical.decode(text.encode()) == result.manifest
    for sql in ("SELECT bsn, achternaam, email FROM leerling",):
        for row in query(school, sql) + query(target, sql):
            assert not any(str(cell) in text for cell in row if cell)
    assert '"transform":{"domain":"person.bsn","format":"bsn","name":"permute"}' in text


def test_the_source_digest_is_of_its_content_not_its_layout(
    school: Path, make_plan: MakePlan, target: Path
) -> None:
    plan = make_plan(school)

    def source_digest() -> object:
        return go(plan, school, target).manifest["source"]["digest"]  # type: ignore[index,call-overload]

    first = source_digest()
    change(school, "CREATE INDEX extra ON cijfer(vak)")
    connection = sqlite3.connect(school)
    connection.execute("DROP INDEX extra")
    connection.execute("VACUUM")
    connection.close()
    assert source_digest() == first
    change(school, "UPDATE cijfer SET cijfer = 6 WHERE rowid = 3")
    assert source_digest() != first


def test_a_new_target_and_a_stage_are_for_the_owner_only(
    school: Path, make_plan: MakePlan, target: Path
) -> None:
    modes = []

    def look(_progress: run.Progress) -> None:
        modes.extend(stat.S_IMODE(p.stat().st_mode) for p in target.parent.iterdir())

    go(make_plan(school), school, target, progress=look)
    assert set(modes) == {0o600}
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("how", ["same", "symlink", "hardlink"])
def test_a_target_that_is_the_source_is_refused(
    school: Path, make_plan: MakePlan, tmp_path: Path, how: str
) -> None:
    target = school if how == "same" else tmp_path / "anders.sqlite"
    if how == "symlink":
        target.symlink_to(school)
    if how == "hardlink":
        target.hardlink_to(school)
    before = digest(school)
    with pytest.raises(BadInput) as caught:
        go(make_plan(school), school, target)
    assert caught.value.code == "target-is-source"
    assert digest(school) == before


PLANTED = {
    "a name in a note that is kept": ("UPDATE klas SET naam = ? WHERE id = 2",
                                      "Klas van Lotte Zandvliet? Nee, van Thijs Oosterbaan"),
    "a BSN in a text": ("UPDATE klas SET naam = 'zie ' || (SELECT max(bsn) FROM leerling)",),
    "an e-mail address in JSON": (
        """UPDATE klas SET naam = '{"m": "' || (SELECT email FROM leerling LIMIT 1) || '"}'""",),
    "a name backwards in a user name": ("UPDATE klas SET naam = ?", "naabretsoo_77"),
    "a value in a blob": ("UPDATE klas SET naam = ?", b"\x00\xffKloosterziel\x00"),
    "a value in base64": ("UPDATE klas SET naam = ?",
                          base64.b64encode(b"mentor: Kloosterziel").decode()),
    "a value in a view's comment": (
        "CREATE VIEW v AS SELECT 1 /* gemaakt voor Willemijn Zandvliet */",),
    "a value in a trigger": (
        "CREATE TRIGGER t AFTER DELETE ON klas BEGIN SELECT 'Oosterbaan'; END",),
    "a value in a counter": (
        "UPDATE sqlite_sequence SET seq = (SELECT cast(bsn AS INTEGER) FROM leerling"
        " WHERE id = 3) WHERE name = 'klas'",),
    "a value of an emptied table": ("UPDATE klas SET naam = ?", "geheim-van-productie"),
}  # fmt: skip


@pytest.mark.parametrize("what", PLANTED)
def test_a_planted_leak_is_found_named_and_never_loaded(
    school: Path, make_plan: MakePlan, target: Path, what: str
) -> None:
    target.write_bytes(b"")
    change(school, *PLANTED[what])
    with pytest.raises(Failed) as caught:
        go(make_plan(school), school, target)
    assert caught.value.code == "leak-found"
    said = caught.value.message + "".join(p.message for p in caught.value.problems)
    assert any(place in said for place in ("klas.naam", "schema:", "sqlite_sequence:klas"))
    for secret in ("Oosterbaan", "Kloosterziel", "Zandvliet", "naabretsoo", "0001", "geheim"):
        assert secret not in said
    assert target.read_bytes() == b""
    assert list(target.parent.iterdir()) == [target]


def test_a_hit_that_the_plan_explains_is_reported_and_passes(
    school: Path, make_plan: MakePlan, target: Path
) -> None:
    change(school, "UPDATE klas SET naam = 'Noor' WHERE id = 1")
    text = (
        PLAN + "scan:\n  ignore:\n    - {column: klas.naam, reason: Classes have names of winds}\n"
    )
    result = go(make_plan(school, text), school, target)
    checks = result.manifest["checks"]["leak_scan"]  # type: ignore[index,call-overload]
    assert checks["ignored"] == [{"column": "klas.naam", "count": 1}]


def test_small_groups_stop_the_run_and_are_named(
    school: Path, make_plan: MakePlan, target: Path
) -> None:
    demand = "k_anonymity:\n  - {table: leerling, columns: [geboren, klas], k: %d}\n"
    assert go(make_plan(school, PLAN + demand % 2), school, target).k == 5
    with pytest.raises(Failed) as caught:
        go(make_plan(school, PLAN + demand % 9), school, target)
    assert caught.value.code == "group-too-small"
    assert "leerling" in caught.value.problems[0].message


def test_a_bsn_kept_as_a_number_stays_joinable_with_its_text(
    school: Path, make_plan: MakePlan, target: Path
) -> None:
    change(school, "CREATE TABLE oud (bsn INTEGER)")
    change(school, "INSERT INTO oud SELECT cast(bsn AS INTEGER) FROM leerling WHERE bsn NOT NULL")
    extra = "  oud: {columns: {bsn: {transform: permute, format: bsn, domain: person.bsn}}}\n"
    go(make_plan(school, PLAN + extra), school, target)
    joined = "SELECT count(*) FROM oud JOIN leerling l ON oud.bsn = cast(l.bsn AS INTEGER)"
    assert query(target, joined) == [(57,)]
    assert query(target, "SELECT DISTINCT typeof(bsn) FROM oud") == [("integer",)]


def test_an_invalid_bsn_is_replaced_by_an_invalid_one(
    school: Path, make_plan: MakePlan, target: Path
) -> None:
    change(school, "UPDATE leerling SET bsn = 'onbekend' WHERE id = 20")
    go(make_plan(school), school, target)
    [(found,)] = query(target, "SELECT bsn FROM leerling WHERE id = 20")
    assert len(str(found)) == 9
    assert not bsn_standard.is_valid(str(found))


def test_dates_in_another_form_stop_the_run_with_their_number(
    school: Path, make_plan: MakePlan, target: Path
) -> None:
    change(school, "UPDATE leerling SET geboren = '12 mei 2011' WHERE id < 4")
    with pytest.raises(BadInput) as caught:
        go(make_plan(school), school, target)
    assert caught.value.code == "date-unreadable"
    assert "3 values" in caught.value.message
    assert not target.exists()


def test_a_virtual_table_is_refused_by_name(
    school: Path, make_plan: MakePlan, target: Path
) -> None:
    plan = make_plan(school)
    change(school, "CREATE VIRTUAL TABLE zoeken USING fts5(tekst)")
    with pytest.raises(BadInput) as caught:
        go(plan, school, target)
    assert caught.value.code == "schema-unsupported"
    assert "zoeken" in caught.value.problems[0].message


@pytest.mark.parametrize("content", [None, b"", b"geen database, wel bytes" * 50])
def test_a_source_that_is_no_database_is_bad_input(
    school: Path, make_plan: MakePlan, target: Path, content: bytes | None
) -> None:
    plan = make_plan(school)
    other = school.with_name("anders")
    if content is not None:
        other.write_bytes(content)
    with pytest.raises(BadInput):
        go(plan, other, target)
    assert not target.exists()


def test_text_that_is_not_utf8_stops_the_run(
    school: Path, make_plan: MakePlan, target: Path
) -> None:
    change(school, "UPDATE leerling SET voornaam = cast(x'4AE96E' AS TEXT) WHERE id = 2")
    with pytest.raises(Failed) as caught:
        go(make_plan(school), school, target)
    assert "leerling" in caught.value.message
    assert list(target.parent.iterdir()) == []


def test_another_kind_of_database_is_refused_by_name(school: Path, make_plan: MakePlan) -> None:
    with pytest.raises(BadInput, match="postgresql"):
        run.anonymize(p := make_plan(school), p.digest, "postgresql://x/y", "z")


def test_a_plan_that_is_not_the_one_asked_for_is_refused(
    school: Path, make_plan: MakePlan, target: Path
) -> None:
    with pytest.raises(BadInput) as caught:
        run.anonymize(make_plan(school), "sha256:" + "0" * 64, school, target)
    assert caught.value.code == "plan-changed"


@pytest.mark.parametrize("journal", ["DELETE", "WAL"])
def test_an_application_with_the_target_open_sees_the_old_and_then_the_new(
    school: Path, make_plan: MakePlan, target: Path, journal: str
) -> None:
    application = sqlite3.connect(target, isolation_level=None)
    application.execute("PRAGMA page_size = 8192")
    application.execute(f"PRAGMA journal_mode = {journal}")
    application.execute("CREATE TABLE leerling (voornaam TEXT)")
    application.execute("INSERT INTO leerling VALUES ('oud')")
    seen = []

    def look(_progress: run.Progress) -> None:
        seen.extend(application.execute("SELECT voornaam FROM leerling").fetchall())

    go(make_plan(school), school, target, progress=look)
    assert set(seen) == {("oud",)}
    assert application.execute("SELECT count(*) FROM leerling").fetchall() == [(60,)]
    application.close()
    assert query(target, "PRAGMA integrity_check") == [("ok",)]


def test_a_target_in_use_is_left_alone(
    school: Path, make_plan: MakePlan, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "_BUSY_SECONDS", 0.1)
    application = sqlite3.connect(target, isolation_level=None)
    application.execute("CREATE TABLE oud (x)")
    application.execute("BEGIN EXCLUSIVE")
    with pytest.raises(Busy):
        go(make_plan(school), school, target)
    application.execute("ROLLBACK")
    assert application.execute("SELECT name FROM sqlite_master").fetchall() == [("oud",)]
    application.close()


def test_one_snapshot_is_read_while_the_source_changes(
    school: Path, make_plan: MakePlan, target: Path
) -> None:
    writer = sqlite3.connect(school, isolation_level=None, timeout=0.1)
    writer.execute("PRAGMA journal_mode = WAL")
    done = []

    def meddle(progress: run.Progress) -> None:
        if progress.phase == "survey" and not done:
            writer.execute("INSERT INTO leerling (voornaam, bsn) VALUES ('Gloednieuw', '1')")
            done.append(True)

    go(make_plan(school), school, target, progress=meddle)
    writer.close()
    assert done
    assert query(target, "SELECT count(*) FROM leerling") == [(60,)]


def test_a_stage_that_a_dead_run_left_is_removed_and_a_living_one_is_not(
    school: Path, make_plan: MakePlan, target: Path
) -> None:
    stale = target.parent / f".{target.name}.otapgate-stage-00ff"
    stale.write_bytes(b"half")
    living = []
    connection = schema.open_source(school)
    shape = schema.read_schema(connection, "x")
    connection.close()
    with stage.staged(target, shape) as other:
        go(make_plan(school), school, target)
        living.append(other.path.exists())
    assert living == [True]
    assert list(target.parent.iterdir()) == [target]


KILL = """
import os, signal, sys
from pathlib import Path
from otapgate.anonymize import run
from otapgate.anonymize.plan import load_plan
plan = load_plan(Path(sys.argv[1]))
def kill(progress):
    if progress.phase == sys.argv[4]:
        os.kill(os.getpid(), signal.SIGKILL)
run.anonymize(plan, plan.digest, sys.argv[2], sys.argv[3], progress=kill)
"""


@pytest.mark.parametrize("phase", ["survey", "copy", "check", "load"])
def test_kill_nine_leaves_the_target_as_it_was_and_nothing_raw_on_disk(
    school: Path, make_plan: MakePlan, target: Path, tmp_path: Path, phase: str
) -> None:
    plan = make_plan(school)
    old = sqlite3.connect(target)
    old.executescript("CREATE TABLE oud (x); INSERT INTO oud VALUES (1)")
    old.close()
    before = digest(target)
    ended = subprocess.run(
        [sys.executable, "-c", KILL, tmp_path / "plan.yml", school, target, phase],
        env={**os.environ, "TMPDIR": str(target.parent)},
        check=False,
        timeout=60,
    )
    assert ended.returncode == -signal.SIGKILL
    assert digest(target) == before
    left = [path for path in target.parent.iterdir() if path != target]
    names = [b"Oosterbaan", b"Kloosterziel", b"basisschool-voorbeeld", b"geheim-van"]
    for path in left:
        assert not any(name in path.read_bytes() for name in names)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(left) == (0 if phase == "survey" else 1)
    go(plan, school, target)
    assert list(target.parent.iterdir()) == [target]
    assert query(target, "SELECT count(*) FROM leerling") == [(60,)]


def test_an_error_halfway_removes_the_stage(
    school: Path, make_plan: MakePlan, target: Path
) -> None:
    def interrupt(progress: run.Progress) -> None:
        if progress.phase == "copy":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        go(make_plan(school), school, target, progress=interrupt)
    assert list(target.parent.iterdir()) == []
