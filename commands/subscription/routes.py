"""The subscriber's commands over HTTP: for their own account, or by billing staff. All need an Idempotency-Key."""

from typing import Annotated

from fastapi import APIRouter, Path

from commands.access import NotYourAccount
from commands.replies import Recorded
from commands.subscription import commands as c
from commands.subscription import refusals as r
from commands.subscription.access import Caller, Own, account_of, check_own
from commands.subscription.bodies import (
    CancelBody,
    ChangePlanBody,
    NothingBody,
    PauseBody,
    PurchaseBody,
    RedeemBody,
    SubscriptionBody,
)
from commands.subscription.installation import of_purchase
from commands.subscription.offers import OFFER, offer_on_sale
from commands.subscription.problems import refused_by
from commands.subscription.purchases import StartPurchase, StartRental
from commands.subscription.requests import At
from events.types import CurrencyMixed, OfferId, PurchaseId, SubscriptionId
from infra.ids import new_id

subscriptions = APIRouter(prefix="/v1/subscriptions", tags=["subscriptions"])
purchases = APIRouter(prefix="/v1/purchases", tags=["purchases"])

PurchaseIdPath = Annotated[PurchaseId, Path(min_length=1, max_length=64, pattern="^[0-9a-zA-Z_-]+$")]
PLAN = (r.PlanUnknown, r.PlanNotOnSale, r.PriceUnknown)
COUPON = (
    r.CouponUnknown,
    r.CouponNotValid,
    r.CouponExhausted,
    r.CouponAlreadyRedeemed,
    r.CouponAlreadyRunning,
    CurrencyMixed,
)
OWN = (NotYourAccount, r.SubscriptionUnknown)


@subscriptions.post(
    "", status_code=201, responses=refused_by(NotYourAccount, *PLAN, *COUPON, r.TimeZoneUnknown, r.AlreadySubscribed)
)
async def start_subscription(body: SubscriptionBody, caller: Caller, at: At) -> Recorded:
    """Subscribe. A trial begins at once; else access begins when the first payment succeeds."""
    if known := await at.first_reply():
        return known
    account_id = account_of(caller, body.account_id)
    coupon = await at.coupon(body.coupon) if body.coupon else None
    command = c.StartSubscription(
        account_id=account_id,
        subscription_id=SubscriptionId(new_id()),
        plan=await at.plan(body.plan_id),
        period=body.period,
        currency=body.currency,
        time_zone=body.time_zone,
        coupon=coupon,
    )
    return await at.command(command, account_id, coupon)


@subscriptions.post("/{account_id}/cancel", responses=refused_by(*OWN))
async def cancel(account_id: Own, body: CancelBody, at: At) -> Recorded:
    """Do not renew; access lasts as long as is paid, unless it is to end immediately."""
    return await at.command(c.Cancel(immediately=body.immediately, reason=body.reason), account_id)


@subscriptions.post("/{account_id}/uncancel", responses=refused_by(*OWN, r.NotUncancelable))
async def uncancel(account_id: Own, _: NothingBody, at: At) -> Recorded:
    """Renew after all."""
    return await at.command(c.Uncancel(), account_id)


@subscriptions.post("/{account_id}/pause", responses=refused_by(*OWN, r.NotPausable, r.PauseTooLong))
async def pause(account_id: Own, body: PauseBody, at: At) -> Recorded:
    """No access and no charges for a while; what is left of the period is kept."""
    return await at.command(c.Pause(until=body.until), account_id)


@subscriptions.post("/{account_id}/resume", responses=refused_by(*OWN, r.NotResumable))
async def resume(account_id: Own, _: NothingBody, at: At) -> Recorded:
    """End the pause."""
    return await at.command(c.Resume(), account_id)


@subscriptions.post(
    "/{account_id}/change-plan",
    responses=refused_by(*OWN, *PLAN, r.PlanNotChangeable, r.PaymentOutstanding),
)
async def change_plan(account_id: Own, body: ChangePlanBody, at: At) -> Recorded:
    """A plan that costs more a year is taken now, for the difference; any other from the next period on."""
    if known := await at.first_reply():
        return known
    return await at.command(c.ChangePlan(plan=await at.plan(body.plan_id), period=body.period), account_id)


@subscriptions.post("/{account_id}/recover", responses=refused_by(*OWN, r.NotRecoverable))
async def recover(account_id: Own, _: NothingBody, at: At) -> Recorded:
    """Ask for what is overdue now, the payment method being mended."""
    return await at.command(c.Recover(), account_id)


@subscriptions.post("/{account_id}/coupons", responses=refused_by(*OWN, *COUPON, r.CouponNotApplicable))
async def redeem_coupon(account_id: Own, body: RedeemBody, at: At) -> Recorded:
    """Redeem a coupon for the invoices to come."""
    if known := await at.first_reply():
        return known
    coupon = await at.coupon(body.code)
    return await at.command(c.ApplyCoupon(coupon=coupon), account_id, coupon)


@purchases.post(
    "", status_code=201, responses=refused_by(NotYourAccount, r.OfferUnknown, r.OfferNotOnSale, r.PriceUnknown)
)
async def start_purchase(body: PurchaseBody, caller: Caller, at: At) -> Recorded:
    """Take an offer. The title is the account's when the payment succeeds."""
    if known := await at.first_reply():
        return known
    purchase_id = PurchaseId(new_id())
    offer = offer_on_sale(await at.state(f"subscription.offer-{body.offer_id}", OFFER), OfferId(body.offer_id))
    command = StartPurchase(
        account_id=account_of(caller, body.account_id), purchase_id=purchase_id, offer=offer, currency=body.currency
    )
    return await at.handle(command, at.deciders.purchase, of_purchase(purchase_id))


@purchases.post(
    "/{purchase_id}/start", responses=refused_by(NotYourAccount, r.PurchaseUnknown, r.NotARental, r.PurchaseNotUsable)
)
async def start_rental(purchase_id: PurchaseIdPath, _: NothingBody, caller: Caller, at: At) -> Recorded:
    """The first play of a rental, from which its 48 hours count. Starting it again changes nothing."""
    target = of_purchase(purchase_id)
    state = await at.state(target.stream_id, at.deciders.purchase)
    if state.started is None:
        raise r.PurchaseUnknown(f"there is no purchase {purchase_id!r}")
    check_own(caller, state.started.account_id)
    return await at.handle(StartRental(), at.deciders.purchase, target)
