"""StartPlayback decides, on real servers: where and when a title may be played, by whom, and what each refusal says."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from commands.dependencies import OnFirstPlay
from commands.playback.admission import Asked, admit
from commands.playback.admission.admitting import AHEAD_OF_VIEWS
from commands.playback.refusals import (
    DownloadsNotAllowed,
    LocationUnknown,
    NotEntitled,
    PinRequired,
    TitleNotAvailable,
    TitleNotPlayable,
    TitleUnknown,
)
from commands.subscription import commands as c
from commands.subscription.installation import of_account, of_purchase
from commands.subscription.purchases import StartRental
from events.catalog import TitlePublished
from events.envelope import Context
from events.refusals import Refusal
from events.registry import type_of
from events.subscription import PurchaseKind, RentalStarted
from events.titles import Holdback, Kind
from events.topics import SUBSCRIPTION
from events.types import AccountId, InvoiceId, Licence, Maturity, PurchaseId, TitleId
from infra.access.permissions import Principal
from infra.clock import utc_now
from infra.ids import new_id
from infra.postgres import Pool, Role, connect_pool
from infra.settings import Settings
from tests.builders import episode_published, of_catalog, series_published, title_details, title_withdrawn
from tests.commands.subscription.accounts import (
    DAY,
    DECLINE,
    FEB,
    PAY,
    PREMIUM,
    STANDARD,
    T0,
    TRIED,
    Step,
    plan,
    sign_up,
)
from tests.integration.box_office import (
    MICROSECOND,
    PRICE,
    BoxOffice,
    opened_box_office,
    paying,
    starting,
    viewer,
    window,
)
from tests.integration.households import problem, running_house
from tests.integration.showing import HOME

pytestmark = pytest.mark.integration

ACTIVE: tuple[Step, ...] = ((sign_up(), T0), (PAY, T0))
HOUR = timedelta(hours=1)
ANYTIME = window()
FREE = window(licence=Licence.AVOD)
RENTABLE = window(licence=Licence.TVOD)
SOLD = window(licence=Licence.EST)
KR_12 = Maturity(system="KR", value="12", minimum_age=12)


@pytest.fixture(scope="module")
async def opened(live: Settings) -> AsyncIterator[BoxOffice]:
    async with opened_box_office(live) as office:
        yield office


@pytest.fixture
def office(opened: BoxOffice) -> BoxOffice:
    opened.now, opened.changes = T0 + DAY, {}
    return opened


@pytest.fixture
async def subscriber(office: BoxOffice) -> Principal:
    """Who has the plan standard until FEB."""
    someone = viewer()
    await office.lives(account(someone), *ACTIVE)
    return someone


def account(of: Principal) -> str:
    assert of.account_id is not None
    return of.account_id


async def admitted_at(office: BoxOffice, at: datetime, title_id: str, by: Principal) -> bool:
    office.now = at
    try:
        await office.admits(title_id, by)
    except Refusal:
        return False
    return True


# Where and when


async def test_a_title_plays_from_the_instant_its_window_opens_and_not_at_the_instant_it_closes(
    office: BoxOffice, subscriber: Principal
) -> None:
    opens, closes = T0 + 2 * DAY, T0 + 3 * DAY
    title = await office.publishes(window(opens, closes))
    office.now = opens - MICROSECOND
    refused = await office.refuses(TitleNotAvailable, title, subscriber)
    assert refused.members == {"territory": HOME, "opens_at": opens}
    assert await admitted_at(office, opens, title, subscriber)
    assert await admitted_at(office, closes - MICROSECOND, title, subscriber)
    assert not await admitted_at(office, closes, title, subscriber)
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
    assert await admitted_at(office, begins - MICROSECOND, title, subscriber)
    office.now = begins
    assert (await office.refuses(TitleNotAvailable, title, subscriber)).members["opens_at"] == ends
    assert await admitted_at(office, ends, title, subscriber)
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


# For whom: the rating


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


# For whom: the subscription


@pytest.mark.parametrize(
    ("steps", "at", "actions"),
    [
        ((), T0, ["subscribe"]),
        (((sign_up(TRIED), T0),), T0 + 13 * DAY, None),
        (ACTIVE, FEB - MICROSECOND, None),
        (ACTIVE, FEB, None),  # nobody renewed it yet: it is in grace
        (ACTIVE, FEB + 7 * DAY - MICROSECOND, None),
        (ACTIVE, FEB + 7 * DAY, ["pay"]),  # the grace is over, whether or not anybody said so
        ((*ACTIVE, (c.Renew(number=2), FEB), (DECLINE, FEB)), FEB + DAY, None),
        (
            (*ACTIVE, (c.Renew(number=2), FEB), (DECLINE, FEB), (c.EnterPastDue(), FEB + 7 * DAY)),
            FEB + 8 * DAY,
            ["pay"],
        ),
        (ACTIVE, FEB + 37 * DAY, ["subscribe"]),  # overdue for too long
        ((*ACTIVE, (c.Pause(), T0 + DAY)), T0 + 2 * DAY, ["resume"]),
        ((*ACTIVE, (c.Pause(until=T0 + 5 * DAY), T0 + DAY)), T0 + 5 * DAY - MICROSECOND, ["resume"]),
        ((*ACTIVE, (c.Pause(until=T0 + 5 * DAY), T0 + DAY)), T0 + 5 * DAY, None),  # it is over by itself
        ((*ACTIVE, (c.Pause(until=T0 + 5 * DAY), T0 + DAY)), FEB + 10 * DAY, None),  # and all that follows is later
        ((*ACTIVE, (c.Cancel(), T0 + DAY)), FEB - MICROSECOND, None),
        ((*ACTIVE, (c.Cancel(), T0 + DAY)), FEB, ["subscribe"]),
        ((*ACTIVE, (c.Cancel(immediately=True), T0 + DAY)), T0 + 2 * DAY, ["subscribe"]),
        (((sign_up(), T0),), T0 + HOUR, ["pay"]),
        (((sign_up(), T0),), T0 + 2 * DAY, ["subscribe"]),
    ],
)
async def test_svod_plays_while_the_subscription_gives_access(
    office: BoxOffice, steps: tuple[Step, ...], at: datetime, actions: list[str] | None
) -> None:
    title, someone = await office.publishes(ANYTIME), viewer()
    if steps:
        await office.lives(account(someone), *steps)
    office.now = at
    if actions is None:
        assert (await office.admits(title, someone)).entitled_by == "subscription"
    else:
        refused = await office.refuses(NotEntitled, title, someone)
        assert refused.members["actions"] == actions
        assert (refused.members["subscription_status"] is None) is (steps == ())


async def test_the_subscription_of_another_account_entitles_nobody(office: BoxOffice, subscriber: Principal) -> None:
    title = await office.publishes(ANYTIME)
    await office.admits(title, subscriber)
    await office.refuses(NotEntitled, title, viewer())


@pytest.mark.parametrize("licence", [Licence.AVOD, Licence.FAST])
async def test_what_advertisers_pay_for_needs_no_subscription(office: BoxOffice, licence: Licence) -> None:
    title = await office.publishes(window(licence=licence))
    assert (await office.admits(title, viewer())).entitled_by == "free"


async def test_only_the_licences_that_are_open_now_and_here_count(office: BoxOffice) -> None:
    title = await office.publishes(
        window(licence=Licence.AVOD, territory="NL"), window(T0 + 9 * DAY, licence=Licence.AVOD), RENTABLE, SOLD
    )
    refused = await office.refuses(NotEntitled, title, viewer())
    assert (refused.members["licences"], refused.members["actions"]) == (["est", "tvod"], ["rent", "buy"])


async def test_where_billing_is_elsewhere_whoever_is_signed_in_watches_what_a_subscription_would_allow(
    office: BoxOffice,
) -> None:
    office.changes = {"subscription_required": False, "streams_without_plan": 3}
    admission = await office.admits(await office.publishes(ANYTIME), viewer())
    assert (admission.entitled_by, admission.max_streams) == ("subscription", 3)
    await office.refuses(NotEntitled, await office.publishes(SOLD), viewer())


# For whom: purchases


async def test_what_was_bought_plays_for_good_and_for_nobody_else(office: BoxOffice) -> None:
    title, buyer = await office.publishes(SOLD), viewer()
    await office.refuses(NotEntitled, title, buyer)
    await office.buys(account(buyer), title)
    for at in (T0, T0 + 3_650 * DAY):
        office.now = at
        admission = await office.admits(title, buyer)
        assert (admission.entitled_by, admission.rental) == ("purchase", None)
    await office.refuses(NotEntitled, title, viewer())
    await office.refuses(NotEntitled, await office.publishes(SOLD), buyer)


async def test_a_series_that_was_bought_is_all_of_its_episodes(office: BoxOffice) -> None:
    series, buyer = f"series-{new_id()}", viewer()
    episodes = [episode_published(n, series_id=series, availability=(SOLD,), maturity=()) for n in (1, 2)]
    await office.views.apply([series_published(series), *episodes])
    await office.buys(account(buyer), series)
    for number in (1, 2):
        assert (await office.admits(f"{series}-s1e{number}", buyer)).entitled_by == "purchase"


async def test_a_purchase_that_is_not_paid_entitles_to_nothing(office: BoxOffice) -> None:
    title, buyer = await office.publishes(SOLD), viewer()
    await office.buys(account(buyer), title, paid=False)
    assert (await office.refuses(NotEntitled, title, buyer)).members["actions"] == ["buy"]


async def test_a_purchase_that_was_refunded_entitles_to_nothing(office: BoxOffice) -> None:
    title, buyer = await office.publishes(SOLD), viewer()
    purchase_id = await office.buys(account(buyer), title)
    await office.views.pool.execute(
        "update subscription_purchases set status = 'revoked' where purchase_id = $1", purchase_id
    )
    await office.refuses(NotEntitled, title, buyer)


async def test_a_rental_waits_thirty_days_for_its_first_play(office: BoxOffice) -> None:
    title, renter = await office.publishes(RENTABLE), viewer()
    purchase_id = await office.buys(account(renter), title, "rental")
    office.now = T0 + 30 * DAY - MICROSECOND
    assert (await office.admits(title, renter)).rental == purchase_id
    office.now = T0 + 30 * DAY
    assert (await office.refuses(NotEntitled, title, renter)).members["actions"] == ["rent"]


async def test_a_rental_plays_for_forty_eight_hours_from_its_first_play(office: BoxOffice) -> None:
    title, renter = await office.publishes(RENTABLE), viewer()
    begun = T0 + 30 * DAY - HOUR
    await office.buys(account(renter), title, "rental", (StartRental(), begun))
    office.now = begun + 48 * HOUR - MICROSECOND
    assert (await office.admits(title, renter)).rental is None
    assert not await admitted_at(office, begun + 48 * HOUR, title, renter)


async def test_a_rental_that_runs_is_used_up_before_another_is_begun(office: BoxOffice) -> None:
    title, renter = await office.publishes(RENTABLE), viewer()
    waiting = await office.buys(account(renter), title, "rental")
    await office.buys(account(renter), title, "rental", (StartRental(), T0 + DAY))
    office.now = T0 + 2 * DAY
    assert (await office.admits(title, renter)).rental is None
    office.now = T0 + 4 * DAY
    assert (await office.admits(title, renter)).rental == waiting


async def test_a_pay_per_view_plays_while_it_is_on(office: BoxOffice) -> None:
    title, payer = await office.publishes(RENTABLE), viewer()
    opens, closes = T0 + 3 * DAY, T0 + 3 * DAY + 4 * HOUR
    await office.buys(account(payer), title, "pay_per_view", opens_at=opens, closes_at=closes)
    assert [
        await admitted_at(office, at, title, payer) for at in (opens - MICROSECOND, opens, closes - MICROSECOND, closes)
    ] == [False, True, True, False]


async def test_what_was_bought_does_not_play_where_no_window_is_open(office: BoxOffice) -> None:
    title, buyer = await office.publishes(SOLD), viewer()
    await office.buys(account(buyer), title)
    await office.refuses(TitleNotAvailable, title, buyer, territory="NL")


async def test_an_overdue_subscription_takes_nothing_that_was_bought(office: BoxOffice) -> None:
    title, buyer = await office.publishes(SOLD, ANYTIME), viewer()
    await office.lives(account(buyer), *ACTIVE)
    await office.buys(account(buyer), title)
    office.now = FEB + 8 * DAY
    assert (await office.admits(title, buyer)).entitled_by == "purchase"


# How much


async def test_the_plan_says_how_many_streams_in_which_resolution_and_how_many_downloads(office: BoxOffice) -> None:
    title = await office.publishes(ANYTIME)
    for terms, streams in ((STANDARD, 2), (PREMIUM, 4)):
        someone = viewer()
        await office.lives(account(someone), (sign_up(terms), T0), (PAY, T0))
        admission = await office.admits(title, someone)
        limits = terms.limits
        assert (admission.max_streams, admission.max_resolution) == (streams, limits.max_resolution)
        assert admission.downloads == limits.downloads


async def test_the_plan_that_was_signed_up_to_counts_and_not_its_newest_version(office: BoxOffice) -> None:
    title, someone = await office.publishes(ANYTIME), viewer()
    await office.lives(account(someone), (sign_up(plan("standard", 999, 3, version=7)), T0), (PAY, T0))
    assert (await office.admits(title, someone)).max_streams == 3


async def test_without_a_plan_the_installation_says_how_many_streams_and_downloads(office: BoxOffice) -> None:
    title, buyer = await office.publishes(SOLD), viewer()
    await office.buys(account(buyer), title)
    admission = await office.admits(title, buyer)
    assert (admission.max_streams, admission.downloads, admission.max_resolution) == (1, 0, None)
    office.changes = {"streams_without_plan": 2, "downloads_without_plan": 5}
    admission = await office.admits(title, buyer)
    assert (admission.max_streams, admission.downloads) == (2, 5)


async def test_what_was_bought_is_as_good_as_it_comes_and_counts_among_the_plans_streams(
    office: BoxOffice, subscriber: Principal
) -> None:
    title = await office.publishes(SOLD)
    await office.buys(account(subscriber), title)
    admission = await office.admits(title, subscriber)
    assert (admission.max_streams, admission.max_resolution) == (STANDARD.limits.streams, None)


async def test_only_who_may_keep_titles_downloads_one(office: BoxOffice, subscriber: Principal) -> None:
    title = await office.publishes(ANYTIME, FREE)
    assert (await office.admits(title, subscriber, offline=True)).downloads == STANDARD.limits.downloads
    await office.refuses(DownloadsNotAllowed, title, viewer(), offline=True)
    await office.admits(title, viewer())


async def test_a_start_is_decided_in_one_statement(office: BoxOffice, subscriber: Principal, live: Settings) -> None:
    title = await office.publishes(ANYTIME)
    asked: list[object] = []
    pool = await connect_pool(live, role=Role.COMMANDS, size=1)
    async with pool.acquire() as connection:
        connection.add_query_logger(asked.append)
    resources = replace(office.house.app.state.resources, pool=pool, clock=office.clock)
    await admit(resources, Asked(title_id=TitleId(title), device_id="tv-1", caller=subscriber, territory=HOME))
    await pool.close()
    assert len(asked) == 1


# Views that are late


async def test_who_has_just_subscribed_is_let_in_by_the_log_while_the_view_is_late(office: BoxOffice) -> None:
    title, someone = await office.publishes(ANYTIME), viewer()
    office.now = utc_now()
    before = AHEAD_OF_VIEWS._value.get()
    await office.refuses(NotEntitled, title, someone)
    await subscribes(office, someone)
    admission = await office.admits(title, someone)
    assert (admission.entitled_by, admission.max_streams) == ("subscription", STANDARD.limits.streams)
    assert AHEAD_OF_VIEWS._value.get() == before + 1


async def test_the_log_lets_nobody_in_whose_subscription_gives_no_access(office: BoxOffice) -> None:
    title, someone = await office.publishes(ANYTIME), viewer()
    office.now = utc_now()
    await subscribes(office, someone)
    await office.does(of_account(AccountId(account(someone))), c.Cancel(immediately=True))
    await office.refuses(NotEntitled, title, someone)


async def test_what_was_just_bought_plays_while_the_view_is_late(office: BoxOffice) -> None:
    bought, rented, buyer = await office.publishes(SOLD), await office.publishes(RENTABLE), viewer()
    office.now = utc_now()
    await purchases(office, buyer, bought, "purchase")
    rental = await purchases(office, buyer, rented, "rental")
    assert (await office.admits(bought, buyer)).entitled_by == "purchase"
    assert (await office.admits(rented, buyer)).rental == rental
    await office.refuses(NotEntitled, bought, viewer())
    await office.refuses(NotEntitled, await office.publishes(SOLD), buyer)


async def test_the_log_is_not_asked_again_for_what_the_view_has_applied(office: BoxOffice, postgres: Pool) -> None:
    title, someone = await office.publishes(ANYTIME), viewer()
    office.now = utc_now()
    await subscribes(office, someone)
    async with applied_by_the_views(postgres, of_account(AccountId(account(someone))).stream_id):
        await office.refuses(NotEntitled, title, someone)
    await office.admits(title, someone)


@asynccontextmanager
async def applied_by_the_views(postgres: Pool, stream_id: str) -> AsyncIterator[None]:
    """The projection's checkpoint behind a stream's last event, whatever it holds; as it was afterwards."""
    at = await postgres.fetchrow(
        "select partition, max(position) as position from event_log where stream_id = $1 group by partition", stream_id
    )
    assert at is not None
    where = "projection = 'postgres' and topic = 'subscription.events' and partition = $1"
    held = await postgres.fetchrow(f"delete from projection_checkpoint where {where} returning *", at["partition"])
    put = "insert into projection_checkpoint values ($1, $2, $3, $4, $5, $6)"
    await postgres.execute(put, "postgres", SUBSCRIPTION.name, at["partition"], 0, at["position"], utc_now())
    yield
    await postgres.execute(f"delete from projection_checkpoint where {where}", at["partition"])
    if held is not None:
        await postgres.execute(put, *held.values())


async def subscribes(office: BoxOffice, someone: Principal) -> None:
    """To the plan standard, now, in the log alone."""
    target = of_account(AccountId(account(someone)))
    started = replace(sign_up(), account_id=AccountId(account(someone)))
    paid = c.RecordPaymentSucceeded(
        invoice_id=InvoiceId(f"account-{account(someone)}.1"), charge_id=new_id(), amount=STANDARD.prices[0].price
    )
    await office.does(target, started, paid)


async def purchases(office: BoxOffice, someone: Principal, title_id: str, kind: PurchaseKind) -> str:
    """A title, now, in the log alone; the purchase's id."""
    purchase_id = new_id()
    taken = starting(account(someone), title_id, purchase_id, kind)
    await office.does(of_purchase(PurchaseId(purchase_id)), taken, paying(purchase_id))
    return purchase_id


