"""Money: exact, never negative, never mixed; and invoices whose lines add up."""

from datetime import timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from commands.subscription import commands as c
from commands.subscription.invoicing import SIGN, discounted, prorated
from commands.subscription.state import known
from events.subscription import CouponTerms, InvoiceIssued, SubscriptionRenewed
from events.types import AmountNegative, CouponCode, CurrencyMixed, Money
from tests.commands.subscription.accounts import (
    BASIC,
    DAY,
    FREE,
    PAY,
    PREMIUM,
    STANDARD,
    T0,
    account,
    euros,
    issued_in,
    lived,
    sign_up,
    state_of,
)

amounts = st.integers(0, 10**12)
moneys = st.builds(Money, amounts, st.just("EUR"))


@given(moneys, moneys)
def test_what_is_added_can_be_taken_away(a: Money, b: Money) -> None:
    assert a.plus(b).minus(b) == a
    assert a.plus(b) == b.plus(a)
    assert a.at_most(b).amount_minor == min(a.amount_minor, b.amount_minor)


@given(moneys, st.integers(0, 10**15), st.integers(1, 10**15))
def test_a_share_and_the_rest_add_up(price: Money, part: int, whole: int) -> None:
    part = min(part, whole)
    used = price.share(part, whole)
    assert used.plus(price.minus(used)) == price
    assert abs(used.amount_minor * whole - price.amount_minor * part) * 2 <= whole


@pytest.mark.parametrize(("part", "cents"), [(0, 0), (1, 1), (2, 1), (3, 2), (4, 2)])
def test_a_share_is_rounded_half_up(part: int, cents: int) -> None:
    assert euros(2).share(part, 4) == euros(cents)


def test_less_than_nothing_is_refused() -> None:
    with pytest.raises(AmountNegative):
        euros(1).minus(euros(2))
    with pytest.raises(AmountNegative):
        euros(1).share(2, 1)


def test_currencies_are_not_mixed() -> None:
    for operation in (euros(1).plus, euros(1).minus, euros(1).at_most):
        with pytest.raises(CurrencyMixed):
            operation(Money(1, "KRW"))


@pytest.mark.parametrize("body", [b'{"amount_minor":-1,"currency":"EUR"}', b'{"amount_minor":1,"currency":"eur"}'])
def test_no_event_holds_an_amount_that_is_none(body: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(body, type=Money)


def total_of(issued: InvoiceIssued) -> int:
    return sum(SIGN[line.kind] * line.amount.amount_minor for line in issued.lines)


def test_an_upgrade_costs_the_rest_of_the_new_plan_less_the_rest_of_the_old() -> None:
    half = T0 + 14 * DAY  # of a period of 28 days
    history = lived((sign_up(), T0), (PAY, T0), (c.ChangePlan(plan=PREMIUM, period="month"), half))
    issued = issued_in(history)[-1]
    assert [(line.kind, line.amount) for line in issued.lines] == [("plan", euros(800)), ("unused", euros(500))]
    assert issued.total == euros(300)


def test_a_second_upgrade_credits_what_the_first_one_paid_for() -> None:
    history = lived(
        (sign_up(BASIC), T0),
        (PAY, T0),
        (c.ChangePlan(plan=STANDARD, period="month"), T0 + 7 * DAY),
        (PAY, T0 + 7 * DAY),
        (c.ChangePlan(plan=PREMIUM, period="month"), T0 + 21 * DAY),
    )
    first, second = issued_in(history)[1:]
    assert first.lines[0].amount == euros(749)  # three of four weeks of 9.99
    assert [(line.kind, line.amount) for line in second.lines] == [("plan", euros(400)), ("unused", euros(250))]


def test_what_a_yearly_plan_leaves_over_is_carried_until_it_is_used_up() -> None:
    history = lived(
        (sign_up(BASIC, "year"), T0),
        (PAY, T0),
        (c.ChangePlan(plan=PREMIUM, period="month"), T0 + DAY),
    )
    issued = issued_in(history)[-1]
    assert (issued.total, issued.carried) == (euros(0), euros(5_990 - 16 - 1_599))
    assert total_of(issued) == 0
    assert state_of(history).credits == {"EUR": issued.carried}
    period = known(state_of(history)).period
    assert period is not None
    renewed = account.given(*history).when(c.Renew(number=period.number + 1), now=period.ends_at).decided()
    assert [one.carried for one in issued_in(renewed)] == [issued.carried.minus(euros(1_599))]
    assert isinstance(renewed[-1], SubscriptionRenewed)


def test_leaving_the_free_plan_begins_a_period_at_its_full_price() -> None:
    history = lived((sign_up(FREE), T0), (c.ChangePlan(plan=STANDARD, period="month"), T0 + 3 * DAY))
    issued = issued_in(history)[-1]
    assert (issued.total, issued.period and issued.period.starts_at) == (euros(999), T0 + 3 * DAY)


@given(moneys, st.integers(1, 100))
def test_a_percentage_never_takes_more_than_there_is(price: Money, percent: int) -> None:
    off = discounted(price, CouponTerms(code=CouponCode("X"), periods=1, percent=percent))
    assert price.minus(off).plus(off) == price


@given(moneys, moneys)
def test_an_amount_never_takes_more_than_there_is(price: Money, amount: Money) -> None:
    off = discounted(price, CouponTerms(code=CouponCode("X"), periods=1, amount=amount))
    assert off.amount_minor == min(price.amount_minor, amount.amount_minor)


@given(moneys, st.integers(0, 2_678_400), st.integers(1, 2_678_400))
def test_used_and_unused_time_add_up_to_the_price(price: Money, part_s: int, whole_s: int) -> None:
    part_s = min(part_s, whole_s)
    unused = prorated(price, part=timedelta(seconds=part_s), whole=timedelta(seconds=whole_s))
    assert price.minus(unused).plus(unused) == price


@given(
    st.sampled_from([BASIC, STANDARD, FREE]),
    st.sampled_from([STANDARD, PREMIUM]),
    st.sampled_from(["month", "year"]),
    st.sampled_from(["month", "year"]),
    st.integers(1, 27 * 86_400),
)
def test_the_lines_of_every_invoice_add_up(old: object, new: object, was: str, is_: str, at_s: int) -> None:
    start = sign_up(old, was)  # type: ignore[arg-type]  # a plan and a period
    change = c.ChangePlan(plan=new, period=is_)  # type: ignore[arg-type]  # a plan and a period
    paid = ((PAY, T0),) if start.plan is not FREE else ()
    history = lived((start, T0), *paid, (change, T0 + timedelta(seconds=at_s)))
    for issued in issued_in(history):
        assert total_of(issued) == issued.total.amount_minor
        assert not (issued.total and issued.carried)
