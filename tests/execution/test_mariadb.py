"""What is said of a MariaDB database: everything that means something, nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests import servers

from otapgate.execution import compare
from otapgate.execution.ansible.module_utils.otapgate_state.look import fingerprint

SCHEMA = r"""
CREATE TABLE party (
  id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(80) NOT NULL DEFAULT 'nobody', born DATE,
  mark FLOAT, photo LONGBLOB, bits BIT(9), spot POINT, kind ENUM('a', 'b'), seen TIMESTAMP NULL,
  CONSTRAINT named CHECK (name <> ''), KEY party_name (name)
) ENGINE=InnoDB;
CREATE TABLE `odd `` \ name` (a INT, `b ; \! c` TEXT);
INSERT INTO `odd `` \ name` VALUES (1, 'x\ny\t\\N'), (NULL, 'NULL'), (NULL, NULL), (3, '=end');
CREATE TABLE child (id INT PRIMARY KEY, party INT, CONSTRAINT parent FOREIGN KEY (party)
  REFERENCES party (id) ON DELETE CASCADE);
CREATE TABLE session (id INT);
CREATE VIEW grown AS SELECT id FROM party WHERE born < '2000-01-01';
CREATE FUNCTION greet(who TEXT) RETURNS TEXT DETERMINISTIC RETURN who;
CREATE TRIGGER note BEFORE UPDATE ON child FOR EACH ROW SET NEW.party = NEW.party;
CREATE SEQUENCE tickets START 10 INCREMENT 5;
GRANT SELECT ON party TO reader@localhost;
INSERT INTO party (name, born, mark, photo, bits, spot)
  SELECT CONCAT('pupil ', seq), DATE('2010-01-01') + INTERVAL seq DAY, seq / 3,
  UNHEX(MD5(seq)), seq, POINT(seq, 1) FROM seq_1_to_50;
