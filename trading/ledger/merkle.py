"""Merkle tree hashing and proofs of RFC 6962, section 2.1."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from hashlib import sha256

from grid.errors import BadInputError, VerificationError

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()


def leaf_hash(data: bytes) -> bytes:
    """Return ``SHA-256(0x00 || data)``."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return ``SHA-256(0x01 || left || right)``."""
    return sha256(b"\x01" + left + right).digest()


def root(leaves: Iterable[bytes]) -> bytes:
    """Return the root over leaf hashes, in memory that grows with their logarithm."""
    frontier = Frontier()
    for leaf in leaves:
        frontier.append(leaf)
    return frontier.root()


class Frontier:
    """The right edge of a growing tree: all that appending needs to keep.

    Parameters
    ----------
    size : int
        Number of leaves appended so far.
    hashes : sequence of bytes
        Roots of the perfect subtrees that make up `size`, largest first.

    Raises
    ------
    BadInputError
        When there is not one hash per bit set in `size`.
    """

    __slots__ = ("_hashes", "_size")

    def __init__(self, size: int = 0, hashes: Sequence[bytes] = ()) -> None:
        if size < 0 or len(hashes) != size.bit_count():
            raise BadInputError(f"a frontier of {size} leaves does not have {len(hashes)} hashes")
        if any(len(item) != HASH_BYTES for item in hashes):
            raise BadInputError("a hash of the frontier is not 32 bytes long")
        self._size = size
        self._hashes = list(hashes)

    @property
    def size(self) -> int:
        """Number of leaves."""
        return self._size

    @property
    def hashes(self) -> tuple[bytes, ...]:
        """Roots of the perfect subtrees, largest first."""
        return tuple(self._hashes)

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash at the right."""
        carry, size = leaf, self._size
        while size & 1:
            carry = node_hash(self._hashes.pop(), carry)
            size >>= 1
        self._hashes.append(carry)
        self._size += 1

    def root(self) -> bytes:
        """Return the root; of no leaves, the hash of nothing."""
        if not self._hashes:
            return EMPTY_ROOT
        result = self._hashes[-1]
        for left in reversed(self._hashes[:-1]):
            result = node_hash(left, result)
        return result


class Prover(ABC):
    """Roots and proofs of a tree whose perfect subtrees somebody keeps.

    A kind of tree says how many leaves it has and what a perfect subtree's root is:
    from memory (:class:`Tree`) or from a store.
    """

    __slots__ = ()

    @property
    @abstractmethod
    def size(self) -> int:
        """Number of leaves."""

    @abstractmethod
    def node(self, level: int, number: int) -> bytes:
        """Return the root over leaves ``number·2^level`` to ``(number+1)·2^level``."""

    def root(self, size: int | None = None) -> bytes:
        """Return the root over the first `size` leaves, by default over all."""
        size = self._checked_size(size)
        return self._range(0, size) if size else EMPTY_ROOT

    def inclusion(self, index: int, size: int | None = None) -> tuple[bytes, ...]:
        """Return the audit path of leaf `index` in the tree of `size` leaves.

        Raises
        ------
        BadInputError
            When there is no such leaf or no such tree.
        """
        size = self._checked_size(size)
        if not 0 <= index < size:
            raise BadInputError(f"no leaf {index} in a tree of {size}")
        path: list[bytes] = []
        start, end = 0, size
        while end - start > 1:
            middle = start + _split(end - start)
            if index < middle:
                path.append(self._range(middle, end))
                end = middle
            else:
                path.append(self._range(start, middle))
                start = middle
        return tuple(reversed(path))

    def consistency(self, old: int, size: int | None = None) -> tuple[bytes, ...]:
        """Return the proof that the tree of `old` leaves is a prefix of that of `size`.

        The empty tree is a prefix of every tree: its proof is empty.

        Raises
        ------
        BadInputError
            When ``0 <= old <= size`` does not hold or there is no such tree.
        """
        size = self._checked_size(size)
        if not 0 <= old <= size:
            raise BadInputError(f"no consistency proof from {old} to {size} leaves")
        if old == 0:
            return ()
        path: list[bytes] = []
        start, end, known = 0, size, True
        while old != end:
            middle = start + _split(end - start)
            if old <= middle:
                path.append(self._range(middle, end))
                end = middle
            else:
                path.append(self._range(start, middle))
                start, known = middle, False
        if not known:
            path.append(self._range(start, end))
        return tuple(reversed(path))

    def _checked_size(self, size: int | None) -> int:
        if size is None:
            return self.size
        if not 0 <= size <= self.size:
            raise BadInputError(f"no tree of {size} leaves within {self.size}")
        return size

    def _range(self, start: int, end: int) -> bytes:
        """Root over leaves `start` to `end`; `start` is aligned as RFC 6962 splits."""
        count = end - start
        if count & (count - 1) == 0:
            level = count.bit_length() - 1
            return self.node(level, start >> level)
        middle = start + _split(count)
        return node_hash(self._range(start, middle), self._range(middle, end))


class Tree(Prover):
    """A whole tree in memory (64 bytes a leaf), for proofs in logarithmic time.

    ``levels[k][i]`` is the root over leaves ``i·2^k`` to ``(i+1)·2^k``.
    """

    __slots__ = ("levels",)

    def __init__(self, leaves: Iterable[bytes] = ()) -> None:
        self.levels: list[list[bytes]] = [[]]
        for leaf in leaves:
            self.append(leaf)

    @property
    def size(self) -> int:
        """Number of leaves."""
        return len(self.levels[0])

    def node(self, level: int, number: int) -> bytes:
        """Return the root of a perfect subtree."""
        return self.levels[level][number]

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash at the right."""
        level = 0
        self.levels[0].append(leaf)
        while len(self.levels[level]) % 2 == 0:
            pair = self.levels[level][-2:]
            level += 1
            if level == len(self.levels):
                self.levels.append([])
            self.levels[level].append(node_hash(*pair))


