"""What is marked as a replay is no fact to a view, whatever topic it comes in."""

from typing import Any

from events import playback as p
from events.envelope import encode
from events.topics import POSITION_HEADER, REPLAY_HEADER
from projections.catalog.catalog_titles import CatalogTitles
from projections.engine import Engine
from projections.slabs import Checkpoint
from projections.stores.memory import AnyView, MemoryStore
from tests.builders import movie_published, reported
from tests.projections.folds import CATALOG_0, PLAYBACK_0, FakeLetters, FakeRecord, record, slab
from tests.projections.test_engine import Tallies

MARK = (REPLAY_HEADER, b"replay-1")


def engine(takes_replays: bool = False) -> tuple[Engine[AnyView], MemoryStore, FakeLetters]:
    store, letters = MemoryStore(), FakeLetters()
    for partition in (PLAYBACK_0, CATALOG_0):
        store.held[partition] = Checkpoint(0, -1)
    views: list[Any] = [Tallies(), CatalogTitles()]
    return Engine[AnyView](store, views, letters, takes_replays=takes_replays), store, letters


def replayed(offset: int, seq: int) -> FakeRecord:
    return FakeRecord(offset, encode(reported(p.Heartbeat, seq)), [("content-type", b"x"), MARK])


async def test_a_replayed_record_is_passed_by_and_its_neighbours_are_not() -> None:
    running, store, letters = engine()
    real = record(2, reported(p.Heartbeat, 2))
    await running.apply([slab(PLAYBACK_0, [replayed(0, 0), replayed(1, 1), real, replayed(3, 3)])])
    assert store.rows["tallies"]["session-1"].events == 1
    assert store.held[PLAYBACK_0] == Checkpoint(4, 3)
    assert letters.sent == []


async def test_a_replayed_record_that_cannot_be_read_is_no_dead_letter() -> None:
    running, store, letters = engine()
    await running.apply([slab(PLAYBACK_0, [FakeRecord(0, b"{", [MARK])])])
    assert (letters.sent, store.held[PLAYBACK_0].next_offset) == ([], 1)


async def test_a_replayed_position_moves_nothing_in_a_relayed_topic() -> None:
    """It may be another partition's: what the relay writes next would be taken for applied."""
    running, store, _ = engine()
    foreign = FakeRecord(0, encode(movie_published("heat")), [(POSITION_HEADER, b"1000"), MARK])
    await running.apply([slab(CATALOG_0, [foreign, record(1, movie_published("dune"), position=1)])])
    assert list(store.rows["catalog_titles"]) == ["dune"]
    assert store.held[CATALOG_0] == Checkpoint(2, 1)


async def test_an_installation_without_anybody_live_may_take_replays_as_facts() -> None:
    running, store, _ = engine(takes_replays=True)
    await running.apply([slab(PLAYBACK_0, [replayed(0, 0), replayed(1, 1)])])
    assert store.rows["tallies"]["session-1"].events == 2
