"""How records reach views: in slabs cut anywhere, again, under other offsets, and among those of other partitions."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from hypothesis import strategies as st
from msgspec.structs import replace

from events.envelope import Envelope, Event
from events.topics import PLAYBACK
from projections.engine import Engine
from projections.slabs import Checkpoint, Partition, Record, Slab
from projections.stores.memory import AnyView, MemoryStore
from projections.views import AggregateView
from tests.projections.folds import FakeLetters, record, slab

Histories = Mapping[str, Sequence[Envelope[Event]]]
"""Events by topic, in the order that they were produced in."""
Log = Mapping[Partition, Sequence[Record]]
"""What stands in each partition."""
Rows = dict[str, dict[Any, Any]]
"""By view and key."""
REPEATS_MOST: Final = 5


def log_of(histories: Histories) -> Log:
    """The partitions that hold these events: one for each key, so that nothing but the order under a key is kept. An
    event that is there again was relayed again, under its old position, or sent again, under none.
    """
    log: dict[Partition, list[Record]] = {}
    positions: dict[int, int] = {}
    for topic, events in histories.items():
        keys: dict[str, int] = {}
        for event in events:
            partition = Partition(topic, keys.setdefault(event.partitionkey, len(keys)))
            records = log.setdefault(partition, [])
            position = positions.setdefault(id(event), len(records)) if partition.relayed else None
            records.append(record(len(records), event, position=position))
    return log


@st.composite
def told_again(draw: st.DrawFn, topic: str, events: Sequence[Envelope[Event]]) -> list[Envelope[Event]]:
    """The events, some of them twice: relayed again or sent again by a player at any time later, or (letters) produced
    again by a producer that had no answer, which keeps its order.
    """
    places = st.integers(0, max(len(events) - 1, 0))
    pairs = draw(st.lists(st.tuples(places, places), max_size=REPEATS_MOST)) if events else []
    later = topic == PLAYBACK.name or Partition(topic, 0).relayed
    repeats = [(max(pair), min(pair) if later else max(pair)) for pair in pairs]
    return [
        each
        for place, event in enumerate(events)
        for each in (event, *(events[earlier] for at, earlier in repeats if at == place))
    ]


@st.composite
def rounds(draw: st.DrawFn, log: Log) -> list[list[Slab]]:
    """A way in which Kafka may give the records: partition by partition, in slabs that are cut anywhere and may begin
    with what was given before.
    """
    reached = dict.fromkeys(log, 0)
    given: list[list[Slab]] = []
    while left := [partition for partition, until in reached.items() if until < len(log[partition])]:
        partition = draw(st.sampled_from(left))
        begin, count = reached[partition], len(log[partition])
        end = draw(st.sampled_from([begin + 1, count, (begin + count + 1) // 2]))
        again = draw(st.sampled_from([0, 0, 1, begin]))
        given.append([slab(partition, log[partition][max(0, begin - again) : end])])
        reached[partition] = end
    return given


def at_once(log: Log) -> list[list[Slab]]:
    """Everything in one round, a slab for each partition: a replay from the beginning."""
    return [[slab(partition, records) for partition, records in log.items()]] if log else []


def one_by_one(log: Log) -> list[list[Slab]]:
    """Each record in a round of its own."""
    return [[slab(partition, [one])] for partition, records in log.items() for one in records]


async def rows_of(views: Sequence[AnyView], log: Log, given: Iterable[Sequence[Slab]]) -> Rows:
    """The rows of views after rounds, by view; those of an aggregate's source must be among the views."""
    aggregates = [view for view in views if isinstance(view, AggregateView)]
    store, letters = MemoryStore(aggregates), FakeLetters()
    store.held |= {partition: Checkpoint(0, -1) for partition in log}
    engine = Engine[AnyView](store, [view for view in views if not isinstance(view, AggregateView)], letters)
    for slabs in given:
        await engine.apply(slabs)
    assert letters.sent == []
    return {
        view.name: {key: compared(view, row) for key, row in store.rows.get(view.name, {}).items()} for view in views
    }


def compared(view: AnyView, row: Any) -> Any:
    """A row but for what a moment may leave in it: the largest that ever was in an aggregate stays when it is taken
    back (projections/aggregating.py), as versions of views are compared too.
    """
    maxima = view.maxima if isinstance(view, AggregateView) else ()
    return replace(row, **{name: type(getattr(row, name))() for name in maxima}) if maxima else row
