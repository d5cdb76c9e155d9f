"""StartPlayback decides, on real servers: where and when a title may be played, and what each refusal says."""

from collections.abc import AsyncIterator
from datetime import datetime

import pytest

from commands.playback.refusals import LocationUnknown, PinRequired, TitleNotAvailable, TitleNotPlayable, TitleUnknown
from commands.subscription.installation import of_account
from events.catalog import TitlePublished
from events.titles import Holdback, Kind
from events.types import AccountId, Licence, Maturity, TitleId
from infra.access.permissions import Principal
from infra.clock import utc_now
from infra.ids import new_id
from infra.settings import Settings
from tests.builders import episode_published, of_catalog, series_published, title_details, title_withdrawn
from tests.commands.subscription.accounts import DAY, STANDARD, T0
from tests.integration.box_office import (
    ACTIVE,
    ANYTIME,
    FREE,
    MICROSECOND,
    BoxOffice,
    account,
    opened_box_office,
    viewer,
    window,
)
from tests.integration.households import problem, running_house
from tests.integration.showing import HOME

pytestmark = pytest.mark.integration

KR_12 = Maturity(system="KR", value="12", minimum_age=12)


@pytest.fixture(scope="module")
async def opened(live: Settings) -> AsyncIterator[BoxOffice]:
    async with opened_box_office(live) as office:
        yield office


@pytest.fixture
def office(opened: BoxOffice) -> BoxOffice:
    return opened.at_first()


@pytest.fixture
async def subscriber(office: BoxOffice) -> Principal:
    """Who has the plan standard until FEB."""
    someone = viewer()
    await office.lives(account(someone), *ACTIVE)
    return someone


async def test_a_title_plays_from_the_instant_its_window_opens_and_not_at_the_instant_it_closes(
    office: BoxOffice, subscriber: Principal
) -> None:
    opens, closes = T0 + 2 * DAY, T0 + 3 * DAY
    title = await office.publishes(window(opens, closes))
    office.now = opens - MICROSECOND
    refused = await office.refuses(TitleNotAvailable, title, subscriber)
    assert refused.members == {"territory": HOME, "opens_at": opens}
    assert await office.plays_at(opens, title, subscriber)
    assert await office.plays_at(closes - MICROSECOND, title, subscriber)
    assert not await office.plays_at(closes, title, subscriber)
    assert (await office.refuses(TitleNotAvailable, title, subscriber)).members["opens_at"] is None


async def test_what_is_open_elsewhere_is_not_available_and_elsewhere_is_not_told(
    office: BoxOffice, subscriber: Principal
) -> None:
    soon = T0 + 9 * DAY
    title = await office.publishes(window(territory="NL"), window(soon, territory="US"), window(soon + DAY))
    refused = await office.refuses(TitleNotAvailable, title, subscriber)
    assert refused.members == {"territory": HOME, "opens_at": soon + DAY}
    assert "NL" not in refused.detail
    assert "US" not in refused.detail
    assert (await office.admits(title, subscriber, territory="NL")).territory == "NL"
    assert (await office.refuses(TitleNotAvailable, title, subscriber, territory="DE")).members["opens_at"] is None


async def test_between_two_windows_the_next_opening_is_told(office: BoxOffice, subscriber: Principal) -> None:
    later = T0 + 5 * DAY
    title = await office.publishes(window(None, T0), window(later, later + DAY), window(later + 2 * DAY))
    assert (await office.refuses(TitleNotAvailable, title, subscriber)).members["opens_at"] == later


async def test_a_holdback_closes_its_licence_for_its_time_and_no_other(
    office: BoxOffice, subscriber: Principal
) -> None:
    begins, ends = T0 + 2 * DAY, T0 + 4 * DAY
    held_back = (Holdback(territories=(HOME,), licence=Licence.SVOD, starts_at=begins, ends_at=ends),)
    title = await office.publishes(ANYTIME, holdbacks=held_back)
    assert await office.plays_at(begins - MICROSECOND, title, subscriber)
    office.now = begins
    assert (await office.refuses(TitleNotAvailable, title, subscriber)).members["opens_at"] == ends
    assert await office.plays_at(ends, title, subscriber)
    also_free = await office.publishes(ANYTIME, FREE, holdbacks=held_back)
    office.now = begins
    assert (await office.admits(also_free, subscriber)).entitled_by == "free"


async def test_an_episode_plays_in_its_own_windows_whatever_those_of_its_series_are(
    office: BoxOffice, subscriber: Principal
) -> None:
    series = f"series-{new_id()}"
    opens = T0 + 3 * DAY
    await office.views.apply(
        [
            series_published(series, availability=(ANYTIME,)),
            episode_published(1, series_id=series, availability=(ANYTIME,), maturity=()),
            episode_published(2, series_id=series, availability=(window(opens),), maturity=()),
        ]
    )
    first = await office.admits(f"{series}-s1e1", subscriber)
    assert first.title.next_title_id == f"{series}-s1e2"
    refused = await office.refuses(TitleNotAvailable, f"{series}-s1e2", subscriber)
    assert refused.members["opens_at"] == opens
    office.now = opens
    assert (await office.admits(f"{series}-s1e2", subscriber)).title.series_id == series


