"""The engine, on a store in memory: exactly once, whatever comes twice, late, with holes, or unreadable."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from prometheus_client import REGISTRY

from events import playback as p
from events.envelope import Event, Recorded
from events.playback import PlaybackEvent
from events.registry import REGISTRY as REGISTRY_OF_EVENTS
from events.registry import members
from events.topics import PLAYBACK
from infra.clock import Clock, utc_now
from projections.catalog.catalog_titles import CatalogTitles
from projections.engine import Engine
from projections.errors import LogBehindStore, RecordRefused, StoreEmptied
from projections.operations.dead_letters import DeadLetters
from projections.playback.playback_sessions import PlaybackSessions
from projections.slabs import Checkpoint, Partition, Slab
from projections.stores.memory import AnyView, MemoryStore
from projections.views import KeyedView
from tests.builders import EVENING, movie_published, record_dead_lettered, reported, session
from tests.projections.folds import CATALOG_0, PLAYBACK_0, FakeLetters, record, slab

PLAYBACK_1 = Partition("playback.events", 1)
LETTERS_0 = Partition("playback.events.dlq", 0)


class Tally(msgspec.Struct, frozen=True):
    """How many events a session had."""

    session_id: str
    events: int


class Tallies(KeyedView[Tally, str]):
    """n = n + 1: right only if each record is applied exactly once. `refuses`: a seq that its fold raises on."""

    name = "tallies"
    row = Tally
    topics = (PLAYBACK,)
    events = members(PlaybackEvent)

    def __init__(self, name: str = "tallies", refuses: int | None = None) -> None:
        self.name = name
        self._refuses = refuses

    def key(self, recorded: Recorded[Event]) -> str:
        event = recorded.data
        assert isinstance(event, p.PlaybackStarted | p.Reported)
        return event.session.session_id

    def project(self, row: Tally | None, recorded: Recorded[Event]) -> Tally:
        event = recorded.data
        assert isinstance(event, p.Reported)
        if event.report.seq == self._refuses:
            raise ZeroDivisionError("a fault in the fold")
        return Tally(event.session.session_id, (row.events if row else 0) + 1)


class RefusingStore(MemoryStore):
    """Refuses rows of a view as a database refuses data."""

    def __init__(self, refuses: Callable[[str, Any], bool]) -> None:
        super().__init__()
        self._refuses = refuses

    async def save(self, view: KeyedView[Any, Any], changed: Any) -> int:
        for row, _ in changed.values():
            if self._refuses(view.name, row):
                raise RecordRefused(view.name, "no such text")
        return await super().save(view, changed)


class Running:
    """An engine and what is around it."""

    def __init__(
        self, views: Sequence[AnyView] | None = None, store: MemoryStore | None = None, clock: Clock = utc_now
    ) -> None:
        self.store = store or MemoryStore()
        self.letters = FakeLetters()
        self.engine = Engine[AnyView](self.store, views or [Tallies()], self.letters, clock)
        for partition in (PLAYBACK_0, PLAYBACK_1, CATALOG_0, LETTERS_0):
            self.store.held[partition] = Checkpoint(0, -1)

    async def apply(self, *slabs: Slab) -> Any:
        return await self.engine.apply(slabs)

    def counted(self, view: str = "tallies", session_id: str = "session-1") -> int:
        rows = self.store.rows.get(view, {})
        return rows[session_id].events if session_id in rows else 0


def heartbeats(begin: int, end: int, partition: Partition = PLAYBACK_0, **changes: Any) -> Slab:
    return slab(partition, [record(at, reported(p.Heartbeat, at)) for at in range(begin, end)], **changes)


async def test_records_are_applied_and_the_checkpoint_moves() -> None:
    running = Running()
    await running.apply(heartbeats(0, 5))
    assert running.counted() == 5
    assert running.store.held[PLAYBACK_0] == Checkpoint(5, 4)


async def test_slabs_of_many_partitions_and_topics_share_a_round() -> None:
    running = Running([Tallies(), CatalogTitles()])
    titles = slab(CATALOG_0, [record(0, movie_published("heat"), position=7)])
    await running.apply(heartbeats(0, 2), heartbeats(0, 3, PLAYBACK_1), titles)
    assert (running.store.rounds, running.counted(), list(running.store.rows["catalog_titles"])) == (1, 5, ["heat"])
    assert running.store.held[CATALOG_0] == Checkpoint(1, 7)


async def test_a_redelivered_slab_is_dropped() -> None:
    running = Running()
    await running.apply(heartbeats(0, 5))
    await running.apply(heartbeats(0, 5), heartbeats(3, 8))
    assert (running.counted(), running.store.held[PLAYBACK_0]) == (8, Checkpoint(8, 7))


async def test_a_slab_that_starts_after_the_checkpoint_is_a_gap_and_nothing_of_it_is_applied() -> None:
    running = Running()
    applied = await running.apply(heartbeats(0, 2), heartbeats(4, 6), heartbeats(6, 8), heartbeats(0, 3, PLAYBACK_1))
    assert applied.gaps == {PLAYBACK_0}
    assert (running.counted(), applied.checkpoints[PLAYBACK_0].next_offset) == (5, 2)


async def test_offsets_that_kafka_never_gave_are_no_gap() -> None:
    running = Running()
    applied = await running.apply(heartbeats(0, 2), heartbeats(4, 6, start=2))
    assert (applied.gaps, running.counted(), running.store.held[PLAYBACK_0]) == (frozenset(), 4, Checkpoint(6, 5))


async def test_a_log_that_begins_again_ends_the_process() -> None:
    running = Running()
    await running.apply(heartbeats(0, 5))
    with pytest.raises(LogBehindStore):
        await running.apply(heartbeats(0, 2, start=5))


async def test_a_record_relayed_twice_is_dropped_and_the_offset_moves_on() -> None:
    running = Running([CatalogTitles()])
    relayed = [("a", 11), ("b", 12), ("again", 11)]
    twice = [record(at, movie_published(name), position=place) for at, (name, place) in enumerate(relayed)]
    await running.apply(slab(CATALOG_0, twice))
    assert (set(running.store.rows["catalog_titles"]), running.store.held[CATALOG_0]) == ({"a", "b"}, Checkpoint(3, 12))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{", "undecodable"),
        (b"\xff\xfe", "undecodable"),
        (b"", "undecodable"),
        (None, "undecodable"),
        (b'{"specversion":"1.0"}', "undecodable"),
    ],
)
async def test_an_unreadable_record_is_set_aside_and_its_neighbours_are_applied(
    body: bytes | None, reason: str
) -> None:
    running = Running()
    records = [*heartbeats(0, 2).records, record(2, body), *heartbeats(3, 5).records]
    await running.apply(slab(PLAYBACK_0, records))
    assert (running.letters.reasons, running.counted(), running.store.held[PLAYBACK_0].next_offset) == ([reason], 4, 5)


async def test_an_event_of_an_unknown_type_is_set_aside() -> None:
    running = Running()
    unknown = msgspec.structs.replace(reported(), type="playback.Teleported.v1")
    await running.apply(slab(PLAYBACK_0, [record(0, unknown)]))
    assert [letter.detail for _, letter in running.letters.sent] == ["playback.Teleported.v1"]
    assert running.letters.reasons == ["unknown_type"]


async def test_a_relayed_record_without_a_position_is_set_aside() -> None:
    running = Running([CatalogTitles()])
    await running.apply(slab(CATALOG_0, [record(0, movie_published("a")), record(1, movie_published("b"), position=3)]))
    assert (running.letters.reasons, running.store.held[CATALOG_0]) == (["no_position"], Checkpoint(2, 3))


async def test_a_fold_that_raises_keeps_no_other_view_and_no_other_record_from_being_applied() -> None:
    running = Running([Tallies(), Tallies("faulty", refuses=2)])
    await running.apply(heartbeats(0, 5))
    assert (running.counted(), running.counted("faulty"), running.letters.reasons) == (5, 4, ["fold_failed"])
    assert "faulty: ZeroDivisionError" in running.letters.sent[0][1].detail


async def test_two_views_that_raise_on_a_record_make_one_letter() -> None:
    running = Running([Tallies("one", refuses=2), Tallies("other", refuses=2)])
    await running.apply(heartbeats(0, 5))
    ((_, letter),) = running.letters.sent
    assert "one: " in letter.detail
    assert "other: " in letter.detail


async def test_a_record_that_the_store_refuses_is_found_and_set_aside_alone() -> None:
    store = RefusingStore(lambda view, row: view == "sessions" and "9" in row.session_id)
    running = Running([Tallies("sessions"), Tallies()], store)
    sessions = [reported(of=session(f"session-{number}")) for number in range(16)]
    await running.apply(slab(PLAYBACK_0, [record(at, event) for at, event in enumerate(sessions)]))
    assert [(letter.record.offset, letter.reason) for _, letter in running.letters.sent] == [(9, "store_refused")]
    assert len(store.rows["sessions"]) == 15
    assert len(store.rows["tallies"]) == 16
    assert store.held[PLAYBACK_0] == Checkpoint(16, 15)


async def test_a_letter_that_cannot_be_read_is_not_sent_on() -> None:
    running = Running([DeadLetters()])
    await running.apply(slab(LETTERS_0, [record(0, b"{"), record(1, record_dead_lettered())]))
    assert (running.letters.sent, len(running.store.rows["dead_letters"])) == ([], 1)
    assert running.store.held[LETTERS_0].next_offset == 2


async def test_a_letter_is_safe_before_the_checkpoint_moves_past_its_record() -> None:
    running = Running()

    class NoKafka(FakeLetters):
        async def send(self, projection: str, letters: Any) -> None:
            raise OSError

    running.engine = Engine[AnyView](running.store, [Tallies()], NoKafka())
    with pytest.raises(OSError):
        await running.apply(slab(PLAYBACK_0, [*heartbeats(0, 2).records, record(2, b"{")]))
    assert (running.counted(), running.store.held[PLAYBACK_0].next_offset) == (0, 0)


async def test_a_store_without_its_checkpoints_is_said_to_be_emptied() -> None:
    running = Running()
    running.store.held.clear()
    with pytest.raises(StoreEmptied):
        await running.apply(heartbeats(0, 2))


async def test_an_event_that_no_view_takes_moves_the_checkpoint() -> None:
    running = Running([CatalogTitles()])
    await running.apply(heartbeats(0, 2))
    assert running.store.held[PLAYBACK_0].next_offset == 2


async def test_sessions_count_what_was_reported_whatever_is_delivered_again() -> None:
    running = Running([PlaybackSessions()])
    for begin, end in ((0, 4), (0, 6), (5, 9), (3, 12)):
        await running.apply(heartbeats(begin, end))
    assert running.store.rows["playback_sessions"]["session-1"].event_count == 12


def metric(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


async def test_how_old_events_are_when_they_are_applied_is_measured_by_the_oldest_of_a_batch() -> None:
    running = Running(clock=lambda: EVENING + timedelta(seconds=40))
    place = {"projection": "memory", "topic": "playback.events"}
    before = metric("playhead_projection_freshness_seconds_sum", **place)
    await running.apply(heartbeats(0, 3))
    taken_at = REGISTRY_OF_EVENTS.decode(record(0, reported(p.Heartbeat, 0)).value or b"").envelope.recordedtime
    waited_s = (EVENING + timedelta(seconds=40) - taken_at).total_seconds()
    assert metric("playhead_projection_freshness_seconds_sum", **place) - before == pytest.approx(waited_s)


async def test_when_the_newest_applied_event_was_taken_and_a_checkpoint_moved_is_told() -> None:
    now = EVENING + timedelta(seconds=40)
    running = Running(clock=lambda: now)
    await running.apply(heartbeats(0, 3))
    taken_at = REGISTRY_OF_EVENTS.decode(record(0, reported(p.Heartbeat, 2)).value or b"").envelope.recordedtime
    place = {"projection": "memory", "topic": "playback.events"}
    assert metric("playhead_projection_newest_event_timestamp_seconds", **place) == taken_at.timestamp()
    assert metric("playhead_projection_checkpoint_timestamp_seconds", projection="memory") == now.timestamp()
