"""Stream leases on a real Redis: who has a place, who gives one up, and what a report is told of its events."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from msgspec import structs
from prometheus_client import REGISTRY

from commands.playback.leases import Claimed, Ending, Held, LimitReached, Termination, Unclaimed, progress_of
from events.playback import BufferingStarted, Heartbeat, Paused, Resumed, Seeked, Started, TerminatedBy
from events.types import AccountId, ProfileId, SessionId
from infra.ids import new_id
from infra.settings import Settings
from tests.builders import EVENING, grant, report
from tests.integration.stream_accounts import LEASE_MS, MINUTE_MS, PAUSED_MS, Account, opened_account

pytestmark = pytest.mark.integration

REMOTE = Ending(reason="remote", by=TerminatedBy(), at=EVENING)


@pytest.fixture
async def account(live: Settings) -> AsyncIterator[Account]:
    """An account that may play two streams, with a Redis that answers every step."""
    before = REGISTRY.get_sample_value("playhead_leases_failed_open_total")
    async with opened_account(live) as account:
        yield account
    assert REGISTRY.get_sample_value("playhead_leases_failed_open_total") == before


async def codes_of(account: Account, *names: str) -> list[str]:
    running = await account.running()
    return [running[name] for name in names]


# Places


async def test_as_many_play_as_the_limit_says_and_the_next_learns_who_they_are(account: Account) -> None:
    first = await account.started("a")
    second = await account.started("b", after_s=5, profile_id=ProfileId("profile-2"))
    refused = await account.start(account.session("c"))
    assert isinstance(refused, LimitReached)
    assert [stream.session for stream in refused.running] == [first, second]
    assert [stream.is_paused for stream in refused.running] == [False, False]
    codes = {stream.termination_code for stream in refused.running}
    assert len(codes) == 2
    assert min(map(len, codes)) >= 24


async def test_no_limit_is_no_limit(account: Account) -> None:
    account.limit = None
    for number in range(20):
        await account.started(f"n{number}")
    assert len(await account.running()) == 20


async def test_a_stop_frees_the_place(account: Account) -> None:
    first, _ = await account.started("a"), await account.started("b")
    assert (await account.stop(first)).held is Held.ENDED
    assert isinstance(await account.start(account.session("c")), Claimed)


async def test_a_lease_ends_three_heartbeats_after_the_last_report(account: Account) -> None:
    _, second = await account.started("a"), await account.started("b")
    await account.pass_by(LEASE_MS - 1_000)
    await account.beat(second, 0)
    assert isinstance(await account.start(account.session("c")), LimitReached)
    await account.pass_by(1_001)
    assert isinstance(await account.start(account.session("c")), Claimed)
    assert set(await account.running()) == {"b", "c"}


async def test_a_report_says_until_when_the_lease_is_by_the_clock_of_redis(account: Account) -> None:
    session = await account.started()
    seconds, micros = await account.redis.time()
    until_ms = (await account.beat(session, 0)).lease_until_ms
    assert until_ms is not None
    assert 0 <= until_ms - (seconds * 1_000 + micros // 1_000 + LEASE_MS) < 5_000


async def test_a_claim_that_was_never_confirmed_may_be_made_again_by_its_profile_alone(account: Account) -> None:
    session = account.session()
    assert isinstance(await account.start(session), Claimed)
    assert isinstance(await account.start(session), Claimed)
    assert list(await account.running()) == ["a"]
    other = account.session(profile_id=ProfileId("profile-2"))
    assert await account.start(other) == Unclaimed("starting")
    await account.leases.confirm(session)
    assert await account.start(session) == Unclaimed("started")
    await account.stop(session)
    assert await account.start(session) == Unclaimed("ended")


async def test_a_claim_that_kafka_did_not_take_frees_its_place_and_may_be_made_again(account: Account) -> None:
    account.limit = 1
    session = account.session()
    await account.start(session)
    await account.leases.release(session)
    assert await account.running() == {}
    assert isinstance(await account.start(session), Claimed)
    assert list(await account.running()) == ["a"]


async def test_what_is_long_past_is_dropped(live: Settings) -> None:
    async with opened_account(live.model_copy(update={"leases_per_account_max": 8}), limit=2) as account:
        for number in range(30):
            await account.started(f"n{number}")
            await account.pass_by(LEASE_MS)
            await account.started(f"t{number}")
            await account.leases.terminate(account.account_id, account.session(f"t{number}").session_id, REMOTE)
        key = f"playback:{{{account.account_id}}}"
        assert await account.redis.hlen(f"{key}:leases") <= 8 + 1  # and since when Redis knows the account
        assert await account.redis.hlen(f"{key}:facts") <= 8
        assert await account.redis.hlen(f"{key}:endings") <= 8
        keys = [key async for key in account.redis.scan_iter(match=f"{key}:*", count=10_000)]
        longest_ms = (live.playback_token_ttl_s + live.lease_s) * 1_000
        assert all([0 < await account.redis.pttl(key) <= longest_ms for key in keys])


async def test_a_players_session_id_is_one_accounts(account: Account, live: Settings) -> None:
    session = account.session()
    assert await account.leases.own(session)
    assert await account.leases.own(session)
    async with opened_account(live) as other:
        assert not await other.leases.own(structs.replace(session, account_id=other.account_id))


# Ending another for one's own


async def test_a_code_ends_exactly_the_stream_that_it_is_of(account: Account) -> None:
    first, second = await account.started("a"), await account.started("b")
    [code] = await codes_of(account, "a")
    third = account.session("c")
    assert await account.start(third, code) == Claimed(replaced=(first,))
    assert set(await account.running()) == {"b", "c"}
    assert (await account.beat(second, 0)).held is Held.PLACE
    renewal = await account.beat(first, 0)
    assert renewal.held is Held.TERMINATED
    assert renewal.terminated is not None
    assert renewal.terminated.ending is not None
    assert renewal.terminated.ending.reason == "replaced"
    assert renewal.terminated.ending.by.session_id == third.session_id
    assert renewal.terminated.ending.by.device_name == third.device.name
    assert renewal.terminated.ending.by.title_name == third.title.name


async def test_several_codes_end_several(account: Account) -> None:
    account.limit = 3
    for name in "abc":
        await account.started(name)
    claim = await account.start(account.session("d"), *await codes_of(account, "a", "c"))
    assert isinstance(claim, Claimed)
    assert len(claim.replaced) == 2
    assert set(await account.running()) == {"b", "d"}


async def test_a_stale_code_ends_nothing_and_the_viewer_gets_fresh_ones(account: Account) -> None:
    for name in "ab":
        await account.started(name)
    [stale] = await codes_of(account, "a")
    await account.start(account.session("c"), stale)
    refused = await account.start(account.session("d"), stale)
    assert isinstance(refused, LimitReached)
    assert stale not in {stream.termination_code for stream in refused.running}
    assert set(await account.running()) == {"b", "c"}


async def test_of_two_starters_with_one_code_one_plays(account: Account) -> None:
    account.limit = 1
    await account.started("a")
    [code] = await codes_of(account, "a")
    claims = await asyncio.gather(*(account.start(account.session(name), code) for name in "bc"))
    assert sorted(type(claim).__name__ for claim in claims) == ["Claimed", "LimitReached"]
    assert len(await account.running()) == 1


async def test_nothing_ends_where_there_were_no_place_even_so(account: Account) -> None:
    for name in "ab":
        await account.started(name)
    account.limit = 1
    assert isinstance(await account.start(account.session("c"), *await codes_of(account, "a")), LimitReached)
    assert set(await account.running()) == {"a", "b"}


async def test_a_code_is_of_one_account(account: Account, live: Settings) -> None:
    account.limit = 1
    await account.started("a")
    async with opened_account(live, limit=1) as other:
        await other.started("a")
        [theirs] = await codes_of(other, "a")
        assert isinstance(await account.start(account.session("b"), theirs), LimitReached)
        assert list(await other.running()) == ["a"]


async def test_a_code_of_nothing_opens_nothing(account: Account) -> None:
    for name in "ab":
        await account.started(name)
    for code in ("", "*", "a", new_id()):
        assert isinstance(await account.start(account.session("c"), code), LimitReached)


# Ending from elsewhere


async def test_a_stream_is_ended_from_elsewhere_once_however_often_it_is_asked(account: Account) -> None:
    session = await account.started()
    ended = await account.leases.terminate(account.account_id, session.session_id, REMOTE)
    assert ended == (Termination.TERMINATED, session)
    again = await account.leases.terminate(account.account_id, session.session_id, REMOTE)
    assert again == (Termination.ENDED, None)
    assert await account.running() == {}
    assert (await account.beat(session, 0)).held is Held.TERMINATED


async def test_only_the_account_that_plays_a_session_can_end_it(account: Account) -> None:
    session = await account.started()
    for whose, which in ((AccountId(new_id()), session.session_id), (account.account_id, SessionId(new_id()))):
        assert (await account.leases.terminate(whose, which, REMOTE))[0] is Termination.UNKNOWN
    assert list(await account.running()) == ["a"]


async def test_an_ending_is_told_until_somebody_noted_that_it_was(account: Account) -> None:
    session = await account.started()
    await account.leases.terminate(account.account_id, session.session_id, REMOTE)
    for seq in range(2):  # the process that ended it died before Kafka knew
        terminated = (await account.beat(session, seq)).terminated
        assert terminated is not None
        assert not terminated.is_told
        assert terminated.ending == REMOTE
    await account.leases.told(account.account_id, [session.session_id])
    terminated = (await account.beat(session, 2)).terminated
    assert terminated is not None
    assert terminated.is_told


async def test_a_session_that_ended_stays_ended(account: Account) -> None:
    stopped, terminated, expired = [await account.started(name) for name in "ab"] + [account.session("c")]
    await account.stop(stopped)
    await account.leases.terminate(account.account_id, terminated.session_id, REMOTE)
    assert isinstance(await account.start(expired), Claimed)
    await account.leases.expire(account.account_id, expired.session_id)
    for session, held in ((stopped, Held.ENDED), (terminated, Held.TERMINATED), (expired, Held.GONE)):
        for seq in range(2):
            assert (await account.beat(session, seq)).held is held
            assert (await account.stop(session)).held in (held, Held.ENDED)
        await account.leases.expire(account.account_id, session.session_id)
        assert isinstance(await account.start(session), Unclaimed)
    assert await account.running() == {}


async def test_a_stop_of_a_session_that_was_ended_from_elsewhere_learns_it(account: Account) -> None:
    session = await account.started()
    await account.leases.terminate(account.account_id, session.session_id, REMOTE)
    renewal = await account.stop(session)
    assert renewal.terminated is not None
    assert renewal.terminated.ending == REMOTE


# Pauses


async def test_a_pause_keeps_the_place_for_half_an_hour(account: Account) -> None:
    account.limit = 1
    session = await account.started()
    await account.report(session, report(Paused, 0))
    for seq in range(1, 60):
        await account.pass_by(MINUTE_MS // 2 - 10)
        assert (await account.report(session, report(Heartbeat, seq, position_ms=0))).held is Held.PLACE
    await account.pass_by(MINUTE_MS)
    free = await account.report(session, report(Heartbeat, 60, position_ms=0))
    assert (free.held, free.lease_until_ms) == (Held.FREE, None)
    assert isinstance(await account.start(account.session("b")), Claimed)


async def test_who_resumes_after_a_long_pause_takes_a_place_again_if_there_is_one(account: Account) -> None:
    account.limit = 1
    session = await account.started()
    await account.report(session, report(Paused, 0))
    await account.pass_by(PAUSED_MS)
    assert (await account.report(session, report(Heartbeat, 1, position_ms=0))).held is Held.FREE
    assert (await account.report(session, report(Resumed, 2, position_ms=0))).held is Held.PLACE
    assert list(await account.running()) == ["a"]


async def test_who_resumes_when_the_place_was_taken_is_gone(account: Account) -> None:
    account.limit = 1
    session = await account.started()
    await account.report(session, report(Paused, 0))
    await account.pass_by(PAUSED_MS)
    await account.report(session, report(Heartbeat, 1, position_ms=0))
    await account.started("b")
    assert (await account.report(session, report(Heartbeat, 2, position_ms=0))).held is Held.FREE, "it waits, paused"
    assert (await account.report(session, report(Resumed, 3, position_ms=0))).held is Held.GONE
    assert list(await account.running()) == ["b"]


async def test_a_place_that_a_pause_freed_is_not_held_by_a_report_that_resumes(account: Account) -> None:
    account.limit = 1
    session = await account.started()
    await account.report(session, report(Paused, 0))
    for _ in range(60):
        await account.pass_by(PAUSED_MS // 60 - 1)
        await account.report(session, report(Heartbeat, 1, position_ms=0))
    await account.pass_by(61)  # just now, and its lease would have lasted for longer
    await account.started("b")
    assert (await account.report(session, report(Resumed, 2, position_ms=0))).held is Held.GONE


@pytest.mark.parametrize(
    ("reports", "is_paused"),
    [
        ([report(Paused, 1)], True),
        ([report(Paused, 2), report(Resumed, 1)], True),
        ([report(Resumed, 2), report(Paused, 1)], False),
        ([report(Paused, 1), report(Started, 2)], False),
        ([report(Paused, 1, position_ms=5_000), report(Heartbeat, 2, position_ms=5_000)], True),
        ([report(Paused, 1, position_ms=5_000), report(Heartbeat, 2, position_ms=6_000)], False),
        ([report(Paused, 1), report(Seeked, 2, from_ms=0, position_ms=90_000)], True),
        ([report(Heartbeat, 1), report(BufferingStarted, 2)], False),
    ],
)
async def test_the_highest_seq_of_a_report_says_whether_it_is_paused(
    account: Account, reports: list[Heartbeat], *, is_paused: bool
) -> None:
    session = await account.started()
    await account.report(session, *reports)
    assert await _is_paused(account) is is_paused


async def test_a_playhead_that_moves_ends_a_pause_and_a_late_report_does_not_begin_one(account: Account) -> None:
    session = await account.started()
    await account.report(session, report(Paused, 5, position_ms=50_000))
    assert await _is_paused(account)
    await account.report(session, report(Heartbeat, 6, position_ms=60_000))
    assert not await _is_paused(account)
    await account.report(session, report(Paused, 4, position_ms=40_000))
    assert not await _is_paused(account)


async def _is_paused(account: Account) -> bool:
    refused = await replace(account, limit=0).start(account.session("z"))
    assert isinstance(refused, LimitReached)
    return refused.running[0].is_paused


# Time that ran out


async def test_a_session_that_timed_out_takes_a_place_again_silently(account: Account) -> None:
    session = await account.started()
    await account.pass_by(LEASE_MS + 1)
    assert await account.running() == {}
    assert (await account.beat(session, 0)).held is Held.PLACE
    assert list(await account.running()) == ["a"]


async def test_a_session_that_timed_out_and_finds_no_place_is_gone_for_good(account: Account) -> None:
    account.limit = 1
    session = await account.started()
    await account.pass_by(LEASE_MS + 1)
    other = await account.started("b")
    assert (await account.beat(session, 0)).held is Held.GONE
    await account.stop(other)
    assert (await account.beat(session, 1)).held is Held.GONE, "its player has begun another session"


# What Kafka had before


async def test_an_event_is_a_duplicate_once_kafka_had_it(account: Account) -> None:
    session = await account.started()
    assert (await account.beat(session, 0, 1, 2)).before == ()
    assert (await account.beat(session, 1, 2, 3)).before == (0, 1)
    assert (await account.beat(session, 9, 3, 5)).before == (1,)
    assert (await account.beat(session, 5, 6, 6)).before == (0, 2)


async def test_duplicates_are_told_in_every_state(account: Account) -> None:
    stopped, terminated = await account.started("a"), await account.started("b")
    for session in (stopped, terminated):
        await account.beat(session, 0)
    await account.stop(stopped)
    await account.leases.terminate(account.account_id, terminated.session_id, REMOTE)
    for session in (stopped, terminated):
        assert (await account.beat(session, 0, 1)).before == (0,)
        assert (await account.beat(session, 0, 1)).before == (0, 1)


async def test_seqs_beyond_what_is_remembered_are_not_told_apart(live: Settings) -> None:
    async with opened_account(live.model_copy(update={"seqs_remembered_max": 100})) as account:
        session = await account.started()
        for before in ((), (0,)):
            assert (await account.beat(session, 99, 100, 2**17)).before == before
        assert await account.redis.strlen(f"playback:{{{account.account_id}}}:session:{session.session_id}") == 14


# Played offline


async def test_what_is_played_offline_takes_no_place_and_its_duplicates_are_told(account: Account) -> None:
    account.limit = 1
    await account.started("a")
    offline = grant(account.session("b"), max_streams=1, offline=True)
    for before in ((), (0, 1)):
        renewal = await account.leases.renew(offline, progress_of([report(seq=0), report(seq=1)]))
        assert (renewal.held, renewal.before) == (Held.FREE, before)
    assert (await account.leases.end(offline, progress_of([]))).held is Held.FREE
    assert list(await account.running()) == ["a"]
