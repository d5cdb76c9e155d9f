"""Subscriptions in Postgres: the latest of each account, with the moments from which access is computed when asked."""

from datetime import datetime
from typing import Literal, TypeAlias

import msgspec
from msgspec.structs import replace

from events.envelope import Event, Recorded
from events.registry import members
from events.subscription import (
    AccountEvent,
    CouponApplied,
    CouponTerms,
    LifecycleEvent,
    Period,
    PlanChangeAbandoned,
    PlanChanged,
    PlanChangeRequested,
    PlanChangeScheduled,
    PlanChangeUnscheduled,
    PlanTerms,
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

Status: TypeAlias = Literal["pending", "trialing", "active", "grace", "past_due", "paused", "canceled", "expired"]


class Subscription(msgspec.Struct, frozen=True, kw_only=True):
    """A row. `status`: what the last event said; what it is now depends on the moments and on the time of asking."""

    account_id: str
    subscription_id: str
    status: Status
    terms: PlanTerms
    scheduled_terms: PlanTerms | None = None
    time_zone: str
    started_at: datetime
    pending_until: datetime | None = None
    period_number: int | None = None
    period_starts_at: datetime | None = None
    paid_through: datetime | None = None
    grace_until: datetime | None = None
    expires_at: datetime | None = None
    paused_at: datetime | None = None
    resumes_at: datetime | None = None
    ends_at: datetime | None = None
    coupon: CouponTerms | None = None
    ended_reason: str | None = None
    updated_at: datetime


class Subscriptions(KeyedView[Subscription, str]):
    """The latest subscription of each account."""

    name = "subscriptions"
    row = Subscription
    topics = (SUBSCRIPTION,)
    events = members(LifecycleEvent)

    def key(self, recorded: Recorded[Event]) -> str:
        """The account."""
        assert isinstance(recorded.data, AccountEvent)
        return recorded.data.account_id

    def project(self, row: Subscription | None, recorded: Recorded[Event]) -> Subscription | None:
        """The subscription after one more event of its life."""
        at = recorded.envelope.time
        if isinstance(recorded.data, SubscriptionStarted):
            return _started(recorded.data, at)
        if row is None:  # the log starts every life with SubscriptionStarted
            return None
        return replace(_lived(row, recorded.data), updated_at=at)


def _started(event: SubscriptionStarted, at: datetime) -> Subscription:
    return Subscription(
        account_id=event.account_id,
        subscription_id=event.subscription_id,
        status="pending",
        terms=event.terms,
        time_zone=event.time_zone,
        started_at=at,
        pending_until=event.pending_until,
        updated_at=at,
    )


def _lived(row: Subscription, event: Event) -> Subscription:
    match event:
        case TrialStarted(period=period):
            return _in_period(row, "trialing", period)
        case SubscriptionActivated(period=period) | SubscriptionRenewed(period=period):
            return _in_period(row, "active", period)
        case SubscriptionRecovered(period=period) | SubscriptionResumed(period=period):
            return _in_period(row, "active", period)
        case SubscriptionUncanceled(period=period, trialing=trialing):
            return _in_period(row, "trialing" if trialing else "active", period)
        case CouponApplied(coupon=coupon):
            return replace(row, coupon=coupon)
        case _:
            return _ending(_changing(row, event), event)


def _changing(row: Subscription, event: Event) -> Subscription:
    match event:
        case PlanChanged(terms=terms, period=period):
            return _in_period(replace(row, terms=terms, scheduled_terms=None), row.status, period)
        case PlanChangeScheduled(terms=terms):
            return replace(row, scheduled_terms=terms)
        case PlanChangeUnscheduled():
            return replace(row, scheduled_terms=None)
        case PlanChangeRequested() | PlanChangeAbandoned():  # its invoice says so
            return row
        case _:
            return row


def _ending(row: Subscription, event: Event) -> Subscription:
    match event:
        case SubscriptionEnteredGrace():
            return replace(row, status="grace")
        case SubscriptionBecamePastDue():
            return replace(row, status="past_due")
        case SubscriptionPaused(paused_at=paused_at, resumes_at=resumes_at):
            return replace(row, status="paused", paused_at=paused_at, resumes_at=resumes_at)
        case SubscriptionCanceled(ends_at=ends_at, reason=reason):
            return replace(row, status="canceled", ends_at=ends_at, scheduled_terms=None, ended_reason=reason)
        case SubscriptionExpired(reason=reason):
            return replace(row, status="expired", coupon=None, ended_reason=row.ended_reason or reason)
        case _:
            return row


def _in_period(row: Subscription, status: Status, period: Period) -> Subscription:
    return replace(
        row,
        status=status,
        period_number=period.number,
        period_starts_at=period.starts_at,
        paid_through=period.ends_at,
        grace_until=period.grace_until,
        expires_at=period.expires_at,
        paused_at=None,
        resumes_at=None,
        ends_at=None,
        ended_reason=None,
    )
