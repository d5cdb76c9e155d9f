"""A withdrawn title vanishes from continue watching and comes back with it: over a real Redis, filled by the engine."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from events import playback as p
from events.envelope import Envelope, Event
from events.topics import CATALOG, PLAYBACK
from events.types import ProfileId
from infra.ids import new_id
from infra.settings import Settings
from projections.app import redis_views
from projections.engine import Engine
from projections.slabs import Checkpoint, Partition
from projections.stores.redis import RedisStore, RedisView
from tests.builders import movie, movie_published, playback_started, reported, session, title_withdrawn
from tests.integration.query_api_stores import QueryApi, running_query_api, settings_of, viewer
from tests.projections.folds import FakeLetters, record, slab
from tests.servers import Servers

pytestmark = pytest.mark.integration

Apply = Callable[[str, Sequence[Envelope[Event]]], Awaitable[str]]


@pytest.fixture(scope="module")
def settings(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return settings_of(servers, Path(tmp_path_factory.mktemp("withdrawn")))


@pytest.fixture(scope="module")
async def query_api(settings: Settings) -> AsyncIterator[QueryApi]:
    async with running_query_api(settings) as api:
        yield api


@pytest.fixture
async def apply(settings: Settings) -> AsyncIterator[Apply]:
    """Folds events of a topic into the views; the position of the last."""
    store, number, offsets = RedisStore(settings, redis_views(settings)), int(new_id()[-6:], 16), dict[str, int]()
    await store.open()

    async def applied(topic: str, events: Sequence[Envelope[Event]]) -> str:
        partition = Partition(topic, number)
        if topic not in offsets:
            await store.begin({partition: Checkpoint(0, -1)})
        begin = offsets.setdefault(topic, 0)
        engine = Engine[RedisView](store, redis_views(settings), FakeLetters())
        records = [record(at, event, position=at) for at, event in enumerate(events, start=begin)]
        await engine.apply([slab(partition, records)])
        offsets[topic] += len(events)
        return f"{topic}:{number}:{offsets[topic] - 1}"

    yield applied
    await store.close()


async def test_a_withdrawn_title_is_not_offered_until_it_is_back(query_api: QueryApi, apply: Apply) -> None:
    profile_id, film = ProfileId(new_id()), movie_published(new_id())
    film_id = film.data.title_id  # type: ignore[attr-defined]
    kept, gone = (
        session(new_id(), profile_id=profile_id),
        session(new_id(), profile_id=profile_id, title=movie(film_id)),
    )
    for of in (kept, gone):
        watched = reported(p.Heartbeat, 60, of=of, position_ms=600_000)
        await apply(PLAYBACK.name, [playback_started(of), watched])
    both = {kept.title.title_id, film_id}
    for events, offered in (([film], both), ([title_withdrawn(film)], both - {film_id}), ([film], both)):
        position = await apply(CATALOG.name, events)
        path = f"/v1/profiles/{profile_id}/continue-watching"
        for at in (position, None):  # as who withdrew it reads, and as everybody
            found = await query_api.get(path, viewer(profile_id), position=at)
            assert {item["title_id"] for item in found.json()["items"]} == offered
