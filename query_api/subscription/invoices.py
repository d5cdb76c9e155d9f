"""An account's invoices, newest first. Postgres table subscription_invoices."""

from datetime import datetime
from typing import Annotated, Final

import asyncpg
import msgspec
from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel

from query_api.dependencies import EVERY_PAGE, AskedPage, From, Positions
from query_api.paging import Listing, scope_of
from query_api.subscription import TOPIC
from query_api.subscription.access import EVERY_ACCOUNT_VIEW, OwnAccount, Payer
from query_api.subscription.plans import MONEY_EXAMPLE, Money
from query_api.tables.asking import AskedPages, asked_pages
from query_api.tables.table import Projected, Table

INVOICES: Final = """
    select * from subscription_invoices
    where account_id = $1
      and (issued_at, invoice_id) < (coalesce($2, 'infinity'::timestamptz), coalesce($3, ''))
    order by issued_at desc, invoice_id desc limit $4
"""

EXAMPLE: Final = {
    "invoice_id": "account-household-1.1",
    "purchase_id": None,
    "reason": "first",
    "status": "paid",
    "lines": [{"kind": "plan", "description": "Standard", "amount": MONEY_EXAMPLE}],
    "currency": "EUR",
    "total_minor": 1090,
    "carried_minor": 0,
    "paid_minor": 1090,
    "refunded_minor": 0,
    "period_starts_at": "2026-01-31T09:30:00Z",
    "period_ends_at": "2026-02-28T09:30:00Z",
    "issued_at": "2026-01-31T09:30:00Z",
    "due_at": "2026-01-31T09:30:00Z",
    "attempts": 1,
    "retry_at": None,
    "failure_code": None,
    "settled_at": "2026-01-31T09:30:02Z",
    "void_reason": None,
}


class InvoiceLine(BaseModel):
    """A part of an invoice. plan, purchase and carried add to the total; discount, unused and balance lessen it."""

    kind: str
    description: str
    amount: Money


class Invoice(BaseModel):
    """What was owed, and how it went. `carried_minor`: credit that is left for later invoices."""

    invoice_id: str
    purchase_id: str | None
    reason: str
    status: str
    lines: list[InvoiceLine]
    currency: str
    total_minor: int
    carried_minor: int
    paid_minor: int
    refunded_minor: int
    period_starts_at: datetime | None
    period_ends_at: datetime | None
    issued_at: datetime
    due_at: datetime
    attempts: int
    retry_at: datetime | None
    failure_code: str | None
    settled_at: datetime | None
    void_reason: str | None


class InvoicePage(BaseModel):
    """Invoices, newest first; `next_cursor` is null at the end."""

    items: list[Invoice]
    next_cursor: str | None


class AfterInvoice(msgspec.Struct):
    """The last invoice of a page."""

    issued_at: datetime
    invoice_id: str


TABLE: Final = Table(Invoice, name="invoices")

routes = APIRouter(prefix="/v1/accounts/{account_id}/invoices", tags=["subscriptions"])


@routes.get(
    "",
    response_model=InvoicePage | Projected,
    responses=TABLE.replies({"items": [EXAMPLE], "next_cursor": None}, *EVERY_ACCOUNT_VIEW, *EVERY_PAGE),
)
async def read_invoices(
    caller: Payer,
    account_id: OwnAccount,
    sources: From,
    asked: Annotated[AskedPages, Depends(asked_pages(TABLE))],
    positions: Positions,
) -> Response:
    """What the account owed and owes, for its subscriptions and purchases."""
    listing = Listing(sources.cursors, scope_of("invoices", account_id), AfterInvoice)

    async def read(page: AskedPage) -> InvoicePage:
        after = listing.after(page.cursor)
        place = (after.issued_at, after.invoice_id) if after else (None, None)
        async with sources.postgres_as(caller) as connection:
            rows = await connection.fetch(INVOICES, account_id, *place, page.limit + 1)
        shown, next_cursor = listing.page(rows, page.limit, _after)
        return InvoicePage(items=[_invoice(row) for row in shown], next_cursor=next_cursor)

    await sources.postgres_checkpoint.reached(TOPIC, positions)
    return await asked.read(read)


def _after(row: asyncpg.Record) -> AfterInvoice:
    return AfterInvoice(row["issued_at"], row["invoice_id"])


def _invoice(row: asyncpg.Record) -> Invoice:
    return Invoice.model_validate({**row, "lines": msgspec.json.decode(row["lines"])})
