"""Screen time over a real Postgres, whose view the projection's own engine filled from events."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from events import playback as p
from events.envelope import Envelope, Event
from events.topics import PLAYBACK
from events.types import AccountId, ProfileId
from infra.access.permissions import Principal
from infra.ids import new_id
from tests.builders import playback_started, reported, session
from tests.integration.catalog_views import CatalogViews
from tests.integration.query_api_stores import QueryApi

pytestmark = pytest.mark.integration

EVENING = datetime(2026, 1, 1, 20, 30, tzinfo=UTC)
RANGE = "from=2026-01-01T00:00:00Z&to=2026-01-03T00:00:00Z"


@pytest.fixture(scope="module")
async def household(views: CatalogViews) -> str:
    """An account whose Anna watched twice, and whose child Bo once."""
    account_id = new_id()
    events = [
        *watched(account_id, "anna", EVENING, minutes=3),
        *watched(account_id, "anna", EVENING + timedelta(hours=4), minutes=2),
        *watched(account_id, "bo", EVENING, minutes=1),
    ]
    await views.apply(events, PLAYBACK.name)
    return account_id


def watched(account_id: str, name: str, at: datetime, *, minutes: int) -> list[Envelope[Event]]:
    of = session(
        new_id(), account_id=AccountId(account_id), profile_id=ProfileId(f"{account_id}-{name}"), started_at=at
    )
    told = [reported(p.Heartbeat, seq, of=of) for seq in range(1, 6 * minutes + 1)]
    return [playback_started(of), reported(p.Started, 0, of=of), *told]


def holder(account_id: str, name: str | None = "anna", **changes: Any) -> Principal:
    profile_id = name and f"{account_id}-{name}"
    return Principal(subject=account_id, account_id=account_id, profile_id=profile_id, **changes)


async def asked(query_api: QueryApi, account_id: str, who: Principal, more: str = "") -> Any:
    reply = await query_api.get(f"/v1/accounts/{account_id}/screen-time?{RANGE}{more}", who)
    assert reply.status_code == 200, reply.text
    return {each["profile_id"].removeprefix(f"{account_id}-"): each for each in reply.json()["profiles"]}


async def refused(query_api: QueryApi, path: str, who: Principal) -> str:
    reply = await query_api.get(path, who)
    assert reply.status_code == 403
    return str(reply.json()["type"]).rpartition("/")[2]


async def test_a_household_sees_the_days_of_each_profile(query_api: QueryApi, household: str) -> None:
    of = await asked(query_api, household, holder(household))
    assert {name: (each["sessions"], each["minutes"]) for name, each in of.items()} == {"anna": (2, 5), "bo": (1, 1)}
    days = [(bucket["begin"], bucket["minutes"]) for bucket in of["anna"]["buckets"]]
    assert days[:2] == [("2026-01-01T00:00:00Z", 3), ("2026-01-02T00:00:00Z", 2)]


async def test_days_are_those_of_the_zone_that_is_asked_for(query_api: QueryApi, household: str) -> None:
    of = await asked(query_api, household, holder(household), "&zone=Asia/Seoul&profile_id=" + f"{household}-anna")
    days = {bucket["begin"]: bucket["minutes"] for bucket in of["anna"]["buckets"] if bucket["minutes"]}
    assert (days, set(of)) == ({"2026-01-02T00:00:00+09:00": 5}, {"anna"})


async def test_a_profile_with_a_limit_sees_its_own(query_api: QueryApi, household: str) -> None:
    child = holder(household, "bo", maturity_limit=7)
    assert set(await asked(query_api, household, child)) == {"bo"}
    path = f"/v1/accounts/{household}/screen-time?profile_id={household}-anna"
    assert await refused(query_api, path, child) == "not-your-profile"
    assert await asked(query_api, household, holder(household, None, maturity_limit=7)) == {}


async def test_staff_see_it_and_other_accounts_do_not(query_api: QueryApi, household: str) -> None:
    analyst = Principal(subject="analyst-1", roles=("analyst",))
    assert set(await asked(query_api, household, analyst)) == {"anna", "bo"}
    other = holder(new_id())
    assert await refused(query_api, f"/v1/accounts/{household}/screen-time", other) == "not-your-account"
    assert other.account_id is not None
    assert await asked(query_api, other.account_id, other, f"&profile_id={household}-anna") == {}
