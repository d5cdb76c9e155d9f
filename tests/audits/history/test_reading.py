"""One history, wherever its records are when it is read, however long its pages are, and whatever moves meanwhile."""

import asyncio
import re
import tempfile
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audits.history.asked import Asked
from audits.history.events import HistoryEvent
from audits.history.reading import begun, read
from audits.sources import Source, SourceAway
from infra.archive.compacting import compact
from infra.archive.errors import ArchiveDamaged
from infra.cursors import BadCursor
from tests.audits.history.worlds import EVENING, POISON, SECOND, World

Shown = list[tuple[str, int, str | None]]
PLAYBACK = ("playback.events", 0)
IDENTITY = ("identity.events", 0)


def shown(events: list[HistoryEvent]) -> Shown:
    return [(event.topic, event.partition, event.id) for event in events]


async def all_of(world: World, asked: Asked | None = None, *without: Source) -> list[HistoryEvent]:
    async with world.opened(*without) as sources:
        return [event async for event in read(sources, asked or Asked())]


async def paged(world: World, asked: Asked, limit: int, between: Callable[[], None]) -> list[HistoryEvent]:
    """The pages put together; between them something happens."""
    events: list[HistoryEvent] = []
    after = None
    async with world.opened() as sources:
        while True:
            async with begun(sources, asked, after=after) as reading:
                page = [event async for event in reading.events(limit)]
                if not page:
                    return events
                events += page
                after = reading.cursor(page[-1])
            between()