"""


@pytest.fixture(scope="module")
def server() -> Iterator[servers.Server]:
    with servers.mariadb() as found:
        found.mysql("", "CREATE USER reader@localhost IDENTIFIED BY 'geheim-woord'")
        found.mysql("", "CREATE USER reader@127.0.0.1 IDENTIFIED BY 'geheim-woord'")
        yield found


@pytest.fixture
def name(server: servers.Server) -> Iterator[str]:
    server.mysql("", "CREATE DATABASE work CHARACTER SET utf8mb4")
    server.mysql("work", SCHEMA)
    yield "work"
    server.mysql("", "DROP DATABASE work")


def look(url: str, password: str = "", **more: Any) -> dict[str, Any]:
    seen = fingerprint({"databases": [{"url": url, **more}]}, [password])
    return {"web": {"databases": {"db": seen["databases"][url]}}}


def test_it_is_all_there_and_equals_itself(server: servers.Server, name: str) -> None:
    seen = look(server.mariadb(name))
    assert compare.unreadable(seen) == ()
    said = seen["web"]["databases"]["db"]
    assert {key: one["rows"] for key, one in said["tables"].items()} == {
        "party": 50, "odd ` \\ name": 4, "child": 0, "session": 0,
    }  # fmt: skip
    assert compare.compare_state(seen, look(server.mariadb(name))) == ()


CHANGES = [
    ("ALTER TABLE party DROP COLUMN seen", "column seen of table party: is gone"),
    ("ALTER TABLE party ADD COLUMN x INT", "column x of table party: was added"),
    ("ALTER TABLE party ALTER name SET DEFAULT 'x'", "column name of table party: default"),
    ("ALTER TABLE party MODIFY born DATETIME", "column born of table party: type"),
    ("ALTER TABLE party DROP CONSTRAINT named", "check named of table party: is gone"),
    ("ALTER TABLE child DROP FOREIGN KEY parent", "constraint parent of table child: is gone"),
    ("DROP INDEX party_name ON party", "index party_name of table party: is gone"),
    ("CREATE TABLE left_over (a INT)", "table left_over: was added"),
    ("DROP TABLE session", "table session: is gone"),
    ("UPDATE party SET mark = 2.3333335 WHERE id = 7", "table party: 1 row differs"),
    ("UPDATE party SET photo = CONCAT(photo, 'x') WHERE id < 4", "table party: 3 rows differ"),
    ("UPDATE party SET bits = 300 WHERE id = 4", "table party: 1 row differs"),
    ("UPDATE `odd `` \\ name` SET `b ; \\! c` = NULL WHERE `b ; \\! c` = 'NULL'",
     "table odd ` \\ name: 1 row differs"),
    ("ALTER TABLE party AUTO_INCREMENT = 900", "sequence party: next 64 → 900"),
    ("SELECT SETVAL(tickets, 100)", "sequence tickets: next"),
    ("CREATE OR REPLACE VIEW grown AS SELECT id FROM party", "view grown: differs"),
    ("DROP FUNCTION greet", "function greet: is gone"),
    ("DROP TRIGGER note", "trigger note of table child: is gone"),
    ("REVOKE SELECT ON party FROM reader@localhost", "grant SELECT to 'reader'@'localhost'"),
    ("ALTER DATABASE work COLLATE utf8mb4_bin", "defaults of the database: differs"),
]  # fmt: skip


@pytest.mark.parametrize(("statement", "named"), CHANGES)
def test_each_change_is_named(
    server: servers.Server, name: str, statement: str, named: str
) -> None:
    before = look(server.mariadb(name))
    server.mysql(name, statement)
    left = compare.compare_state(before, look(server.mariadb(name)))
    assert any(one.startswith(f"web: {named}") for one in left), left
    assert len(left) <= 3, left


def test_a_restored_dump_is_the_same(server: servers.Server, name: str) -> None:
    command = [servers.program("mariadb-dump", "mysqldump"), "--no-defaults", "--routines",
               "--hex-blob", f"--socket={server.socket}", "-uroot", name]  # fmt: skip
    # a dump writes a FLOAT in six digits, which is a difference, and would be named
    server.mysql(name, "UPDATE party SET mark = ROUND(mark)")
    before = look(server.mariadb(name))
    dump = servers.run(command)
    server.mysql(name, "DROP TABLE child; DROP TABLE party; DROP SEQUENCE tickets;"
                 "DROP FUNCTION greet")  # fmt: skip
    server.mysql(name, dump)
    server.mysql(name, "ALTER TABLE party ORDER BY name DESC; ALTER SEQUENCE tickets CACHE 7")
    left = compare.compare_state(before, look(server.mariadb(name)))
    assert left == ()


def test_one_row_among_a_hundred_thousand_is_counted(server: servers.Server, name: str) -> None:
    server.mysql(name, "CREATE TABLE big AS SELECT seq AS n, MD5(seq) AS m FROM seq_1_to_100000")
    before = look(server.mariadb(name))
    server.mysql(name, "UPDATE big SET m = 'x' WHERE n = 5")
    left = compare.compare_state(before, look(server.mariadb(name)))
    assert left in (("web: table big: at least 1 row differs",),
                    ("web: table big: at least 2 rows differ",))  # fmt: skip


def test_a_password_opens_it_and_isnt_repeated(server: servers.Server, name: str) -> None:
    url = f"mysql://reader@127.0.0.1:{server.port}/nowhere"
    server.mysql("", "GRANT SELECT ON *.* TO reader@localhost")
    assert look(url, "geheim-woord")["web"]["databases"]["db"] == {"absent": True}
    wrong = look(url, "ander-woord")
    assert "Access denied" in compare.unreadable(wrong)[0]
    assert "ander-woord" not in str(wrong)


def test_tables_may_be_left_out(server: servers.Server, name: str) -> None:
    before = look(server.mariadb(name), ignore=["sess*"])
    server.mysql(name, "INSERT INTO session VALUES (1)")
    assert compare.compare_state(before, look(server.mariadb(name), ignore=["sess*"])) == ()
