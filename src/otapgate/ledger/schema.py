"""The tables, the index and the triggers of a ledger, to the letter; and what differs.

They stand here as SQL, not as what a library makes of them: what SQLite keeps of each is
its text, and a database is compared with these texts before anything is written and by
`log verify`. A trigger that somebody plants can swallow entries while the database says
that they were stored; one that is gone lets entries be changed. Format 1: a change of
anything here, other than of white space, is another format.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from otapgate.i18n import _

TABLES = (
    """CREATE TABLE meta (
        "key" TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY ("key")
       )""",
    """CREATE TABLE entry (
        position INTEGER NOT NULL,
        statement BLOB NOT NULL,
        signature TEXT NOT NULL,
        leaf BLOB NOT NULL CHECK (length(leaf) = 32),
        PRIMARY KEY (position)
       )""",
    # Level 0 isn't here: those nodes are the leaf hashes, in `entry`.
    """CREATE TABLE node (
        level INTEGER NOT NULL CHECK (level > 0),
        idx INTEGER NOT NULL,
        hash BLOB NOT NULL CHECK (length(hash) = 32),
        PRIMARY KEY (level, idx)
       ) WITHOUT ROWID""",
    """CREATE TABLE detail (
        commitment TEXT NOT NULL,
        position INTEGER NOT NULL,
        field TEXT NOT NULL,
        salt BLOB,
        value BLOB,
        PRIMARY KEY (commitment),
        CHECK ((salt IS NULL) = (value IS NULL)),
        FOREIGN KEY(position) REFERENCES entry (position)
       )""",
)
INDEXES = ("CREATE INDEX ix_detail_position ON detail (position)",)
TRIGGERS = (
    """CREATE TRIGGER entry_next BEFORE INSERT ON entry
       WHEN NEW.position <> (SELECT coalesce(max(position) + 1, 0) FROM entry)
       BEGIN SELECT RAISE(ABORT, 'entries are only put at the end'); END""",
    """CREATE TRIGGER entry_unchanged BEFORE UPDATE ON entry
       BEGIN SELECT RAISE(ABORT, 'entries are never changed'); END""",
    """CREATE TRIGGER entry_kept BEFORE DELETE ON entry
       BEGIN SELECT RAISE(ABORT, 'entries are never deleted'); END""",
    """CREATE TRIGGER node_next BEFORE INSERT ON node
       WHEN EXISTS (SELECT 1 FROM node WHERE level = NEW.level AND idx = NEW.idx)
       BEGIN SELECT RAISE(ABORT, 'nodes are never replaced'); END""",
    """CREATE TRIGGER node_unchanged BEFORE UPDATE ON node
       BEGIN SELECT RAISE(ABORT, 'nodes are never changed'); END""",
    """CREATE TRIGGER node_kept BEFORE DELETE ON node
       BEGIN SELECT RAISE(ABORT, 'nodes are never deleted'); END""",
    """CREATE TRIGGER detail_next BEFORE INSERT ON detail
       WHEN EXISTS (SELECT 1 FROM detail WHERE commitment = NEW.commitment)
       BEGIN SELECT RAISE(ABORT, 'details are never replaced'); END""",
    """CREATE TRIGGER detail_only_erased BEFORE UPDATE ON detail
       WHEN NEW.salt IS NOT NULL OR NEW.value IS NOT NULL OR NEW.field <> OLD.field
         OR NEW.commitment <> OLD.commitment OR NEW.position <> OLD.position
       BEGIN SELECT RAISE(ABORT, 'details are only erased'); END""",
    """CREATE TRIGGER detail_tombstone BEFORE DELETE ON detail
       BEGIN SELECT RAISE(ABORT, 'details are erased, their place stays'); END""",
)
"""Against mistakes and casual tampering. Who can write the file can drop them, which is
why verification trusts nothing in it."""

STATEMENTS = (*TABLES, *INDEXES, *TRIGGERS)
"""What makes an empty ledger, in this order."""

QUERY = "SELECT type, name, tbl_name, sql FROM sqlite_master"
"""What `differences` looks at."""


def _plain(sql: Any) -> str:
    # Commas too, so that it doesn't matter whether a program puts a blank before a newline.
    return " ".join(str(sql).replace(",", " , ").split())


def _expected() -> dict[tuple[str, str], tuple[str, str]]:
    found = {}
    for sql in STATEMENTS:
        _create, kind, name, *rest = sql.split()
        table = name if kind == "TABLE" else rest[rest.index("ON") + 1]
        found[kind.lower(), name] = (table, _plain(sql))
    # SQLite's own, for the primary keys that aren't the row's number.
    for table in ("meta", "detail"):
        found["index", f"sqlite_autoindex_{table}_1"] = (table, _plain(None))
    return found


_EXPECTED = _expected()


def differences(rows: Iterable[Iterable[Any]]) -> list[str]:
    """What is extra, altered or missing, a clause each, given the rows of `QUERY`."""
    left, found = dict(_EXPECTED), []
    for kind, name, table, sql in rows:
        wanted = left.pop((kind, name), None)
        if wanted is None:
            found.append(
                _("it holds {kind} {name}, which otapgate didn't make").format(
                    kind=kind, name=ascii(name)
                )
            )
        elif wanted != (table, _plain(sql)):
            found.append(
                _("{kind} {name} isn't as otapgate makes it").format(kind=kind, name=ascii(name))
            )
    found += [
        _("{kind} {name} is missing").format(kind=kind, name=ascii(name)) for kind, name in left
    ]
    return found
