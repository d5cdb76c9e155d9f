"""The course of an evening against processes that run: publish, play, catch up, compare."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from infra.clock import monotonic_s, utc_now
from playhead.console import say
from playhead.demo import account_page, closing
from playhead.demo.api import Api
from playhead.demo.gauges import Sampler
from playhead.demo.held import Held
from playhead.demo.house import House, open_house
from playhead.demo.money.parts import part_of
from playhead.demo.money.settlement import Settlement
from playhead.demo.money.subscriber import Subscriber
from playhead.demo.people.identities import Identities
from playhead.demo.people.person import Person
from playhead.demo.people.walls import Walls
from playhead.demo.reckoning import CATCH_UP_WITHIN_S, Reckoning
from playhead.demo.screen import Playing, show
from playhead.demo.watching.evening_clock import EveningClock
from playhead.demo.watching.films import MINUTE_MS
from playhead.demo.watching.freshness import Freshness
from playhead.demo.watching.player import Living, Viewer
from playhead.demo.watching.reference import Rules
from playhead.demo.watching.script import Script, free_of
from playhead.processes import Fleet, projections_of

SHORTEST_MS: Final = 60 * MINUTE_MS
"""An evening is at least this long in simulated time, however few seconds it is played in."""
SLOWEST_FACTOR: Final = 60
MOST_SUBSCRIBERS: Final = 40
SUBSCRIBED_BY: Final = 0.4
"""Of the evening: by then every subscriber has arrived. The provider's outage follows, for at most OUTAGE_S."""
OUTAGE_S: Final = 2.5


@dataclass(frozen=True)
class Plan:
    """An evening. `seconds`: of wall clock. `kill`: the store whose projections get a SIGKILL in the middle."""

    seconds: int
    viewers: int
    seed: int
    kill: str | None = None

    @property
    def length_ms(self) -> int:
        """How long it is in simulated time."""
        return max(SHORTEST_MS, self.seconds * 1000 * SLOWEST_FACTOR)


@dataclass(frozen=True)
class Ended:
    """How it ended: whether every view holds what was acknowledged."""

    equal: bool
    house: House


