"""One run: read the source twice in one snapshot, transform, stage, check, load.

The order is the safety: until every check on the staged file has passed the target isn't
touched, and the stage never holds anything untransformed. The ledger entry, who may run
this and what is printed are the callers' business.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from otapgate import canonical
from otapgate.anonymize import manifest as manifests
from otapgate.anonymize import schema as schemas
from otapgate.anonymize import stage as stages
from otapgate.anonymize.cover import Covered, cover, fields, walk
from otapgate.anonymize.plan import Plan
from otapgate.errors import BadInput
from otapgate.i18n import _

if TYPE_CHECKING:
    import polars as pl

    from otapgate.anonymize.checks import Leak, Smallest
    from otapgate.anonymize.keys import RunKey
    from otapgate.anonymize.leaks import Scanner
    from otapgate.anonymize.rows import Cell, Columns, RowDigest
    from otapgate.anonymize.survey import Survey
    from otapgate.anonymize.transforms import Engine


class Progress(msgspec.Struct, frozen=True):
    """Where a run is."""

    phase: str
    """`survey`, `copy`, `check` or `load`."""
    table: str
    rows: int
    """Rows done in this phase, all tables together."""
    total: int
    """Rows of the source; 0 in phases that don't count rows."""


Report = Callable[[Progress], None]


class Result(msgspec.Struct, frozen=True):
    """What came of a run."""

    manifest: dict[str, canonical.JSON]
    """Canonical JSON without any value of source or result."""
    label: str
    """`anonymised`, or `pseudonymised` while a key exists."""
    rows: int
    bytes: int
    milliseconds: dict[str, int]
    """read, transform, write, check, total."""
    leaks: list[str]
    """Always empty: a run with leaks raises instead."""
    k: int | None
    """The smallest group over all quasi-identifiers; None when the plan names none."""


