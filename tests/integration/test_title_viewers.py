"""How many watch a title, now and by the minute: rows as the projections write them, and the projection itself."""

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from events import playback as p
from events.types import ProfileId
from infra.access.permissions import Principal
from infra.clock import utc_now
from infra.ids import new_id
from projections.playback.title_viewers import TitleViewers
from projections.stores.cassandra import CassandraStore
from query_api.playback.streams import heard_of_within
from tests.builders import movie, recorded, reported, session
from tests.integration.projection_workers import Worker, eventually, produce
from tests.integration.query_api_stores import OPERATOR, QueryApi, Stores

pytestmark = pytest.mark.integration

VIEW = TitleViewers()
MINUTE = timedelta(minutes=1)
ANALYST = Principal(subject="analyst-1", roles=("analyst",))


@pytest.fixture(scope="module")
async def written(stores: Stores) -> AsyncIterator[CassandraStore]:
    """The store as the projection writes it."""
    store = CassandraStore(stores.settings, [VIEW])
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def title_id(stores: Stores) -> str:
    """A film that the catalog has."""
    title_id = f"film-{new_id()}"
    await stores.title(title_id)
    return title_id


def this_hour() -> datetime:
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


async def watch(
    store: CassandraStore, title_id: str, name: str, *minutes: float, report: type[p.Report] = p.Heartbeat
) -> None:
    """A session reports at these minutes of the hour before this one."""
    of = session(f"{title_id}-{name}", title=movie(title_id))
    begin = this_hour() - timedelta(hours=1)
    events = [reported(report, seq, of=of, time=begin + minute * MINUTE) for seq, minute in enumerate(minutes)]
    await store.save(VIEW, [row for event in events for row in VIEW.project(recorded(event))])


