"""An account's running streams, on real stores with rows as the projections write them."""

import asyncio
from datetime import timedelta

import pytest

from infra.access.permissions import Principal
from infra.clock import utc_now
from infra.ids import new_id
from query_api.playback.streams import STREAMS
from query_api.playback.viewers import NOW as VIEWERS_NOW
from tests.integration.query_api_stores import (
    NOW,
    OPERATOR,
    QueryApi,
    Stores,
)

pytestmark = pytest.mark.integration

FIRST_UNUSED_PARTITION = 9_000
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


class Household:
    """An account of its own, what it plays, and a look at its streams."""

    def __init__(self, stores: Stores, query_api: QueryApi) -> None:
        self.account_id = new_id()
        self._stores = stores
        self._query_api = query_api

    async def plays(
        self, name: str, *, heard_ago: timedelta = SECOND, moved_ago: timedelta | None = None, **columns: object
    ) -> None:
        now = utc_now()
        heard_at, moved_at = now - heard_ago, now - (moved_ago or heard_ago)
        row = {"account_id": self.account_id, "last_recorded_at": heard_at, "moved_at": moved_at, **columns}
        await self._stores.session(f"{self.account_id}-{name}", str(row.pop("profile_id", "anna")), **row)

    def member(self, profile_id: str = "anna") -> Principal:
        return Principal(subject=profile_id, account_id=self.account_id, profile_id=profile_id)

    async def streams(self, who: Principal | None = None, *, position: str | None = None) -> list[dict[str, object]]:
        path = f"/v1/accounts/{self.account_id}/streams"
        reply = await self._query_api.get(path, who or self.member(), position=position)
        assert reply.status_code == 200, reply.text
        items: list[dict[str, object]] = reply.json()["items"]
        return items

    async def names(self, who: Principal | None = None) -> list[str]:
        found = await self.streams(who)
        return [str(stream["session_id"]).removeprefix(f"{self.account_id}-") for stream in found]


@pytest.fixture
def house(stores: Stores, query_api: QueryApi) -> Household:
    return Household(stores, query_api)


async def test_a_stream_says_who_plays_what_where_and_since_when(house: Household) -> None:
    await house.plays("tv", device_name="Den", series_name="Harbour", position_ms=61_000)
    (stream,) = await house.streams()
    assert stream == {
        "session_id": f"{house.account_id}-tv",
        "profile_id": "anna",
        "title_id": "t-1",
        "title_name": "A Film",
        "title_kind": "movie",
        "series_name": "Harbour",
        "device_id": "tv-1",
        "device_type": "tv",
        "device_name": "Den",
        "since": NOW.isoformat().replace("+00:00", "Z"),
        "state": "playing",
        "position_ms": 61_000,
        "last_at": NOW.isoformat().replace("+00:00", "Z"),
    }


async def test_the_streams_of_all_profiles_are_listed_the_newest_first(house: Household) -> None:
    await house.plays("first", started_at=NOW - MINUTE)
    await house.plays("second", profile_id="ben")
    assert await house.names() == ["second", "first"]
    assert await house.names(house.member("ben")) == ["second", "first"]
    assert await house.names(OPERATOR) == ["second", "first"]


@pytest.mark.parametrize("state", ["starting", "playing", "buffering"])
async def test_a_stream_is_running_for_two_leases_after_its_last_event(house: Household, state: str) -> None:
    await house.plays("now", state=state, heard_ago=50 * SECOND)
    await house.plays("gone", state=state, heard_ago=70 * SECOND)
    assert await house.names() == ["now"]


async def test_a_paused_stream_is_running_for_as_long_as_it_keeps_its_place(house: Household) -> None:
    await house.plays("for-a-while", state="paused", heard_ago=20 * MINUTE, moved_ago=29 * MINUTE)
    await house.plays("for-long", state="paused", heard_ago=SECOND, moved_ago=31 * MINUTE)
    assert await house.names() == ["for-a-while"]


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ("ended", "stopped"),
        ("ended", "completed"),
        ("ended", "error"),
        ("expired", "expired"),
        ("terminated", "terminated"),
    ],
)
async def test_what_is_over_does_not_run(house: Household, state: str, reason: str) -> None:
    await house.plays("over", state=state, exit_reason=reason, ended_at=NOW)
    assert await house.names() == []


async def test_a_download_takes_no_stream(house: Household) -> None:
    await house.plays("on-a-plane", offline=True)
    assert await house.names() == []


async def test_what_another_account_plays_is_not_seen(house: Household, query_api: QueryApi) -> None:
    await house.plays("theirs", account_id="somebody-else")
    assert await house.names() == []
    stranger = Principal(subject="eve", account_id="somebody-else", profile_id="eve")
    reply = await query_api.get(f"/v1/accounts/{house.account_id}/streams", who=stranger)
    assert (reply.status_code, reply.json()["type"].rpartition("/")[2]) == (403, "not-your-account")


async def test_a_caller_reads_the_start_that_they_were_just_answered(
    stores: Stores, query_api: QueryApi, house: Household
) -> None:
    partition = FIRST_UNUSED_PARTITION + int(new_id()[-6:], 16)
    path, position = f"/v1/accounts/{house.account_id}/streams", f"playback.events:{partition}:7"
    assert (await query_api.get(path, who=house.member(), position=position)).status_code == 503
    asked = asyncio.create_task(house.streams(position=position))
    await asyncio.sleep(0.1)
    await house.plays("just-now")
    await stores.applied("postgres", "playback.events", partition, 7)
    assert [stream["state"] for stream in await asked] == ["playing"]


async def test_open_sessions_are_found_by_an_index_that_no_report_changes(stores: Stores, house: Household) -> None:
    """An update that changes no indexed column stays in its page (HOT)."""
    await house.plays("tv")
    session_id = f"{house.account_id}-tv"
    before = await _updates(stores)
    for seq in range(200):
        await stores.postgres.execute(
            "update playback_sessions set last_seq = $2, state = $3, last_at = now(), last_recorded_at = now(),"
            " moved_at = now(), position_ms = $2 where session_id = $1",
            session_id,
            seq,
            "paused" if seq % 2 else "playing",
        )
    after = await _updates(stores)
    while after[0] - before[0] < 200:
        await asyncio.sleep(0.2)
        after = await _updates(stores)
    assert after[1] - before[1] >= 190, (before, after)
    async with stores.postgres.acquire() as connection, connection.transaction():
        await connection.execute("set local enable_seqscan = off")
        now = utc_now()
        plan = await connection.fetch("explain " + STREAMS, house.account_id, now, now, 100)
        assert "playback_sessions_open" in "".join(row[0] for row in plan)
        plan = await connection.fetch("explain " + VIEWERS_NOW, "t-1", now)
        assert "playback_sessions_open_of_title" in "".join(row[0] for row in plan)


async def _updates(stores: Stores) -> tuple[int, int]:
    """Rows of playback_sessions that were updated, and those of them that stayed in their page."""
    row = await stores.postgres.fetchrow(
        "select n_tup_upd, n_tup_hot_upd from pg_stat_user_tables where relname = 'playback_sessions'"
    )
    assert row is not None
    return row[0], row[1]
