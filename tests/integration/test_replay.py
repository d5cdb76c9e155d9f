"""`playhead replay` from an archive to a topic of a real Kafka and to an HTTP endpoint."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from audits.replaying import journal
from events import playback as p
from events.envelope import encode
from infra.ids import new_id
from infra.kafka import access
from infra.settings import Settings
from playhead.replay_work import Forced, Wanted, run
from tests.audits.sql.archives import archive_of
from tests.builders import movie_published, playback_started, reported, session
from tests.serving import serving

pytestmark = pytest.mark.integration

SESSIONS = [session(f"session-{number}", profile_id=f"profile-{number}") for number in range(3)]
TOLD = [
    event
    for seq in range(1, 21)
    for of in SESSIONS
    for event in ([playback_started(of)] if seq == 1 else [reported(p.Heartbeat, seq, of=of)])
]


@pytest.fixture
def installation(live: Settings, tmp_path: Path) -> Settings:
    """An installation with an archive of its own, whose history is that alone."""
    archive_of(tmp_path, [*TOLD, movie_published()])
    return live.model_copy(update={"state_dir": tmp_path, "archive_url": None})


@pytest.fixture
async def target(live: Settings) -> AsyncIterator[str]:
    """A topic that nobody reads."""
    topic = f"replays-{new_id()}"
    admin = AIOKafkaAdminClient(**access(live))
    await admin.start()
    await admin.create_topics([NewTopic(topic, num_partitions=2, replication_factor=1)])
    yield topic
    await admin.delete_topics([topic])
    await admin.close()


def wanted(**changes: Any) -> Wanted:
    of_archive = {"which": {"topics": ("playback.events",)}, "without": ("kafka", "log"), "speed": "max"}
    return Wanted(**{**of_archive, **changes})


async def replayed(settings: Settings, asked: Wanted) -> int:
    """The exit status; in a thread, as it has a loop of its own."""
    return await asyncio.to_thread(run, settings, asked)


async def taken(settings: Settings, topic: str) -> list[Any]:
    """What a topic holds."""
    consumer = AIOKafkaConsumer(**access(settings), enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    try:
        places = [TopicPartition(topic, number) for number in range(2)]
        consumer.assign(places)
        ends, found = await consumer.end_offsets(places), list[Any]()
        while len(found) < sum(ends.values()):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                found += records
        return found
    finally:
        await consumer.stop()


async def test_a_slice_goes_to_a_topic_in_order_by_key_and_marked(installation: Settings, target: str) -> None:
    asked = wanted(topic=target, which={"topics": ("playback.events",), "profiles": ("profile-0", "profile-1")})
    assert await replayed(installation, asked) == 0
    records = await taken(installation, target)
    assert len(records) == 40
    for number in range(2):
        key = f"profile-{number}".encode()
        sent = [encode(event) for event in TOLD if event.partitionkey == key.decode()]
        assert [record.value for record in records if record.key == key] == sent
    [noted] = (installation.state_dir / journal.DIRECTORY).glob("*.json")
    marks = {dict(record.headers)["playhead-replay"].decode() for record in records}
    assert marks == {noted.stem}
    assert {dict(record.headers)["content-type"] for record in records} == {b"application/cloudevents+json"}


async def test_nothing_goes_into_a_live_topic_unless_it_is_forced(installation: Settings) -> None:
    for forced in (Forced(), Forced(True), Forced(False, "playback.events")):
        assert await replayed(installation, wanted(topic="playback.events", forced=forced)) == 1
    assert await replayed(installation, wanted(topic="catalog.events", forced=Forced(True, "catalog.events"))) == 1
    assert not (installation.state_dir / journal.DIRECTORY).exists()


async def test_a_topic_that_is_not_there_is_refused(installation: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert await replayed(installation, wanted(topic=f"replays-{new_id()}")) == 1
    assert "has no topic" in capsys.readouterr().err


async def test_an_interrupted_replay_goes_on_where_it_was(
    installation: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    """The endpoint goes away for good after 25 events, and comes back."""
    arrived: list[bytes] = []
    is_away = True

    async def take(request: Request) -> Response:
        if is_away and len(arrived) >= 25:
            return Response(status_code=503)
        arrived.append(await request.body())
        return Response(status_code=204)

    hasty = installation.model_copy(update={"replay_max_tries": 2, "replay_retry_base_s": 0.01})
    async with serving(Starlette(routes=[Route("/", take, methods=["POST"])])) as url:
        asked = wanted(url=f"{url}/")
        assert await replayed(hasty, asked) == 1
        [noted] = (installation.state_dir / journal.DIRECTORY).glob("*.json")
        assert f"--resume {noted.stem}" in capsys.readouterr().err
        is_away = False
        assert await replayed(hasty, Wanted(which={}, resume=noted.stem)) == 0
    assert set(arrived) == {encode(event) for event in TOLD}
    assert len(arrived) <= len(TOLD) + 25
    assert journal.read(noted.stem, hasty).is_done
    assert await replayed(hasty, Wanted(which={}, resume=noted.stem)) == 1
    assert "is done" in capsys.readouterr().err
