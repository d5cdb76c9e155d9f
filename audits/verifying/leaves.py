"""The leaves of what the archive holds, from its columns: what the roots of files and of checkpoints are over."""

from collections.abc import Iterator
from hashlib import sha256
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from infra.archive.merkle import Tree, leaf
from infra.archive.store import Archive

OF_LEAVES: Final = ("offset", "position", "key", "value")


def leaves_of(topic: str, partition: int, batch: pa.RecordBatch) -> list[bytes]:
    """The leaves of records that have these columns, in their order."""
    offsets, positions, keys, values = (batch.column(name).to_pylist() for name in OF_LEAVES)
    place = b"\x00%s\n%d\n" % (topic.encode(), partition)
    if None in positions or None in keys or None in values:
        rows = zip(offsets, positions, keys, values, strict=True)
        return [leaf(topic, partition, *row) for row in rows]
    return [  # what leaf() does, without what is the same for all
        sha256(b"%s%d\n%d\n%d\n%s%s" % (place, offset, position, len(key), key, value)).digest()
        for offset, position, key, value in zip(offsets, positions, keys, values, strict=True)
    ]


def archived_leaves(archive: Archive, topic: str, partition: int, first: int, last: int) -> Iterator[bytes]:
    """Those of the records from one offset to another (inclusive). Raises ArchiveAway, ArchiveDamaged."""
    for file in archive.files(topic, partition):
        if file.end <= first or file.first > last:
            continue
        where = (pc.field("offset") >= first) & (pc.field("offset") <= last)
        for batch in archive.read(file, columns=OF_LEAVES, where=where):
            yield from leaves_of(topic, partition, batch)


def tree_of(archive: Archive, topic: str, partition: int, first: int, last: int) -> Tree:
    """Their tree."""
    tree = Tree()
    tree.extend(archived_leaves(archive, topic, partition, first, last))
    return tree
