"""Plans, coupons, offers and purchases: every command in every state of theirs."""

from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest

from commands.subscription import commands as c
from commands.subscription import refusals as r
from commands.subscription.coupons import COUPON, DefineCoupon, RedeemCoupon, WithdrawCoupon
from commands.subscription.offers import OFFER, DefineOffer, WithdrawOffer, offer_on_sale
from commands.subscription.plans import PLAN, DefinePlan, RetirePlan, RevisePlan, on_sale, terms_of
from commands.subscription.policy import Policy
from commands.subscription.purchases import PurchaseState, StartPurchase, StartRental, purchase_decider
from events.envelope import Event
from events.subscription import (
    Coupon,
    CouponDefined,
    CouponRedeemed,
    CouponWithdrawn,
    Offer,
    OfferDefined,
    OfferWithdrawn,
    PlanDefined,
    PlanRetired,
    PlanRevised,
    PurchaseGranted,
    RentalStarted,
)
from events.types import AccountId, InvoiceId, OfferId, PlanId, PurchaseId, TitleId
from tests.commands.subscription.accounts import DAY, FIVE, HALF, ME, STANDARD, T0, euros, names
from tests.spec import Spec

plans, coupons, offers = Spec(PLAN), Spec(COUPON), Spec(OFFER)
purchases = Spec(purchase_decider(Policy()))

DEFINE = DefinePlan(
    plan_id=STANDARD.plan_id, name="Standard", prices=STANDARD.prices, trial_days=0, limits=STANDARD.limits
)
REVISE = RevisePlan(**{**vars(DEFINE), "trial_days": 7})
RETIRE = RetirePlan(plan_id=STANDARD.plan_id)
defined = PlanDefined(plan=STANDARD)
revised = PlanRevised(plan=msgspec.structs.replace(STANDARD, version=2, trial_days=7))
retired = PlanRetired(plan_id=STANDARD.plan_id)


def test_a_plan_is_defined_once() -> None:
    plans.given().when(DEFINE).then(defined)
    plans.given(defined).when(DEFINE).ignored()
    plans.given(defined).when(replace(DEFINE, name="Other")).refused(r.PlanAlreadyDefined)


def test_a_revision_is_a_new_version_and_the_same_one_is_none() -> None:
    plans.given(defined).when(REVISE).then(revised)
    plans.given(defined, revised).when(REVISE).ignored()
    plans.given().when(REVISE).refused(r.PlanUnknown)
    plans.given(defined, retired).when(REVISE).refused(r.PlanNotOnSale)


def test_a_plan_is_retired_once() -> None:
    plans.given(defined).when(RETIRE).then(retired)
    plans.given(defined, retired).when(RETIRE).ignored()
    plans.given().when(RETIRE).refused(r.PlanUnknown)


def test_two_prices_for_the_same_are_refused() -> None:
    plans.given().when(replace(DEFINE, prices=(*STANDARD.prices, STANDARD.prices[0]))).refused(r.PricesAmbiguous)


def test_only_a_plan_that_is_sold_can_be_signed_up_to_at_a_price_that_it_has() -> None:
    assert on_sale(PLAN.state_after([defined, revised], PLAN.initial), PlanId("standard")).version == 2
    with pytest.raises(r.PlanNotOnSale):
        on_sale(PLAN.state_after([defined, retired], PLAN.initial), PlanId("standard"))
    with pytest.raises(r.PlanUnknown):
        on_sale(PLAN.initial, PlanId("standard"))
    with pytest.raises(r.PriceUnknown) as refused:
        terms_of(STANDARD, "USD", "month")
    assert refused.value.members["prices"]


HALF_COUPON = Coupon(terms=HALF, valid_from=T0, valid_until=T0 + 10 * DAY, most_redemptions=1)
half_defined, half_withdrawn = CouponDefined(coupon=HALF_COUPON), CouponWithdrawn(code=HALF.code)
half_redeemed = CouponRedeemed(code=HALF.code, account_id=ME, redemptions=1)
REDEEM = RedeemCoupon(code=HALF.code, account_id=ME)


def test_a_coupon_is_defined_once_and_withdrawn_once() -> None:
    coupons.given().when(DefineCoupon(coupon=HALF_COUPON)).then(half_defined)
    coupons.given(half_defined).when(DefineCoupon(coupon=HALF_COUPON)).ignored()
    other = msgspec.structs.replace(HALF_COUPON, most_redemptions=9)
    coupons.given(half_defined).when(DefineCoupon(coupon=other)).refused(r.CouponAlreadyDefined)
    coupons.given(half_defined).when(WithdrawCoupon(code=HALF.code)).then(half_withdrawn)
    coupons.given(half_defined, half_withdrawn).when(WithdrawCoupon(code=HALF.code)).ignored()
    coupons.given().when(WithdrawCoupon(code=HALF.code)).refused(r.CouponUnknown)