class Clock:
    """Time spent per kind of work, in nanoseconds."""

    def __init__(self) -> None:
        self._start = time.monotonic_ns()
        self._last = self._start
        self._spent = dict.fromkeys(("read", "transform", "write", "check"), 0)

    def lap(self, kind: str | None) -> None:
        """What has passed since the last lap was `kind`; None: was nothing of note."""
        now = time.monotonic_ns()
        if kind:
            self._spent[kind] += now - self._last
        self._last = now

    def milliseconds(self) -> dict[str, int]:
        """Whole milliseconds per kind, and in total."""
        spent = {kind: ns // 1_000_000 for kind, ns in self._spent.items()}
        return {**spent, "total": (time.monotonic_ns() - self._start) // 1_000_000}


def anonymize(
    plan: Plan,
    plan_digest: str,
    source: str | Path,
    target: str | Path,
    *,
    key: bytes | None = None,
    progress: Report | None = None,
) -> Result:
    """Fill `target` with an anonymised copy of `source` by `plan`.

    `plan_digest` is what the caller says the plan's digest is, and must be right. Without
    `key` one is drawn that exists in memory only and is destroyed before loading; with a
    `key` (32 bytes, kept by the caller) the result is pseudonymised at best.

    Raises BadInput (plan, source or target unfit), Failed (a check says no: `leak-found`,
    `group-too-small`, `result-differs`, `result-damaged`, `database-failed`), Busy (target
    in use). In each case the target is as it was.
    """
    from otapgate.anonymize.keys import RunKey

    if plan_digest != plan.digest:
        raise BadInput(
            "plan-changed",
            _("The plan {file} is not the one that was asked for.").format(file=plan.file),
            where=plan.file,
        )
    source_path, target_path = schemas.location(source), schemas.location(target)
    if not target_path.absolute().parent.is_dir():
        raise BadInput(
            "target-unusable",
            _("There is no folder {folder}.").format(folder=target_path.parent),
            where=str(target_path),
        )
    connection = schemas.open_source(source_path)
    run_key = RunKey(key)
    try:
        if stages.same_database(source_path, target_path):
            raise BadInput(
                "target-is-source",
                _("Source and target are the same database: {path}.").format(path=source_path),
                remedy=_("Name another target; the source must never be overwritten."),
                where=str(target_path),
            )
        run = _Run(plan, connection, str(source_path), run_key, progress or _silent)
        return run.into(target_path)
    except sqlite3.Error as error:
        raise schemas.sqlite_failed(error, _("anonymising")) from error
    finally:
        run_key.destroy()
        connection.close()


def _silent(_progress: Progress) -> None:
    pass


class _Run:
    """The state of one run."""

    def __init__(
        self,
        plan: Plan,
        source: sqlite3.Connection,
        where: str,
        key: RunKey,
        report: Report,
    ) -> None:
        self._plan = plan
        self._source = source
        self._key = key
        self._report = report
        self._clock = Clock()
        self._schema = schemas.read_schema(source, where)
        self._tables = cover(plan, self._schema)
        self._digests: dict[str, RowDigest] = {}
        self._filled: dict[str, dict[str, int]] = {}
        self._rows = {
            name: int(
                source.execute(
                    f"SELECT count(*) FROM main.{schemas.quoted(name)}"  # noqa: S608 - quoted
                ).fetchone()[0]
            )
            for name in self._schema.tables
        }

    def into(self, target: Path) -> Result:
        from otapgate.anonymize.checks import (
            compare_counts,
            fail_on_leaks,
            fail_on_small_groups,
            groups,
            integrity,
            look_for_leaks,
        )
        from otapgate.anonymize.survey import survey
        from otapgate.anonymize.transforms import Engine

        surveyed = survey(self._source, self._tables, self._step("survey"))
        scanner = scanner_for(self._tables, surveyed)
        engine = Engine(self._plan, self._key, surveyed, scanner)
        self._clock.lap("read")
        with stages.staged(target, self._schema) as stage:
            stage.build(self._schema)
            step = self._step("copy")
            for covered in self._tables.values():
                self._copy(covered, engine, stage.connection, step)
            stage.finish(self._schema, self._sequences())
            self._clock.lap("write")
            compare_counts(stage.connection, self._tables, self._filled, self._rows)
            checked = integrity(stage.connection, self._source)
            leaks, ignored = look_for_leaks(
                stage.connection, self._tables, scanner, self._plan, self._step("check")
            )
            fail_on_leaks(leaks)
            found = groups(stage.connection, self._plan.k_anonymity)
            fail_on_small_groups(found)
            self._clock.lap("check")
            self._key.destroy()
            size = stage.size()
            self._report(Progress("load", "", 0, 0))
            stages.load(stage, target)
            self._clock.lap("write")
        return self._result(scanner, checked, ignored, found, size)

    def _step(self, phase: str) -> Callable[[str, int], None]:
        total = sum(self._rows.values())
        done = 0

        def step(table: str, rows: int) -> None:
            nonlocal done
            done += rows
            self._report(Progress(phase, table, done, total))

        return step

    def _copy(
        self,
        covered: Covered,
        engine: Engine,
        stage: sqlite3.Connection,
        step: Callable[[str, int], None],
    ) -> None:
        """Read, transform and write one table, batch by batch."""
        from otapgate.anonymize import rows

        name = covered.table.name
        if covered.mode == "empty":
            return
        columns = [column.name for column in covered.table.stored]
        digest = self._digests[name] = rows.RowDigest()
        filled = self._filled[name] = dict.fromkeys(columns, 0)
        self._clock.lap(None)
        for batch in rows.read(self._source, covered.table, columns, digest=digest):
            self._clock.lap("read")
            for column, cells in zip(columns, batch, strict=True):
                filled[column] += len(cells) - cells.count(None)
            made = transformed(covered, engine, columns, batch)
            self._clock.lap("transform")
            rows.write(stage, covered.table, columns, made)
            self._clock.lap("write")
            step(name, len(batch[0]))
        self._clock.lap("read")

    def _sequences(self) -> list[tuple[str, int]]:
        try:
            found = self._source.execute("SELECT name, seq FROM sqlite_sequence").fetchall()
        except sqlite3.OperationalError:
            return []  # no table counts
        return [(name, seq) for name, seq in found if name in self._schema.tables]

    def _result(
        self,
        scanner: Scanner,
        checked: dict[str, int],
        ignored: list[Leak],
        found: list[Smallest],
        size: int,
    ) -> Result:
        # Reached only when every check has passed.
        gone = self._key.in_memory_only and self._key.destroyed
        label = "anonymised" if gone else "pseudonymised"
        written = sum(d.rows for d in self._digests.values())
        milliseconds = self._clock.milliseconds()
        manifest = manifests.manifest(
            plan=self._plan,
            schema=self._schema,
            tables=self._tables,
            source_rows=self._rows,
            digests={name: digest.value() for name, digest in self._digests.items()},
            label=label,
            rows=written,
            size=size,
            milliseconds=milliseconds,
            leak_scan={
                "outcome": "passed",
                "values": scanner.values,
                "not_looked_for": dict(scanner.skipped),
                "not_scanned": [*manifests.unscanned(self._tables)],
                "ignored": [{"column": leak.column, "count": leak.count} for leak in ignored],
            },
            integrity=checked,
            groups=found,
        )
        k = min((group.k for group in found), default=None)
        return Result(manifest, label, written, size, milliseconds, [], k)


def transformed(covered: Covered, engine: Engine, columns: list[str], batch: Columns) -> Columns:
    """The new cells of a batch, column by column, in the types that the old ones had."""
    from otapgate.anonymize.survey import text
    from otapgate.anonymize.transforms import Batch

    changed = [c for c in columns if covered.rules[c].transform != "keep"]
    if not changed:
        return [*batch]
    needed = {*changed}
    for column in changed:
        for rule in walk(covered.rules[column]):
            needed |= {*rule.sources, *fields(rule.template)}
            needed |= {name for name in (rule.by, rule.column) if name}
    old = {
        column: text(cells)
        for column, cells in zip(columns, batch, strict=True)
        if column in needed
    }
    work = Batch(covered.table.name, covered.rules, old)
    made: Columns = []
    for column, cells in zip(columns, batch, strict=True):
        if column not in changed:
            made.append(cells)
            continue
        new = work.new(column, engine)
        made.append(_typed(covered, column, cells, new))
    return made


def _typed(covered: Covered, column: str, cells: Sequence[Cell], new: pl.Series) -> list[Cell]:
    """New texts as cells. SQLite itself turns digits into numbers where a column has
    numbers; the rest follows the old cell. Where nothing may be missing, drop is empty."""
    declared = next(c for c in covered.table.columns if c.name == column)
    values: list[Cell] = new.to_list()
    if covered.rules[column].transform == "drop" and (declared.not_null or declared.key):
        numeric = any(t in declared.type.upper() for t in ("INT", "NUM", "REAL", "BOOL"))
        return [0 if numeric else ""] * len(cells)
    kinds = set(map(type, cells)) - {type(None), str}
    if not kinds:
        return values
    result: list[Cell] = []
    for before, after in zip(cells, values, strict=True):
        cell: Cell = after
        if isinstance(after, str):
            if isinstance(before, bytes):
                cell = after.encode()
            elif isinstance(before, int) and after.lstrip("-").isdecimal():
                cell = int(after)
        result.append(cell)
    return result


def scanner_for(tables: dict[str, Covered], surveyed: Survey) -> Scanner:
    """A scanner for all values that must not survive, as far as they can be told."""
    import polars as pl

    from otapgate.anonymize.leaks import Scanner
    from otapgate.anonymize.survey import why_unscanned

    values, notes = ([pl.Series([], dtype=pl.Utf8)] for _kind in range(2))
    for _where, rule, series in surveyed.found:
        if why_unscanned(rule) is None:
            (notes if rule.transform == "free_text" else values).append(series)
    planned = ["[verwijderd]", "[removed]"]
    for covered in tables.values():
        for rule in covered.rules.values():
            for each in walk(rule):
                planned += [str(each.value), each.text, *each.keep_values]
    return Scanner(pl.concat(values), planned, pl.concat(notes))
