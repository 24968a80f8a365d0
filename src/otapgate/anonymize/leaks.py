"""The leak scan: do source values of sensitive columns turn up anywhere in the result?

A `Scanner` knows the values and finds them in texts, whatever table or file those come
from: exact, in other case, without accents, inside other text, without spaces, backwards,
in base64, hexadecimal, percent-, JSON and HTML escapes, and in bytes as UTF-8 or UTF-16.
Results name columns and numbers, never the values. How values are told from texts that
merely look alike:

- numbers are compared as numbers: whatever separators, leading zeros and country code;
- e-mail addresses, and their part before the @ from eight signs, as words;
- other values from eight letters and digits anywhere, shorter ones as whole words, of
  three only as a whole cell;
- long texts (over 64 signs, and notes over 24) as a whole cell.

Not looked for, but counted: numbers under six digits and texts under three signs, which
meet others by chance.
"""

from __future__ import annotations

import html
import re
import urllib.parse
import zlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence

import ahocorasick
import polars as pl

from otapgate.anonymize.rows import Cell

WHOLE_ONLY = 3
ANYWHERE = 8
LEAST_DIGITS = 6
LONG = 64
LONG_NOTE = 24
_AUTOMATON = 250_000
"""Patterns per automaton, each some 50 bytes a sign: bounds the memory of the scan."""
_UNPACKED = 16 * 1024 * 1024

_EMAIL = r"[a-z0-9._%+\-]+@[a-z0-9.\-]*[a-z0-9]"
_LOCAL = r"[a-z0-9][a-z0-9._%+\-]{6,}[a-z0-9]"
_DIGIT_RUN = r"\d{6,}"
_SPACED = r"\d[\d .\-/()]{4,}\d"
_TIME = r"^\d{4}-\d\d-\d\d( \d*)?$"
# Plain words and plain numbers decode to nothing readable; a name in base64 has a capital
# or a digit among its letters, unless it is longer than words are.
_BASE64 = r"[A-Za-z0-9+/]{8,}"
_PLAIN = r"^([A-Za-z]?[a-z]{1,14}|\d+)$"
_HEX = r"(?:[0-9A-Fa-f]{2}){4,}"
_IBAN_SPACED = r"(?i)[A-Z]{2}\d{2}(?: [A-Z0-9]{4}){2,8}(?: [A-Z0-9]{1,3})?"
_JSON_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
_SEPARATORS = r"[\s.,_\-/()]+"


