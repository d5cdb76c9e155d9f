"""Purchases beside subscriptions: rentals, purchases and pay-per-view, each a stream of its own. Pure.

A rental may be started for 30 days and played for 48 hours from its first play (source: domain rules,
"Subscriptions"). What a refund of the whole price takes away is the title.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Literal, TypeAlias, assert_never

from commands.decider import Decider
from commands.subscription import ledger
from commands.subscription.commands import (
    PaymentCommand,
    RecordPaymentFailed,
    RecordPaymentSucceeded,
    RecordRefund,
    RequestRefund,
)
from commands.subscription.ledger import Ledger
from commands.subscription.offers import price_of
from commands.subscription.policy import Policy
from commands.subscription.refusals import (
    AlreadyPurchased,
    NotARental,
    OfferNotOnSale,
    PurchaseNotUsable,
    PurchaseUnknown,
)
from events.envelope import Event
from events.subscription import (
    InvoiceIssued,
    InvoiceLine,
    Offer,
    PurchaseGranted,
    PurchaseRevoked,
    PurchaseStarted,
    RefundIssued,
    RentalStarted,
)
from events.types import AccountId, InvoiceId, PurchaseId


@dataclass(frozen=True, kw_only=True)
class StartPurchase:
    """Take an offer, in a currency."""

    account_id: AccountId
    purchase_id: PurchaseId
    offer: Offer
    currency: str


@dataclass(frozen=True, kw_only=True)
class StartRental:
    """The rental is played for the first time."""


PurchaseCommand: TypeAlias = StartPurchase | StartRental | PaymentCommand
PurchaseStatus: TypeAlias = Literal["none", "pending", "granted", "revoked"]


@dataclass(frozen=True, kw_only=True)
class PurchaseState:
    """A purchase and its money. `rental`: its first play, if it was."""

    status: PurchaseStatus = "none"
    started: PurchaseStarted | None = None
    granted: PurchaseGranted | None = None
    rental: RentalStarted | None = None
    ledger: Ledger = field(default_factory=Ledger)


def evolve(state: PurchaseState, event: Event) -> PurchaseState:
    """The state after an event."""
    state = replace(state, ledger=ledger.evolve(state.ledger, event))
    match event:
        case PurchaseStarted():
            return replace(state, status="pending", started=event)
        case PurchaseGranted():
            return replace(state, status="granted", granted=event)
        case RentalStarted():
            return replace(state, rental=event)
        case PurchaseRevoked():
            return replace(state, status="revoked")
        case _:
            return state


def purchase_decider(policy: Policy) -> Decider[PurchaseCommand, PurchaseState]:
    """The decider under an operator's policy."""
    return Decider(PurchaseState(), partial(_decide, policy), evolve)


def _decide(policy: Policy, command: PurchaseCommand, state: PurchaseState, now: datetime) -> list[Event]:
    match command:
        case StartPurchase():
            return _start(command, state, now, policy)
        case StartRental():
            return _start_rental(state, now, policy)
        case RecordPaymentSucceeded():
            return _record_succeeded(command, state, now, policy)
        case RecordPaymentFailed():
            return _record_failed(command, state)
        case RequestRefund():
            return ledger.request_refund(command, state.ledger)
        case RecordRefund():
            return _record_refund(command, state)
        case _:
            assert_never(command)


def _start(command: StartPurchase, state: PurchaseState, now: datetime, policy: Policy) -> list[Event]:
    offer = command.offer
    price = price_of(offer, command.currency)
    started = PurchaseStarted(account_id=command.account_id, purchase_id=command.purchase_id, offer=offer, price=price)
    if state.started is not None:
        if state.started != started:
            raise AlreadyPurchased(f"purchase {command.purchase_id!r} is another one; take a new id")
        return []
    if offer.closes_at is not None and now >= offer.closes_at:
        raise OfferNotOnSale(f"it was to be seen until {offer.closes_at}")
    issued = _invoice(command, started, now)
    if not price:
        return [started, issued, _granted(started, now, policy)]
    return [started, issued, ledger.ask(issued, offer.title_name)]


def _invoice(command: StartPurchase, started: PurchaseStarted, now: datetime) -> InvoiceIssued:
    return InvoiceIssued(
        account_id=command.account_id,
        invoice_id=InvoiceId(f"purchase-{command.purchase_id}.1"),
        reason="purchase",
        lines=(InvoiceLine("purchase", started.offer.title_name, started.price),),
        total=started.price,
        carried=started.price.nothing,
        due_at=now,
        purchase_id=command.purchase_id,
    )


def _granted(started: PurchaseStarted, now: datetime, policy: Policy) -> PurchaseGranted:
    offer = started.offer
    return PurchaseGranted(
        account_id=started.account_id,
        purchase_id=started.purchase_id,
        kind=offer.kind,
        title_id=offer.title_id,
        access_from=offer.opens_at or now,
        start_by=now + policy.rental_start if offer.kind == "rental" else None,
        access_until=offer.closes_at,
    )


def _start_rental(state: PurchaseState, now: datetime, policy: Policy) -> list[Event]:
    granted = state.granted
    if state.started is None:
        raise PurchaseUnknown("there is no such purchase")
    if state.started.offer.kind != "rental":
        raise NotARental(f"a {state.started.offer.kind} has no first play")
    if state.rental is not None and state.status == "granted":
        return []
    if granted is None or state.status != "granted" or granted.start_by is None or now >= granted.start_by:
        raise PurchaseNotUsable(f"the rental is {state.status}, or was to be started earlier")
    return [
        RentalStarted(
            account_id=granted.account_id,
            purchase_id=granted.purchase_id,
            title_id=granted.title_id,
            access_until=now + policy.rental_play,
        )
    ]


def _record_succeeded(
    command: RecordPaymentSucceeded, state: PurchaseState, now: datetime, policy: Policy
) -> list[Event]:
    paid = ledger.succeeded(command, state.ledger)
    if paid is None:
        return []
    invoice = state.ledger.invoice(command.invoice_id)
    if invoice.status != "open" or state.started is None:
        return [paid, ledger.unowed(invoice, paid, state.ledger)]
    return [paid, _granted(state.started, now, policy)]


def _record_failed(command: RecordPaymentFailed, state: PurchaseState) -> list[Event]:
    news = ledger.failed(command, state.ledger, None)
    if news is None:
        return []
    invoice, failure = news
    if invoice.status != "open":
        return [failure]
    return [failure, ledger.void(invoice, "declined"), _revoked(state, "declined")]


def _record_refund(command: RecordRefund, state: PurchaseState) -> list[Event]:
    events = ledger.record_refund(command, state.ledger)
    for event in events:
        if isinstance(event, RefundIssued) and state.status == "granted" and _all_given_back(state, event):
            return [*events, _revoked(state, "refunded")]
    return events


def _all_given_back(state: PurchaseState, issued: RefundIssued) -> bool:
    back = issued.amount
    for refund in state.ledger.refunds.values():
        if refund.status == "issued" and refund.requested.reason == "requested":
            back = back.plus(refund.requested.amount)
    asked = state.ledger.refunds[issued.refund_id].requested
    return asked.reason == "requested" and back == state.ledger.invoice(issued.invoice_id).issued.total


def _revoked(state: PurchaseState, reason: Literal["refunded", "declined"]) -> PurchaseRevoked:
    assert state.started is not None
    return PurchaseRevoked(
        account_id=state.started.account_id,
        purchase_id=state.started.purchase_id,
        title_id=state.started.offer.title_id,
        reason=reason,
    )
