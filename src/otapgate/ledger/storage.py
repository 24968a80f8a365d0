"""The ledger on disk: append, read, erase details. SQLAlchemy Core.

`append` returns once the entry is durable (committed and synced) and not before; until
then nothing of it can be seen. Entries are stored as they were signed; the nodes of the
Merkle tree that are final are stored too, so that a root takes O(log n) to tell. What is
stored here isn't believed by `verify`, which makes leaves and tree anew.

Importing this module takes SQLAlchemy's time; `peek` reads without. What is SQLite's own
stands in `sqlite`; another database gets a module with the same functions.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError

from otapgate import canonical, errors
from otapgate.canonical import JSON
from otapgate.i18n import _
from otapgate.ledger import merkle, schema, sqlite, sshsig
from otapgate.ledger import tables as t
from otapgate.ledger.details import DetailRow, opened
from otapgate.ledger.statement import (
    Entry,
    Head,
    MalformedStatement,
    Sealed,
    check_origin,
    commitment,
    leaf_hash,
    namespace,
    parse,
)

PAGE = 500
"""Entries read at a time."""


class Ledger:
    """One ledger, opened. Close it, or use it as a context manager."""

    def __init__(self, engine: sa.Engine, path: Path, origin: str) -> None:
        self._engine = engine
        self._path = path
        self.origin = origin

    @classmethod
    def create(cls, url: str, origin: str) -> Ledger:
        """Make an empty ledger and open it. `url` is `sqlite:///PATH`; `origin` names the
        log for good (see `statement.check_origin`). Raises Integrity where something is
        there already or nothing can be made; nothing half-made is left."""
        try:
            check_origin(origin)
        except ValueError as error:
            raise errors.BadInput("ledger-origin", str(error)) from error

        def fill(connection: sa.Connection) -> None:
            rows = {"origin": origin, "format": str(sqlite.FORMAT)}
            connection.execute(
                t.meta.insert(), [{"key": key, "value": value} for key, value in rows.items()]
            )

        path = _path(url)
        with _explained(path):
            sqlite.create(path, fill)
        return cls.open(url)

    @classmethod
    def open(cls, url: str, *, wait: float = sqlite.WAIT) -> Ledger:
        """Open what `create` made. `wait` is how many seconds to wait for another writer.
        Raises Integrity: missing, no database, of something else, of a newer otapgate."""
        path = _path(url)
        sqlite.check_file(path)
        with _explained(path), contextlib.closing(sqlite.connect(path)) as raw:
            origin = sqlite.read_origin(raw, path)
        return cls(sqlite.engine(path, wait=wait), path, origin)

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def head(self, size: int | None = None) -> Head:
        """The head now, or as it was at `size` entries; Integrity for more than there are."""
        with self._transaction() as connection:
            now = self._size(connection)
            size = now if size is None else size
            if not 0 <= size <= now:
                raise sqlite.too_short(self._path, size, now)
            root = self._root(self._peaks(connection, [size]), size)
        return Head(self.origin, size, root)

    def append(
        self,
        sealed: Sealed,
        signature: str,
        expect: Callable[[Sequence[Entry]], None] | None = None,
    ) -> int:
        """Put a signed statement at the end; its position, once it is durable.

        The head that the statement embeds must be one that this log had. `expect` gets
        the entries that came after that head, in order, while no other can come; what it
        raises refuses the entry. A signature that doesn't verify for the act's namespace
        is refused (MalformedStatement, BadSignature): the log would keep it for good.

        Raises Integrity `ledger-diverged` for a head that never was, and
        `ledger-unwritable` (full or failing disk, read-only, locked) or `ledger-damaged`:
        then nothing of the entry is in the log. One exception, as with any database: when
        the disk fails in the sync itself and the machine then goes down, the entry may be
        there afterwards, whole. Before the commit everything is read back: a database
        that something makes forget what it is told raises `ledger-altered` or
        `ledger-not-kept`, and keeps nothing of the entry.
        """
        statement = parse(sealed.statement)
        sshsig.verify(signature, sealed.statement, namespace(statement.act))
        _check_details(sealed, statement.detail)
        leaf, seen = leaf_hash(sealed.statement, signature), statement.head
        with self._transaction(write=True) as connection:
            position = self._size(connection)
            peaks = self._peaks(connection, [position, min(seen.size, position)])
            if (
                seen.origin != self.origin
                or seen.size > position
                or self._root(peaks, seen.size) != seen.root
            ):
                raise errors.Integrity(
                    "ledger-diverged",
                    _(
                        "This was signed on another state of the ledger than {path} ever had."
                    ).format(path=self._path),
                    remedy=_("find out with otapgate log verify which copy of the ledger is right"),
                    where=str(self._path),
                )
            if expect is not None:
                expect(list(self._page(connection, seen.size, position)))
            row = (position, sealed.statement, signature, leaf)
            final = merkle.grow(lambda *key: peaks[key], position, leaf)[1:]
            details = [
                (one.commitment, position, one.field, one.salt, one.value) for one in sealed.details
            ]
            for table, rows in ((t.entry, [row]), (t.node, final), (t.detail, details)):
                if rows:
                    named = [dict(zip(table.c.keys(), one, strict=True)) for one in rows]
                    connection.execute(table.insert(), named)
            self._read_back(connection, row, final, details)
        return position

    def entries(self, start: int = 0, stop: int | None = None) -> Iterator[Entry]:
        """Entries from `start` up to `stop`, or to the end as it is now, as they are
        stored: a position that is lacking is for the caller to notice."""
        with self._transaction() as connection:
            size = self._size(connection)
        stop = size if stop is None else min(stop, size)
        # By what comes next, not by number: nobody counts up to an entry put far away.
        while start < stop:
            with self._transaction() as connection:
                page = self._rows(connection, start, stop, PAGE)
            # One by one, so that whoever verifies knows at which entry reading stopped.
            for row in page:
                entry = self._typed(row)
                start = entry.position + 1
                yield entry
            if len(page) < PAGE:
                break

    def nodes(self, size: int) -> Iterator[tuple[int, int, bytes]]:
        """Level, index and hash of the inner nodes kept for a log of that size, in this
        order, as they are stored."""
        chosen = sa.select(t.node).where(t.final_at(size)).order_by(t.node.c.level, t.node.c.idx)
        with self._transaction() as connection:
            for level, index, one in connection.execute(chosen):  # noqa: UP028 - plain tuples
                yield level, index, one

    def kept_details(self, size: int) -> Iterator[sqlite.DetailRow]:
        """The details of the first entries, as they are stored, erased ones too."""
        columns = [t.detail.c[name] for name in sqlite.DetailRow._fields]
        chosen = sa.select(*columns).where(t.detail.c.position < size)
        with self._transaction() as connection:
            for row in connection.execute(chosen.order_by(t.detail.c.position)):
                yield sqlite.DetailRow(*sqlite.typed(tuple(row), sqlite.DetailRow, self._path))

    def faults(self) -> list[str]:
        """What the database holds or lacks beside what `create` and `append` put there."""
        with self._transaction() as connection:
            found = self._differences(connection)
            found += sqlite.unsound(connection.exec_driver_sql(sqlite.CHECK).scalars())
            size = self._size(connection)
            for what, table, ours in (
                (_("entries"), t.entry, t.entry.c.position >= 0),
                (_("nodes"), t.node, t.final_at(size)),
                (_("details"), t.detail, t.detail.c.position.between(0, size - 1)),
            ):
                stray = sa.select(sa.func.count()).select_from(table).where(sa.not_(ours))
                count = connection.execute(stray).scalar_one()
                if count:
                    found.append(
                        _("it holds {n} {what} where none can be").format(n=count, what=what)
                    )
        return found

    def entry(self, position: int) -> Entry:
        """The entry at a position; BadInput where there is none."""
        with self._transaction() as connection:
            for found in self._page(connection, position, position + 1):
                return found
        raise errors.BadInput(
            "entry-unknown",
            _("The ledger has no entry {position}.").format(position=position),
        )

    def details(self, position: int) -> dict[str, JSON]:
        """Personal values of one entry by field, without those that were erased. Raises
        Integrity where one isn't what was signed."""
        return self._details(t.detail.c.position == position).get(position, {})

    def all_details(self) -> dict[int, dict[str, JSON]]:
        """Personal values of all entries that have any left, by position and field."""
        return self._details(sa.true())

    def erase_detail(self, commitment: str) -> None:
        """Erase a personal value and its salt for good; the row stays as a tombstone, and
        the entry, its signature and all proofs are as they were. Raises BadInput for a
        commitment that isn't here, Busy where another reader keeps the old bytes in the
        write-ahead log (do it again)."""
        erase = (
            t.detail.update()
            .where(t.detail.c.commitment == commitment)
            .values(salt=None, value=None)
        )
        with self._transaction(write=True) as connection:
            if not connection.execute(erase).rowcount:
                raise errors.BadInput(
                    "detail-unknown",
                    _("The ledger keeps no detail {commitment}.").format(commitment=commitment),
                )
            left = sa.select(t.detail.c.salt, t.detail.c.value)
            if connection.execute(left.where(t.detail.c.commitment == commitment)).one() != (
                None,
                None,
            ):
                raise sqlite.not_kept(self._path)
        with _explained(self._path), self._engine.connect() as connection:
            raw = connection.execution_options(isolation_level="AUTOCOMMIT")
            if not sqlite.forget(raw):
                raise errors.Busy(
                    "ledger-busy",
                    _("Another command reads the ledger; the erased bytes are still in its log."),
                    remedy=_("do it again when the other command has ended"),
                    where=str(self._path),
                )

    @contextlib.contextmanager
    def _transaction(self, *, write: bool = False) -> Iterator[sa.Connection]:
        with _explained(self._path), self._engine.connect() as connection:
            options = {sqlite.WRITE: write}
            with connection.execution_options(**options).begin():
                # Nobody else can change the database from here on.
                if write and (
                    found := schema.differences(connection.exec_driver_sql(schema.QUERY))
                ):
                    raise sqlite.altered(self._path, found)
                yield connection

    @staticmethod
    def _differences(connection: sa.Connection) -> list[str]:
        return schema.differences(connection.exec_driver_sql(schema.QUERY))

    def _read_back(
        self,
        connection: sa.Connection,
        row: tuple[int, bytes, str, bytes],
        nodes: list[tuple[int, int, bytes]],
        details: list[tuple[str, int, str, bytes, bytes]],
    ) -> None:
        """Raise Integrity unless the database gives back just what was put into it."""
        last = self._rows(connection, row[0], sqlite.MOST)
        places = [sa.and_(t.node.c.level == level, t.node.c.idx == idx) for level, idx, _h in nodes]
        grown = sa.select(t.node).where(sa.or_(sa.false(), *places)).order_by(t.node.c.level)
        beside = sa.select(t.detail).where(t.detail.c.position == row[0])
        if (
            last != [row]
            or [tuple(one) for one in connection.execute(grown)] != nodes
            or {tuple(one) for one in connection.execute(beside)} != set(details)
        ):
            raise sqlite.not_kept(self._path)

    def _size(self, connection: sa.Connection) -> int:
        last = connection.execute(sa.select(sa.func.max(t.entry.c.position))).scalar()
        return sqlite.size_of(last, self._path)

    def _peaks(
        self, connection: sa.Connection, sizes: Iterable[int]
    ) -> dict[tuple[int, ...], bytes]:
        """Hashes of the peaks of the trees of these sizes."""
        wanted = {peak for size in sizes for peak in merkle.peaks(size)}
        leaves = [index for level, index in wanted if level == 0]
        nodes = [
            sa.and_(t.node.c.level == level, t.node.c.idx == index)
            for level, index in wanted
            if level
        ]
        found: dict[tuple[int, ...], bytes] = {}
        if leaves:
            chosen = sa.select(t.entry.c.position, t.entry.c.leaf)
            for position, leaf in connection.execute(chosen.where(t.entry.c.position.in_(leaves))):
                found[0, position] = sqlite.hash_of(leaf, self._path)
        if nodes:
            for level, index, one in connection.execute(sa.select(t.node).where(sa.or_(*nodes))):
                found[level, index] = sqlite.hash_of(one, self._path)
        if len(found) != len(wanted):
            raise sqlite.damaged(self._path, _("its tree lacks a node"))
        return found

    def _root(self, peaks: dict[tuple[int, ...], bytes], size: int) -> str:
        return merkle.root_at(lambda *key: peaks[key], size).hex()

    def _page(self, connection: sa.Connection, start: int, stop: int) -> Iterator[Entry]:
        return map(self._typed, self._rows(connection, start, stop))

    @staticmethod
    def _rows(
        connection: sa.Connection, start: int, stop: int, most: int | None = None
    ) -> list[tuple[object, ...]]:
        chosen = sa.select(t.entry).where(t.entry.c.position >= start, t.entry.c.position < stop)
        chosen = chosen.order_by(t.entry.c.position).limit(most)
        return [tuple(row) for row in connection.execute(chosen)]

    def _typed(self, row: tuple[object, ...]) -> Entry:
        return Entry(*sqlite.typed(row, sqlite.EntryRow, self._path))

    def _details(self, where: sa.ColumnElement[bool]) -> dict[int, dict[str, JSON]]:
        columns = [
            *(t.detail.c[name] for name in ("position", "field", "commitment", "salt", "value")),
            t.entry.c.statement,
        ]
        chosen = sa.select(*columns).join(t.entry).where(where).order_by(t.detail.c.position)
        with self._transaction() as connection:
            rows = [tuple(row) for row in connection.execute(chosen)]
        return opened(sqlite.typed(row, DetailRow, self._path) for row in rows)


