"""Checkpoints: what the archive and the log held at a time, signed, each chained to the one before. What was before one
cannot be changed, removed or cut off unseen, whoever can write to every store but has not the key.
"""

from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Final

import msgspec

from audits.verifying.findings import Finding, Kind, Store
from audits.verifying.keys import PublicKey, SigningKeys
from audits.verifying.signed import NotSigned, opened, sign, split
from infra.archive.files import Files

DIRECTORY: Final = "checkpoints"
NUMBER_DIGITS: Final = 20


class Range(msgspec.Struct, frozen=True, order=True):
    """The records of a topic partition that the archive got since the checkpoint before: all with an offset from
    `first`, where that one ended, to `last` (inclusive); how many they are, and the Merkle root of their leaves, in
    hex. They are fewer than the offsets where Kafka had lost some before they could be archived.
    """

    topic: str
    partition: int
    first: int
    last: int
    size: int
    root: str


class Head(msgspec.Struct, frozen=True, order=True):
    """Where a partition of the event log ended, and its hash there, in hex."""

    partition: int
    position: int
    hash: str


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """What is signed. Numbers count from 1; `previous`: SHA-256 of the whole document before, in hex. `ends`: topic,
    partition, and the offset after the last that this or any before it holds.
    """

    number: int
    at: datetime
    previous: str | None
    ranges: tuple[Range, ...]
    heads: tuple[Head, ...]
    ends: tuple[tuple[str, int, int], ...]


class Stored(msgspec.Struct, frozen=True):
    """A checkpoint with its document."""

    checkpoint: Checkpoint
    document: bytes

    @property
    def digest(self) -> str:
        """What the next one names it by."""
        return sha256(self.document).hexdigest()


def path_of(number: int) -> str:
    """Where a checkpoint lies in the archive."""
    return f"{DIRECTORY}/{number:0{NUMBER_DIGITS}d}.json"


def numbers(files: Files) -> list[int]:
    """The numbers of those that are there, in order. Raises ArchiveAway."""
    names = [path.rpartition("/")[2].removesuffix(".json") for path in files.names(DIRECTORY)]
    return sorted(int(name) for name in names if len(name) == NUMBER_DIGITS and name.isdigit())


def read(files: Files, number: int) -> Stored:
    """A checkpoint, unverified. Raises FileNotFoundError, ArchiveAway, NotSigned for what is none."""
    document = files.read(path_of(number))
    content, _ = split(document)
    return Stored(_decoded(content), document)


def write(files: Files, keys: SigningKeys, checkpoint: Checkpoint) -> Stored | None:
    """Sign and store it; None if there is one of its number. Raises ArchiveAway."""
    document = sign(msgspec.json.encode(checkpoint), keys)
    keys.publish(files)
    if not files.create(path_of(checkpoint.number), document):
        return None
    keys.note_newest(checkpoint.number)
    return Stored(checkpoint, document)


def reached(checkpoint: Checkpoint | None) -> dict[tuple[str, int], int]:
    """How far each partition is held by a checkpoint and those before it: the offset after the last."""
    return {} if checkpoint is None else {(topic, partition): end for topic, partition, end in checkpoint.ends}


def examine(files: Files, trusted: Mapping[str, PublicKey], newest: int = 0) -> tuple[list[Checkpoint], list[Finding]]:
    """The checkpoints whose signatures hold, in order, and what is wrong with their chain. `newest`: the number of one
    that is known to have been made. Raises ArchiveAway.
    """
    good, found = list[Checkpoint](), list[Finding]()
    held = dict[tuple[str, int], int]()
    expected, digest, whole = 1, None, True
    for number in numbers(files):
        if number > expected:
            found.append(_missing(expected, number - 1))
            whole = False
        document = files.read(path_of(number))
        try:
            checkpoint = _decoded(opened(document, trusted))
        except NotSigned as error:
            found.append(_wrong(Kind.FORGED, "signature", number, found=str(error)))
            expected, digest, whole = number + 1, None, False
            continue
        if checkpoint.number != number:
            told = f"the checkpoint of number {checkpoint.number}"
            found.append(_wrong(Kind.REPLACED, "checkpoint", number, expected=path_of(number), found=told))
        elif whole and checkpoint.previous != digest:
            found.append(_wrong(Kind.REPLACED, "chain", number, expected=checkpoint.previous, found=digest))
        found += _gaps(checkpoint, held) if whole else ()
        held = reached(checkpoint)
        good.append(checkpoint)
        expected, digest, whole = number + 1, sha256(document).hexdigest(), True
    if newest >= expected:
        found.append(_missing(expected, newest, Kind.TRUNCATED))
    return good, found


def _gaps(checkpoint: Checkpoint, held: Mapping[tuple[str, int], int]) -> list[Finding]:
    """Ranges that do not go on where those before ended."""
    return [
        Finding(
            kind=Kind.REMOVED if each.first > begins else Kind.REPEATED,
            store=Store.CHECKPOINTS,
            what="range",
            topic=each.topic,
            partition=each.partition,
            offset=each.first,
            file=path_of(checkpoint.number),
            expected=f"offset {begins}",
            found=f"offset {each.first}",
        )
        for each in checkpoint.ranges
        if each.first != (begins := held.get((each.topic, each.partition), 0))
    ]


def _missing(first: int, last: int, kind: Kind = Kind.REMOVED) -> Finding:
    what = f"checkpoints {first} to {last}" if last > first else f"checkpoint {first}"
    return _wrong(kind, what, first)


def _wrong(kind: Kind, what: str, number: int, *, expected: str | None = None, found: str | None = None) -> Finding:
    return Finding(kind=kind, store=Store.CHECKPOINTS, what=what, file=path_of(number), expected=expected, found=found)


def _decoded(content: bytes) -> Checkpoint:
    try:
        return msgspec.json.decode(content, type=Checkpoint)
    except (msgspec.MsgspecError, ValueError) as error:
        raise NotSigned(f"is no checkpoint ({error})") from error
