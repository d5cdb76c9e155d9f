"""How far projections are, as operators read it: GET /v1/projections on real stores and a real Kafka."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from infra.access.permissions import Principal
from infra.clock import utc_now
from infra.ids import new_id
from infra.settings import Settings
from infra.view_lag import Ends
from query_api.projections import ProjectionStates
from tests.builders import playback_started, session
from tests.integration.projection_workers import produce
from tests.integration.query_api_stores import OPERATOR, QueryApi, Stores, migrated_stores, running_query_api, viewer
from tests.servers import Servers

pytestmark = pytest.mark.integration

KNOWN = """
    insert into view_versions (view, version, state, table_name, folds, keeper, records_done, records_total,
                               records_per_s, paused)
    values ($1, 2, 'building', 'none', '{}', 'rebuild', 250, 1000, 50, true)
"""
STORES = ("cassandra", "postgres", "redis")
TOPIC = "playback.events"


@pytest.fixture(scope="module")
async def stores(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stores]:
    async with migrated_stores(servers, tmp_path_factory.mktemp("state")) as opened:
        yield opened


@pytest.fixture
async def api(stores: Stores) -> AsyncIterator[QueryApi]:
    told = stores.settings.model_copy(update={"progress_kept_s": 0.0})
    async with running_query_api(told) as api:
        await api.until_missing()
        yield api


async def ends(settings: Settings) -> dict[int, int]:
    async with Ends(settings) as asked:
        return dict(await asked.of(TOPIC))


async def move(stores: Stores, behind: int) -> None:
    """Have every projection applied all of the topic but so many records of its first partition."""
    for partition, end in (await ends(stores.settings)).items():
        at = max(end - behind, 0) if partition == 0 else end
        await stores.postgres.execute(
            """insert into projection_checkpoint (projection, topic, partition, next_offset, position)
               values ('postgres', $1, $2, $3, $3) on conflict (projection, topic, partition)
               do update set next_offset = excluded.next_offset, updated_at = now()""",
            TOPIC,
            partition,
            at,
        )
        await stores.cassandra.execute(
            """insert into projection_checkpoint (projection, topic, partition, next_offset, position, updated_at)
               values ('cassandra', %s, %s, %s, %s, toTimestamp(now()))""",
            (TOPIC, partition, at, at),
        )
        await stores.redis.hset("projection_checkpoint:redis", f"{TOPIC}:{partition}", f"{at}:{at}")
        moved_at_ms = int(utc_now().timestamp() * 1000)
        await stores.redis.hset("projection_checkpoint:redis:moved", f"{TOPIC}:{partition}", moved_at_ms)


async def read(api: QueryApi, who: Principal = OPERATOR) -> dict[str, dict[str, Any]]:
    """By projection, what is said of the topic, with what is said of the whole."""
    reply = await api.get("/v1/projections", who)
    assert reply.status_code == 200, reply.text
    assert reply.json()["kafka"] is None
    return {
        each["projection"]: {**each, **next(one for one in each["topics"] if one["topic"] == TOPIC)}
        for each in reply.json()["items"]
    }


async def in_partition_0(settings: Settings, count: int) -> None:
    """Produce until the first partition has so many records more."""
    began = (await ends(settings))[0]
    while (await ends(settings))[0] < began + count:
        await produce(settings, [playback_started(session(new_id(), profile_id=new_id())) for _ in range(20)])


async def test_a_projection_that_applied_all_is_fresh(stores: Stores, api: QueryApi) -> None:
    await in_partition_0(stores.settings, 5)
    await move(stores, behind=0)
    shown = await read(api)
    assert set(shown) == set(STORES)
    assert {(each["lag_records"], each["freshness_s"]) for each in shown.values()} == {(0, 0.0)}
    assert all(0 <= each["checkpoint_age_s"] < 60 for each in shown.values())


async def test_what_is_behind_is_as_old_as_the_oldest_record_that_waits(stores: Stores, api: QueryApi) -> None:
    await in_partition_0(stores.settings, 5)
    await move(stores, behind=5)
    shown = await read(api)
    assert {each["lag_records"] for each in shown.values()} == {5}
    assert all(0 < each["freshness_s"] < 60 for each in shown.values())


async def test_what_was_applied_between_two_looks_is_the_pace(stores: Stores, api: QueryApi) -> None:
    await in_partition_0(stores.settings, 5)
    await move(stores, behind=5)
    assert {each["records_per_s"] for each in (await read(api)).values()} == {None}
    await move(stores, behind=0)
    assert all(each["records_per_s"] > 0 for each in (await read(api)).values())


async def test_the_rebuilds_of_a_projection_are_shown_with_it(stores: Stores, api: QueryApi) -> None:
    view = f"view_{new_id()}"
    await stores.postgres.execute(KNOWN, view)
    shown = await read(api)
    assert [each["view"] for each in shown["redis"]["rebuilds"] if each["view"] == view] == []
    [rebuild] = [each for each in shown["postgres"]["rebuilds"] if each["view"] == view]
    await stores.postgres.execute("delete from view_versions where view = $1", view)
    assert rebuild == {
        "view": view,
        "version": 2,
        "state": "building",
        "keeper": "rebuild",
        "records_done": 250,
        "records_total": 1000,
        "lag_records": 750,
        "records_per_s": 50.0,
        "eta_s": 15.0,
        "records_set_aside": 0,
        "waits": "paused",
    }


async def test_open_dead_letters_are_counted_by_projection(stores: Stores, api: QueryApi) -> None:
    before = (await read(api))["redis"]["dead_letters_open"]
    await stores.dead_letter(f"redis/{TOPIC}/0/{new_id()}", projection="redis")
    assert (await read(api))["redis"]["dead_letters_open"] == before + 1


async def test_only_operators_see_it(api: QueryApi) -> None:
    assert (await api.get("/v1/projections", viewer("viewer-1"))).status_code == 403


async def test_without_kafka_the_reply_says_so_and_nobody_knows_the_lag(stores: Stores) -> None:
    await move(stores, behind=0)
    lost = stores.settings.model_copy(update={"kafka_bootstrap": "127.0.0.1:1"})
    async with running_query_api(lost) as api:
        await api.until_missing()
        shown = ProjectionStates.model_validate_json((await api.get("/v1/projections", OPERATOR)).text)
    assert shown.kafka is not None
    assert {(each.ready, each.lag_records, each.freshness_s) for each in shown.items} == {(False, None, None)}
