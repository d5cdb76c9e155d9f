"""Watch history: what a profile played, newest first. Cassandra table watch_history, a partition for each month,
without what its viewer took out of it (table watch_history_removed); of one title, Postgres table playback_sessions.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

import asyncpg
import msgspec
from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, Field

from infra.cassandra import Row
from infra.clock import utc_now
from infra.positions import Position
from infra.settings import Settings
from query_api.dependencies import (
    EVERY_PAGE,
    EVERY_PROFILE_VIEW,
    ID_MAX_CHARS,
    ID_PATTERN,
    AskedPage,
    From,
    OwnProfile,
    Positions,
    ReadSettings,
    Watcher,
)
from query_api.drivers import Cql
from query_api.paging import Listing, scope_of
from query_api.playback import TOPIC
from query_api.playback.continue_watching_rows import progress_of
from query_api.sources import Sources
from query_api.tables.asking import AskedPages, asked_pages
from query_api.tables.table import Projected, Table
from query_api.times import as_utc

REMOVED_MAX_ROWS: Final = 1_000
"""Between two rows of a page; as many as a page has, unless sessions began at the same moment."""
FIRST_OF_MONTH: Final = "select * from watch_history where profile_id = ? and month = ? limit ?"
SAME_MOMENT: Final = (
    "select * from watch_history where profile_id = ? and month = ? and started_at = ? and session_id > ? limit ?"
)
EARLIER: Final = "select * from watch_history where profile_id = ? and month = ? and started_at < ? limit ?"

REMOVED: Final = (
    "select started_at, session_id from watch_history_removed"
    " where profile_id = ? and month = ? and started_at >= ? and started_at <= ? limit ?"
)
OF_TITLE: Final = """
    select p.session_id, p.started_at, p.last_at, p.title_id, p.title_kind, p.title_name, p.series_id, p.series_name,
        p.season_number, p.episode_number, p.position_ms, p.duration_ms, p.device_id, p.device_type,
        p.exit_reason is not distinct from 'completed'
            or p.position_ms >= coalesce(p.credits_start_ms, p.duration_ms * $3::float8) as completed
    from playback_sessions as p
    where p.profile_id = $1 and (p.title_id = $2 or p.series_id = $2) and p.removed_at is null
      and ($4::timestamptz is null or p.started_at < $4 or (p.started_at = $4 and p.session_id > $5))
    order by p.started_at desc, p.session_id limit $6
"""

EXAMPLE: Final = {
    "session_id": "01992d9e-7c1a-7c3e-9d1b-5f0c6a1b2c3d",
    "started_at": "2026-01-01T20:05:30Z",
    "last_at": "2026-01-01T20:15:30Z",
    "title_id": "made-up-s1e1",
    "title_kind": "episode",
    "title_name": "The First Evening",
    "series_id": "made-up",
    "series_name": "Made Up",
    "season_number": 1,
    "episode_number": 1,
    "position_ms": 600_000,
    "duration_ms": 1_500_000,
    "progress": 0.4,
    "completed": False,
    "device_id": "tv-1",
    "device_type": "tv",
}


class Watched(BaseModel):
    """One session of a profile: what it played, and where it left off."""

    session_id: str
    started_at: datetime
    last_at: datetime
    title_id: str
    title_kind: str
    title_name: str
    series_id: str | None
    series_name: str | None
    season_number: int | None
    episode_number: int | None
    position_ms: int
    duration_ms: int
    progress: float = Field(ge=0, le=1, description="position_ms / duration_ms")
    completed: bool
    device_id: str | None
    device_type: str | None


class WatchHistory(BaseModel):
    """Sessions, newest first. A page may be short, even empty, while `next_cursor` leads on; null is the end."""

    items: list[Watched]
    next_cursor: str | None


class AfterWatched(msgspec.Struct):
    """Where the next page begins: after a session of a month, or at the month's beginning."""

    month: str
    started_at: datetime | None = None
    session_id: str = ""


TABLE: Final = Table(Watched, name="watch-history")


class AskedHistory:
    """Which pages of a profile's history a request wants, and of which title."""

    def __init__(
        self,
        caller: Watcher,
        pages: Annotated[AskedPages, Depends(asked_pages(TABLE))],
        title: Annotated[
            str | None,
            Query(
                min_length=1,
                max_length=ID_MAX_CHARS,
                pattern=ID_PATTERN,
                description="Only this title, or series",
                examples=["made-up"],
            ),
        ] = None,
    ) -> None:
        self.caller = caller
        self.pages = pages
        self.title = title


class AfterPlayed(msgspec.Struct):
    """The last session of a page of one title's."""

    started_at: datetime | None = None
    session_id: str = ""


routes = APIRouter(tags=["playback"])


