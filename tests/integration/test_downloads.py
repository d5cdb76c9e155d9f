"""Titles that are downloaded: started where there is a network, watched where there is none, reported afterwards."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any, Final

import httpx
import msgspec
import pytest

from events.playback import PlaybackStarted, Started
from infra.access.permissions import Principal
from infra.clock import utc_now
from infra.ids import new_id
from infra.settings import Settings
from tests import builders
from tests.commands.subscription.accounts import STANDARD
from tests.integration.box_office import ANYTIME, FREE, BoxOffice, opened_box_office, viewer
from tests.integration.households import problem
from tests.integration.playback_tail import tail_of_playback

pytestmark = pytest.mark.integration

STREAMS: Final = STANDARD.limits.streams


@pytest.fixture(scope="module")
async def office(live: Settings) -> AsyncIterator[BoxOffice]:
    async with opened_box_office(live) as opened:
        yield opened


@pytest.fixture
async def subscriber(office: BoxOffice) -> Principal:
    someone = viewer()
    await office.subscribes(someone)
    return someone


async def granted(office: BoxOffice, title_id: str, by: Principal, **body: Any) -> dict[str, Any]:
    reply = await office.starts(title_id, by, **body)
    assert reply.status_code == 201, reply.text
    session: dict[str, Any] = reply.json()
    return session


async def reports(office: BoxOffice, session: dict[str, Any], what: str, content: bytes) -> httpx.Response:
    headers = {"Authorization": f"Bearer {session['playback_token']}", "Idempotency-Key": new_id()}
    path = f"/v1/playback/sessions/{session['session_id']}/{what}"
    return await office.house.client.post(path, content=content, headers=headers)


def started(seq: int = 0) -> Any:
    return builders.report(Started, seq, at=utc_now(), position_ms=0)


async def test_a_download_is_granted_without_a_lease_and_may_be_reported_for_weeks(
    live: Settings, office: BoxOffice, subscriber: Principal
) -> None:
    async with tail_of_playback(live) as tail:
        session = await granted(office, await office.publishes(ANYTIME), subscriber, offline=True)
        [recorded] = await tail.of(session["session_id"])
    assert isinstance(recorded.data, PlaybackStarted)
    assert recorded.data.offline
    assert session["lease_expires_at"] is None
    held = datetime.fromisoformat(session["token_expires_at"]) - utc_now()
    assert abs(held - timedelta(days=live.download_token_ttl_days)) < timedelta(minutes=1)


async def test_downloads_take_no_stream(office: BoxOffice, subscriber: Principal) -> None:
    title = await office.publishes(ANYTIME)
    for _ in range(STREAMS + 2):
        await granted(office, title, subscriber, offline=True)
    for _ in range(STREAMS):
        await granted(office, title, subscriber)
    assert problem(await office.starts(title, subscriber)) == (409, "stream-limit-reached")
    await granted(office, title, subscriber, offline=True)


async def test_who_may_keep_no_titles_is_told(office: BoxOffice) -> None:
    title = await office.publishes(FREE)
    someone = viewer()
    await granted(office, title, someone)
    assert problem(await office.starts(title, someone, offline=True)) == (403, "downloads-not-allowed")


async def test_what_was_watched_offline_is_taken_afterwards_as_a_backfill_or_as_reports(
    office: BoxOffice, subscriber: Principal
) -> None:
    session = await granted(office, await office.publishes(ANYTIME), subscriber, offline=True)
    lines = b"\n".join(msgspec.json.encode(started(seq)) for seq in range(3))
    late = await reports(office, session, "backfill", lines)
    *results, last = [msgspec.json.decode(line) for line in late.content.splitlines()]
    assert ([each["status"] for each in results], last["done"]) == (["ok"] * 3, True)
    body = msgspec.json.encode({"sent_at": utc_now(), "events": [started(3)]})
    online = await reports(office, session, "events", body)
    assert (online.status_code, online.json()["results"]) == (200, [{"status": "ok", "seq": 3}])
    assert "lease_expires_at_ms" not in online.json()


async def test_a_start_that_got_no_reply_is_repeated_until_its_session_was_reported(
    office: BoxOffice, subscriber: Principal
) -> None:
    title = await office.publishes(ANYTIME)
    mine: dict[str, Any] = {"session_id": "5f0c6a1b-2c3d-4e5f-8a9b-" + new_id()[-12:], "offline": True}
    await granted(office, title, subscriber, **mine)
    session = await granted(office, title, subscriber, **mine)
    body = msgspec.json.encode({"sent_at": utc_now(), "events": [started()]})
    assert (await reports(office, session, "events", body)).status_code == 200
    assert problem(await office.starts(title, subscriber, **mine)) == (409, "session-already-started")


async def test_a_session_that_streams_is_no_download_afterwards(office: BoxOffice, subscriber: Principal) -> None:
    title, session_id = await office.publishes(ANYTIME), "5f0c6a1b-2c3d-4e5f-8a9b-" + new_id()[-12:]
    await granted(office, title, subscriber, session_id=session_id)
    again = await office.starts(title, subscriber, session_id=session_id, offline=True)
    assert problem(again) == (409, "session-already-started")
