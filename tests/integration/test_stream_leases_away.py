"""Leases while Redis is away, and how what was let in then is reconciled: who started first has the right of way."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import permutations

import pytest
from prometheus_client import REGISTRY

from commands.playback.leases import Claimed, Held, LeasesAway, LimitReached, Renewal
from events.playback import PlaybackSessionTerminated, PlaybackStarted, SessionSnapshot
from infra.postgres import Pool
from infra.settings import Settings
from tests.integration.households import problem, running_house
from tests.integration.links import Link
from tests.integration.playback_tail import tail_of_playback
from tests.integration.stream_accounts import LEASE_MS, Account, opened_account
from tests.integration.test_stream_leases import REMOTE
from tests.integration.watching import report, shown_film, start, terminate
from tests.servers import Servers

pytestmark = pytest.mark.integration

RETRY_S = 0.05


def failed_open() -> float:
    return REGISTRY.get_sample_value("playhead_leases_failed_open_total") or 0.0


@pytest.fixture
async def account(live: Settings) -> AsyncIterator[Account]:
    async with opened_account(live) as account:
        yield account


@pytest.fixture(scope="module")
async def film(postgres: Pool) -> str:
    return await shown_film(postgres)


@asynccontextmanager
async def cuttable(live: Settings) -> AsyncIterator[tuple[Settings, Link]]:
    """Settings whose Redis is behind a link that can be cut."""
    link = Link(live)
    await link.up()
    yield live.model_copy(update={"redis_url": link.url, "lease_retry_s": RETRY_S}), link
    await link.down()


def reason_of(renewal: Renewal) -> str | None:
    ending = renewal.terminated.ending if renewal.terminated else None
    return ending.reason if ending else None


# Away


async def test_who_starts_while_redis_is_away_plays_unchecked_and_it_is_counted(live: Settings) -> None:
    async with opened_account(live.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"}), limit=1) as account:
        before = failed_open()
        for name in "abc":
            session = account.session(name)
            assert await account.start(session) == Claimed(unchecked=True)
            assert (await account.beat(session, 0)).held is Held.AWAY
            assert (await account.stop(session)).held is Held.AWAY
            assert await account.leases.own(session)
            await account.leases.confirm(session)
            await account.leases.expire(account.account_id, session.session_id)
        assert failed_open() >= before + 15
        with pytest.raises(LeasesAway):
            await account.leases.terminate(account.account_id, account.session("a").session_id, REMOTE)


async def test_a_redis_that_hangs_delays_a_report_once_and_not_each_of_them(live: Settings) -> None:
    server = await asyncio.start_server(lambda *_: asyncio.sleep(60), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    settings = live.model_copy(update={"redis_url": f"redis://127.0.0.1:{port}/0", "lease_timeout_s": 0.2})
    async with opened_account(settings) as account:
        session, loop = account.session(), asyncio.get_running_loop()
        began_s = loop.time()
        for seq in range(20):
            assert (await account.beat(session, seq)).held is Held.AWAY
        assert loop.time() - began_s < 0.5
    server.close()


async def test_a_player_notices_nothing_while_redis_is_away(live: Settings, film: str) -> None:
    async with (
        cuttable(live) as (settings, link),
        running_house(settings, streams_without_plan=1) as house,
        tail_of_playback(live) as tail,
    ):
        household = await house.household()
        home = await household.choosing(await household.profile())
        await link.down()
        sessions = []
        for _ in range(2):  # the limit is 1, and nobody counts
            reply = await start(home, film)
            assert reply.status_code == 201, reply.text
            sessions.append(reply.json())
        replies = [await report(home, session, 0) for session in sessions]
        assert [reply.status_code for reply in replies] == [200, 200]
        assert all("lease_expires_at_ms" not in reply.json() for reply in replies)
        assert problem(await terminate(home, sessions[0]["session_id"])) == (503, "store-unavailable")
        for session in sessions:
            started = (await tail.of(session["session_id"]))[0].data
            assert isinstance(started, PlaybackStarted)
            assert started.limit_unchecked

        await link.up()
        await asyncio.sleep(2 * settings.lease_retry_s)
        assert (await report(home, sessions[0], 1)).json()["lease_expires_at_ms"] > 0
        told = await report(home, sessions[1], 1)
        assert problem(told) == (410, "session-terminated")
        assert (told.json()["reason"], told.json()["ended_by"]) == ("over_limit", {})
        assert [result["status"] for result in told.json()["results"]] == ["ok"]
        [terminated] = [
            each.data
            for each in await tail.of(sessions[1]["session_id"])
            if isinstance(each.data, PlaybackSessionTerminated)
        ]
        assert terminated.reason == "over_limit"


# Back


@pytest.mark.parametrize("order", list(permutations("abcd")), ids="".join)
async def test_the_first_to_start_have_the_right_of_way_in_whatever_order_they_report(
    account: Account, order: tuple[str, ...]
) -> None:
    sessions = {name: account.session(name, after_s=number) for number, name in enumerate("abcd")}
    for round_number in range(3):
        for name in order:
            await account.beat(sessions[name], round_number, unchecked=True)
    assert set(await account.running()) == {"a", "b"}
    for name in "cd":
        assert reason_of(await account.beat(sessions[name], 9, unchecked=True)) == "over_limit"


async def test_who_is_ended_for_an_older_stream_learns_which(account: Account) -> None:
    account.limit = 1
    older, younger = account.session("a"), account.session("b", after_s=1)
    assert (await account.beat(younger, 0, unchecked=True)).held is Held.PLACE
    renewal = await account.beat(older, 0, unchecked=True)
    assert (renewal.held, renewal.replaced) == (Held.PLACE, (younger,))
    assert renewal.ending is not None
    assert (renewal.ending.reason, renewal.ending.by.session_id) == ("over_limit", older.session_id)
    told = await account.beat(younger, 1, unchecked=True)
    assert told.terminated is not None
    assert told.terminated.ending == renewal.ending


async def test_a_redis_that_lost_everything_ends_with_all_that_played_playing(account: Account) -> None:
    sessions = [await account.started(name, after_s=number) for number, name in enumerate("ab")]
    await account.forget()
    for session in reversed(sessions):
        assert (await account.beat(session, 0)).held is Held.PLACE
    assert set(await account.running()) == {"a", "b"}
    assert isinstance(await account.start(account.session("c", after_s=9)), LimitReached)


async def test_who_slipped_in_while_redis_was_empty_goes_for_those_that_played_before(account: Account) -> None:
    sessions = [await account.started(name, after_s=number) for number, name in enumerate("ab")]
    await account.forget()
    slipped = await account.started("c", after_s=9)
    assert [(await account.beat(session, 0)).held for session in sessions] == [Held.PLACE] * 2
    assert set(await account.running()) == {"a", "b"}
    assert reason_of(await account.beat(slipped, 0)) == "over_limit"


async def test_who_started_while_redis_was_unreachable_goes_for_those_whose_leases_ran_out_meanwhile(
    account: Account,
) -> None:
    sessions = [await account.started(name, after_s=number) for number, name in enumerate("ab")]
    await account.pass_by(2 * LEASE_MS)
    unchecked = account.session("c", after_s=40)
    assert (await account.beat(unchecked, 0, unchecked=True)).held is Held.PLACE
    assert [(await account.beat(session, 0)).held for session in sessions] == [Held.PLACE] * 2
    assert reason_of(await account.beat(unchecked, 1, unchecked=True)) == "over_limit"


async def test_the_right_of_way_ends_with_the_first_lease(account: Account) -> None:
    account.limit = 1
    older, unchecked = await account.started("a"), account.session("b", after_s=9)
    await account.pass_by(2 * LEASE_MS)
    await account.beat(unchecked, 0, unchecked=True)
    for seq in range(1, 3):
        await account.pass_by(LEASE_MS // 2)
        await account.beat(unchecked, seq, unchecked=True)
    assert (await account.beat(older, 0)).held is Held.GONE
    assert list(await account.running()) == ["b"]


async def test_nobody_who_was_let_in_by_count_goes_for_an_older_session(account: Account) -> None:
    account.limit = 1
    sleeper = await account.started("a")
    await account.pass_by(2 * LEASE_MS)
    await account.started("b", after_s=9)
    assert (await account.beat(sleeper, 0)).held is Held.GONE
    assert list(await account.running()) == ["b"]


async def test_a_start_soon_after_redis_failed_goes_for_those_that_come_back(live: Settings) -> None:
    async with cuttable(live) as (settings, link), opened_account(settings) as account:
        sessions = [await account.started(name, after_s=number) for number, name in enumerate("ab")]
        await link.down()
        assert (await account.beat(sessions[0], 0)).held is Held.AWAY
        await link.up()
        await asyncio.sleep(2 * RETRY_S)
        async with opened_account(live) as looking:
            await replace(looking, account_id=account.account_id).pass_by(2 * LEASE_MS)
        slipped = await account.started("c", after_s=40)
        assert [(await account.beat(session, 1)).held for session in sessions] == [Held.PLACE] * 2
        assert reason_of(await account.beat(slipped, 0)) == "over_limit"


async def test_a_redis_that_is_started_anew_meanwhile_goes_on_with_all_that_played(
    live: Settings, servers: Servers
) -> None:
    async with opened_account(live.model_copy(update={"lease_retry_s": RETRY_S})) as account:
        sessions = [await account.started(name, after_s=number) for number, name in enumerate("ab")]
        await _beat_all(account, sessions, 0)
        servers.stop("redis")
        assert await _beat_all(account, sessions, 1) == [Held.AWAY] * 2
        unchecked = account.session("c", after_s=9)
        assert await account.start(unchecked) == Claimed(unchecked=True)
        await asyncio.to_thread(servers.start, "redis")
        await asyncio.sleep(2 * RETRY_S)
        await account.beat(unchecked, 0, unchecked=True)
        assert await _beat_all(account, sessions, 2) == [Held.PLACE] * 2
        assert reason_of(await account.beat(unchecked, 1, unchecked=True)) == "over_limit"
        assert set(await account.running()) == {"a", "b"}


async def _beat_all(account: Account, sessions: list[SessionSnapshot], seq: int) -> list[Held]:
    return [(await account.beat(session, seq)).held for session in sessions]
