"""What an invoice asks for: pure, in minor units, and exact: the lines add up to the total.

Rounding: a share of a price is rounded half up to the minor unit, once, and the other share is what is left, so that
used and unused time always add up to the price. A discount never exceeds the price, and a credit that an invoice
does not use up is carried to the next.
"""

from datetime import datetime, timedelta
from typing import Final, Literal

from commands.subscription.state import Covered, Discount, SubscriptionState
from events.subscription import CouponTerms, InvoiceIssued, InvoiceLine, InvoiceReason, LineKind, Period, PlanTerms
from events.types import AccountId, InvoiceId, Money

SIGN: Final[dict[LineKind, Literal[1, -1]]] = {
    "plan": 1,
    "purchase": 1,
    "carried": 1,
    "discount": -1,
    "unused": -1,
    "balance": -1,
}
_MICROSECOND: Final = timedelta(microseconds=1)


def prorated(price: Money, *, part: timedelta, whole: timedelta) -> Money:
    """The share of a price that falls to a part of a period."""
    return price.share(part // _MICROSECOND, whole // _MICROSECOND)


def period_invoice(
    state: SubscriptionState, reason: InvoiceReason, terms: PlanTerms, period: Period, now: datetime
) -> InvoiceIssued:
    """The invoice for a whole period: the plan's price, less a coupon's discount and credits."""
    lines = [InvoiceLine("plan", terms.name, terms.price)]
    off = discount_on(terms.price, state.discount)
    if off:
        lines.append(InvoiceLine("discount", off.code, discounted(terms.price, off)))
    return _invoice(state, reason, lines, terms=terms, period=period, now=now)


def upgrade_invoice(
    state: SubscriptionState, charge: Money, terms: PlanTerms, period: Period, now: datetime
) -> InvoiceIssued:
    """The invoice for a better plan for the rest of a period: its share, less what is unused of the old one. A coupon
    discounts whole periods only."""
    lines = [InvoiceLine("plan", terms.name, charge)]
    unused = unused_of(state.current.covered if state.current else None, now)
    if unused and unused.currency == charge.currency:
        lines.append(InvoiceLine("unused", "unused time of the plan before", unused))
    return _invoice(state, "plan_change", lines, terms=terms, period=period, now=now)


def unused_of(covered: Covered | None, now: datetime) -> Money | None:
    """What is left of what was paid for the time that is not over."""
    if covered is None or now >= covered.ends_at:
        return None
    whole, part = covered.ends_at - covered.starts_at, covered.ends_at - max(now, covered.starts_at)
    return prorated(covered.value, part=part, whole=whole)


def discount_on(price: Money, discount: Discount | None) -> CouponTerms | None:
    """The coupon that takes something off this price, if one does."""
    if discount is None or not discounted(price, discount.terms):
        return None
    return discount.terms


def discounted(price: Money, coupon: CouponTerms) -> Money:
    """What a coupon takes off a price, at most all of it; nothing of a price in another currency."""
    if coupon.percent is not None:
        return price.share(coupon.percent, 100)
    if coupon.amount is None or coupon.amount.currency != price.currency:
        return price.nothing
    return coupon.amount.at_most(price)


def sum_of(lines: list[InvoiceLine], currency: str) -> int:
    """What the lines add up to, in minor units; less than nothing when there is more credit than charge."""
    assert all(line.amount.currency == currency for line in lines)
    return sum(SIGN[line.kind] * line.amount.amount_minor for line in lines)


def _invoice(
    state: SubscriptionState,
    reason: InvoiceReason,
    lines: list[InvoiceLine],
    *,
    terms: PlanTerms,
    period: Period,
    now: datetime,
) -> InvoiceIssued:
    assert state.account_id is not None
    currency = terms.price.currency
    lines = _with_credit(lines, state.credits.get(currency), currency)
    carried = next((line.amount for line in lines if line.kind == "carried"), Money(0, currency))
    return InvoiceIssued(
        account_id=state.account_id,
        invoice_id=invoice_id_of(state.account_id, state.issued + 1),
        reason=reason,
        lines=tuple(lines),
        total=Money(sum_of(lines, currency), currency),
        carried=carried,
        due_at=now,
        period=period,
        terms=terms,
    )


def _with_credit(lines: list[InvoiceLine], credit: Money | None, currency: str) -> list[InvoiceLine]:
    if credit:
        lines = [*lines, InvoiceLine("balance", "credit of earlier invoices", credit)]
    left = -sum_of(lines, currency)
    if left > 0:
        lines = [*lines, InvoiceLine("carried", "credit for later invoices", Money(left, currency))]
    return lines


def invoice_id_of(account_id: AccountId, number: int) -> InvoiceId:
    """The id of an account's nth invoice."""
    return InvoiceId(f"account-{account_id}.{number}")