def _split(count: int) -> int:
    """Return the largest power of two below `count`."""
    return 1 << ((count - 1).bit_length() - 1)


def verify_inclusion(
    leaf: bytes, index: int, size: int, path: Sequence[bytes], expected: bytes
) -> None:
    """Check an audit path (RFC 9162, section 2.1.3.2).

    Raises
    ------
    VerificationError
        When the path does not lead from `leaf` at `index` to `expected`.
    """
    if not 0 <= index < size:
        raise VerificationError(f"no leaf {index} in a tree of {size}")
    node, last, result = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            raise VerificationError("the inclusion proof is too long")
        if node & 1 or node == last:
            result = node_hash(sibling, result)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            result = node_hash(result, sibling)
        node >>= 1
        last >>= 1
    if last != 0:
        raise VerificationError("the inclusion proof is too short")
    if result != expected:
        raise VerificationError(f"leaf {index} is not in the tree of {size} with that root")


def verify_consistency(
    old: int, size: int, old_root: bytes, new_root: bytes, path: Sequence[bytes]
) -> None:
    """Check that one tree is a prefix of another (RFC 9162, section 2.1.4.2).

    The empty tree is a prefix of every tree and needs an empty path.

    Raises
    ------
    VerificationError
        When the path does not lead to both roots.
    """
    if not 0 <= old <= size:
        raise VerificationError(f"a tree of {size} cannot contain one of {old}")
    if old in (0, size):
        if path or (old == 0 and old_root != EMPTY_ROOT) or (old == size and old_root != new_root):
            raise VerificationError(f"the trees of {old} and {size} are not consistent")
        return
    hashes = list(path) if old & (old - 1) else [old_root, *path]
    if not hashes:
        raise VerificationError("the consistency proof is too short")
    node, last = old - 1, size - 1
    while node & 1:
        node >>= 1
        last >>= 1
    left = right = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            raise VerificationError("the consistency proof is too long")
        if node & 1 or node == last:
            left = node_hash(sibling, left)
            right = node_hash(sibling, right)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            right = node_hash(right, sibling)
        node >>= 1
        last >>= 1
    if last != 0 or left != old_root or right != new_root:
        raise VerificationError(f"the trees of {old} and {size} are not consistent")
