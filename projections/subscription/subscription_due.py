"""What falls due when, in Postgres: where the renewal process finds its work. A hint, not an authority: the process
reads the stream before it does anything.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import TypeAlias

import msgspec

from events.envelope import Event, Recorded
from events.registry import members
from events.subscription import (
    InvoiceEvent,
    InvoiceIssued,
    InvoiceVoided,
    LifecycleEvent,
    PaymentFailed,
    PaymentRequested,
    PaymentSucceeded,
    Period,
    PlanChanged,
    RefundFailed,
    RefundIssued,
    RefundRequested,
    SubscriptionActivated,
    SubscriptionBecamePastDue,
    SubscriptionCanceled,
    SubscriptionEnteredGrace,
    SubscriptionExpired,
    SubscriptionPaused,
    SubscriptionRecovered,
    SubscriptionRenewed,
    SubscriptionResumed,
    SubscriptionStarted,
    SubscriptionUncanceled,
    TrialStarted,
)
from events.topics import SUBSCRIPTION
from projections.views import KeyedView

Timers: TypeAlias = Mapping[str, datetime]
"""When something falls due, by what: renew, retry, past_due, expire, resume, charge <key>, refund <id>."""

LIFE = ("renew", "retry", "past_due", "expire", "resume")


class SubscriptionDue(msgspec.Struct, frozen=True, kw_only=True):
    """A row: the earliest timer of a stream. None when nothing falls due."""

    stream_id: str
    due_at: datetime | None
    what: str | None
    timers: dict[str, datetime]


class SubscriptionsDue(KeyedView[SubscriptionDue, str]):
    """One row for each account and each purchase."""

    name = "subscription_due"
    row = SubscriptionDue
    topics = (SUBSCRIPTION,)
    events = members(LifecycleEvent | InvoiceEvent)

    def key(self, recorded: Recorded[Event]) -> str:
        """The stream."""
        return recorded.envelope.subject

    def project(self, row: SubscriptionDue | None, recorded: Recorded[Event]) -> SubscriptionDue | None:
        """The timers after an event, and the earliest of them."""
        before = row.timers if row else {}
        timers = _money(_life(before, recorded.data), recorded.data, recorded.envelope.time)
        if row is not None and timers == before:
            return row
        what = min(timers, key=lambda name: (timers[name], name), default=None)
        return SubscriptionDue(
            stream_id=recorded.envelope.subject, due_at=timers[what] if what else None, what=what, timers=dict(timers)
        )


def _life(timers: Timers, event: Event) -> Timers:  # noqa: PLR0911 - a routing table
    match event:
        case SubscriptionStarted(pending_until=pending_until):
            return _living(timers, expire=pending_until)
        case TrialStarted(period=period) | SubscriptionActivated(period=period) | SubscriptionRenewed(period=period):
            return _running(timers, period)
        case SubscriptionRecovered(period=period) | SubscriptionResumed(period=period):
            return _running(timers, period)
        case SubscriptionUncanceled(period=period) | PlanChanged(period=period):
            return _running(timers, period)
        case SubscriptionEnteredGrace(grace_until=grace_until):
            return _living(timers, retry=timers.get("retry"), past_due=grace_until)
        case SubscriptionBecamePastDue(expires_at=expires_at):
            return _living(timers, renew=timers.get("renew"), expire=expires_at)
        case SubscriptionPaused(resumes_at=resumes_at):
            return _living(timers, resume=resumes_at)
        case SubscriptionCanceled(ends_at=ends_at):
            return _living(timers, expire=ends_at)
        case SubscriptionExpired():
            return _living(timers)
        case _:
            return timers


def _running(timers: Timers, period: Period) -> Timers:
    return _living(timers, renew=period.ends_at, past_due=period.grace_until)


def _living(timers: Timers, **life: datetime | None) -> Timers:
    """The timers with those of the subscription's life replaced."""
    kept = {what: at for what, at in timers.items() if what not in LIFE}
    return kept | {what: at for what, at in life.items() if at is not None}


def _money(timers: Timers, event: Event, now: datetime) -> Timers:  # noqa: PLR0911 - a routing table
    match event:
        case InvoiceIssued(reason="renewal"):
            return _without(timers, "renew")
        case PaymentRequested(invoice_id=invoice_id):
            return _without(timers, "retry") | {f"charge {invoice_id}": now}
        case PaymentSucceeded(invoice_id=invoice_id):
            return _without(timers, "retry", f"charge {invoice_id}")
        case PaymentFailed(invoice_id=invoice_id, retry_at=retry_at):
            answered = _without(timers, f"charge {invoice_id}")
            return answered | {"retry": retry_at} if retry_at else answered
        case InvoiceVoided():
            return _without(timers, "retry")
        case RefundRequested(refund_id=refund_id):
            return {**timers, f"refund {refund_id}": now}
        case RefundIssued(refund_id=refund_id) | RefundFailed(refund_id=refund_id):
            return _without(timers, f"refund {refund_id}")
        case _:
            return timers


def _without(timers: Timers, *whats: str) -> dict[str, datetime]:
    return {what: at for what, at in timers.items() if what not in whats}
