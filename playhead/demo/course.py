"""The course of an evening against processes that run: publish, play, catch up, compare."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from infra.clock import monotonic_s, utc_now
from infra.ids import new_id
from playhead.console import say
from playhead.demo import closing
from playhead.demo.accounts import Accounts
from playhead.demo.api import Api, Badges
from playhead.demo.director import Director
from playhead.demo.films import FILMS, MINUTE_MS
from playhead.demo.freshness import Freshness
from playhead.demo.gauges import Sampler
from playhead.demo.held import Held
from playhead.demo.ledger import Ledger
from playhead.demo.parts import part_of
from playhead.demo.player import EveningClock, Living, Viewer
from playhead.demo.publishing import Catalog
from playhead.demo.reckoning import CATCH_UP_WITHIN_S, Reckoning
from playhead.demo.reference import Rules
from playhead.demo.screen import Playing, show
from playhead.demo.script import Script
from playhead.demo.selling import Counter
from playhead.demo.settlement import Settlement
from playhead.demo.sitting import Title
from playhead.demo.subscriber import Subscriber, Subscriptions
from playhead.processes import COMMANDS, FAKE_PAYMENTS, QUERY_API, Fleet, projections_of

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


class Course:
    """One evening."""

    def __init__(self, fleet: Fleet, plan: Plan, session: aiohttp.ClientSession) -> None:
        self._fleet = fleet
        self._plan = plan
        self._run_id = f"evening-{new_id()}"
        self._badges = Badges(fleet.settings)
        self._ledger = Ledger()
        self._commands = Api(session, fleet.url(COMMANDS))
        self._query = Api(session, fleet.url(QUERY_API))
        self._patient_query = Api(session, fleet.url(QUERY_API), CATCH_UP_WITHIN_S)
        self._sampler = Sampler(fleet, self._ledger, session)
        self._subscriptions = Subscriptions(
            self._commands,
            Accounts(self._query),
            self._badges,
            Counter(self._commands, self._badges, self._run_id),
            Director(session, fleet.url(FAKE_PAYMENTS), fleet.settings),
        )

    async def run(self) -> bool:
        """From the first title to the comparison; whether every view holds what was acknowledged."""
        began_at = utc_now()
        catalog = Catalog(self._commands, self._badges, self._ledger)
        titles = await catalog.publish()
        await catalog.shown(self._query)
        say(f"Published {len(FILMS)} films and a series of {len(titles) - len(FILMS)} episodes; all can be found.")
        await self._subscriptions.counter.open(titles)
        if not await self._sampler.settled():
            say("A store is still behind on what was there before; freshness will show it.")
        freshness = await self._play(titles)
        held = Held(self._fleet.settings, self._query, self._badges, self._run_id)
        reckoning = Reckoning(self._ledger, catalog, held, Rules.of(self._fleet.settings))
        ended_s = monotonic_s()
        behind = await reckoning.wait_for_stores(self._patient_query, self._badges)
        settlement = Settlement(self._subscriptions)
        unsettled = await settlement.settled()
        say(f"The evening is over. Every store was waited for: {monotonic_s() - ended_s:.1f} s. Comparing ...")
        views = [*await reckoning.compare(began_at), *settlement.compare()]
        await self._show_viewer(held)
        await self._show_subscriber()
        closing.show_played(self._ledger, freshness)
        webhooks = await self._subscriptions.director.webhooks()
        closing.show_sold(self._subscriptions, webhooks.tried, await self._sampler.payment_outcomes())
        self._sampler.sample_memory()
        closing.show_processes(self._sampler.gauges.processes)
        refused = [*behind, *([unsettled] if unsettled else []), *self._ledger.refused, *self._subscriptions.refused]
        return closing.show_comparison(views, refused)

    async def _play(self, titles: list[Title]) -> Freshness:
        """Returns when every viewer has stopped and the last report was answered."""
        plan = self._plan
        say(
            f"{plan.viewers} viewers play {plan.length_ms // MINUTE_MS} simulated minutes in {plan.seconds} s: their "
            f"playheads move {plan.length_ms / plan.seconds / 1000:.0f} times as fast as the clock on the wall."
        )
        clock = EveningClock(plan.seconds, plan.length_ms)
        shared = Living(self._run_id, plan.seed, self._commands, self._badges, clock, self._ledger)
        viewers = [Viewer(number, shared) for number in range(plan.viewers)]
        freshness = Freshness(shared, self._query, self._badges)
        playing = Playing(self._ledger, self._sampler.gauges, viewers, freshness, clock)
        async with _beside(self._sampler.run(), show(playing)):
            await asyncio.gather(
                clock.until(clock.length_ms),
                freshness.probe(titles),
                self._kill_in_the_middle(clock),
                self._sell(viewers, clock),
                *(
                    viewer.spend_the_evening(Script(number, titles, clock.length_ms, plan.seed))
                    for number, viewer in enumerate(viewers)
                ),
            )
        return freshness

    async def _kill_in_the_middle(self, clock: EveningClock) -> None:
        if self._plan.kill is not None:
            await clock.until(clock.length_ms // 2)
            name = projections_of(self._plan.kill)
            pid = await asyncio.to_thread(self._fleet.kill, name)
            say(f"SIGKILL to {name}, process {pid}")

    async def _sell(self, viewers: Sequence[Viewer], clock: EveningClock) -> None:
        """Returns when every subscriber has done all of their part."""
        count = min(len(viewers), MOST_SUBSCRIBERS)

        async def subscribe(number: int) -> None:
            subscriber = Subscriber(number, viewers[number].profile_id, part_of(number), self._subscriptions)
            await clock.until(int(clock.length_ms * SUBSCRIBED_BY * number / count))
            await subscriber.play()

        async def be_away() -> None:
            await clock.until(int(clock.length_ms * SUBSCRIBED_BY))
            await self._subscriptions.director.outage(min(OUTAGE_S, self._plan.seconds / 4))

        await asyncio.gather(be_away(), *(subscribe(number) for number in range(count)))

    async def _show_subscriber(self) -> None:
        """The account whose part comes first, which changes its plan."""
        shared = self._subscriptions
        account_id = next(iter(shared.parts))
        badge = shared.badges.billing
        subscription = await shared.accounts.subscription(account_id, badge)
        invoices = await shared.accounts.invoices(account_id, badge)
        entitlements = await shared.accounts.shown(account_id, badge)
        if subscription is not None:
            closing.show_subscriber(subscription, invoices, entitlements)

    async def _show_viewer(self, held: Held) -> None:
        profile_id = closing.most_interesting(self._ledger, Rules.of(self._fleet.settings))
        rows, history = await held.continue_watching_items(profile_id), await held.history_items(profile_id)
        closing.show_viewer(profile_id, rows, history)


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
