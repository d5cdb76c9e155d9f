"""Continue watching on real stores: what is left out when it is read, and what is said of what comes next."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from infra.access.permissions import Principal
from infra.clock import utc_now
from infra.ids import new_id
from projections.app import redis_views
from projections.engine import Engine
from projections.slabs import Checkpoint, Partition
from projections.stores.redis import RedisStore
from tests.builders import envelope
from tests.commands.subscription.accounts import PAY, lived, sign_up
from tests.integration.projection_workers import eventually
from tests.integration.query_api_stores import (
    NOW,
    OPERATOR,
    QueryApi,
    Stores,
    running_query_api,
)
from tests.integration.showing import HOME, shown
from tests.projections.folds import FakeLetters, record, slab

pytestmark = pytest.mark.integration

SUBSCRIPTION = Partition("subscription.events", 9_001)


@pytest.fixture(scope="module")
async def query_api(stores: Stores) -> AsyncIterator[QueryApi]:
    looks_each_time = {"playable_titles_checked_s": 0.0, "withdrawn_titles_checked_s": 0.0}
    changes = {"default_territory": HOME, **looks_each_time}
    async with running_query_api(stores.settings.model_copy(update=changes)) as api:
        await api.until_missing()
        yield api


@pytest.fixture
def viewer() -> Principal:
    return Principal(subject="viewer", account_id=new_id(), profile_id=new_id())


async def begun(stores: Stores, of: Principal, title_id: str, updated_ms: int = 1, **fields: object) -> str:
    """A title that the profile is in the middle of."""
    assert of.profile_id is not None
    await stores.continue_watching(of.profile_id, title_id, updated_ms, **fields)
    return title_id


async def film(stores: Stores, *licences: str, **columns: object) -> str:
    title_id = f"film-{new_id()}"
    await stores.title(title_id, **columns)
    for licence in licences:
        await shown(stores.postgres, title_id, licence=licence)
    return title_id


async def items(query_api: QueryApi, who: Principal, query: str = "", of: Principal | None = None) -> list[Any]:
    reply = await query_api.get(f"/v1/profiles/{(of or who).profile_id}/continue-watching{query}", who)
    assert reply.status_code == 200, reply.text
    listed: list[Any] = reply.json()["items"]
    return listed


def ids(rows: list[Any]) -> list[str]:
    return [row["title_id"] for row in rows]


async def test_r6_what_may_not_be_played_is_left_out_and_shown_with_a_reason_to_who_asks(
    stores: Stores, query_api: QueryApi, viewer: Principal
) -> None:
    free = await begun(stores, viewer, await film(stores, "avod"), 9)
    paid = await begun(stores, viewer, await film(stores, "svod"), 8)
    elsewhere = await begun(stores, viewer, await film(stores), 7)
    gone = await begun(stores, viewer, await film(stores, "avod", status="withdrawn"), 6)
    assert ids(await items(query_api, viewer)) == [free]
    reasons = {row["title_id"]: row["unplayable"] for row in await items(query_api, viewer, "?include=unplayable")}
    assert reasons == {free: None, paid: "not_entitled", elsewhere: "not_available", gone: "not_published"}
    assert ids(await items(query_api, OPERATOR, of=viewer)) == [free, paid, elsewhere, gone]


async def test_r6_the_next_episode_is_named_and_dropped_when_it_may_not_be_played(
    stores: Stores, query_api: QueryApi, viewer: Principal
) -> None:
    following = await film(stores, "avod", name="The Second Evening", season_number=1, episode_number=2)
    unrated = await film(stores, "avod", minimum_age=None)
    of_series = {"state": "next_episode", "position_ms": 0, "kind": "episode"}
    await begun(stores, viewer, "first", 2, series_id="one", next_title_id=following, **of_series)
    await begun(stores, viewer, "pilot", 1, series_id="two", next_title_id=unrated, **of_series)
    first, pilot = await items(query_api, viewer)
    assert first["next_title"] == {"name": "The Second Evening", "season_number": 1, "episode_number": 2}
    assert pilot["next_title"]["name"] == unrated.title()
    child = msgspec.structs.replace(viewer, maturity_limit=18)
    assert ids(await items(query_api, child)) == ["first"]


async def catalog_moved(stores: Stores) -> None:
    """The views of the catalog have applied something."""
    await stores.applied("postgres", "catalog.events", int(new_id()[-6:], 16), 1)


async def series(stores: Stores, *licences: str | None, **columns: object) -> list[str]:
    """The episodes of a series, each of a licence; None: it can be played nowhere."""
    series_id = f"series-{new_id()}"
    return [
        await film(
            stores,
            *([licence] if licence else []),
            kind="episode",
            series_id=series_id,
            season_number=1 + number // 3,
            episode_number=1 + number % 3,
            **columns,
        )
        for number, licence in enumerate(licences)
    ]


async def finished(stores: Stores, of: Principal, title_id: str, following: str) -> str:
    """An episode that the profile completed."""
    state: dict[str, Any] = {"state": "next_episode", "position_ms": 0, "kind": "episode", "next_title_id": following}
    return await begun(stores, of, title_id, series_id=f"of-{title_id}", **state)


def following_of(rows: list[Any]) -> list[Any]:
    return [(row["title_id"], row["next_title_id"], row["next_title"]["season_number"]) for row in rows]


async def test_r6_of_the_episodes_that_follow_the_first_that_may_be_played_is_offered(
    stores: Stores, query_api: QueryApi, viewer: Principal
) -> None:
    first, unavailable, _, free, later = await series(stores, "avod", None, "svod", "avod", "avod")
    await finished(stores, viewer, first, unavailable)
    assert following_of(await items(query_api, viewer)) == [(first, free, 2)]
    [row] = await items(query_api, viewer, "?include=unplayable")
    assert (row["next_title_id"], row["unplayable"]) == (free, None)
    await stores.postgres.execute("update catalog_titles set status = 'withdrawn' where title_id = $1", free)
    await catalog_moved(stores)
    assert following_of(await items(query_api, viewer, of=viewer)) == [(first, later, 2)]
    assert following_of(await items(query_api, OPERATOR, of=viewer)) == [(first, unavailable, 1)]


async def test_r6_a_series_whose_later_episodes_are_all_above_the_profile_s_rating_is_dropped(
    stores: Stores, query_api: QueryApi, viewer: Principal
) -> None:
    first, second, _ = await series(stores, "avod", "avod", "avod", minimum_age=15)
    await finished(stores, viewer, first, second)
    child = msgspec.structs.replace(viewer, maturity_limit=12)
    assert await items(query_api, child) == []
    [row] = await items(query_api, child, "?include=unplayable")
    assert (row["next_title_id"], row["unplayable"]) == (second, "above_maturity_limit")
    await stores.postgres.execute("update catalog_titles set minimum_age = 7 where title_id = $1", second)
    await catalog_moved(stores)
    assert following_of(await items(query_api, child)) == [(first, second, 1)]


async def test_r6_an_episode_that_was_withdrawn_is_passed_over_for_the_next(
    stores: Stores, query_api: QueryApi, viewer: Principal
) -> None:
    first, withdrawn, third = await series(stores, "avod", "avod", "avod")
    await finished(stores, viewer, first, withdrawn)
    await stores.redis.hset("catalog_withdrawn:{all}", withdrawn, '1:1:{"withdrawn":true}')
    await stores.applied("redis", "catalog.events", 77, int(new_id()[-6:], 16))
    assert following_of(await items(query_api, viewer, "?include=unplayable&limit=9")) == [(first, third, 1)]


async def test_no_more_later_episodes_are_looked_at_than_settings_say(stores: Stores, viewer: Principal) -> None:
    first, *unavailable, free = await series(stores, "avod", None, None, None, "avod")
    await finished(stores, viewer, first, unavailable[0])
    for looked_at, offered in ((2, []), (3, [(first, free, 2)])):
        changes = {"default_territory": HOME, "playable_next_looked_at": looked_at}
        async with running_query_api(stores.settings.model_copy(update=changes)) as api:
            await api.until_missing()
            assert following_of(await items(api, viewer)) == offered


async def test_a_window_that_opens_or_closes_changes_what_was_replied_before(
    stores: Stores, query_api: QueryApi, viewer: Principal
) -> None:
    closing, opening = [await begun(stores, viewer, await film(stores), at) for at in (2, 1)]
    soon = utc_now() + timedelta(seconds=1)
    for title_id, column in ((closing, "ends_at"), (opening, "starts_at")):
        window = f"insert into catalog_windows (title_id, territory, licence, {column}) values ($1, $2, 'avod', $3)"
        await stores.postgres.execute(window, title_id, HOME, soon)

    async def is_over() -> bool:
        shown = ids(await items(query_api, viewer))
        assert shown in ([closing], [opening])
        return shown == [opening]

    await eventually(is_over)


async def test_a_page_is_filled_with_what_may_be_played(stores: Stores, query_api: QueryApi, viewer: Principal) -> None:
    for number in range(6):
        await begun(stores, viewer, await film(stores, *(["avod"] if number % 2 else [])), number)
    assert [len(await items(query_api, viewer, f"?limit={limit}")) for limit in (1, 2, 3, 9)] == [1, 2, 3, 3]


async def test_what_the_account_holds_counts_as_soon_as_redis_has_it(
    stores: Stores, query_api: QueryApi, viewer: Principal
) -> None:
    paid = await begun(stores, viewer, await film(stores, "svod"))
    assert ids(await items(query_api, viewer)) == []
    views = redis_views(stores.settings)
    store = RedisStore(stores.settings, views)
    await store.open()
    await store.begin({SUBSCRIPTION: Checkpoint(0, -1)})
    events = [
        msgspec.structs.replace(event, account_id=viewer.account_id) for event in lived((sign_up(), NOW), (PAY, NOW))
    ]
    records = [
        record(at, msgspec.structs.replace(envelope(one), time=NOW), position=at) for at, one in enumerate(events)
    ]
    await Engine[Any](store, views, FakeLetters()).apply([slab(SUBSCRIPTION, records)])
    await store.close()
    reply = await query_api.get(
        f"/v1/profiles/{viewer.profile_id}/continue-watching",
        viewer,
        position=f"subscription.events:9001:{len(records) - 1}",
    )
    assert ids(reply.json()["items"]) == [paid]
