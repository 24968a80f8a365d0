"""Whether a plan answers for every column of a database, and which rule each one gets.

Default deny: a table or column that the plan doesn't name stops the run, and so does one
that wasn't there when the plan was written, even where a pattern would match it.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

import msgspec

from otapgate.anonymize.plan import ColumnRule, Plan
from otapgate.anonymize.schema import Schema, Table
from otapgate.errors import BadInput, Problem
from otapgate.i18n import _


class Covered(msgspec.Struct, frozen=True):
    """A table with the rule of each of its stored columns."""

    table: Table
    mode: str
    reason: str | None
    scan: bool
    rules: dict[str, ColumnRule]
    """By column, in the table's order; all `keep` when the mode is `keep`."""


_KEEP = ColumnRule(transform="keep")


def cover(plan: Plan, schema: Schema) -> dict[str, Covered]:
    """Every table with its rules. Raises BadInput: `schema-drift` when the database isn't
    the one the plan was written for, else `plan-incomplete`; all problems at once."""
    drift = list(_drift(plan, schema))
    if drift:
        raise BadInput(
            "schema-drift",
            _("The database is no longer the one that plan {name} was written for.").format(
                name=plan.name
            ),
            remedy=_(
                "Decide about what is new, then take over the `schema:` part that "
                "`otapgate anonymize init` writes for this database."
            ),
            where=plan.file,
            problems=tuple(drift),
        )
    problems: list[Problem] = []
    result: dict[str, Covered] = {}
    for name, table in schema.tables.items():
        covered = _table(plan, table, problems)
        if covered is not None:
            result[name] = covered
    problems.extend(
        plan.problem(_("No table is called or matches {table}.").format(table=key), key)
        for key in plan.tables
        if not any(_matches(key, name) for name in schema.tables)
    )
    for group in plan.k_anonymity:
        found = schema.tables.get(group.table)
        known = {column.name for column in found.columns} if found else set()
        problems.extend(
            plan.problem(
                _("k_anonymity names {column}, which doesn't exist.").format(
                    column=f"{group.table}.{column}"
                )
            )
            for column in group.columns
            if column not in known
        )
    if problems:
        raise BadInput(
            "plan-incomplete",
            _("The plan {name} doesn't answer for everything in the database.").format(
                name=plan.name
            ),
            remedy=_("Give each column that is listed a transform."),
            where=plan.file,
            problems=tuple(problems),
        )
    _agree(plan, result)
    return result


def _drift(plan: Plan, schema: Schema) -> list[Problem]:
    if plan.schema_digest == schema.digest:
        return []
    found: list[Problem] = []
    for name, table in schema.tables.items():
        seen = plan.seen.get(name)
        if seen is None:
            found.append(plan.problem(_("Table {table} is new.").format(table=name), name))
            continue
        columns = {column.name for column in table.columns}
        found.extend(
            plan.problem(_("Column {column} is new.").format(column=f"{name}.{c}"), name)
            for c in sorted(columns - set(seen.columns))
        )
        found.extend(
            plan.problem(_("Column {column} is gone.").format(column=f"{name}.{c}"), name)
            for c in sorted(set(seen.columns) - columns)
        )
        if columns == set(seen.columns) and seen.digest != table.digest:
            found.append(
                plan.problem(
                    _("The columns of table {table} have other types or constraints.").format(
                        table=name
                    ),
                    name,
                )
            )
    found.extend(
        plan.problem(_("Table {table} is gone.").format(table=name), name)
        for name in sorted(set(plan.seen) - set(schema.tables))
    )
    return found or [
        plan.problem(
            _("The digest under `schema:` ({digest}) belongs to another list of tables.").format(
                digest=plan.schema_digest[:19]
            )
        )
    ]


def _matches(pattern: str, name: str) -> bool:
    return pattern == name or (("*" in pattern or "?" in pattern) and fnmatchcase(name, pattern))


def _pick(keys: list[str], name: str) -> list[str]:
    """The exact key if there is one, else every pattern that matches."""
    return [name] if name in keys else [key for key in keys if _matches(key, name)]


def _table(plan: Plan, table: Table, problems: list[Problem]) -> Covered | None:
    keys = _pick(list(plan.tables), table.name)
    if len(keys) != 1:
        message = (
            _("Table {table} is not in the plan.").format(table=table.name)
            if not keys
            else _("Table {table} is matched by several patterns: {patterns}.").format(
                table=table.name, patterns=", ".join(keys)
            )
        )
        problems.append(plan.problem(message, keys[0] if keys else ""))
        return None
    key = keys[0]
    entry = plan.tables[key]
    if entry.mode != "columns":
        rules = dict.fromkeys((c.name for c in table.stored), _KEEP)
        return Covered(table, entry.mode, entry.reason, entry.scan, rules)
    rules = {}
    for column in table.stored:
        rule = _column(plan, key, table.name, column.name, problems)
        if rule is not None:
            rules[column.name] = rule
    known = [column.name for column in table.stored]
    problems.extend(
        plan.problem(
            _("Table {table} has no column that {column} could mean.").format(
                table=table.name, column=name
            ),
            f"{key}.{name}",
        )
        for name in entry.columns
        if not any(_matches(name, column) for column in known)
    )
    covered = Covered(table, "columns", entry.reason, True, rules)
    for name, rule in rules.items():
        _fits(plan, covered, f"{key}.{name}", rule, problems)
    return covered


