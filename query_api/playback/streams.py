"""What an account is playing now, on which devices: the streams that its plan's limit is about. Postgres table
playback_sessions.

A reading of the view, for a screen. The exact list, for who was refused a stream, is in that refusal.
"""

from datetime import datetime, timedelta
from typing import Annotated, Final, NamedTuple

import asyncpg
from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, Field

from infra.access.permissions import Scope
from infra.clock import utc_now
from infra.person_keys import opened_by
from infra.personal_data import MasterKey, PersonKey
from infra.settings import Settings
from query_api.access import EVERY_ACCOUNT_VIEW, own_account
from query_api.dependencies import From, Master, Positions, ReadSettings, Watcher
from query_api.playback import TOPIC
from query_api.tables.asking import Asked, asked
from query_api.tables.table import Projected, Table

STREAMS: Final = """
    select session_id, profile_id, title_id, title_name, title_kind, series_name, device_id, device_type, device_name,
        started_at, state, position_ms, last_at, k.wrapped
    from playback_sessions as s left join person_key as k on k.person_id = s.account_id
    where account_id = $1 and exit_reason is null and not offline
      and case when state = 'paused' then moved_at > $3 else last_recorded_at > $2 end
    order by started_at desc, session_id limit $4
"""

EXAMPLE: Final = {
    "session_id": "01992d9e-7c1a-7c3e-9d1b-5f0c6a1b2c3d",
    "profile_id": "viewer-1",
    "title_id": "made-up-s1e1",
    "title_name": "The First Evening",
    "title_kind": "episode",
    "series_name": "Made Up",
    "device_id": "tv-1",
    "device_type": "tv",
    "device_name": "Den",
    "since": "2026-01-01T20:05:30Z",
    "state": "playing",
    "position_ms": 600_000,
    "last_at": "2026-01-01T20:15:30Z",
}


class Stream(BaseModel):
    """A session that plays, or was paused so lately that it keeps its place. `since`: when it was granted; `last_at`:
    its last event.
    """

    session_id: str
    profile_id: str
    title_id: str
    title_name: str
    title_kind: str
    series_name: str | None
    device_id: str
    device_type: str
    device_name: str | None = Field(description="null when it was erased, too")
    since: datetime
    state: str = Field(description="starting | playing | paused | buffering")
    position_ms: int
    last_at: datetime


class Streams(BaseModel):
    """The running streams of all profiles, the newest first. Downloads take no stream."""

    items: list[Stream]


OwnAccount = Annotated[str, Depends(own_account(Scope.WATCHING, Scope.PLAYBACK_READ))]


class _Opening(NamedTuple):
    settings: Settings
    master: MasterKey


async def _opening(settings: ReadSettings, master: Master) -> _Opening:
    return _Opening(settings, master)


Opening = Annotated[_Opening, Depends(_opening)]

TABLE: Final = Table(Stream, name="streams")

routes = APIRouter(tags=["playback"])


@routes.get(
    "/v1/accounts/{account_id}/streams",
    response_model=Streams | Projected,
    responses=TABLE.replies({"items": [EXAMPLE]}, *EVERY_ACCOUNT_VIEW),
)
async def read_streams(
    caller: Watcher,
    account_id: OwnAccount,
    sources: From,
    opening: Opening,
    shown: Annotated[Asked, Depends(asked(TABLE))],
    positions: Positions,
) -> Response:
    """What plays now in the account: heard of within two leases, or paused for less than a pause keeps its place."""
    await sources.postgres_checkpoint.reached(TOPIC, positions)
    async with sources.postgres_as(caller) as connection:
        rows = await connection.fetch(
            STREAMS, account_id, *_since(utc_now(), opening.settings), opening.settings.page_max_rows
        )
    key = opening.master.unwrap(rows[0]["wrapped"], account_id) if rows else None
    return shown.reply(Streams(items=[_stream(row, key) for row in rows]))


def _since(now: datetime, settings: Settings) -> tuple[datetime, datetime]:
    """From when on a player must have been heard of, and, paused, have moved its playhead."""
    return now - heard_of_within(settings), now - timedelta(seconds=settings.paused_slot_s)


def heard_of_within(settings: Settings) -> timedelta:
    """How long ago the last event of a session may be that is there now."""
    return timedelta(seconds=settings.stream_shown_leases * settings.lease_s)


def _stream(row: asyncpg.Record, key: PersonKey | None) -> Stream:
    shown = {"since": row["started_at"], "device_name": opened_by(key, row["device_name"])}
    return Stream.model_validate({**row, **shown})
