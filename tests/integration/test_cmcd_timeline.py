"""A session's CMCD in its timeline, from the recordings of real players through the real store to the query API."""

from collections import Counter
from collections.abc import AsyncIterator, Iterable
from datetime import datetime, timedelta
from itertools import count
from typing import Any, Final

import pytest

from commands.playback.cmcd.observing import observe
from events import playback as p
from events.cmcd import Record
from events.envelope import Context, Envelope, Event, encode
from events.playback import SessionSnapshot
from events.registry import REGISTRY
from events.types import ProfileId, SessionId
from infra.ids import new_id
from infra.settings import Settings
from projections.playback.session_cmcd import SessionCmcd
from projections.playback.session_timeline import SessionTimeline
from projections.stores.cassandra import CassandraStore
from tests import builders
from tests.builders import EVENING, cmcd_record
from tests.commands.playback.cmcd.recorded import NAMES, recording, records
from tests.integration.query_api_stores import OPERATOR, QueryApi, running_query_api, viewer

pytestmark = pytest.mark.integration

CMCD, TIMELINE = SessionCmcd(), SessionTimeline()
CONTEXT: Final = Context(correlation_id="correlation-1")


@pytest.fixture(scope="module")
async def query_api(live: Settings) -> AsyncIterator[QueryApi]:
    async with running_query_api(live) as api:
        yield api


@pytest.fixture(scope="module")
async def store(live: Settings) -> AsyncIterator[CassandraStore]:
    opened = CassandraStore(live, (CMCD, TIMELINE))
    await opened.open()
    yield opened
    await opened.close()


class Told:
    """A session that is told of in the store, and what the query API shows of it."""

    def __init__(self, store: CassandraStore, api: QueryApi) -> None:
        self._store = store
        self._api = api
        self.session: SessionSnapshot = builders.session(SessionId(new_id()), profile_id=ProfileId(new_id()))
        self.path = f"/v1/playback/sessions/{self.session.session_id}"

    async def say(self, said: Iterable[Record], *, target: str = "default", at: datetime = EVENING) -> None:
        """Records come at a time, all at once."""
        slack = timedelta(days=36_500)
        bodies = observe(list(said), self.session, CONTEXT, target=target, received_at=at, slack=slack)
        rows = [row for body in bodies for row in CMCD.project(REGISTRY.decode(body))]
        await self._store.save(CMCD, rows)

    async def report(self, *events: Envelope[Event]) -> None:
        """Events of the session."""
        rows = [row for event in events for row in TIMELINE.project(REGISTRY.decode(encode(event)))]
        await self._store.save(TIMELINE, rows)

    async def begin(self) -> None:
        await self.report(builders.playback_started(self.session))

    async def timeline(self, limit: int = 100, source: str | None = None) -> list[dict[str, Any]]:
        query = f"?limit={limit}" + (f"&source={source}" if source else "")
        pages = await self._api.pages(f"{self.path}/timeline{query}", who=viewer(self.session.profile_id))
        assert all(len(page) <= limit for page in pages)
        return [item for page in pages for item in page]

    async def gaps(self) -> list[dict[str, Any]]:
        reply = await self._api.get(f"{self.path}/cmcd-gaps", who=viewer(self.session.profile_id))
        assert reply.json()["is_whole"]
        items: list[dict[str, Any]] = reply.json()["items"]
        return items


@pytest.fixture
async def told(store: CassandraStore, query_api: QueryApi) -> Told:
    told = Told(store, query_api)
    await told.begin()
    return told


def said(items: list[dict[str, Any]]) -> list[object]:
    """What a timeline shows, in short: seqs of reports, numbers of records."""
    return [f"sn {item['cmcd']['sn']}" if item["cmcd"] else item["seq"] for item in items]


@pytest.mark.parametrize("name", NAMES)
async def test_a_recorded_session_is_shown_whole_each_record_once_and_without_gaps(told: Told, name: str) -> None:
    sent = records(recording(name))
    await told.say(sent)
    events = [record for record in sent if record.e is not None]
    await told.say(events[::-1], at=EVENING + timedelta(minutes=1))  # sent again, in another order
    items = [item for item in await told.timeline(limit=7) if item["cmcd"]]
    distinct = {(r.sid, r.sn, r.ts, r.e) for r in events if r.sn is not None or r.ts is not None}
    assert len(items) == len(distinct) + len(sent) - len(events)
    assert Counter(item["cmcd"]["e"] for item in items if item["cmcd"]["e"]) == Counter(e for *_, e in distinct)
    assert {item["source"] for item in items} == {"cmcd:default"}
    assert [(gaps["missing"], gaps["restarts"]) for gaps in await told.gaps()] in ([], [([], 0)])


async def test_reports_and_records_are_merged_by_time_and_paged_whole(told: Told) -> None:
    reports = [builders.reported(p.Heartbeat, seq, of=told.session) for seq in range(4)]
    ended = builders.playback_terminated(told.session, at=EVENING + timedelta(minutes=1))
    await told.report(*reports, ended)
    await told.say([cmcd_record(sn, ts=_at(5_000 + 10_000 * sn)) for sn in range(3)])
    await told.say([cmcd_record(9, ts=_at(90_000))], target="late")
    whole = [-1, 0, "sn 0", 1, "sn 1", 2, "sn 2", 3, None, "sn 9"]
    for limit in (1, 2, 3, 100):
        assert said(await told.timeline(limit)) == whole
    items = await told.timeline()
    assert [item["source"] for item in items][-3:] == ["player", "playhead", "cmcd:late"]
    assert items[-2]["ending"] == {"reason": "replaced", "by": items[-2]["ending"]["by"]}
    assert items[-2]["ending"]["by"]["device_name"] == "Kitchen"
    assert (items[2]["cmcd"]["means"], items[2]["cmcd"]["buffer_ms"]) == ("heartbeat", 7_900)
    assert items[2]["cmcd"]["record"]["sn"] == 0


