"""Merkle trees over the records of a partition, after RFC 9162 (section 2.1) with SHA-256: what a checkpoint signs, and
an inclusion proof leads to.

A tree is over records in the order of their offsets. How they lie in files never matters to its root.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from itertools import islice
from typing import Final

HASH_BYTES: Final = 32
EMPTY: Final = sha256().digest()
"""The root of no leaves."""
LEAF: Final = b"\x00"
NODE: Final = b"\x01"
CHUNK_LEAVES: Final = 1024
"""So many are hashed level by level at a time; a power of two."""


def leaf(
    topic: str, partition: int, offset: int, position: int | None, key: bytes | None, value: bytes | None
) -> bytes:
    """The leaf of a record: the hash of where it lies, of its position in the event log (None: it has none), and of its
    bytes. No key or value counts as an empty one.
    """
    return sha256(leaf_input(topic, partition, offset, position, key, value)).digest()


def leaf_input(
    topic: str, partition: int, offset: int, position: int | None, key: bytes | None, value: bytes | None
) -> bytes:
    """What a leaf is the SHA-256 of: 0x00, then topic, partition, offset, position (nothing for none) and the length of
    the key in decimal, a line each, then the key and the value.
    """
    key = key or b""
    placed = b"" if position is None else b"%d" % position
    return b"\x00%s\n%d\n%d\n%s\n%d\n%s%s" % (topic.encode(), partition, offset, placed, len(key), key, value or b"")


class Tree:
    """A tree that grows at its end. It holds the roots of its whole subtrees only: O(log n) of n leaves."""

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[tuple[int, bytes]] = []  # (leaves, root), each larger than the next

    def append(self, added: bytes) -> None:
        """Add a leaf (its hash)."""
        self._push(1, added)

    def extend(self, added: Iterable[bytes]) -> None:
        """Add leaves, many times faster than one by one."""
        leaves = iter(added)
        for lone in islice(leaves, -self.size % CHUNK_LEAVES):
            self._push(1, lone)
        while len(chunk := list(islice(leaves, CHUNK_LEAVES))) == CHUNK_LEAVES:
            self._push(CHUNK_LEAVES, _perfect_root(chunk))
        for lone in chunk:
            self._push(1, lone)

    def root(self) -> bytes:
        """The root of all leaves so far; the tree may grow on."""
        if not self._peaks:
            return EMPTY
        _, found = self._peaks[-1]
        for _, peak in reversed(self._peaks[:-1]):
            found = sha256(NODE + peak + found).digest()
        return found

    def _push(self, leaves: int, subtree: bytes) -> None:
        self.size += leaves
        peaks = self._peaks
        while peaks and peaks[-1][0] == leaves:
            subtree = sha256(NODE + peaks.pop()[1] + subtree).digest()
            leaves *= 2
        peaks.append((leaves, subtree))


def root(leaves: Iterable[bytes]) -> bytes:
    """The root of leaves (hashes), in their order."""
    tree = Tree()
    tree.extend(leaves)
    return tree.root()


def path(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The audit path of a leaf: the hashes beside its way to the root, from the leaf up. Raises IndexError."""
    return streamed_path(leaves, len(leaves), index)


def streamed_path(leaves: Iterable[bytes], size: int, index: int) -> list[bytes]:
    """The audit path of one of `size` leaves, which are read once and not held. Raises IndexError for an index that is
    not below size, ValueError if there are fewer.
    """
    beside = _beside(size, index)
    remaining = iter(leaves)
    found: dict[tuple[int, int], bytes] = {}
    read = 0
    for first, end in sorted(beside):
        read += sum(1 for _ in islice(remaining, first - read))
        tree = Tree()
        tree.extend(islice(remaining, end - first))
        read += tree.size
        if read != end:
            raise ValueError(f"{read} leaves, where {size} were said to be")
        found[first, end] = tree.root()
    return [found[subtree] for subtree in beside]


def verify_path(leaf_hash: bytes, index: int, size: int, audit_path: Sequence[bytes], expected_root: bytes) -> bool:
    """Whether a leaf is at this index of the tree of this size and root (RFC 9162, section 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    number, last, found = index, size - 1, leaf_hash
    for sibling in audit_path:
        if last == 0:
            return False
        if number & 1 or number == last:
            found = sha256(NODE + sibling + found).digest()
            while not number & 1 and number:
                number, last = number >> 1, last >> 1
        else:
            found = sha256(NODE + found + sibling).digest()
        number, last = number >> 1, last >> 1
    return last == 0 and found == expected_root


def _perfect_root(level: list[bytes]) -> bytes:
    """Of a power of two of leaves, level by level."""
    while len(level) > 1:
        level = [sha256(b"\x01" + left + right).digest() for left, right in zip(level[::2], level[1::2], strict=True)]
    return level[0]


def _beside(size: int, index: int) -> list[tuple[int, int]]:
    """The subtrees beside a leaf's way to the root, from the leaf up: the first leaf of each, and the one after its
    last.
    """
    if not 0 <= index < size:
        raise IndexError(f"leaf {index} of {size}")
    first, end = 0, size
    beside: list[tuple[int, int]] = []
    while end - first > 1:
        middle = first + (1 << (end - first - 1).bit_length() - 1)
        if index < middle:
            beside.append((middle, end))
            end = middle
        else:
            beside.append((first, middle))
            first = middle
    return beside[::-1]
