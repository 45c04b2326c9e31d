"""The tree against the vectors of the certificate transparency reference and RFC 6962's words."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid.errors import BadInputError, VerificationError
from trading.ledger import merkle

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
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
A = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
B = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
C = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
D = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
E = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
F = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
G = ROOTS[4]


def hashes(count):
    return [merkle.leaf_hash(str(index).encode()) for index in range(count)]


def mth(leaves):
    """RFC 6962, section 2.1, word for word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return sha256(b"\x01" + mth(leaves[:k]) + mth(leaves[k:])).digest()


@pytest.mark.parametrize("size", range(9))
def test_roots_of_the_reference_tree(size):
    leaves = [merkle.leaf_hash(leaf) for leaf in LEAVES[:size]]
    assert merkle.root(leaves).hex() == ROOTS[size]
    assert merkle.Tree(map(merkle.leaf_hash, LEAVES)).root(size).hex() == ROOTS[size]


@pytest.mark.parametrize(
    ("index", "size", "path"),
    [(0, 1, []), (0, 8, [A, B, C]), (5, 8, [D, E, G]), (2, 3, [ROOTS[2]])],
)
def test_inclusion_proofs_of_the_reference_tree(index, size, path):
    tree = merkle.Tree(map(merkle.leaf_hash, LEAVES))
    assert [item.hex() for item in tree.inclusion(index, size)] == path


@pytest.mark.parametrize(
    ("old", "size", "path"),
    [(1, 1, []), (1, 8, [A, B, C]), (6, 8, [F, E, G]), (2, 5, [B, D])],
)
def test_consistency_proofs_of_the_reference_tree(old, size, path):
    tree = merkle.Tree(map(merkle.leaf_hash, LEAVES))
    assert [item.hex() for item in tree.consistency(old, size)] == path


@given(st.integers(0, 300))
def test_tree_frontier_and_the_recursive_definition_agree(size):
    leaves = hashes(size)
    frontier = merkle.Frontier()
    for leaf in leaves:
        frontier.append(leaf)
    assert frontier.root() == merkle.Tree(leaves).root() == mth(leaves)
    assert merkle.Frontier(frontier.size, frontier.hashes).root() == frontier.root()


@given(st.data())
def test_every_inclusion_proof_holds_and_no_other(data):
    size = data.draw(st.integers(1, 200))
    index = data.draw(st.integers(0, size - 1))
    leaves = hashes(size)
    tree = merkle.Tree(leaves)
    path, root = tree.inclusion(index), tree.root()
    merkle.verify_inclusion(leaves[index], index, size, path, root)
    wrong = [
        (merkle.leaf_hash(b"x"), index, path, root),
        (leaves[index], (index + 1) % (size + 1), path, root),
        (leaves[index], index, (*path, root), root),
        (leaves[index], index, path, bytes(32)),
    ]
    if path:
        wrong.append((leaves[index], index, path[:-1], root))
        at = data.draw(st.integers(0, len(path) - 1))
        wrong.append((leaves[index], index, (*path[:at], bytes(32), *path[at + 1 :]), root))
    for leaf, place, steps, expected in wrong:
        with pytest.raises(VerificationError):
            merkle.verify_inclusion(leaf, place, size, steps, expected)


@given(st.data())
def test_every_consistency_proof_holds_and_no_other(data):
    size = data.draw(st.integers(1, 200))
    old = data.draw(st.integers(1, size))
    tree = merkle.Tree(hashes(size))
    path, first, second = tree.consistency(old), tree.root(old), tree.root()
    merkle.verify_consistency(old, size, first, second, path)
    wrong = [
        (bytes(32), second, path),
        (first, bytes(32), path),
        (first, second, (*path, first)),
    ]
    if path:
        wrong.append((first, second, path[:-1]))
        at = data.draw(st.integers(0, len(path) - 1))
        wrong.append((first, second, (*path[:at], bytes(32), *path[at + 1 :])))
    for before, after, steps in wrong:
        with pytest.raises(VerificationError):
            merkle.verify_consistency(old, size, before, after, steps)


def test_the_empty_tree_is_a_prefix_of_every_tree_without_proof():
    merkle.verify_consistency(0, 5, merkle.EMPTY_ROOT, merkle.root(hashes(5)), ())
    with pytest.raises(VerificationError):
        merkle.verify_consistency(0, 5, bytes(32), merkle.root(hashes(5)), ())


def test_proofs_and_frontiers_that_cannot_exist_are_refused():
    tree = merkle.Tree(hashes(5))
    for call in (
        lambda: tree.inclusion(5),
        lambda: tree.inclusion(-1),
        lambda: tree.inclusion(0, 6),
        lambda: tree.consistency(-1),
        lambda: tree.consistency(6),
        lambda: merkle.Frontier(3, [bytes(32)]),
        lambda: merkle.Frontier(1, [bytes(31)]),
    ):
        with pytest.raises(BadInputError):
            call()