@pytest.mark.parametrize("limit", [1, 2, 100])
async def test_a_timeline_is_shown_of_one_source(told: Told, limit: int) -> None:
    await told.report(*(builders.reported(p.Heartbeat, seq, of=told.session) for seq in range(3)))
    await told.report(builders.playback_expired(told.session, at=EVENING + timedelta(minutes=30)))
    await told.say([cmcd_record(sn) for sn in range(3)], target="a")
    await told.say([cmcd_record(sn) for sn in range(2)], target="b")
    assert said(await told.timeline(limit, "playhead")) == [-1, None]
    assert said(await told.timeline(limit, "player")) == [0, 1, 2]
    assert len(await told.timeline(limit, "cmcd")) == 5
    assert said(await told.timeline(limit, "cmcd:b")) == ["sn 0", "sn 1"]
    assert await told.timeline(limit, "cmcd:nobody") == []


async def test_a_source_that_nobody_is_is_refused_and_a_cursor_is_of_its_source(
    told: Told, query_api: QueryApi
) -> None:
    who = viewer(told.session.profile_id)
    for source in ("players", "cmcd:", "cmcd:a b", "x"):
        assert (await query_api.get(f"{told.path}/timeline?source={source}", who)).status_code == 422
    await told.say([cmcd_record(sn) for sn in range(3)])
    cursor = (await query_api.get(f"{told.path}/timeline?limit=1", who)).json()["next_cursor"]
    other = await query_api.get(f"{told.path}/timeline?source=cmcd&cursor={cursor}", who)
    assert other.json()["type"].endswith("cursor-invalid")


async def test_what_never_came_is_named_until_it_comes(told: Told) -> None:
    await told.say([cmcd_record(sn) for sn in (0, 1, 4)])
    [gaps] = await told.gaps()
    assert (gaps["target"], gaps["sid"], gaps["mode"], gaps["records"]) == ("default", "player-1", "event", 3)
    assert (gaps["missing_count"], gaps["missing"]) == (2, [{"run": 0, "first": 2, "last": 3}])
    await told.say([cmcd_record(sn) for sn in (3, 2)])
    assert [(gaps["missing_count"], gaps["records"]) for gaps in await told.gaps()] == [(0, 5)]


async def test_a_restart_within_a_session_is_a_run_of_its_own(told: Told) -> None:
    """Shaka: the same sid, numbers from 0 again."""
    moments = count(_at(0), 1_000)
    await told.say([cmcd_record(sn, ts=next(moments)) for sn in (0, 1, 2, 3, 0, 1, 2)])
    [gaps] = await told.gaps()
    assert (gaps["restarts"], gaps["missing_count"], gaps["records"]) == (1, 0, 7)
    assert said(await told.timeline())[1:] == ["sn 0", "sn 1", "sn 2", "sn 3", "sn 0", "sn 1", "sn 2"]


async def test_collectors_and_modes_are_numbered_apart(told: Told) -> None:
    await told.say([cmcd_record(0), cmcd_record(1)], target="a")
    await told.say([cmcd_record(0), cmcd_record(1, e=None), cmcd_record(0, e=None)], target="b")
    found = [(each["target"], each["mode"], each["records"], each["missing_count"]) for each in await told.gaps()]
    assert sorted(found) == [("a", "event", 2, 0), ("b", "event", 1, 0), ("b", "request", 2, 0)]


async def test_a_clock_that_is_days_off_makes_no_second_row(told: Told, store: CassandraStore) -> None:
    wrong = cmcd_record(0, ts=10**14)
    for minute in range(2):
        at = EVENING + timedelta(minutes=minute)
        bodies = observe([wrong], told.session, CONTEXT, target="default", received_at=at, slack=timedelta(0))
        await store.save(CMCD, [row for body in bodies for row in CMCD.project(REGISTRY.decode(body))])
    [item] = await told.timeline(source="cmcd")
    assert item["cmcd"]["time_adjusted"]
    assert item["cmcd"]["record"]["ts"] == 10**14


@pytest.mark.parametrize("what", ["timeline", "timeline?source=cmcd", "timeline?source=cmcd:x", "cmcd-gaps"])
async def test_cmcd_of_someone_else_is_refused_and_of_nobody_unknown(
    told: Told, query_api: QueryApi, what: str
) -> None:
    await told.say([cmcd_record(0)])
    refused = await query_api.get(f"{told.path}/{what}", viewer("somebody-else"))
    assert (refused.status_code, refused.json()["type"].rpartition("/")[2]) == (403, "session-not-yours")
    unknown = await query_api.get(f"/v1/playback/sessions/never-was/{what}", viewer("somebody-else"))
    assert (unknown.status_code, unknown.json()["type"].rpartition("/")[2]) == (404, "session-unknown")
    assert (await query_api.get(f"{told.path}/{what}", OPERATOR)).status_code == 200


def _at(ms: int) -> int:
    return int(EVENING.timestamp() * 1_000) + ms
