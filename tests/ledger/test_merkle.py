"""RFC 6962 against its published vectors and against a naive reading of its definitions."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otapgate.ledger import merkle

# The eight leaves, roots and proofs that Certificate Transparency's own tests use.
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
N2_3 = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
N4_7 = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
L4 = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
N6_7 = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
N4_5 = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
L6 = "b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f"
L1 = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
INCLUSION = [
    (0, 8, [L1, N2_3, N4_7]),
    (5, 8, [L4, N6_7, ROOTS[3]]),
    (2, 3, [ROOTS[1]]),
    (1, 5, [ROOTS[0], N2_3, L4]),
]
CONSISTENCY = [
    (1, 1, []),
    (1, 8, [L1, N2_3, N4_7]),
    (6, 8, [N4_5, N6_7, ROOTS[3]]),
    (2, 5, [N2_3, L4]),
    (6, 7, [N4_5, L6, ROOTS[3]]),
]
OTHER = bytes.fromhex("abacaba000000000000000000000000000000000000000000060061e00123456")


def naive_root(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962 section 2.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return merkle.node_hash(naive_root(leaves[:k]), naive_root(leaves[k:]))


def nodes_of(leaves: list[bytes]) -> merkle.Nodes:
    """Final nodes only; asking for another is a KeyError."""
    kept: dict[tuple[int, int], bytes] = {}

    def nodes(level: int, index: int) -> bytes:
        return kept[level, index]

    for size, leaf in enumerate(leaves):
        for level, index, value in merkle.grow(nodes, size, leaf):
            assert (level, index) not in kept, "a final node became final twice"
            kept[level, index] = value
    return nodes


HASHES = [merkle.leaf_hash(leaf) for leaf in LEAVES]
leaf_lists = st.integers(0, 70).map(
    lambda n: [merkle.leaf_hash(i.to_bytes(2, "big")) for i in range(n)]
)


@pytest.mark.parametrize("size", range(1, 9))
def test_roots_are_those_of_certificate_transparency(size: int) -> None:
    assert merkle.root(HASHES[:size]).hex() == ROOTS[size - 1]


def test_the_empty_tree_has_the_hash_of_nothing() -> None:
    assert merkle.root([]) == merkle.EMPTY_ROOT == merkle.root_at(nodes_of([]), 0)
    assert merkle.EMPTY_ROOT.hex().startswith("e3b0c44298fc1c14")


@pytest.mark.parametrize(("index", "size", "proof"), INCLUSION)
def test_inclusion_proofs_are_those_of_certificate_transparency(
    index: int, size: int, proof: list[str]
) -> None:
    made = merkle.inclusion_proof(nodes_of(HASHES), index, size)
    assert [one.hex() for one in made] == proof
    merkle.verify_inclusion(index, size, HASHES[index], made, bytes.fromhex(ROOTS[size - 1]))


@pytest.mark.parametrize(("old", "new", "proof"), CONSISTENCY)
def test_consistency_proofs_are_those_of_certificate_transparency(
    old: int, new: int, proof: list[str]
) -> None:
    made = merkle.consistency_proof(nodes_of(HASHES), old, new)
    assert [one.hex() for one in made] == proof
    merkle.verify_consistency(
        old, new, bytes.fromhex(ROOTS[old - 1]), bytes.fromhex(ROOTS[new - 1]), made
    )


@pytest.mark.parametrize(("index", "size", "proof"), INCLUSION)
def test_a_corrupted_inclusion_proof_is_refused(index: int, size: int, proof: list[str]) -> None:
    good = [bytes.fromhex(one) for one in proof]
    root, leaf = bytes.fromhex(ROOTS[size - 1]), HASHES[index]
    empty = merkle.EMPTY_ROOT
    bad = [
        (index - 1, size, leaf, good, root),
        (index + 1, size, leaf, good, root),
        (index ^ 2, size, leaf, good, root),
        (index, size * 2, leaf, good, root),
        (index, size // 2, leaf, good, root),
        (index, size, b"WrongLeaf", good, root),
        (index, size, leaf, good, empty),
        (index, size, leaf, good, OTHER),
        (index, size, leaf, good, b""),
        (index, size, leaf, [*good, b""], root),
        (index, size, leaf, [*good, root], root),
        (index, size, leaf, [b"", *good], root),
        (index, size, leaf, [root, *good], root),
        (index, size, leaf, good[:-1], root),
        (index, size, leaf, [good[0], OTHER, *good[1:]], root),
    ]
    for i, one in enumerate(good):
        bad.append((index, size, leaf, [*good[:i], flip(one), *good[i + 1 :]], root))
    for attempt in bad:
        with pytest.raises(merkle.BadProof):
            merkle.verify_inclusion(*attempt)


@pytest.mark.parametrize(("old", "new", "proof"), CONSISTENCY[1:])
def test_a_corrupted_consistency_proof_is_refused(old: int, new: int, proof: list[str]) -> None:
    good = [bytes.fromhex(one) for one in proof]
    before, after = bytes.fromhex(ROOTS[old - 1]), bytes.fromhex(ROOTS[new - 1])
    bad = [
        (old - 1, new, before, after, good),
        (old + 1, new, before, after, good),
        (old ^ 2, new, before, after, good),
        (old, new * 2, before, after, good),
        (old, new // 2, before, after, good),
        (old, new, b"WrongRoot", after, good),
        (old, new, before, b"WrongRoot", good),
        (old, new, OTHER, after, good),
        (old, new, before, OTHER, good),
        (old, new, after, before, good),
        (old, new, before, after, []),
        (old, new, before, after, [*good, b""]),
        (old, new, before, after, [*good, before]),
        (old, new, before, after, [*good, after]),
        (old, new, before, after, [b"", *good]),
        (old, new, before, after, [before, *good]),
        (old, new, before, after, [after, *good]),
        (old, new, before, after, [good[0], *good]),
        (old, new, before, after, good[:-1]),
    ]
    for i, one in enumerate(good):
        bad.append((old, new, before, after, [*good[:i], flip(one), *good[i + 1 :]]))
    for attempt in bad:
        with pytest.raises(merkle.BadProof):
            merkle.verify_consistency(*attempt)


def test_an_empty_proof_between_trees_of_other_sizes_is_refused() -> None:
    nodes = nodes_of(HASHES)
    with pytest.raises(merkle.BadProof, match="empty"):
        merkle.verify_consistency(3, 8, merkle.root_at(nodes, 3), merkle.root_at(nodes, 8), [])


def test_the_empty_tree_is_a_prefix_only_under_its_own_root() -> None:
    root = bytes.fromhex(ROOTS[7])
    merkle.verify_consistency(0, 8, merkle.EMPTY_ROOT, root, [])
    with pytest.raises(merkle.BadProof):
        merkle.verify_consistency(0, 8, root, root, [])
    with pytest.raises(merkle.BadProof):
        merkle.verify_consistency(0, 8, merkle.EMPTY_ROOT, root, [root])


@given(leaf_lists)
def test_roots_at_every_size_agree_with_the_definition(leaves: list[bytes]) -> None:
    nodes = nodes_of(leaves)
    compact = merkle.CompactRange()
    for size in range(len(leaves) + 1):
        expected = naive_root(leaves[:size])
        assert merkle.root(leaves[:size]) == expected
        assert merkle.root_at(nodes, size) == expected
        assert compact.root() == expected
        resumed = merkle.CompactRange(size, compact.hashes())
        assert resumed.root() == expected
        if size < len(leaves):
            compact.append(leaves[size])


def test_a_range_refuses_the_wrong_number_of_peaks() -> None:
    with pytest.raises(ValueError, match="3 leaves have 2 peaks"):
        merkle.CompactRange(3, [HASHES[0]])


@given(leaf_lists.filter(bool), st.data())
def test_every_inclusion_proof_verifies_and_for_no_other_leaf(
    leaves: list[bytes], data: st.DataObject
) -> None:
    size = data.draw(st.integers(1, len(leaves)))
    index = data.draw(st.integers(0, size - 1))
    root = naive_root(leaves[:size])
    proof = merkle.inclusion_proof(nodes_of(leaves), index, size)
    merkle.verify_inclusion(index, size, leaves[index], proof, root)
    with pytest.raises(merkle.BadProof):
        merkle.verify_inclusion(index, size, OTHER, proof, root)


@given(leaf_lists, st.data())
def test_every_consistency_proof_verifies_and_for_no_other_root(
    leaves: list[bytes], data: st.DataObject
) -> None:
    new = data.draw(st.integers(0, len(leaves)))
    old = data.draw(st.integers(0, new))
    before, after = naive_root(leaves[:old]), naive_root(leaves[:new])
    proof = merkle.consistency_proof(nodes_of(leaves), old, new)
    merkle.verify_consistency(old, new, before, after, proof)
    with pytest.raises(merkle.BadProof):
        merkle.verify_consistency(old, new, OTHER, after, proof)


def test_proofs_are_not_made_out_of_range() -> None:
    nodes = nodes_of(HASHES)
    for index, size in ((8, 8), (-1, 8), (0, 0)):
        with pytest.raises(ValueError, match="not among"):
            merkle.inclusion_proof(nodes, index, size)
    with pytest.raises(ValueError, match="can't hold"):
        merkle.consistency_proof(nodes, 5, 4)


def flip(value: bytes) -> bytes:
    return bytes([value[0] ^ 16]) + value[1:]
