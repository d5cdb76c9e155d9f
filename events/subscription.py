"""Events of the subscription context: plans, offers and coupons, subscriptions, purchases, and the money around them.

Authority: the event log; streams `subscription.<plan|offer|coupon|account|purchase>-<id>`.
"""

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

from events.envelope import Event
from events.types import (
    AccountId,
    Count,
    CouponCode,
    Instant,
    InvoiceId,
    Money,
    OfferId,
    PlanId,
    PurchaseId,
    RefundId,
    SubscriptionId,
    Text,
    TitleId,
)

BillingPeriod: TypeAlias = Literal["month", "year"]
Resolution: TypeAlias = Literal["480p", "720p", "1080p", "2160p"]
InvoiceReason: TypeAlias = Literal["first", "renewal", "plan_change", "purchase"]
LineKind: TypeAlias = Literal["plan", "purchase", "discount", "unused", "balance", "carried"]
PurchaseKind: TypeAlias = Literal["rental", "purchase", "pay_per_view"]
ExpiryReason: TypeAlias = Literal["canceled", "unpaid", "declined", "abandoned", "superseded"]
VoidReason: TypeAlias = Literal["declined", "canceled", "expired", "superseded", "abandoned"]
RefundReason: TypeAlias = Literal["requested", "paid_twice", "paid_too_late"]
Percent = Annotated[int, Meta(ge=1, le=100)]


# What is sold


class PlanPrice(Struct, frozen=True):
    """What a plan costs for a period, in one currency."""

    period: BillingPeriod
    price: Money


class PlanLimits(Struct, frozen=True, kw_only=True):
    """What a plan allows. `downloads`: titles kept on devices at a time. `devices`: that may be signed in."""

    streams: Count
    max_resolution: Resolution
    profiles: Count
    downloads: Count
    ads: bool
    devices: Count = 10


class PlanVersion(Struct, frozen=True, kw_only=True):
    """One version of a plan; who subscribed to an older one keeps it."""

    plan_id: PlanId
    version: Count
    name: Text
    prices: tuple[PlanPrice, ...]
    trial_days: Count
    limits: PlanLimits


class PlanDefined(Event, frozen=True):
    """A plan can be subscribed to."""

    plan: PlanVersion


class PlanRevised(Event, frozen=True):
    """New subscribers get this version of the plan."""

    plan: PlanVersion


class PlanRetired(Event, frozen=True):
    """Nobody can subscribe to the plan any more; who did keeps it."""

    plan_id: PlanId


class Offer(Struct, frozen=True, kw_only=True):
    """A title for sale by itself. A pay-per-view is open from `opens_at` until `closes_at`; others have no window."""

    offer_id: OfferId
    kind: PurchaseKind
    title_id: TitleId
    title_name: Text
    prices: tuple[Money, ...]
    opens_at: Instant | None = None
    closes_at: Instant | None = None


class OfferDefined(Event, frozen=True):
    """A title can be rented or bought."""

    offer: Offer


class OfferWithdrawn(Event, frozen=True):
    """Nobody can take the offer any more; who did keeps what they bought."""

    offer_id: OfferId


class CouponTerms(Struct, frozen=True, kw_only=True):
    """What a coupon takes off each of the next `periods` periods: a percentage, or an amount. One of them is set."""

    code: CouponCode
    periods: Annotated[int, Meta(ge=1, le=1_200)]
    percent: Percent | None = None
    amount: Money | None = None


class Coupon(Struct, frozen=True, kw_only=True):
    """A coupon: its terms, when it may be redeemed, and by how many accounts (None: any number)."""

    terms: CouponTerms
    valid_from: Instant
    valid_until: Instant
    most_redemptions: Count | None = None


class CouponDefined(Event, frozen=True):
    """A coupon can be redeemed."""

    coupon: Coupon


class CouponWithdrawn(Event, frozen=True):
    """Nobody can redeem the coupon any more; who did keeps it."""

    code: CouponCode


class CouponRedeemed(Event, frozen=True):
    """An account took one of the coupon's redemptions; the account's own stream says CouponApplied."""

    code: CouponCode
    account_id: AccountId
    redemptions: Count


# A subscription's life


class PlanTerms(Struct, frozen=True, kw_only=True):
    """What a subscriber signed up to: a version of a plan, for a period, at its price then."""

    plan_id: PlanId
    version: Count
    name: Text
    period: BillingPeriod
    price: Money
    trial_days: Count
    limits: PlanLimits