def test_a_coupon_is_redeemed_once_by_an_account_and_as_often_as_it_may_be() -> None:
    coupons.given(half_defined).when(REDEEM, now=T0).then(half_redeemed)
    coupons.given(half_defined, half_redeemed).when(REDEEM, now=T0).refused(r.CouponAlreadyRedeemed)
    other = replace(REDEEM, account_id=AccountId("a2"))
    coupons.given(half_defined, half_redeemed).when(other, now=T0).refused(r.CouponExhausted)
    coupons.given(half_defined, half_withdrawn).when(REDEEM, now=T0).refused(r.CouponNotValid)
    coupons.given().when(REDEEM, now=T0).refused(r.CouponUnknown)


@pytest.mark.parametrize("now", [T0 - timedelta(seconds=1), T0 + 10 * DAY])
def test_a_coupon_outside_of_its_window_is_refused(now: object) -> None:
    coupons.given(half_defined).when(REDEEM, now=now).refused(r.CouponNotValid)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "terms", [msgspec.structs.replace(FIVE, percent=5), msgspec.structs.replace(HALF, percent=None)]
)
def test_a_coupon_takes_off_a_percentage_or_an_amount(terms: object) -> None:
    coupon = msgspec.structs.replace(HALF_COUPON, terms=terms)
    coupons.given().when(DefineCoupon(coupon=coupon)).refused(r.CouponTermsInvalid)


RENTAL = Offer(
    offer_id=OfferId("heat"), kind="rental", title_id=TitleId("heat"), title_name="Heat", prices=(euros(399),)
)
FIGHT = msgspec.structs.replace(RENTAL, kind="pay_per_view", opens_at=T0, closes_at=T0 + DAY)
offered, offer_withdrawn = OfferDefined(offer=RENTAL), OfferWithdrawn(offer_id=RENTAL.offer_id)


def test_an_offer_is_defined_once_and_withdrawn_once() -> None:
    offers.given().when(DefineOffer(offer=RENTAL)).then(offered)
    offers.given(offered).when(DefineOffer(offer=RENTAL)).ignored()
    offers.given(offered).when(DefineOffer(offer=FIGHT)).refused(r.OfferAlreadyDefined)
    offers.given(offered).when(WithdrawOffer(offer_id=RENTAL.offer_id)).then(offer_withdrawn)
    offers.given(offered, offer_withdrawn).when(WithdrawOffer(offer_id=RENTAL.offer_id)).ignored()
    offers.given().when(WithdrawOffer(offer_id=RENTAL.offer_id)).refused(r.OfferUnknown)
    with pytest.raises(r.OfferNotOnSale):
        offer_on_sale(OFFER.state_after([offered, offer_withdrawn], OFFER.initial), RENTAL.offer_id)


def test_only_a_pay_per_view_has_a_window_and_it_ends_after_it_starts() -> None:
    for changes in ({"opens_at": T0}, {"closes_at": T0}):
        offer = msgspec.structs.replace(RENTAL, **changes)
        offers.given().when(DefineOffer(offer=offer)).refused(r.OfferWindowInvalid)
    for offer in (msgspec.structs.replace(FIGHT, opens_at=None), msgspec.structs.replace(FIGHT, closes_at=T0)):
        offers.given().when(DefineOffer(offer=offer)).refused(r.OfferWindowInvalid)
    twice = msgspec.structs.replace(RENTAL, prices=(euros(1), euros(2)))
    offers.given().when(DefineOffer(offer=twice)).refused(r.PricesAmbiguous)


INVOICE = InvoiceId("purchase-p1.1")
BUY = StartPurchase(account_id=ME, purchase_id=PurchaseId("p1"), offer=RENTAL, currency="EUR")
PAID = c.RecordPaymentSucceeded(invoice_id=INVOICE, charge_id="ch", amount=euros(399))
DECLINED = c.RecordPaymentFailed(invoice_id=INVOICE, code="expired_card", charge_id="ch")
REFUND = c.RequestRefund(invoice_id=INVOICE)
BACK = c.RecordRefund(
    invoice_id=INVOICE, provider_refund_id="re", outcome="succeeded", charge_id="ch", amount=euros(399)
)


def bought(*commands: object, offer: Offer = RENTAL) -> list[Event]:
    """The events of a purchase after commands, all at T0."""
    decider, history = purchases.decider, list[Event]()
    for command in (replace(BUY, offer=offer), *commands):
        state: PurchaseState = decider.state_after(history, decider.initial)
        history += decider.decide(command, state, T0)  # type: ignore[arg-type]  # each is a command
    return history