class Scanner:
    """Values to look for, and the looking."""

    def __init__(
        self, values: Iterable[str], planned: Iterable[str] = (), notes: Iterable[str] = ()
    ) -> None:
        """`values`: of the source. `planned`: texts that the plan itself writes (constants,
        kept values); where they equal a source value, finding them means nothing.
        `notes`: values that are free text."""
        given = values if isinstance(values, pl.Series) else pl.Series([*values], dtype=pl.Utf8)
        free = notes if isinstance(notes, pl.Series) else pl.Series([*notes], dtype=pl.Utf8)
        written = _fold(pl.Series([*planned], dtype=pl.Utf8)).implode()
        note_forms = _fold(free).unique()
        forms = pl.concat([_fold(given), note_forms]).unique()
        frame = pl.DataFrame({"form": forms}).with_columns(
            planned=pl.col("form").is_in(written),
            note=pl.col("form").is_in(note_forms.implode()),
            email=pl.col("form").str.contains(f"^{_EMAIL}$"),
            number=pl.when(pl.col("form").str.contains(r"^\+?[\d .\-/()]+$")).then(
                _number(pl.col("form"))
            ),
            signs=pl.col("form").str.replace_all(r"[^\p{L}\p{N}]", "").str.len_chars(),
            length=pl.col("form").str.len_chars(),
        )
        self.skipped = {"short": 0, "planned": int(frame["planned"].sum())}
        """Values that aren't looked for, by reason."""
        frame = frame.filter(~pl.col("planned"))
        numeric = frame.filter(pl.col("number").is_not_null())
        numbers = numeric.filter(pl.col("number").str.len_chars() >= LEAST_DIGITS)["number"]
        emails = frame.filter(pl.col("email"))["form"]
        local = emails.str.split("@").list.first()
        local = local.filter(local.str.len_chars() >= ANYWHERE)
        texts = frame.filter(~pl.col("email") & pl.col("number").is_null())
        self.skipped["short"] = (
            numeric.height - numbers.len() + texts.filter(pl.col("signs") < WHOLE_ONLY).height
        )
        texts = texts.filter(pl.col("signs") >= WHOLE_ONLY)
        whole = (
            (pl.col("signs") == WHOLE_ONLY)
            | (pl.col("length") > LONG)
            | (pl.col("note") & (pl.col("length") > LONG_NOTE))
        )
        inside = texts.filter(~whole)["form"]
        # Sets, because polars' is_in builds its table anew at every call, and the scan
        # makes thousands of small calls against many values.
        self._whole = set(texts.filter(whole)["form"])
        self._numbers = set(_both_ways(numbers))
        self._words = set(_both_ways(pl.concat([emails, local])))
        self._exact = self._whole.union(inside, numbers, emails)
        self._automata = list(_automata(inside))
        self.values = numbers.len() + emails.len() + texts.height
        """How many values are looked for."""

    def holds(self, text: str) -> bool:
        """Whether `text` holds any value."""
        return any(self.found_in([text]))

    def found_in(self, texts: Sequence[str]) -> list[bool]:
        """Per text, whether it holds any value. One call for many is far quicker."""
        hit = self._hits(_spelled(pl.Series(texts, dtype=pl.Utf8)))
        return [i in hit for i in range(len(texts))]

    def clashes(self, texts: pl.Series) -> pl.Series:
        """Per text (a number or token that stands alone), whether the scan would find it.

        What `found_in` says of such texts, for millions at a time.
        """
        frame = pl.DataFrame({"text": texts}).select(
            "text", number=_number(pl.col("text")), digits=pl.col("text").str.replace_all(r"\D", "")
        )
        return pl.Series(
            [
                text in self._exact
                or text in self._words
                or number in self._numbers
                or digits in self._numbers
                for text, number, digits in frame.iter_rows()
            ],
            dtype=pl.Boolean,
        )

    def count(self, cells: Iterable[Cell], *, whole_is_fine: bool = False) -> int:
        """In how many different cells of `cells` some value is found.

        `whole_is_fine`: a cell that is nothing but a value doesn't count. For reference
        tables, where Utrecht is a province whoever lives there.
        """
        different = set(cells)
        blobs = [cell for cell in different if isinstance(cell, bytes)]
        texts = [str(c) for c in different if c is not None and not isinstance(c, bytes)]
        frame = _spelled(pl.Series(texts, dtype=pl.Utf8))
        for i, blob in enumerate(blobs, start=len(texts)):
            frame.extend(_owned(i, list(_unpacked(blob))))
        hit = self._hits(frame)
        if whole_is_fine and hit:
            found = pl.Series([texts[i] for i in hit if i < len(texts)], dtype=pl.Utf8)
            return len(hit) - sum(form in self._exact for form in _fold(found))
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
        # Folding that changes the length would shift the places; such a text is left to
        # `found_in`, which drops it whole.
        low = text.lower()
        spans = list(self._matches(low)) if len(low) == len(text) else []
        spans += [m.span() for m in re.finditer(_EMAIL, text, re.IGNORECASE)]
        spans += [m.span() for m in re.finditer(_SPACED, text)]
        result, end = [], 0
        for start, stop in sorted(spans):
            if start >= end:
                result += [text[end:start], replacement]
            end = max(end, stop)
        return "".join([*result, text[end:]])

    def _hits(self, frame: pl.DataFrame) -> set[int]:
        """Owners (numbers of cells) of spellings in which something is found."""
        frame = frame.with_columns(text=_fold(frame["text"]))
        hit = {owner for owner, text in frame.iter_rows() if text in self._whole}
        if self._numbers:
            hit |= self._number_hits(frame)
        if self._words:
            for pattern in (_EMAIL, _LOCAL):
                tokens = _tokens(frame, pattern)
                hit |= {owner for owner, token in tokens.iter_rows() if token in self._words}
        if self._automata:
            hit |= self._text_hits(frame.filter(pl.col("text").str.contains(r"\p{L}")))
        return hit

    def _number_hits(self, frame: pl.DataFrame) -> set[int]:
        spaced = _tokens(frame, _SPACED)
        tokens = pl.concat([_tokens(frame, _DIGIT_RUN), spaced]).with_columns(
            number=_number(pl.col("token")), digits=pl.col("token").str.replace_all(r"\D", "")
        )
        hit = {
            owner
            for owner, _token, number, digits in tokens.iter_rows()
            if number in self._numbers or digits in self._numbers
        }
        several = spaced.filter(
            pl.col("token").str.contains(r"\d\D+\d+\D+\d|\d{6}\D|\D\d{6}")
            & ~pl.col("token").str.contains(_TIME)
        )
        hit |= {owner for owner, token in several.iter_rows() if self._in_runs(token)}
        return hit

    def _in_runs(self, token: str) -> bool:
        """Numbers that follow one another, of which some together make a value."""
        runs = re.findall(r"\d+", token)
        return any(
            "".join(runs[i:j]).lstrip("0") in self._numbers
            for i in range(len(runs))
            for j in range(i + 1, min(i + 6, len(runs)) + 1)
        )

    def _text_hits(self, frame: pl.DataFrame) -> set[int]:
        # One long text is searched in one call; per cell the call would cost more than
        # the search. NUL between cells can't be part of a value.
        texts = frame["text"].to_list()
        joined = "\0".join(texts)
        starts: list[int] = []
        position = 0
        for text in texts:
            starts.append(position)
            position += len(text) + 1
        owners = frame["owner"]
        last = len(joined)
        hit = {owners[bisect_right(starts, start) - 1] for start, _stop in self._matches(joined)}
        # Searching the text backwards finds what is written backwards.
        hit |= {
            owners[bisect_right(starts, last - stop) - 1]
            for _start, stop in self._matches(joined[::-1])
        }
        return hit

    def _matches(self, text: str) -> Iterator[tuple[int, int]]:
        for automaton in self._automata:
            for end, (length, anywhere) in automaton.iter(text):
                start = end - length + 1
                if anywhere or (_apart(text, start - 1, start) and _apart(text, end + 1, end)):
                    yield start, end + 1