async def test_without_a_territory_nothing_is_available(office: BoxOffice, subscriber: Principal) -> None:
    title = await office.publishes(ANYTIME)
    refused = await office.refuses(LocationUnknown, title, subscriber, territory=None)
    assert refused.members == {}


async def test_what_is_no_title_is_told_before_where_it_plays(office: BoxOffice, subscriber: Principal) -> None:
    await office.refuses(TitleUnknown, "no-such-film", subscriber, territory=None)
    series, channel = f"series-{new_id()}", f"channel-{new_id()}"
    live = TitlePublished(
        title_id=TitleId(channel), kind=Kind.LIVE_CHANNEL, details=title_details(availability=(ANYTIME,))
    )
    await office.views.apply([series_published(series), of_catalog(live, channel)])
    for group in (series, channel):
        await office.refuses(TitleNotPlayable, group, subscriber)


async def test_a_withdrawn_title_is_unknown_as_soon_as_the_view_has_it(
    office: BoxOffice, subscriber: Principal
) -> None:
    series = f"series-{new_id()}"
    published = episode_published(1, series_id=series, availability=(ANYTIME,), maturity=())
    await office.views.apply([published])
    await office.admits(f"{series}-s1e1", subscriber)
    await office.views.apply([title_withdrawn(published)])
    await office.refuses(TitleUnknown, f"{series}-s1e1", subscriber)


async def test_a_title_above_the_limit_needs_the_pin_whatever_is_paid(office: BoxOffice, subscriber: Principal) -> None:
    title = await office.publishes(ANYTIME, maturity=(KR_12,))
    child = viewer(account(subscriber), maturity_limit=7)
    refused = await office.refuses(PinRequired, title, child)
    assert (refused.members["minimum_age"], refused.members["maturity_limit"]) == (12, 7)
    assert refused.members["unlock"] == f"/v1/accounts/{child.account_id}/profiles/{child.profile_id}/unlock"
    await office.admits(title, viewer(account(subscriber), maturity_limit=12))
    await office.refuses(PinRequired, title, viewer(maturity_limit=7))  # nothing paid: the rating is told first


async def test_where_a_title_is_not_available_a_child_is_not_asked_for_a_pin(
    office: BoxOffice, subscriber: Principal
) -> None:
    title = await office.publishes(window(T0 + 9 * DAY), maturity=(KR_12,))
    await office.refuses(TitleNotAvailable, title, viewer(account(subscriber), maturity_limit=7))


async def test_each_refusal_has_a_name_of_its_own(office: BoxOffice) -> None:
    someone = viewer()
    playable = await office.publishes(ANYTIME)
    later = await office.publishes(window(utc_now() + DAY))
    series = f"series-{new_id()}"
    await office.views.apply([series_published(series)])
    nobody = Principal(subject="viewer", account_id=new_id())
    child = viewer(maturity_limit=7)
    asked = [(nobody, playable), (someone, "no-such"), (someone, series), (someone, later), (child, playable)]
    names = [problem(await office.starts(title, by)) for by, title in [*asked, (someone, playable)]]
    assert names == [
        (403, "profile-required"),
        (404, "title-unknown"),
        (409, "title-not-playable"),
        (403, "title-not-available"),
        (403, "pin-required"),
        (403, "not-entitled"),
    ]


async def test_a_refusal_by_window_tells_the_next_opening_as_a_moment(office: BoxOffice) -> None:
    opens = (utc_now() + DAY).replace(microsecond=0)
    reply = await office.starts(await office.publishes(window(opens)), viewer())
    told = reply.json()
    assert (told["territory"], datetime.fromisoformat(told["opens_at"])) == (HOME, opens)


async def test_a_player_that_says_where_it_is_is_not_believed(office: BoxOffice) -> None:
    title = await office.publishes(window(territory="NL", licence=Licence.AVOD))
    assert problem(await office.starts(title, viewer())) == (403, "title-not-available")
    assert problem(await office.starts(title, viewer(), territory="NL")) == (422, "invalid-request")


async def test_the_territory_is_what_a_trusted_proxy_says(live: Settings, office: BoxOffice) -> None:
    title = await office.publishes(window(territory="NL", licence=Licence.AVOD))
    believed = {"trusted_proxies": ("127.0.0.1/32",), "territory_header": "CF-IPCountry", "default_territory": None}
    for changes, status in ((believed, 201), ({**believed, "trusted_proxies": ("10.0.0.0/8",)}, 403)):
        async with running_house(live, **changes) as house:
            token = house.app.state.tokens.mint_access(viewer())
            reply = await house.client.post(
                "/v1/playback/sessions",
                json={"title_id": title, "device": {"device_id": "tv-1", "type": "tv"}},
                headers={"Authorization": f"Bearer {token}", "CF-IPCountry": "NL"},
            )
        assert reply.status_code == status
    assert problem(reply) == (403, "location-unknown")


async def test_a_start_says_where_and_by_what_it_was_granted_and_how_good_it_may_be(office: BoxOffice) -> None:
    someone = viewer()
    await office.subscribes(someone)
    await office.projects(of_account(AccountId(account(someone))).stream_id)
    reply = await office.starts(await office.publishes(ANYTIME), someone)
    assert (reply.status_code, reply.json()["max_resolution"]) == (201, STANDARD.limits.max_resolution)
    free = await office.starts(await office.publishes(FREE), viewer())
    assert free.json()["max_resolution"] is None
