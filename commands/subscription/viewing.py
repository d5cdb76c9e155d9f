"""What playback asks of the authority, and knows no more of it: to begin a rental with its first play, and what the log
says of an account that the views do not yet.
"""

from datetime import datetime
from typing import Final

from commands.handling import Handling, Terms
from commands.subscription.installation import Deciders, of_account, of_purchase
from commands.subscription.purchases import StartRental
from commands.subscription.refusals import NotARental, PurchaseNotUsable, PurchaseUnknown
from commands.subscription.streams import PostgresStreams, state_of
from commands.subscription.time_passing import has_access
from events.envelope import Context
from events.registry import REGISTRY, type_of
from events.subscription import PlanLimits, PurchaseGranted
from events.topics import SUBSCRIPTION
from events.types import AccountId, PurchaseId, TitleId
from infra.clock import Clock
from infra.entitlement import Held, UsablePurchase
from infra.postgres import Pool

UNAPPLIED: Final = f"""
with applied as (
    select head.partition, coalesce(held.position, -1) as position
    from partition_head as head left join postgres_progress as held
        on held.topic = '{SUBSCRIPTION.name}' and held.partition = head.partition
)
select
    exists (
        select from event_log as e join applied using (partition)
        where e.stream_id = $1 and e.position > applied.position
    ) as is_behind,
    array(
        select late.body from applied cross join lateral (
            select e.type, e.body from event_log as e
            where e.partition = applied.partition and e.position > applied.position order by e.position limit $3
        ) as late
        where late.type = '{type_of(PurchaseGranted)}'
          and position(convert_to('"' || $2 || '"', 'UTF8') in late.body) > 0  -- cheaper than to read it as JSON
    ) as granted
"""
"""The account's stream, the account, and how much of a partition is looked through. Positions are the log's."""


class Viewing:
    """Asks the streams of accounts and purchases."""

    def __init__(
        self, handling: Handling, *, deciders: Deciders, pool: Pool, clock: Clock, most_unapplied: int
    ) -> None:
        self._handling = handling
        self._deciders = deciders
        self._pool = pool
        self._clock = clock
        self._most_unapplied = most_unapplied

    async def on_first_play(self, purchase_id: PurchaseId, context: Context) -> bool:
        """Whether the rental runs now, as often as it is told; False: it was refunded, or was to be started earlier.
        `context`: whose request it is."""
        target = of_purchase(purchase_id)
        try:
            await self._handling.handle(
                StartRental(), decider=self._deciders.purchase, target=target, terms=Terms(context)
            )
        except (NotARental, PurchaseNotUsable, PurchaseUnknown):
            return False
        return True

    async def not_yet_seen(self, account_id: AccountId, titles: frozenset[TitleId]) -> Held:
        """What entitles the account to one of the titles by events that the views have not applied."""
        now, stream_id = self._clock(), of_account(account_id).stream_id
        row = await self._pool.fetchrow(UNAPPLIED, stream_id, account_id, self._most_unapplied)
        assert row is not None
        plan = await self._plan(stream_id, now) if row["is_behind"] else None
        granted = (REGISTRY.decode(body).data for body in row["granted"])
        mine = (one for one in granted if isinstance(one, PurchaseGranted) and one.account_id == account_id)
        usable = [one for one in mine if _is_usable(one, titles, now)]
        return Held(plan, UsablePurchase(usable[0].purchase_id, usable[0].kind == "rental") if usable else None)

    async def _plan(self, stream_id: str, now: datetime) -> PlanLimits | None:
        state = await state_of(PostgresStreams(self._pool), stream_id, self._deciders.subscription)
        if state.current is None or not has_access(state, now, self._deciders.policy):
            return None
        return state.current.terms.limits


def _is_usable(granted: PurchaseGranted, titles: frozenset[TitleId], now: datetime) -> bool:
    begins, ends = granted.access_from, granted.access_until or granted.start_by
    return granted.title_id in titles and begins <= now and (ends is None or now < ends)
