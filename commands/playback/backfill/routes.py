"""Backfills over HTTP: NDJSON in, NDJSON out, while Kafka acknowledges; and how far one is.

Two callers: a server that moves in, whose lines say whose playback it was, and a player that comes back online with
what was played from a download.
"""

from datetime import datetime, timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Depends, FastAPI, Header, Path, Request, Response
from pydantic import BaseModel, ConfigDict

from commands import errors
from commands.dependencies import Resources, context_of, resources
from commands.handling import IdempotencyKeyMissing
from commands.playback.backfill.answering import StreamedReply
from commands.playback.backfill.documenting import IMPORT, REPORTED, documented
from commands.playback.backfill.progress import Place, PostgresProgress
from commands.playback.backfill.reading import NO_SKEW, Imported, Reader, Reported
from commands.playback.backfill.working import Backfill, Places
from commands.playback.bearing import granted_in_path, token_of
from commands.playback.refusals import (
    BackfillUnknown,
    PlaybackTokenInvalid,
    SessionNotYours,
    SessionTerminated,
    SessionUnknown,
)
from infra.access.authentication import Needs, ScopeMissing, Unauthenticated
from infra.access.permissions import Principal, Scope
from infra.http.declared import Bearing
from infra.moments import Moment
from infra.settings import Settings

KEY_PATTERN: Final = r"^[0-9a-zA-Z._:~-]{1,255}$"

Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=KEY_PATTERN,
        description="Needed. Send a request that broke off again under the same key, and it goes on where it was.",
    ),
]
SentAt = Annotated[
    Moment | None,
    Header(
        alias="Playhead-Sent-At",
        description="The player's clock as it sends this, fresh on each try; times are corrected by how far it is off."
        " Left out, they are taken as they are.",
    ),
]
Opened = Annotated[Resources, Depends(resources)]
Importer = Annotated[Principal, Depends(Needs(Scope.PLAYBACK_IMPORT))]
ACCESS: Final = Bearing("the playback token of the session in the path, in Authorization")

router = APIRouter(prefix="/v1/playback", tags=["playback"])


class ProgressReply(BaseModel):
    """How far a backfill is. `lines_done`: so many from its first are done, and answered as duplicates when they come
    again; `done`: there are no more. `accepted` counts `warnings` too.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "lines_done": 40_500,
                    "accepted": 40_498,
                    "warnings": 3,
                    "rejected": 2,
                    "done": False,
                    "updated_at": "2026-03-01T20:00:12Z",
                    "expires_at": "2026-03-03T20:00:12Z",
                }
            ]
        }
    )

    lines_done: int
    accepted: int
    warnings: int
    rejected: int
    done: bool
    updated_at: datetime
    expires_at: datetime


@router.post("/backfill", **documented(IMPORT, Unauthenticated, ScopeMissing))
async def import_playback(request: Request, opened: Opened, caller: Importer, key: Key = None) -> Response:
    """Import playback of the past: up to 100,000 lines, each with its session, answered one by one as they are taken.

    The views have them later: they are moved to them at a bounded pace, after what is live.
    """
    oldest = timedelta(days=opened.settings.backfill_oldest_days)
    reader = Imported(context_of(request, caller.subject), opened.limits, oldest)
    return _reply(request, opened, reader, caller.subject, key)


@router.get("/backfill/{key}", responses=errors.refused_by(BackfillUnknown))
async def backfill_progress(
    key: Annotated[str, Path(pattern=KEY_PATTERN)], opened: Opened, caller: Importer
) -> ProgressReply:
    """How far the caller's backfill under an Idempotency-Key is."""
    progress = PostgresProgress(opened.pool, opened.clock, opened.settings)
    found = await progress.find(Place.of(caller.subject, key))
    if found is None:
        raise BackfillUnknown("no backfill of yours has begun under this key, or it is long over")
    done = found.done
    return ProgressReply(
        lines_done=done.lines,
        accepted=done.accepted,
        warnings=done.warnings,
        rejected=done.rejected,
        done=done.is_whole,
        updated_at=found.updated_at,
        expires_at=found.expires_at,
    )


@router.post(
    "/sessions/{session_id}/backfill",
    dependencies=[Depends(ACCESS)],
    **documented(REPORTED, PlaybackTokenInvalid, SessionNotYours, SessionUnknown, SessionTerminated),
)
async def report_late(
    session_id: Annotated[str, Path(max_length=64)],
    request: Request,
    opened: Opened,
    key: Key = None,
    sent_at: SentAt = None,
) -> Response:
    """Report what was played offline, days later: a report a line, of the session that was started for the download."""
    session = (await granted_in_path(request, opened, token_of(request))).session
    skew = sent_at - opened.clock() if sent_at else NO_SKEW
    reader = Reported(session, context_of(request, session.profile_id), opened.limits, skew)
    return _reply(request, opened, reader, f"session:{session_id}", key)


def install(app: FastAPI, settings: Settings) -> None:
    """Serve the routes."""
    app.state.backfill_places = Places(settings)
    app.include_router(router)


def _reply(request: Request, opened: Resources, reader: Reader, principal: str, key: str | None) -> StreamedReply:
    if key is None:
        raise IdempotencyKeyMissing("send an Idempotency-Key, and the same one when you send this request again")
    places: Places = request.app.state.backfill_places
    return StreamedReply(Backfill(request, opened, places, reader, Place.of(principal, key)))
