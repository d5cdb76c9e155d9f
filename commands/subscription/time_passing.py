"""What time alone does to a subscription, whether or not anybody said so: every command is decided on the state after
it, so that a late timer never gives or takes anything.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import reduce

from commands.subscription import ledger
from commands.subscription.periods import shifted
from commands.subscription.policy import Policy
from commands.subscription.state import Current, Status, SubscriptionState, evolve
from events.envelope import Event
from events.subscription import (
    ExpiryReason,
    SubscriptionBecamePastDue,
    SubscriptionExpired,
    SubscriptionResumed,
    VoidReason,
)

NO_ACCESS: frozenset[Status] = frozenset({"none", "pending", "past_due", "paused", "expired"})
VOIDED: dict[ExpiryReason, VoidReason] = {
    "canceled": "canceled",
    "unpaid": "expired",
    "declined": "declined",
    "abandoned": "abandoned",
    "superseded": "superseded",
}


def passed(state: SubscriptionState, now: datetime, policy: Policy) -> list[Event]:
    """The events that time brought about by now, in order: the end of a pause, of the grace, of it all."""
    events: list[Event] = []
    while step := _next(state, now, policy):
        events += step
        state = reduce(evolve, step, state)
    return events


def status_at(state: SubscriptionState, now: datetime, policy: Policy) -> Status:
    """The status that a reader is shown: a period that is over and not renewed yet is in grace."""
    state = reduce(evolve, passed(state, now, policy), state)
    current = state.current
    if state.status in ("active", "trialing") and current and current.period and now >= current.period.ends_at:
        return "grace"
    return state.status


def has_access(state: SubscriptionState, now: datetime, policy: Policy) -> bool:
    """Whether the account may watch."""
    return status_at(state, now, policy) not in NO_ACCESS


def _next(state: SubscriptionState, now: datetime, policy: Policy) -> list[Event]:  # noqa: PLR0911 - a routing table
    current = state.current
    if current is None:
        return []
    match state.status:
        case "pending" if now >= current.pending_until:
            return over(state, "abandoned")
        case "canceled" if current.ends_at is not None and now >= current.ends_at:
            return over(state, "canceled")
        case "paused" if current.resumes_at is not None and now >= current.resumes_at:
            return resumed(state, current, current.resumes_at, policy)
        case "active" | "trialing" | "grace" if current.period is not None and now >= current.period.grace_until:
            return _past_due(state, current)
        case "past_due" if current.period is not None and now >= current.period.expires_at:
            return over(state, "unpaid")
        case _:
            return []


def _past_due(state: SubscriptionState, current: Current) -> list[Event]:
    assert state.account_id is not None and current.period is not None
    return [
        SubscriptionBecamePastDue(
            account_id=state.account_id,
            subscription_id=current.subscription_id,
            expires_at=current.period.expires_at,
        )
    ]


def over(state: SubscriptionState, reason: ExpiryReason) -> list[Event]:
    """The end of a subscription: what it still owes is not asked for any more."""
    assert state.account_id is not None and state.current is not None
    owed = state.ledger.outstanding
    end = SubscriptionExpired(account_id=state.account_id, subscription_id=state.current.subscription_id, reason=reason)
    return [*([ledger.void(owed, VOIDED[reason])] if owed else []), end]


def resumed(state: SubscriptionState, current: Current, at: datetime, policy: Policy) -> list[Event]:
    """The end of a pause, at a moment."""
    assert state.account_id is not None and current.period is not None and current.paused_at is not None
    by = max(at - current.paused_at, timedelta())
    return [
        SubscriptionResumed(
            account_id=state.account_id,
            subscription_id=current.subscription_id,
            period=shifted(current.period, by, policy),
        )
    ]


def after(state: SubscriptionState, events: Sequence[Event]) -> SubscriptionState:
    """The state after events."""
    return reduce(evolve, events, state)
