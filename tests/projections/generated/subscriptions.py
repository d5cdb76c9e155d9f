"""What may happen to two accounts' subscriptions, a purchase, a plan, a coupon and an offer."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from hypothesis import strategies as st

from commands.subscription import commands as c
from commands.subscription.coupons import COUPON, DefineCoupon, RedeemCoupon, WithdrawCoupon
from commands.subscription.decider import subscription_decider
from commands.subscription.offers import OFFER, DefineOffer, WithdrawOffer
from commands.subscription.plans import PLAN, DefinePlan, RetirePlan, RevisePlan
from commands.subscription.policy import Policy
from commands.subscription.purchases import StartPurchase, StartRental, purchase_decider
from events.envelope import Envelope, Event
from events.subscription import (
    BillingPeriod,
    Coupon,
    Offer,
    PaymentRequested,
    PaymentSucceeded,
    PlanVersion,
    RefundRequested,
    SubscriptionStarted,
)
from events.types import AccountId, OfferId, PurchaseId, SubscriptionId, TitleId
from tests.commands.subscription.accounts import BASIC, FIVE, FREE, HALF, PREMIUM, STANDARD, TRIED, euros
from tests.projections.generated.lives import DAY, T0, Ask, Stream, always, lives, side_by_side

POLICY: Final = Policy()
DECIDER: Final = subscription_decider(POLICY)
MONTH: Final = 31 * DAY
RENTAL: Final = Offer(
    offer_id=OfferId("heat-rent"), kind="rental", title_id=TitleId("heat"), title_name="Heat", prices=(euros(399),)
)
OWNED: Final = Offer(
    offer_id=OfferId("heat-buy"), kind="purchase", title_id=TitleId("heat"), title_name="Heat", prices=(euros(999),)
)
COUPON_HALF: Final = Coupon(terms=HALF, valid_from=T0, valid_until=T0 + 400 * DAY)


def _asked(history: Sequence[Event]) -> PaymentRequested | None:
    return next((event for event in reversed(history) if isinstance(event, PaymentRequested)), None)


def _pay(history: Sequence[Event], _: datetime) -> c.SubscriptionCommand | None:
    asked = _asked(history)
    if asked is None:
        return None
    charge_id = f"ch-{asked.idempotency_key}"
    return c.RecordPaymentSucceeded(invoice_id=asked.invoice_id, charge_id=charge_id, amount=asked.amount)


def _decline(history: Sequence[Event], _: datetime) -> c.SubscriptionCommand | None:
    asked = _asked(history)
    if asked is None:
        return None
    charge_id = f"ch-{asked.idempotency_key}"
    return c.RecordPaymentFailed(invoice_id=asked.invoice_id, code="insufficient_funds", charge_id=charge_id)


def _retry(history: Sequence[Event], _: datetime) -> c.SubscriptionCommand | None:
    asked = _asked(history)
    return c.RetryPayment(invoice_id=asked.invoice_id, attempt=asked.attempt + 1) if asked else None


def _renew(history: Sequence[Event], _: datetime) -> c.SubscriptionCommand | None:
    current = DECIDER.state_after(history, DECIDER.initial).current
    return c.Renew(number=current.period.number + 1) if current and current.period else None


def _ask_back(cents: int | None) -> Ask:
    def asked(history: Sequence[Event], _: datetime) -> c.SubscriptionCommand | None:
        paid = next((event for event in reversed(history) if isinstance(event, PaymentSucceeded)), None)
        if paid is None:
            return None
        return c.RequestRefund(invoice_id=paid.invoice_id, amount=euros(cents) if cents else None)

    return asked


def _give_back(history: Sequence[Event], _: datetime) -> c.SubscriptionCommand | None:
    return _answered(history, failed=False)


def _keep(history: Sequence[Event], _: datetime) -> c.SubscriptionCommand | None:
    return _answered(history, failed=True)


def _answered(history: Sequence[Event], *, failed: bool) -> c.SubscriptionCommand | None:
    asked = next((event for event in reversed(history) if isinstance(event, RefundRequested)), None)
    if asked is None:
        return None
    return c.RecordRefund(
        invoice_id=asked.invoice_id,
        provider_refund_id=f"re-{asked.refund_id}",
        outcome="failed" if failed else "succeeded",
        refund_id=asked.refund_id,
    )


def _sign_up(account_id: str, plan: PlanVersion, period: BillingPeriod = "month") -> Ask:
    def asked(history: Sequence[Event], _: datetime) -> c.SubscriptionCommand:
        number = sum(isinstance(event, SubscriptionStarted) for event in history)
        return c.StartSubscription(
            account_id=AccountId(account_id),
            subscription_id=SubscriptionId(f"{account_id}-{number}"),
            plan=plan,
            period=period,
            currency="EUR",
            time_zone="Europe/Berlin",
        )

    return asked


MONEY: Final = (_pay, _pay, _pay, _decline, _ask_back(None), _ask_back(200), _give_back, _keep)


_to_basic: Final = always(c.ChangePlan(plan=BASIC, period="month"))
_to_premium: Final = always(c.ChangePlan(plan=PREMIUM, period="month"))


def _account(account_id: str) -> Stream:
    change = (_to_basic, _to_premium, always(c.ChangePlan(plan=STANDARD, period="month")))
    going = (_renew, _renew, _decline, _retry, *map(always, (c.EnterPastDue(), c.Recover(), c.Expire())))
    ending = (c.Cancel(), c.Cancel(), c.Cancel(immediately=True), c.Uncancel(), c.Uncancel())
    wishes = map(always, (c.Pause(), c.Resume(), c.Resume(), *ending, c.ApplyCoupon(coupon=FIVE)))
    free, standard, tried, basic = (_sign_up(account_id, to) for to in (FREE, STANDARD, TRIED, BASIC))
    paid, yearly = (standard, _pay), (_sign_up(account_id, BASIC, "year"), _pay)
    grace = (basic, _pay, MONTH, _renew, _decline)
    begins = (
        (),
        (free,),
        (tried,),
        paid,
        yearly,
        (*paid, _to_basic),
        grace,
        (*paid, MONTH, _renew, _pay),
        (*grace, 8 * DAY, always(c.EnterPastDue())),
        (*paid, always(c.Cancel()), always(c.Uncancel())),
        (*paid, _to_basic, always(c.ChangePlan(plan=STANDARD, period="month"))),
    )
    asks = (*MONEY, *change, *going, *wishes, _sign_up(account_id, STANDARD), _until)
    return Stream(f"subscription.account-{account_id}", DECIDER, begins, asks)


def _until(_: Sequence[Event], now: datetime) -> c.SubscriptionCommand:
    return c.Pause(until=now + 5 * DAY)


def _purchase(offer: Offer) -> Stream:
    purchase_id = PurchaseId(f"p-{offer.offer_id}")
    start = StartPurchase(account_id=AccountId("a1"), purchase_id=purchase_id, offer=offer, currency="EUR")
    asks = (*MONEY, always(StartRental()))
    return Stream(
        f"subscription.purchase-{purchase_id}",
        purchase_decider(POLICY),
        ((always(start),), (always(start), _pay)),
        asks,
    )


def _plan() -> Stream:
    values = {"plan_id": STANDARD.plan_id, "prices": STANDARD.prices, "limits": STANDARD.limits, "trial_days": 7}
    define = DefinePlan(name="Standard", **values)  # type: ignore[arg-type]  # each value is its field's
    revised = [RevisePlan(name=name, **values) for name in ("Standard", "Plus")]  # type: ignore[arg-type]  # the same
    asks = tuple(map(always, (*revised, RetirePlan(plan_id=STANDARD.plan_id))))
    return Stream("subscription.plan-standard", PLAN, ((always(define),),), asks)


def _coupon() -> Stream:
    code = HALF.code
    redeemed = (RedeemCoupon(code=code, account_id=AccountId(each)) for each in ("a1", "a2"))
    asks = tuple(map(always, (*redeemed, WithdrawCoupon(code=code))))
    return Stream("subscription.coupon-HALF", COUPON, ((always(DefineCoupon(coupon=COUPON_HALF)),),), asks)


def _offer() -> Stream:
    asks = (always(WithdrawOffer(offer_id=RENTAL.offer_id)),)
    return Stream("subscription.offer-heat-rent", OFFER, ((always(DefineOffer(offer=RENTAL)),),), asks)


def histories() -> st.SearchStrategy[list[Envelope[Event]]]:
    """Records of subscription.events."""
    few = (_purchase(RENTAL), _purchase(OWNED))
    fewer = (_plan(), _coupon(), _offer())
    return side_by_side(
        *(lives(_account(account_id), 30) for account_id in ("a1", "a2")),
        *(lives(stream, 8) for stream in few),
        *(lives(stream, 4) for stream in fewer),
    )
