"""The context on a log and a provider in memory, with a clock that tests move: what a year of daily runs needs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from commands.handling import Handling, Outcome, Terms
from commands.subscription import commands as c
from commands.subscription.billing import Billing, Bounds, Place
from commands.subscription.installation import Deciders, of_account
from commands.subscription.policy import Policy
from commands.subscription.recording import Recording
from commands.subscription.state import SubscriptionState
from commands.subscription.streams import state_of
from events.envelope import Context, Event
from events.registry import REGISTRY
from events.types import AccountId
from infra.event_log.memory import MemoryEventLog
from infra.payments.memory_provider import MemoryPaymentProvider
from infra.payments.rules import Rule, RuleBook
from projections.subscription.subscription_due import SubscriptionDue, SubscriptionsDue
from tests.commands.subscription.accounts import ME, T0


class MemoryDue:
    """The view subscription_due, folded from the log in memory. `lag`: how many of the last events it lacks."""

    def __init__(self, log: MemoryEventLog) -> None:
        self._log = log
        self._view = SubscriptionsDue()
        self._rows: dict[str, SubscriptionDue] = {}
        self._folded = 0
        self.lag = 0

    async def due(self, now: datetime, *, after: Place | None, limit: int) -> Sequence[Place]:
        """See DueStreams."""
        self._catch_up()
        places = [
            Place(row.due_at, row.stream_id)
            for row in self._rows.values()
            if row.due_at is not None and row.due_at <= now
        ]
        ordered = sorted(places, key=_order)
        return [place for place in ordered if after is None or _order(place) > _order(after)][:limit]

    def _catch_up(self) -> None:
        to = max(self._folded, len(self._log.bodies) - self.lag)
        for recorded in map(REGISTRY.decode, self._log.bodies[self._folded : to]):
            if type(recorded.data) in self._view.events:
                key = self._view.key(recorded)
                row = self._view.project(self._rows.get(key), recorded)
                assert row is not None
                self._rows[key] = row
        self._folded = to


def _order(place: Place) -> tuple[datetime, str]:
    return (place.due_at, place.stream_id)


@dataclass
class Installation:
    """Everything of the context but the servers."""

    now: datetime = T0
    rules: Sequence[Rule] = ()
    seed: int = 0
    log: MemoryEventLog = field(default_factory=MemoryEventLog)

    def __post_init__(self) -> None:
        self.deciders = Deciders.under(Policy())
        self.handling = Handling(self.log, lambda: self.now)
        self.provider = MemoryPaymentProvider(RuleBook(self.rules, self.seed), lambda: self.now)
        self.due = MemoryDue(self.log)
        self.recording = Recording(self.handling, self.deciders)

    def billing(self, **bounds: Any) -> Billing:
        """A renewal process of this installation."""
        return Billing(
            handling=self.handling,
            streams=self.log,
            due=self.due,
            provider=self.provider,
            deciders=self.deciders,
            clock=lambda: self.now,
            bounds=Bounds(**bounds),
        )

    async def tell(self, command: c.SubscriptionCommand, account_id: str = ME) -> Outcome:
        """One command of an account."""
        terms = Terms(Context(correlation_id="test"))
        target = of_account(AccountId(account_id))
        return await self.handling.handle(command, decider=self.deciders.subscription, target=target, terms=terms)

    async def state(self, account_id: str = ME) -> SubscriptionState:
        """What an account's stream adds up to."""
        return await state_of(self.log, of_account(AccountId(account_id)).stream_id, self.deciders.subscription)

    async def history(self, account_id: str = ME) -> list[Event]:
        """An account's events."""
        return [recorded.data for recorded in await self.log.events_of(of_account(AccountId(account_id)).stream_id)]

    async def live(self, days: int, *, times: int = 1, step: timedelta = timedelta(days=1)) -> None:
        """Run the process once a step (or `times` times, each a new process), as if days went by."""
        until = self.now + timedelta(days=days)
        while self.now < until:
            for _ in range(times):
                await self.billing().run_once()
            self.now += step
