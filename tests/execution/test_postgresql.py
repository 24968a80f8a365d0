"""What is said of a PostgreSQL database: everything that means something, nothing else."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from tests import servers

from otapgate.execution import compare
from otapgate.execution.ansible.module_utils.otapgate_state.look import fingerprint

SCHEMA = r"""
CREATE TYPE mood AS ENUM ('glad', 'sad');
CREATE TABLE party (
  id serial PRIMARY KEY, name text NOT NULL DEFAULT 'nobody', born date, mark double precision,
  photo bytea, mood mood, extra jsonb, CONSTRAINT named CHECK (name <> '')
);
CREATE TABLE "odd "" \ name" (a int, "b ; \! c" text);
INSERT INTO "odd "" \ name" VALUES (1, E'x\ny\t\\N'), (NULL, '\N'), (NULL, NULL);
CREATE TABLE nothing ();
CREATE TABLE session (id int, seen timestamptz);
CREATE INDEX party_name ON party (lower(name));
CREATE UNLOGGED TABLE swift (a int);
CREATE TABLE part (k int, v text) PARTITION BY LIST (k);
CREATE TABLE part_one PARTITION OF part FOR VALUES IN (1);
INSERT INTO part VALUES (1, 'one');
CREATE VIEW grown AS SELECT id FROM party WHERE id > 18;
CREATE MATERIALIZED VIEW counted AS SELECT count(*) AS many FROM party;
CREATE FUNCTION greet(text) RETURNS text LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE AGGREGATE total(int) (SFUNC = int4pl, STYPE = int);
CREATE TRIGGER note BEFORE UPDATE ON party FOR EACH ROW EXECUTE FUNCTION noted();
CREATE SEQUENCE tickets START 10 INCREMENT 5;
SELECT nextval('tickets'); SELECT nextval('tickets');
GRANT SELECT ON party TO reader;
INSERT INTO party (name, born, mark, photo)
  SELECT 'pupil ' || n, date '2010-01-01' + n, n / 3.0, int4send(n)
  FROM generate_series(1, 50) n;
