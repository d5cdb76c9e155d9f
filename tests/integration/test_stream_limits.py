"""Stream limits as players meet them, on real servers: refusals, ending another stream, and how a report learns that
its session has ended.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import uuid4

import httpx
import msgspec
import pytest

from commands.app import create_app
from commands.playback.leases import Claimed, Ending, ended_by
from events.envelope import Event, Recorded
from events.playback import (
    PlaybackProgressed,
    PlaybackSessionTerminated,
    PlaybackStarted,
    PlaybackStopped,
)
from events.types import SessionId
from infra.access.permissions import Principal, Scope
from infra.clock import utc_now
from infra.ids import new_id
from infra.personal_data import SEALED
from infra.postgres import Pool
from infra.redis import connect
from infra.settings import Settings
from tests.integration.households import House, Household, problem, running_house
from tests.integration.playback_tail import Tail, tail_of_playback
from tests.integration.stream_accounts import LEASE_MS, Account, opened_account
from tests.integration.watching import report, shown_film, start, stop, terminate, watching

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
async def house(live: Settings) -> AsyncIterator[House]:
    """Whose accounts may play two streams at a time."""
    async with running_house(live, streams_without_plan=2, profiles_without_plan=2) as house:
        yield house


@pytest.fixture
async def home(house: House) -> Household:
    household = await house.household()
    return await household.choosing(await household.profile())


@pytest.fixture
async def tail(live: Settings) -> AsyncIterator[Tail]:
    async with tail_of_playback(live) as tail:
        yield tail


@pytest.fixture
async def leases(live: Settings, home: Household) -> AsyncIterator[Account]:
    """The leases of the household's account."""
    async with opened_account(live) as account:
        yield replace(account, account_id=home.account_id)


@pytest.fixture(scope="module")
async def film(postgres: Pool) -> str:
    return await shown_film(postgres)


async def codes(home: Household, film: str) -> dict[str, str]:
    """The termination codes of the streams that run, when as many do as may."""
    refused = await start(home, film)
    assert problem(refused) == (409, "stream-limit-reached")
    return {stream["session_id"]: stream["termination_code"] for stream in refused.json()["streams"]}


# A start for which there is no place


async def test_a_start_beyond_the_limit_is_told_which_streams_run_and_what_to_do(home: Household, film: str) -> None:
    first = await watching(home, film, name="Kitchen")
    second = await watching(home, film, name="Den")
    await report(home, second, 0, kind="paused")
    refused = await start(home, film)
    assert problem(refused) == (409, "stream-limit-reached")
    told = refused.json()
    assert told["max_streams"] == 2
    assert "terminate" in told["detail"]
    assert [(s["session_id"], s["device_name"], s["state"]) for s in told["streams"]] == [
        (first["session_id"], "Kitchen", "playing"),
        (second["session_id"], "Den", "paused"),
    ]
    for stream in told["streams"]:
        assert (stream["device_type"], stream["title_name"]) == ("tv", "Sintel")
        assert stream["profile_id"] == home.principal.profile_id
        assert stream["since"] <= utc_now().isoformat()
        assert stream["termination_code"]


async def test_what_a_viewer_calls_their_device_is_sealed_on_kafka_and_in_redis_and_gone_with_the_person(
    live: Settings, house: House, film: str, postgres: Pool
) -> None:
    household = await house.household()
    home = await household.choosing(await household.profile())
    name = f"Kitchen of {new_id()}"
    async with tail_of_playback(live) as tail:
        first = await watching(home, film, name=name)
        await watching(home, film, name=name)
        [started] = [each.data for each in await tail.of(first["session_id"]) if isinstance(each.data, PlaybackStarted)]
    sealed = started.session.device.name
    assert sealed is not None and SEALED.fullmatch(sealed)
    redis = connect(live)
    kept = [await redis.dump(key) for key in await redis.keys(f"*{home.principal.account_id}*")]
    await redis.aclose()
    assert kept and not any(name.encode() in (value or b"") for value in kept)
    refused = await start(home, film)
    assert {stream["device_name"] for stream in refused.json()["streams"]} == {name}
    await postgres.execute("update person_key set wrapped = null where person_id = $1", home.principal.account_id)
    refused = await start(home, film)
    assert {stream["device_name"] for stream in refused.json()["streams"]} == {None}


