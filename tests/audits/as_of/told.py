"""Events as history gives them: with their places, and by when they were taken."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from hypothesis import strategies as st

from audits.as_of.cuts import Fact
from events.envelope import Envelope, Event
from events.registry import REGISTRY
from infra.positions import Position
from projections.slabs import Partition, Record
from tests.projections.generated.delivering import Histories, Log, log_of


def facts_of(partition: Partition, records: Sequence[Record]) -> Iterator[Fact]:
    """The facts of a partition; history_time never runs backwards."""
    taken_at: datetime | None = None
    for record in records:
        recorded = REGISTRY.decode(record.value or b"")
        told = recorded.envelope.recordedtime
        taken_at = told if taken_at is None else max(taken_at, told)
        yield Fact(Position(*partition, record.offset), record.offset, taken_at, recorded)


def facts(topic: str, events: Iterable[Envelope[Event]]) -> list[Fact]:
    """Events of one partition, in their order."""
    log = log_of({topic: [*events]})
    return [fact for partition, records in log.items() for fact in facts_of(partition, records)]


def cut_off(log: Log, at: datetime) -> Log:
    """What of each partition was taken by a time."""
    return {
        partition: [
            record
            for record, fact in zip(records, facts_of(partition, records), strict=True)
            if fact.history_time <= at
        ]
        for partition, records in log.items()
    }


def times(histories: Histories) -> st.SearchStrategy[datetime]:
    """A time at which something was taken, which is the last moment before what comes next."""
    taken = sorted({event.recordedtime for events in histories.values() for event in events})
    return st.sampled_from(taken)
