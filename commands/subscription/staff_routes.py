"""What billing staff commands over HTTP: plans, offers, coupons and refunds. All need an Idempotency-Key."""

from typing import Annotated

from fastapi import APIRouter, FastAPI, Path

from commands.handling import Target
from commands.replies import Recorded
from commands.subscription import refusals as r
from commands.subscription import routes
from commands.subscription.access import BillingStaff
from commands.subscription.bodies import CouponBody, NothingBody, OfferBody, PlanBody, RefundBody, RevisionBody
from commands.subscription.commands import RequestRefund
from commands.subscription.coupons import COUPON, DefineCoupon, WithdrawCoupon
from commands.subscription.installation import Deciders, policy_of
from commands.subscription.offers import OFFER, DefineOffer, WithdrawOffer
from commands.subscription.plans import PLAN, DefinePlan, RetirePlan, RevisePlan
from commands.subscription.problems import refused_by
from commands.subscription.recording import decider_of, target_of
from commands.subscription.requests import At
from events.types import CouponCode, CurrencyMixed, InvoiceId, OfferId, PlanId
from infra.settings import Settings

router = APIRouter(prefix="/v1", tags=["billing"], dependencies=[BillingStaff])

InvoiceIdPath = Annotated[InvoiceId, Path(min_length=1, max_length=128, pattern="^[0-9a-zA-Z_.-]+$")]
Id = Path(min_length=1, max_length=64, pattern="^[0-9a-zA-Z_-]+$")
PlanIdPath = Annotated[PlanId, Id]
OfferIdPath = Annotated[OfferId, Id]
CodePath = Annotated[CouponCode, Id]


def install(app: FastAPI, settings: Settings) -> None:
    """Serve the context's routes under the policy of an installation."""
    app.state.subscription_deciders = Deciders.under(policy_of(settings))
    for routes_of in (router, routes.subscriptions, routes.purchases):
        app.include_router(routes_of)


def _plan(plan_id: str) -> Target:
    return Target(plan_id, f"subscription.plan-{plan_id}")


def _offer(offer_id: str) -> Target:
    return Target(offer_id, f"subscription.offer-{offer_id}")


def _coupon(code: str) -> Target:
    return Target(code, f"subscription.coupon-{code}")


@router.post("/plans", status_code=201, responses=refused_by(r.PlanAlreadyDefined, r.PricesAmbiguous))
async def define_plan(body: PlanBody, at: At) -> Recorded:
    """Offer a plan to subscribers. Defining the same plan again changes nothing."""
    command = DefinePlan(plan_id=PlanId(body.plan_id), **body.values())
    return await at.handle(command, PLAN, _plan(body.plan_id))


@router.post(
    "/plans/{plan_id}/revisions",
    status_code=201,
    responses=refused_by(r.PlanUnknown, r.PlanNotOnSale, r.PricesAmbiguous),
)
async def revise_plan(plan_id: PlanIdPath, body: RevisionBody, at: At) -> Recorded:
    """Offer a new version to new subscribers; the others keep theirs."""
    return await at.handle(RevisePlan(plan_id=plan_id, **body.values()), PLAN, _plan(plan_id))


@router.post("/plans/{plan_id}/retire", responses=refused_by(r.PlanUnknown))
async def retire_plan(plan_id: PlanIdPath, _: NothingBody, at: At) -> Recorded:
    """Offer the plan to nobody any more."""
    return await at.handle(RetirePlan(plan_id=plan_id), PLAN, _plan(plan_id))


@router.post(
    "/offers", status_code=201, responses=refused_by(r.OfferAlreadyDefined, r.OfferWindowInvalid, r.PricesAmbiguous)
)
async def define_offer(body: OfferBody, at: At) -> Recorded:
    """Sell a title by itself."""
    return await at.handle(DefineOffer(offer=body.value_object()), OFFER, _offer(body.offer_id))


@router.post("/offers/{offer_id}/withdraw", responses=refused_by(r.OfferUnknown))
async def withdraw_offer(offer_id: OfferIdPath, _: NothingBody, at: At) -> Recorded:
    """Sell it to nobody any more; who bought it keeps it."""
    return await at.handle(WithdrawOffer(offer_id=offer_id), OFFER, _offer(offer_id))


@router.post("/coupons", status_code=201, responses=refused_by(r.CouponAlreadyDefined, r.CouponTermsInvalid))
async def define_coupon(body: CouponBody, at: At) -> Recorded:
    """Let accounts redeem a coupon, each once, altogether at most most_redemptions times."""
    return await at.handle(DefineCoupon(coupon=body.value_object()), COUPON, _coupon(body.code))


@router.post("/coupons/{code}/withdraw", responses=refused_by(r.CouponUnknown))
async def withdraw_coupon(code: CodePath, _: NothingBody, at: At) -> Recorded:
    """Let nobody redeem it any more."""
    return await at.handle(WithdrawCoupon(code=code), COUPON, _coupon(code))


@router.post(
    "/invoices/{invoice_id}/refunds",
    status_code=202,
    responses=refused_by(r.InvoiceUnknown, r.NotRefundable, r.RefundExceedsPayment, CurrencyMixed),
)
async def request_refund(invoice_id: InvoiceIdPath, body: RefundBody, at: At) -> Recorded:
    """Give back some or all of what was paid. A purchase that is given back wholly is revoked."""
    target = target_of(invoice_id)
    if target is None:
        raise r.InvoiceUnknown(f"there is no invoice {invoice_id!r}")
    amount = body.amount.value_object() if body.amount else None
    command = RequestRefund(invoice_id=invoice_id, amount=amount, note=body.note)
    return await at.handle(command, decider_of(invoice_id, at.deciders), target)
