"""Keyed permutations of whole-number ranges, and the number formats built on them.

A Feistel network over two halves permutes a rectangle a little larger than the range;
walking the cycle until a number inside is met makes it a permutation of the range itself.
So different numbers always give different numbers: uniqueness is certain, not likely.
Ten rounds, as NIST SP 800-38G (FF1) has them. What a source value's number is, and how
collisions with real values are kept out, is `transforms`' business.
"""

from __future__ import annotations

import array
from math import isqrt
from typing import TYPE_CHECKING

from otapgate.anonymize.keys import Prf

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl

ROUNDS = 10
LEAST_DOMAIN = 1_000_000
"""NIST SP 800-38G rev. 1 asks at least a million values; smaller ones hide little."""
_TABLE_LIMIT = 1 << 18


class Permutation:
    """A keyed permutation of 0 … size-1."""

    def __init__(self, prf: Prf, size: int) -> None:
        if size < 2:
            raise ValueError("a permutation needs at least two values")
        if size > 1 << 62:
            raise ValueError("a permutation holds at most 2^62 values")
        self.size = size
        self._prf = prf
        self._left = isqrt(size - 1) + 1
        self._right = -(-size // self._left)
        # The round function sees only one half. Where that half is small, all its answers
        # fit in a table, and a round is a look-up instead of an encryption per value.
        self._tables: dict[int, pl.Series] = {}

    def apply(self, numbers: pl.Series) -> pl.Series:
        """The permuted numbers (UInt64, each below `size`, no nulls), in order."""
        import polars as pl

        result = self._once(numbers.cast(pl.UInt64))
        outside = (result >= self.size).arg_true()
        while outside.len():
            walked = self._once(result.gather(outside))
            result = result.scatter(outside, walked)
            outside = outside.filter(walked >= self.size)
        return result

    def _once(self, numbers: pl.Series) -> pl.Series:
        left, right = numbers // self._right, numbers % self._right
        for turn in range(0, ROUNDS, 2):
            left = (left + self._round(turn, right, self._right, self._left)) % self._left
            right = (right + self._round(turn + 1, left, self._left, self._right)) % self._right
        return left * self._right + right

    def _round(self, turn: int, half: pl.Series, domain: int, modulus: int) -> pl.Series:
        import polars as pl

        if domain > _TABLE_LIMIT:
            asked = array.array("Q", half.to_list())
            return pl.Series("", self._prf.integers(turn, asked), dtype=pl.UInt64) % modulus
        table = self._tables.get(turn)
        if table is None:
            answers = self._prf.integers(turn, array.array("Q", range(domain)))
            table = self._tables[turn] = pl.Series("", answers, dtype=pl.UInt64) % modulus
        return table.gather(half)


class NumberFormat:
    """A way to write the numbers 0 … size-1 so that each is valid and none is a person's.

    `write` turns a column of numbers into text; `write_invalid` does so for source values
    that weren't valid themselves: they stay invalid and get a room of their own, because a
    permutation of the valid ones says nothing about them. `canonical` is one spelling for
    the ways in which a value is written; `valid` says whether that spelling is well-formed.
    """

    def __init__(
        self,
        size: int,
        write: Callable[[pl.Series], pl.Series],
        *,
        canonical: Callable[[pl.Series], pl.Series],
        valid: Callable[[pl.Series], pl.Series],
        write_invalid: Callable[[pl.Series], pl.Series],
    ) -> None:
        self.size = size
        self.write = write
        self.canonical = canonical
        self.valid = valid
        self.write_invalid = write_invalid


def _eleven(eight: pl.Series) -> pl.Series:
    """The weighted sum modulo 11 of eight digits given as a number: the ninth digit of a
    BSN, or 10 where no ninth digit makes one."""
    total = (eight // 10**7 % 10) * 9
    for place, weight in zip(range(6, -1, -1), range(8, 1, -1), strict=True):
        total = total + (eight // 10**place % 10) * weight
    return total % 11


def _text(numbers: pl.Series, width: int) -> pl.Series:
    import polars as pl

    return numbers.cast(pl.Utf8).str.zfill(width)


def bsn() -> NumberFormat:
    """Burgerservicenummers that pass the 11-proef and start with 9: never given out."""
    import polars as pl

    def write(numbers: pl.Series) -> pl.Series:
        # The check digit 10 doesn't exist, so one in eleven of the eight-digit stems is
        # void. For each group of ten stems (last digit weight 2) the sums differ by 2
        # modulo 11, so at most one is void; nine of ten are kept by skipping it.
        group, pick = numbers // 9, numbers % 9
        base = 90_000_000 + group * 10
        at_zero = _eleven(base)
        # 2·d + s ≡ 10 (mod 11)  ⇔  d ≡ 6·(10 - s) (mod 11); d = 10 means none is void.
        void = (6 * (21 - at_zero)) % 11
        stem = base + pick + (pick >= void).cast(pl.UInt64)
        return _text(stem * 10 + _eleven(stem), 9)

    def write_invalid(numbers: pl.Series) -> pl.Series:
        stem = 90_000_000 + numbers // 9
        check = _eleven(stem) % 10
        digit = numbers % 9
        return _text(stem * 10 + digit + (digit >= check).cast(pl.UInt64), 9)

    def canonical(values: pl.Series) -> pl.Series:
        bare = values.str.replace_all(r"[ .\-]", "")
        # A BSN kept as a number has lost its leading zeros; give them back. Three at most:
        # the test range begins with 000, real ones with one.
        digits = bare.str.contains(r"^\d{6,9}$")
        return bare.str.zfill(9).zip_with(digits, values)

    def valid(values: pl.Series) -> pl.Series:
        digits = values.str.contains(r"^\d{9}$")
        number = values.zip_with(digits, pl.Series(["1"])).cast(pl.UInt64)
        return digits & (number > 0) & (_eleven(number // 10) == number % 10)

    return NumberFormat(
        9 * 10**6, write, canonical=canonical, valid=valid, write_invalid=write_invalid
    )


def digits(width: int) -> NumberFormat:
    """Numbers of `width` digits, leading zeros and all."""
    return NumberFormat(
        10**width,
        lambda numbers: _text(numbers, width),
        canonical=lambda values: values,
        valid=lambda values: values.str.contains(rf"^\d{{{width}}}$"),
        # Anything else is marked with a letter: other widths are no numbers of this kind.
        write_invalid=lambda numbers: "x" + _text(numbers, width),
    )


def iban() -> NumberFormat:
    """Dutch IBANs with valid check digits at a bank that doesn't exist (OTAP)."""
    bank = "".join(str(ord(letter) - 55) for letter in "OTAP")
    land = "".join(str(ord(letter) - 55) for letter in "NL")

    def check(numbers: pl.Series) -> pl.Series:
        # (bank · 10^10 + number) · 10^6 + NL00, modulo 97, without leaving 64 bits.
        fixed = int(bank) * 10**16 + int(land) * 100
        return 98 - (fixed % 97 + (numbers % 97) * (10**6 % 97)) % 97

    def write(numbers: pl.Series) -> pl.Series:
        return "NL" + _text(check(numbers), 2) + "OTAP" + _text(numbers, 10)

    def write_invalid(numbers: pl.Series) -> pl.Series:
        return "NL00OTAP" + _text(numbers, 10)

    def canonical(values: pl.Series) -> pl.Series:
        return values.str.replace_all(" ", "").str.to_uppercase()

    return NumberFormat(
        10**10,
        write,
        canonical=canonical,
        valid=lambda values: values.str.contains(r"^[A-Z]{2}\d{2}[A-Z0-9]{10,30}$"),
        write_invalid=write_invalid,
    )


def phone() -> NumberFormat:
    """Dutch mobile numbers in 06-0, a range that the numbering plan gives to nobody."""
    import polars as pl

    def canonical(values: pl.Series) -> pl.Series:
        bare = values.str.replace_all(r"[ ().\-/]", "")
        return bare.str.replace(r"^(\+31|0031)0?", "0")

    def write(numbers: pl.Series) -> pl.Series:
        return "060" + _text(numbers, 7)

    return NumberFormat(
        10**7,
        write,
        canonical=canonical,
        valid=lambda values: pl.repeat(True, values.len(), dtype=pl.Boolean, eager=True),
        write_invalid=write,
    )


_ALPHABET = "bcdfghjkmnpqrstvwxz23456789"
"""Without signs that are mistaken for one another, and without vowels: no token may happen
to spell a name."""


def token(length: int = 7) -> NumberFormat:
    """Opaque texts of `length` signs."""
    import polars as pl

    signs = pl.Series(list(_ALPHABET))

    def write(numbers: pl.Series) -> pl.Series:
        text = pl.repeat("", numbers.len(), dtype=pl.Utf8, eager=True)
        for _ in range(length):
            text = signs.gather(numbers % len(_ALPHABET)) + text
            numbers = numbers // len(_ALPHABET)
        return text

    return NumberFormat(
        len(_ALPHABET) ** length,
        write,
        canonical=lambda values: values,
        valid=lambda values: pl.repeat(True, values.len(), dtype=pl.Boolean, eager=True),
        write_invalid=write,
    )


def listed(words: pl.Series) -> NumberFormat:
    """The texts of `words`; when they are used up, again with a number behind."""
    import polars as pl

    def write(numbers: pl.Series) -> pl.Series:
        turn = numbers // words.len()
        suffix = (" " + (turn + 1).cast(pl.Utf8)).zip_with(turn > 0, pl.Series([""]))
        return words.gather(numbers % words.len()) + suffix

    return NumberFormat(
        max(words.len(), 1) * 100_000,
        write,
        canonical=lambda values: values,
        valid=lambda values: pl.repeat(True, values.len(), dtype=pl.Boolean, eager=True),
        write_invalid=write,
    )
