"""Two opinions on what becomes of an account: the demo's simple model, and the deciders with a provider that answers as
the part's rule says.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import reduce
from typing import Any

import pytest

from commands.decider import Decider
from commands.subscription import commands as c
from commands.subscription.due import open_requests
from commands.subscription.installation import Deciders
from commands.subscription.ledger import Ledger
from commands.subscription.policy import Policy
from commands.subscription.purchases import PurchaseState, StartPurchase, StartRental
from commands.subscription.state import SubscriptionState
from commands.subscription.time_passing import has_access, status_at
from events.refusals import Refusal
from events.subscription import CouponTerms, Offer, PlanLimits, PlanPrice, PlanVersion
from events.types import AccountId, CouponCode, Money, OfferId, PlanId, PurchaseId, SubscriptionId, TitleId
from infra.ids import new_id
from infra.payments.rules import Rule
from playhead.demo.money import tariff
from playhead.demo.money.bills import Account, Bill, Entitled, Plan, expected
from playhead.demo.money.parts import (
    PARTS,
    WELL,
    Cancel,
    ChangePlan,
    MendCard,
    Part,
    Pause,
    PlayRental,
    Refund,
    Rent,
    Resume,
    Step,
    Subscribe,
    Uncancel,
    part_of,
)

ACCOUNT = AccountId("account")
BEGINS = datetime(2026, 11, 21, 20, 0, tzinfo=UTC)
HALF_OFF = CouponTerms(code=CouponCode("EVENING"), periods=3, percent=tariff.COUPON_PERCENT, amount=None)
DECIDERS = Deciders.under(Policy())


@pytest.mark.parametrize("number", range(3 * len(PARTS)), ids=lambda number: PARTS[number % len(PARTS)].name)
def test_model_and_deciders_agree_on_every_part_after_every_step(number: int) -> None:
    part = part_of(number)
    played = Played(part)
    for count, step in enumerate(part.steps, start=1):
        played.take(step)
        wanted = expected(part, part.steps[:count])
        assert (played.plan, played.bills, played.entitled) == (wanted.plan, wanted.bills, wanted.entitled), step


def test_an_upgrade_costs_the_difference() -> None:
    account = expected(Part("", (), WELL), [Subscribe("standard"), ChangePlan("premium")])
    assert account.plan == Plan("active", "premium")
    assert account.bills == (Bill("first", "paid", "EUR", 1_090), Bill("plan_change", "paid", "EUR", 500))
    assert account.entitled == Entitled(streams=4, titles=0)


def test_a_declined_account_has_a_void_bill_and_may_watch_nothing() -> None:
    account = expected(Part("", (), Rule(decline_code="expired_card"), "KRW"), [Subscribe("premium", coupon=True)])
    assert account == Account(Plan("expired", "premium"), (Bill("first", "void", "KRW", 8_500),))
    assert account.entitled == Entitled(streams=0, titles=0)


def test_a_rental_that_is_given_back_may_not_be_played() -> None:
    rented = expected(Part("", (), WELL), [Rent(), PlayRental()])
    assert rented.entitled.titles == 1
    assert expected(Part("", (), WELL), [Rent(), Refund(100)]).entitled.titles == 1
    assert expected(Part("", (), WELL), [Rent(), Refund(100), Refund()]).entitled.titles == 0


def test_the_parts_of_an_evening_have_all_that_a_provider_does_wrong() -> None:
    rules = [part.rule for part in PARTS]
    assert any(rule.decline_code for rule in rules)
    assert any(rule.delay_ms for rule in rules)
    assert any(rule.webhook_copies > 1 for rule in rules)
    assert any(rule.webhook_reorder for rule in rules)
    assert {"drop", "error"} <= {rule.lose_reply for rule in rules}
    assert {part_of(number).currency for number in range(12)} == set(tariff.CURRENCIES)


@dataclass
class Played:
    """A part as the deciders take it, a second a step; the provider answers each request at once."""

    part: Part
    rule: Rule = WELL
    now: datetime = BEGINS
    subscription: SubscriptionState = field(default_factory=SubscriptionState)
    purchase: PurchaseState = field(default_factory=PurchaseState)

    def __post_init__(self) -> None:
        self.rule = self.part.rule

    def take(self, step: Step) -> None:
        self.now += timedelta(seconds=1)
        match step:
            case MendCard():
                self.rule = WELL
            case Rent():
                start = StartPurchase(
                    account_id=ACCOUNT, purchase_id=PurchaseId("one"), offer=_offer(), currency=self.part.currency
                )
                self._buy(start)
            case PlayRental():
                self._buy(StartRental())
            case Refund(amount_minor=minor):
                self._refund(None if minor is None else Money(minor, self.part.currency))
            case Subscribe(refused=None) | ChangePlan() | Cancel() | Uncancel() | Pause() | Resume():
                self._subscribe(_command(step, self.part.currency))
            case Subscribe():
                with pytest.raises(Refusal):
                    self._subscribe(_command(step, self.part.currency))
        self._answer()

    @property
    def plan(self) -> Plan | None:
        current = self.subscription.current
        if current is None:
            return None
        scheduled = current.scheduled.plan_id if current.scheduled else None
        return Plan(status_at(self.subscription, self.now, Policy()), current.terms.plan_id, scheduled)

    @property
    def bills(self) -> tuple[Bill, ...]:
        """None of the parts takes something of the subscription after it rented."""
        return tuple(bill for ledger in self._ledgers() for bill in _bills(ledger))

    @property
    def entitled(self) -> Entitled:
        current = self.subscription.current
        watching = current is not None and has_access(self.subscription, self.now, Policy())
        return Entitled(current.terms.limits.streams if current and watching else 0, self.purchase.status == "granted")

    def _subscribe(self, command: Any) -> None:
        self.subscription = _decided(DECIDERS.subscription, command, self.subscription, self.now)

    def _buy(self, command: Any) -> None:
        self.purchase = _decided(DECIDERS.purchase, command, self.purchase, self.now)

    def _refund(self, amount: Money | None) -> None:
        bought = bool(self.purchase.ledger.invoices)
        ledger = self.purchase.ledger if bought else self.subscription.ledger
        asked = c.RequestRefund(invoice_id=list(ledger.invoices)[-1], amount=amount)
        (self._buy if bought else self._subscribe)(asked)

    def _answer(self) -> None:
        for ledger, record in ((self.subscription.ledger, self._subscribe), (self.purchase.ledger, self._buy)):
            for command in _answers(ledger, self.rule):
                record(command)

    def _ledgers(self) -> Iterator[Ledger]:
        yield self.subscription.ledger
        yield self.purchase.ledger


def _decided(decider: Decider[Any, Any], command: object, state: Any, now: datetime) -> Any:
    return reduce(decider.evolve, decider.decide(command, state, now), state)


def _answers(ledger: Ledger, rule: Rule) -> Iterator[c.PaymentCommand]:
    requests = open_requests(ledger)
    for payment in requests.payments:
        charge_id = f"charge of {payment.idempotency_key}"
        if rule.decline_code:
            yield c.RecordPaymentFailed(invoice_id=payment.invoice_id, code=rule.decline_code, charge_id=charge_id)
        else:
            yield c.RecordPaymentSucceeded(invoice_id=payment.invoice_id, charge_id=charge_id, amount=payment.amount)
    for refund in requests.refunds:
        yield c.RecordRefund(
            invoice_id=refund.invoice_id,
            refund_id=refund.refund_id,
            provider_refund_id=f"of {refund.refund_id}",
            outcome="failed" if rule.refund_fails else "succeeded",
            charge_id=refund.charge_id,
            amount=refund.amount,
        )


def _bills(ledger: Ledger) -> Iterator[Bill]:
    for invoice_id, invoice in ledger.invoices.items():
        back_minor = sum(
            refund.requested.amount.amount_minor
            for refund in ledger.refunds.values()
            if refund.status == "issued" and refund.requested.invoice_id == invoice_id
        )
        total = invoice.issued.total
        yield Bill(invoice.issued.reason, invoice.status, total.currency, total.amount_minor, back_minor)


def _command(step: Step, currency: str) -> c.SubscriptionCommand:
    match step:
        case Subscribe():
            return c.StartSubscription(
                account_id=ACCOUNT,
                subscription_id=SubscriptionId(new_id()),
                plan=_plan(step.plan_id),
                period="year" if step.period == "year" else "month",
                currency=currency,
                time_zone="UTC",
                coupon=HALF_OFF if step.coupon else None,
            )
        case ChangePlan(plan_id=plan_id):
            return c.ChangePlan(plan=_plan(plan_id), period="month")
        case Cancel(immediately=immediately):
            return c.Cancel(immediately=immediately)
        case Uncancel():
            return c.Uncancel()
        case Pause():
            return c.Pause()
        case Resume():
            return c.Resume()
        case other:
            raise TypeError(other)


def _plan(plan_id: str) -> PlanVersion:
    body = tariff.PLANS[plan_id]
    return PlanVersion(
        plan_id=PlanId(plan_id),
        version=1,
        name=body["name"],
        prices=tuple(PlanPrice(one["period"], Money(**one["price"])) for one in body["prices"]),
        trial_days=body["trial_days"],
        limits=PlanLimits(**body["limits"]),
    )


def _offer() -> Offer:
    return Offer(
        offer_id=OfferId("rent"),
        kind="rental",
        title_id=TitleId("film"),
        title_name=tariff.RENTED_FILM,
        prices=tuple(Money(minor, currency) for currency, minor in tariff.RENTAL_MINOR.items()),
    )
