"""The key of a run and the keyed function that every pseudonym rests on.

The key lives in memory only, in a buffer that is overwritten at the end. Nothing here
writes or prints it. Which value becomes what is decided in `transforms`.
"""

from __future__ import annotations

import array
import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

if TYPE_CHECKING:
    import polars as pl

KEY_BYTES = 32
_BLOCK = 16


class RunKey:
    """The secret of one run: 32 random bytes in memory.

    Without it a pseudonym can't be recomputed by trying all values (a BSN has only a
    thousand million), which is why a bare hash would not do. `destroy` overwrites the
    buffer; copies that OpenSSL made are cleansed when their contexts go, and those that
    the operating system may have swapped out are beyond a Python program's reach.
    """

    def __init__(self, key: bytes | bytearray | None = None) -> None:
        if key is not None and len(key) != KEY_BYTES:
            raise ValueError("a run key has 32 bytes")
        self.in_memory_only = key is None
        """True when the key was drawn here and never existed anywhere else."""
        self._key = bytearray(secrets.token_bytes(KEY_BYTES) if key is None else key)
        self._subkeys: list[bytearray] = []
        self._destroyed = False

    def subkey(self, label: str) -> bytearray:
        """32 bytes that belong to `label`: domains must not share a keyed function."""
        if self._destroyed:
            raise ValueError("the run key is destroyed")
        made = bytearray(hmac.new(self._key, label.encode(), hashlib.sha256).digest())
        self._subkeys.append(made)
        return made

    def seed(self, label: str) -> int:
        """A whole number for seeding a generator of vocabulary, which is no secret's guard."""
        return int.from_bytes(self.subkey("seed:" + label)[:8], "big")

    def destroy(self) -> None:
        """Overwrite the key and everything derived from it."""
        for buffer in (self._key, *self._subkeys):
            buffer[:] = bytes(len(buffer))
        self._subkeys.clear()
        self._destroyed = True

    @property
    def destroyed(self) -> bool:
        """Whether `destroy` has been called."""
        return self._destroyed


class Prf:
    """A pseudo-random function of one domain, over columns of text or blocks of bytes."""

    def __init__(self, key: RunKey, label: str) -> None:
        self._long = key.subkey("long:" + label)
        # AES in ECB mode is used here as a keyed function on single blocks that are all
        # different questions, not to encrypt a message: nobody decrypts, nobody sees the
        # blocks, and equal blocks must give equal answers. One call over one contiguous
        # buffer lets the processor's AES instructions run at full speed.
        self._aes = Cipher(algorithms.AES(key.subkey("aes:" + label)), modes.ECB())  # noqa: S305

    def blocks(self, data: bytes | bytearray) -> bytes:
        """The keyed function of each 16-byte block of `data`, in order."""
        return self._aes.encryptor().update(data)

    def numbers(self, values: pl.Series) -> pl.Series:
        """An unsigned 64-bit number per text of `values` (no nulls): same text, same number."""
        import polars as pl

        if values.len() == 0:
            return pl.Series(values.name, [], dtype=pl.UInt64)
        # A block is the text padded with NUL; a text that is too long, not ASCII (its bytes
        # aren't its characters) or holds a NUL is shortened first by keyed BLAKE2b to the
        # 13 hexadecimal pairs that can't be mistaken for a text, by a leading NUL.
        lengths = values.str.len_bytes()
        short = (lengths < _BLOCK) & (lengths == values.str.len_chars())
        short &= ~values.str.contains("\0", literal=True)
        if short.all():
            joined = values.str.pad_end(_BLOCK, "\0").str.join("")[0].encode()
        else:
            joined = b"".join(
                text.encode().ljust(_BLOCK, b"\0") if is_short else self._shortened(text)
                for text, is_short in zip(values.to_list(), short.to_list(), strict=True)
            )
        words = array.array("Q")
        words.frombytes(self.blocks(joined))
        return pl.Series(values.name, words[0::2], dtype=pl.UInt64)

    def integers(self, tag: int, values: array.array[int]) -> array.array[int]:
        """An unsigned 64-bit number per unsigned 64-bit number, different for each `tag`."""
        block = array.array("Q", bytes(len(values) * _BLOCK))
        block[0::2] = values
        block[1::2] = array.array("Q", [tag]) * len(values)
        words = array.array("Q")
        words.frombytes(self.blocks(block.tobytes()))
        return words[0::2]

    def _shortened(self, text: str) -> bytes:
        digest = hashlib.blake2b(
            text.encode("utf-8", "surrogatepass"), key=bytes(self._long), digest_size=15
        ).digest()
        return b"\0" + digest