REFRESH MATERIALIZED VIEW counted;
"""


@pytest.fixture(scope="module")
def server() -> Iterator[servers.Server]:
    with servers.postgresql() as found:
        found.psql("postgres", "CREATE ROLE reader LOGIN PASSWORD 'geheim-woord'")
        found.psql("postgres", "CREATE DATABASE base")
        found.psql("base", SCHEMA)
        yield found


@pytest.fixture
def name(server: servers.Server) -> Iterator[str]:
    """A database like the first, to change at will."""
    server.psql("postgres", "CREATE DATABASE work TEMPLATE base")
    yield "work"
    server.psql("postgres", "DROP DATABASE work WITH (FORCE)")


def look(url: str, password: str = "", **more: Any) -> dict[str, Any]:
    seen = fingerprint({"databases": [{"url": url, **more}]}, [password])
    # one database looked at under the other's name: what is compared is what is in it
    return {"web": {"databases": {"db": seen["databases"][url]}}}


def test_it_is_all_there_and_equals_itself(server: servers.Server, name: str) -> None:
    seen = look(server.postgresql("base"))
    assert compare.unreadable(seen) == ()
    said = seen["web"]["databases"]["db"]
    assert {key: one.get("rows") for key, one in said["tables"].items()} == {
        "public.party": 50, 'public.odd " \\ name': 3, "public.nothing": 0, "public.session": 0,
        "public.swift": 0, "public.part": None, "public.part_one": 1, "public.counted": 1,
    }  # fmt: skip
    assert said["sequences"]["public.tickets"]["next"] == "20"
    assert compare.compare_state(seen, look(server.postgresql(name))) == ()


CHANGES = [
    ("ALTER TABLE party DROP COLUMN extra", "column extra of table public.party: is gone"),
    ("ALTER TABLE party ADD COLUMN x int", "column x of table public.party: was added"),
    ("ALTER TABLE party ALTER name SET DEFAULT 'x'", "column name of table public.party: default"),
    ("ALTER TABLE party ALTER name DROP NOT NULL", "column name of table public.party: not null"),
    ("ALTER TABLE party ALTER born TYPE timestamp", "column born of table public.party: type"),
    ("ALTER TABLE party DROP CONSTRAINT named", "constraint named of table public.party: is gone"),
    ("DROP INDEX party_name", "index public.party_name: is gone"),
    ("CREATE TABLE left_over ()", "table public.left_over: was added"),
    ("DROP TABLE session", "table public.session: is gone"),
    ("UPDATE party SET mark = mark + 1e-12 WHERE id = 7", "table public.party: 1 row differs"),
    ("UPDATE party SET photo = NULL WHERE id < 4", "table public.party: 3 rows differ"),
    ("DELETE FROM party WHERE id = 9", "table public.party: 1 row differs"),
    ('UPDATE "odd "" \\ name" SET a = 2 WHERE a = 1', 'table public.odd " \\ name: 1 row'),
    ("UPDATE part SET v = 'two'", "table public.part_one: 1 row differs"),
    ("SELECT setval('tickets', 10)", "sequence public.tickets: next 20 → 15"),
    ("ALTER SEQUENCE tickets INCREMENT 1", "sequence public.tickets: definition"),
    ("SELECT setval('party_id_seq', 3)", "sequence public.party_id_seq: next 51 → 4"),
    ("CREATE OR REPLACE VIEW grown AS SELECT id FROM party", "view public.grown: differs"),
    ("DROP MATERIALIZED VIEW counted", "table public.counted: is gone"),
    ("CREATE OR REPLACE FUNCTION greet(text) RETURNS text LANGUAGE sql AS 'SELECT 1::text'",
     "function public.greet(text): differs"),
    ("DROP AGGREGATE total(int)", "aggregate public.total(integer): is gone"),
    ("DROP TRIGGER note ON party", "trigger note of table public.party: is gone"),
    ("ALTER TABLE party DISABLE TRIGGER note", "trigger note of table public.party: differs"),
    ("ALTER TYPE mood ADD VALUE 'new'", "type public.mood: differs"),
    ("CREATE SCHEMA other", "schema other: was added"),
    ("CREATE POLICY p ON party USING (true)", "policy p of table public.party: was added"),
    ("ALTER TABLE party ENABLE ROW LEVEL SECURITY", "table public.party: its definition differs"),
    ("REVOKE SELECT ON party FROM reader", "table public.party: grants"),
    ("GRANT UPDATE (name) ON party TO reader", "column name of table public.party: grants"),
    ("ALTER TABLE party OWNER TO reader", "table public.party: owner boss → reader"),
    ("ALTER DATABASE work SET work_mem = '8MB'", "setting of the database: was added"),
]  # fmt: skip


@pytest.mark.parametrize(("statement", "named"), CHANGES)
def test_each_change_is_named(
    server: servers.Server, name: str, statement: str, named: str
) -> None:
    before = look(server.postgresql(name))
    server.psql(name, statement)
    left = compare.compare_state(before, look(server.postgresql(name)))
    assert any(one.startswith(f"web: {named}") for one in left), left
    assert len(left) <= 4, left


def test_a_restored_dump_is_the_same(server: servers.Server, name: str) -> None:
    """In another order, with other numbers, other caches, and rows that died since."""
    dump = servers.run([servers.program("pg_dump"), "-d", server.postgresql(name)])
    server.psql("postgres", "CREATE DATABASE again")
    try:
        server.psql("again", "CREATE TABLE filler (a int); DROP TABLE filler;" + dump)
        server.psql("again", "UPDATE party SET name = name WHERE id < 20; DELETE FROM swift;"
                    "CREATE TABLE moved AS SELECT * FROM party ORDER BY id DESC;"
                    "ALTER TABLE party DISABLE TRIGGER USER; DELETE FROM party;"
                    "INSERT INTO party SELECT * FROM moved; DROP TABLE moved;"
                    "ALTER TABLE party ENABLE TRIGGER USER; ALTER SEQUENCE tickets CACHE 7;"
                    "VACUUM FULL;")  # fmt: skip
        before, after = look(server.postgresql(name)), look(server.postgresql("again"))
        assert compare.compare_state(before, after) == ()
    finally:
        server.psql("postgres", "DROP DATABASE again")


def test_one_row_among_a_hundred_thousand_is_counted(server: servers.Server, name: str) -> None:
    server.psql(name, "CREATE TABLE big AS SELECT n, md5(n::text) FROM generate_series(1,1e5) n")
    before = look(server.postgresql(name))
    assert before["web"]["databases"]["db"]["tables"]["public.big"]["rows"] == 100_000
    server.psql(name, "UPDATE big SET md5 = 'x' WHERE n = 5")
    left = compare.compare_state(before, look(server.postgresql(name)))
    assert left in (("web: table public.big: at least 1 row differs",),
                    ("web: table public.big: at least 2 rows differ",))  # fmt: skip


def test_tables_may_be_left_out(server: servers.Server, name: str) -> None:
    before = look(server.postgresql(name), ignore=["sess*", "public.swift"])
    server.psql(name, "INSERT INTO session VALUES (1, now()); DROP TABLE swift;"
                "CREATE INDEX sess_i ON session (id)")  # fmt: skip
    after = look(server.postgresql(name), ignore=["sess*", "public.swift"])
    assert compare.compare_state(before, after) == ()


def test_what_others_write_meanwhile_isnt_seen(server: servers.Server, name: str) -> None:
    before = look(server.postgresql(name))
    with subprocess.Popen(
        [server.client, "-XAtq", "-d", server.postgresql(name)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as writer:  # fmt: skip
        assert writer.stdin is not None
        assert writer.stdout is not None
        writer.stdin.write("BEGIN; DELETE FROM party RETURNING id;\n")
        writer.stdin.flush()
        writer.stdout.readline()
        assert compare.compare_state(before, look(server.postgresql(name))) == ()
        writer.stdin.close()


def test_an_absent_database_may_stay_absent(server: servers.Server) -> None:
    before = look(server.postgresql("nowhere"))
    assert before["web"]["databases"]["db"] == {"absent": True}
    left = compare.compare_state(before, look(server.postgresql("base")))
    assert left == ("web: database db: was added",)


def test_a_password_opens_it_and_isnt_repeated(server: servers.Server) -> None:
    url = f"postgresql://reader@127.0.0.1:{server.port}/postgres"
    assert compare.unreadable(look(url, "geheim-woord")) == ()
    wrong = look(url, "ander-woord")
    assert "authentication failed" in compare.unreadable(wrong)[0]
    assert "ander-woord" not in str(wrong)
    assert compare.unreadable(look(url.replace("reader@", "reader:x1@")))


def test_what_may_not_be_read_is_never_called_equal(server: servers.Server) -> None:
    url = f"postgresql://reader@127.0.0.1:{server.port}/base"
    seen = look(url, "geheim-woord")
    assert "permission denied" in compare.unreadable(seen)[0]
    assert compare.compare_state(seen, seen)
