"""The first step of a round: decodes slabs once, drops what is applied, and sorts the rest by view."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Generic, TypeVar

import msgspec

from events.envelope import Event, Recorded
from events.registry import REGISTRY, UnknownEventType
from infra.telemetry import log
from projections.errors import LogBehindStore
from projections.letters import Letter, Reason
from projections.retries import Retries, Retry
from projections.slabs import Checkpoint, Partition, Record, Slab, Taken, is_replayed, position_of
from projections.store import Checkpoints
from projections.views import View

V = TypeVar("V", bound=View)  # type: ignore[type-arg]

Decode = Callable[[bytes], Recorded[Event]]


class Intake(Generic[V]):
    """What a round takes of its slabs.

    `after`: the checkpoints when the round is done. `gaps`: partitions whose slab starts after what is applied.
    `letters`: records that cannot be read. `counts`: records taken, by topic. `taken_at`: by topic, when Playhead took
    the first event of each slab, and the last. `retried`: the dead letters that it takes again.
    """

    def __init__(
        self,
        views: Sequence[V],
        before: Checkpoints,
        retries: Retries | None = None,
        decode: Decode = REGISTRY.decode,
        *,
        takes_replays: bool = False,
    ) -> None:
        self._takes_replays = takes_replays
        self.retried: list[Retry] = []
        self._retries = retries or {}
        self.after: dict[Partition, Checkpoint] = dict(before)
        self.gaps: set[Partition] = set()
        self.letters: list[Letter] = []
        self.counts: dict[str, int] = {}
        self.taken_at: dict[str, list[datetime]] = {}
        self._times: list[datetime] = []
        self.by_view: list[tuple[V, list[Taken]]] = [(view, []) for view in views]
        self._takers: Mapping[type[Event], list[list[Taken]]] = _takers(self.by_view)
        self._decode = decode

    def take(self, slab: Slab) -> None:
        """Take what of a slab is not applied; nothing of one that starts after what is."""
        partition = slab.partition
        held = self.after[partition]
        if partition in self.gaps or slab.start > held.next_offset:
            self.gaps.add(partition)
            return
        _check_start(slab)
        position = held.position
        self._times = []
        for record in slab.records:
            if record.offset >= held.next_offset:
                position = self._take_record(partition, record, position)
        if times := self._times:
            self.taken_at.setdefault(partition.topic, []).extend((times[0], times[-1]))
        self.after[partition] = Checkpoint(max(held.next_offset, slab.end), position)

    def _take_record(self, partition: Partition, record: Record, applied: int) -> int:
        """Take a record unless it is applied already, or a replay's; the position that is applied then."""
        if is_replayed(record) and not self._takes_replays:
            return applied if partition.relayed else record.offset  # whatever it says of itself
        try:
            position = position_of(partition, record)
        except ValueError as error:
            self._set_aside(partition, record, Reason.NO_POSITION, str(error))
            return applied
        if position <= applied:
            return applied  # relayed twice
        self.counts[partition.topic] = self.counts.get(partition.topic, 0) + 1
        try:
            recorded = self._decode(record.value or b"")
        except UnknownEventType as error:
            self._set_aside(partition, record, Reason.UNKNOWN_TYPE, str(error))
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            self._set_aside(partition, record, Reason.UNDECODABLE, str(error))
        else:
            self._times.append(recorded.envelope.recordedtime)
            for takers in self._takers.get(type(recorded.data), ()):
                takers.append(Taken(partition, record, recorded))
            if self._retries and (retry := self._retries.get((partition, record.offset))):
                self._take_again(retry)
        return position

    def _take_again(self, retry: Retry) -> None:
        """Give a record that was set aside to the views that did not take it."""
        self.retried.append(retry)
        try:
            recorded = self._decode(retry.record.value or b"")
        except UnknownEventType as error:
            self.letters.append(_letter_again(retry, Reason.UNKNOWN_TYPE, str(error)))
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            self.letters.append(_letter_again(retry, Reason.UNDECODABLE, str(error)))
        else:
            taken = Taken(retry.partition, retry.record, recorded, retry.attempt)
            for view, takers in self.by_view:
                if type(recorded.data) in view.events and (not retry.views or view.name in retry.views):
                    takers.append(taken)

    def _set_aside(self, partition: Partition, record: Record, reason: Reason, detail: str) -> None:
        self.letters.append(Letter(partition, record, reason, detail))


def _letter_again(retry: Retry, reason: Reason, detail: str) -> Letter:
    return Letter(retry.partition, retry.record, reason, detail, retry.views, retry.attempt)


def _takers(by_view: Sequence[tuple[V, list[Taken]]]) -> dict[type[Event], list[list[Taken]]]:
    takers: dict[type[Event], list[list[Taken]]] = {}
    for view, taken in by_view:
        for event_class in view.events:
            takers.setdefault(event_class, []).append(taken)
    return takers


def _check_start(slab: Slab) -> None:
    first = slab.records[0].offset
    if first < slab.start:
        raise LogBehindStore(f"{slab.partition} goes on at {first}, where {slab.start} was to follow")
    if first > slab.start:
        log.warning("records are gone from Kafka", **slab.partition._asdict(), first=slab.start, until=first)
