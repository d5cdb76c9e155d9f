"""Checks the records of a topic partition against the rows of the event log that they were relayed from: bytes, key,
position and order; none missing, none put in. Pure: records and rows in, findings out.

The records may be Kafka's or the archive's. A relay that was killed may have repeated records: the same position with
the same bytes again is no finding (infra/relay.py).
"""

from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from typing import Final, NamedTuple

from audits.verifying.findings import Finding, Kind, Store

RECENT_ROWS: Final = 20_000
"""So far back a record may repeat another, or be found to have changed places with it."""


class Expected(NamedTuple):
    """A row of the log, as a record of it must be."""

    position: int
    event_id: str
    key: bytes
    digest: bytes


class Found(NamedTuple):
    """A record. `position`: as its header says; None for none."""

    offset: int
    position: int | None
    key: bytes | None
    value: bytes | None


class Relayed:
    """The check of one topic partition, batch by batch."""

    def __init__(self, store: Store, topic: str, partition: int) -> None:
        self._store = store
        self._topic = topic
        self._partition = partition
        self._waiting: dict[int, Expected] = {}
        self._skipped: dict[int, Expected] = {}
        self._recent: dict[int, Expected] = {}
        self.last_offset = -1

    def take(self, rows: Iterable[Expected], records: Sequence[Found]) -> Iterator[Finding]:
        """What is wrong with the next records. `rows`: the next of the log, at least up to the highest position of the
        records.
        """
        waiting = self._waiting
        waiting.update((row.position, row) for row in rows)
        for record in records:
            self.last_offset, position, key, value = record
            row = waiting.get(position) if position is not None else None
            if (
                row is not None
                and position == next(iter(waiting))
                and row.key == key
                and value is not None
                and sha256(value).digest() == row.digest
            ):
                del waiting[row.position]
                self._recent[row.position] = row
                continue
            yield from self._odd(record)
        self._forget()

    def settled(self) -> bool:
        """Whether nothing is open: a check may begin anew after the last record."""
        return not self._waiting and not self._skipped

    def missing(self, up_to: int | None = None, *, truncated: bool) -> Iterator[Finding]:
        """Once all records were taken: the rows that came in none. `up_to`: the last position that must have come;
        `truncated`: what is missing after the last record was cut off.
        """
        yield from self._ranges(list(self._skipped.values()), Kind.REMOVED)
        late = [row for row in self._waiting.values() if up_to is None or row.position <= up_to]
        yield from self._ranges(late, Kind.TRUNCATED if truncated else Kind.REMOVED)
        self._skipped.clear()
        self._waiting.clear()

    def _odd(self, record: Found) -> Iterator[Finding]:
        position = record.position
        if position is None:
            yield self._finding(Kind.INSERTED, "record without a position", record, None)
        elif position in self._waiting:
            yield from self._after_a_gap(record, self._waiting[position])
        elif position in self._skipped:
            row = self._skipped.pop(position)
            yield self._finding(Kind.SWAPPED, "order of records", record, row, found="after a later position")
            yield from self._compared(record, row)
        elif position in self._recent:
            yield from self._repeated(record, self._recent[position])
        else:
            yield self._finding(Kind.INSERTED, "record", record, None, found="a position that the log does not have")

    def _after_a_gap(self, record: Found, row: Expected) -> Iterator[Finding]:
        for position in list(self._waiting):
            if position == row.position:
                break
            self._skipped[position] = self._waiting.pop(position)
        del self._waiting[row.position]
        self._recent[row.position] = row
        yield from self._compared(record, row)

    def _repeated(self, record: Found, row: Expected) -> Iterator[Finding]:
        if row.key != record.key or self._digest(record) != row.digest:
            yield self._finding(Kind.INSERTED, "record with a position that was before", record, row)

    def _compared(self, record: Found, row: Expected) -> Iterator[Finding]:
        if record.key != row.key:
            yield self._finding(Kind.FLIPPED, "key", record, row, expected=row.key.decode(), found=repr(record.key))
        if (digest := self._digest(record)) != row.digest:
            other = self._of_digest(digest)
            kind, found = Kind.FLIPPED, digest.hex()
            if other is not None:
                kind, found = Kind.SWAPPED, f"the event of position {other.position}"
            yield self._finding(kind, "value", record, row, expected=row.digest.hex(), found=found)

    def _of_digest(self, digest: bytes) -> Expected | None:
        for rows in (self._waiting, self._skipped, self._recent):
            for row in rows.values():
                if row.digest == digest:
                    return row
        return None

    def _ranges(self, rows: list[Expected], kind: Kind) -> Iterator[Finding]:
        """Rows that are missing, those beside each other in one finding."""
        beside: list[Expected] = []
        for row in [*rows, None]:
            if beside and (row is None or row.position != beside[-1].position + 1):
                yield Finding(
                    kind=kind,
                    store=self._store,
                    what="records of the log",
                    topic=self._topic,
                    partition=self._partition,
                    position=beside[0].position,
                    last=beside[-1].position,
                    event_id=beside[0].event_id,
                    expected=f"{len(beside)} records",
                    found=f"none; the last offset is {self.last_offset}" if kind is Kind.TRUNCATED else "none",
                )
                beside = []
            if row is not None:
                beside.append(row)

    def _forget(self) -> None:
        for position in list(self._recent)[: max(0, len(self._recent) - RECENT_ROWS)]:
            del self._recent[position]

    @staticmethod
    def _digest(record: Found) -> bytes:
        return sha256(record.value or b"").digest()

    def _finding(
        self,
        kind: Kind,
        what: str,
        record: Found,
        row: Expected | None,
        *,
        expected: str | None = None,
        found: str | None = None,
    ) -> Finding:
        return Finding(
            kind=kind,
            store=self._store,
            what=what,
            topic=self._topic,
            partition=self._partition,
            offset=record.offset,
            position=record.position,
            event_id=None if row is None else row.event_id,
            expected=expected,
            found=found,
        )
