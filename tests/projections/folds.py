"""Runs views over events as the engine does, in memory, for the tests of every view."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from events.envelope import Envelope, Event, encode
from events.topics import POSITION_HEADER
from projections.engine import Engine
from projections.letters import Letter
from projections.retries import Retry
from projections.slabs import Checkpoint, Partition, Record, Slab
from projections.stores.memory import AnyView, MemoryStore
from projections.views import AggregateView
from tests.builders import recorded

PLAYBACK_0 = Partition("playback.events", 0)
CATALOG_0 = Partition("catalog.events", 0)


class FakeRecord:
    """A Kafka record."""

    def __init__(self, offset: int, value: bytes | None, headers: Sequence[tuple[str, bytes]] = ()) -> None:
        self.offset = offset
        self.key: bytes | None = b"key"
        self.value = value
        self.headers = headers


class FakeLetters:
    """Keeps dead letters."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Letter]] = []
        self.applied_again: list[Retry] = []

    async def send(self, projection: str, letters: Sequence[Letter]) -> None:
        self.sent.extend((projection, letter) for letter in letters)

    async def applied(self, projection: str, retries: Sequence[Retry]) -> None:
        self.applied_again.extend(retries)

    @property
    def reasons(self) -> list[str]:
        return [letter.reason for _, letter in self.sent]


def record(offset: int, event: Envelope[Event] | bytes | None, *, position: int | None = None) -> Record:
    """A record of an event, or of any bytes. `position`: the event log's, in its header."""
    value = encode(event) if isinstance(event, Envelope) else event
    headers = [] if position is None else [(POSITION_HEADER, str(position).encode())]
    return FakeRecord(offset, value, headers)


def slab(partition: Partition, records: Sequence[Record], *, start: int | None = None, epoch: int = 0) -> Slab:
    """Consecutive records as one slab."""
    return Slab(partition, records[0].offset if start is None else start, records, epoch)


def project(view: Any, events: Iterable[Envelope[Event]], row: Any = None) -> Any:
    """The row after events, of a keyed view."""
    for event in events:
        row = view.project(row, recorded(event))
    return row


def feeding(view: AnyView) -> AnyView:
    """The view that takes the events of a view: itself, or the one whose rows it adds up."""
    return view.source() if isinstance(view, AggregateView) else view


async def rows_after(view: AnyView, events: Sequence[Envelope[Event]], splits: Iterable[int] = ()) -> dict[Any, Any]:
    """The rows of a view after events that arrive in slabs, cut before these places."""
    store, letters, fed = MemoryStore([view] if isinstance(view, AggregateView) else ()), FakeLetters(), feeding(view)
    (topic, *_) = fed.topics
    partition = Partition(topic.name, 0)
    store.held[partition] = Checkpoint(0, -1)
    engine = Engine[AnyView](store, [fed], letters)
    records = [record(at, event, position=at + 1) for at, event in enumerate(events)]
    cuts = sorted({0, len(records), *(cut for cut in splits if 0 < cut < len(records))})
    for begin, end in pairwise(cuts):
        await engine.apply([slab(partition, records[begin:end])])
    assert letters.sent == []
    return store.rows.get(view.name, {})