async def test_a_stop_makes_room_and_so_does_a_report_that_says_stopped(home: Household, film: str) -> None:
    first, second = await watching(home, film), await watching(home, film)
    assert (await stop(home, first, 0)).json()["lease_expires_at_ms"] == 0
    await watching(home, film)
    assert (await report(home, second, 0, kind="stopped")).json()["lease_expires_at_ms"] == 0
    await watching(home, film)
    assert problem(await start(home, film)) == (409, "stream-limit-reached")


async def test_starts_at_once_never_get_more_places_than_there_are(house: House, film: str) -> None:
    for _ in range(2):
        household = await house.household()
        home = await household.choosing(await household.profile())
        replies = await asyncio.gather(*(start(home, film) for _ in range(200)))
        assert sorted(reply.status_code for reply in replies) == [201] * 2 + [409] * 198


async def test_a_session_id_that_another_account_plays_under_is_taken(house: House, home: Household, film: str) -> None:
    session_id = str(uuid4())
    await watching(home, film, session_id=session_id)
    household = await house.household()
    other = await household.choosing(await household.profile())
    assert problem(await start(other, film, session_id=session_id)) == (409, "session-already-started")


async def test_a_start_that_kafka_did_not_take_takes_no_place_and_can_be_repeated(
    live: Settings, home: Household, film: str, leases: Account
) -> None:
    app = create_app(live.model_copy(update={"kafka_bootstrap": "127.0.0.1:1", "streams_without_plan": 2}))
    transport, session_id = httpx.ASGITransport(app), str(uuid4())
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://commands") as client,
    ):
        elsewhere = replace(home, house=House(app, client))
        assert problem(await start(elsewhere, film, session_id=session_id)) == (503, "kafka-unavailable")
    assert await leases.running() == {}
    await watching(home, film, session_id=session_id)
    assert len(await leases.running()) == 1


# Ending another stream for one's own


async def test_a_code_ends_its_stream_whose_next_report_is_kept_and_told_by_whom(
    home: Household, film: str, tail: Tail
) -> None:
    first, second = await watching(home, film), await watching(home, film)
    code = (await codes(home, film))[first["session_id"]]
    third = await watching(home, film, code, name="Kitchen")
    assert (await report(home, second, 0)).status_code == 200

    told = await report(home, first, 3, 4)
    assert problem(told) == (410, "session-terminated")
    document = told.json()
    assert document["reason"] == "replaced"
    assert document["ended_by"] == {
        "profile_id": home.principal.profile_id,
        "session_id": third["session_id"],
        "device_name": "Kitchen",
        "title_name": "Sintel",
    }
    assert document["results"] == [{"status": "ok", "seq": 3}, {"status": "ok", "seq": 4}]
    assert told.headers["playhead-position"]

    started, terminated, *late = await tail.of(first["session_id"])
    assert isinstance(started.data, PlaybackStarted)
    assert isinstance(terminated.data, PlaybackSessionTerminated)
    assert terminated.envelope.id == f"{first['session_id']}:terminated"
    assert terminated.envelope.partitionkey == started.envelope.partitionkey
    assert (terminated.data.reason, terminated.data.by.session_id) == ("replaced", third["session_id"])
    assert terminated.data.session == started.data.session
    assert [type(each.data) for each in late] == [PlaybackProgressed, PlaybackProgressed]


async def test_every_further_report_of_a_stream_that_was_ended_is_kept_and_told_so(
    home: Household, film: str, tail: Tail
) -> None:
    first, _ = await watching(home, film), await watching(home, film)
    await watching(home, film, (await codes(home, film))[first["session_id"]])
    replies = [await report(home, first, 0), await report(home, first, 0, 1), await stop(home, first, 2)]
    assert [problem(reply) for reply in replies] == [(410, "session-terminated")] * 3
    statuses = [[result["status"] for result in reply.json()["results"]] for reply in replies]
    assert statuses == [["ok"], ["duplicate", "ok"], ["ok"]]
    kinds = [type(each.data) for each in await tail.of(first["session_id"])]
    assert kinds.count(PlaybackSessionTerminated) == 1
    assert kinds[-1] is PlaybackStopped


