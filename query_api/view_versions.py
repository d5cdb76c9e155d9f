"""The versions of the views, for operators: which is live, what is being built beside it, how far it is and
until when. What changes them is `playhead views`, and what is asked of the commands API (view_requests.py).
"""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

import asyncpg
import msgspec
from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel

from query_api.dependencies import EVERY_READ, From, Operator
from query_api.tables.asking import Asked, asked
from query_api.tables.table import Projected, Table

VERSIONS: Final = """
    select store, view, version, state, keeper, folds, created_at, ready_at, swapped_at, worked_at, records_done,
           records_total, records_set_aside, records_per_s, paused, max_events_per_s, waits, verified, last_error,
           cut->>'asked' as as_of
    from view_versions where state <> 'retired' order by view, version limit $1
"""
MOST: Final = 1_000

EXAMPLE: Final = {
    "store": "postgres",
    "view": "playback_sessions",
    "version": 2,
    "state": "building",
    "keeper": "rebuild",
    "folds": {"playback_sessions": 2},
    "created_at": "2026-01-01T20:15:30Z",
    "ready_at": None,
    "swapped_at": None,
    "worked_at": "2026-01-01T20:16:00Z",
    "records_done": 600_000,
    "records_total": 1_000_000,
    "records_set_aside": 0,
    "records_per_s": 20_000.0,
    "eta_s": 20.0,
    "paused": False,
    "max_events_per_s": None,
    "waits": None,
    "verified": None,
    "last_error": None,
    "as_of": None,
}


class Verified(BaseModel):
    """What comparing a version with the live one came to. `accepted`: it is equal, or somebody said it may differ."""

    at: datetime
    equal: bool
    accepted: bool


class ViewVersion(BaseModel):
    """A version of a view. `keeper`: who folds new events into it, the projection's workers or a rebuild. `folds`: by
    view, of which fold its rows are: those of the views that are added up of it too. `worked_at`: when its rebuild said
    something the last time; `waits`: for what it waits now; `records_set_aside`: could not be applied. `as_of`: where
    it stops, of one that is to be looked at and never to be live.
    """

    store: Literal["postgres", "redis", "cassandra"]
    view: str
    version: int
    state: Literal["building", "catching_up", "ready", "live", "inspecting", "inspection"]
    keeper: Literal["projection", "rebuild"]
    folds: dict[str, int]
    created_at: datetime
    ready_at: datetime | None
    swapped_at: datetime | None
    worked_at: datetime | None
    records_done: int
    records_total: int
    records_set_aside: int
    records_per_s: float | None
    eta_s: float | None
    paused: bool
    max_events_per_s: int | None
    waits: str | None
    verified: Verified | None
    last_error: str | None
    as_of: str | None


class ViewVersions(BaseModel):
    """Every version that is not retired, by view."""

    items: list[ViewVersion]


TABLE: Final = Table(ViewVersion, name="views")

routes = APIRouter(prefix="/v1/views", tags=["operations"])


@routes.get("", response_model=ViewVersions | Projected, responses=TABLE.replies({"items": [EXAMPLE]}, *EVERY_READ))
async def read_views(operator: Operator, sources: From, shown: Annotated[Asked, Depends(asked(TABLE))]) -> Response:
    """Which versions of each view there are, and how far what is being built is."""
    async with sources.postgres_as(operator) as connection:
        rows = await connection.fetch(VERSIONS, MOST)
    return shown.reply(ViewVersions(items=[_version(row) for row in rows]))


def _version(row: asyncpg.Record) -> ViewVersion:
    verified: dict[str, Any] | None = msgspec.json.decode(row["verified"] or "null")
    return ViewVersion.model_validate(
        {**row, "folds": msgspec.json.decode(row["folds"]), "verified": verified, "eta_s": eta_s(row)}
    )


def eta_s(row: asyncpg.Record) -> float | None:
    """Seconds until it is built, at its present pace."""
    if row["state"] not in ("building", "catching_up", "inspecting") or not row["records_per_s"]:
        return None
    left, pace = max(row["records_total"] - row["records_done"], 0), float(row["records_per_s"])
    remaining_s: float = round(left / pace, 1)
    return remaining_s
