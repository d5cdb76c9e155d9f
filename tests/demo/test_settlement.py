"""The settlement waits for what is under way, and finds money that is not where the provider's books say."""

from dataclasses import dataclass, field, replace
from typing import cast

import pytest

from events.types import Money
from infra.payments.provider import Charge, Refund
from playhead.demo.api import Api, Bearer
from playhead.demo.comparison import Compared
from playhead.demo.ledger import Ledger
from playhead.demo.money import settlement as settlements
from playhead.demo.money.accounts import Accounts, HeldAccount, Invoice, Transaction, refund_key
from playhead.demo.money.bills import Bill, Entitled, Plan
from playhead.demo.money.director import Director
from playhead.demo.money.parts import WELL, Part, Subscribe
from playhead.demo.money.parts import Refund as GiveBack
from playhead.demo.money.selling import Counter
from playhead.demo.money.settlement import Settlement
from playhead.demo.money.subscriber import Subscriptions
from playhead.demo.people.register import Register
from playhead.demo.people.signing import SignIn
from playhead.fake_control import Booked, Deliveries, Everything
from playhead.fake_webhooks import Delivery

PRICE = Money(1_090, "EUR")
BACK = Money(300, "EUR")
INVOICE = "account-one.1"
CHARGE = Charge(charge_id="ch_1", reference=INVOICE, status="succeeded", amount=PRICE)
GIVEN_BACK = Refund(refund_id="re_1", charge_id="ch_1", status="succeeded", amount=BACK)
HELD = HeldAccount(
    plan=Plan("active", "standard"),
    invoices=(Invoice(INVOICE, Bill("first", "paid", "EUR", 1_090, 300), 1_090),),
    transactions={
        "ch_1": Transaction(INVOICE, "succeeded", "1090 EUR"),
        refund_key(INVOICE, "300 EUR"): Transaction(INVOICE, "succeeded", "300 EUR"),
    },
    entitled=Entitled(streams=2, titles=0),
)
TAKEN = [Delivery("evt_1", "charge.succeeded", 503), Delivery("evt_1", "charge.succeeded", 204)]


@dataclass
class Provider:
    """In the place of the director: books that stand still, but for what is counted down in `pending`."""

    charges: list[Charge] = field(default_factory=lambda: [CHARGE])
    refunds: list[Refund] = field(default_factory=lambda: [GIVEN_BACK])
    tried: list[Delivery] = field(default_factory=lambda: TAKEN)
    pending: int = 0

    async def books(self) -> Everything:
        self.pending -= 1
        status = "pending" if self.pending >= 0 else None
        charges = [
            Booked("one", charge.charge_id, charge if status is None else _pending(charge)) for charge in self.charges
        ]
        return Everything(charges, self.refunds, len(charges), len(self.refunds))

    async def webhooks(self) -> Deliveries:
        return Deliveries(self.tried, waiting=0)


@dataclass
class Views:
    """In the place of the query API."""

    account: HeldAccount = HELD
    looks: int = 0

    async def held(self, account_id: str, badge: Bearer) -> HeldAccount:
        self.looks += 1
        return self.account


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settlements, "LOOKS_EVERY_S", 0.0)
    monkeypatch.setattr(settlements, "SETTLES_WITHIN_S", 0.2)


def settlement(views: Views, provider: Provider) -> Settlement:
    api, clerk, register = cast(Api, None), cast(SignIn, None), Register(Ledger())
    shared = Subscriptions(
        api,
        cast(Accounts, views),
        clerk,
        register,
        Counter(api, clerk, register, "1"),
        cast(Director, provider),
        parts={"one": Part("is given some back", (), WELL)},
        taken={"one": [Subscribe("standard"), GiveBack(300)]},
    )
    return Settlement(shared)


async def unequal(views: Views, provider: Provider) -> set[str]:
    """The views that differ."""
    made = settlement(views, provider)
    assert await made.settled() is None
    return {view.view for view in made.compare() if not view.equal}


async def test_everything_is_equal_when_the_views_hold_what_the_provider_booked() -> None:
    made = settlement(Views(), Provider())
    assert await made.settled() is None
    views = {view.view: view for view in made.compare()}
    assert all(view.equal for view in views.values())
    assert (views["money_EUR"].acknowledged, views["money_EUR"].held) == (790, 790)
    assert isinstance(views["charged_once"], Compared)


async def test_it_looks_until_no_charge_is_pending_and_then_once_more() -> None:
    views = Views()
    assert await settlement(views, Provider(pending=3)).settled() is None
    assert views.looks == 5


async def test_what_never_settles_is_told() -> None:
    assert "not settled" in str(await settlement(Views(), Provider(pending=1_000_000)).settled())
    unpaid = replace(HELD, plan=Plan("pending", "standard"))
    assert "not settled" in str(await settlement(Views(unpaid), Provider()).settled())


async def test_an_invoice_that_was_charged_twice_is_found() -> None:
    twice = [CHARGE, Charge(charge_id="ch_2", reference=INVOICE, status="succeeded", amount=PRICE)]
    assert await unequal(Views(), Provider(charges=twice)) == {
        "charged_once",
        "subscription_transactions",
        "money_EUR",
    }


async def test_a_refund_that_the_provider_does_not_know_is_found() -> None:
    assert await unequal(Views(), Provider(refunds=[])) == {"subscription_transactions", "money_EUR"}


async def test_a_subscription_that_stands_otherwise_is_found() -> None:
    canceled = replace(HELD, plan=Plan("canceled", "standard"))
    assert await unequal(Views(canceled), Provider()) == {"subscriptions"}


async def test_an_account_that_may_watch_more_than_it_paid_for_is_found() -> None:
    assert await unequal(Views(replace(HELD, entitled=Entitled(6, 1))), Provider()) == {"entitlements"}


async def test_a_webhook_that_was_never_taken_is_found() -> None:
    assert await unequal(Views(), Provider(tried=TAKEN[:1])) == {"payment_webhooks"}


def _pending(charge: Charge) -> Charge:
    return Charge(charge_id=charge.charge_id, reference=charge.reference, status="pending", amount=charge.amount)
