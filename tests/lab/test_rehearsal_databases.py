"""CH05-07 over SSH with database servers that run on the host: what a rollback leaves in
them is named by table and column, and another order of the same rows is nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from . import labs
from .application import PLAY, ROLLBACK, SNAPSHOT, TASKS, Application
from .labs import Lab

pytestmark = pytest.mark.slow

SERVERS = """\
hosts:
  t1:
    stage: T
    services:
      postgresql:
        run:
          - sh
          - -ec
          - |
            chown postgres /var/lib/postgresql
            programs=$(echo /usr/lib/postgresql/*/bin)
            as="setpriv --reuid=postgres --regid=postgres --clear-groups"
            cd /var/lib/postgresql
            $as $programs/initdb -D data -U postgres -E UTF8 --locale=C.UTF-8 --no-sync
            exec $as $programs/postgres -D data -k /var/lib/postgresql -F -h ''
      mariadb:
        run:
          - sh
          - -ec
          - |
            chown mysql /var/lib/mysql
            as="setpriv --reuid=mysql --regid=mysql --clear-groups"
            $as mariadb-install-db --no-defaults --datadir=/var/lib/mysql/data --skip-test-db \
              --auth-root-authentication-method=normal
            exec $as mariadbd --no-defaults --datadir=/var/lib/mysql/data --skip-networking \
              --socket=/var/lib/mysql/socket --pid-file=/var/lib/mysql/pid
"""
PSQL = "psql -XAtq -v ON_ERROR_STOP=1 -h /var/lib/postgresql -U postgres"
MARIADB = "mariadb --no-defaults --socket=/var/lib/mysql/socket -uroot -N"
CLIENTS = {"postgresql": f"{PSQL} agenda", "mariadb": f"{MARIADB} agenda"}
URLS = ("postgresql://postgres@/agenda?host=/var/lib/postgresql",
        "mariadb://root@/agenda?socket=/var/lib/mysql/socket")  # fmt: skip
# no primary key: then the order in which rows lie is the order in which they came
BASE = """
CREATE TABLE lesson (id INT, name VARCHAR(40));
CREATE TABLE pupil (id INT, name VARCHAR(40));
INSERT INTO lesson VALUES (1, 'Biology'), (2, 'Music');
INSERT INTO pupil VALUES (1, 'Noor'), (2, 'Sem'), (3, 'Yara');
"""
MIGRATION = """
ALTER TABLE lesson ADD COLUMN IF NOT EXISTS room VARCHAR(9);
UPDATE pupil SET name = 'Samuel' WHERE id = 2;
"""
FORGETS = "DELETE FROM pupil WHERE id > 3;"
BACK = """
DROP TABLE lesson; DROP TABLE pupil;
CREATE TABLE lesson (id INT, name VARCHAR(40));
CREATE TABLE pupil (id INT, name VARCHAR(40));
INSERT INTO lesson VALUES (2, 'Music'), (1, 'Biology');
INSERT INTO pupil VALUES (3, 'Yara'), (2, 'Sem'), (1, 'Noor');
"""


def script(text: str, kept: bool = False) -> str:
    """Tasks that give `text` to both clients; `kept` restores their dumps afterwards."""
    lines = ["set -e"]
    for name, client in CLIENTS.items():
        lines += [f"{client} <<'END'", *text.strip().splitlines(), "END"]
        if kept:
            lines.append(f"{client} < {{{{ otapgate_snapshot }}}}/{name}.sql")
    body = "".join(f"        {line}\n" for line in lines)
    return f"    - name: Databases\n      shell: |\n{body}"


DUMPS = (
    "    - name: Dumps\n      shell: |\n        set -e; cd {{ otapgate_snapshot }}\n"
    "        pg_dump -h /var/lib/postgresql -U postgres --no-owner agenda > postgresql.sql\n"
    "        mariadb-dump --no-defaults --socket=/var/lib/mysql/socket -uroot agenda"
    " > mariadb.sql\n"
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A test host with both servers."""
    made = labs.up(tmp_path_factory.mktemp("labs") / "databases", SERVERS)
    for client in (PSQL + " postgres", MARIADB):
        labs.wait_until(lambda c=client: ask(made, f"{c} <<'END'\nSELECT 1;\nEND") == "1", 60)
    yield made
    made.down()


def ask(lab: Lab, line: str) -> str:
    return lab.ssh("t1", ["sudo", "sh", "-c", line]).stdout.strip()


def order(lab: Lab) -> list[str]:
    """The pupils of each database, as they lie there."""
    return [
        ask(lab, f"{client} <<'END'\nSELECT id FROM pupil;\nEND") for client in CLIENTS.values()
    ]


@pytest.fixture
def application(lab: Lab, tmp_path: Path) -> Application:
    """Release 1.0 on the host, and its databases as they were."""
    for client, drop in ((PSQL + " postgres", "DROP DATABASE IF EXISTS agenda WITH (FORCE);"),
                         (MARIADB, "DROP DATABASE IF EXISTS agenda;")):  # fmt: skip
        ask(lab, f"{client} <<'END'\n{drop}\nCREATE DATABASE agenda;\nEND")
    for client in CLIENTS.values():
        ask(lab, f"{client} <<'END'\n{BASE}\nEND")
    assert order(lab) == ["1\n2\n3"] * 2
    return Application(lab, ("t1",), tmp_path)


def rehearsed(application: Application, back: str, faults: str = "none") -> list[dict[str, object]]:
    """The cases of a rehearsal whose rollback does `back` to the databases."""
    release = application.release(
        "2.0", URLS, snapshot=SNAPSHOT + DUMPS,
        deploy=f"{PLAY}    - {TASKS['Application']}\n{script(MIGRATION)}",
        rollback=ROLLBACK + back,
    )  # fmt: skip
    found = application.do(application.plan("rehearsal-1", release), f"rehearse:{faults}")
    assert (found["outcome"] == "restored") is all(case["restored"] for case in found["cases"])
    return [{"left": [], **case} for case in found["cases"]]


def test_ch05_07_a_column_and_a_row_left_in_a_database_are_named(
    application: Application,
) -> None:
    (case,) = rehearsed(application, script(FORGETS))
    assert case["left"] == [
        line
        for column, table in (("lesson", "pupil"), ("public.lesson", "public.pupil"))
        for line in (
            f"t1: column room of table {column}: was added",
            f"t1: table {table}: 1 row differs",
        )
    ]


def test_ch05_07_a_restored_dump_in_another_order_is_the_same(application: Application) -> None:
    (case,) = rehearsed(application, script(BACK))
    assert case["left"] == []
    assert order(application.lab) == ["3\n2\n1"] * 2, "it was to lie in another order"


@pytest.mark.exhaustive
def test_ch05_07_a_database_comes_back_from_every_cut(application: Application) -> None:
    drop = "DROP TABLE lesson; DROP TABLE pupil;"
    cases = rehearsed(application, script(drop, kept=True), "all")
    assert len(cases) == 1 + 3 * 2
    assert all(case["restored"] for case in cases), cases
