"""Whom a subscription lets start what, how much of it, and what happens while the views are late; on real servers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime

import pytest

from commands.playback.admission import Asked, admit
from commands.playback.admission.admitting import AHEAD_OF_VIEWS
from commands.playback.refusals import DownloadsNotAllowed, NotEntitled
from commands.subscription import commands as c
from commands.subscription.installation import of_account
from events.topics import SUBSCRIPTION
from events.types import AccountId, Licence, TitleId
from infra.access.permissions import Principal
from infra.clock import utc_now
from infra.postgres import Pool, Role, connect_pool
from infra.settings import Settings
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
    ACTIVE,
    ANYTIME,
    FREE,
    HOUR,
    MICROSECOND,
    RENTABLE,
    SOLD,
    BoxOffice,
    account,
    opened_box_office,
    viewer,
    window,
)
from tests.integration.showing import HOME

pytestmark = pytest.mark.integration


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


async def test_who_has_just_subscribed_is_let_in_by_the_log_while_the_view_is_late(office: BoxOffice) -> None:
    title, someone = await office.publishes(ANYTIME), viewer()
    office.now = utc_now()
    before = AHEAD_OF_VIEWS._value.get()
    await office.refuses(NotEntitled, title, someone)
    await office.subscribes(someone)
    admission = await office.admits(title, someone)
    assert (admission.entitled_by, admission.max_streams) == ("subscription", STANDARD.limits.streams)
    assert AHEAD_OF_VIEWS._value.get() == before + 1


async def test_the_log_lets_nobody_in_whose_subscription_gives_no_access(office: BoxOffice) -> None:
    title, someone = await office.publishes(ANYTIME), viewer()
    office.now = utc_now()
    await office.subscribes(someone)
    await office.does(of_account(AccountId(account(someone))), c.Cancel(immediately=True))
    await office.refuses(NotEntitled, title, someone)


async def test_what_was_just_bought_plays_while_the_view_is_late(office: BoxOffice) -> None:
    bought, rented, buyer = await office.publishes(SOLD), await office.publishes(RENTABLE), viewer()
    office.now = utc_now()
    await office.purchases(buyer, bought, "purchase")
    rental = await office.purchases(buyer, rented, "rental")
    assert (await office.admits(bought, buyer)).entitled_by == "purchase"
    assert (await office.admits(rented, buyer)).rental == rental
    await office.refuses(NotEntitled, bought, viewer())
    await office.refuses(NotEntitled, await office.publishes(SOLD), buyer)


async def test_what_the_log_adds_takes_nothing_of_what_the_view_has(office: BoxOffice) -> None:
    title, buyer = await office.publishes(SOLD), viewer()
    await office.subscribes(buyer)
    await office.projects(of_account(AccountId(account(buyer))).stream_id)
    await office.purchases(buyer, title, "purchase")
    office.now = utc_now()
    admission = await office.admits(title, buyer)
    assert (admission.entitled_by, admission.max_streams) == ("purchase", STANDARD.limits.streams)


async def test_the_log_is_not_asked_again_for_what_the_view_has_applied(office: BoxOffice, postgres: Pool) -> None:
    title, someone = await office.publishes(ANYTIME), viewer()
    office.now = utc_now()
    await office.subscribes(someone)
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
    await postgres.execute(
        """insert into projection_checkpoint (projection, topic, partition, next_offset, position, updated_at)
           values ('postgres', $1, $2, 0, $3, now())""",
        SUBSCRIPTION.name,
        at["partition"],
        at["position"],
    )
    yield
    await postgres.execute(f"delete from projection_checkpoint where {where}", at["partition"])
    if held is not None:
        names, places = ", ".join(held.keys()), ", ".join(f"${place}" for place in range(1, len(held) + 1))
        await postgres.execute(f"insert into projection_checkpoint ({names}) values ({places})", *held.values())