# Over HTTP: the first play of a rental


@pytest.fixture
async def rented(office: BoxOffice) -> tuple[str, Principal, str]:
    """A title, who rented it and has not played it, and the rental: in the log, and in the view."""
    title, renter = await office.publishes(RENTABLE), viewer()
    rental = await purchases(office, renter, title, "rental")
    await office.projects(of_purchase(PurchaseId(rental)).stream_id)
    return title, renter, rental


async def first_plays(office: BoxOffice, rental: str) -> int:
    """How often the log says that the rental was begun."""
    found: int = await office.views.pool.fetchval(
        "select count(*) from event_log where stream_id = $1 and type = $2",
        of_purchase(PurchaseId(rental)).stream_id,
        type_of(RentalStarted),
    )
    return found


async def start(office: BoxOffice, title_id: str, by: Principal, **body: Any) -> httpx.Response:
    device = {"device_id": "tv-1", "type": "tv"}
    return await office.house.client.post(
        "/v1/playback/sessions",
        json={"title_id": title_id, "device": device, **body},
        headers={"Authorization": f"Bearer {office.house.app.state.tokens.mint_access(by)}"},
    )


async def test_a_rental_begins_with_its_first_play_and_once(
    office: BoxOffice, rented: tuple[str, Principal, str]
) -> None:
    title, renter, rental = rented
    session_id = str(uuid4())
    assert await first_plays(office, rental) == 0
    assert (await start(office, title, renter, session_id=session_id)).status_code == 201
    assert await first_plays(office, rental) == 1
    office.changes = {}
    await office.house.app.state.resources.on_first_play(rental, Context(correlation_id="again", principal="again"))
    assert await first_plays(office, rental) == 1


