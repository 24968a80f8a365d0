"""The SSH wire encoding (RFC 4251 section 5): strings, integers, and reading them. Pure.

Only what keys and signatures need. The reader is strict: a length beyond the data, a
number in a longer form than needed, or bytes left over are errors.
"""

from __future__ import annotations

from otapgate.i18n import _


class BadWire(ValueError):
    """Bytes that aren't what they should be; the message is a sentence."""


class Reader:
    """Takes values off the front of some bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        end = self._at + count
        if end > len(self._data):
            raise BadWire(_("The data ends too early."))
        piece = self._data[self._at : end]
        self._at = end
        return piece

    def byte(self) -> int:
        """byte"""
        return self.take(1)[0]

    def uint32(self) -> int:
        """uint32"""
        return int.from_bytes(self.take(4), "big")

    def string(self) -> bytes:
        """string: a uint32 length and that many bytes."""
        return self.take(self.uint32())

    def text(self) -> str:
        """string, of printable ASCII."""
        data = self.string()
        text = data.decode("ascii", "replace")
        if not data.isascii() or not text.isprintable():
            raise BadWire(_("A name in the data isn't printable ASCII."))
        return text

    def mpint(self) -> int:
        """mpint, above zero and in its shortest form."""
        data = self.string()
        number = int.from_bytes(data, "big", signed=True)
        if number <= 0 or mpint(number) != string(data):
            raise BadWire(_("A number in the data isn't positive or not in its shortest form."))
        return number

    def rest(self) -> bytes:
        """Everything that is left."""
        return self.take(len(self._data) - self._at)

    def end(self) -> None:
        """Nothing may be left."""
        if self._at != len(self._data):
            raise BadWire(_("The data goes on after its end."))


def uint32(number: int) -> bytes:
    """uint32"""
    return number.to_bytes(4, "big")


def string(data: bytes) -> bytes:
    """string"""
    return uint32(len(data)) + data


def mpint(number: int) -> bytes:
    """mpint of a number above zero."""
    return string(number.to_bytes(number.bit_length() // 8 + 1, "big"))
