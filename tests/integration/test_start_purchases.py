"""What was rented or bought lets its account start it, and a rental begins with its first play; on real servers."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from commands.dependencies import OnFirstPlay
from commands.playback.refusals import NotEntitled, TitleNotAvailable
from commands.subscription import commands as c
from commands.subscription.installation import of_purchase
from commands.subscription.purchases import StartRental
from events.envelope import Context
from events.registry import type_of
from events.subscription import RentalStarted
from events.types import InvoiceId, PurchaseId
from infra.access.permissions import Principal
from infra.ids import new_id
from infra.settings import Settings, environment_of_child
from tests.builders import episode_published, series_published
from tests.commands.subscription.accounts import DAY, FEB, T0
from tests.integration.box_office import (
    ACTIVE,
    ANYTIME,
    FREE,
    HOUR,
    MICROSECOND,
    PRICE,
    RENTABLE,
    SOLD,
    BoxOffice,
    account,
    opened_box_office,
    viewer,
)
from tests.integration.households import problem
from tests.integration.projection_workers import eventually, free_port
from tests.integration.showing import HOME

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
async def opened(live: Settings) -> AsyncIterator[BoxOffice]:
    async with opened_box_office(live) as office:
        yield office


@pytest.fixture
def office(opened: BoxOffice) -> BoxOffice:
    return opened.at_first()


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
    assert not await office.plays_at(begun + 48 * HOUR, title, renter)


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
        await office.plays_at(at, title, payer) for at in (opens - MICROSECOND, opens, closes - MICROSECOND, closes)
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


@pytest.fixture
async def rented(office: BoxOffice) -> tuple[str, Principal, str]:
    """A title, who rented it and has not played it, and the rental: in the log, and in the view."""
    title, renter = await office.publishes(RENTABLE), viewer()
    rental = await office.purchases(renter, title, "rental")
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


async def test_a_rental_begins_with_its_first_play_and_once(
    office: BoxOffice, rented: tuple[str, Principal, str]
) -> None:
    title, renter, rental = rented
    session_id = str(uuid4())
    assert await first_plays(office, rental) == 0
    assert (await office.starts(title, renter, session_id=session_id)).status_code == 201
    assert await first_plays(office, rental) == 1
    await office.house.app.state.resources.on_first_play(rental, Context(correlation_id="again", principal="again"))
    assert await first_plays(office, rental) == 1


async def test_a_start_that_is_refused_begins_no_rental(office: BoxOffice, rented: tuple[str, Principal, str]) -> None:
    title, renter, rental = rented
    free, session_id = await office.publishes(FREE), str(uuid4())
    assert (await office.starts(free, renter, session_id=session_id)).status_code == 201
    assert (await office.starts(title, renter, session_id=session_id)).status_code == 409
    assert await first_plays(office, rental) == 0


async def test_a_start_over_the_limit_begins_no_rental(office: BoxOffice, rented: tuple[str, Principal, str]) -> None:
    title, renter, rental = rented
    assert (await office.starts(await office.publishes(FREE), renter)).status_code == 201
    assert problem(await office.starts(title, renter)) == (409, "stream-limit-reached")
    assert await first_plays(office, rental) == 0


async def test_killed_before_the_rental_began_the_player_has_no_token_and_its_repeat_begins_it(
    office: BoxOffice, rented: tuple[str, Principal, str]
) -> None:
    title, renter, rental = rented

    async def killed(purchase_id: PurchaseId, context: Context) -> bool:
        raise RuntimeError(f"killed before {purchase_id} of {context.principal} was begun")

    session_id = str(uuid4())
    with beginning(office, killed):
        assert (await office.starts(title, renter, session_id=session_id)).status_code == 500
    assert await first_plays(office, rental) == 0
    assert (await office.starts(title, renter, session_id=session_id)).status_code == 201
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
        assert (await office.starts(title, renter, session_id=session_id)).status_code == 500
    assert await first_plays(office, rental) == 1
    assert (await office.starts(title, renter, session_id=session_id)).status_code == 201
    await office.projects(of_purchase(PurchaseId(rental)).stream_id)
    assert await first_plays(office, rental) == 1


async def test_a_process_killed_while_it_begins_a_rental_leaves_no_token_and_the_repeat_begins_it(
    live: Settings, office: BoxOffice, rented: tuple[str, Principal, str], tmp_path: Path
) -> None:
    title, renter, rental = rented
    session_id = str(uuid4())
    process = CommandsProcess(live, tmp_path)
    try:
        await eventually(process.is_ready)
        async with office.views.pool.acquire() as holding, holding.transaction():
            await holding.execute("select from partition_head for update")  # nothing can be appended to the log
            asked = asyncio.create_task(office.starts(title, renter, at=process.url, session_id=session_id))
            await eventually(partial(_waits_for_the_log, office))
            process.kill()
            with pytest.raises(httpx.TransportError):
                await asked
    finally:
        process.kill()
    assert await first_plays(office, rental) == 0
    assert (await office.starts(title, renter, session_id=session_id)).status_code == 201  # another process
    assert await first_plays(office, rental) == 1


async def _waits_for_the_log(office: BoxOffice) -> bool:
    waiting: bool = await office.views.pool.fetchval(
        """select exists (select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
               and query like '%append_%')"""
    )
    return waiting


class CommandsProcess:
    """`playhead commands`, killed as a crash would."""

    def __init__(self, live: Settings, directory: Path) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        environment = environment_of_child(
            state_dir=directory,
            keys_dir=live.keys_path,
            kafka_bootstrap=live.kafka_bootstrap,
            postgres_dsn=live.postgres_dsn,
            redis_url=live.redis_url,
            commands_port=port,
            default_territory=HOME,
        )
        with (directory / f"commands-{port}.log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "playhead", "commands"], env=environment, stderr=log
            )

    async def is_ready(self) -> bool:
        """Whether its probe says so."""
        try:
            async with httpx.AsyncClient() as client:
                return (await client.get(f"{self.url}/ready")).status_code == 200
        except httpx.HTTPError:
            return False

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._process.wait()


async def test_a_rental_that_was_refunded_a_moment_ago_is_not_begun(
    office: BoxOffice, rented: tuple[str, Principal, str]
) -> None:
    title, renter, rental = rented
    invoice_id, charge_id = InvoiceId(f"purchase-{rental}.1"), f"ch-{rental}"
    given_back = c.RecordRefund(
        invoice_id=invoice_id, provider_refund_id="re-1", outcome="succeeded", charge_id=charge_id, amount=PRICE
    )
    await office.does(of_purchase(PurchaseId(rental)), c.RequestRefund(invoice_id=invoice_id), given_back)
    reply = await office.starts(title, renter)
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
