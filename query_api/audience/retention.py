"""How far into a title its viewers come, and where they leave. Postgres table title_retention_by_day."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, Field

from infra.access.authentication import Needs
from infra.access.permissions import Scope
from query_api.audience import TOPIC
from query_api.audience.ranges import Range, asked_days
from query_api.caching.declared import Kept, Turn, kept
from query_api.catalog import TOPIC as CATALOG
from query_api.catalog.unknown import TITLE_UNKNOWN, TitleUnknown
from query_api.dependencies import EVERY_VIEW, From, Positions, TitleId
from query_api.tables.asking import Asked, asked
from query_api.tables.table import Projected, Table

POINTS: Final = 100
"""As many as projections/playback/title_retention.py counts."""
MOST_DROP_OFFS: Final = 5

DURATION: Final = "select duration_ms from catalog_titles where title_id = $1"
CURVES: Final = """
    select starts, retention, drop_off from title_retention_by_day where title_id = $1 and day >= $2 and day < $3
"""

EXAMPLE: Final[dict[str, Any]] = {
    "title_id": "made-up-s1e1",
    "from": "2026-01-01T00:00:00Z",
    "to": "2026-01-08T00:00:00Z",
    "starts": 1_204,
    "curve": [
        {"percent": 0, "position_ms": 0, "watched": 1_190, "share": 0.9884, "left": 96},
        {"percent": 1, "position_ms": 15_000, "watched": 1_094, "share": 0.9086, "left": 12},
    ],
    "drop_offs": [{"percent": 1, "position_ms": 15_000, "fall": 0.0797, "left": 12}],
}

_curve = msgspec.json.Decoder(tuple[int, ...])


class Point(BaseModel):
    """A percent of a title, which begins at `position_ms` (null: the catalog has no duration). `watched`: starts that
    saw its middle, `share` of all; `left`: those that were over within it, not completed.
    """

    percent: int
    position_ms: int | None
    watched: int
    share: float | None
    left: int


class DropOff(BaseModel):
    """Where the share fell most, from the percent before to this one; `left`: who was over within this one."""

    percent: int
    position_ms: int | None
    fall: float
    left: int


class Retention(BaseModel):
    """The curve of a title, and its largest falls, the largest first."""

    title_id: str
    begin: datetime = Field(serialization_alias="from")
    end: datetime = Field(serialization_alias="to")
    starts: int
    curve: list[Point]
    drop_offs: list[DropOff]


TABLE: Final = Table(Point, name="retention", rows="curve")

routes = APIRouter(tags=["audience"], dependencies=[Depends(Needs(Scope.PLAYBACK_READ))])


@routes.get(
    "/v1/titles/{title_id}/retention",
    response_model=Retention | Projected,
    responses=TABLE.replies(EXAMPLE, *EVERY_VIEW, TITLE_UNKNOWN),
)
@kept(Kept((TOPIC, CATALOG), (Turn.HOUR,), timeless_with="to"))
async def read_retention(
    title_id: TitleId,
    sources: From,
    positions: Positions,
    days: Annotated[Range, Depends(asked_days)],
    shown: Annotated[Asked, Depends(asked(TABLE))],
) -> Response:
    """Which share of the sessions that started on these days, UTC, watched each percent of a title."""
    await sources.postgres_checkpoint.reached(TOPIC, positions)
    async with sources.postgres.use() as pool:
        title = await pool.fetchrow(DURATION, title_id)
        if title is None:
            raise TitleUnknown(f"The catalog has no title {title_id!r}.")
        rows = await pool.fetch(CURVES, title_id, *days)
    starts = sum(row["starts"] for row in rows)
    watched, left = (added(_curve.decode(row[name]) for row in rows) for name in ("retention", "drop_off"))
    curve = points(watched, left, starts, title["duration_ms"])
    return shown.reply(
        Retention(
            title_id=title_id, begin=days.begin, end=days.end, starts=starts, curve=curve, drop_offs=drop_offs(curve)
        )
    )


def added(curves: Iterable[Sequence[int]]) -> list[int]:
    """Curves added up, point by point."""
    return [sum(counts) for counts in zip([0] * POINTS, *curves, strict=True)]


def points(watched: Sequence[int], left: Sequence[int], starts: int, duration_ms: int | None) -> list[Point]:
    """The curve."""
    return [
        Point(
            percent=percent,
            position_ms=None if duration_ms is None else duration_ms * percent // POINTS,
            watched=seen,
            share=round(seen / starts, 4) if starts else None,
            left=gone,
        )
        for percent, (seen, gone) in enumerate(zip(watched, left, strict=True))
    ]


def drop_offs(curve: Sequence[Point]) -> list[DropOff]:
    """The largest falls of a curve from one percent to the next; of equal ones the first."""
    falls = [
        DropOff(
            percent=after.percent,
            position_ms=after.position_ms,
            fall=round((before.share or 0) - (after.share or 0), 4),
            left=after.left,
        )
        for before, after in pairwise(curve)
        if before.watched > after.watched
    ]
    return sorted(falls, key=lambda one: (-one.fall, one.percent))[:MOST_DROP_OFFS]
