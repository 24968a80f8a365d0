"""The leak scan: do source values of sensitive columns turn up anywhere in the result?

A `Scanner` knows the values and finds them in texts, whatever table or file those come
from: exact, in other case, without accents, inside other text, without spaces, backwards,
in base64, hexadecimal, percent-, JSON and HTML escapes, and in bytes as UTF-8 or UTF-16.
Results name columns and numbers, never the values.

What it does not look for, and counts instead: texts under three signs, numbers under six
digits (both meet others by chance); three-sign texts are found only as a whole cell.
"""

from __future__ import annotations

import base64
import binascii
import html
import re
import unicodedata
import urllib.parse
import zlib
from collections.abc import Iterable, Iterator, Sequence

import ahocorasick  # type: ignore[import-not-found]  # no stubs exist
import polars as pl

from otapgate.anonymize.rows import Cell

WHOLE_ONLY = 3
"""Letters and digits: values this short are found only as a whole cell."""
ANYWHERE = 8
"""Values with this many signs are found inside words too; shorter ones as words."""
LEAST_DIGITS = 6
_PATTERN_LENGTH = 64
_AUTOMATON = 250_000
"""Patterns per automaton, each some 100 bytes a sign: bounds the memory of the scan."""
_UNPACKED = 16 * 1024 * 1024

_EMAIL = r"[a-z0-9._%+\-]+@[a-z0-9.\-]*[a-z0-9]"
_DIGIT_RUN = r"\d{6,}"
_SPACED = r"\d[\d .\-/()]{4,}\d"
_BASE64 = re.compile(r"[A-Za-z0-9+/_\-]{8,}={0,2}")
_HEX = re.compile(r"(?<![0-9A-Fa-f])(?:[0-9A-Fa-f]{2}){4,}(?![0-9A-Fa-f])")
_JSON_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
_TIME = re.compile(r"\d{4}-\d\d-\d\d(?: \d*)?")
_IBAN_SPACED = re.compile(r"[A-Za-z]{2}\d{2}(?: [A-Za-z0-9]{4}){2,8}(?: [A-Za-z0-9]{1,3})?")
_SEPARATORS = re.compile(r"[\s.,_\-/()]+")