class Lives:
    """Draws what happens in a world."""

    def __init__(self, data: st.DataObject, world: World) -> None:
        self._data = data
        self._world = world

    def _draw(self, least: int, most: int) -> int:
        return self._data.draw(st.integers(least, most))

    def go_on(self) -> None:
        """Some events; then some of them are relayed, again too, and archived, and Kafka gives some up."""
        world = self._world
        for _ in range(self._draw(0, 12)):
            at = EVENING + self._draw(0, 9) * SECOND  # clocks differ, and times are often equal
            match self._draw(0, 5):
                case 0 | 1:
                    world.play(self._draw(0, 1), at, profile=self._data.draw(st.sampled_from(["a-p", "b-p"])))
                case 2 | 3 | 4:
                    world.record(self._draw(0, 1), at, account=self._data.draw(st.sampled_from("ab")))
                case _:
                    topic = self._data.draw(st.sampled_from(["playback.events", "identity.events"]))
                    world.send((topic, self._draw(0, 1)), self._data.draw(st.sampled_from([POISON, None])), b"a-p", at)
        for partition in list(world.log):
            upto = self._draw(world.relayed[partition], len(world.log[partition]))
            world.relay(partition, upto, again=self._draw(0, 2) if upto else 0)
        for place in list(world.kafka):
            upto = self._draw(0, len(world.kafka[place]))
            world.keep(place, upto, give_up=self._draw(0, upto))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_wherever_records_are_the_history_is_the_same(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as directory:
        world = World(Path(directory))
        lives = Lives(data, world)
        for _ in range(data.draw(st.integers(1, 3))):
            lives.go_on()
        assert shown(asyncio.run(all_of(world))) == world.history()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_pages_of_any_length_are_the_whole_that_there_was_when_the_first_was_read(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as directory:
        world = World(Path(directory))
        lives = Lives(data, world)
        lives.go_on()
        lives.go_on()
        asked = data.draw(
            st.sampled_from(
                [Asked(), Asked(accounts=("a",)), Asked(types=("playback.*",)), Asked(since=EVENING + 4 * SECOND)]
            )
        )
        whole = shown(asyncio.run(all_of(world, asked)))
        limit = data.draw(st.integers(1, 7))
        rounds = iter(range(3))

        def between() -> None:
            if next(rounds, None) is not None:
                lives.go_on()

        assert shown(asyncio.run(paged(world, asked, limit, between))) == whole


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_what_is_asked_for_is_what_fits_of_the_whole(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as directory:
        world = World(Path(directory))
        lives = Lives(data, world)
        lives.go_on()
        lives.go_on()
        since, until = sorted(data.draw(st.lists(st.integers(-1, 10), min_size=2, max_size=2, unique=True)))
        whole = asyncio.run(all_of(world))
        cut = Asked(since=EVENING + since * SECOND, until=EVENING + until * SECOND, accounts=("a",))
        assert shown(asyncio.run(all_of(world, cut))) == [
            (event.topic, event.partition, event.id)
            for event in whole
            if cut.since <= event.history_time < cut.until  # type: ignore[operator]
            and (event.envelope.account_id == "a" or event.stream == "identity.account-a")
        ]


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Three reports, of which one is archived, and three events of the log, of which two are relayed."""
    world = World(tmp_path)
    for number in range(3):
        world.play(0, EVENING + 2 * number * SECOND)
        world.record(0, EVENING + (2 * number + 1) * SECOND)
    world.relay(0, 2)
    world.keep(PLAYBACK, 1, give_up=1)
    world.keep(IDENTITY, 1)
    return world


async def test_every_source_has_its_part(world: World) -> None:
    assert [event.source for event in await all_of(world)] == [
        Source.ARCHIVE,
        Source.ARCHIVE,
        Source.KAFKA,
        Source.KAFKA,
        Source.KAFKA,
        Source.LOG,
    ]


async def test_a_record_that_a_relay_wrote_again_is_there_once(world: World) -> None:
    world.relay(0, 3, again=2)
    assert shown(await all_of(world)) == world.history()
    assert len(world.history()) == 6


async def test_what_cannot_be_decoded_is_shown_with_its_place(world: World) -> None:
    world.send(IDENTITY, POISON, b"identity.account-a", EVENING)
    poison = [event for event in await all_of(world) if event.is_undecodable]
    assert [(event.place, event.value, event.type) for event in poison] == [("identity.events:0:@2", POISON, None)]
    of_stream = await all_of(world, Asked(streams=("identity.account-a",)))
    assert sum(event.is_undecodable for event in of_stream) == 1


async def test_a_replay_is_shown_as_one_wherever_it_is(world: World) -> None:
    world.send(PLAYBACK, world.kafka[PLAYBACK][0].value, b"a-p", EVENING, replayed=True)
    for archived in (1, 4):
        world.keep(PLAYBACK, archived)
        events = [event for event in await all_of(world) if event.topic == "playback.events"]
        assert [event.is_replayed for event in events] == [False, False, False, True]
        assert events[0].id == events[3].id


async def test_files_that_a_compaction_takes_away_are_read_where_they_went(world: World) -> None:
    for upto in (2, 3):
        world.keep(PLAYBACK, upto)
    async with world.opened() as sources, begun(sources, Asked(topics=("playback.events",))) as reading:
        listed = world.archive.files(*PLAYBACK)
        compact(world.archive, listed)
        for file in listed:
            world.archive.files_of_store.remove(file.path)
        assert [event.offset async for event in reading.events()] == [0, 1, 2]


async def test_a_file_that_is_gone_is_named(world: World) -> None:
    [file] = world.archive.files(*PLAYBACK)
    world.archive.files_of_store.remove(file.path)
    with pytest.raises(ArchiveDamaged, match=re.escape(file.path)):
        await all_of(world)


async def test_a_source_that_is_away_is_named_and_nothing_is_shown(world: World) -> None:
    world.away.add(Source.KAFKA)
    with pytest.raises(SourceAway, match="kafka") as away:
        await all_of(world)
    assert away.value.source is Source.KAFKA


async def test_what_is_left_out_is_said(world: World) -> None:
    world.away.add(Source.KAFKA)
    async with world.opened(Source.KAFKA) as sources, begun(sources, Asked()) as reading:
        events = [event async for event in reading.events()]
        assert [event.source for event in events] == [Source.ARCHIVE, Source.ARCHIVE, Source.LOG, Source.LOG]
        assert "without Kafka" in reading.lacks[0]


async def test_records_that_nobody_has_are_counted(world: World) -> None:
    world.begins[PLAYBACK] = 2
    async with world.opened() as sources, begun(sources, Asked()) as reading:
        assert reading.lacks == ["playback.events: 1 records are in Kafka no more, and were not archived"]


async def test_what_kafka_gives_up_while_it_is_read_is_read_from_the_archive(world: World) -> None:
    async with world.opened() as sources, begun(sources, Asked()) as reading:
        world.keep(PLAYBACK, 3, give_up=3)
        assert shown([event async for event in reading.events()]) == world.history()


async def test_a_cursor_is_good_for_its_question_alone(world: World) -> None:
    async with world.opened() as sources:
        async with begun(sources, Asked()) as reading, aclosing(reading.events(1)) as events:
            after = reading.cursor(await anext(events))
        for asked, cursor in ((Asked(actors=("editor",)), after), (Asked(), after[:-2]), (Asked(), "nonsense")):
            with pytest.raises(BadCursor):
                async with begun(sources, asked, after=cursor):
                    pass
    async with world.opened(Source.LOG) as sources:
        with pytest.raises(BadCursor):
            async with begun(sources, Asked(), after=after):
                pass
