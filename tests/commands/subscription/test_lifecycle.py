"""The lifecycle against a small model written from the rules alone: any commands, at any times, for 10,000 steps.

Beside it, what reads the log must agree with what decides: the row that access is computed from, and the timers that
the renewal process goes by.
"""

from datetime import datetime, timedelta
from typing import Any, Final

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from commands.subscription import commands as c
from commands.subscription.due import due_command, open_requests
from commands.subscription.ledger import Invoice
from commands.subscription.time_passing import has_access, status_at
from events.envelope import Event, Recorded
from events.refusals import Refusal
from events.subscription import (
    InvoiceIssued,
    PaymentFailed,
    PaymentSucceeded,
    RefundRequested,
    SubscriptionEvent,
    SubscriptionRecovered,
    SubscriptionRenewed,
    TrialStarted,
)
from events.types import SubscriptionId
from infra.entitlement import ACCESS, Moments, standing_at
from projections.subscription.subscription_due import SubscriptionsDue
from projections.subscription.subscriptions import Subscriptions
from tests.builders import envelope, recorded
from tests.commands.subscription.accounts import (
    BASIC,
    FIVE,
    FREE,
    HALF,
    POLICY,
    PREMIUM,
    STANDARD,
    SUBSCRIPTION,
    T0,
    TRIED,
    sign_up,
)

STEPS: Final = 50
EXAMPLES: Final = 200
"""Together the 10,000 steps."""

GAPS = st.one_of(
    st.integers(0, 3_600), st.integers(0, 2 * 86_400), st.integers(0, 40 * 86_400), st.just(28 * 86_400)
).map(lambda seconds: timedelta(seconds=seconds))
PLANS = st.sampled_from([FREE, BASIC, STANDARD, PREMIUM, TRIED])
PERIODS = st.sampled_from(["month", "year"])


class Model:
    """The rules of access, from the outside: paid or tried until when, what was asked of it since, and nothing of how
    the decider keeps it. Access lasts to what is paid and, unless it is canceled, through the grace."""

    def __init__(self) -> None:
        self.until: datetime | None = None
        self.canceled = False
        self.paused_at: datetime | None = None
        self.resumes_at: datetime | None = None

    def access(self, now: datetime) -> bool:
        """Whether the account may watch."""
        until = self.until
        if until is None:
            return False
        if self.paused_at is not None and self.resumes_at is not None:
            if now < self.resumes_at:
                return False
            until += self.resumes_at - self.paused_at
        return now < (until if self.canceled else until + POLICY.grace)

    def take(self, event: Event, now: datetime) -> None:
        """An event, for what it says of paid time. Nobody pays for time in which they could not watch."""
        period = getattr(event, "period", None)
        if isinstance(event, SubscriptionRenewed | SubscriptionRecovered) and self.until is not None:
            assert event.period.starts_at == (self.until if now < self.until + POLICY.grace else now)
        match type(event).__name__:
            case "SubscriptionStarted" | "SubscriptionExpired":
                self.__init__()  # type: ignore[misc]  # as new
            case "SubscriptionPaused":
                self.paused_at, self.resumes_at = event.paused_at, event.resumes_at  # type: ignore[attr-defined]
            case "SubscriptionCanceled":
                self.canceled, self.until = True, event.ends_at  # type: ignore[attr-defined]
            case "InvoiceIssued" | "PlanChangeRequested":
                return
            case _ if period is not None:
                self.until, self.canceled, self.paused_at, self.resumes_at = period.ends_at, False, None, None