class Scanner:
    """Values to look for, and the looking."""

    def __init__(self, values: Iterable[str], planned: Iterable[str] = ()) -> None:
        """`values`: of the source. `planned`: texts that the plan itself writes (constants,
        kept values); where they equal a source value, finding them means nothing."""
        self.skipped = {"short": 0, "planned": 0}
        """Values that aren't looked for, by reason."""
        written = {fold(text) for text in planned}
        digits: set[str] = set()
        emails: set[str] = set()
        folded: set[str] = set()
        for value in values:
            form = fold(value)
            if form in written:
                self.skipped["planned"] += 1
            elif "@" in form and re.fullmatch(_EMAIL, form):
                emails.add(form)
                folded.add(form.split("@")[0] if len(form.split("@")[0]) >= ANYWHERE else form)
            elif re.fullmatch(r"\+?[\d .\-/()]+", form):
                number = _number(form)
                if len(number) >= LEAST_DIGITS:
                    digits.add(number)
                else:
                    self.skipped["short"] += 1
            elif _signs(form) >= WHOLE_ONLY:
                folded.add(form)
            else:
                self.skipped["short"] += 1
        self._short = {form for form in folded if _signs(form) == WHOLE_ONLY}
        self._digits = pl.Series([*digits, *(d[::-1] for d in digits)], dtype=pl.Utf8)
        self._digit_set = set(self._digits)
        self._emails = pl.Series([*emails, *(e[::-1] for e in emails)], dtype=pl.Utf8)
        self._automata = list(_automata(folded - self._short))
        self.values = len(digits) + len(emails) + len(folded)
        """How many values are looked for."""

    def holds(self, text: str) -> bool:
        """Whether `text` holds any value."""
        return any(self.found_in([text]))

    def found_in(self, texts: Sequence[str]) -> list[bool]:
        """Per text, whether it holds any value. One call for many is far quicker."""
        hit = self._in_units([[text, *_decoded(text)] for text in texts])
        return [i in hit for i in range(len(texts))]

    def count(self, cells: Iterable[Cell], *, whole_is_fine: bool = False) -> int:
        """In how many different cells of `cells` some value is found.

        `whole_is_fine`: a cell that is nothing but a value doesn't count. For reference
        tables, where Utrecht is a province whoever lives there.
        """
        texts, bytes_ = set(), set()
        for cell in cells:
            if isinstance(cell, bytes):
                bytes_.add(cell)
            elif cell is not None:
                texts.add(cell if isinstance(cell, str) else str(cell))
        units = [[text, *_decoded(text)] for text in texts]
        units += [list(_unpacked(blob)) for blob in bytes_]
        hit = self._in_units(units)
        if whole_is_fine:
            hit = {i for i in hit if not self._is_value(units[i][0] if units[i] else "")}
        return len(hit)

    def without(self, texts: Sequence[str], replacement: str) -> list[str]:
        """`texts` with every value, e-mail address and long number replaced.

        Only what is written plainly; a text that holds a value in any other form is
        replaced whole.
        """
        cleaned = [self._cut(text, replacement) for text in texts]
        return [
            replacement if held else text
            for text, held in zip(cleaned, self.found_in(cleaned), strict=True)
        ]

    def _cut(self, text: str, replacement: str) -> str:
        spans = [(start, stop) for start, stop in self._spans(text)]
        spans += [m.span() for m in re.finditer(_EMAIL, text, re.IGNORECASE)]
        spans += [m.span() for m in re.finditer(_SPACED, text)]
        result, end = [], 0
        for start, stop in sorted(spans):
            if start >= end:
                result += [text[end:start], replacement]
            end = max(end, stop)
        return "".join([*result, text[end:]])

    def _in_units(self, units: list[list[str]]) -> set[int]:
        """Indexes of units (spellings of one cell) in which something is found."""
        owner = [i for i, unit in enumerate(units) for _spelling in unit]
        folded = pl.Series([fold(s) for unit in units for s in unit], dtype=pl.Utf8)
        hit: set[int] = {owner[i] for i, text in enumerate(folded) if text in self._short}
        frame = pl.DataFrame({"owner": pl.Series(owner, dtype=pl.UInt32), "text": folded})
        if self._digits.len():
            spaced = _tokens(frame, _SPACED)
            digits = pl.concat([_tokens(frame, _DIGIT_RUN), spaced]).with_columns(
                pl.col("token").str.replace_all(r"\D", "")
            )
            digits = digits.with_columns(
                pl.col("token").str.replace(r"^0+", "").alias("a"),
                pl.col("token").str.replace(r"^0*31(\d{9})$", "$1").alias("b"),
            )
            known = self._digits.implode()
            found = digits.filter(
                pl.col("a").is_in(known) | pl.col("b").is_in(known) | pl.col("token").is_in(known)
            )
            hit |= set(found["owner"])
            for i, token in spaced.unique().iter_rows():
                if i not in hit and not _TIME.match(token) and self._in_runs(token):
                    hit.add(i)
        if self._emails.len():
            emails = _tokens(frame, _EMAIL)
            hit |= set(emails.filter(pl.col("token").is_in(self._emails.implode()))["owner"])
        if self._automata:
            hit |= self._words(folded, owner)
        return hit

    def _in_runs(self, token: str) -> bool:
        """Numbers that follow one another, of which some together make a value."""
        runs = re.findall(r"\d+", token)
        return len(runs) > 2 and any(
            _number("".join(runs[i:j])) in self._digit_set
            for i in range(len(runs))
            for j in range(i + 1, min(i + 6, len(runs)) + 1)
        )

    def _words(self, folded: pl.Series, owner: list[int]) -> set[int]:
        # One long text is searched in one call; per cell the call would cost more than
        # the search. NUL between cells can't be part of a value.
        texts = folded.to_list()
        joined = "\0".join(texts)
        starts: list[int] = []
        position = 0
        for text in texts:
            starts.append(position)
            position += len(text) + 1
        return {owner[_index(starts, start)] for start, _stop in self._matches(joined)}

    def _spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Where values stand in `text`; exact only when folding keeps its length."""
        low = text.casefold()
        if len(low) == len(text):
            yield from self._matches(low)

    def _matches(self, text: str) -> Iterator[tuple[int, int]]:
        for automaton in self._automata:
            for end, (length, anywhere) in automaton.iter(text):
                start = end - length + 1
                if anywhere or (_apart(text, start - 1, start) and _apart(text, end + 1, end)):
                    yield start, end + 1

    def _is_value(self, text: str) -> bool:
        form = fold(text)
        return (
            form in self._short
            or _number(form) in self._digit_set
            or any(self._exact(automaton, form) for automaton in self._automata)
        )

    @staticmethod
    def _exact(automaton: ahocorasick.Automaton, form: str) -> bool:
        return form[:_PATTERN_LENGTH] in automaton


def fold(text: str) -> str:
    """`text` without case, accents and margins: how values and texts are compared."""
    if not text.isascii():
        decomposed = unicodedata.normalize("NFKD", text)
        text = "".join(c for c in decomposed if not unicodedata.combining(c))
    return text.casefold().strip().replace("\0", " ")


def _number(text: str) -> str:
    """A number's digits without what countries and leading zeros add."""
    digits = re.sub(r"\D", "", text)
    return re.sub(r"^0*31(\d{9})$", r"\1", digits).lstrip("0")


