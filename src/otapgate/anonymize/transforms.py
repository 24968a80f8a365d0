"""What happens to the values: every transform of a plan as a function over columns.

Columns are polars text series; where they come from and go to is not known here. All
pseudonyms rest on the run's key (`keys`). A value's pseudonym depends only on the key, the
domain, the value and the set of values in the source: not on the order or the table.
"""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from otapgate.anonymize import permute, vocabulary
from otapgate.anonymize.cover import domain_of, fields
from otapgate.anonymize.keys import Prf, RunKey
from otapgate.anonymize.leaks import Scanner
from otapgate.anonymize.plan import ColumnRule, Plan
from otapgate.anonymize.survey import Survey
from otapgate.errors import BadInput, Failed
from otapgate.i18n import _

_TEXT = pl.Utf8


class Batch:
    """Some rows of one table: old values by column, and new ones as they are asked for."""

    def __init__(self, table: str, rules: dict[str, ColumnRule], old: dict[str, pl.Series]) -> None:
        self.table = table
        self.rules = rules
        self.old = old
        self._asked: list[str] = []
        self._new: dict[str, pl.Series] = {}

    def new(self, column: str, engine: Engine) -> pl.Series:
        """New values of `column`. Raises BadInput when columns are derived in a circle."""
        if column not in self._new:
            if column in self._asked:
                raise BadInput(
                    "plan-circular",
                    _("Column {column} is derived from itself: {path}.").format(
                        column=f"{self.table}.{column}",
                        path=" → ".join([*self._asked, column]),
                    ),
                )
            self._asked.append(column)
            rule = self.rules[column]
            self._new[column] = engine.apply(f"{self.table}.{column}", rule, column, self)
            self._asked.pop()
        return self._new[column]

    def filter(self, mask: pl.Series) -> Batch:
        """The rows where `mask` is true; derivations start anew on them."""
        part = Batch(self.table, self.rules, {c: s.filter(mask) for c, s in self.old.items()})
        part._asked = list(self._asked)
        return part


