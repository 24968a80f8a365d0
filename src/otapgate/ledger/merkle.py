"""The Merkle tree of RFC 6962 over SHA-256: hashes, roots, proofs. Pure.

A tree is described by its leaf hashes. The inner nodes of complete subtrees never change
once their leaves are there ("final" nodes); node `(level, index)` covers the leaves
`index * 2**level` up to `(index + 1) * 2**level`, so level 0 holds the leaf hashes. Who
keeps final nodes can give any root and any proof in O(log n): the functions here take a
`Nodes` callable for that. What a leaf holds and where nodes are kept is elsewhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from otapgate.i18n import _

HASH_SIZE = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()
"""Root of a tree without leaves."""

Nodes: TypeAlias = Callable[[int, int], bytes]
"""`(level, index)` to the hash of that final node."""


class BadProof(ValueError):
    """A proof that doesn't prove what it should; the sentence says how it falls short."""


def leaf_hash(data: bytes) -> bytes:
    """SHA-256(0x00 || data), RFC 6962 section 2.1."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right), RFC 6962 section 2.1."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root(leaves: Iterable[bytes]) -> bytes:
    """Root over leaf hashes, level by level. A node without a right neighbour moves up
    as it is, which gives the tree of RFC 6962 (split at the largest power of two)."""
    level = list(leaves)
    if not level:
        return EMPTY_ROOT
    sha256 = hashlib.sha256
    while len(level) > 1:
        pairs = zip(level[::2], level[1::2], strict=False)
        above = [sha256(b"\x01" + left + right).digest() for left, right in pairs]
        if len(level) % 2:
            above.append(level[-1])
        level = above
    return level[0]


def peaks(size: int) -> list[tuple[int, int]]:
    """The final nodes `(level, index)` that together cover `size` leaves, left to right:
    one for each bit set in `size`."""
    found = []
    start = 0
    for level in range(size.bit_length() - 1, -1, -1):
        if size >> level & 1:
            found.append((level, start >> level))
            start += 1 << level
    return found


def root_at(nodes: Nodes, size: int) -> bytes:
    """Root over the first `size` leaves, from their peaks."""
    return fold([nodes(level, index) for level, index in peaks(size)])


def fold(hashes: Sequence[bytes]) -> bytes:
    """Root from the hashes of the peaks, left to right."""
    if not hashes:
        return EMPTY_ROOT
    result = hashes[-1]
    for left in reversed(hashes[:-1]):
        result = node_hash(left, result)
    return result


def grow(nodes: Nodes, size: int, leaf: bytes) -> list[tuple[int, int, bytes]]:
    """What becomes final when `leaf` is put after `size` leaves: `(level, index, hash)`,
    the leaf itself first. `nodes` is asked for left neighbours only."""
    final = [(0, size, leaf)]
    level, index, current = 0, size, leaf
    while index % 2:
        current = node_hash(nodes(level, index - 1), current)
        level, index = level + 1, index // 2
        final.append((level, index, current))
    return final


class CompactRange:
    """A compact range from leaf 0: the peaks only, to fold any number of leaves into a
    root with O(log n) memory and to learn the root at each size on the way."""

    def __init__(self, size: int = 0, hashes: Sequence[bytes] = ()) -> None:
        """Starts at `size` leaves whose peaks have these hashes."""
        if len(hashes) != size.bit_count():
            raise ValueError(f"{size} leaves have {size.bit_count()} peaks, not {len(hashes)}")
        self.size = size
        self._hashes = list(hashes)

    def append(self, leaf: bytes) -> list[bytes]:
        """Put a leaf hash after the others; the inner nodes that become final by it, from
        level 1 up."""
        below = self.size
        self._hashes.append(leaf)
        final = []
        while below & 1:
            right = self._hashes.pop()
            self._hashes[-1] = node_hash(self._hashes[-1], right)
            final.append(self._hashes[-1])
            below >>= 1
        self.size += 1
        return final

    def root(self) -> bytes:
        """Root over what was put in."""
        return fold(self._hashes)

    def hashes(self) -> tuple[bytes, ...]:
        """Hashes of the peaks, left to right; with `size`, all that's needed to go on."""
        return tuple(self._hashes)


