"""Checks a log partition from row to row: bytes against their digests, digests against the hash chain, columns against
the bytes, positions against each other. Pure: rows in, findings out, and where it stands.

After each finding it is resynchronised: a swap is undone, an inserted row passed over, positions that were counted anew
are counted as before. So one change is one finding, and the next is found too.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Final, NamedTuple

import msgspec

from audits.verifying.findings import Finding, Kind, Store

LOOKAHEAD_ROWS: Final = 16
"""So many rows after one that does not fit tell what was done, if there are as many."""
RENUMBERED_MAX: Final = 8
"""Positions counted anew are recognised where no more rows than this were removed or inserted at once."""


class Row(NamedTuple):
    """A row of the log."""

    position: int
    event_id: str
    stream_id: str
    version: int
    type: str
    recorded_at: datetime
    body: bytes
    digest: bytes
    hash: bytes


class Link(NamedTuple):
    """What the next row is chained to. `hash`: None where it is not known, since the row is missing. `shift`: how many
    rows were put in before here (less than 0: taken out) with all that follow counted anew.
    """

    position: int
    hash: bytes | None
    shift: int = 0


class Held(msgspec.Struct, frozen=True, gc=False):
    """What a body says that columns say too."""

    id: str
    subject: str
    type: str
    recordedtime: datetime
    sequence: int | None = None


decode: Final = msgspec.json.Decoder(Held).decode
UNDECODABLE: Final = (msgspec.MsgspecError, ValueError)


class Chain:
    """The check of one partition, batch by batch."""

    def __init__(self, partition: int, after: Link) -> None:
        self.partition = partition
        self.link = after
        self._place = partition.to_bytes(2, "big")
        self._unmatched: list[tuple[bytes, Row]] = []
        self._passed: list[Row] = []  # the last before the rows in hand

    def examine(self, batch: Sequence[Row], *, last: bool) -> tuple[list[Finding], list[Row]]:
        """What is wrong with the next rows, and those of them that are to come again before what follows: what is wrong
        at the end of a batch is told from the rows after it. `last`: none are. Whatever is unpacked as a row will do.
        """
        if (odd := self._first_odd(batch, 0)) is None:
            self._pass(batch)
            return [], []
        rows, found, at = list(map(Row._make, batch)), list[Finding](), 0
        while odd is not None:
            if not last and odd > 0 and len(rows) - odd < LOOKAHEAD_ROWS:
                self._pass(rows[:odd])
                return found, rows[odd:]
            at = self._diagnose(rows, odd, found)
            odd = self._first_odd(rows, at)
        self._pass(rows)
        return found, []

    def _pass(self, rows: Sequence[Row]) -> None:
        self._passed = [*self._passed, *map(Row._make, rows[-RENUMBERED_MAX - 1 :])][-RENUMBERED_MAX - 1 :]

    def _first_odd(self, rows: Sequence[Row], start: int) -> int | None:
        """The first row that does not fit; the link is then what is before it."""
        position, previous, shift = self.link
        place = self._place
        index = start
        for index in range(start, len(rows)):
            at, event_id, stream_id, version, type_, recorded_at, body, digest, hash_ = rows[index]
            try:
                held = decode(body)
            except UNDECODABLE:
                break
            if (
                at != position + 1
                or previous is None
                or sha256(body).digest() != digest
                or sha256(previous + digest + place + (at - shift).to_bytes(8, "big")).digest() != hash_
                or held.id != event_id
                or held.subject != stream_id
                or held.sequence != version
                or held.type != type_
                or held.recordedtime != recorded_at
            ):
                break
            position, previous = at, hash_
        else:
            self.link = Link(position, previous, shift)
            return None
        self.link = Link(position, previous, shift)
        return index

    def _diagnose(self, rows: list[Row], odd: int, found: list[Finding]) -> int:
        """Say what is wrong with a row, and mend what is needed to go on; the row to go on with."""
        row, (position, previous, shift) = rows[odd], self.link
        if row.position != position + 1:
            found.append(self._missing(position + 1, row.position - 1))
            self.link = Link(row.position - 1, None, shift)
            return odd
        if previous is not None and not self._links(previous, row, shift):
            moved = self._moved(rows, odd, previous, found)
            if moved is not None:
                return moved
        found += self._alone(row, previous, shift)
        self.link = Link(position + 1, self._hash_to_go_on_with(rows, odd, previous), shift)
        return odd + 1

    def _moved(self, rows: list[Row], odd: int, previous: bytes, found: list[Finding]) -> int | None:
        """Whether rows changed places, were put in, or taken out: then that is said, undone, and gone on from."""
        row, shift = rows[odd], self.link.shift
        for other in range(odd + 1, len(rows)):
            mended = self._swapped_back(rows, odd, other, previous)
            if mended:
                found.append(self._finding(Kind.SWAPPED, "events", row, f"with position {rows[other].position}"))
                rows[odd], rows[other] = mended
                return odd
        if (inserted := self._inserted(rows, odd, previous, found)) is not None:
            return inserted
        for more in range(1, RENUMBERED_MAX + 1):
            if odd + 1 < len(rows) and self._links(row.hash, rows[odd + 1], shift - more):
                lost = f"{more} before it, with those after counted anew"
                found.append(self._finding(Kind.REMOVED, "event", row, lost))
                self.link = Link(row.position - 1, None, shift - more)
                return odd
        return None

    def _inserted(self, rows: list[Row], odd: int, previous: bytes, found: list[Finding]) -> int | None:
        """Whether rows were put in here, or, chained as they must be, just before here; the row to go on with."""
        row, shift = rows[odd], self.link.shift
        for more in range(1, min(RENUMBERED_MAX, len(rows) - odd - 1) + 1):
            if self._links(previous, rows[odd + more], shift + more):
                found.extend(self._finding(Kind.INSERTED, "event", each) for each in rows[odd : odd + more])
                self.link = Link(rows[odd + more - 1].position, previous, shift + more)
                return odd + more
        before = [*self._passed, *rows[max(0, odd - RENUMBERED_MAX - 1) : odd]]
        for more in range(1, min(RENUMBERED_MAX, len(before) - 1) + 1):
            if self._links(before[-more - 1].hash, row, shift + more):
                found.extend(self._finding(Kind.INSERTED, "event", each) for each in before[-more:])
                self.link = Link(row.position - 1, before[-more - 1].hash, shift + more)
                return odd
        return None

    def _swapped_back(self, rows: Sequence[Row], first: int, second: int, previous: bytes) -> tuple[Row, Row] | None:
        """The two rows as they were, if they were swapped: with their hashes, or with these left where they were."""
        one, two = rows[first], rows[second]
        shift = self.link.shift
        was_first = two._replace(position=one.position)
        was_second = one._replace(position=two.position)
        for left in (False, True):
            if left:
                was_first, was_second = was_first._replace(hash=one.hash), was_second._replace(hash=two.hash)
            before_second = was_first.hash if second == first + 1 else rows[second - 1].hash
            if self._links(previous, was_first, shift) and self._links(before_second, was_second, shift):
                return was_first, was_second
        return None

    def _alone(self, row: Row, previous: bytes | None, shift: int) -> Iterator[Finding]:
        """What is wrong with a row that is where it was."""
        digest = sha256(row.body).digest()
        linked = previous is None or self._links(previous, row, shift)
        if digest != row.digest and not linked and previous is not None:
            if self._links(previous, row._replace(digest=digest), shift):
                yield self._finding(Kind.FLIPPED, "digest", row, row.digest.hex(), expected=digest.hex())
                return
            yield self._finding(Kind.FLIPPED, "body and digest", row, digest.hex())
        elif digest != row.digest:
            yield self._finding(Kind.FLIPPED, "body", row, digest.hex(), expected=row.digest.hex())
        elif not linked and previous is not None:
            yield self._unlinked(row, previous, shift)
        else:
            yield from self._columns(row)

    def _unlinked(self, row: Row, previous: bytes, shift: int) -> Finding:
        for index, (before, other) in enumerate(self._unmatched):
            there = self._links(before, other._replace(digest=row.digest), shift)
            if there and self._links(previous, row._replace(digest=other.digest), shift):
                del self._unmatched[index]
                return self._finding(Kind.SWAPPED, "events", row, f"with position {other.position}")
        if len(self._unmatched) < LOOKAHEAD_ROWS:
            self._unmatched.append((previous, row))
        what = "body with digest, or hash, or all of the row before"
        return self._finding(Kind.FLIPPED, what, row, row.hash.hex(), expected=self._hash(previous, row, shift).hex())

    def _columns(self, row: Row) -> Iterator[Finding]:
        try:
            held = decode(row.body)
        except UNDECODABLE as error:
            yield self._finding(Kind.FLIPPED, "body, which is no envelope", row, str(error))
            return
        for name, says, column in (
            ("event_id", held.id, row.event_id),
            ("stream_id", held.subject, row.stream_id),
            ("version", held.sequence, row.version),
            ("type", held.type, row.type),
            ("recorded_at", held.recordedtime, row.recorded_at),
        ):
            if says != column:
                yield self._finding(Kind.FLIPPED, f"column {name}", row, str(column), expected=str(says))

    def _hash_to_go_on_with(self, rows: Sequence[Row], at: int, previous: bytes | None) -> bytes:
        """The row's hash; what it must have been, if only the hash was changed and the next row knows the old one."""
        row, shift = rows[at], self.link.shift
        if previous is not None and at + 1 < len(rows) and not self._links(row.hash, rows[at + 1], shift):
            expected = self._hash(previous, row, shift)
            if self._links(expected, rows[at + 1], shift):
                return expected
        return row.hash

    def _links(self, previous: bytes, row: Row, shift: int) -> bool:
        return row.position > shift and self._hash(previous, row, shift) == row.hash

    def _hash(self, previous: bytes, row: Row, shift: int) -> bytes:
        return sha256(previous + row.digest + self._place + (row.position - shift).to_bytes(8, "big")).digest()

    def _missing(self, first: int, last: int) -> Finding:
        return Finding(
            kind=Kind.REMOVED,
            store=Store.LOG,
            what="events",
            partition=self.partition,
            position=first,
            last=last,
            expected=f"{last - first + 1} events",
            found="none",
        )

    def _finding(
        self, kind: Kind, what: str, row: Row, found: str | None = None, *, expected: str | None = None
    ) -> Finding:
        return Finding(
            kind=kind,
            store=Store.LOG,
            what=what,
            partition=self.partition,
            position=row.position,
            event_id=row.event_id,
            found=found,
            expected=expected,
        )
