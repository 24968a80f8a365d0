"""What a run leaves on record: its manifest, without any value of source or result.

Row ANO-11: source, plan and tool by digest and version, what was done per column, and
every check. The run itself is in `run`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from otapgate import __version__, canonical
from otapgate.anonymize.cover import Covered, walk
from otapgate.anonymize.plan import ColumnRule, Plan
from otapgate.anonymize.schema import Schema

if TYPE_CHECKING:
    from otapgate.anonymize.checks import Smallest


def manifest(
    *,
    plan: Plan,
    schema: Schema,
    tables: Mapping[str, Covered],
    source_rows: Mapping[str, int],
    digests: Mapping[str, str],
    label: str,
    rows: int,
    size: int,
    milliseconds: Mapping[str, int],
    leak_scan: canonical.JSON,
    integrity: Mapping[str, int],
    groups: Sequence[Smallest],
) -> dict[str, canonical.JSON]:
    """The record of a run in which every check passed.

    `source_rows` and `digests` are per table of the source, tables that stay empty have no
    digest; `rows` and `size` (bytes) are the result's; `integrity` is what the checks of
    references counted.
    """
    return {
        "label": label,
        "tool": f"otapgate {__version__}",
        "plan": {"name": plan.name, "digest": plan.digest},
        "source": {
            "digest": _source_digest(schema, source_rows, digests),
            "schema": schema.digest,
            "rows": sum(source_rows.values()),
        },
        "key": "destroyed" if label == "anonymised" else "kept",
        "rows": rows,
        "bytes": size,
        "milliseconds": dict(milliseconds),
        "tables": [_described(covered, source_rows) for covered in tables.values()],
        "checks": {
            "leak_scan": leak_scan,
            "rows_and_nulls": "passed",
            "unique": "passed",
            "integrity": "passed",
            **integrity,
            "groups": [
                {"table": g.table, "columns": [*g.columns], "k": g.k, "wanted": g.wanted}
                for g in groups
            ],
        },
        "k": min((group.k for group in groups), default=None),
    }


def _source_digest(schema: Schema, rows: Mapping[str, int], digests: Mapping[str, str]) -> str:
    """Over each table's definition and rows; not over where the file keeps them."""
    tables: list[canonical.JSON] = [
        [ascii(name), table.digest, digests.get(name), rows[name]]
        for name, table in sorted(schema.tables.items())
    ]
    return canonical.digest_of(tables)


def _described(covered: Covered, rows: Mapping[str, int]) -> canonical.JSON:
    columns: list[canonical.JSON] = [
        {"column": name, "transform": _told(rule)} for name, rule in covered.rules.items()
    ]
    return {
        "table": covered.table.name,
        "mode": covered.mode,
        "reason": covered.reason,
        "rows": 0 if covered.mode == "empty" else rows[covered.table.name],
        "columns": columns if covered.mode == "columns" else [],
    }


def unscanned(tables: Mapping[str, Covered]) -> list[canonical.JSON]:
    """Changed columns whose source values aren't looked for, with the reason."""
    from otapgate.anonymize.survey import why_unscanned

    found: list[canonical.JSON] = []
    for name, covered in tables.items():
        if not covered.scan:
            found.append({"column": f"{name}.*", "reason": covered.reason})
        for column, rule in covered.rules.items():
            for each in walk(rule):
                reason = why_unscanned(each)
                if reason and each.transform not in ("keep", "case"):
                    found.append({"column": f"{name}.{column}", "reason": reason})
    return found


def _told(rule: ColumnRule) -> canonical.JSON:
    """A rule in the manifest: its name, and what it depends on."""
    told: dict[str, canonical.JSON] = {"name": rule.transform}
    for name in ("domain", "format", "to", "by", "column"):
        value = getattr(rule, name)
        if value is not None:
            told[name] = value
    if rule.cases:
        told["cases"] = [[name, _told(case)] for name, case in rule.cases]
    if rule.otherwise is not None:
        told["otherwise"] = _told(rule.otherwise)
    return told