class Period(Struct, frozen=True, kw_only=True):
    """A paid (or trial) period of a subscription, and how long access lasts when the next is not paid.

    It ends `months` calendar months after `anchored_at`, in the subscriber's time zone. `number` counts from 1 in a
    subscription; the trial is 0.
    """

    number: Count
    starts_at: Instant
    ends_at: Instant
    grace_until: Instant
    expires_at: Instant
    anchored_at: Instant
    months: Count


class AccountEvent(Event, frozen=True):
    """Whose it is."""

    account_id: AccountId


class SubscriptionStarted(AccountEvent, frozen=True):
    """An account signed up. It is pending until the first payment, a trial or a plan that costs nothing."""

    subscription_id: SubscriptionId
    terms: PlanTerms
    time_zone: Text
    pending_until: Instant


class TrialStarted(AccountEvent, frozen=True):
    """The plan is used free of charge until the period's end; then the first payment is due."""

    subscription_id: SubscriptionId
    period: Period


class SubscriptionActivated(AccountEvent, frozen=True):
    """The first period is paid."""

    subscription_id: SubscriptionId
    period: Period


class SubscriptionRenewed(AccountEvent, frozen=True):
    """The next period is paid."""

    subscription_id: SubscriptionId
    period: Period


class SubscriptionEnteredGrace(AccountEvent, frozen=True):
    """A renewal was not paid; access lasts until grace_until."""

    subscription_id: SubscriptionId
    grace_until: Instant


class SubscriptionBecamePastDue(AccountEvent, frozen=True):
    """The grace is over and nothing was paid: no access until it is, and none after expires_at."""

    subscription_id: SubscriptionId
    expires_at: Instant


class SubscriptionRecovered(AccountEvent, frozen=True):
    """What was overdue is paid. After a time without access the period begins with the payment."""

    subscription_id: SubscriptionId
    period: Period


class SubscriptionPaused(AccountEvent, frozen=True):
    """No access and no charges; what is left of the period is kept. Resumes by itself at resumes_at."""

    subscription_id: SubscriptionId
    paused_at: Instant
    resumes_at: Instant


class SubscriptionResumed(AccountEvent, frozen=True):
    """Access again; the period ends later by as long as the pause was."""

    subscription_id: SubscriptionId
    period: Period


class PlanChangeRequested(AccountEvent, frozen=True):
    """A better plan, from when its invoice is paid."""

    subscription_id: SubscriptionId
    terms: PlanTerms
    invoice_id: InvoiceId


class PlanChangeAbandoned(AccountEvent, frozen=True):
    """The better plan was not paid: the old one goes on."""

    subscription_id: SubscriptionId
    invoice_id: InvoiceId


class PlanChangeScheduled(AccountEvent, frozen=True):
    """Another plan from the next period on."""

    subscription_id: SubscriptionId
    terms: PlanTerms
    effective_at: Instant


class PlanChangeUnscheduled(AccountEvent, frozen=True):
    """The plan stays after all."""

    subscription_id: SubscriptionId


class PlanChanged(AccountEvent, frozen=True):
    """The plan is another one now. `period`: the one that runs now, whose end may have moved."""

    subscription_id: SubscriptionId
    terms: PlanTerms
    period: Period


class SubscriptionCanceled(AccountEvent, frozen=True):
    """It will not be renewed; access lasts until ends_at."""

    subscription_id: SubscriptionId
    ends_at: Instant
    reason: Text | None = None


class SubscriptionUncanceled(AccountEvent, frozen=True):
    """It will be renewed after all."""

    subscription_id: SubscriptionId
    trialing: bool
    period: Period


class SubscriptionExpired(AccountEvent, frozen=True):
    """It is over. The account may start another."""

    subscription_id: SubscriptionId
    reason: ExpiryReason


class CouponApplied(AccountEvent, frozen=True):
    """The next invoices are discounted."""

    coupon: CouponTerms


# Money


class InvoiceLine(Struct, frozen=True):
    """A part of an invoice. plan, purchase and carried add to the total; discount, unused and balance lessen it."""

    kind: LineKind
    description: Text
    amount: Money