class Course:
    """One evening."""

    def __init__(self, fleet: Fleet, plan: Plan, session: aiohttp.ClientSession) -> None:
        self._fleet = fleet
        self._plan = plan
        self._session = session
        self._rules = Rules.of(fleet.settings)

    async def run(self) -> Ended:
        """From the first account to the comparison."""
        began_at = utc_now()
        house = await open_house(self._fleet, self._session, self._plan.viewers)
        sampler = Sampler(self._fleet, house.ledger, self._session)
        if not await sampler.settled():
            say("A store is still behind on what was there before; freshness will show it.")
        freshness = await self._play(house, sampler)
        held = Held(self._fleet.settings, house.query, house.staff.operator, house.cast.readers())
        reckoning = Reckoning(house.ledger, house.catalog, held, self._rules)
        identities = Identities(house.register, house.query, house.owners(), house.staff.operator)
        settlement = Settlement(house.subscriptions)
        late = await self._caught_up(house, reckoning, identities, settlement)
        watched, known = await asyncio.gather(reckoning.compare(began_at), identities.compare(began_at))
        views = [*watched, *settlement.compare(), *known]
        await self._show_one(house, held)
        await self._show_all(house, freshness, sampler)
        refused = [*late, *house.ledger.refused, *house.subscriptions.refused]
        return Ended(closing.show_comparison(views, refused), house)

    async def _play(self, house: House, sampler: Sampler) -> Freshness:
        """Returns when every viewer has stopped and the last report was answered."""
        plan, cast, free = self._plan, house.cast, free_of(house.titles)
        say(
            f"{plan.viewers} viewers play {plan.length_ms // MINUTE_MS} simulated minutes in {plan.seconds} s: their "
            f"playheads move {plan.length_ms / plan.seconds / 1000:.0f} times as fast as the clock on the wall."
        )
        clock = EveningClock(plan.seconds, plan.length_ms)
        shared = Living(plan.seed, house.commands, clock, house.ledger)
        viewers = [Viewer(number, person, shared) for number, person in enumerate(cast.viewers)]
        freshness = Freshness(shared, house.query, cast.probe)
        playing = Playing(house.ledger, sampler.gauges, viewers, freshness, clock)
        walls = Walls(shared, house.query, house.register)
        async with _beside(sampler.run(), show(playing)):
            await asyncio.gather(
                clock.until(clock.length_ms),
                freshness.probe(free),
                self._kill_in_the_middle(clock),
                self._sell(house, clock),
                walls.stand(cast, house.titles, house.subscriptions),
                *(
                    viewer.spend_the_evening(Script(number, free, clock.length_ms, plan.seed))
                    for number, viewer in enumerate(viewers)
                ),
            )
        return freshness

    async def _caught_up(
        self, house: House, reckoning: Reckoning, identities: Identities, settlement: Settlement
    ) -> list[str]:
        """Return when every view holds all that was acknowledged; those that do not in time, with the reason."""
        ended_s = monotonic_s()
        patient = Api(self._session, house.query.url, CATCH_UP_WITHIN_S)
        behind = await reckoning.wait_for_stores(patient, house.staff.operator)
        late = [await identities.late(patient, house.ledger.positions.values()), await settlement.settled()]
        say(f"The evening is over. Every store was waited for: {monotonic_s() - ended_s:.1f} s. Comparing ...")
        return [*behind, *(reason for reason in late if reason)]

    async def _kill_in_the_middle(self, clock: EveningClock) -> None:
        if self._plan.kill is not None:
            await clock.until(clock.length_ms // 2)
            name = projections_of(self._plan.kill)
            pid = await asyncio.to_thread(self._fleet.kill, name)
            say(f"SIGKILL to {name}, process {pid}")

    async def _sell(self, house: House, clock: EveningClock) -> None:
        """Returns when every subscriber has done all of their part."""
        people = house.cast.viewers[:MOST_SUBSCRIBERS]

        async def subscribe(number: int, person: Person) -> None:
            subscriber = Subscriber(number, person, part_of(number), house.subscriptions)
            await clock.until(int(clock.length_ms * SUBSCRIBED_BY * number / len(people)))
            await subscriber.play()

        async def be_away() -> None:
            await clock.until(int(clock.length_ms * SUBSCRIBED_BY))
            await house.subscriptions.director.outage(min(OUTAGE_S, self._plan.seconds / 4))

        await asyncio.gather(be_away(), *(subscribe(*each) for each in enumerate(people)))

    async def _show_one(self, house: House, held: Held) -> None:
        """One account as its owner sees it: who they are, and what they watched; and what the first one pays."""
        of_viewers = {person.profile_id: person for person in house.cast.viewers}
        profile_id = closing.most_interesting(house.ledger, self._rules, of_viewers)
        app = of_viewers[profile_id].phone
        path = f"/v1/accounts/{app.account_id}"
        parts = "", "/profiles", "/devices", "/sessions"
        account_page.show_account(path, {part: (await house.query.get(path + part, app)).json() for part in parts})
        rows, history = await held.continue_watching_items(profile_id), await held.history_items(profile_id)
        closing.show_viewer(profile_id, rows, history)
        accounts, owner = house.subscriptions.accounts, house.cast.viewers[0].phone
        subscription = await accounts.subscription(owner.account_id, owner)
        if subscription is not None:
            invoices = await accounts.invoices(owner.account_id, owner)
            account_page.show_subscriber(subscription, invoices, await accounts.shown(owner.account_id, owner))

    async def _show_all(self, house: House, freshness: Freshness, sampler: Sampler) -> None:
        """What everybody did, and what it took."""
        closing.show_played(house.ledger, freshness)
        closing.show_identity(house.ledger, house.cast, (house.commands, house.query))
        webhooks = await house.subscriptions.director.webhooks()
        closing.show_sold(house.subscriptions, webhooks.tried, await sampler.payment_outcomes())
        sampler.sample_memory()
        closing.show_processes(sampler.gauges.processes)


@asynccontextmanager
async def _beside(*endless: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run these meanwhile, and end them afterwards."""
    tasks = [asyncio.create_task(coroutine) for coroutine in endless]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
