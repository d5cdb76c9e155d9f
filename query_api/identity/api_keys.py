"""API keys, newest first: what servers and dashboards may do, and when they last did. Postgres table identity_api_keys;
the keys themselves are not kept.
"""

from datetime import datetime
from typing import Annotated, Final

import asyncpg
import msgspec
from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, Field

from infra.access.authentication import Needs
from infra.access.permissions import Principal, Scope
from query_api.dependencies import EVERY_PAGE, EVERY_VIEW, AskedPage, From, Positions
from query_api.identity import TOPIC
from query_api.paging import Listing, scope_of
from query_api.tables.asking import AskedPages, asked_pages
from query_api.tables.table import Projected, Table

API_KEYS: Final = """
    select k.*, s.last_used_at from identity_api_keys as k left join identity_api_key_secrets as s using (api_key_id)
    where (k.issued_at, k.api_key_id) < (coalesce($1, 'infinity'::timestamptz), coalesce($2, ''))
    order by k.issued_at desc, k.api_key_id desc limit $3
"""

EXAMPLE: Final = {
    "api_key_id": "01992d9e-7c1a-7c3e-9d1b-5f0c6a1b2c41",
    "name": "Grafana",
    "scopes": ["operations:read", "playback:read"],
    "issued_at": "2026-01-31T09:30:00Z",
    "issued_by": "operator-1",
    "expires_at": "2027-01-31T09:30:00Z",
    "revoked_at": None,
    "last_used_at": "2026-02-03T21:40:00Z",
}


class ApiKey(BaseModel):
    """A key of a server or a dashboard. `issued_by`: the principal."""

    api_key_id: str
    name: str
    scopes: list[str]
    issued_at: datetime
    issued_by: str | None
    expires_at: datetime | None = Field(description="null: never")
    revoked_at: datetime | None
    last_used_at: datetime | None = Field(description="about when; null: never")


class ApiKeyPage(BaseModel):
    """API keys, newest first; `next_cursor` is null at the end."""

    items: list[ApiKey]
    next_cursor: str | None


class AfterApiKey(msgspec.Struct):
    """The last key of a page."""

    issued_at: datetime
    api_key_id: str


Keeper = Annotated[Principal, Depends(Needs(Scope.API_KEYS_WRITE, Scope.OPERATIONS_READ))]

TABLE: Final = Table(ApiKey, name="api-keys")

routes = APIRouter(prefix="/v1/api-keys", tags=["operations"])


@routes.get(
    "",
    response_model=ApiKeyPage | Projected,
    responses=TABLE.replies({"items": [EXAMPLE], "next_cursor": None}, *EVERY_VIEW, *EVERY_PAGE),
)
async def read_api_keys(
    caller: Keeper, sources: From, asked: Annotated[AskedPages, Depends(asked_pages(TABLE))], positions: Positions
) -> Response:
    """Every API key that was issued, revoked ones among them."""
    listing = Listing(sources.cursors, scope_of("api_keys"), AfterApiKey)

    async def read(page: AskedPage) -> ApiKeyPage:
        after = listing.after(page.cursor)
        place = (after.issued_at, after.api_key_id) if after else (None, None)
        async with sources.postgres_as(caller) as connection:
            rows = await connection.fetch(API_KEYS, *place, page.limit + 1)
        shown, next_cursor = listing.page(rows, page.limit, _after)
        return ApiKeyPage(items=[_api_key(row) for row in shown], next_cursor=next_cursor)

    await sources.postgres_checkpoint.reached(TOPIC, positions)
    return await asked.read(read)


def _after(row: asyncpg.Record) -> AfterApiKey:
    return AfterApiKey(row["issued_at"], row["api_key_id"])


def _api_key(row: asyncpg.Record) -> ApiKey:
    return ApiKey.model_validate({**row, "scopes": msgspec.json.decode(row["scopes"])})
