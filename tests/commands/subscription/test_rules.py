"""The rules of a subscription's life, one by one, as history and one more command."""

from dataclasses import replace
from datetime import UTC, datetime

from commands.subscription import commands as c
from commands.subscription import refusals as r
from commands.subscription.time_passing import has_access
from events.subscription import (
    InvoiceIssued,
    Period,
    PlanChanged,
    PlanChangeScheduled,
    SubscriptionActivated,
    SubscriptionExpired,
    SubscriptionPaused,
    SubscriptionRecovered,
    SubscriptionRenewed,
    SubscriptionResumed,
    TrialStarted,
)
from events.types import SubscriptionId
from tests.commands.subscription.accounts import (
    BASIC,
    DAY,
    DECLINE,
    FEB,
    HALF,
    ME,
    PAY,
    POLICY,
    PREMIUM,
    T0,
    TRIED,
    account,
    euros,
    issued_in,
    lived,
    names,
    plan,
    sign_up,
    state_of,
)

S1 = SubscriptionId("s1")
ACTIVE = ((sign_up(), T0), (PAY, T0))
FIRST = Period(
    number=1,
    starts_at=T0,
    ends_at=FEB,
    grace_until=FEB + 7 * DAY,
    expires_at=FEB + 37 * DAY,
    anchored_at=T0,
    months=1,
)
MARCH = datetime(2026, 3, 31, 9, 30, tzinfo=UTC)


def test_the_first_payment_activates_the_period_that_was_invoiced() -> None:
    history = lived(*ACTIVE)
    assert history[-1] == SubscriptionActivated(account_id=ME, subscription_id=S1, period=FIRST)


def test_a_renewal_follows_from_the_anchor_and_not_from_the_short_month() -> None:
    history = lived(*ACTIVE, (c.Renew(number=2), FEB), (PAY, FEB))
    renewed = history[-1]
    assert isinstance(renewed, SubscriptionRenewed)
    assert (renewed.period.starts_at, renewed.period.ends_at) == (FEB, MARCH)


def test_a_trial_is_given_once_for_an_account() -> None:
    first = lived((sign_up(TRIED), T0), (c.Cancel(immediately=True), T0 + DAY))
    assert any(isinstance(event, TrialStarted) for event in first)
    again = sign_up(TRIED, subscription_id=SubscriptionId("s2"))
    assert "TrialStarted" not in names(account.given(*first).when(again, now=T0 + 2 * DAY).decided())


def test_a_subscriber_keeps_the_version_and_the_price_they_signed_up_to() -> None:
    history = lived(*ACTIVE)
    issued, _ = account.given(*history).when(c.Renew(number=2), now=FEB).decided()
    assert isinstance(issued, InvoiceIssued)
    assert (issued.terms and issued.terms.version, issued.total) == (1, euros(999))
    dearer = plan("standard", 1_199, 2, version=2)
    change = c.ChangePlan(plan=dearer, period="month")
    assert names(account.given(*history).when(change, now=T0 + DAY).decided())[0] == "PlanChangeRequested"


def test_a_downgrade_waits_for_the_periods_end() -> None:
    history = lived(*ACTIVE)
    [scheduled] = account.given(*history).when(c.ChangePlan(plan=BASIC, period="month"), now=T0 + DAY).decided()
    assert isinstance(scheduled, PlanChangeScheduled)
    assert scheduled.effective_at == FEB
    renewed = lived(*ACTIVE, (c.ChangePlan(plan=BASIC, period="month"), T0 + DAY), (c.Renew(number=2), FEB), (PAY, FEB))
    assert isinstance(renewed[-1], PlanChanged)
    assert (renewed[-1].terms.name, issued_in(renewed)[-1].total) == ("Basic", euros(599))


def test_an_upgrade_that_is_declined_leaves_the_old_plan_and_its_access() -> None:
    upgrade = c.ChangePlan(plan=PREMIUM, period="month")
    state = state_of(lived(*ACTIVE, (upgrade, T0 + DAY), (DECLINE, T0 + DAY)))
    assert state.current and state.current.terms.name == "Standard"
    assert has_access(state, T0 + 2 * DAY, POLICY)


def test_an_upgrade_that_is_not_answered_gives_way_to_the_renewal() -> None:
    history = lived(*ACTIVE, (c.ChangePlan(plan=PREMIUM, period="month"), FEB - DAY))
    decided = account.given(*history).when(c.Renew(number=2), now=FEB).decided()
    assert names(decided) == ["InvoiceVoided", "PlanChangeAbandoned", "InvoiceIssued", "PaymentRequested"]


