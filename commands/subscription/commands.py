"""What can be asked of an account's subscription: people's wishes, what falls due, and what the provider tells."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from events.subscription import BillingPeriod, CouponTerms, PlanVersion
from events.types import AccountId, InvoiceId, Money, RefundId, SubscriptionId


@dataclass(frozen=True, kw_only=True)
class StartSubscription:
    """Sign up to a version of a plan. A trial is given when the plan has one and the account had none before."""

    account_id: AccountId
    subscription_id: SubscriptionId
    plan: PlanVersion
    period: BillingPeriod
    currency: str
    time_zone: str
    coupon: CouponTerms | None = None


@dataclass(frozen=True, kw_only=True)
class Renew:
    """Invoice the period of this number, once."""

    number: int


@dataclass(frozen=True, kw_only=True)
class RetryPayment:
    """Ask for an overdue payment again, once for an attempt."""

    invoice_id: InvoiceId
    attempt: int


@dataclass(frozen=True, kw_only=True)
class Recover:
    """The subscriber mended their payment method: ask for what is overdue now."""


@dataclass(frozen=True, kw_only=True)
class EnterPastDue:
    """The grace is over."""


@dataclass(frozen=True, kw_only=True)
class Expire:
    """The subscription is over: canceled and used up, overdue for too long, or never paid."""


@dataclass(frozen=True, kw_only=True)
class Pause:
    """No access and no charges until resumed, at the latest at `until` (None: as long as may be)."""

    until: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Resume:
    """End the pause."""


@dataclass(frozen=True, kw_only=True)
class ChangePlan:
    """Take a version of a plan: a dearer one now, for the difference; any other from the next period on."""

    plan: PlanVersion
    period: BillingPeriod


@dataclass(frozen=True, kw_only=True)
class Cancel:
    """Do not renew; access lasts to the end of what is paid, or ends now."""

    immediately: bool = False
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class Uncancel:
    """Renew after all."""


@dataclass(frozen=True, kw_only=True)
class ApplyCoupon:
    """Discount the next invoices. The coupon's own stream counts the redemption, in the same transaction."""

    coupon: CouponTerms


@dataclass(frozen=True, kw_only=True)
class RecordPaymentSucceeded:
    """The provider took the money."""

    invoice_id: InvoiceId
    charge_id: str
    amount: Money
    provider_event_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class RecordPaymentFailed:
    """The provider did not take the money. `charge_id` None: it was never asked, and will not be."""

    invoice_id: InvoiceId
    code: str
    charge_id: str | None = None
    provider_event_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class RequestRefund:
    """Give back an amount of what was paid for an invoice (None: all that is left)."""

    invoice_id: InvoiceId
    amount: Money | None = None
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class RecordRefund:
    """The provider gave the money back, or could not. A webhook names the charge and amount, not our refund."""

    invoice_id: InvoiceId
    provider_refund_id: str
    outcome: Literal["succeeded", "failed"]
    refund_id: RefundId | None = None
    charge_id: str | None = None
    amount: Money | None = None
    provider_event_id: str | None = None


PaymentCommand: TypeAlias = RecordPaymentSucceeded | RecordPaymentFailed | RequestRefund | RecordRefund
SubscriptionCommand: TypeAlias = (
    StartSubscription
    | Renew
    | RetryPayment
    | Recover
    | EnterPastDue
    | Expire
    | Pause
    | Resume
    | ChangePlan
    | Cancel
    | Uncancel
    | ApplyCoupon
    | PaymentCommand
)
