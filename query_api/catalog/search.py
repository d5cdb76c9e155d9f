"""Search: what can be played now under a name or a person, typed in English or Korean. Postgres tables catalog_search,
catalog_windows and catalog_titles; see ranking.py for what is found and in which order.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Depends, Response
from fastapi import Query as QueryParameter
from pydantic import BaseModel

from infra.clock import utc_now
from infra.postgres import Pool
from infra.search_text import BEGINS, MAX_WHOLE, WHOLE, WORD, beginning_token, initials_tokens, keyed, pair_tokens
from infra.settings import Settings
from query_api.caching.declared import Kept, Turn, kept
from query_api.catalog import TOPIC
from query_api.catalog.cards import CARD_EXAMPLE, COLUMNS, FROM, IN_LANGUAGES, Card, TitleCard, card_of
from query_api.catalog.locales import Languages
from query_api.catalog.ranking import Candidate, Entry, Query, ranked, ranked_alike
from query_api.dependencies import EVERY_VIEW, READER, From, Limit, Positions
from query_api.tables import asking
from query_api.tables.table import Projected, Table

QUERY_MAX_CHARS: Final = 100

MATCHING: Final = "select * from catalog_search_matching($1, $2, $3, $4)"
ALIKE: Final = "select * from catalog_search_alike($1, $2, $3, $4)"
CARDS: Final = f"""
    select {COLUMNS} from unnest($1::text[]) with ordinality as wanted(title_id, place)
    join ({FROM}) on t.title_id = wanted.title_id where t.status = 'published' order by wanted.place
"""

EXAMPLE: Final = {"items": [CARD_EXAMPLE]}


class SearchModel(BaseModel):
    """What was found, the best match first."""

    items: list[TitleCard]


class Found(msgspec.Struct):
    """See SearchModel."""

    items: list[Card]


_entries = msgspec.json.Decoder(tuple[Entry, ...])


class Asked:
    """What a request looks for, where, and in which languages it wants to see it."""

    def __init__(
        self,
        locales: Languages,
        q: Annotated[
            str,
            QueryParameter(
                min_length=1, max_length=QUERY_MAX_CHARS, description="What was typed", examples=["first eve"]
            ),
        ],
        territory: Annotated[
            str | None,
            QueryParameter(
                pattern="^[A-Z]{2}$", description="ISO 3166-1 alpha-2; left out: playable anywhere", examples=["KR"]
            ),
        ] = None,
    ) -> None:
        self.locales = locales
        self.query = Query.of(q)
        self.territory = territory


class Reading:
    """One search in Postgres: of what can be played in a territory at a time."""

    def __init__(self, pool: Pool, settings: Settings, territory: str | None, now: datetime) -> None:
        self._pool = pool
        self._timeout_s = settings.search_timeout_s
        self._playable = (territory, now, settings.search_candidates)

    async def found(self, query: Query) -> list[str]:
        """The titles that match what was typed, the best first."""
        return ranked(query, await self._candidates(query))

    async def alike(self, query: Query) -> list[str]:
        """The titles that match if it was mistyped, the best first."""
        candidates = await self._fetch(ALIKE, keyed(query.words))
        if query.other_layout is not None:
            candidates += await self._candidates(query.other_layout)
        return ranked_alike(query, {one.title_id: one for one in candidates}.values())

    async def _candidates(self, query: Query) -> list[Candidate]:
        return await self._fetch(MATCHING, msgspec.json.encode(list(ways_of(query))).decode())

    async def _fetch(self, sql: str, wanted: str) -> list[Candidate]:
        """The candidates, each once."""
        rows = await self._pool.fetch(sql, wanted, *self._playable, timeout=self._timeout_s)
        by_id = {row["title_id"]: row for row in rows}
        return [
            Candidate(title_id, row["published_at"], _entries.decode(row["entries"])) for title_id, row in by_id.items()
        ]


def ways_of(query: Query) -> Iterator[list[str]]:
    """The tokens that a title must have, for each way in which it can match: see ranking.Level."""
    yield [WHOLE + query.whole[:MAX_WHOLE]]
    yield [beginning_token(BEGINS, query.whole)]
    if len(query.letters) > 1:  # one letter finds only what begins with it, as it begins words of most names
        yield [beginning_token(WORD, word) for word in query.words]
    if query.is_inside:
        yield list(pair_tokens(query.whole))
    if query.initials is not None:
        yield list(initials_tokens(query.initials))


TABLE: Final = Table(TitleCard, name="found")

routes = APIRouter(prefix="/v1/catalog", tags=["catalog"], dependencies=[READER])


@routes.get("/search", response_model=SearchModel | Projected, responses=TABLE.replies(EXAMPLE, *EVERY_VIEW))
@kept(Kept((TOPIC,), (Turn.WINDOWS,), shared=True))
async def search(
    sources: From,
    shown: Annotated[asking.Asked, Depends(asking.asked(TABLE))],
    limit: Limit,
    positions: Positions,
    asked: Annotated[Asked, Depends()],
) -> Response:
    """What can be played now and matches what was typed, the best first: names in every language, and people."""
    await sources.postgres_checkpoint.reached(TOPIC, positions)
    if not asked.query.words:
        return shown.reply(Found([]), IN_LANGUAGES)
    async with sources.postgres.use() as pool:
        reading = Reading(pool, shown.settings, asked.territory, utc_now())
        title_ids = await reading.found(asked.query) or await reading.alike(asked.query)
        cards = await pool.fetch(CARDS, title_ids[:limit]) if title_ids else []
    return shown.reply(Found([card_of(row, asked.locales) for row in cards]), IN_LANGUAGES)
