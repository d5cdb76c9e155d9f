"""What of a session's CMCD never came, by the numbers that its players give what they send. Read from the Cassandra
table session_cmcd when it is asked: so what comes late closes its gap.
"""

from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, Field

from infra.cassandra import Row
from infra.settings import Settings
from query_api.authorization import SESSION_NOT_YOURS, check_session
from query_api.dependencies import EVERY_VIEW, From, Positions, ReadSettings, SessionId, Watcher
from query_api.drivers import Cql
from query_api.playback import TOPIC
from query_api.playback.record_gaps import Gaps
from query_api.playback.sessions import SESSION_UNKNOWN, session_unknown
from query_api.tables.asking import Asked, asked
from query_api.tables.table import Projected, Table

NUMBERS: Final = (
    "select said_ms, record_id, event_type, target, sid, sn, profile_id from session_cmcd"
    " where session_id = ? and (said_ms, record_id) > (?, ?) limit ?"
)
OWNER: Final = "select profile_id from session_timeline where session_id = ? limit 1"

EXAMPLE: Final[dict[str, object]] = {
    "items": [
        {
            "target": "default",
            "sid": "8e0c34b2-6f0b-4d0e-9d7c-0b1c2d3e4f50",
            "mode": "event",
            "records": 77,
            "restarts": 1,
            "missing_count": 3,
            "missing": [{"run": 0, "first": 4, "last": 5}, {"run": 1, "first": 12, "last": 12}],
        }
    ],
    "is_whole": True,
}


class Missing(BaseModel):
    """Numbers that never came, both ends included."""

    run: int = Field(description="from 0; a player that begins again at 0 begins a run")
    first: int
    last: int


class Numbered(BaseModel):
    """What one player's session sent to one collector."""

    target: str
    sid: str | None
    mode: str = Field(description="`event` or `request`: each is numbered by itself")
    records: int = Field(description="those with a number, resends counted once")
    restarts: int = Field(description="how often the player began again at 0")
    missing_count: int
    missing: list[Missing] = Field(description="at most so many stretches as the installation shows")


class CmcdGaps(BaseModel):
    """Every player's session at every collector; `is_whole`: no records were left out of the count for their number."""

    items: list[Numbered]
    is_whole: bool


TABLE: Final = Table(Numbered, name="cmcd-gaps")

routes = APIRouter(prefix="/v1/playback/sessions", tags=["playback"])


@routes.get(
    "/{session_id}/cmcd-gaps",
    response_model=CmcdGaps | Projected,
    responses=TABLE.replies(EXAMPLE, *EVERY_VIEW, SESSION_NOT_YOURS, SESSION_UNKNOWN),
)
async def read_cmcd_gaps(
    caller: Watcher,
    sources: From,
    settings: ReadSettings,
    session_id: SessionId,
    shown: Annotated[Asked, Depends(asked(TABLE))],
    positions: Positions,
) -> Response:
    """Which CMCD records of a session never came."""
    await sources.cassandra_checkpoint.reached(TOPIC, positions)
    found: defaultdict[tuple[str, str | None, str], Gaps] = defaultdict(Gaps)
    read = 0
    async with sources.cassandra.use() as cql:
        owner = await cql.rows(OWNER, session_id)
        if owner:
            check_session(caller, owner[0]["profile_id"])
        async for row in _rows(cql, session_id, settings):
            if not owner and not read:
                check_session(caller, row["profile_id"])
            read += 1
            if row["sn"] is not None:
                mode = "request" if row["event_type"].startswith("playback.PlaybackCmcdRequested") else "event"
                found[row["target"], row["sid"], mode].saw(row["sn"], row["said_ms"])
    if not owner and not read:
        raise session_unknown(session_id)
    most = settings.cmcd_gaps_max_ranges
    items = [_numbered(*whose, gaps, most) for whose, gaps in sorted(found.items(), key=lambda each: str(each[0]))]
    return shown.reply(CmcdGaps(items=items, is_whole=read < settings.cmcd_gaps_max_records))


async def _rows(cql: Cql, session_id: str, settings: Settings) -> AsyncIterator[Row]:
    """A session's records in the order of their players' clocks, as many as are looked at."""
    place: tuple[int, str] = (-1, "")
    left = settings.cmcd_gaps_max_records
    while left > 0:
        rows = await cql.rows(NUMBERS, session_id, *place, min(left, settings.cmcd_gaps_batch_rows))
        for row in rows:
            yield row
        if len(rows) < settings.cmcd_gaps_batch_rows:
            return
        left -= len(rows)
        place = rows[-1]["said_ms"], rows[-1]["record_id"]


def _numbered(target: str, sid: str | None, mode: str, gaps: Gaps, most: int) -> Numbered:
    return Numbered(
        target=target,
        sid=sid,
        mode=mode,
        records=sum(len(run.numbers) for run in gaps.runs),
        restarts=gaps.restarts,
        missing_count=gaps.missing,
        missing=[Missing(run=each.run, first=each.first, last=each.last) for each in gaps.ranges(most)],
    )
