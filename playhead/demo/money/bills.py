"""What must become of an account by what was acknowledged: a model of its own, which knows no event and no stream.

It may be simple because an evening is short: no period ends in it, and of a month that is seconds old nothing is used
up, so that an upgrade costs the whole difference.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, assert_never

from infra.payments.rules import Rule
from playhead.demo.money import tariff
from playhead.demo.money.parts import (
    Cancel,
    ChangePlan,
    MendCard,
    Part,
    Pause,
    PlayRental,
    Refund,
    Rent,
    Resume,
    Step,
    Subscribe,
    Uncancel,
)

WATCHING: Final = ("trialing", "active", "canceled")


@dataclass(frozen=True)
class Bill:
    """An invoice, as far as it is compared. Amounts are in minor units."""

    reason: str
    status: str
    currency: str
    total_minor: int
    refunded_minor: int = 0


@dataclass(frozen=True)
class Plan:
    """A subscription, as far as it is compared. `next_plan_id`: from the next period on."""

    status: str
    plan_id: str
    next_plan_id: str | None = None


@dataclass(frozen=True)
class Entitled:
    """What an account may do: how many streams at once by its plan, and how many titles by themselves."""

    streams: int
    titles: int


@dataclass(frozen=True)
class Account:
    """An account's subscription if it has one, its bills from the oldest on, and how many rentals it may play."""

    plan: Plan | None = None
    bills: tuple[Bill, ...] = ()
    rentals: int = 0
    period: str = "month"

    @property
    def entitled(self) -> Entitled:
        """What it may watch."""
        watching = self.plan is not None and self.plan.status in WATCHING
        return Entitled(tariff.streams_of(self.plan.plan_id) if self.plan and watching else 0, self.rentals)


def expected(part: Part, taken: Iterable[Step]) -> Account:
    """The account after the steps of a part that were acknowledged."""
    account, rule = Account(), part.rule
    for step in taken:
        if isinstance(step, MendCard):
            rule = Rule(on="any")
        account = _after(account, step, part.currency, rule)
    return account


def _after(account: Account, step: Step, currency: str, rule: Rule) -> Account:  # noqa: PLR0911 - a routing table
    plan = account.plan
    match step:
        case Subscribe():
            return account if step.refused else _subscribed(account, step, currency, rule)
        case ChangePlan(plan_id=plan_id):
            return _changed(account, plan_id, currency, rule)
        case Cancel(immediately=immediately):
            return _with_status(account, "expired" if immediately else "canceled")
        case Uncancel():
            return _with_status(account, "trialing" if plan and tariff.PLANS[plan.plan_id]["trial_days"] else "active")
        case Pause():
            return _with_status(account, "paused")
        case Resume():
            return _with_status(account, "active")
        case Refund(amount_minor=amount_minor):
            return account if rule.refund_fails else _given_back(account, amount_minor)
        case Rent():
            bill = _bill("purchase", tariff.RENTAL_MINOR[currency], currency, rule)
            return replace(account, bills=(*account.bills, bill), rentals=account.rentals + (bill.status == "paid"))
        case PlayRental() | MendCard():
            return account
        case _:
            assert_never(step)


def _subscribed(account: Account, step: Subscribe, currency: str, rule: Rule) -> Account:
    if tariff.PLANS[step.plan_id]["trial_days"]:
        return replace(account, plan=Plan("trialing", step.plan_id), period=step.period)
    price_minor = tariff.price_minor(step.plan_id, currency, step.period)
    off_minor = price_minor * tariff.COUPON_PERCENT // 100 if step.coupon else 0
    bill = _bill("first", price_minor - off_minor, currency, rule)
    plan = Plan("active" if bill.status == "paid" else "expired", step.plan_id)
    return replace(account, plan=plan, bills=(*account.bills, bill), period=step.period)


def _changed(account: Account, plan_id: str, currency: str, rule: Rule) -> Account:
    plan = account.plan
    assert plan is not None
    if plan.status == "trialing":
        return replace(account, plan=replace(plan, plan_id=plan_id))
    now_minor, then_minor = (tariff.price_minor(one, currency, account.period) for one in (plan.plan_id, plan_id))
    if then_minor < now_minor:
        return replace(account, plan=replace(plan, next_plan_id=plan_id))
    bill = _bill("plan_change", then_minor - now_minor, currency, rule)
    changed = replace(plan, plan_id=plan_id if bill.status == "paid" else plan.plan_id)
    return replace(account, plan=changed, bills=(*account.bills, bill))


def _given_back(account: Account, amount_minor: int | None) -> Account:
    *others, bill = account.bills
    back_minor = bill.total_minor - bill.refunded_minor if amount_minor is None else amount_minor
    bill = replace(bill, refunded_minor=bill.refunded_minor + back_minor)
    lost = bill.reason == "purchase" and bill.refunded_minor == bill.total_minor
    return replace(account, bills=(*others, bill), rentals=account.rentals - lost)


def _bill(reason: str, total_minor: int, currency: str, rule: Rule) -> Bill:
    declined = total_minor and rule.decline_code
    return Bill(reason, "void" if declined else "paid", currency, total_minor)


def _with_status(account: Account, status: str) -> Account:
    assert account.plan is not None
    return replace(account, plan=replace(account.plan, status=status))