async def test_a_stale_code_gets_fresh_ones_and_ends_nothing(home: Household, film: str) -> None:
    first, second = await watching(home, film), await watching(home, film)
    stale = (await codes(home, film))[first["session_id"]]
    third = await watching(home, film, stale)
    assert problem(await start(home, film, stale)) == (409, "stream-limit-reached")
    assert set(await codes(home, film)) == {second["session_id"], third["session_id"]}


async def test_a_code_of_another_account_ends_nothing(house: House, home: Household, film: str) -> None:
    household = await house.household()
    other = await household.choosing(await household.profile())
    theirs = [await watching(other, film), await watching(other, film)]
    for _ in range(2):
        await watching(home, film)
    assert problem(await start(home, film, *(await codes(other, film)).values())) == (409, "stream-limit-reached")
    assert [(await report(other, session, 0)).status_code for session in theirs] == [200, 200]


@pytest.mark.parametrize("body", [{"terminate": ["x"] * 17}, {"terminate": [""]}, {"terminate": ["x" * 501]}])
async def test_only_so_many_codes_are_taken(home: Household, film: str, body: dict[str, list[str]]) -> None:
    device = {"device_id": home.tokens["device_id"], "type": "tv"}
    reply = await home.post("/v1/playback/sessions", title_id=film, device=device, **body)
    assert problem(reply) == (422, "invalid-request")


async def test_who_died_between_ending_a_stream_and_telling_leaves_it_to_its_next_report(
    home: Household, film: str, tail: Tail
) -> None:
    first = await watching(home, film)
    await watching(home, film)
    leases, code = home.house.app.state.resources.leases, (await codes(home, film))[first["session_id"]]
    [started] = await tail.of(first["session_id"])
    assert isinstance(started.data, PlaybackStarted)
    snapshot = started.data.session
    dying = msgspec.structs.replace(snapshot, session_id=SessionId(str(uuid4())))
    ending = Ending(reason="replaced", by=ended_by(dying), at=utc_now(), principal="viewer")
    assert await leases.claim(dying, 2, ending, [code]) == Claimed(replaced=(snapshot,))  # and here it was killed

    assert _terminated(await tail.of(first["session_id"])) == []
    for seq in range(2):
        told = await report(home, first, seq)
        assert problem(told) == (410, "session-terminated")
        assert told.json()["ended_by"]["session_id"] == dying.session_id
    [terminated] = _terminated(await tail.of(first["session_id"]))
    assert terminated == PlaybackSessionTerminated(session=snapshot, reason="replaced", by=ending.by)


def _terminated(events: list[Recorded[Event]]) -> list[PlaybackSessionTerminated]:
    return [each.data for each in events if isinstance(each.data, PlaybackSessionTerminated)]


# Ending a stream from elsewhere


async def test_a_stream_is_ended_from_elsewhere_by_any_profile_of_the_account(
    home: Household, film: str, tail: Tail
) -> None:
    child = await home.choosing(await home.profile("Kim", kids=True, maturity_limit=7))
    session = await watching(home, film)
    ended = await terminate(child, session["session_id"])
    assert (ended.status_code, ended.content) == (204, b"")
    assert ended.headers["playhead-position"]
    [terminated] = _terminated(await tail.of(session["session_id"]))
    assert (terminated.reason, terminated.by.profile_id) == ("remote", child.principal.profile_id)
    assert terminated.session.profile_id == home.principal.profile_id
    told = await report(home, session, 0)
    assert problem(told) == (410, "session-terminated")
    assert told.json()["reason"] == "remote"
    assert told.json()["ended_by"] == {"profile_id": child.principal.profile_id}


async def test_ending_a_stream_again_changes_nothing(home: Household, film: str, tail: Tail) -> None:
    session, stopped = await watching(home, film), await watching(home, film)
    await stop(home, stopped, 0)
    for _ in range(3):
        assert (await terminate(home, session["session_id"])).status_code == 204
        assert (await terminate(home, stopped["session_id"])).status_code == 204
    assert len(_terminated(await tail.of(session["session_id"]))) == 1
    assert _terminated(await tail.of(stopped["session_id"])) == []


