"""Titles: lists by filters, and one title. Postgres tables catalog_titles and catalog_windows."""

from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel

from infra.access.permissions import Principal, Scope
from infra.clock import utc_now
from infra.http.openapi import replies
from query_api.caching.declared import Kept, Turn, kept
from query_api.catalog import TOPIC
from query_api.catalog.cards import CARD_EXAMPLE, IN_LANGUAGES, Card, TitleCard, card_of, reply
from query_api.catalog.filters import AskedFilters, Sort, listing, order_of
from query_api.catalog.locales import Languages
from query_api.catalog.title_page import EXAMPLE, TITLE, Title, title_page
from query_api.catalog.unknown import TITLE_UNKNOWN, TitleUnknown
from query_api.dependencies import EVERY_PAGE, EVERY_VIEW, READER, AskedPage, Caller, From, Positions, TitleId
from query_api.paging import Listing, scope_of
from query_api.tables.asking import AskedPages, asked_pages
from query_api.tables.table import Projected, Table

PUBLISHED: Final = "published"
SEE_EVERY_STATUS: Final = frozenset({Scope.CATALOG_WRITE, Scope.OPERATIONS_READ})
PAGE_EXAMPLE: Final = {"items": [CARD_EXAMPLE], "next_cursor": None}


class TitlePage(BaseModel):
    """Titles; `next_cursor` is null at the end."""

    items: list[TitleCard]
    next_cursor: str | None


class Cards(msgspec.Struct):
    """See TitlePage."""

    items: list[Card]
    next_cursor: str | None


def sees_every_status(caller: Principal) -> bool:
    """Whether a caller may read drafts, and what was withdrawn."""
    return not SEE_EVERY_STATUS.isdisjoint(caller.scopes)


TABLE: Final = Table(TitleCard, name="titles")

routes = APIRouter(prefix="/v1/catalog", tags=["catalog"], dependencies=[READER])


@routes.get(
    "/titles",
    response_model=TitlePage | Projected,
    responses=TABLE.replies(PAGE_EXAMPLE, *EVERY_VIEW, *EVERY_PAGE),
)
@kept(Kept((TOPIC,), (Turn.WINDOWS,), timeless_with="at", shared=True))
async def read_titles(
    sources: From,
    asked: Annotated[AskedPages, Depends(asked_pages(TABLE))],
    positions: Positions,
    filters: AskedFilters,
    locales: Languages,
    sort: Annotated[
        Sort, Query(description="name: in the first of the accepted languages", examples=["name"])
    ] = "newest",
) -> Response:
    """What is published, by filters; with a territory or a licence only what can be played there and so."""
    language = locales.language if sort == "name" else None
    order = order_of(sort, locales.language)
    pages = Listing(sources.cursors, scope_of("catalog_titles", sort, language, *filters.scope()), order.after_class)

    async def read(page: AskedPage) -> Cards:
        after = pages.after(page.cursor)
        sql, values = listing(filters, order, utc_now(), after=after, limit=page.limit + 1)
        async with sources.postgres.use() as pool:
            rows = await pool.fetch(sql, *values)
        shown, next_cursor = pages.page(rows, page.limit, order.after)
        return Cards([card_of(row, locales) for row in shown], next_cursor)

    await sources.postgres_checkpoint.reached(TOPIC, positions)
    return await asked.read(read, IN_LANGUAGES)


@routes.get("/titles/{title_id}", response_model=Title, responses=replies(EXAMPLE, *EVERY_VIEW, TITLE_UNKNOWN))
@kept(Kept((TOPIC,), of_caller=sees_every_status))
async def read_title(
    caller: Caller, sources: From, title_id: TitleId, positions: Positions, locales: Languages
) -> Response:
    """One title of any kind, in the first accepted language that it has a name in."""
    await sources.postgres_checkpoint.reached(TOPIC, positions)
    async with sources.postgres.use() as pool:
        row = await pool.fetchrow(TITLE, title_id)
    if row is None or not (row["status"] == PUBLISHED or sees_every_status(caller)):
        raise TitleUnknown(f"The catalog has no title {title_id!r}.")
    whole = title_page(row, locales)
    return reply(whole, whole.locale)
