"""What the query API holds of an account, in the words of the model in bills.py."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from infra.positions import Position
from playhead.demo.api import Api, Bearer, NotTaken
from playhead.demo.money.bills import Account, Bill, Entitled, Plan

OK: Final = 200
NOT_FOUND: Final = 404


@dataclass(frozen=True)
class Invoice:
    """An invoice as the API has it, beside what is compared of it."""

    invoice_id: str
    bill: Bill
    paid_minor: int


@dataclass(frozen=True)
class Transaction:
    """A charge or a refund, as far as it is compared. A declined charge has no amount."""

    invoice_id: str
    status: str
    amount: str | None


@dataclass(frozen=True)
class HeldAccount:
    """All that is held of an account. `transactions`: by charge, and by invoice and amount for refunds."""

    plan: Plan | None
    invoices: tuple[Invoice, ...]
    transactions: dict[str, Transaction]
    entitled: Entitled

    @property
    def settled(self) -> bool:
        """Whether nothing is owed and no answer is awaited, as far as the view knows."""
        pending = self.plan is not None and self.plan.status == "pending"
        return not (
            pending
            or any(invoice.bill.status == "open" for invoice in self.invoices)
            or any(transaction.status == "pending" for transaction in self.transactions.values())
        )


class Accounts:
    """Reads accounts as billing staff do, or as their own viewer."""

    def __init__(self, query: Api) -> None:
        self._query = query

    async def account(self, account_id: str, badge: Bearer, positions: Iterable[Position] = ()) -> Account:
        """The account as it stands, once these positions are applied. Its titles and period are not looked at."""
        plan = await self._plan(account_id, badge, positions)
        return Account(plan, tuple(invoice.bill for invoice in await self.invoices(account_id, badge)))

    async def held(self, account_id: str, badge: Bearer) -> HeldAccount:
        """Everything of an account."""
        return HeldAccount(
            plan=await self._plan(account_id, badge),
            invoices=tuple(await self.invoices(account_id, badge)),
            transactions=await self._transactions(account_id, badge),
            entitled=await self._entitled(account_id, badge),
        )

    async def invoices(self, account_id: str, badge: Bearer) -> list[Invoice]:
        """From the oldest on."""
        newest_first = [
            _invoice(item) async for item in self._query.items(f"/v1/accounts/{account_id}/invoices", badge)
        ]
        return newest_first[::-1]

    async def shown(self, account_id: str, badge: Bearer) -> dict[str, Any]:
        """The entitlements as the API returns them."""
        found: dict[str, Any] = (await self._query.get(f"/v1/accounts/{account_id}/entitlements", badge)).json()
        return found

    async def subscription(
        self, account_id: str, badge: Bearer, positions: Iterable[Position] = ()
    ) -> dict[str, Any] | None:
        """The subscription as the API returns it; None for an account that never had one. Raises NotTaken."""
        reply = await self._query.get(f"/v1/accounts/{account_id}/subscription", badge, positions)
        if reply.status not in (OK, NOT_FOUND):
            raise NotTaken(f"the subscription of {account_id}: {reply.status} {reply.body.decode(errors='replace')}")
        return reply.json() if reply.status == OK else None

    async def _plan(self, account_id: str, badge: Bearer, positions: Iterable[Position] = ()) -> Plan | None:
        row = await self.subscription(account_id, badge, positions)
        if row is None:
            return None
        scheduled = row["scheduled_plan"]
        return Plan(row["status"], row["plan"]["plan_id"], scheduled["plan_id"] if scheduled else None)

    async def _transactions(self, account_id: str, badge: Bearer) -> dict[str, Transaction]:
        held: dict[str, Transaction] = {}
        async for item in self._query.items(f"/v1/accounts/{account_id}/transactions", badge):
            amount = None if item["amount_minor"] is None else f"{item['amount_minor']} {item['currency']}"
            key = item["transaction_id"] if item["kind"] == "charge" else refund_key(item["invoice_id"], amount)
            held[f"{key} again" if key in held else key] = Transaction(item["invoice_id"], item["status"], amount)
        return held

    async def _entitled(self, account_id: str, badge: Bearer) -> Entitled:
        found = await self.shown(account_id, badge)
        by_plan = found["subscription"]
        streams = by_plan["limits"]["streams"] if by_plan and by_plan["access"] else 0
        return Entitled(streams, len(found["titles"]))


def refund_key(invoice_id: str, amount: object) -> str:
    """What a refund is known by on both sides: ours and the provider's have ids of their own."""
    return f"{invoice_id} refund of {amount}"


def _invoice(item: dict[str, Any]) -> Invoice:
    bill = Bill(item["reason"], item["status"], item["currency"], item["total_minor"], item["refunded_minor"])
    return Invoice(item["invoice_id"], bill, item["paid_minor"])
