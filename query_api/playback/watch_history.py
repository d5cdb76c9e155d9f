"""Watch history: what a profile played, newest first. Cassandra table watch_history, a partition for each month."""

from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec
from fastapi import APIRouter
from pydantic import BaseModel, Field

from infra.cassandra import Row
from infra.clock import utc_now
from infra.http.openapi import replies
from infra.settings import Settings
from query_api.dependencies import (
    EVERY_PAGE,
    EVERY_PROFILE_VIEW,
    From,
    OwnProfile,
    Page,
    Positions,
    ReadSettings,
)
from query_api.drivers import Cql
from query_api.paging import Listing, scope_of
from query_api.playback import TOPIC
from query_api.playback.continue_watching import progress_of
from query_api.times import as_utc

FIRST_OF_MONTH: Final = "select * from watch_history where profile_id = ? and month = ? limit ?"
SAME_MOMENT: Final = (
    "select * from watch_history where profile_id = ? and month = ? and started_at = ? and session_id > ? limit ?"
)
EARLIER: Final = "select * from watch_history where profile_id = ? and month = ? and started_at < ? limit ?"

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


routes = APIRouter(tags=["playback"])


@routes.get(
    "/v1/profiles/{profile_id}/watch-history",
    responses=replies({"items": [EXAMPLE], "next_cursor": None}, *EVERY_PROFILE_VIEW, *EVERY_PAGE),
)
async def read_watch_history(
    profile_id: OwnProfile,
    sources: From,
    settings: ReadSettings,
    page: Page,
    positions: Positions,
) -> WatchHistory:
    """What this profile played, newest first, as far back as history is kept."""
    listing = Listing(sources.cursors, scope_of("watch_history", profile_id), AfterWatched)
    months = kept_months(utc_now(), settings)
    after = listing.after(page.cursor) or AfterWatched(months[0])
    await sources.cassandra_checkpoint.reached(TOPIC, positions)
    async with sources.cassandra.use() as cql:
        rows, next_month = await _read(cql, profile_id, after, months, page.limit + 1, settings.history_months_per_read)
    shown, next_cursor = listing.page(rows, page.limit, _after)
    if next_cursor is None and next_month is not None:
        next_cursor = listing.cursor(AfterWatched(next_month))
    return WatchHistory(items=[_watched(row) for row in shown], next_cursor=next_cursor)


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


def _watched(row: Row) -> Watched:
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