@routes.get(
    "/v1/profiles/{profile_id}/watch-history",
    response_model=WatchHistory | Projected,
    responses=TABLE.replies({"items": [EXAMPLE], "next_cursor": None}, *EVERY_PROFILE_VIEW, *EVERY_PAGE),
)
async def read_watch_history(
    profile_id: OwnProfile,
    asked: Annotated[AskedHistory, Depends()],
    sources: From,
    settings: ReadSettings,
    positions: Positions,
) -> Response:
    """What this profile played, newest first, as far back as history is kept; of one title or series, if asked."""
    if asked.title is not None:
        return await _of_title(sources, settings, profile_id, asked, positions)
    listing = Listing(sources.cursors, scope_of("watch_history", profile_id), AfterWatched)
    months = kept_months(utc_now(), settings)
    most = settings.history_months_per_read

    async def read(page: AskedPage) -> WatchHistory:
        after = listing.after(page.cursor) or AfterWatched(months[0])
        async with sources.cassandra.use() as cql:
            rows, next_month = await _read(cql, profile_id, after, months, page.limit + 1, most)
            shown, next_cursor = listing.page(rows, page.limit, _after)
            removed = await _removed(cql, profile_id, shown)
        if next_cursor is None and next_month is not None:
            next_cursor = listing.cursor(AfterWatched(next_month))
        items = [_watched(row) for row in shown if row["session_id"] not in removed]
        return WatchHistory(items=items, next_cursor=next_cursor)

    await sources.cassandra_checkpoint.reached(TOPIC, positions)
    return await asked.pages.read(read)


async def _of_title(
    sources: Sources, settings: Settings, profile_id: str, asked: AskedHistory, positions: Sequence[Position]
) -> Response:
    listing = Listing(sources.cursors, scope_of("watch_history", profile_id, asked.title), AfterPlayed)

    async def read(page: AskedPage) -> WatchHistory:
        after = listing.after(page.cursor) or AfterPlayed()
        place = (after.started_at, after.session_id, page.limit + 1)
        async with sources.postgres_as(asked.caller) as connection:
            rows = await connection.fetch(OF_TITLE, profile_id, asked.title, settings.complete_at_ratio, *place)
        shown, next_cursor = listing.page(rows, page.limit, _after_played)
        return WatchHistory(items=[_watched(row) for row in shown], next_cursor=next_cursor)

    await sources.postgres_checkpoint.reached(TOPIC, positions)
    return await asked.pages.read(read)


async def history_of(cql: Cql, profile_id: str, month: str, page_rows: int) -> list[dict[str, object]]:
    """All sessions of a month; `removed` of those that their viewer took out of their history."""
    found: list[dict[str, object]] = []
    after: AfterWatched | None = AfterWatched(month)
    while after is not None:
        rows = await _read_month(cql, profile_id, after, page_rows)
        removed = await _removed(cql, profile_id, rows)
        found += [{**_watched(row).model_dump(mode="json"), "removed": row["session_id"] in removed} for row in rows]
        after = _after(rows[-1]) if len(rows) == page_rows else None
    return found


async def _removed(cql: Cql, profile_id: str, rows: Sequence[Row]) -> set[str]:
    """Which sessions among some rows of history, newest first, its viewer took out of it."""
    months: dict[str, list[datetime]] = {}
    for row in rows:
        months.setdefault(row["month"], []).append(as_utc(row["started_at"]))
    reads = [
        cql.rows(REMOVED, profile_id, month, min(starts), max(starts), REMOVED_MAX_ROWS)
        for month, starts in months.items()
    ]
    return {row["session_id"] for found in await asyncio.gather(*reads) for row in found}


def kept_months(now: datetime, settings: Settings) -> list[str]:
    """The months that can hold rows, newest first, as YYYY-MM in UTC."""
    oldest = month_of(now - timedelta(days=settings.history_ttl_days))
    first = now.replace(day=1)
    months = [month_of(first)]
    while months[-1] > oldest:
        first = (first - timedelta(days=1)).replace(day=1)
        months.append(month_of(first))
    return months


def month_of(moment: datetime) -> str:
    """The month of a moment, as the table's partitions name it."""
    return f"{moment.astimezone(UTC):%Y-%m}"


async def _read(
    cql: Cql, profile_id: str, after: AfterWatched, months: list[str], wanted: int, most_months: int
) -> tuple[list[Row], str | None]:
    """Up to `wanted` rows of at most `most_months` months, and the month where reading stopped short, if it did."""
    rows: list[Row] = []
    left = [month for month in months if month <= after.month]
    for month in left[:most_months]:
        place = after if month == after.month else AfterWatched(month)
        rows += await _read_month(cql, profile_id, place, wanted - len(rows))
        if len(rows) >= wanted:
            return rows, None
    return rows, left[most_months] if len(left) > most_months else None


async def _read_month(cql: Cql, profile_id: str, after: AfterWatched, wanted: int) -> list[Row]:
    if after.started_at is None:
        return await cql.rows(FIRST_OF_MONTH, profile_id, after.month, wanted)
    place = (profile_id, after.month, after.started_at)
    rows = await cql.rows(SAME_MOMENT, *place, after.session_id, wanted)
    if len(rows) < wanted:
        rows += await cql.rows(EARLIER, *place, wanted - len(rows))
    return rows


def _after(row: Row) -> AfterWatched:
    return AfterWatched(row["month"], as_utc(row["started_at"]), row["session_id"])


def _after_played(row: asyncpg.Record) -> AfterPlayed:
    return AfterPlayed(row["started_at"], row["session_id"])


def _watched(row: Row | asyncpg.Record) -> Watched:
    started_at, last_at = as_utc(row["started_at"]), as_utc(row["last_at"] or row["started_at"])
    position_ms = row["position_ms"] or 0  # a session that was granted and has not reported yet
    facts = {
        "started_at": started_at,
        "last_at": last_at,
        "position_ms": position_ms,
        "progress": progress_of(position_ms, row["duration_ms"]),
        "completed": bool(row["completed"]),  # written as true, never as false
    }
    return Watched.model_validate({**row, **facts})