def _column(
    plan: Plan, key: str, table: str, name: str, problems: list[Problem]
) -> ColumnRule | None:
    where = f"{table}.{name}"
    for rules in (plan.tables[key].columns, plan.every_table):
        keys = _pick(list(rules), name)
        if len(keys) == 1:
            rule = rules[keys[0]]
            if rule.transform == "decide":
                problems.append(
                    plan.problem(
                        _("Column {column} is still to be decided.").format(column=where),
                        f"{key}.{keys[0]}",
                    )
                )
                return None
            return rule
        if keys:
            problems.append(
                plan.problem(
                    _("Column {column} is matched by several patterns: {patterns}.").format(
                        column=where, patterns=", ".join(keys)
                    ),
                    key,
                )
            )
            return None
    problems.append(
        plan.problem(_("Column {column} is not in the plan.").format(column=where), key)
    )
    return None


def _fits(
    plan: Plan, covered: Covered, line: str, rule: ColumnRule, problems: list[Problem]
) -> None:
    """Whether a rule can do what it says on the column that ends `line`'s key."""
    name = line.rsplit(".", 1)[1]
    where = f"{covered.table.name}.{name}"
    column = next(c for c in covered.table.columns if c.name == name)
    if rule.transform == "set_null" and (column.not_null or column.key):
        problems.append(
            plan.problem(
                _("Column {column} may not be empty, so it can't be set to null.").format(
                    column=where
                ),
                line,
                _("Use drop (writes an empty value) or constant."),
            )
        )
    alone = (name,) in covered.table.unique
    if alone and not injective(rule):
        problems.append(
            plan.problem(
                _("Column {column} is unique, and {transform} can give a value twice.").format(
                    column=where, transform=rule.transform
                ),
                line,
                _("Use pseudonym, permute, email, or fake with `unique: true`."),
            )
        )
    named = {c.name for c in covered.table.stored}
    others = (*rule.sources, *filter(None, (rule.by, rule.column)), *fields(rule.template))
    problems.extend(
        plan.problem(
            _("Column {column} refers to {other}, which the table doesn't have.").format(
                column=where, other=other
            ),
            line,
        )
        for other in others
        if other not in named
    )
    for case in inner(rule):
        _fits(plan, covered, line, case, problems)


def injective(rule: ColumnRule) -> bool:
    """Whether different source values certainly stay different."""
    if rule.transform == "fake":
        return rule.unique
    return rule.transform in ("keep", "pseudonym", "permute", "email", "set_null")


def fields(template: str) -> list[str]:
    """Names between braces in a template."""
    from string import Formatter

    return [name for _text, name, _spec, _conv in Formatter().parse(template) if name]


def walk(rule: ColumnRule) -> list[ColumnRule]:
    """The rule and, for a case, every rule within it."""
    return [rule, *(deep for each in inner(rule) for deep in walk(each))]


def inner(rule: ColumnRule) -> list[ColumnRule]:
    """The rules directly within a case."""
    return [*(case for _name, case in rule.cases), *filter(None, (rule.otherwise,))]


def domain_of(rule: ColumnRule) -> tuple[str, str] | None:
    """(domain, format) of a rule whose pseudonyms are numbered, else None."""
    if rule.transform == "permute":
        return rule.domain or f"permute.{rule.format}", rule.format or ""
    if rule.transform == "pseudonym":
        return rule.domain or "pseudonym", "token"
    if rule.transform == "email":
        return rule.domain or "email", "token"
    if rule.transform == "phone":
        return rule.domain or "phone", "phone"
    if rule.transform == "fake" and rule.unique:
        return f"fake.{rule.domain}", "fake"
    return None


def _agree(plan: Plan, covered: dict[str, Covered]) -> None:
    """One domain, one format: else one value would get two pseudonyms."""
    formats: dict[str, str] = {}
    problems = []
    for table in covered.values():
        for name, rule in table.rules.items():
            for each in walk(rule):
                pair = domain_of(each)
                if pair and formats.setdefault(*pair) != pair[1]:
                    problems.append(
                        plan.problem(
                            _("Domain {domain} is used with two formats: {one} and {two}.").format(
                                domain=pair[0], one=formats[pair[0]], two=pair[1]
                            ),
                            f"{table.table.name}.{name}",
                        )
                    )
    if problems:
        raise BadInput(
            "plan-invalid",
            _("The anonymisation plan {file} is not valid.").format(file=plan.file),
            where=plan.file,
            problems=tuple(problems),
        )
