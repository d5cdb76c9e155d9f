"""Merkle trees, against the recursion that RFC 9162 defines them by."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.archive.merkle import CHUNK_LEAVES, EMPTY, Tree, leaf, path, root, streamed_path, verify_path

SIZES = st.one_of(st.integers(0, 70), st.integers(CHUNK_LEAVES - 3, 2 * CHUNK_LEAVES + 3))


def leaves_of(size: int) -> list[bytes]:
    return [leaf("catalog.events", 3, number, number + 1, b"key", b"value %d" % number) for number in range(size)]


def as_defined(leaves: list[bytes]) -> bytes:
    """RFC 9162, section 2.1.1."""
    if not leaves:
        return sha256().digest()
    if len(leaves) == 1:
        return leaves[0]
    middle = 1
    while middle * 2 < len(leaves):
        middle *= 2
    return sha256(b"\x01" + as_defined(leaves[:middle]) + as_defined(leaves[middle:])).digest()


def path_as_defined(leaves: list[bytes], index: int) -> list[bytes]:
    """RFC 9162, section 2.1.3.1."""
    if len(leaves) == 1:
        return []
    middle = 1
    while middle * 2 < len(leaves):
        middle *= 2
    if index < middle:
        return [*path_as_defined(leaves[:middle], index), as_defined(leaves[middle:])]
    return [*path_as_defined(leaves[middle:], index - middle), as_defined(leaves[:middle])]


@given(size=SIZES, cuts=st.lists(st.integers(0, 2 * CHUNK_LEAVES), max_size=5))
def test_a_tree_that_grows_by_any_pieces_has_the_root_that_is_defined(size: int, cuts: list[int]) -> None:
    leaves = leaves_of(size)
    tree, before = Tree(), 0
    for cut in [*sorted(cuts), size]:
        tree.extend(leaves[before:cut])
        before = max(before, cut)
    assert (tree.size, tree.root()) == (size, as_defined(leaves))


@given(size=st.integers(0, 70))
def test_each_root_on_the_way_is_that_of_the_leaves_so_far(size: int) -> None:
    tree, leaves = Tree(), leaves_of(size)
    for number, added in enumerate(leaves, 1):
        tree.append(added)
        assert tree.root() == as_defined(leaves[:number])


@given(data=st.data(), size=SIZES.filter(bool))
def test_an_audit_path_is_the_one_that_is_defined_and_leads_to_the_root(data: st.DataObject, size: int) -> None:
    index, leaves = data.draw(st.integers(0, size - 1)), leaves_of(size)
    found = path(leaves, index)
    assert found == path_as_defined(leaves, index)
    assert verify_path(leaves[index], index, size, found, root(leaves))


@given(data=st.data(), size=st.integers(1, 40))
def test_nothing_else_leads_to_the_root(data: st.DataObject, size: int) -> None:
    index, leaves = data.draw(st.integers(0, size - 1)), leaves_of(size)
    found, whole = path(leaves, index), root(leaves)
    other = data.draw(st.integers(0, size).filter(lambda number: number != index))
    assert not verify_path(leaves[index], other, size, found, whole)
    assert not verify_path(leaf("x", 0, 0, None, None, None), index, size, found, whole)
    assert not verify_path(leaves[index], index, size, [*found, found[0] if found else EMPTY], whole)
    assert not found or not verify_path(leaves[index], index, size, found[:-1], whole)
    assert not verify_path(leaves[index], index, size, found, EMPTY)


def test_the_root_of_no_leaves_is_the_digest_of_nothing() -> None:
    assert root([]) == EMPTY == sha256().digest()


def test_a_path_to_no_leaf_is_refused() -> None:
    with pytest.raises(IndexError):
        path(leaves_of(3), 3)
    with pytest.raises(ValueError, match="2 leaves"):
        streamed_path(leaves_of(2), 3, 0)


def test_a_leaf_is_of_the_place_and_the_bytes() -> None:
    written = b"\x00catalog.events\n3\n17\n18\n2\nkeyvalue"
    assert leaf("catalog.events", 3, 17, 18, b"ke", b"yvalue") == sha256(written).digest()
    assert leaf("catalog.events", 3, 17, 18, b"key", b"value") != leaf("catalog.events", 3, 17, 18, b"ke", b"yvalue")
    assert leaf("catalog.events", 3, 17, None, None, None) == sha256(b"\x00catalog.events\n3\n17\n\n0\n").digest()
