"""A proof that one event is in what a checkpoint signed, for somebody who has only a public key: check_proof.py, which
needs Python and nothing of Playhead.
"""

from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
import pyarrow.compute as pc

from audits.verifying import checkpoints
from audits.verifying.checkpoints import Range, Stored
from audits.verifying.keys import PublicKey
from audits.verifying.leaves import archived_leaves
from audits.verifying.signed import opened, split
from events.topics import TOPICS, Lane
from infra.archive.merkle import leaf, streamed_path, verify_path
from infra.archive.records import Record
from infra.archive.store import Archive
from infra.positions import Position

RELAYED: Final = frozenset(topic.name for topic in TOPICS if topic.lane is Lane.LOG)
CHECKER: Final = Path(__file__).with_name("check_proof.py")


class NotProved(Exception):
    """There is no proof of that; the message says why."""


class Proved(msgspec.Struct, frozen=True, omit_defaults=True):
    """The record, with its bytes as base64, or its leaf instead of them, in hex."""

    topic: str
    partition: int
    offset: int
    position: int | msgspec.UnsetType | None = msgspec.UNSET
    key: str | msgspec.UnsetType = msgspec.UNSET
    value: str | msgspec.UnsetType = msgspec.UNSET
    leaf: str | msgspec.UnsetType = msgspec.UNSET


class Proof(msgspec.Struct, frozen=True):
    """What check_proof.py reads. `checkpoint`: the very text that was signed; `index`: of the leaf among those of the
    checkpoint's range; `path`: its audit path, in hex.
    """

    record: Proved
    index: int
    path: list[str]
    checkpoint: str
    signature: str
    key_id: str


def prove(
    archive: Archive,
    trusted: Mapping[str, PublicKey],
    topic: str,
    partition: int,
    offset: int,
    *,
    leaf_only: bool = False,
) -> Proof:
    """Of the record at an offset. Raises NotProved, NotSigned, ArchiveAway, ArchiveDamaged."""
    record = next(archive.records(topic, partition, first=offset, last=offset), None)
    if record is None:
        raise NotProved(f"the archive does not have offset {offset} of {topic}, partition {partition}, yet")
    stored, held = _holding(archive, topic, partition, offset)
    content, signature = split(stored.document)
    opened(stored.document, trusted)
    index = _index(archive, held, offset)
    path = streamed_path(archived_leaves(archive, topic, partition, held.first, held.last), held.size, index)
    ours = leaf(topic, partition, offset, record.position, record.key, record.value)
    if not verify_path(ours, index, held.size, path, bytes.fromhex(held.root)):
        raise NotProved(f"the archive is not what checkpoint {stored.checkpoint.number} signed: playhead audit verify")
    return Proof(
        record=_shown(record, ours if leaf_only else None),
        index=index,
        path=[each.hex() for each in path],
        checkpoint=content.decode(),
        signature=signature.signature,
        key_id=signature.key_id,
    )


def _shown(record: Record, only: bytes | None) -> Proved:
    place = (record.topic, record.partition, record.offset)
    if only is not None:
        return Proved(*place, leaf=only.hex())
    key, value = (b64encode(each or b"").decode() for each in (record.key, record.value))
    return Proved(*place, position=record.position, key=key, value=value)


def _holding(archive: Archive, topic: str, partition: int, offset: int) -> tuple[Stored, Range]:
    """The checkpoint that has this offset, and its range: found by halving, since their ends only grow."""
    numbers = checkpoints.numbers(archive.files_of_store)
    low, high = 0, len(numbers)
    while low < high:
        middle = (low + high) // 2
        stored = checkpoints.read(archive.files_of_store, numbers[middle])
        if checkpoints.reached(stored.checkpoint).get((topic, partition), 0) > offset:
            high = middle
        else:
            low = middle + 1
    if low == len(numbers):
        raise NotProved("no checkpoint was made since it was archived: `playhead audit checkpoint` makes one")
    stored = checkpoints.read(archive.files_of_store, numbers[low])
    for each in stored.checkpoint.ranges:
        if (each.topic, each.partition) == (topic, partition) and each.first <= offset <= each.last:
            return stored, each
    raise NotProved(f"checkpoint {numbers[low]} has no range of {topic}, partition {partition}")


def _index(archive: Archive, held: Range, offset: int) -> int:
    """How many records of a range are before one."""
    before = 0
    where = (pc.field("offset") >= held.first) & (pc.field("offset") < offset)
    for file in archive.files(held.topic, held.partition):
        if file.end > held.first and file.first < offset:
            before += sum(batch.num_rows for batch in archive.read(file, columns=("offset",), where=where))
    return before


def place_of_event(archive: Archive, event_id: str) -> tuple[str, int, int]:
    """Topic, partition and offset of an event: of the first record that has it. Raises NotProved."""
    return _found(archive, pc.field("id") == event_id, f"an event {event_id}")


def place_of_position(archive: Archive, position: Position) -> tuple[str, int, int]:
    """The same of a place: a position in the event log where the topic is relayed from it, else an offset. Raises
    NotProved.
    """
    if position.topic not in RELAYED:
        return position.topic, position.partition, position.position
    at = (position.topic, position.partition)
    return _found(archive, pc.field("position") == position.position, f"a record of {position}", at)


def _found(
    archive: Archive, where: pc.Expression, what: str, only: tuple[str, int] | None = None
) -> tuple[str, int, int]:
    for topic, partition in archive.partitions() if only is None else [only]:
        for file in archive.files(topic, partition):
            for batch in archive.read(file, columns=("offset",), where=where):
                return topic, partition, batch.column("offset")[0].as_py()
    raise NotProved(f"the archive does not have {what}, yet")