async def test_a_start_that_is_refused_begins_no_rental(office: BoxOffice, rented: tuple[str, Principal, str]) -> None:
    title, renter, rental = rented
    free, session_id = await office.publishes(FREE), str(uuid4())
    assert (await start(office, free, renter, session_id=session_id)).status_code == 201
    assert (await start(office, title, renter, session_id=session_id)).status_code == 409
    assert await first_plays(office, rental) == 0


async def test_a_start_over_the_limit_begins_no_rental(office: BoxOffice, rented: tuple[str, Principal, str]) -> None:
    title, renter, rental = rented
    assert (await start(office, await office.publishes(FREE), renter)).status_code == 201
    assert (await start(office, title, renter)).status_code == 409
    assert await first_plays(office, rental) == 0


async def test_killed_before_the_rental_began_the_player_has_no_token_and_its_repeat_begins_it(
    office: BoxOffice, rented: tuple[str, Principal, str]
) -> None:
    title, renter, rental = rented

    async def killed(purchase_id: PurchaseId, context: Context) -> bool:
        raise RuntimeError(f"killed before {purchase_id} of {context.principal} was begun")

    session_id = str(uuid4())
    with beginning(office, killed):
        assert (await start(office, title, renter, session_id=session_id)).status_code == 500
    assert await first_plays(office, rental) == 0
    assert (await start(office, title, renter, session_id=session_id)).status_code == 201
    assert await first_plays(office, rental) == 1


