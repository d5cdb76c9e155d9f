"""Billing periods: where each begins and ends, and until when access lasts if the next is not paid."""

from datetime import datetime, timedelta
from typing import Final

from commands.subscription.calendar import days_after, months_after
from commands.subscription.policy import Policy
from events.subscription import BillingPeriod, Period, PlanTerms

MONTHS: Final[dict[BillingPeriod, int]] = {"month": 1, "year": 12}


def trial_period(now: datetime, terms: PlanTerms, time_zone: str, policy: Policy) -> Period:
    """The trial: number 0. The first paid period is anchored at its end."""
    ends_at = days_after(now, terms.trial_days, time_zone)
    return _period(0, now, ends_at, anchored_at=ends_at, months=0, policy=policy)


def new_period(number: int, now: datetime, terms: PlanTerms, time_zone: str, policy: Policy) -> Period:
    """A period that is anchored where it begins."""
    months = MONTHS[terms.period]
    return _period(number, now, months_after(now, months, time_zone), anchored_at=now, months=months, policy=policy)


def next_period(period: Period, terms: PlanTerms, time_zone: str, policy: Policy) -> Period:
    """The period that follows, at the next boundary from the same anchor."""
    months = period.months + MONTHS[terms.period]
    ends_at = months_after(period.anchored_at, months, time_zone)
    anchored_at = period.anchored_at
    return _period(period.number + 1, period.ends_at, ends_at, anchored_at=anchored_at, months=months, policy=policy)


def shifted(period: Period, by: timedelta, policy: Policy) -> Period:
    """The period, ending later; what follows is anchored at its new end."""
    ends_at = period.ends_at + by
    return _period(period.number, period.starts_at, ends_at, anchored_at=ends_at, months=0, policy=policy)


def _period(
    number: int, starts_at: datetime, ends_at: datetime, *, anchored_at: datetime, months: int, policy: Policy
) -> Period:
    grace_until = ends_at + policy.grace
    return Period(
        number=number,
        starts_at=starts_at,
        ends_at=ends_at,
        grace_until=grace_until,
        expires_at=grace_until + policy.past_due,
        anchored_at=anchored_at,
        months=months,
    )