def test_a_pause_keeps_what_is_left_and_takes_nothing_more() -> None:
    paused = lived(*ACTIVE, (c.Pause(), T0 + 10 * DAY))
    assert isinstance(paused[-1], SubscriptionPaused)
    [resumed] = account.given(*paused).when(c.Resume(), now=T0 + 30 * DAY).decided()
    assert isinstance(resumed, SubscriptionResumed)
    assert resumed.period.ends_at == FEB + 20 * DAY


def test_a_pause_ends_by_itself_at_its_end_however_late_anyone_says_so() -> None:
    paused = lived(*ACTIVE, (c.Pause(until=T0 + 20 * DAY), T0 + 10 * DAY))
    [resumed] = account.given(*paused).when(c.Resume(), now=T0 + 25 * DAY).decided()
    assert isinstance(resumed, SubscriptionResumed)
    assert resumed.period.ends_at == FEB + 10 * DAY
    too_long = c.Pause(until=T0 + 200 * DAY)
    account.given(*lived(*ACTIVE)).when(too_long, now=T0 + DAY).refused(r.PauseTooLong)


def test_what_is_paid_in_grace_continues_and_what_is_paid_after_it_begins_anew() -> None:
    overdue = (*ACTIVE, (c.Renew(number=2), FEB), (DECLINE, FEB))
    in_grace = lived(*overdue, (c.Recover(), FEB + 2 * DAY), (PAY, FEB + 2 * DAY))[-1]
    later = lived(*overdue, (c.Recover(), FEB + 12 * DAY), (PAY, FEB + 12 * DAY))[-1]
    assert isinstance(in_grace, SubscriptionRecovered) and isinstance(later, SubscriptionRecovered)
    assert in_grace.period.starts_at == FEB
    assert later.period.starts_at == FEB + 12 * DAY


def test_time_ends_what_nobody_ended() -> None:
    decided = account.given(*lived(*ACTIVE)).when(c.Expire(), now=FEB + 37 * DAY).decided()
    assert names(decided) == ["SubscriptionBecamePastDue", "SubscriptionExpired"]
    assert isinstance(decided[-1], SubscriptionExpired) and decided[-1].reason == "unpaid"
    never_paid = account.given(*lived((sign_up(), T0))).when(c.Expire(), now=T0 + DAY).decided()
    assert isinstance(never_paid[-1], SubscriptionExpired) and never_paid[-1].reason == "abandoned"


def test_a_coupon_discounts_so_many_invoices_and_then_none() -> None:
    history = lived(
        (sign_up(coupon=HALF), T0),
        (PAY, T0),
        (c.Renew(number=2), FEB),
        (PAY, FEB),
        (c.Renew(number=3), MARCH),
        (PAY, MARCH),
    )
    assert [issued.total for issued in issued_in(history)] == [euros(499), euros(499), euros(999)]


def test_a_late_success_of_a_declined_charge_counts() -> None:
    overdue = lived(*ACTIVE, (c.Renew(number=2), FEB), (DECLINE, FEB))
    decided = account.given(*lived(*ACTIVE, (c.Renew(number=2), FEB), (DECLINE, FEB))).when(
        c.RecordPaymentSucceeded(
            invoice_id=issued_in(overdue)[-1].invoice_id, charge_id="ch-account-a1.2/1", amount=euros(999)
        ),
        now=FEB + DAY,
    )
    assert names(decided.decided()) == ["PaymentSucceeded", "SubscriptionRecovered"]


def test_a_charge_of_another_amount_is_refused() -> None:
    paid = c.RecordPaymentSucceeded(
        invoice_id=issued_in(lived(*ACTIVE))[0].invoice_id, charge_id="other", amount=euros(1)
    )
    account.given(*lived((sign_up(), T0))).when(paid, now=T0).refused(r.AmountDiffers)


def test_the_same_request_to_start_is_ignored_and_an_unknown_zone_is_refused() -> None:
    account.given(*lived(*ACTIVE)).when(sign_up(), now=T0).ignored()
    account.given().when(replace(sign_up(), time_zone="Mars/Base"), now=T0).refused(r.TimeZoneUnknown)
    account.given().when(replace(sign_up(), currency="USD"), now=T0).refused(r.PriceUnknown)