def inclusion_proof(nodes: Nodes, index: int, size: int) -> list[bytes]:
    """PATH(index, D[size]) of RFC 6962 section 2.1.1; ValueError out of range."""
    if not 0 <= index < size:
        raise ValueError(f"leaf {index} is not among {size}")
    proof: list[bytes] = []
    start, stop = 0, size
    while stop - start > 1:
        middle = start + _split(stop - start)
        if index < middle:
            proof.append(_subtree(nodes, middle, stop))
            stop = middle
        else:
            proof.append(_subtree(nodes, start, middle))
            start = middle
    proof.reverse()
    return proof


def consistency_proof(nodes: Nodes, old: int, new: int) -> list[bytes]:
    """PROOF(old, D[new]) of RFC 6962 section 2.1.2; empty where `old` is 0 or `new`.
    ValueError where `old` is larger than `new`."""
    if not 0 <= old <= new:
        raise ValueError(f"a tree of {new} can't hold one of {old}")
    if old == 0:
        return []
    proof: list[bytes] = []
    start, stop = 0, new
    while old < stop:
        middle = start + _split(stop - start)
        if old <= middle:
            proof.append(_subtree(nodes, middle, stop))
            stop = middle
        else:
            proof.append(_subtree(nodes, start, middle))
            start = middle
    if start:
        # Otherwise the old tree is a node of the new one, and its root is known.
        proof.append(_subtree(nodes, start, stop))
    proof.reverse()
    return proof


def verify_inclusion(
    index: int, size: int, leaf: bytes, proof: Sequence[bytes], expected: bytes
) -> None:
    """That the leaf hash stands at `index` of the tree of `size` leaves with the root
    `expected`; BadProof otherwise. Algorithm of RFC 9162 section 2.1.3.2."""
    if not 0 <= index < size:
        raise BadProof(_("The proof is about a leaf that the tree doesn't have."))
    _check_sizes(leaf, expected, *proof)
    node, last, result = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise BadProof(_("The proof is longer than the tree is high."))
        if node & 1 or node == last:
            result = node_hash(sibling, result)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            result = node_hash(result, sibling)
        node, last = node >> 1, last >> 1
    if last or result != expected:
        raise BadProof(_("The proof doesn't lead to the root."))


def verify_consistency(
    old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """That the tree of `new` leaves begins with the one of `old`; BadProof otherwise.
    Algorithm of RFC 9162 section 2.1.4.2. Nothing is said of an `old` of 0: every tree
    begins with the empty one, whose root must be right."""
    _check_sizes(old_root, new_root, *proof)
    if not 0 <= old <= new:
        raise BadProof(_("The older tree is larger than the newer one."))
    if old in (0, new):
        known = EMPTY_ROOT if old == 0 else new_root
        if proof or old_root != known:
            raise BadProof(_("The proof doesn't lead to the older root."))
        return
    # An old tree that is a complete subtree is itself the proof's first node.
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not path:
        raise BadProof(_("The proof is empty."))
    first, second, complete = _both_roots(old, new, path)
    if first != old_root:
        raise BadProof(_("The proof doesn't lead to the older root."))
    if not complete or second != new_root:
        raise BadProof(_("The proof doesn't lead to the newer root."))


def _both_roots(old: int, new: int, path: Sequence[bytes]) -> tuple[bytes, bytes, bool]:
    """The roots of both trees that the path leads to, and whether it reaches the top."""
    node, last = old - 1, new - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    first = second = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise BadProof(_("The proof is longer than the tree is high."))
        if node & 1 or node == last:
            first = node_hash(sibling, first)
            second = node_hash(sibling, second)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            second = node_hash(second, sibling)
        node, last = node >> 1, last >> 1
    return first, second, last == 0


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1


def _subtree(nodes: Nodes, start: int, stop: int) -> bytes:
    """Root over the leaves from `start`, which lies on a boundary, up to `stop`."""
    found = []
    for level, index in peaks(stop - start):
        found.append(nodes(level, (start >> level) + index))
    return fold(found)


def _check_sizes(*hashes: bytes) -> None:
    if any(len(one) != HASH_SIZE for one in hashes):
        raise BadProof(_("A hash in the proof isn't 32 bytes long."))
