"""The renewal process over years of daily runs, on a log and a provider in memory: twice, at once, late, and with
every reply lost.
"""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from commands.subscription import commands as c
from commands.subscription.billing import Billing
from commands.subscription.time_passing import has_access, status_at
from events.subscription import (
    InvoiceIssued,
    InvoiceVoided,
    PaymentSucceeded,
    PlanChanged,
    RefundIssued,
    RefundRequested,
    SubscriptionBecamePastDue,
    SubscriptionExpired,
    SubscriptionRecovered,
    SubscriptionRenewed,
)
from events.types import AccountId, InvoiceId, SubscriptionId
from infra.payments.memory_provider import MemoryPaymentProvider
from infra.payments.provider import Charge, ChargeRequest, WebhookEvent
from infra.payments.rules import Rule
from tests.commands.subscription.accounts import (
    BASIC,
    DAY,
    POLICY,
    PREMIUM,
    STANDARD,
    T0,
    TRIED,
    euros,
    issued_in,
    sign_up,
)
from tests.commands.subscription.installations import Installation

DECLINED = Rule(decline_code="insufficient_funds")


async def subscribed(*rules: Rule, **values: object) -> Installation:
    here = Installation(rules=rules, **values)  # type: ignore[arg-type]  # each is one of its fields
    await here.tell(sign_up())
    return here


def taken(here: Installation) -> int:
    """The money that the provider took, less what it gave back."""
    charges = (entry.now for entry in here.provider.books.charges.entries.values())
    refunds = (entry.now for entry in here.provider.books.refunds.entries.values())
    return sum(one.amount.amount_minor for one in charges if one.status == "succeeded") - sum(
        one.amount.amount_minor for one in refunds if one.status == "succeeded"
    )


@pytest.mark.parametrize("times", [1, 3])
async def test_a_year_of_daily_runs_renews_each_month_once(times: int) -> None:
    here = await subscribed()
    await here.live(365, times=times)
    history = await here.history()
    ends = [event.period.ends_at for event in history if isinstance(event, SubscriptionRenewed)]
    days = [
        (2, 28),
        (3, 31),
        (4, 30),
        (5, 31),
        (6, 30),
        (7, 31),
        (8, 31),
        (9, 30),
        (10, 31),
        (11, 30),
        (12, 31),
        (1, 31),
    ]
    assert [(end.month, end.day) for end in ends] == days[1:]
    assert len(issued_in(history)) == 12
    assert taken(here) == 12 * 999


async def test_processes_that_run_at_once_charge_once() -> None:
    here = await subscribed()
    for _ in range(40):
        await asyncio.gather(*(here.billing().run_once() for _ in range(4)))
        here.now += DAY
    assert len(issued_in(await here.history())) == 2
    assert taken(here) == 2 * 999


@pytest.mark.parametrize("lag", [1, 3, 1_000])
async def test_a_view_that_lags_behind_delays_work_and_never_repeats_it(lag: int) -> None:
    here = await subscribed()
    for _ in range(40):
        here.due.lag = lag
        await here.billing().run_once()
        here.due.lag = 0
        await here.billing().run_once()
        here.now += DAY
    assert taken(here) == 2 * 999


@pytest.mark.parametrize("lost", ["drop", "error"])
async def test_lost_replies_are_found_again(lost: str) -> None:
    here = await subscribed(Rule(on="charge", lose_reply=lost))  # type: ignore[arg-type]  # one of the two
    await here.live(40, step=timedelta(hours=6))
    assert len([event for event in await here.history() if isinstance(event, PaymentSucceeded)]) == 2
    assert taken(here) == 2 * 999


async def test_a_provider_that_is_away_for_days_costs_nobody_access() -> None:
    here = await subscribed()
    await here.live(28)
    here.provider.rules = type(here.provider.rules)((Rule(on="any", unavailable=True, times=1_000),))
    await here.live(5)
    assert has_access(await here.state(), here.now, POLICY)
    here.provider.rules = type(here.provider.rules)()
    await here.live(1)
    state = await here.state()
    assert state.status == "active"
    assert (
        state.current
        and state.current.period
        and state.current.period.ends_at == datetime(2026, 3, 31, 9, 30, tzinfo=UTC)
    )


async def test_a_process_that_was_away_for_two_months_charges_for_no_time_without_access() -> None:
    here = await subscribed()
    await here.live(1)
    here.now = T0 + timedelta(days=50)
    assert status_at(await here.state(), here.now, POLICY) == "past_due"
    await here.live(1)
    history = await here.history()
    [recovered] = [event for event in history if isinstance(event, SubscriptionRecovered)]
    assert recovered.period.starts_at == T0 + timedelta(days=50)
    assert taken(here) == 2 * 999


async def test_declines_are_retried_in_grace_then_access_ends_then_the_subscription() -> None:
    here = await subscribed()
    await here.live(1)
    here.provider.rules = type(here.provider.rules)((DECLINED,))
    await here.live(80)
    history = await here.history()
    attempts = [event for event in here.provider.books.charges.entries.values() if event.now.status == "declined"]
    assert len(attempts) == 4
    assert [type(event) for event in history[-3:]] == [SubscriptionBecamePastDue, InvoiceVoided, SubscriptionExpired]
    assert taken(here) == 999