def _fold(texts: pl.Series) -> pl.Series:
    """Texts without case, accents and margins: how values and texts are compared."""
    if texts.len() and not bool((texts.str.len_bytes() == texts.str.len_chars()).all()):
        texts = texts.str.normalize("NFKD").str.replace_all(r"\p{M}", "")
    return texts.str.to_lowercase().str.replace_all("\0", " ", literal=True).str.strip_chars()


def _number(text: pl.Expr) -> pl.Expr:
    """A number's digits without what countries and leading zeros add."""
    digits = text.str.replace_all(r"\D", "").str.replace(r"^0+", "")
    return digits.str.replace(r"^31(\d{9})$", "$1")


def _both_ways(values: pl.Series) -> pl.Series:
    return pl.concat([values, values.str.reverse()]).unique()


def _automata(forms: pl.Series) -> Iterator[ahocorasick.Automaton]:
    """Searchers for every form and its spelling without separators."""
    compact = forms.str.replace_all(_SEPARATORS, "")
    compact = compact.filter(compact.str.len_chars() >= LEAST_DIGITS)
    patterns = pl.DataFrame({"text": pl.concat([forms, compact]).unique()}).with_columns(
        length=pl.col("text").str.len_chars(),
        anywhere=pl.col("text").str.replace_all(r"[^\p{L}\p{N}]", "").str.len_chars() >= ANYWHERE,
    )
    for part in patterns.iter_slices(_AUTOMATON):
        automaton = ahocorasick.Automaton()
        for text, length, anywhere in part.iter_rows():
            automaton.add_word(text, (length, anywhere))
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