class Lifecycle(RuleBasedStateMachine):
    """An account to which anything happens."""

    def __init__(self) -> None:
        super().__init__()
        self.now = T0
        self.history: list[Event] = []
        self.state = SUBSCRIPTION.initial
        self.model = Model()
        self.subscribed = 0
        self.row: Any = None
        self.due: Any = None

    def tell(self, command: c.SubscriptionCommand) -> None:
        try:
            events = SUBSCRIPTION.decide(command, self.state, self.now)
        except Refusal as refusal:
            assert refusal.detail
            return
        for event in events:
            self.history.append(event)
            self.state = SUBSCRIPTION.evolve(self.state, event)
            self.model.take(event, self.now)
            self._fold(event)

    def _fold(self, event: Event) -> None:
        record: Recorded[Event] = recorded(
            envelope(event, subject="subscription.account-a1", time=self.now, sequence=len(self.history))
        )
        assert isinstance(record.data, SubscriptionEvent)
        if type(event) in Subscriptions.events:
            self.row = Subscriptions().project(self.row, record)
        if type(event) in SubscriptionsDue.events:
            self.due = SubscriptionsDue().project(self.due, record)

    @initialize(plan=PLANS, period=PERIODS)
    def begin(self, plan: Any, period: Any) -> None:
        self.start(plan, period)

    @rule(gap=GAPS)
    def wait(self, gap: timedelta) -> None:
        self.now += gap

    @precondition(lambda self: self.due is not None and self.due.due_at is not None and self.due.due_at > self.now)
    @rule(off=st.sampled_from([timedelta(microseconds=-1), timedelta(), timedelta(hours=1)]))
    def wait_for_what_is_due(self, off: timedelta) -> None:
        self.now = max(self.now, self.due.due_at + off)

    @rule(days=st.integers(1, 90))
    def pause(self, days: int) -> None:
        self.tell(c.Pause(until=self.now + timedelta(days=days)))

    @rule(plan=PLANS, period=PERIODS)
    def start(self, plan: Any, period: Any) -> None:
        self.subscribed += 1
        self.tell(sign_up(plan, period, subscription_id=SubscriptionId(f"s{self.subscribed}")))

    @rule(command=st.sampled_from([c.Resume(), c.Uncancel(), c.Recover(), c.Expire(), c.EnterPastDue()]))
    def ask(self, command: c.SubscriptionCommand) -> None:
        self.tell(command)

    @rule(immediately=st.booleans())
    def cancel(self, immediately: bool) -> None:
        self.tell(c.Cancel(immediately=immediately))

    @rule(plan=PLANS, period=PERIODS)
    def change_plan(self, plan: Any, period: Any) -> None:
        self.tell(c.ChangePlan(plan=plan, period=period))

    @rule(coupon=st.sampled_from([HALF, FIVE]))
    def redeem(self, coupon: Any) -> None:
        self.tell(c.ApplyCoupon(coupon=coupon))

    @rule()
    def bill(self) -> None:
        for _ in range(8):
            command = due_command(self.state, self.now, POLICY)
            if command is None:
                return
            before = len(self.history)
            self.tell(command)
            assert len(self.history) > before  # else the process would turn round for ever
        raise AssertionError("always something due")

    @precondition(lambda self: self.state.ledger.invoices)
    @rule(data=st.data(), again=st.booleans())
    def pay(self, data: Any, again: bool) -> None:
        invoice = self._drawn(data)
        if invoice.request is not None:
            charge = f"ch-{invoice.request.idempotency_key}{'-again' if again else ''}"
            total, invoice_id = invoice.issued.total, invoice.issued.invoice_id
            self.tell(c.RecordPaymentSucceeded(invoice_id=invoice_id, charge_id=charge, amount=total))

    @precondition(lambda self: self.state.ledger.invoices)
    @rule(data=st.data())
    def decline(self, data: Any) -> None:
        invoice = self._drawn(data)
        if invoice.request is not None:
            charge, invoice_id = f"ch-{invoice.request.idempotency_key}", invoice.issued.invoice_id
            self.tell(c.RecordPaymentFailed(invoice_id=invoice_id, code="declined", charge_id=charge))

    @precondition(lambda self: self.state.ledger.invoices)
    @rule(data=st.data())
    def refund(self, data: Any) -> None:
        self.tell(c.RequestRefund(invoice_id=self._drawn(data).issued.invoice_id))

    def _drawn(self, data: Any) -> Invoice:
        invoices = list(self.state.ledger.invoices.values())
        drawn: Invoice = data.draw(st.sampled_from(invoices[-3:]))
        return drawn

    @invariant()
    def access_is_what_the_rules_say(self) -> None:
        assert has_access(self.state, self.now, POLICY) == self.model.access(self.now)

    @invariant()
    def a_reader_sees_what_the_decider_knows(self) -> None:
        if self.row is not None:
            moments = Moments(**{name: getattr(self.row, name) for name in Moments.__dataclass_fields__})
            standing = standing_at(moments, self.now)
            assert standing.status == status_at(self.state, self.now, POLICY)
            assert standing.access == (standing.status in ACCESS) == has_access(self.state, self.now, POLICY)

    @invariant()
    def what_is_due_is_found(self) -> None:
        requests = open_requests(self.state.ledger)
        anything = due_command(self.state, self.now, POLICY) or requests.payments or requests.unowed or requests.refunds
        found = self.due is not None and self.due.due_at is not None and self.due.due_at <= self.now
        assert found == bool(anything)

    @invariant()
    def at_most_one_invoice_is_owed_and_money_adds_up(self) -> None:
        assert sum(invoice.status == "open" for invoice in self.state.ledger.invoices.values()) <= 1
        paid = sum(event.amount.amount_minor for event in self.history if isinstance(event, PaymentSucceeded))
        kept = sum(
            invoice.issued.total.amount_minor
            for invoice in self.state.ledger.invoices.values()
            if invoice.status == "paid"
        )
        unowed = sum(
            event.amount.amount_minor
            for event in self.history
            if isinstance(event, RefundRequested) and event.reason != "requested"
        )
        assert paid == kept + unowed

    @invariant()
    def a_trial_is_given_once_and_a_period_is_paid_once(self) -> None:
        assert sum(isinstance(event, TrialStarted) for event in self.history) <= 1
        charges = [event.charge_id for event in self.history if isinstance(event, PaymentSucceeded)]
        assert len(charges) == len(set(charges))
        attempts = [(event.invoice_id, event.attempt) for event in self.history if isinstance(event, PaymentFailed)]
        assert len(attempts) == len(set(attempts))
        numbers = [event.invoice_id for event in self.history if isinstance(event, InvoiceIssued)]
        assert len(numbers) == len(set(numbers))


TestLifecycle = Lifecycle.TestCase
TestLifecycle.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