def _signs(text: str) -> int:
    return sum(map(str.isalnum, text))


def _automata(forms: set[str]) -> Iterator[ahocorasick.Automaton]:
    """Searchers for every form, its compact spelling, and both backwards."""
    patterns: dict[str, None] = {}
    for form in sorted(forms):
        cut = form[:_PATTERN_LENGTH]
        compact = _SEPARATORS.sub("", cut)
        for spelling in {cut, compact} if _signs(compact) >= LEAST_DIGITS else {cut}:
            patterns[spelling] = None
            # A palindrome of sorts is no new pattern; the dict keeps one.
            patterns[spelling[::-1]] = None
    listed = list(patterns)
    for start in range(0, len(listed), _AUTOMATON):
        automaton = ahocorasick.Automaton()
        for pattern in listed[start : start + _AUTOMATON]:
            automaton.add_word(pattern, (len(pattern), _signs(pattern) >= ANYWHERE))
        automaton.make_automaton()
        yield automaton


def _apart(text: str, outside: int, edge: int) -> bool:
    """Whether the sign beyond a match's edge is of another kind: a word ends there."""
    if not 0 <= outside < len(text):
        return True
    beyond, within = text[outside], text[edge]
    if within.isdigit():
        return not beyond.isdigit()
    return not (within.isalpha() and beyond.isalpha())


def _index(starts: list[int], position: int) -> int:
    from bisect import bisect_right

    return bisect_right(starts, position) - 1


def _tokens(frame: pl.DataFrame, pattern: str) -> pl.DataFrame:
    return (
        frame.select("owner", pl.col("text").str.extract_all(pattern).alias("token"))
        .explode("token")
        .drop_nulls()
    )


def _decoded(text: str) -> Iterator[str]:
    """Other texts that `text` may be hiding, one step deep."""
    if len(text) < 8:
        return
    if "%" in text:
        yield urllib.parse.unquote(text)
    if "&" in text and ";" in text:
        yield html.unescape(text)
    if "\\u" in text:
        yield _JSON_ESCAPE.sub(lambda m: chr(int(m.group(1), 16)), text)
    if " " in text:
        for match in _IBAN_SPACED.finditer(text):
            yield match.group().replace(" ", "")
    for match in _HEX.finditer(text):
        yield from _printable(bytes.fromhex(match.group()))
    for match in _BASE64.finditer(text):
        token = match.group().rstrip("=").replace("-", "+").replace("_", "/")
        # A word of plain letters is a word. A name in base64 has a digit or a capital
        # inside, or it is longer than words are.
        if token[1:].islower() and len(token) < 16:
            continue
        try:
            yield from _printable(base64.b64decode(token + "=" * (-len(token) % 4)))
        except (binascii.Error, ValueError):
            continue


def _printable(data: bytes) -> Iterator[str]:
    """`data` as text when that is what it looks like."""
    if b"\0" in data:
        yield data.decode("utf-16-le", "replace")
        yield data.decode("utf-16-be", "replace")
    text = data.decode("utf-8", "replace")
    if sum(map(str.isprintable, text)) * 4 >= len(text) * 3:
        yield text


def _unpacked(blob: bytes) -> Iterator[str]:
    """The texts that a binary cell may hold."""
    yield blob.decode("utf-8", "replace").replace("\0", " ")
    yield blob.decode("latin-1").replace("\0", " ")
    if b"\0" in blob:
        yield blob.decode("utf-16-le", "replace")
        yield blob.decode("utf-16-be", "replace")
    if blob[:2] in (b"\x1f\x8b", b"\x78\x9c", b"\x78\x01", b"\x78\xda"):
        try:
            unpacker = zlib.decompressobj(wbits=47)
            yield unpacker.decompress(blob, _UNPACKED).decode("utf-8", "replace")
        except zlib.error:
            pass
    yield from _decoded(blob.decode("latin-1"))