class Engine:
    """The transforms of one run, ready to be applied to batches."""

    def __init__(self, plan: Plan, key: RunKey, survey: Survey, scanner: Scanner) -> None:
        self._plan = plan
        self._key = key
        self._scanner = scanner
        self._prfs: dict[str, Prf] = {}
        self._pools: dict[str, pl.Series] = {}
        self._numbered: dict[str, pl.DataFrame] = {}
        self._formats: dict[str, permute.NumberFormat] = {}
        self._survey = survey
        self._taken = set(survey.everything())
        self._forbidden = _forbidden(survey)
        self._removed = "[verwijderd]" if plan.locale == "nl_NL" else "[removed]"

    def apply(self, where: str, rule: ColumnRule, column: str, batch: Batch) -> pl.Series:
        """New values for `column` of `batch` by `rule`. `where` names it in messages."""
        old = batch.old[column]
        kind = rule.transform
        if kind == "keep":
            return old
        if kind in ("set_null", "drop"):
            return pl.repeat(None, old.len(), dtype=_TEXT, eager=True)
        # Nothing stays nothing: an empty text tells no more than a null does.
        kept = old.is_null() | (old == "")
        if rule.keep_values:
            kept |= old.is_in(list(rule.keep_values))
        kept = kept.fill_null(True)
        if kept.all():
            return old
        if not kept.any():
            return self._made(where, rule, column, batch)
        made = self._made(where, rule, column, batch.filter(~kept))
        # scatter writes in place, and the old values are still needed.
        return old.clone().scatter((~kept).arg_true(), made)

    def _made(self, where: str, rule: ColumnRule, column: str, batch: Batch) -> pl.Series:
        """New values where every old one is a text that must not stay."""
        old = batch.old[column]
        simple: dict[str, Callable[[], pl.Series]] = {
            "constant": lambda: pl.repeat(str(rule.value), old.len(), dtype=_TEXT, eager=True),
            "fake": lambda: self._fake(rule, old),
            "pseudonym": lambda: rule.prefix + self._number(rule, old),
            "permute": lambda: self._number(rule, old),
            "phone": lambda: self._phone(rule, old),
            "date_shift": lambda: self._shifted(where, rule, old, batch),
            "generalise": lambda: _generalised(where, rule, old),
            "free_text": lambda: self._free_text(rule, old),
            "email": lambda: self._email(rule, old, batch),
            "template": lambda: self._template(rule, batch),
            "case": lambda: self._case(where, rule, column, batch),
        }
        return simple[rule.transform]()

    def _prf(self, label: str) -> Prf:
        if label not in self._prfs:
            self._prfs[label] = Prf(self._key, label)
        return self._prfs[label]

    def _pool(self, domain: str) -> pl.Series:
        if domain not in self._pools:
            seed = self._key.seed(domain)
            drawn = vocabulary.pool(domain, self._plan.locale, seed, self._forbidden)
            # Longer words may hold a source value within them; the scan itself is asked.
            held = self._scanner.found_in(drawn)
            clean = [word for word, bad in zip(drawn, held, strict=True) if not bad] or drawn
            self._pools[domain] = pl.Series(clean, dtype=_TEXT)
        return self._pools[domain]

    def _fake(self, rule: ColumnRule, old: pl.Series) -> pl.Series:
        if rule.unique:
            return self._number(rule, old)
        pool = self._pool(rule.domain or "")
        # One person is written in more ways than one; a name's case and margins don't make
        # it another name.
        folded = old.str.strip_chars().str.to_lowercase()
        return pool.gather(self._prf(f"fake:{rule.domain}").numbers(folded) % pool.len())

    def _number(self, rule: ColumnRule, old: pl.Series) -> pl.Series:
        domain, written = domain_of(rule) or ("", "")
        if domain not in self._numbered:
            self._hand_out(domain, written, rule)
        canonical = self._formats[domain].canonical(old)
        frame = pl.DataFrame({"value": canonical})
        joined = frame.join(self._numbered[domain], on="value", how="left", maintain_order="left")
        made = joined["pseudonym"]
        if made.null_count():
            # One snapshot is read twice, so this can't be; but a real value must not pass.
            raise Failed("source-changed", _("The source changed while it was read."))
        return made

    def _hand_out(self, domain: str, written: str, rule: ColumnRule) -> None:
        """A pseudonym for every value of `domain` in the source, none twice, none real.

        The values get numbers in the order of their keyed function, the numbers go through
        the keyed permutation, and results that occur in the source are passed over.
        """
        style = self._formats[domain] = self._style(written, rule)
        series = [
            style.canonical(values)
            for _where, each, values in self._survey.found
            if domain_of(each) == (domain, written)
        ]
        values = pl.concat(series).unique() if series else pl.Series([], dtype=_TEXT)
        valid = style.valid(values)
        frames = []
        for good, write in ((True, style.write), (False, style.write_invalid)):
            members = values.filter(valid == good)
            order = self._prf(f"order:{domain}").numbers(members)
            members = pl.DataFrame({"value": members, "order": order}).sort("order", "value")[
                "value"
            ]
            made = self._free_numbers(domain, style.size, write, members.len())
            frames.append(pl.DataFrame({"value": members, "pseudonym": made}))
        self._numbered[domain] = pl.concat(frames)

    def _free_numbers(
        self, domain: str, size: int, write: Callable[[pl.Series], pl.Series], wanted: int
    ) -> pl.Series:
        permutation = permute.Permutation(self._prf(f"permute:{domain}"), size)
        made = pl.Series([], dtype=_TEXT)
        start = 0
        while made.len() < wanted:
            stop = min(start + max(wanted - made.len(), 1000), size)
            if start >= stop:
                raise BadInput(
                    "domain-too-small",
                    _(
                        "Domain {domain} has room for {size} values; the source's {wanted} "
                        "and as many new ones don't fit."
                    ).format(domain=domain, size=size, wanted=wanted),
                    remedy=_("Use digits:N with a larger N, or the transform pseudonym."),
                    where=self._plan.file,
                )
            numbers = pl.arange(start, stop, eager=True, dtype=pl.UInt64)
            texts = write(permutation.apply(numbers))
            texts = texts.filter(~self._scanner.clashes(texts))
            texts = texts.filter(pl.Series([t not in self._taken for t in texts], dtype=pl.Boolean))
            if texts.str.contains(r"[a-z]").any():
                # Letters can spell something within a token, backwards too.
                found = self._scanner.found_in(texts.to_list())
                texts = texts.filter(~pl.Series(found, dtype=pl.Boolean))
            made = pl.concat([made, texts])
            start = stop
        return made.head(wanted)

    def _style(self, written: str, rule: ColumnRule) -> permute.NumberFormat:
        if written == "fake":
            return permute.listed(self._pool(rule.domain or ""))
        if written.startswith("digits:"):
            return permute.digits(int(written.removeprefix("digits:")))
        makers = {
            "bsn": permute.bsn,
            "iban": permute.iban,
            "phone": permute.phone,
            "token": permute.token,
        }
        return makers[written]()

    def _phone(self, rule: ColumnRule, old: pl.Series) -> pl.Series:
        made = self._number(rule, old)
        abroad = made.str.replace("^0", "+31")
        return abroad.zip_with(old.str.contains(r"^(\+|00)"), made)

    def _email(self, rule: ColumnRule, old: pl.Series, batch: Batch) -> pl.Series:
        unique = self._number(rule, old)
        if not rule.sources:
            return "p." + unique + "@" + rule.host
        local = pl.repeat("", old.len(), dtype=_TEXT, eager=True)
        for source in rule.sources:
            local = local + " " + batch.new(source, self).fill_null("")
        local = (
            local.str.normalize("NFKD")
            .str.to_lowercase()
            .str.replace_all(r"[^a-z0-9 .\-]", "")
            .str.replace_all(r"[ .\-]+", ".")
            .str.strip_chars(".")
        )
        return local + "." + unique + "@" + rule.host

    def _template(self, rule: ColumnRule, batch: Batch) -> pl.Series:
        news = [batch.new(name, self).fill_null("") for name in fields(rule.template)]
        return pl.select(pl.format(_placeholders(rule.template), *news)).to_series()

    def _case(self, where: str, rule: ColumnRule, column: str, batch: Batch) -> pl.Series:
        old = batch.old[column]
        which = batch.old[rule.column or ""]
        made = pl.repeat(None, old.len(), dtype=_TEXT, eager=True)
        rest = pl.repeat(True, old.len(), dtype=pl.Boolean, eager=True)
        for name, case in rule.cases:
            mask = which.eq_missing(name)
            rest &= ~mask
            if mask.any():
                values = self.apply(where, case, column, batch.filter(mask))
                made = made.scatter(mask.arg_true(), values)
        if rest.any() and rule.otherwise is not None:
            values = self.apply(where, rule.otherwise, column, batch.filter(rest))
            made = made.scatter(rest.arg_true(), values)
        return made

    def _shifted(self, where: str, rule: ColumnRule, old: pl.Series, batch: Batch) -> pl.Series:
        dates, rest = _dates(where, old)
        person = batch.old[rule.by or ""].fill_null("")
        prf = self._prf(f"shift:{rule.domain or rule.by}")
        steps = (prf.numbers(person) % (2 * rule.days)).cast(pl.Int64)
        # -days … -1 and 1 … days: never nought, which would leave a real date.
        steps = steps - rule.days + (steps >= rule.days).cast(pl.Int64)
        moved = dates + pl.select(pl.duration(days=pl.lit(steps))).to_series()
        return moved.dt.strftime("%Y-%m-%d") + rest

    def _free_text(self, rule: ColumnRule, old: pl.Series) -> pl.Series:
        replacement = rule.text or self._removed
        if rule.mode == "redact":
            return pl.repeat(replacement, old.len(), dtype=_TEXT, eager=True)
        return pl.Series(self._scanner.without(old.to_list(), replacement), dtype=_TEXT)


