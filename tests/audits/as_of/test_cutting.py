"""Where a cut falls: at the first record that was taken later, wherever the records are."""

from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from audits.as_of.answering import rows, view_of
from audits.as_of.asking import CutRefused, cut_of, cut_of_both, positions_of, time_of
from audits.as_of.cuts import Cut
from audits.as_of.cutting import ends_of
from audits.as_of.reading import asked_of
from audits.history.events import microseconds_of
from audits.sources import Source, SourceAway
from events.envelope import decode
from events.topics import IDENTITY, PLAYBACK
from infra.positions import Position
from infra.settings import Settings
from projections.app import cassandra_views, postgres_views, redis_views
from projections.slabs import Partition
from projections.views import AggregateView
from tests.audits.history.worlds import EVENING, POISON, SECOND, World

PLAYED: Final = (PLAYBACK.name, 0)
RELAYED: Final = (IDENTITY.name, 0)
MOMENT: Final = timedelta(microseconds=1)
made_up = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
jumps = st.lists(st.sampled_from([SECOND, SECOND, -SECOND, 0 * SECOND, 400 * SECOND]), min_size=1, max_size=12)


@made_up
@given(data=st.data(), moved=jumps)
async def test_a_time_cuts_before_the_first_record_that_was_taken_later(
    data: st.DataObject, moved: list[timedelta]
) -> None:
    with TemporaryDirectory() as directory:
        world, at = World(Path(directory)), EVENING
        for jump in moved:
            at += jump
            world.play(0, at)
            if data.draw(st.booleans()):
                world.send(PLAYED, POISON, b"poison", at)
        count = len(world.kafka[PLAYED])
        archived = data.draw(st.integers(0, count))
        world.keep(PLAYED, archived, give_up=data.draw(st.integers(0, archived)))
        when = data.draw(st.sampled_from([EVENING - SECOND, at, EVENING + 3 * SECOND, at + SECOND]))
        known = [record.history_time_us for record in world.records(PLAYED)]
        later = [offset for offset, time_us in enumerate(known) if time_us > microseconds_of(when)]
        async with world.opened() as sources:
            ends = await ends_of(sources, [PLAYBACK.name], at=when)
        assert ends[Partition(*PLAYED)] == min(later, default=count)


@pytest.mark.parametrize("archived", [0, 2, 6])
async def test_a_position_cuts_after_it_though_it_was_relayed_twice(tmp_path: Path, archived: int) -> None:
    world = World(tmp_path)
    for second in range(5):
        world.record(0, EVENING + second * SECOND)
    world.relay(0, 3)
    world.relay(0, 5, again=2)  # offsets 0 1 2, and 3 4 5 6 of the positions 2 3 4 5
    world.keep(RELAYED, archived)
    async with world.opened() as sources:
        ends = await ends_of(sources, [IDENTITY.name], positions=[Position(IDENTITY.name, 0, 3)])
    assert ends[Partition(*RELAYED)] == 5


async def test_of_a_direct_topic_a_position_is_its_offset_and_what_is_not_named_is_whole(tmp_path: Path) -> None:
    world = World(tmp_path)
    for second in range(4):
        world.play(second % 2, EVENING + second * SECOND)
    async with world.opened() as sources:
        ends = await ends_of(sources, [PLAYBACK.name], positions=[Position(PLAYBACK.name, 1, 0)])
        assert ends == {Partition(PLAYBACK.name, 0): 2, Partition(PLAYBACK.name, 1): 1}
    async with world.opened(Source.KAFKA) as sources:
        with pytest.raises(SourceAway, match="kafka"):
            await ends_of(sources, [PLAYBACK.name], at=EVENING)


