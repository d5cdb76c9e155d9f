"""Small installations in memory: a log, what was relayed of it, what players sent, and what of Kafka was archived;
moved on by hand, so that a test knows what the history is.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import OffsetOutOfRangeError
from aiokafka.structs import TopicPartition

from audits.history.events import RELAYED, microseconds_of
from audits.sources import Source, SourceAway, Sources
from events.envelope import Event, encode
from events.identity import ProfilePinSet
from events.playback import Heartbeat
from events.topics import POSITION_HEADER, REPLAY_HEADER
from events.types import AccountId, ProfileId
from infra.archive.records import Record, envelope_of
from infra.archive.store import Archive
from infra.archive.writing import write_file
from infra.postgres import Pool
from infra.settings import Settings
from tests import builders

PARTITIONS = 2
POISON = b"\x00 not an event"
Partition = tuple[str, int]


class World:
    """An installation. Its clock is moved by each event as told, backwards too."""

    def __init__(self, directory: Path) -> None:
        settings = Settings(state_dir=directory, log_partitions=PARTITIONS, playback_partitions=PARTITIONS)
        self.settings = settings.model_copy(update={"history_batch_max_rows": 2})  # so that much lies between two
        self.archive = Archive.open(self.settings)
        self.log: dict[int, list[dict[str, Any]]] = defaultdict(list)
        self.kafka: dict[Partition, list[SimpleNamespace]] = defaultdict(list)
        self.begins: dict[Partition, int] = defaultdict(int)
        self.relayed: dict[int, int] = defaultdict(int)
        self.away: set[Source] = set()
        self._events = 0

    def body(self, event: Event, stream: str, at: datetime, **changes: Any) -> bytes:
        """An envelope's bytes, its id the next number."""
        self._events += 1
        given = {"id": f"event-{self._events}", "correlationid": f"request-{self._events % 5}", **changes}
        return encode(builders.envelope(event, subject=stream, partitionkey=stream, time=at, recordedtime=at, **given))

    def record(self, partition: int, at: datetime, *, account: str = "a", **changes: Any) -> None:
        """Something of an account goes into the log."""
        rows, stream = self.log[partition], f"identity.account-{account}"
        event = ProfilePinSet(account_id=AccountId(account), profile_id=ProfileId(f"{account}-p"))
        body = self.body(event, stream, at, **changes)
        rows.append({"position": len(rows) + 1, "stream_id": stream, "recorded_at": at, "body": body})

    def play(self, partition: int, at: datetime, *, profile: str = "a-p") -> None:
        """A player reports."""
        self._events += 1
        of = builders.session(f"session-of-{profile}", account_id=AccountId(profile[:1]), profile_id=ProfileId(profile))
        envelope = builders.reported(Heartbeat, self._events, of=of)
        body = self.body(envelope.data, of.session_id, at)
        self.send(("playback.events", partition), body, profile.encode(), at)

    def send(
        self,
        to: Partition,
        value: bytes | None,
        key: bytes,
        at: datetime,
        position: int | None = None,
        *,
        replayed: bool = False,
    ) -> None:
        """Kafka takes something."""
        headers: tuple[tuple[str, bytes], ...] = () if position is None else ((POSITION_HEADER, b"%d" % position),)
        headers += ((REPLAY_HEADER, b"replay-1"),) if replayed else ()
        self.kafka[to].append(
            SimpleNamespace(
                topic=to[0],
                partition=to[1],
                offset=len(self.kafka[to]),
                timestamp=microseconds_of(at) // 1000,
                key=key,
                value=value,
                headers=headers,
            )
        )

    def relay(self, partition: int, upto: int, *, again: int = 0) -> None:
        """The log goes to Kafka up to a position, the last `again` of those that are there already once more."""
        for row in self.log[partition][max(self.relayed[partition] - again, 0) : upto]:
            to = (f"{row['stream_id'].partition('.')[0]}.events", partition)
            self.send(to, row["body"], row["stream_id"].encode(), row["recorded_at"], row["position"])
        self.relayed[partition] = max(upto, self.relayed[partition])

    def keep(self, partition: Partition, upto: int, *, give_up: int = 0) -> None:
        """Kafka's records go to the archive up to before an offset, and Kafka gives up those before another."""
        begin = self.archive.end(*partition)
        records = [each for each in self.records(partition) if begin <= each.offset < upto]
        for day in sorted({each.history_time_us // 86_400_000_000 for each in records}):
            write_file(self.archive, [each for each in records if each.history_time_us // 86_400_000_000 == day])
        self.begins[partition] = max(self.begins[partition], min(give_up, self.archive.end(*partition)))

    def records(self, partition: Partition) -> list[Record]:
        """What Kafka was ever sent, in the time of history."""
        records: list[Record] = []
        for each in self.kafka[partition]:
            told = envelope_of(each.value).recordedtime
            time_us = records[-1].history_time_us if records else each.timestamp * 1000
            if told is not None:
                own_us = microseconds_of(told)
                time_us = max(own_us, time_us) if records else own_us
            records.append(Record.of(each, time_us))
        return records

    def history(self) -> list[tuple[str, int, str | None]]:
        """All that there is, in order, reckoned another way: topic, partition, id."""
        whole = []
        for topic, number in sorted({*self.kafka, *(("identity.events", each) for each in self.log)}):
            highest, last_us, index = 0, 0, 0
            for record in self.records((topic, number)):
                position = record.position if topic in RELAYED else None
                last_us = record.history_time_us
                if position is None or position > highest:
                    highest = max(highest, position or 0)
                    whole.append((last_us, topic, number, index, envelope_of(record.value).id))
                    index += 1
            for row in self.log[number] if topic == "identity.events" else ():
                if row["position"] > highest:
                    last_us = max(last_us, microseconds_of(row["recorded_at"]))
                    whole.append((last_us, topic, number, index, envelope_of(row["body"]).id))
                    index += 1
        return [(topic, number, event_id) for _, topic, number, _, event_id in sorted(whole)]

    @asynccontextmanager
    async def opened(self, *without: Source) -> AsyncIterator[Sources]:
        """Its sources, as audits open them."""
        sources = _Sources(self, frozenset(without))
        try:
            yield sources
        finally:
            await sources.close()


class _Sources(Sources):
    """The real thing, with the drivers of Kafka and Postgres replaced."""

    def __init__(self, world: World, left_out: frozenset[Source]) -> None:
        super().__init__(world.settings, left_out)
        self._world = world

    async def log(self) -> "Pool | None":
        if Source.LOG in self.left_out:
            return None
        return cast(Pool, _Log(self._world))

    @asynccontextmanager
    async def consumer(self, **_: Any) -> AsyncIterator[AIOKafkaConsumer | None]:
        if Source.KAFKA in self._world.away and Source.KAFKA not in self.left_out:
            raise SourceAway.of(Source.KAFKA, "away")
        yield None if Source.KAFKA in self.left_out else cast(AIOKafkaConsumer, _Consumer(self._world))


class _Log:
    """What asyncpg answers to the queries of FromLog."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def fetch(self, query: str, *arguments: Any) -> list[dict[str, Any]]:
        if "partition_head" in query:
            return [{"partition": each, "position": len(rows)} for each, rows in self._world.log.items()]
        if "relay_lease" in query:
            return [{"partition": each, "position": position} for each, position in self._world.relayed.items()]
        partition, after, until, context, streams, most = arguments
        rows = [row for row in self._world.log[partition] if after < row["position"] <= until]
        rows = [row for row in rows if row["stream_id"].startswith(context)][:most]
        return [row | {"body": row["body"] if streams is None or row["stream_id"] in streams else None} for row in rows]


class _Consumer:
    """What aiokafka answers to FromKafka."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._at: dict[TopicPartition, int] = {}
        self._client = self
        self._fetcher = SimpleNamespace()

    async def fetch_all_metadata(self) -> "_Consumer":
        return self

    async def set_topics(self, topics: Collection[str]) -> None:
        """Nothing: all are known."""

    def partitions_for_topic(self, topic: str) -> set[int]:
        return {number for held, number in self._world.kafka if held == topic}

    async def beginning_offsets(self, places: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        return {place: self._world.begins[tuple(place)] for place in places}

    async def end_offsets(self, places: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        return {place: len(self._world.kafka[tuple(place)]) for place in places}

    async def offsets_for_times(self, times_ms: Mapping[TopicPartition, int]) -> Mapping[TopicPartition, Any]:
        found = {}
        for place, at_ms in times_ms.items():
            begin = self._world.begins[tuple(place)]
            later = [each for each in self._world.kafka[tuple(place)][begin:] if each.timestamp >= at_ms]
            found[place] = SimpleNamespace(offset=later[0].offset) if later else None
        return found

    def assign(self, places: Collection[TopicPartition]) -> None:
        self._at = dict.fromkeys(places, 0)

    def pause(self, place: TopicPartition) -> None:
        """Nothing: nobody waits."""

    def seek(self, place: TopicPartition, offset: int) -> None:
        self._at[place] = offset

    async def position(self, place: TopicPartition) -> int:
        return self._at[place]

    async def getmany(self, place: TopicPartition, *, timeout_ms: int, max_records: int) -> dict[TopicPartition, Any]:
        at = self._at[place]
        if at < self._world.begins[tuple(place)]:
            raise OffsetOutOfRangeError({place: at})
        found = self._world.kafka[tuple(place)][at : at + max_records]
        self._at[place] = at + len(found)
        return {place: found} if found else {}


EVENING = builders.EVENING
SECOND = timedelta(seconds=1)
