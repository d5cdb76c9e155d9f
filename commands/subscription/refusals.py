"""Why the subscription context refuses a command. Money's own refusals are in events/types.py."""

from events.refusals import Refusal


class PlanUnknown(Refusal):
    """No plan was defined under this id."""


class PlanAlreadyDefined(Refusal):
    """Another plan was defined under this id."""


class PlanNotOnSale(Refusal):
    """The plan was retired."""


class PriceUnknown(Refusal):
    """The plan or offer has no price in this currency, or for this period."""


class PricesAmbiguous(Refusal):
    """Two prices are for the same currency and period."""


class OfferUnknown(Refusal):
    """No offer was defined under this id."""


class OfferAlreadyDefined(Refusal):
    """Another offer was defined under this id."""


class OfferNotOnSale(Refusal):
    """The offer was withdrawn, or its window is over."""


class OfferWindowInvalid(Refusal):
    """A pay-per-view needs a window that ends after it starts, and nothing else has one."""


class CouponUnknown(Refusal):
    """No coupon was defined under this code."""


class CouponAlreadyDefined(Refusal):
    """Another coupon was defined under this code."""


class CouponTermsInvalid(Refusal):
    """A coupon takes off a percentage or an amount, in a window that ends after it starts."""


class CouponNotValid(Refusal):
    """The coupon is not valid yet, not any more, or was withdrawn."""


class CouponExhausted(Refusal):
    """The coupon was redeemed as often as it may be."""


class CouponAlreadyRedeemed(Refusal):
    """The account redeemed this coupon before."""


class CouponAlreadyRunning(Refusal):
    """Another coupon discounts the account's invoices; they do not add up."""


class CouponNotApplicable(Refusal):
    """The subscription is in a state in which no coupon is taken."""


class TimeZoneUnknown(Refusal):
    """There is no such time zone in the IANA database."""


class SubscriptionUnknown(Refusal):
    """The account never subscribed."""


class AlreadySubscribed(Refusal):
    """The account has a subscription that is not over."""


class NotRenewable(Refusal):
    """The subscription is in a state in which it is not renewed."""


class NotDueYet(Refusal):
    """It is too early for this."""


class NotRecoverable(Refusal):
    """The subscription is in a state in which nothing is overdue."""


class NotPausable(Refusal):
    """Only an active subscription that owes nothing can be paused."""


class PauseTooLong(Refusal):
    """The pause would end in the past, or last longer than one may."""


class NotResumable(Refusal):
    """Only a paused subscription can be resumed."""


class PlanNotChangeable(Refusal):
    """The subscription is in a state in which its plan cannot be changed."""


class PaymentOutstanding(Refusal):
    """An invoice of the account is not settled yet."""


class NotUncancelable(Refusal):
    """Only a canceled subscription whose paid time is not over can be uncanceled."""


class InvoiceUnknown(Refusal):
    """There is no such invoice in this stream."""


class AmountDiffers(Refusal):
    """The provider took another amount than was asked."""


class NotRefundable(Refusal):
    """The invoice was never paid, or all of it was given back."""


class RefundExceedsPayment(Refusal):
    """More was to be given back than is left of the payment."""


class RefundUnknown(Refusal):
    """There is no such refund in this stream."""


class PurchaseUnknown(Refusal):
    """There is no such purchase."""


class AlreadyPurchased(Refusal):
    """The purchase id stands for another purchase."""


class NotARental(Refusal):
    """Only a rental has a first play that starts its time."""


class PurchaseNotUsable(Refusal):
    """The purchase is not paid, was refunded, or its time is over."""