@pytest.mark.parametrize("archived", [0, 3])
async def test_rows_as_of_a_time_come_from_archive_and_kafka_as_from_one(tmp_path: Path, archived: int) -> None:
    world = World(tmp_path)
    for second in range(6):
        world.play(0, EVENING + second * SECOND)
        world.play(0, EVENING + second * SECOND, profile="b-p")
    world.keep(PLAYED, archived, give_up=archived)
    view = view_of(world.settings, "continue_watching")
    async with world.opened() as sources:
        found = await rows(sources, view, {"profile_id": "a-p"}, Cut(known_at=EVENING + 2 * SECOND))
        nobody = await rows(sources, view, {"profile_id": "c-p"}, Cut(known_at=EVENING + 2 * SECOND))
    assert [event.place for event in found.events] == [f"playback.events:0:{offset}" for offset in (0, 2, 4)]
    assert len(found.rows) == 1
    assert (nobody.rows, nobody.events) == ((), ())


async def test_a_row_tells_what_was_known_or_what_had_happened(tmp_path: Path) -> None:
    """What a player said of second 1 came in at second 100."""
    world, by = World(tmp_path), EVENING + 2 * SECOND
    world.play(0, EVENING)
    late = replace(
        decode(world.kafka[PLAYED][0].value), id="late", time=EVENING + SECOND, recordedtime=EVENING + 100 * SECOND
    )
    world.send(PLAYED, msgspec.json.encode(late), b"a-p", EVENING + 100 * SECOND)
    view, key = view_of(world.settings, "session_timeline"), {"session_id": "session-of-a-p"}
    async with world.opened() as sources:
        known = await rows(sources, view, key, Cut(known_at=by))
        happened = await rows(sources, view, key, Cut(happened_by=by))
        both = await rows(sources, view, key, Cut(known_at=by, happened_by=by))
    assert [event.id for event in known.events] == [event.id for event in both.events] == ["event-2"]
    assert [event.id for event in happened.events] == ["event-2", "late"]


@pytest.mark.parametrize("view", [*postgres_views(Settings()), *redis_views(Settings()), *cassandra_views(Settings())])
def test_the_history_is_asked_for_the_topics_and_types_of_the_view(view: object) -> None:
    if isinstance(view, AggregateView):
        return
    asked = asked_of(view, {}, Cut(known_at=EVENING))  # type: ignore[arg-type]
    assert asked.until == EVENING + MOMENT
    assert asked.topics and asked.types


@pytest.mark.parametrize(
    "text",
    [
        "yesterday",
        "2026-11-21T21:04:00",
        "21:04",
        "catalog.events:x:1",
        "nothing.here:0:1",
        "catalog.events:0:1," * 1001,
    ],
)
def test_what_is_no_cut_is_refused(text: str) -> None:
    with pytest.raises(CutRefused):
        cut_of(text)


def test_a_cut_is_a_time_or_positions() -> None:
    assert cut_of("2026-11-21T21:04:00+09:00") == Cut(known_at=time_of("2026-11-21T12:04:00Z"))
    assert cut_of("catalog.events:3:17,playback.events:0:9") == Cut(
        positions=(Position("catalog.events", 3, 17), Position("playback.events", 0, 9))
    )
    assert len(positions_of(",".join(f"playback.events:{number}:5" for number in range(100)))) == 100
    assert positions_of("playback.events.dlq:0:1") == (Position("playback.events.dlq", 0, 1),)


def test_what_was_known_at_a_time_is_what_is_meant_unless_something_else_is_said() -> None:
    at = "2026-11-21T12:04:00+00:00"
    assert cut_of_both(None, known_at=at, happened_by=None, positions=()) == Cut(known_at=time_of(at))
    assert cut_of_both(None, known_at=None, happened_by=at, positions=()) == Cut(happened_by=time_of(at))
    assert cut_of_both(None, known_at=at, happened_by=at, positions=()) == Cut(
        known_at=time_of(at), happened_by=time_of(at)
    )
    with pytest.raises(CutRefused, match="say as of when"):
        cut_of_both(None, known_at=None, happened_by=None, positions=())