async def by_minute(query_api: QueryApi, title_id: str, first: int, last: int) -> dict[int, int]:
    """Viewers of minutes of the hour before this one; those without any left out."""
    begin = this_hour() - timedelta(hours=1)
    asked = f"?from={_text(begin + first * MINUTE)}&to={_text(begin + (last + 1) * MINUTE)}"
    reply = await query_api.get(f"/v1/titles/{title_id}/viewers{asked}", who=ANALYST)
    assert reply.status_code == 200, reply.text
    counted = {datetime.fromisoformat(each["minute"]): each["viewers"] for each in reply.json()["minutes"]}
    assert list(counted) == [begin + minute * MINUTE for minute in range(first, last + 1)]
    return {(minute - begin) // MINUTE: viewers for minute, viewers in counted.items() if viewers}


def _text(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


async def test_a_session_is_counted_once_a_minute_however_much_it_reports(
    written: CassandraStore, query_api: QueryApi, title_id: str
) -> None:
    await watch(written, title_id, "tv", 3.0, 3.2, 3.4, 3.6, 3.8, 4.0, 6.1)
    await watch(written, title_id, "tv", 3.2, 6.1)  # resent, days later for all that matters
    assert await by_minute(query_api, title_id, 0, 10) == {3: 1, 4: 1, 6: 1}


async def test_two_devices_of_one_profile_are_two_viewers(
    written: CassandraStore, query_api: QueryApi, title_id: str
) -> None:
    await watch(written, title_id, "tv", 3.0, 4.0)
    await watch(written, title_id, "phone", 4.5, 5.5)
    assert await by_minute(query_api, title_id, 0, 10) == {3: 1, 4: 2, 5: 1}


async def test_viewers_across_an_hour_are_one_series(
    written: CassandraStore, query_api: QueryApi, title_id: str
) -> None:
    await asyncio.gather(*(watch(written, title_id, f"s{n}", *range(-2, 3)) for n in range(40)))
    await watch(written, title_id, "late", 0.5)
    assert await by_minute(query_api, title_id, -5, 5) == {-2: 40, -1: 40, 0: 41, 1: 40, 2: 40}


async def test_a_range_is_cut_at_its_minutes(written: CassandraStore, query_api: QueryApi, title_id: str) -> None:
    await watch(written, title_id, "tv", *range(10))
    assert await by_minute(query_api, title_id, 3, 5) == {3: 1, 4: 1, 5: 1}


async def test_what_players_report_is_counted_by_the_projection(
    stores: Stores, query_api: QueryApi, title_id: str, tmp_path: Path
) -> None:
    """Two devices over an hour's end: heartbeats twice, out of order, and one that comes a day late."""
    begin = this_hour() - timedelta(hours=1)
    events = []
    for name in ("tv", "phone"):
        of = session(f"{title_id}-{name}", title=movie(title_id), profile_id=ProfileId(f"{title_id}-anna"))
        events += [reported(p.Heartbeat, n, of=of, time=begin + (n - 9) * MINUTE / 6) for n in range(18)]
        late = begin + 5 * MINUTE
        events.append(reported(p.Heartbeat, 99, of=of, time=late, recorded_at=late + timedelta(days=1)))
        events.append(reported(p.Stopped, 100, of=of, time=begin + 7 * MINUTE))
    shuffled = random.Random(title_id).sample(events * 2, 2 * len(events))
    await produce(stores.settings, shuffled)
    worker = Worker("cassandra", stores.settings, tmp_path)

    async def all_are() -> bool:
        return await by_minute(query_api, title_id, -10, 10) == {-2: 2, -1: 2, 0: 2, 1: 2, 5: 2}

    try:
        await eventually(all_are)
    finally:
        worker.close()


async def test_the_last_hour_is_shown_unless_asked_otherwise(query_api: QueryApi, title_id: str) -> None:
    before = utc_now()
    reply = (await query_api.get(f"/v1/titles/{title_id}/viewers", who=ANALYST)).json()
    minutes = [datetime.fromisoformat(each["minute"]) for each in reply["minutes"]]
    assert (reply["now"], len(minutes), {each["viewers"] for each in reply["minutes"]}) == (0, 60, {0})
    assert timedelta(0) <= before - minutes[-1] < 2 * MINUTE
    assert minutes[-1] - minutes[0] == 59 * MINUTE


@pytest.mark.parametrize(
    "asked",
    [
        "from=2026-01-01T00:00:00Z&to=2026-01-01T06:00:01Z",
        "from=2026-01-01T00:02:00Z&to=2026-01-01T00:01:00Z",
        "from=2026-01-01T00:00:00&to=2026-01-01T00:01:00Z",
        "from=9999-12-31T23:59:00Z",
        "to=9999-12-31T23:59:59Z",
        "to=0001-01-01T00:00:00Z",
        "from=yesterday",
    ],
)
async def test_a_range_that_cannot_be_read_is_refused(query_api: QueryApi, asked: str) -> None:
    reply = await query_api.get(f"/v1/titles/t-1/viewers?{asked}", who=ANALYST)
    assert (reply.status_code, reply.json()["type"].rpartition("/")[2]) == (422, "invalid-request")


async def test_a_range_of_six_hours_is_read_at_once(query_api: QueryApi, title_id: str) -> None:
    asked = "from=2026-01-01T00:30:00Z&to=2026-01-01T06:30:00Z"
    reply = await query_api.get(f"/v1/titles/{title_id}/viewers?{asked}", who=ANALYST)
    assert len(reply.json()["minutes"]) == 360


async def test_now_counts_who_was_heard_of_lately_and_is_not_paused(
    stores: Stores, query_api: QueryApi, title_id: str
) -> None:
    now, lately = utc_now(), heard_of_within(stores.settings)

    async def plays(name: str, **columns: object) -> None:
        heard = {"last_recorded_at": now, "title_id": title_id}
        await stores.session(f"{title_id}-{name}", "anna", **{**heard, **columns})

    for state in ("starting", "playing", "buffering"):
        await plays(state, state=state)
    await plays("second-device")
    await plays("cmcd-alone", last_seq=-1, cmcd_count=4)
    await plays("paused", state="paused")
    await plays("granted", state="starting", last_seq=-1)
    await plays("quiet", last_recorded_at=now - lately - timedelta(seconds=1))
    await plays("over", state="ended", exit_reason="stopped")
    await plays("download", offline=True)
    await plays("elsewhere", title_id="another")
    reply = await query_api.get(f"/v1/titles/{title_id}/viewers", who=OPERATOR)
    assert reply.json()["now"] == 5


async def test_a_title_that_the_catalog_does_not_have_is_unknown(query_api: QueryApi) -> None:
    reply = await query_api.get(f"/v1/titles/{new_id()}/viewers", who=ANALYST)
    assert (reply.status_code, reply.json()["type"].rpartition("/")[2]) == (404, "title-unknown")


async def test_viewers_are_for_who_may_see_what_everybody_watches(query_api: QueryApi, title_id: str) -> None:
    viewer = Principal(subject="anna", account_id="household-1", profile_id="anna")
    reply = await query_api.get(f"/v1/titles/{title_id}/viewers", who=viewer)
    assert (reply.status_code, reply.json()["type"].rpartition("/")[2]) == (403, "scope-missing")
