"""The projector: where it has partitions read from, and what it does when its store is away or was emptied."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple

import pytest

from infra.settings import Settings
from projections.engine import Engine
from projections.errors import LogBehindStore, StoreUnavailable
from projections.past import Past
from projections.projector import Projector
from projections.slabs import Checkpoint, Partition, Record
from projections.store import Checkpoints
from projections.stores.memory import AnyView, MemoryRound, MemoryStore
from tests.projections.folds import PLAYBACK_0, FakeLetters
from tests.projections.test_engine import PLAYBACK_1, Tallies, heartbeats

SETTINGS = Settings(store_retry_max_s=0.02, batch_max_records=100)


class FakeLog:
    """Kafka with one group member: what it was told to read, and what it was told to commit."""

    def __init__(self, *partitions: Partition, first: int = 0, end: int = 1000) -> None:
        self.ours = set(partitions)
        self.first, self.end = first, end
        self.placed: list[tuple[dict[Partition, int], int]] = []
        self.mirrored: dict[Partition, int] = {}

    def assigned(self) -> set[Partition]:
        return self.ours

    async def bounds(self, partitions: Collection[Partition]) -> Mapping[Partition, tuple[int, int]]:
        return dict.fromkeys(partitions, (self.first, self.end))

    async def place(self, offsets: Mapping[Partition, int], epoch: int) -> None:
        self.placed.append((dict(offsets), epoch))

    def highwater(self, partition: Partition) -> int | None:
        return self.end

    async def mirror(self, offsets: Mapping[Partition, int]) -> None:
        self.mirrored.update(offsets)


class AbsentStore(MemoryStore):
    """Is away for a number of rounds."""

    def __init__(self, rounds: int) -> None:
        super().__init__()
        self.absent = rounds

    @asynccontextmanager
    async def round(self) -> AsyncIterator[MemoryRound]:
        self._answer()
        async with super().round() as round_:
            yield round_

    async def checkpoints(self, partitions: Collection[Partition]) -> Checkpoints:
        self._answer()
        return await super().checkpoints(partitions)

    def _answer(self) -> None:
        if self.absent:
            self.absent -= 1
            raise StoreUnavailable("connection refused")


class Span(NamedTuple):
    """A file of an archive."""

    first: int
    last: int


class FakeArchive:
    """Has heartbeats of partitions, from the first one on to before these offsets."""

    def __init__(self, ends: dict[Partition, int]) -> None:
        self.ends = ends

    def files(self, topic: str, partition: int) -> list[Span]:
        end = self.ends.get(Partition(topic, partition), 0)
        return [Span(first, min(first + 9, end - 1)) for first in range(0, end, 10)]

    def records(self, topic: str, partition: int, *, first: int, last: int | None = None) -> Iterator[Record]:
        end = self.ends[Partition(topic, partition)] if last is None else last + 1
        return iter(heartbeats(first, end).records)


class Running:
    """A projector at work on a task of its own."""

    def __init__(
        self,
        log: FakeLog,
        store: MemoryStore | None = None,
        settings: Settings = SETTINGS,
        archive: FakeArchive | None = None,
    ) -> None:
        self.archive = archive or FakeArchive({})
        self.store = store or MemoryStore()
        self.log = log
        engine = Engine[AnyView](self.store, [Tallies()], FakeLetters())
        past = Past(settings, lambda _: self.archive)
        self.projector = Projector[AnyView](self.store, engine, log, settings, past)
        self.task = asyncio.create_task(self.projector.run())

    async def settle(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0.005)

    async def assign(self) -> None:
        self.projector.assign(self.log.ours)
        await self.settle()

    def trouble(self) -> str | None:
        return self.projector.missing().get("memory")

    @property
    def counted(self) -> int:
        rows = self.store.rows.get("tallies", {})
        return rows["session-1"].events if rows else 0


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    started = Running(FakeLog(PLAYBACK_0))
    yield started
    await started.projector.drain()


async def test_without_a_checkpoint_it_begins_at_the_start_of_the_log(running: Running) -> None:
    await running.assign()
    assert running.log.placed == [({PLAYBACK_0: 0}, 1)]
    assert running.store.held[PLAYBACK_0] == Checkpoint(0, -1)


async def test_what_kafka_does_not_hold_any_more_is_applied_from_the_archive_first() -> None:
    running = Running(FakeLog(PLAYBACK_0, first=40), archive=FakeArchive({PLAYBACK_0: 45}))
    await running.assign()
    assert (running.counted, running.log.placed) == (40, [({PLAYBACK_0: 40}, 1)])
    assert running.store.held[PLAYBACK_0] == Checkpoint(40, 39)
    running.projector.put(heartbeats(40, 45, epoch=1))
    await running.settle()
    assert running.counted == 45
    await running.projector.drain()


async def test_a_checkpoint_before_the_start_of_the_log_goes_on_in_the_archive() -> None:
    store = MemoryStore()
    store.held[PLAYBACK_0] = Checkpoint(7, 6)
    running = Running(FakeLog(PLAYBACK_0, first=40), store, archive=FakeArchive({PLAYBACK_0: 60}))
    await running.assign()
    assert (running.counted, running.log.placed) == (33, [({PLAYBACK_0: 40}, 1)])
    await running.projector.drain()


@pytest.mark.parametrize(("held", "missing"), [(None, "offsets 30 to 39"), (39, "offset 39"), (7, "offsets 30 to 39")])
async def test_what_neither_kafka_nor_the_archive_has_is_not_skipped(held: int | None, missing: str) -> None:
    store = MemoryStore()
    if held is not None:
        store.held[PLAYBACK_0] = Checkpoint(held, held - 1)
    running = Running(FakeLog(PLAYBACK_0, first=40), store, archive=FakeArchive({PLAYBACK_0: 30}))
    await running.assign()
    assert running.log.placed == []
    assert f"playback.events/0: {missing}" in (running.trouble() or "")
    running.archive.ends[PLAYBACK_0] = 40  # brought back
    await asyncio.sleep(0.1)
    assert (running.trouble(), running.log.placed) == (None, [({PLAYBACK_0: 40}, 1)])
    await running.projector.drain()


async def test_dead_letters_begin_with_those_that_are_kept() -> None:
    letters = Partition("playback.events.dlq", 0)
    running = Running(FakeLog(letters, first=40))
    await running.assign()
    assert running.log.placed == [({letters: 40}, 1)]
    assert running.store.held[letters] == Checkpoint(40, 39)
    await running.projector.drain()


async def test_what_kafka_gives_up_before_it_was_read_comes_from_the_archive() -> None:
    running = Running(FakeLog(PLAYBACK_0), archive=FakeArchive({PLAYBACK_0: 20}))
    await running.assign()
    running.projector.put(heartbeats(0, 5, epoch=1))
    await running.settle()
    running.log.first = 12
    running.projector.put(heartbeats(12, 15, epoch=1)._replace(start=5))
    await running.settle()
    assert (running.counted, running.log.placed[1:]) == (12, [({PLAYBACK_0: 12}, 2)])
    running.projector.put(heartbeats(12, 15, epoch=2))
    await running.settle()
    assert running.counted == 15
    await running.projector.drain()


async def test_offsets_that_no_record_ever_had_are_passed_over(running: Running) -> None:
    await running.assign()
    running.projector.put(heartbeats(3, 5, epoch=1)._replace(start=0))
    await running.settle()
    assert (running.counted, len(running.log.placed)) == (2, 1)


async def test_it_goes_on_at_the_checkpoint(running: Running) -> None:
    running.store.held[PLAYBACK_0] = Checkpoint(7, 6)
    await running.assign()
    assert running.log.placed == [({PLAYBACK_0: 7}, 1)]


async def test_a_checkpoint_after_the_end_of_the_log_ends_the_process() -> None:
    running = Running(FakeLog(PLAYBACK_0, end=5))
    running.store.held[PLAYBACK_0] = Checkpoint(7, 6)
    await running.assign()
    with pytest.raises(LogBehindStore):
        await running.task


async def test_nothing_is_fetched_before_it_is_placed_or_while_enough_waits(running: Running) -> None:
    assert running.projector.wanted([PLAYBACK_0]) == set()
    await running.assign()
    assert running.projector.wanted([PLAYBACK_0, PLAYBACK_1]) == {PLAYBACK_0}
    running.projector.put(heartbeats(0, 100, epoch=1))
    assert running.projector.wanted([PLAYBACK_0]) == set()
    await running.settle()
    assert running.projector.wanted([PLAYBACK_0]) == {PLAYBACK_0}


async def test_what_arrives_is_applied(running: Running) -> None:
    await running.assign()
    running.projector.put(heartbeats(0, 5, epoch=1))
    running.projector.put(heartbeats(5, 9, epoch=1))
    await running.settle()
    assert (running.counted, running.projector.lag(PLAYBACK_0)) == (9, 991)


async def test_a_slab_of_an_earlier_placement_is_dropped(running: Running) -> None:
    await running.assign()
    await running.assign()
    running.projector.put(heartbeats(0, 5, epoch=1))
    await running.settle()
    assert running.counted == 0


async def test_a_gap_goes_back_to_the_checkpoint(running: Running) -> None:
    await running.assign()
    running.projector.put(heartbeats(0, 5, epoch=1))
    running.projector.put(heartbeats(8, 9, epoch=1))
    await running.settle()
    assert running.log.placed[1:] == [({PLAYBACK_0: 5}, 2)]
    running.projector.put(heartbeats(5, 9, epoch=2))
    await running.settle()
    assert running.counted == 9


async def test_a_store_that_is_away_is_tried_until_it_is_back_and_loses_nothing() -> None:
    store = AbsentStore(2)
    running = Running(FakeLog(PLAYBACK_0), store)
    await running.assign()
    store.absent = 3
    running.projector.put(heartbeats(0, 5, epoch=1))
    await asyncio.sleep(0.01)
    assert running.trouble() == "connection refused"
    await asyncio.sleep(0.2)
    assert (running.counted, running.trouble()) == (5, None)
    await running.projector.drain()


async def test_an_emptied_store_is_filled_again_from_the_start(running: Running) -> None:
    running.log.ours.add(PLAYBACK_1)
    await running.assign()
    running.projector.put(heartbeats(0, 5, epoch=1))
    await running.settle()
    running.store.held.clear()
    running.store.rows.clear()
    running.projector.put(heartbeats(5, 6, epoch=1))
    await running.settle()
    assert running.log.placed[1:] == [({PLAYBACK_0: 0, PLAYBACK_1: 0}, 2)]
    running.projector.put(heartbeats(0, 6, epoch=2))
    await running.settle()
    assert running.counted == 6


async def test_an_idle_projector_notices_an_emptied_store(running: Running) -> None:
    await running.assign()
    running.store.held.clear()
    await running.projector.mirror()
    await running.settle()
    assert len(running.log.placed) == 2


async def test_offsets_are_mirrored_from_the_store(running: Running) -> None:
    await running.assign()
    running.projector.put(heartbeats(0, 5, epoch=1))
    await running.settle()
    await running.projector.mirror()
    assert running.log.mirrored == {PLAYBACK_0: 5}


async def test_draining_ends_the_run_and_mirrors_a_last_time() -> None:
    running = Running(FakeLog(PLAYBACK_0))
    await running.assign()
    running.projector.put(heartbeats(0, 5, epoch=1))
    await asyncio.sleep(0.01)
    await running.projector.drain()
    await running.task
    assert (running.counted, running.log.mirrored) == (5, {PLAYBACK_0: 5})


async def test_draining_does_not_wait_for_a_store_that_is_away() -> None:
    running = Running(FakeLog(PLAYBACK_0), AbsentStore(10_000))
    await running.assign()
    async with asyncio.timeout(1):
        await running.projector.drain()
    await running.task


async def test_a_revoked_partition_is_forgotten(running: Running) -> None:
    await running.assign()
    running.projector.put(heartbeats(0, 5, epoch=1))
    running.projector.revoke()
    await running.settle()
    assert (running.counted, running.projector.wanted([PLAYBACK_0]), running.projector.most_lag) == (0, set(), 0)


async def test_a_member_without_partitions_has_joined(running: Running) -> None:
    assert running.projector.missing() == {"consumer": "not yet part of its group"}
    running.projector.assign(())
    assert running.projector.missing() == {}


async def test_lag_without_progress_is_not_ready() -> None:
    patient = Running(FakeLog(PLAYBACK_0), settings=SETTINGS.model_copy(update={"stuck_after_s": 0.3}))
    await patient.assign()
    assert patient.projector.missing() == {}
    await asyncio.sleep(0.3)
    assert "1000 records behind" in patient.projector.missing()["progress"]
    patient.projector.put(heartbeats(0, 5, epoch=1))
    await patient.settle()
    assert patient.projector.missing() == {}
    await patient.projector.drain()