def _check_details(sealed: Sealed, committed: dict[str, str]) -> None:
    if {one.field: one.commitment for one in sealed.details} != committed or any(
        commitment(one.salt, one.value) != one.commitment for one in sealed.details
    ):
        raise MalformedStatement(_("The details aren't those that the statement commits to."))
    for one in sealed.details:
        try:
            canonical.decode(one.value)
        except ValueError as error:  # nobody could read it, nor what is read along with it
            raise MalformedStatement(
                _("The detail {field} isn't canonical JSON.").format(field=one.field)
            ) from error


def _path(url: str) -> Path:
    try:
        parsed = sa.make_url(url)
    except ArgumentError:
        parsed = None
    # A ledger in memory would be gone, with everything that was said to be durable.
    if (
        parsed is None
        or parsed.get_backend_name() != "sqlite"
        or parsed.database in (None, "", ":memory:")
    ):
        raise errors.BadInput(
            "ledger-url",
            _("{url} can't be a ledger; give sqlite:/// and a path.").format(url=ascii(url)),
        )
    return Path(str(parsed.database))


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Faults of the database as errors that say what to do."""
    try:
        yield
    except DBAPIError as error:
        cause = error.orig
        assert isinstance(cause, sqlite3.Error), "SQLAlchemy wraps the driver's errors"
        raise sqlite.explain(cause, path) from error
    except sqlite3.Error as error:
        raise sqlite.explain(error, path) from error