async def test_killed_after_the_rental_began_the_repeat_goes_on_in_the_same_hours(
    office: BoxOffice, rented: tuple[str, Principal, str]
) -> None:
    title, renter, rental = rented
    begin: OnFirstPlay = office.house.app.state.resources.on_first_play

    async def killed(purchase_id: PurchaseId, context: Context) -> bool:
        await begin(purchase_id, context)
        raise RuntimeError("killed before the reply")

    session_id = str(uuid4())
    with beginning(office, killed):
        assert (await start(office, title, renter, session_id=session_id)).status_code == 500
    assert await first_plays(office, rental) == 1
    assert (await start(office, title, renter, session_id=session_id)).status_code == 201
    await office.projects(of_purchase(PurchaseId(rental)).stream_id)
    assert await first_plays(office, rental) == 1


async def test_a_rental_that_was_refunded_a_moment_ago_is_not_begun(
    office: BoxOffice, rented: tuple[str, Principal, str]
) -> None:
    title, renter, rental = rented
    invoice_id, charge_id = InvoiceId(f"purchase-{rental}.1"), f"ch-{rental}"
    given_back = c.RecordRefund(
        invoice_id=invoice_id, provider_refund_id="re-1", outcome="succeeded", charge_id=charge_id, amount=PRICE
    )
    await office.does(of_purchase(PurchaseId(rental)), c.RequestRefund(invoice_id=invoice_id), given_back)
    reply = await start(office, title, renter)
    assert (problem(reply), reply.json()["actions"]) == ((403, "not-entitled"), ["rent"])
    assert await first_plays(office, rental) == 0


