"""The renewal process's work: finds what is due, issues the commands, asks the provider, records the answers.

Safe to run twice, at once, late, and killed anywhere: every command is idempotent, a payment is in the log with its
idempotency key before the provider is asked, and a request whose answer is not in the log is looked up before it is
sent again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

from prometheus_client import Counter

from commands.handling import Handling, Target, Terms
from commands.subscription.commands import RecordPaymentFailed
from commands.subscription.due import OpenRequests, due_command, open_requests
from commands.subscription.installation import Deciders
from commands.subscription.ledger import Ledger
from commands.subscription.recording import Recording, context
from commands.subscription.state import SubscriptionState
from commands.subscription.streams import Streams, state_of
from events.refusals import Refusal
from events.subscription import PaymentRequested, RefundRequested
from infra.clock import Clock
from infra.payments.provider import (
    ChargeRequest,
    PaymentProvider,
    ProviderRefused,
    ProviderUnavailable,
    RefundRequest,
)
from infra.postgres import Pool
from infra.telemetry import log

DONE = Counter("playhead_billing_total", "What the renewal process did", ["what"])
MOST_COMMANDS = 8  # for one stream in one run: a pause that ended, a period that was over, a grace that followed


class DueStreams(Protocol):
    """Where due work is found."""

    async def due(self, now: datetime, *, after: "Place | None", limit: int) -> Sequence["Place"]:
        """The next streams with something due, the longest due first."""
        ...


@dataclass(frozen=True)
class Place:
    """A stream in the order of due work."""

    due_at: datetime
    stream_id: str


class PostgresDue:
    """The view subscription_due."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def due(self, now: datetime, *, after: Place | None, limit: int) -> Sequence[Place]:
        """See DueStreams."""
        rows = await self._pool.fetch(
            """select due_at, stream_id from subscription_due
               where due_at <= $1 and ($2::timestamptz is null or (due_at, stream_id) > ($2, $3))
               order by due_at, stream_id limit $4""",
            now,
            after.due_at if after else None,
            after.stream_id if after else "",
            limit,
        )
        return [Place(*row) for row in rows]


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """`recheck`: how long an answer that is still open, or that nobody gave, is not asked for again."""

    batch: int = 200
    at_once: int = 8
    recheck: timedelta = timedelta(seconds=60)
    unavailable_in_a_row: int = 5


@dataclass
class Billing:
    """One renewal process. `stopping`: finish the stream in hand and take no other."""

    handling: Handling
    streams: Streams
    due: DueStreams
    provider: PaymentProvider
    deciders: Deciders
    clock: Clock
    bounds: Bounds = field(default_factory=Bounds)
    stopping: bool = False
    _not_before: dict[str, datetime] = field(default_factory=dict)
    _unavailable: int = 0

    def __post_init__(self) -> None:
        self._recording = Recording(self.handling, self.deciders)

    async def run_once(self) -> int:
        """Do all that is due now; for how many streams something was done or tried."""
        now, after, billed = self.clock(), None, 0
        self._not_before = {key: at for key, at in self._not_before.items() if at > now}
        self._unavailable = 0
        while not self.stopping:
            places = await self.due.due(now, after=after, limit=self.bounds.batch)
            if not places:
                break
            billed += await self._bill_all(places)
            after = places[-1]
        return billed

    async def _bill_all(self, places: Sequence[Place]) -> int:
        turn = asyncio.Semaphore(self.bounds.at_once)

        async def one(stream_id: str) -> bool:
            async with turn:
                return not self.stopping and await self.bill(stream_id)

        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(one(place.stream_id)) for place in places]
        return sum(task.result() for task in running)

    async def bill(self, stream_id: str) -> bool:
        """Do what is due in one stream; whether anything was. A command that is refused was overtaken by another."""
        kind, _, subject = stream_id.removeprefix("subscription.").partition("-")
        if stream_id in self._not_before:
            return False
        try:
            if kind == "account":
                did, ledger = await self._pass_time(Target(subject, stream_id))
            else:
                did, ledger = False, (await state_of(self.streams, stream_id, self.deciders.purchase)).ledger
            return await self._ask_provider(open_requests(ledger)) or did
        except Refusal as refusal:
            log.warning("billing_refused", stream_id=stream_id, reason=repr(refusal))
            self._not_before[stream_id] = self.clock() + self.bounds.recheck
            return True

    async def _pass_time(self, target: Target) -> tuple[bool, Ledger]:
        did, decider = False, self.deciders.subscription
        for _ in range(MOST_COMMANDS):
            state: SubscriptionState = await state_of(self.streams, target.stream_id, decider)
            command = due_command(state, self.clock(), self.deciders.policy)
            if command is None:
                break
            await self.handling.handle(command, decider=decider, target=target, terms=Terms(context()))
            DONE.labels(type(command).__name__).inc()
            did = True
        return did, state.ledger

    async def _ask_provider(self, requests: OpenRequests) -> bool:
        asked = False
        for payment in requests.payments:
            asked |= await self._ask(payment.idempotency_key, partial(self._collect, payment))
        for payment in requests.unowed:
            asked |= await self._ask(payment.idempotency_key, partial(self._look_up, payment))
        for refund in requests.refunds:
            asked |= await self._ask(refund.refund_id, partial(self._give_back, refund))
        return asked

    async def _ask(self, key: str, ask: Callable[[], Awaitable[bool]]) -> bool:
        """Ask the provider once; what stays open, or fails, is not asked again for a while."""
        if key in self._not_before or self._unavailable >= self.bounds.unavailable_in_a_row:
            return False
        try:
            answered = await ask()
            self._unavailable = 0
        except ProviderUnavailable as error:
            answered, self._unavailable = False, self._unavailable + 1
            log.warning("payment_provider_unavailable", key=key, reason=str(error))
        except ProviderRefused as error:
            answered = False
            log.error("payment_provider_refused", key=key, reason=str(error))
        if not answered:
            self._not_before[key] = self.clock() + self.bounds.recheck
        return True

    async def _collect(self, asked: PaymentRequested) -> bool:
        """Charge, unless a run before did and its answer was lost."""
        charge = await self.provider.find_charge(asked.idempotency_key)
        if charge is None:
            charge = await self.provider.charge(
                ChargeRequest(
                    idempotency_key=asked.idempotency_key,
                    account_id=asked.account_id,
                    reference=asked.invoice_id,
                    amount=asked.amount,
                    description=asked.description,
                )
            )
            DONE.labels("charge").inc()
        return await self._recording.charged(charge)

    async def _look_up(self, asked: PaymentRequested) -> bool:
        """What became of a payment that nobody owes any more: it goes back if it came, and is not asked for if not."""
        charge = await self.provider.find_charge(asked.idempotency_key)
        if charge is not None:
            return await self._recording.charged(charge)
        await self._recording.record(RecordPaymentFailed(invoice_id=asked.invoice_id, code="not_asked"))
        return True

    async def _give_back(self, asked: RefundRequested) -> bool:
        refund = await self.provider.refund(
            RefundRequest(
                idempotency_key=asked.refund_id,
                charge_id=asked.charge_id,
                reference=asked.invoice_id,
                amount=asked.amount,
            )
        )
        DONE.labels("refund").inc()
        return await self._recording.refunded(asked.invoice_id, asked.refund_id, refund)
