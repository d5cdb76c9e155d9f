"""What viewers take out of their own watching, on real servers: what is told, and who may."""

from collections.abc import AsyncIterator

import httpx
import pytest

from events.playback import ContinueWatchingHidden, WatchHistoryRemoved
from events.types import ProfileId, ShelfId
from infra.cassandra import Cassandra
from infra.ids import new_id
from infra.postgres import Pool
from infra.redis import connect
from infra.settings import Settings
from tests.integration.households import House, Household, problem, running_house
from tests.integration.playback_tail import tail_of_playback
from tests.integration.query_api_stores import NOW, Stores

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
async def house(live: Settings) -> AsyncIterator[House]:
    async with running_house(live, profiles_without_plan=5) as house:
        yield house


@pytest.fixture
async def home(house: House) -> Household:
    account = await house.household()
    return await account.choosing(await account.profile("Mina"))


async def test_r7_hiding_a_row_is_told_in_the_history_of_its_profile(home: Household, live: Settings) -> None:
    profile_id = home.principal.profile_id
    async with tail_of_playback(live) as tail:
        reply = await home.post(f"/v1/profiles/{profile_id}/continue-watching/harbour/hide")
        assert reply.status_code == 204, reply.text
        assert reply.headers["Playhead-Position"].startswith("playback.events:")
        [hidden] = await tail.of(str(profile_id))
    assert hidden.data == ContinueWatchingHidden(
        account_id=home.account_id, profile_id=ProfileId(str(profile_id)), shelf=ShelfId("harbour")
    )
    assert (hidden.envelope.partitionkey, hidden.envelope.principal) == (profile_id, home.principal.subject)


async def test_a_row_of_another_profile_is_not_hidden(home: Household) -> None:
    for profile_id in (await home.profile("Jun"), "a-stranger"):
        reply = await home.post(f"/v1/profiles/{profile_id}/continue-watching/harbour/hide")
        assert problem(reply) == (403, "not-your-profile")


async def played(live: Settings, postgres: Pool, home: Household, title_id: str, series_id: str | None = None) -> str:
    """A session of the profile, in the view."""
    session_id, profile_id = new_id(), str(home.principal.profile_id)
    cassandra, redis = await Cassandra.connect(live), connect(live)
    stores = Stores(live, postgres, cassandra, redis)
    await stores.session(session_id, profile_id, account_id=home.account_id, title_id=title_id, series_id=series_id)
    await redis.aclose()
    await cassandra.close()
    return session_id


async def test_a_session_is_taken_out_of_the_history_once(home: Household, live: Settings, postgres: Pool) -> None:
    session_id = await played(live, postgres, home, "harbour-s1e1", "harbour")
    profile_id = str(home.principal.profile_id)
    path = f"/v1/profiles/{profile_id}/watch-history/{session_id}"
    async with tail_of_playback(live) as tail:
        reply = await delete(home, path)
        assert (reply.status_code, reply.headers["Playhead-Position"][:9]) == (204, "playback."), reply.text
        [removed] = await tail.of(profile_id)
        assert isinstance(removed.data, WatchHistoryRemoved)
        told = removed.data
        assert (told.session_id, told.started_at, told.title_id, told.shelf) == (
            session_id,
            NOW,
            "harbour-s1e1",
            "harbour",
        )
        await postgres.execute("update playback_sessions set removed_at = now() where session_id = $1", session_id)
        again = await delete(home, path)
        assert (again.status_code, len(await tail.of(profile_id))) == (204, 1)


async def test_a_title_or_a_series_is_taken_out_with_all_its_sessions(
    home: Household, live: Settings, postgres: Pool
) -> None:
    for number in (1, 2, 2):
        await played(live, postgres, home, f"harbour-s1e{number}", "harbour")
    path = f"/v1/profiles/{home.principal.profile_id}/watch-history"
    for title, removed in (("harbour-s1e2", 2), ("harbour", 3), ("unheard-of", 0)):
        assert (await delete(home, f"{path}?title={title}")).json() == {"removed": removed, "more": False}
    assert problem(await delete(home, path)) == (422, "invalid-request")


async def test_what_another_profile_played_is_unknown(home: Household, live: Settings, postgres: Pool) -> None:
    session_id = await played(live, postgres, home, "sintel")
    other = await home.choosing(await home.profile("Jun"))
    mine, theirs = home.principal.profile_id, other.principal.profile_id
    assert problem(await delete(other, f"/v1/profiles/{mine}/watch-history/{session_id}")) == (403, "not-your-profile")
    assert problem(await delete(other, f"/v1/profiles/{theirs}/watch-history/{session_id}")) == (404, "session-unknown")


async def delete(home: Household, path: str) -> httpx.Response:
    return await home.house.client.delete(path, headers={"Authorization": f"Bearer {home.tokens['access_token']}"})