async def test_a_stream_of_another_account_is_not_there_to_be_ended(house: House, home: Household, film: str) -> None:
    session, other = await watching(home, film), await house.household()
    for asked in (session["session_id"], str(uuid4())):
        assert problem(await terminate(other, asked)) == (404, "session-unknown")
    assert (await report(home, session, 0)).status_code == 200


async def test_ending_a_stream_needs_the_scope_to_play(house: House, home: Household, film: str) -> None:
    session = await watching(home, film)
    narrow = Principal(subject="v", account_id=home.account_id, profile_id="p", scopes=frozenset({Scope.WATCHING}))
    reader = home.using({"access_token": house.app.state.tokens.mint_access(narrow)})
    assert problem(await terminate(reader, session["session_id"])) == (403, "scope-missing")


# Time that ran out


async def test_a_session_that_timed_out_goes_on_silently_when_there_is_a_place(
    home: Household, film: str, leases: Account
) -> None:
    session = await watching(home, film)
    await leases.pass_by(LEASE_MS + 1)
    reply = await report(home, session, 0)
    assert reply.status_code == 200
    assert reply.json()["lease_expires_at_ms"] > utc_now().timestamp() * 1_000


async def test_a_session_that_timed_out_without_a_place_left_is_gone_and_its_report_kept(
    home: Household, film: str, leases: Account, tail: Tail
) -> None:
    session = await watching(home, film)
    await leases.pass_by(LEASE_MS + 1)
    for _ in range(2):
        await watching(home, film)
    for seq in range(2):
        gone = await report(home, session, seq)
        assert (gone.status_code, gone.content) == (410, b"")
        assert gone.headers["playhead-position"]
    assert [type(each.data) for each in await tail.of(session["session_id"])][1:] == [PlaybackProgressed] * 2
    assert (await stop(home, session, 2)).status_code == 200, "nobody starts a new session for a stop"


async def test_a_session_that_the_reaper_expired_is_gone_and_its_report_kept(
    home: Household, film: str, leases: Account, tail: Tail
) -> None:
    session = await watching(home, film)
    await leases.leases.expire(home.account_id, SessionId(session["session_id"]))
    gone = await report(home, session, 0)
    assert (gone.status_code, gone.content) == (410, b"")
    assert len(await tail.of(session["session_id"])) == 2


async def test_a_long_pause_has_no_lease_and_goes_on(home: Household, film: str, leases: Account) -> None:
    session = await watching(home, film)
    await report(home, session, 0, kind="paused")
    await leases.pass_by(1_800_000)
    waiting = await report(home, session, 0)
    assert (waiting.status_code, "lease_expires_at_ms" in waiting.json()) == (200, False)
    assert (await report(home, session, 1, kind="resumed")).json()["lease_expires_at_ms"] > 0


# What came before


async def test_what_kafka_had_before_is_a_duplicate(home: Household, film: str) -> None:
    session = await watching(home, film)
    await report(home, session, 0, 1)
    resent = await report(home, session, 0, 1, 2)
    assert [result["status"] for result in resent.json()["results"]] == ["duplicate", "duplicate", "ok"]
    assert [result["seq"] for result in resent.json()["results"]] == [0, 1, 2]
    assert (await stop(home, session, 2)).json()["results"] == [{"status": "duplicate", "seq": 2}]


async def test_a_beacon_of_a_session_that_was_ended_is_kept(home: Household, film: str, tail: Tail) -> None:
    session = await watching(home, film)
    await terminate(home, session["session_id"])
    now = utc_now().isoformat()
    body = {"token": session["playback_token"], "sent_at": now, "seq": 0, "at": now, "position_ms": 0}
    reply = await home.house.client.post(
        f"/v1/playback/sessions/{session['session_id']}/stop",
        content=msgspec.json.encode(body),
        headers={"Content-Type": "text/plain"},
    )
    assert problem(reply) == (410, "session-terminated")
    assert isinstance((await tail.of(session["session_id"]))[-1].data, PlaybackStopped)