PURCHASES = {"none": [], "pending": bought(), "granted": bought(PAID), "revoked": bought(DECLINED)}
GIVEN_BACK = ["RefundIssued", "PurchaseRevoked"]
ENDINGS: list[tuple[object, dict[str, list[str] | type[Exception]]]] = [
    (
        BUY,
        {"none": ["PurchaseStarted", "InvoiceIssued", "PaymentRequested"], "pending": [], "granted": [], "revoked": []},
    ),
    (
        StartRental(),
        {
            "none": r.PurchaseUnknown,
            "pending": r.PurchaseNotUsable,
            "granted": ["RentalStarted"],
            "revoked": r.PurchaseNotUsable,
        },
    ),
    (
        PAID,
        {
            "none": r.InvoiceUnknown,
            "pending": ["PaymentSucceeded", "PurchaseGranted"],
            "granted": [],
            "revoked": ["PaymentSucceeded", "RefundRequested"],
        },
    ),
    (
        DECLINED,
        {
            "none": r.InvoiceUnknown,
            "pending": ["PaymentFailed", "InvoiceVoided", "PurchaseRevoked"],
            "granted": [],
            "revoked": [],
        },
    ),
    (
        REFUND,
        {
            "none": r.InvoiceUnknown,
            "pending": r.NotRefundable,
            "granted": ["RefundRequested"],
            "revoked": r.NotRefundable,
        },
    ),
    (
        BACK,
        {"none": r.InvoiceUnknown, "pending": r.RefundUnknown, "granted": r.RefundUnknown, "revoked": r.RefundUnknown},
    ),
]
CASES = [(command, state, ending) for command, endings in ENDINGS for state, ending in endings.items()]


@pytest.mark.parametrize(("command", "state", "ending"), CASES)
def test_a_purchase_takes_each_command_in_each_state(command: object, state: str, ending: object) -> None:
    decided = purchases.given(*PURCHASES[state]).when(command, now=T0)  # type: ignore[arg-type]  # each is a command
    if isinstance(ending, list):
        assert names(decided.decided()) == ending
    else:
        decided.refused(ending)  # type: ignore[arg-type]  # each is a refusal


def test_a_rental_is_started_within_thirty_days_and_played_for_two() -> None:
    granted = purchases.given(*PURCHASES["granted"])
    [started] = granted.when(StartRental(), now=T0 + 29 * DAY).decided()
    assert isinstance(started, RentalStarted)
    assert started.access_until == T0 + 31 * DAY
    granted.when(StartRental(), now=T0 + 30 * DAY).refused(r.PurchaseNotUsable)
    purchases.given(*PURCHASES["granted"], started).when(StartRental(), now=T0 + 40 * DAY).ignored()


def test_a_pay_per_view_is_open_in_its_window_and_not_sold_after_it() -> None:
    [granted] = [event for event in bought(PAID, offer=FIGHT) if isinstance(event, PurchaseGranted)]
    assert (granted.access_from, granted.access_until, granted.start_by) == (T0, T0 + DAY, None)
    late = replace(BUY, offer=FIGHT)
    purchases.given().when(late, now=T0 + DAY).refused(r.OfferNotOnSale)
    purchases.given(*bought(PAID, offer=FIGHT)).when(StartRental(), now=T0).refused(r.NotARental)


def test_a_purchase_for_good_has_no_end() -> None:
    offer = msgspec.structs.replace(RENTAL, kind="purchase")
    [granted] = [event for event in bought(PAID, offer=offer) if isinstance(event, PurchaseGranted)]
    assert (granted.access_until, granted.start_by) == (None, None)


def test_a_part_given_back_leaves_the_title_and_all_of_it_takes_it_away() -> None:
    part = c.RequestRefund(invoice_id=INVOICE, amount=euros(100))
    rest = c.RequestRefund(invoice_id=INVOICE)
    first = replace(BACK, provider_refund_id="re-1", amount=euros(100))
    second = replace(BACK, provider_refund_id="re-2", amount=euros(299))
    assert names(bought(PAID, part, first))[-1] == "RefundIssued"
    assert names(bought(PAID, part, first, rest, second))[-2:] == GIVEN_BACK
    too_much = c.RequestRefund(invoice_id=INVOICE, amount=euros(400))
    purchases.given(*PURCHASES["granted"]).when(too_much).refused(r.RefundExceedsPayment)


def test_another_purchase_or_currency_under_the_same_id_is_refused() -> None:
    purchases.given(*PURCHASES["pending"]).when(replace(BUY, offer=FIGHT), now=T0).refused(r.AlreadyPurchased)
    purchases.given().when(replace(BUY, currency="USD")).refused(r.PriceUnknown)
