"""One history of a real archive, a real Kafka and a real log: each event once, whoever holds it, and while it moves."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from audits.history.asked import Asked
from audits.history.events import HistoryEvent
from audits.history.reading import begun, read
from audits.sources import Source, SourceAway, opened
from events.catalog import SeasonAdded
from events.envelope import Context, Event
from events.identity import AccountRegistered
from events.topics import CATALOG, IDENTITY, PLAYBACK
from events.types import AccountId, ProfileId, SeriesId
from infra.archive.cutting import tail_of, write_messages
from infra.archive.store import Archive
from infra.batches import hash_of
from infra.clock import utc_now
from infra.event_log import EventLog, partition_of
from infra.ids import new_id
from infra.personal_data import MasterKey
from infra.postgres import Pool
from infra.relay import Relay
from infra.settings import Settings, environment_of_child
from playhead.audit_history_work import Wanted, run
from tests.builders import playback_started, session
from tests.integration.projection_workers import eventually, produce

pytestmark = pytest.mark.integration

UNRELAYED = """
    select count(*) from partition_head as head join relay_lease as lease using (partition)
    where head.position > lease.position
"""


class Place(NamedTuple):
    """An installation with an archive of its own, and who writes into it."""

    settings: Settings
    pool: Pool
    log: EventLog

    async def record(self, stream: str, *events: Event, **context: Any) -> None:
        """Append to a stream."""
        told = Context(**{"correlation_id": stream, "principal": "editor", **context})
        async with self.log.open({stream: None}, now=utc_now()) as streams:
            await streams.record({stream: events}, told, b"")

    @asynccontextmanager
    async def relaying(self) -> AsyncIterator[None]:
        """All of the log is on Kafka when the block begins, and nobody relays when it ends."""
        relay = Relay(self.pool, self.settings)
        running = asyncio.create_task(relay.run())
        try:
            await eventually(self._is_relayed)
            yield
        finally:
            relay.stop()
            await running

    async def _is_relayed(self) -> bool:
        return not await self.pool.fetchval(UNRELAYED)

    async def keep(self, topic: str, partition: int) -> None:
        """Archive what Kafka has of a partition."""
        archive, place = Archive.open(self.settings), TopicPartition(topic, partition)
        tail = tail_of(archive, topic, partition)
        consumer = AIOKafkaConsumer(bootstrap_servers=self.settings.kafka_bootstrap, enable_auto_commit=False)
        await consumer.start()
        try:
            consumer.assign([place])
            consumer.seek(place, tail.end)
            end = (await consumer.end_offsets([place]))[place]
            messages: list[Any] = []
            while await consumer.position(place) < end:
                messages += (await consumer.getmany(timeout_ms=500)).get(place, [])
        finally:
            await consumer.stop()
        if messages:
            list(write_messages(archive, messages, tail))


@pytest.fixture
async def place(live: Settings, postgres: Pool, tmp_path: Path) -> Place:
    settings = live.model_copy(update={"archive_url": (tmp_path / "archive").as_uri(), "relay_lease_s": 2.0})
    return Place(settings, postgres, EventLog(postgres, settings))


@pytest.fixture
async def stream(place: Place) -> str:
    """A series with three seasons in the archive, three on Kafka, and three in the log alone."""
    stream = f"catalog.title-{new_id()}"
    for number in range(9):
        if number % 3 == 0 and number:
            async with place.relaying():
                pass
        if number == 3:
            await place.keep(CATALOG.name, partition_of(stream, place.settings.log_partitions))
        await place.record(stream, season(number))
    return stream


def season(number: int) -> SeasonAdded:
    return SeasonAdded(series_id=SeriesId("s"), season_number=number, name="Season")


async def all_of(settings: Settings, asked: Asked, *without: Source) -> list[HistoryEvent]:
    async with opened(settings, without=without) as sources:
        return [event async for event in read(sources, asked)]


def sources_of(events: Sequence[HistoryEvent]) -> list[tuple[int | None, str]]:
    return [(event.sequence, event.source) for event in events]


THREE_EACH = [
    *((n, "archive") for n in (1, 2, 3)),
    *((n, "kafka") for n in (4, 5, 6)),
    *((n, "log") for n in (7, 8, 9)),
]


async def test_each_event_is_there_once_whoever_holds_it(place: Place, stream: str) -> None:
    assert sources_of(await all_of(place.settings, Asked(streams=(stream,)))) == THREE_EACH
    of_all = await all_of(place.settings, Asked(topics=(CATALOG.name,)))
    assert sources_of([event for event in of_all if event.stream == stream]) == THREE_EACH
    assert [event.history_time_us for event in of_all] == sorted(event.history_time_us for event in of_all)
    assert len({event.place for event in of_all}) == len(of_all)


async def test_pages_are_of_one_history_while_events_move_and_come(place: Place, stream: str) -> None:
    asked, after = Asked(topics=(CATALOG.name,), correlation_id=stream), None
    seen: list[HistoryEvent] = []
    for limit in (2, 3, 100):
        async with opened(place.settings) as sources, begun(sources, asked, after=after) as reading:
            page = [event async for event in reading.events(limit)]
            after = reading.cursor(page[-1])
        seen += page
        if limit == 3:
            await place.record(stream, season(10))
            async with place.relaying():
                await place.keep(CATALOG.name, partition_of(stream, place.settings.log_partitions))
    assert sources_of(seen) == [*THREE_EACH[:5], *((number, "archive") for number in (6, 7, 8, 9))]
    assert [event.sequence for event in await all_of(place.settings, asked)] == [*range(1, 11)]


async def test_what_is_away_is_named_and_the_rest_is_had_without_it(place: Place, stream: str) -> None:
    asked, nowhere = Asked(streams=(stream,)), "127.0.0.1:1"
    away: dict[Source, dict[str, object]] = {
        Source.KAFKA: {"kafka_bootstrap": nowhere},
        Source.LOG: {"postgres_dsn": f"postgresql://nobody@{nowhere}/none"},
        Source.ARCHIVE: {"archive_url": "s3://none/archive", "archive_options": {"endpoint_url": f"http://{nowhere}"}},
    }
    for source, change in away.items():
        settings = place.settings.model_copy(update=change)
        with pytest.raises(SourceAway, match=source) as refused:
            await all_of(settings, asked)
        assert refused.value.source is source
        async with opened(settings, without=[source]) as sources, begun(sources, asked) as reading:
            shown = [event.sequence async for event in reading.events()]
            assert [line.split()[0] for line in reading.lacks] == ["without"]
        # What Kafka does not show, the log has; and what the archive has, Kafka has still.
        assert shown == [*range(1, 7 if source is Source.LOG else 10)]


async def test_playback_is_found_by_its_profile_and_what_is_no_event_by_its_key(place: Place) -> None:
    profile, poison = ProfileId(new_id()), f"poison {new_id()}".encode()
    sessions = [session(new_id(), profile_id=profile, account_id=AccountId(f"of-{profile}")) for _ in range(4)]
    started = [playback_started(each) for each in sessions]
    begun_ = [event.__class__(**{**fields(event), "id": new_id()}) for event in started]
    await produce(place.settings, begun_[:2])
    partition = hash_of(profile.encode()) % place.settings.playback_partitions
    await place.keep(PLAYBACK.name, partition)
    await produce(place.settings, [*begun_[2:], poison])
    for asked in (Asked(profiles=(profile,)), Asked(topics=(PLAYBACK.name,), accounts=(f"of-{profile}",))):
        found = await all_of(place.settings, asked)
        assert [(event.stream, event.source) for event in found] == [
            (each.session_id, "archive" if number < 2 else "kafka") for number, each in enumerate(sessions)
        ]
    by_key = await all_of(place.settings, Asked(profiles=("poison",)))
    assert [event.is_undecodable for event in by_key if event.value == poison] == [True]


def fields(event: Any) -> dict[str, Any]:
    return {name: getattr(event, name) for name in event.__struct_fields__}


async def test_what_is_erased_is_shown_as_erased_and_its_bytes_stay(
    place: Place, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    account = AccountId(new_id())
    key, wrapped = MasterKey.load(place.settings).new_person(account)
    await place.pool.execute(
        "insert into person_key (person_id, wrapped, created_at) values ($1, $2, now())", account, wrapped
    )
    await place.record(
        f"identity.account-{account}", AccountRegistered(account_id=account, email=key.seal("a@b.example"))
    )
    wanted = Wanted(
        {"accounts": (account,), "topics": (IDENTITY.name,)}, (None, None, "UTC"), format="jsonl", with_data=True
    )

    async def email(**opening: Any) -> Any:
        assert await asyncio.to_thread(run, place.settings, wanted._replace(**opening)) == 0
        return json.loads(capsysbinary.readouterr().out.splitlines()[-1])["event"]["data"]["email"]

    sealed = await email()
    assert sealed.startswith("p1.")
    assert await email(open_personal="a test") == "a@b.example"
    await place.pool.execute("update person_key set wrapped = null, destroyed_at = now() where person_id = $1", account)
    assert await email(open_personal="a test") == {"erased": True}
    assert await email() == sealed


async def test_the_command_shows_it(place: Place, stream: str) -> None:
    environment = environment_of_child(**_servers(place.settings))
    asked = ("audit", "history", "--stream", stream, "--type", "catalog.*", "--format", "jsonl")
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-m", "playhead", *asked], env=environment, capture_output=True, check=True
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(line["sequence"], line["read_from"]) for line in lines] == THREE_EACH
    assert {line["actor"] for line in lines} == {"editor"}


def _servers(settings: Settings) -> dict[str, object]:
    names = ("state_dir", "kafka_bootstrap", "postgres_dsn", "archive_url")
    return {name: getattr(settings, name) for name in names}
