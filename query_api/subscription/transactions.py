"""What the payment provider took, declined and gave back, newest first. Postgres table subscription_transactions."""

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
from query_api.tables.asking import AskedPages, asked_pages
from query_api.tables.table import Projected, Table

TRANSACTIONS: Final = """
    select * from subscription_transactions
    where account_id = $1
      and (at, transaction_id) < (coalesce($2, 'infinity'::timestamptz), coalesce($3, ''))
    order by at desc, transaction_id desc limit $4
"""

EXAMPLE: Final = {
    "transaction_id": "ch_51b0c3e29d",
    "invoice_id": "account-household-1.1",
    "kind": "charge",
    "status": "succeeded",
    "currency": "EUR",
    "amount_minor": 1090,
    "code": None,
    "reason": None,
    "at": "2026-01-31T09:30:02Z",
    "settled_at": "2026-01-31T09:30:02Z",
}


class Transaction(BaseModel):
    """A charge, or a refund. A declined charge has a code and no amount: nothing moved."""

    transaction_id: str
    invoice_id: str
    kind: str
    status: str
    currency: str | None
    amount_minor: int | None
    code: str | None
    reason: str | None
    at: datetime
    settled_at: datetime | None


class TransactionPage(BaseModel):
    """Transactions, newest first; `next_cursor` is null at the end."""

    items: list[Transaction]
    next_cursor: str | None


class AfterTransaction(msgspec.Struct):
    """The last transaction of a page."""

    at: datetime
    transaction_id: str


TABLE: Final = Table(Transaction, name="transactions")

routes = APIRouter(prefix="/v1/accounts/{account_id}/transactions", tags=["subscriptions"])


@routes.get(
    "",
    response_model=TransactionPage | Projected,
    responses=TABLE.replies({"items": [EXAMPLE], "next_cursor": None}, *EVERY_ACCOUNT_VIEW, *EVERY_PAGE),
)
async def read_transactions(
    caller: Payer,
    account_id: OwnAccount,
    sources: From,
    asked: Annotated[AskedPages, Depends(asked_pages(TABLE))],
    positions: Positions,
) -> Response:
    """The account's charges and refunds."""
    listing = Listing(sources.cursors, scope_of("transactions", account_id), AfterTransaction)

    async def read(page: AskedPage) -> TransactionPage:
        after = listing.after(page.cursor)
        place = (after.at, after.transaction_id) if after else (None, None)
        async with sources.postgres_as(caller) as connection:
            rows = await connection.fetch(TRANSACTIONS, account_id, *place, page.limit + 1)
        shown, next_cursor = listing.page(rows, page.limit, _after)
        return TransactionPage(items=[Transaction.model_validate(dict(row)) for row in shown], next_cursor=next_cursor)

    await sources.postgres_checkpoint.reached(TOPIC, positions)
    return await asked.read(read)


def _after(row: asyncpg.Record) -> AfterTransaction:
    return AfterTransaction(row["at"], row["transaction_id"])