@contextmanager
def beginning(office: BoxOffice, instead: OnFirstPlay) -> Iterator[None]:
    """The API with another way to begin rentals."""
    state = office.house.app.state
    composed = state.resources
    state.resources = replace(composed, on_first_play=instead)
    yield
    state.resources = composed


# Over HTTP: what each refusal is called, and where a viewer is


async def test_each_refusal_has_a_name_of_its_own(office: BoxOffice) -> None:
    someone = viewer()
    playable = await office.publishes(ANYTIME)
    later = await office.publishes(window(utc_now() + DAY))
    series = f"series-{new_id()}"
    await office.views.apply([series_published(series)])
    nobody = Principal(subject="viewer", account_id=new_id())
    child = viewer(maturity_limit=7)
    asked = [(nobody, playable), (someone, "no-such"), (someone, series), (someone, later), (child, playable)]
    names = [problem(await start(office, title, by)) for by, title in [*asked, (someone, playable)]]
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
    reply = await start(office, await office.publishes(window(opens)), viewer())
    told = reply.json()
    assert (told["territory"], datetime.fromisoformat(told["opens_at"])) == (HOME, opens)


async def test_a_player_that_says_where_it_is_is_not_believed(office: BoxOffice) -> None:
    title = await office.publishes(window(territory="NL", licence=Licence.AVOD))
    assert problem(await start(office, title, viewer())) == (403, "title-not-available")
    assert problem(await start(office, title, viewer(), territory="NL")) == (422, "invalid-request")


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
    await subscribes(office, someone)
    await office.projects(of_account(AccountId(account(someone))).stream_id)
    reply = await start(office, await office.publishes(ANYTIME), someone)
    assert (reply.status_code, reply.json()["max_resolution"]) == (201, STANDARD.limits.max_resolution)
    free = await start(office, await office.publishes(FREE), viewer())
    assert free.json()["max_resolution"] is None