async def test_a_decline_that_passes_recovers_inside_the_grace_without_a_gap() -> None:
    here = await subscribed()
    await here.live(1)
    here.provider.rules = type(here.provider.rules)((Rule(decline_code="try_again", times=2),))
    await here.live(60)
    [recovered] = [event for event in await here.history() if isinstance(event, SubscriptionRecovered)]
    assert recovered.period.starts_at == datetime(2026, 2, 28, 9, 30, tzinfo=UTC)


async def test_two_years_with_trial_declines_upgrades_downgrades_and_a_pause_add_up() -> None:
    here = Installation(
        rules=[Rule(decline_code="insufficient_funds", share=0.2), Rule(lose_reply="drop", share=0.2)], seed=5
    )
    await here.tell(sign_up(TRIED))
    await here.live(100)
    await here.tell(c.ChangePlan(plan=PREMIUM, period="month"))
    await here.live(200)
    await here.tell(c.ChangePlan(plan=BASIC, period="month"))
    await here.live(60)
    await here.tell(c.Pause(until=here.now + 30 * DAY))
    await here.live(100)
    await here.tell(c.ChangePlan(plan=STANDARD, period="year"))
    await here.live(270)
    state, history = await here.state(), await here.history()
    assert state.status == "active"
    assert [event.terms.name for event in history if isinstance(event, PlanChanged)]
    paid = sum(event.amount.amount_minor for event in history if isinstance(event, PaymentSucceeded))
    back = sum(event.amount.amount_minor for event in history if isinstance(event, RefundIssued))
    assert paid - back == taken(here)
    settled = [one for one in state.ledger.invoices.values() if one.status == "paid"]
    assert paid - back == sum(one.issued.total.amount_minor for one in settled)
    numbers = [one.issued.period.number for one in settled if one.issued.period and one.issued.reason == "renewal"]
    assert len(numbers) == len(set(numbers))


async def test_a_refund_is_asked_for_once() -> None:
    here = await subscribed()
    await here.live(1)
    await here.tell(c.RequestRefund(invoice_id=InvoiceId("account-a1.1"), amount=euros(400)))
    await here.live(3, times=2)
    assert taken(here) == 599
    assert len([event for event in await here.history() if isinstance(event, RefundIssued)]) == 1


async def test_money_that_comes_after_the_end_goes_back() -> None:
    here = await subscribed(Rule(delay_ms=0, times=1))
    await here.billing().run_once()
    await here.tell(c.Cancel(immediately=True))
    here.provider.settle()
    await here.live(2)
    history = await here.history()
    assert [event.reason for event in history if isinstance(event, RefundRequested)] == ["paid_too_late"]
    assert taken(here) == 0
    await here.tell(sign_up(subscription_id=SubscriptionId("s2")))
    await here.live(2)
    assert (await here.state()).status == "active"


async def test_a_payment_that_nobody_owes_any_more_is_not_asked_for() -> None:
    here = await subscribed()
    await here.tell(c.Cancel(immediately=True))
    await here.live(2)
    assert here.provider.books.charges.entries == {}
    assert [event for event in await here.history() if isinstance(event, InvoiceIssued)]


@pytest.mark.parametrize("order", [(0, 1), (1, 0), (0, 0, 1, 1), (1, 1, 0, 0)])
async def test_webhooks_twice_and_in_any_order_count_once(order: tuple[int, ...]) -> None:
    here = await subscribed(Rule(delay_ms=0))
    await here.billing().run_once()
    declined = WebhookEvent(
        event_id="evt-1",
        type="charge.declined",
        reference="account-a1.1",
        charge_id="ch-0",
        amount=euros(999),
        occurred_at=T0,
        decline_code="try_again",
    )
    here.provider.settle()
    news = [here.provider.webhooks[0], declined]
    for number in order:
        await here.recording.on_webhook(news[number])
    taken_in = [event for event in await here.history() if isinstance(event, PaymentSucceeded)]
    assert len(taken_in) == 1
    await here.live(3)
    assert (taken(here) == 999) == ((await here.state()).status == "active")


async def test_a_webhook_of_someone_else_is_left_alone() -> None:
    here = await subscribed()
    before = len(here.log.bodies)
    for reference in ("order-17", "account-", "a.b", "account-a1", "catalog-x.1"):
        event = WebhookEvent(
            event_id="e", type="charge.succeeded", reference=reference, charge_id="c", amount=euros(1), occurred_at=T0
        )
        await here.recording.on_webhook(event)
    assert len(here.log.bodies) == before


async def test_a_stop_finishes_the_stream_in_hand_and_takes_no_other() -> None:
    here = Installation()
    for number in range(20):
        account_id = AccountId(f"b{number}")
        await here.tell(replace(sign_up(), account_id=account_id), account_id)
    billing = here.billing(at_once=1)
    billing.provider = _StoppingProvider(billing)
    await billing.run_once()
    assert len(billing.provider.books.charges.entries) == 1


class _StoppingProvider(MemoryPaymentProvider):
    """Sees the process told to stop while it charges."""

    def __init__(self, billing: Billing) -> None:
        super().__init__()
        self._billing = billing

    async def charge(self, request: ChargeRequest) -> Charge:
        self._billing.stopping = True
        return await super().charge(request)