class InvoiceIssued(AccountEvent, frozen=True):
    """Money is owed. `carried`: what is left of credits, for the invoices to come. A total of nothing is settled."""

    invoice_id: InvoiceId
    reason: InvoiceReason
    lines: tuple[InvoiceLine, ...]
    total: Money
    carried: Money
    due_at: Instant
    period: Period | None = None
    terms: PlanTerms | None = None
    purchase_id: PurchaseId | None = None


class PaymentRequested(AccountEvent, frozen=True):
    """The provider is to be asked, once, under this key. Attempts count from 1 in an invoice."""

    invoice_id: InvoiceId
    attempt: Count
    amount: Money
    idempotency_key: Text
    description: Text


class PaymentSucceeded(AccountEvent, frozen=True):
    """The provider took the money. `provider_event_id`: of the webhook that said so, if one did."""

    invoice_id: InvoiceId
    attempt: Count
    charge_id: Text
    amount: Money
    provider_event_id: Text | None = None


class PaymentFailed(AccountEvent, frozen=True):
    """The provider did not take the money; `code` says why. `retry_at`: when it is asked again, if it is."""

    invoice_id: InvoiceId
    attempt: Count
    code: Text
    charge_id: Text | None = None
    retry_at: Instant | None = None
    provider_event_id: Text | None = None


class InvoiceVoided(AccountEvent, frozen=True):
    """Nothing is owed for it any more."""

    invoice_id: InvoiceId
    reason: VoidReason


class RefundRequested(AccountEvent, frozen=True):
    """Some or all of a charge is to be given back, once, under refund_id as the idempotency key."""

    refund_id: RefundId
    invoice_id: InvoiceId
    charge_id: Text
    amount: Money
    reason: RefundReason
    note: str = ""


class RefundIssued(AccountEvent, frozen=True):
    """The provider gave the money back."""

    refund_id: RefundId
    invoice_id: InvoiceId
    amount: Money
    provider_refund_id: Text
    provider_event_id: Text | None = None


class RefundFailed(AccountEvent, frozen=True):
    """The provider could not give the money back: a person must look."""

    refund_id: RefundId
    invoice_id: InvoiceId
    amount: Money
    provider_refund_id: Text
    provider_event_id: Text | None = None


# Purchases


class PurchaseStarted(AccountEvent, frozen=True):
    """An account took an offer; it is theirs once paid."""

    purchase_id: PurchaseId
    offer: Offer
    price: Money


class PurchaseGranted(AccountEvent, frozen=True):
    """The title is theirs. A rental must be started by start_by; access ends at access_until (None: never)."""

    purchase_id: PurchaseId
    kind: PurchaseKind
    title_id: TitleId
    access_from: Instant
    start_by: Instant | None = None
    access_until: Instant | None = None


class RentalStarted(AccountEvent, frozen=True):
    """The rental was played for the first time: access ends at access_until."""

    purchase_id: PurchaseId
    title_id: TitleId
    access_until: Instant


class PurchaseRevoked(AccountEvent, frozen=True):
    """No access any more: it was refunded, or never paid."""

    purchase_id: PurchaseId
    title_id: TitleId
    reason: Literal["refunded", "declined"]


PlanEvent = PlanDefined | PlanRevised | PlanRetired
OfferEvent = OfferDefined | OfferWithdrawn
CouponEvent = CouponDefined | CouponWithdrawn | CouponRedeemed
LifecycleEvent = (
    SubscriptionStarted
    | TrialStarted
    | SubscriptionActivated
    | SubscriptionRenewed
    | SubscriptionEnteredGrace
    | SubscriptionBecamePastDue
    | SubscriptionRecovered
    | SubscriptionPaused
    | SubscriptionResumed
    | PlanChangeRequested
    | PlanChangeAbandoned
    | PlanChangeScheduled
    | PlanChangeUnscheduled
    | PlanChanged
    | SubscriptionCanceled
    | SubscriptionUncanceled
    | SubscriptionExpired
    | CouponApplied
)
PaymentEvent = PaymentRequested | PaymentSucceeded | PaymentFailed
RefundEvent = RefundRequested | RefundIssued | RefundFailed
InvoiceEvent = InvoiceIssued | PaymentEvent | InvoiceVoided | RefundEvent
PurchaseEvent = PurchaseStarted | PurchaseGranted | RentalStarted | PurchaseRevoked
SubscriptionEvent = PlanEvent | OfferEvent | CouponEvent | LifecycleEvent | InvoiceEvent | PurchaseEvent
