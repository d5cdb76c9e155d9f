"""Moving backfills to where the views read: commands/playback/backfill/moving.py, with a Kafka in memory."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commands.playback.backfill.moving import SLICES_PER_S, Ending, Mover, Pace
from commands.playback.backfill.poison import Record
from events.envelope import encode
from events.operations import RecordDeadLettered
from events.playback import Heartbeat
from events.registry import REGISTRY
from events.topics import BACKFILL, PLAYBACK, dead_letters_of
from infra.positions import Position
from infra.publisher import KafkaUnavailable
from infra.settings import Settings
from tests.builders import movie_published, reported, session

NOW = datetime(2026, 11, 21, tzinfo=UTC)
SETTINGS = Settings(backfill_max_events_per_s=100_000, backfill_lag_poll_s=0.001, retry_after_s=0)
LETTERS = dead_letters_of(BACKFILL.name)


@dataclass(frozen=True)
class Kept:
    """A record in memory."""

    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


def kept(offset: int, value: bytes | None, key: str | None = "profile-1", age: timedelta = timedelta()) -> Kept:
    return Kept(0, offset, int((NOW - age).timestamp() * 1000), None if key is None else key.encode(), value)


def beat(seq: int, profile_id: str = "profile-1") -> bytes:
    return encode(reported(Heartbeat, seq, of=session(f"of-{profile_id}", profile_id=profile_id)))


@dataclass
class Memory:
    """The topic, the views, and where it all goes. `behind`: how often the views say that they are; `away`: how often
    Kafka does not take anything."""

    records: list[Kept]
    behind: int = 0
    away: int = 0
    sent: list[tuple[str, str, bytes]] = field(default_factory=list)
    committed: int = 0

    async def fetch(self, most: int) -> Sequence[Record]:
        return self.records[self.committed : self.committed + most]

    async def commit(self, records: Sequence[Record]) -> None:
        self.committed += len(records)

    def waiting(self) -> int:
        return len(self.records) - self.committed

    async def are_behind(self) -> bool:
        self.behind -= 1
        return self.behind >= 0

    async def publish(self, topic: str, key: str, bodies: Sequence[bytes]) -> Position:
        if self.away:
            self.away -= 1
            raise KafkaUnavailable("away")
        self.sent += [(topic, key, body) for body in bodies]
        return Position(topic, 0, len(self.sent))


def mover(memory: Memory, ending: Ending | None = None) -> Mover:
    return Mover(memory, memory, memory, clock=lambda: NOW, settings=SETTINGS, ending=ending or Ending())


async def test_what_is_moved_has_the_same_bytes_under_the_same_key_in_the_same_order() -> None:
    values = [("profile-1", beat(0)), ("profile-2", beat(0, "profile-2")), ("profile-1", beat(1))]
    memory = Memory([kept(offset, value, key) for offset, (key, value) in enumerate(values)])
    assert await mover(memory).move_slice() == 3
    assert sorted(memory.sent) == sorted((PLAYBACK.name, key, value) for key, value in values)
    assert [body for _, key, body in memory.sent if key == "profile-1"] == [beat(0), beat(1)]
    assert memory.committed == 3


async def test_nothing_is_moved_until_the_views_have_room() -> None:
    memory = Memory([kept(0, beat(0))], behind=50)
    assert await mover(memory).move_slice() == 1
    assert memory.behind < 0


async def test_who_is_told_to_end_while_the_views_are_behind_has_moved_nothing() -> None:
    memory, ending = Memory([kept(0, beat(0))], behind=10**9), Ending()
    moving = asyncio.create_task(mover(memory, ending).move_slice())
    await asyncio.sleep(0.05)
    ending.tell()
    assert await moving == 0
    assert (memory.sent, memory.committed) == ([], 0)


async def test_what_kafka_would_soon_drop_is_moved_however_far_behind_the_views_are() -> None:
    age = timedelta(days=SETTINGS.backfill_retention_days) / 2 + timedelta(minutes=1)
    memory = Memory([kept(0, beat(0), age=age)], behind=10**9)
    assert await mover(memory).move_slice() == 1


async def test_what_kafka_does_not_take_is_tried_until_it_does_and_committed_then() -> None:
    memory = Memory([kept(0, beat(0))], away=5)
    assert await mover(memory).move_slice() == 1
    assert (len(memory.sent), memory.committed) == (1, 1)


async def test_who_is_told_to_end_while_kafka_is_away_commits_nothing() -> None:
    memory, ending = Memory([kept(0, beat(0))], away=10**9), Ending()
    moving = asyncio.create_task(mover(memory, ending).move_slice())
    await asyncio.sleep(0.05)
    ending.tell()
    assert await moving == 0
    assert memory.committed == 0


UNKNOWN = beat(0).replace(b"PlaybackProgressed", b"PlaybackDanced")
POISON = [
    (b"no envelope", "profile-1", "undecodable"),
    (None, "profile-1", "undecodable"),
    (UNKNOWN, "profile-1", "unknown_type"),
    (beat(0), "profile-2", "misplaced"),
    (beat(0), None, "misplaced"),
    (encode(movie_published()), movie_published().partitionkey, "misplaced"),
]


@pytest.mark.parametrize(("value", "key", "reason"), POISON)
async def test_poison_is_set_aside_with_its_reason_and_its_neighbours_are_moved(
    value: bytes | None, key: str | None, reason: str
) -> None:
    memory = Memory([kept(7, beat(0)), kept(8, value, key), kept(9, beat(1))])
    assert await mover(memory).move_slice() == 3
    assert [body for topic, _, body in memory.sent if topic == PLAYBACK.name] == [beat(0), beat(1)]
    [letter] = [REGISTRY.decode(body) for topic, _, body in memory.sent if topic == LETTERS]
    told = letter.data
    assert isinstance(told, RecordDeadLettered)
    assert (told.projection, told.topic, told.offset, told.reason) == ("backfill", BACKFILL.name, 8, reason)
    assert (told.key, told.body) == (None if key is None else key.encode(), value or b"")
    assert letter.envelope.id == "backfill/playback.backfill/0/8"


@given(per_s=st.integers(10, 5_000), slices=st.lists(st.floats(0, 0.3), min_size=1, max_size=100))
def test_no_more_than_the_pace_is_moved_in_any_time_but_for_a_slice(per_s: int, slices: list[float]) -> None:
    """`slices`: how long the moving of each takes by itself."""
    pace, now_s, moved = Pace(per_s), 100.0, 0
    for takes_s in slices:
        now_s += takes_s
        moved += pace.slice
        now_s += pace.pause_s(pace.slice, now_s)
        assert moved <= per_s * (now_s - 100.0) + per_s / SLICES_PER_S + pace.slice