def _tokens(frame: pl.DataFrame, pattern: str) -> pl.DataFrame:
    """Every match of `pattern` with its owner, each once."""
    return (
        frame.select("owner", token=pl.col("text").str.extract_all(pattern))
        .filter(pl.col("token").list.len() > 0)
        .explode("token")
        .unique()
    )


def _owned(owner: int | pl.Series, texts: Sequence[str] | pl.Series) -> pl.DataFrame:
    column = pl.Series([owner] * len(texts)) if isinstance(owner, int) else owner
    return pl.DataFrame({"owner": column.cast(pl.UInt32), "text": pl.Series(texts, dtype=pl.Utf8)})


def _spelled(texts: pl.Series) -> pl.DataFrame:
    """Texts, numbered, and what they may be hiding, one step deep, under the same number."""
    frame = _owned(pl.arange(0, texts.len(), eager=True), texts)
    parts = [frame]
    for sign, decode in _ESCAPES:
        for owner, text in frame.filter(pl.col("text").str.contains(sign)).iter_rows():
            parts.append(_owned(owner, [decode(text)]))
    tokens = _tokens(frame, _IBAN_SPACED)
    parts.append(_owned(tokens["owner"], tokens["token"].str.replace_all(" ", "")))
    tokens = _tokens(frame, _HEX)
    tokens = tokens.filter(~pl.col("token").str.contains(r"^\d+$"))
    parts.append(_readable(tokens["owner"], tokens["token"].str.decode("hex", strict=False)))
    tokens = _tokens(
        frame.with_columns(text=pl.col("text").str.replace_all("-", "+").str.replace_all("_", "/")),
        _BASE64,
    ).filter(~pl.col("token").str.contains(_PLAIN))
    token = (
        tokens["token"]
        .str.head(-1)
        .zip_with(tokens["token"].str.len_chars() % 4 == 1, tokens["token"])
    )
    padded = token.str.pad_end(4, "=").zip_with(token.str.len_chars() < 4, token)
    left = padded.str.len_chars() % 4
    padded = (padded + "==").zip_with(left == 2, (padded + "=").zip_with(left == 3, padded))
    parts.append(_readable(tokens["owner"], padded.str.decode("base64", strict=False)))
    return pl.concat(parts)


_ESCAPES = (
    (r"%[0-9A-Fa-f]{2}", urllib.parse.unquote),
    (r"&#?\w+;", html.unescape),
    (r"\\u[0-9a-fA-F]{4}", lambda t: _JSON_ESCAPE.sub(lambda m: chr(int(m.group(1), 16)), t)),
)


def _readable(owners: pl.Series, data: pl.Series) -> pl.DataFrame:
    """Decoded bytes that are text, in UTF-8 or UTF-16."""
    frame = pl.DataFrame({"owner": owners.cast(pl.UInt32), "data": data}).drop_nulls()
    decoded = [blob.decode("utf-8", "replace") for blob in frame["data"]]
    # What wasn't coded text decodes to rubbish, for the most part no UTF-8 at all.
    texts = _owned(frame["owner"], decoded).filter(
        pl.col("text").str.count_matches("\ufffd") * 4 <= pl.col("text").str.len_chars()
    )
    wide = frame.filter(pl.col("data").bin.contains(b"\0"))
    parts = [texts]
    for owner, blob in wide.iter_rows():
        parts.append(_owned(owner, list(_unpacked(blob))))
    return pl.concat(parts)


def _unpacked(blob: bytes) -> Iterator[str]:
    """The texts that a binary cell may hold."""
    yield blob.decode("utf-8", "replace")
    yield blob.decode("latin-1")
    if b"\0" in blob:
        yield blob.decode("utf-16-le", "replace")
        yield blob.decode("utf-16-be", "replace")
    if blob[:2] in (b"\x1f\x8b", b"\x78\x9c", b"\x78\x01", b"\x78\xda"):
        try:
            unpacker = zlib.decompressobj(wbits=47)
            yield unpacker.decompress(blob, _UNPACKED).decode("utf-8", "replace")
        except zlib.error:
            pass
    coded = _spelled(pl.Series([blob.decode("latin-1")]))["text"].to_list()
    yield from coded[1:]
