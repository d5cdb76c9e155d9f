"""Waits until all money has settled, and holds subscriptions, invoices and transactions against what must have become
of them: by the model in bills.py, and by the payment provider's own books.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Final, TypeVar

from events.types import Money
from infra.clock import monotonic_s
from infra.payments.provider import Refund
from playhead.demo.api import NotTaken
from playhead.demo.comparison import Compared, Difference, compared
from playhead.demo.money.accounts import HeldAccount, Transaction, refund_key
from playhead.demo.money.bills import Bill
from playhead.demo.money.subscriber import Subscriptions
from playhead.demo.money.tariff import CURRENCIES
from playhead.fake_control import Booked, Everything
from playhead.fake_webhooks import Delivery

SETTLES_WITHIN_S: Final = 45.0
LOOKS_EVERY_S: Final = 0.5
TOGETHER: Final = 8
NO_CONTENT: Final = 204
QUERY: Final = "query API"
Held = dict[str, HeldAccount]
T = TypeVar("T")


class Settlement:
    """The end of an evening's subscriptions."""

    def __init__(self, subscriptions: Subscriptions) -> None:
        self._subscriptions = subscriptions
        self._held: Held = {}
        self._booked: list[Booked] = []
        self._refunds: list[Refund] = []
        self._told: list[Delivery] = []

    async def settled(self) -> str | None:
        """Return when the provider has told everything and the views show nothing open, twice alike; else why not."""
        try:
            await self._applied()
        except NotTaken as late:
            return f"subscriptions have not caught up: {late}"
        deadline_s = monotonic_s() + SETTLES_WITHIN_S
        before: tuple[Held, list[Booked], list[Refund]] | None = None
        while monotonic_s() < deadline_s:
            quiet = await self._look()
            now = self._held, self._booked, self._refunds
            if quiet and now == before:
                return None
            before = now if quiet else None
            await asyncio.sleep(LOOKS_EVERY_S)
        return f"money has not settled within {SETTLES_WITHIN_S:.0f} s"

    def compare(self) -> list[Compared]:
        """Every view of the context, as last looked at."""
        return [
            self._plans(),
            self._bills(),
            self._transactions(),
            self._charged_once(),
            *(self._money(currency) for currency in CURRENCIES if self._charged(currency)),
            self._webhooks(),
            self._entitlements(),
        ]

    async def _applied(self) -> None:
        shared = self._subscriptions
        account_id = next(iter(shared.parts))
        positions = list(shared.register.ledger.positions.values())
        for begin in range(0, len(positions), TOGETHER):
            await shared.accounts.subscription(account_id, shared.clerk, positions[begin : begin + TOGETHER])

    async def _look(self) -> bool:
        """Read everything; whether nothing is under way."""
        shared = self._subscriptions
        webhooks = await shared.director.webhooks()
        self._told = webhooks.tried
        books = await shared.director.books()
        self._booked = [row for row in books.charges if row.account_id in shared.parts]
        charges = {row.charge.charge_id for row in self._booked}
        self._refunds = [refund for refund in books.refunds if refund.charge_id in charges]
        at_once = asyncio.Semaphore(TOGETHER)

        async def held(account_id: str) -> HeldAccount:
            async with at_once:
                return await shared.accounts.held(account_id, shared.clerk)

        read = await asyncio.gather(*(held(account_id) for account_id in shared.parts))
        self._held = dict(zip(shared.parts, read, strict=True))
        return not webhooks.waiting and not _pending(books) and all(account.settled for account in read)

    def _plans(self) -> Compared:
        expected = {name: self._subscriptions.expected(name).plan for name in self._held}
        held = {name: account.plan for name, account in self._held.items()}
        unit = "accounts, by the steps that were taken"
        return compared("subscriptions", _present(expected), _present(held), unit=unit, read_from=QUERY)

    def _bills(self) -> Compared:
        expected = {name: self._subscriptions.expected(name).bills for name in self._held}
        held = {name: tuple(invoice.bill for invoice in account.invoices) for name, account in self._held.items()}
        unit = "invoices, by the steps that were taken"
        return compared("subscription_invoices", _numbered(expected), _numbered(held), unit=unit, read_from=QUERY)

    def _transactions(self) -> Compared:
        """The provider's books on one side, the view on the other."""
        references = {row.charge.charge_id: row.charge.reference for row in self._booked}
        booked = {
            row.charge.charge_id: Transaction(
                row.charge.reference,
                "failed" if row.charge.status == "declined" else row.charge.status,
                None if row.charge.status == "declined" else _amount(row.charge.amount),
            )
            for row in self._booked
        }
        for refund in self._refunds:
            invoice_id, amount = references[refund.charge_id], _amount(refund.amount)
            booked[refund_key(invoice_id, amount)] = Transaction(invoice_id, refund.status, amount)
        held = {key: one for account in self._held.values() for key, one in account.transactions.items()}
        unit = "charges and refunds, by the provider"
        return compared("subscription_transactions", booked, held, unit=unit, read_from=QUERY)

    def _charged_once(self) -> Compared:
        charged = Counter(row.charge.reference for row in self._booked if row.charge.status == "succeeded")
        paid = {
            invoice.invoice_id: 1
            for account in self._held.values()
            for invoice in account.invoices
            if invoice.bill.status == "paid" and invoice.bill.total_minor
        }
        return compared("charged_once", dict(charged), paid, unit="invoices paid, by the provider", read_from=QUERY)

    def _money(self, currency: str) -> Compared:
        """What was taken, less what was given back."""
        view, unit = f"money_{currency}", "minor units kept, by the provider"
        given_back = sum(
            refund.amount.amount_minor
            for refund in self._refunds
            if refund.amount.currency == currency and refund.status == "succeeded"
        )
        booked = self._charged(currency), given_back
        bills = [invoice for account in self._held.values() for invoice in account.invoices]
        mine = [invoice for invoice in bills if invoice.bill.currency == currency]
        held = sum(one.paid_minor for one in mine), sum(one.bill.refunded_minor for one in mine)
        unequal = (Difference(view, "charged, refunded", booked, held),) if booked != held else ()
        return Compared(view, unit, QUERY, booked[0] - booked[1], held[0] - held[1], unequal)

    def _charged(self, currency: str) -> int:
        return sum(
            row.charge.amount.amount_minor
            for row in self._booked
            if row.charge.status == "succeeded" and row.charge.amount.currency == currency
        )

    def _webhooks(self) -> Compared:
        told = {delivery.event_id: "taken" for delivery in self._told}
        taken = {delivery.event_id: "taken" for delivery in self._told if delivery.status == NO_CONTENT}
        unit = "events told, by the provider"
        return compared("payment_webhooks", told, taken, unit=unit, read_from="commands API")

    def _entitlements(self) -> Compared:
        expected = {name: self._subscriptions.expected(name).entitled for name in self._held}
        held = {name: account.entitled for name, account in self._held.items()}
        return compared("entitlements", expected, held, unit="accounts, streams and titles", read_from=QUERY)


def _pending(books: Everything) -> bool:
    return any(row.charge.status == "pending" for row in books.charges) or any(
        refund.status == "pending" for refund in books.refunds
    )


def _present(rows: Mapping[str, T | None]) -> dict[str, T]:
    return {name: row for name, row in rows.items() if row is not None}


def _numbered(bills: Mapping[str, tuple[Bill, ...]]) -> dict[str, Bill]:
    """Each account's bills by account and number, the oldest is 1."""
    return {f"{name}#{number}": bill for name, those in bills.items() for number, bill in enumerate(those, start=1)}


def _amount(amount: Money) -> str:
    return f"{amount.amount_minor} {amount.currency}"