def _forbidden(survey: Survey) -> set[str]:
    """Words of the source that a vocabulary must not hold."""
    found: set[str] = set()
    for _rule, values in survey.with_transform("fake", "template", "email", "drop", "set_null"):
        for value in values:
            if len(value) <= 200:
                found |= vocabulary.words(value)
    return found


def _placeholders(template: str) -> str:
    for name in fields(template):
        template = template.replace("{" + name + "}", "{}")
    return template


def _dates(where: str, old: pl.Series) -> tuple[pl.Series, pl.Series]:
    """The dates at the start of texts, and what follows them.

    Raises BadInput (`date-unreadable`) with the count, because a text that isn't
    understood can't be shifted and must not be kept.
    """
    dates = old.str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False)
    if dates.null_count():
        raise BadInput(
            "date-unreadable",
            _("Column {column} holds {count} values that aren't dates like 2026-01-31.").format(
                column=where, count=dates.null_count()
            ),
            remedy=_("Give the column another transform, or mend the values in the source."),
        )
    return dates, old.str.slice(10)


def _generalised(where: str, rule: ColumnRule, old: pl.Series) -> pl.Series:
    to = rule.to or ""
    if to.startswith("prefix:"):
        return old.str.slice(0, int(to.removeprefix("prefix:")))
    dates, rest = _dates(where, old)
    year = dates.dt.year().cast(_TEXT)
    if to == "decade":
        year = (dates.dt.year() // 10 * 10).cast(_TEXT)
    month = dates.dt.strftime("%m") if to == "month" else "01"
    # Digits of a time become nought and its form stays, for readers that parse it.
    return year + "-" + month + "-01" + rest.str.replace_all(r"\d", "0")
