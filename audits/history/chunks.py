"""What sources hand over: some records of one partition, side by side; and what is left of them for the answer."""

from collections.abc import Sequence
from typing import NamedTuple

from audits.history.events import HistoryEvent
from audits.sources import Source
from infra.archive.records import Attributes


class Rows(NamedTuple):
    """Records of a partition in its order. `times`: of history, ascending, in microseconds since 1970. `envelopes`:
    what they say, where it was read already. `is_matched`: only those that were asked for are here. `replayed`: which
    are marked as a replay; None: none is.
    """

    source: Source
    offsets: Sequence[int | None]
    positions: Sequence[int | None]
    times: list[int]
    keys: Sequence[bytes | None]
    values: list[bytes | None]
    envelopes: list[Attributes] | None = None
    is_matched: bool = False
    replayed: Sequence[bool] | None = None

    def cut(self, start: int, stop: int) -> "Rows":
        """Those from one place to before another."""
        if start <= 0 and stop >= len(self.times):
            return self
        return self._replace(
            offsets=self.offsets[start:stop],
            positions=self.positions[start:stop],
            times=self.times[start:stop],
            keys=self.keys[start:stop],
            values=self.values[start:stop],
            envelopes=None if self.envelopes is None else self.envelopes[start:stop],
            replayed=None if self.replayed is None else self.replayed[start:stop],
        )

    def only(self, which: list[int]) -> "Rows":
        """Those at some places, in order."""
        if len(which) == len(self.times):
            return self
        return self._replace(
            offsets=[self.offsets[place] for place in which],
            positions=[self.positions[place] for place in which],
            times=[self.times[place] for place in which],
            keys=[self.keys[place] for place in which],
            values=[self.values[place] for place in which],
            envelopes=None if self.envelopes is None else [self.envelopes[place] for place in which],
            replayed=None if self.replayed is None else [self.replayed[place] for place in which],
        )


class Chunk(NamedTuple):
    """Events of one partition, in its order, and the times that they are merged by."""

    times: list[int]
    events: list[HistoryEvent]
