"""What viewers take out of their own watching, on real servers: what is told, and who may."""

from collections.abc import AsyncIterator

import pytest

from events.playback import ContinueWatchingHidden
from events.types import ProfileId, ShelfId
from infra.settings import Settings
from tests.integration.households import House, Household, problem, running_house
from tests.integration.playback_tail import tail_of_playback

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
