"""How the subscription context refuses: every refusal and the problem that it becomes, on one screen
(docs/problems.md).
"""

from typing import Final

from commands import errors
from commands.handling import IdempotencyKeyMissing
from commands.subscription import refusals as r
from events.types import AmountNegative, CurrencyMixed
from infra.http.openapi import Responses
from infra.http.problems import ProblemKind, Problems

PROBLEMS: Final[Problems] = {
    r.PlanUnknown: ProblemKind(404, "plan-unknown", "There is no such plan"),
    r.PlanAlreadyDefined: ProblemKind(409, "plan-already-defined", "Another plan has this id"),
    r.PlanNotOnSale: ProblemKind(409, "plan-not-on-sale", "The plan is not sold any more"),
    r.PriceUnknown: ProblemKind(409, "price-unknown", "There is no price in this currency or for this period"),
    r.PricesAmbiguous: ProblemKind(422, "prices-ambiguous", "Two prices are for the same currency and period"),
    r.OfferUnknown: ProblemKind(404, "offer-unknown", "There is no such offer"),
    r.OfferAlreadyDefined: ProblemKind(409, "offer-already-defined", "Another offer has this id"),
    r.OfferNotOnSale: ProblemKind(409, "offer-not-on-sale", "The offer cannot be taken any more"),
    r.OfferWindowInvalid: ProblemKind(422, "offer-window-invalid", "The offer's window does not fit its kind"),
    r.CouponUnknown: ProblemKind(404, "coupon-unknown", "There is no such coupon"),
    r.CouponAlreadyDefined: ProblemKind(409, "coupon-already-defined", "Another coupon has this code"),
    r.CouponTermsInvalid: ProblemKind(422, "coupon-terms-invalid", "The coupon's terms do not hold together"),
    r.CouponNotValid: ProblemKind(409, "coupon-not-valid", "The coupon is not valid now"),
    r.CouponExhausted: ProblemKind(409, "coupon-exhausted", "The coupon was redeemed as often as it may be"),
    r.CouponAlreadyRedeemed: ProblemKind(409, "coupon-already-redeemed", "The account redeemed this coupon before"),
    r.CouponAlreadyRunning: ProblemKind(409, "coupon-already-running", "Another coupon discounts the account"),
    r.CouponNotApplicable: ProblemKind(409, "coupon-not-applicable", "The subscription takes no coupon now"),
    r.TimeZoneUnknown: ProblemKind(422, "time-zone-unknown", "There is no such time zone"),
    r.SubscriptionUnknown: ProblemKind(404, "subscription-unknown", "The account never subscribed"),
    r.AlreadySubscribed: ProblemKind(409, "already-subscribed", "The account has a subscription that is not over"),
    r.NotRenewable: ProblemKind(409, "not-renewable", "The subscription is not renewed in its state"),
    r.NotDueYet: ProblemKind(409, "not-due-yet", "It is too early for this"),
    r.NotRecoverable: ProblemKind(409, "not-recoverable", "The subscription owes nothing in its state"),
    r.NotPausable: ProblemKind(409, "not-pausable", "The subscription cannot be paused in its state"),
    r.PauseTooLong: ProblemKind(422, "pause-too-long", "The pause ends too late, or in the past"),
    r.NotResumable: ProblemKind(409, "not-resumable", "The subscription is not paused"),
    r.PlanNotChangeable: ProblemKind(409, "plan-not-changeable", "The plan cannot be changed in this state"),
    r.PaymentOutstanding: ProblemKind(409, "payment-outstanding", "A payment is under way"),
    r.NotUncancelable: ProblemKind(409, "not-uncancelable", "The subscription is not canceled, or over"),
    r.InvoiceUnknown: ProblemKind(404, "invoice-unknown", "There is no such invoice"),
    r.AmountDiffers: ProblemKind(409, "amount-differs", "The provider took another amount than was asked"),
    r.NotRefundable: ProblemKind(409, "not-refundable", "Nothing that was paid is left to give back"),
    r.RefundExceedsPayment: ProblemKind(409, "refund-exceeds-payment", "Less than that is left of the payment"),
    r.RefundUnknown: ProblemKind(404, "refund-unknown", "Nobody asked for this refund"),
    r.PurchaseUnknown: ProblemKind(404, "purchase-unknown", "There is no such purchase"),
    r.AlreadyPurchased: ProblemKind(409, "already-purchased", "The id stands for another purchase"),
    r.NotARental: ProblemKind(409, "not-a-rental", "Only a rental has a first play"),
    r.PurchaseNotUsable: ProblemKind(409, "purchase-not-usable", "The purchase cannot be played"),
    CurrencyMixed: ProblemKind(409, "currency-mixed", "Amounts of different currencies cannot be put together"),
    AmountNegative: ProblemKind(422, "amount-negative", "An amount would be less than nothing"),
}


def refused_by(*exceptions: type[Exception]) -> Responses:
    """How a command of this context documents its refusals: its own, and those of every command that needs a key."""
    return errors.refused_by(IdempotencyKeyMissing, *exceptions, among=PROBLEMS)
