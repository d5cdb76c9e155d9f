"""What an account's subscription allows: pure, and on one screen. Each command is decided on what time made of the
state.
"""

from datetime import datetime
from functools import partial
from typing import assert_never

from commands.decider import Decider
from commands.subscription import ledger, lifecycle, settling
from commands.subscription.commands import (
    ApplyCoupon,
    Cancel,
    ChangePlan,
    EnterPastDue,
    Expire,
    Pause,
    RecordPaymentFailed,
    RecordPaymentSucceeded,
    RecordRefund,
    Recover,
    Renew,
    RequestRefund,
    Resume,
    RetryPayment,
    StartSubscription,
    SubscriptionCommand,
    Uncancel,
)
from commands.subscription.plan_changes import change_plan
from commands.subscription.policy import Policy
from commands.subscription.state import SubscriptionState, evolve
from commands.subscription.time_passing import after, passed
from events.envelope import Event


def subscription_decider(policy: Policy) -> Decider[SubscriptionCommand, SubscriptionState]:
    """The decider under an operator's policy."""
    return Decider(SubscriptionState(), partial(_decide, policy), evolve)


def _decide(policy: Policy, command: SubscriptionCommand, state: SubscriptionState, now: datetime) -> list[Event]:
    time_passed = passed(state, now, policy)
    return [*time_passed, *_decide_now(policy, command, after(state, time_passed), now)]


def _decide_now(  # noqa: PLR0911, PLR0912 - a routing table
    policy: Policy, command: SubscriptionCommand, state: SubscriptionState, now: datetime
) -> list[Event]:
    match command:
        case StartSubscription():
            return lifecycle.start(command, state, now, policy)
        case Renew():
            return settling.renew(command, state, now, policy)
        case RetryPayment():
            return settling.retry(command, state, now)
        case Recover():
            return settling.recover(command, state, now, policy)
        case RecordPaymentSucceeded():
            return settling.record_succeeded(command, state, now, policy)
        case RecordPaymentFailed():
            return settling.record_failed(command, state, now, policy)
        case EnterPastDue():
            return lifecycle.enter_past_due(command, state)
        case Expire():
            return lifecycle.expire(command, state)
        case Pause():
            return lifecycle.pause(command, state, now, policy)
        case Resume():
            return lifecycle.resume(command, state, now, policy)
        case ChangePlan():
            return change_plan(command, state, now, policy)
        case Cancel():
            return lifecycle.cancel(command, state, now, policy)
        case Uncancel():
            return lifecycle.uncancel(command, state)
        case ApplyCoupon():
            return lifecycle.apply_coupon(command, state)
        case RequestRefund():
            return ledger.request_refund(command, state.ledger)
        case RecordRefund():
            return ledger.record_refund(command, state.ledger)
        case _:
            assert_never(command)
