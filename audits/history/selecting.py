"""What of a partition's records is shown: each once, of the time that is asked for, after the cursor, and fitting."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import repeat
from operator import lt
from typing import NamedTuple

from audits.history.asked import Asked
from audits.history.chunks import Chunk, Rows
from audits.history.cursors import Bounds, Cursor
from audits.history.events import RELAYED, HistoryEvent, microseconds_of
from audits.history.matching import Matches
from infra.archive.records import envelopes_of


class Span(NamedTuple):
    """The time of history that is asked for, in microseconds since 1970; None is an open end."""

    since_us: int | None
    until_us: int | None

    @classmethod
    def of(cls, asked: Asked) -> "Span":
        """The time of a question."""
        return cls(*(None if each is None else microseconds_of(each) for each in (asked.since, asked.until)))


class Selecting:
    """One partition's. `highest`: the highest position that was seen; a record at it, or before, is one that a relay
    wrote again. `bounds`: records beyond are added since the first page was begun.
    """

    def __init__(
        self,
        topic: str,
        partition: int,
        bounds: Bounds,
        *,
        span: Span,
        matches: Matches | None,
        after: Cursor | None = None,
    ) -> None:
        self.highest = 0
        self.is_relayed = topic in RELAYED
        self._end = bounds.end(topic, partition)
        self._head = bounds.heads.get(partition, 0) if self.is_relayed else 0
        self._topic = topic
        self._partition = partition
        self._matches = matches
        self._after = after
        self._until_us = span.until_us
        self.since_us = _later(span.since_us, None if after is None else after.history_time_us)

    def is_past(self, time_us: int) -> bool:
        """Whether nothing is asked for from this time of history on."""
        return self._until_us is not None and time_us >= self._until_us

    def take(self, rows: Rows) -> Chunk:
        """What is shown of the partition's next records."""
        rows = self._once(rows) if self.is_relayed else rows
        rows = self._within_bounds(rows)
        rows = self._of_time(rows)
        rows = self._after_cursor(rows)
        rows = self._fitting(rows)
        return Chunk(rows.times, self._events(rows))

    def _once(self, rows: Rows) -> Rows:
        positions = rows.positions
        if self._ascends(positions):
            self.highest = positions[-1] or self.highest
            return rows
        kept = []
        for place, position in enumerate(positions):
            if position is None:
                kept.append(place)
            elif position > self.highest:
                self.highest = position
                kept.append(place)
        return rows.only(kept)

    def _ascends(self, positions: Sequence[int | None]) -> bool:
        """Whether all are new, as nearly always."""
        return (
            len(positions) > 0
            and None not in positions
            and (positions[0] or 0) > self.highest
            and all(map(lt, positions, positions[1:]))  # type: ignore[arg-type]  # none is None
        )

    def _within_bounds(self, rows: Rows) -> Rows:
        """The records up to the bounds; of relayed ones, those that were only in the log then are there by position."""
        if not rows.times or (rows.offsets[-1] is not None and rows.offsets[-1] < self._end):
            return rows
        places = zip(rows.offsets, rows.positions if self.is_relayed else repeat(None), strict=False)
        return rows.only([number for number, place in enumerate(places) if self._is_within(*place)])

    def _is_within(self, offset: int | None, position: int | None) -> bool:
        return (offset is not None and offset < self._end) or (position is not None and position <= self._head)

    def _of_time(self, rows: Rows) -> Rows:
        times, end = rows.times, len(rows.times)
        begin = 0 if self.since_us is None else bisect_left(times, self.since_us)
        return rows.cut(begin, end if self._until_us is None else bisect_left(times, self._until_us, begin))

    def _after_cursor(self, rows: Rows) -> Rows:
        after, times = self._after, rows.times
        if after is None or not times:
            return rows
        if not self._holds(after):
            comes_later = (self._topic, self._partition) > (after.topic, after.partition)
            bisect = bisect_left if comes_later else bisect_right
            return rows.cut(bisect(times, after.history_time_us), len(times))
        places = zip(rows.offsets, rows.positions, strict=True)
        return rows.only([number for number, place in enumerate(places) if after.is_before(*place)])

    def _holds(self, after: Cursor) -> bool:
        return (self._topic, self._partition) == (after.topic, after.partition)

    def _fitting(self, rows: Rows) -> Rows:
        matches = self._matches
        if matches is None or rows.is_matched or not rows.times:
            return rows
        envelopes = envelopes_of(rows.values) if rows.envelopes is None else rows.envelopes
        fitting = [place for place, each in enumerate(envelopes) if matches(each, rows.keys[place])]
        return rows._replace(envelopes=envelopes).only(fitting)

    def _events(self, rows: Rows) -> list[HistoryEvent]:
        positions = rows.positions if self.is_relayed else repeat(None)
        values = rows.values if None not in rows.values else [value or b"" for value in rows.values]
        columns = (repeat(rows.source), repeat(self._topic), repeat(self._partition), rows.offsets, positions)
        more: tuple[Iterable[object], ...] = () if rows.envelopes is None else (rows.envelopes,)
        if rows.replayed is not None:
            more = (rows.envelopes or repeat(None), rows.replayed)
        return list(map(HistoryEvent, *columns, rows.times, rows.keys, values, *more))


def _later(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else max(one, other)
